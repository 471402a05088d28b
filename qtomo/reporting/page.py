"""One self-contained HTML file of what is known of runs, or of a verification."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qtomo.errors import Code, InputError
from qtomo.evaluation.judging import Judging
from qtomo.evaluation.stored import stored_or_new
from qtomo.files import check_absent, disk_errors, write_atomic
from qtomo.progress import SILENT, Progress
from qtomo.reporting.layout import Page, render
from qtomo.reporting.run_page import run_page
from qtomo.reporting.style import FORMATS, save_figure
from qtomo.reporting.verification_page import verification_page
from qtomo.training.run import Run
from qtomo.verification.result import Verification

__all__ = ["page_of", "report"]


def report(
    sources: Sequence[Run | str | os.PathLike[str]] | Run | str | os.PathLike[str],
    output: str | os.PathLike[str] = "report.html",
    *,
    records: str | os.PathLike[str] | None = None,
    figure_format: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    **options: Any,
) -> Page:
    """Write the report of runs, or of a verification, to one HTML file, and return what it holds.

    A run without an evaluation of its weights, records and these options is evaluated first.

    Args:
        sources: runs or their folders, one or several, or the JSON file of one verification.
        output: the file; it needs no other file and no network.
        records: where the runs' record file is now, if it has moved.
        figure_format: `pdf`, `png` or `svg`: save each figure also as a file, in a folder of the output's name.
        overwrite: replace what is there.
        progress: told what is being done.
        options: of `evaluate`, where a run is evaluated.

    Raises:
        InputError: no source, something else than runs or a verification, a bad one, or an output that
            may not be written.

    >>> import qtomo
    >>> path = qtomo.simulate(qtomo.GHZ(3), 200, "ghz.h5")
    >>> found = qtomo.verify(path, alternative="none", n_reference=1000)
    >>> page = report(["ghz.verification.json"], "ghz.html")
    """
    sources = [sources] if isinstance(sources, str | os.PathLike | Run) else sources
    path = check_absent(output, overwrite)
    if figure_format is not None and figure_format not in FORMATS:
        raise InputError(Code.UNKNOWN, f"figure format '{figure_format}', expected {', '.join(FORMATS)}")
    folder = path.with_name(f"{path.stem}-figures")
    if figure_format is not None and folder.exists() and not folder.is_dir():
        raise InputError(Code.KIND, f"{folder}: is a file, expected a folder for the figures or nothing")
    page = page_of(sources, records, Judging.of(options), progress=Progress.of(progress))
    if figure_format is not None:
        with disk_errors(folder):
            folder.mkdir(exist_ok=True)
        for drawing in page.drawings():
            if drawing.figure is not None:
                save_figure(drawing.figure, folder / f"{drawing.name}.{figure_format}")
    write_atomic(path, render(page))
    return page


def page_of(
    sources: Sequence[Run | str | os.PathLike[str]],
    records: str | os.PathLike[str] | None = None,
    how: Judging | None = None,
    *,
    progress: Progress = SILENT,
) -> Page:
    """What `report` writes.

    Raises:
        InputError: as there.
    """
    if not sources:
        raise InputError(Code.TOO_FEW, "nothing to report on, expected run folders, or the JSON file of a verification")
    files = [source for source in sources if not isinstance(source, Run) and Path(source).is_file()]
    if files:
        if len(sources) > 1:
            raise InputError(
                Code.CONFLICT, f"{files[0]}: a file among {len(sources)}, expected run folders, or one file alone"
            )
        if Path(files[0]).suffix != ".json":
            raise InputError(
                Code.KIND, f"{files[0]}: expected the JSON file that qtomo verify writes: verify records first"
            )
        return verification_page(Verification.load(files[0]))
    judged = {
        name: (run, stored_or_new(run, records, how, progress=progress))
        for name, run in _named([source if isinstance(source, Run) else Run(source) for source in sources]).items()
    }
    return run_page(judged, records)


def _named(runs: list[Run]) -> dict[str, Run]:
    """Runs by the name of their folder, or by its path where several have that name."""
    names = [run.folder.path.absolute().name for run in runs]
    named: dict[str, Run] = {}
    for run, name in zip(runs, names, strict=True):
        key = name if names.count(name) == 1 else str(run.folder.path)
        if key in named:
            raise InputError(Code.CONFLICT, f"{run.folder.path}: given twice")
        named[key] = run
    return named
