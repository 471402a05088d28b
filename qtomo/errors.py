"""The errors that speak to the user: what they gave is wrong, or what broke a long work off."""

from __future__ import annotations

__all__ = ["Diverged", "InputError", "ProcessLost"]


class InputError(ValueError):
    """Something given from outside is wrong.

    The message names the place (file, dataset, row, option), what was found and what was expected.
    The command line prints it as one line and ends with exit code 2.

    >>> import qtomo
    >>> try:
    ...     qtomo.RecordFile("absent.h5")
    ... except InputError as error:
    ...     print(error)
    absent.h5: no such file, expected a record file
    """


class Diverged(InputError):
    """A training whose loss or gradient is not finite any more: its settings do not train."""


class ProcessLost(RuntimeError):
    """Another of the processes that work together has ended, so that this one cannot go on."""
