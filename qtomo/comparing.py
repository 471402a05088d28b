"""One door for what stands side by side: runs, or record files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qtomo.errors import Code, InputError
from qtomo.evaluation.comparison import Comparison, compare_runs
from qtomo.progress import Progress
from qtomo.records.records import Records
from qtomo.training.run import Run
from qtomo.verification.file_comparison import FileComparison, compare_records

__all__ = ["compare"]


def compare(
    sources: Sequence[Run | Records | str | os.PathLike[str]],
    *,
    records: str | os.PathLike[str] | None = None,
    level: float = 0.95,
    seed: int = 0,
    progress: Progress | None = None,
    **options: Any,
) -> Comparison | FileComparison:
    """Runs that were trained on the same records, side by side with k-grams; or record files of the same measurement,
    each with the first.

    Args:
        sources: runs or their folders, or record files or `Records`.
        records: where the runs' record file is now, if it has moved.
        level: confidence of intervals; of record files 1 - level is the error rate of all tests together.
        seed: of all sampling.
        progress: told what is being done.
        options: of runs, fields of `Judging`: `samples`, `device`, `allow_estimates`.

    Raises:
        InputError: runs among record files, or as `compare_runs` and `compare_records`.

    >>> import qtomo
    >>> days = [qtomo.simulate(qtomo.GHZ(3), 200, f"{day}.h5", seed=day) for day in (1, 2)]
    >>> compare(days, level=0.99).drifts["2.h5"].differs
    False
    """
    if isinstance(sources, str | os.PathLike):
        raise InputError(Code.KIND, f"{os.fspath(sources)}: expected a list of runs, or of record files, to compare")
    measured = [source for source in sources if not isinstance(source, Run) and _holds_records(source)]
    runs = [source for source in sources if not isinstance(source, Records) and not _holds_records(source)]
    if measured and runs:
        raise InputError(Code.KIND, f"{runs[0]}: not a record file as {measured[0]} is; compare runs, or record files")
    if measured:
        return compare_records(measured, alpha=1 - level, seed=seed, progress=progress)
    return compare_runs(runs, records=records, level=level, seed=seed, progress=progress, **options)


def _holds_records(source: Run | Records | str | os.PathLike[str]) -> bool:
    return isinstance(source, Records) or (not isinstance(source, Run) and Path(source).is_file())
