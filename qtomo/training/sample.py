"""Records drawn from a trained model, as a record file like any other."""

from __future__ import annotations

import os
from pathlib import Path

from qtomo.errors import Code, InputError
from qtomo.files import check_absent
from qtomo.progress import Progress
from qtomo.records.file.writer import write_records
from qtomo.records.shots import SHOTS
from qtomo.records.simulation import draw_blocks
from qtomo.training.run import Run

__all__ = ["sample"]


def sample(
    run: Run | str | os.PathLike[str],
    shots: int = SHOTS,
    output: str | os.PathLike[str] = "sample.h5",
    *,
    records: str | os.PathLike[str] | None = None,
    seed: int = 0,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Draw records from a run's model into a record file, with the POVM and target of its training records.

    Args:
        run: a run, or its folder.
        shots: how many records.
        output: the record file to write.
        records: where the run's record file is now, if it has moved.
        seed: of the sampling.
        overwrite: replace an existing file.
        progress: told what is being done.

    Raises:
        InputError: fewer than one shot, a damaged run, or an output that exists or cannot be written.

    >>> import qtomo
    >>> path = qtomo.simulate(qtomo.GHZ(3), 300, "ghz.h5")
    >>> run = qtomo.train(path, "run", epochs=1, hidden_size=4)
    >>> sample(run, 50, "drawn.h5").name
    'drawn.h5'
    """
    if shots < 1:
        raise InputError(Code.VALUE, f"number of shots is {shots}, expected at least 1")
    check_absent(output, overwrite)
    run = run if isinstance(run, Run) else Run(run)
    with run.open_records(records) as file:
        povm, target = file.povm, file.target
    model, progress = run.model, Progress.of(progress)
    progress.stage("records")
    blocks = draw_blocks(model, shots, seed, "sample", progress)
    command = f"qtomo sample {run.folder.path.name} --shots {shots} --seed {seed}"
    n_sites = run.config.records.n_sites
    return write_records(output, blocks, n_sites, povm, target=target, seed=seed, command=command, overwrite=overwrite)
