"""`python -m qtomo_cli` is the `qtomo` command."""

from .main import main

if __name__ == "__main__":
    main()
