"""The `qtomo` command: each subcommand parses, calls one function of the library and prints what it returns."""

from .main import main

__all__ = ["main"]
