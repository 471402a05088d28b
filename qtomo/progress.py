"""How a long work tells what it does: the stage that it is in, and how much of that is done.

Every function of the front door that may take long has `progress`, which listens. Messages that are no progress go to
`logging`, each to the logger of its module (`qtomo.…`): a warning where something was left out or went wrong.
"""

from __future__ import annotations

from qtomo.errors import Code, InputError

__all__ = ["SILENT", "Progress"]


class Progress:
    """Listens to a long work; this one is silent. Override what is of interest.

    An exception raised there ends the work.

    >>> import qtomo
    >>> class Printed(qtomo.Progress):
    ...     def stage(self, text):
    ...         print(text)
    ...
    ...     def update(self, done, total, note=""):
    ...         print(f"  {done} of {total} {note}".rstrip())
    >>> path = qtomo.simulate(qtomo.GHZ(3), 300, "ghz.h5", progress=Printed())
    exact state of 3 qubits
    records
      300 of 300
    """

    def stage(self, text: str) -> None:
        """What is being done from now on, in a few words."""

    def update(self, done: int, total: int, note: str = "") -> None:
        """`done` of `total` parts of the stage, and in a few words what else is known, such as a loss."""

    @staticmethod
    def of(progress: Progress | None) -> Progress:
        """The listener that a function was given, a silent one for None.

        Raises:
            InputError: something else, such as a function.
        """
        if progress is None:
            return SILENT
        if not isinstance(progress, Progress):
            raise InputError(
                Code.KIND, f"progress: found {type(progress).__name__}, expected an object of a qtomo.Progress class"
            )
        return progress


#: Tells nobody.
SILENT = Progress()
