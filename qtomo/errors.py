"""The one error that speaks to the user: what they gave is wrong."""

from __future__ import annotations

__all__ = ["InputError"]


class InputError(ValueError):
    """Something given from outside is wrong.

    The message names the place (file, dataset, row, option), what was found and what was expected.
    The command line prints it as one line and ends with exit code 2.
    """
