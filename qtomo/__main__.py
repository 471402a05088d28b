"""`python -m qtomo` is the `qtomo` command."""

import runpy

if __name__ == "__main__":
    runpy.run_module("qtomo_cli", run_name="__main__", alter_sys=True)
