"""The `qtomo` command: parse, call one function of the library, print."""
