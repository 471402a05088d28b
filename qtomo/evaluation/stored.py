"""The evaluation that a run's folder keeps, used again while it is of the same weights, records and options."""

from __future__ import annotations

import os
from dataclasses import replace

from qtomo.errors import InputError
from qtomo.evaluation.evaluation import Evaluation, evaluate, made_from
from qtomo.evaluation.judging import Judging
from qtomo.progress import SILENT, Progress
from qtomo.training.run import Run
from qtomo.version import __version__

__all__ = ["stored_or_new"]


def stored_or_new(
    run: Run,
    records: str | os.PathLike[str] | None = None,
    how: Judging | None = None,
    *,
    progress: Progress = SILENT,
) -> Evaluation:
    """The run's stored evaluation where it is of these weights, records and options; else a new one, which is stored.

    Args:
        run: a run.
        records: where the run's record file is now, if it has moved.
        how: options of the evaluation.
        progress: told what is being done.

    Raises:
        InputError: as `evaluate`.
    """
    how = how or Judging()
    why = "is of other weights or options"
    try:
        stored = Evaluation.load(run.folder.evaluation)
        alike = replace(stored.options, device=how.device) == how  # where it was computed does not matter
        if alike and (stored.qtomo, stored.made_from) == (__version__, made_from(run)):
            return stored
    except InputError:
        why = "is missing, damaged or of another version"
    progress.stage(f"{run.folder.path}: judging, because evaluation.json {why}")
    return evaluate(run, records=records, progress=progress, **vars(how))
