"""The errors that speak to the user: what they gave is wrong, or what broke a long work off."""

from __future__ import annotations

from qtomo.worded import Worded

__all__ = ["Code", "Diverged", "InputError", "ProcessLost"]


class Code(Worded):
    """What is wrong, for programs; `words` says it for people. Codes stay from version to version, messages need not.

    >>> Code.ABSENT == "absent", Code.ABSENT.words
    (True, 'a file, a folder or a part of one is not there')
    """

    ABSENT = "absent", "a file, a folder or a part of one is not there"
    EXISTS = "exists", "the output exists already, and nothing said to replace it"
    KIND = "kind", "a file or an object of another kind than expected"
    DAMAGED = "damaged", "a file that is truncated or altered, breaks its own format, or points outside itself"
    VERSION = "version", "a file in a version of its format that this qtomo does not read"
    ENVIRONMENT = "environment", "the machine lacks it: a package, a GPU, a process, a permission, space on the disk"
    SYNTAX = "syntax", "a text that does not have the expected form, such as NAME=VALUE"
    UNKNOWN = "unknown", "a name that is none of the known ones"
    REQUIRED = "required", "something that is needed here was not given"
    CONFLICT = "conflict", "things were given that exclude each other, or one of them twice"
    VALUE = "value", "a number, an entry or a setting that is out of its range or not of its type"
    SHAPE = "shape", "an array of another shape or data type than expected"
    UNPHYSICAL = "unphysical", "no state, channel or measurement: not normalised, not Hermitian or not positive"
    MISMATCH = "mismatch", "two things that do not fit together: other qubits, another measurement, other records"
    TOO_LARGE = "too-large", "more than the method, the memory or a limit on foreign files allows"
    TOO_FEW = "too-few", "too few records, shots or files, or none"
    UNMEASURED = "unmeasured", "no record measures what is asked for"
    UNSUPPORTED = "unsupported", "a model, a method, a measurement or the records do not allow what is asked"
    DIVERGED = "diverged", "a loss, a gradient or a divergence that is not finite"


class InputError(ValueError):
    """Something given from outside is wrong.

    The message names the place (file, dataset, row, option), what was found and what was expected.
    The command line prints it as one line and ends with exit code 2.

    Args:
        code: what is wrong, one of a few kinds; programs and tests go by it.
        message: for people; `str(error)` is this alone.

    >>> import qtomo
    >>> try:
    ...     qtomo.RecordFile("absent.h5")
    ... except InputError as error:
    ...     print(error)
    ...     error.code == "absent"
    absent.h5: no such file, expected a record file
    True
    """

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(code, message)  # both, so that it can be copied and sent between processes
        self.code = code
        self.message = message

    def __str__(self) -> str:
        """The message."""
        return self.message


class Diverged(InputError):
    """A training whose loss or gradient is not finite any more: its settings do not train."""


class ProcessLost(RuntimeError):
    """Another of the processes that work together has ended, so that this one cannot go on."""
