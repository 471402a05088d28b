"""Train a model on a record file, into a run folder; or go on with one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from qtomo.config import near_miss
from qtomo.errors import Code, InputError
from qtomo.parallel import pick_device, world
from qtomo.progress import Progress
from qtomo.records.file.reader import RecordFile
from qtomo.training.config import SHORTCUTS, RecordsConfig, RunConfig, TrainingConfig, merge_settings, preset_of
from qtomo.training.distributed import check_shares
from qtomo.training.feed import open_feed
from qtomo.training.loop import fit
from qtomo.training.run import Run, RunFolder

__all__ = ["describe_records", "plan_run", "resume", "train"]


def train(
    records: str | os.PathLike[str],
    output: str | os.PathLike[str],
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
    **shortcuts: Any,
) -> Run:
    """Train a model on a record file; everything it leaves is in the run folder.

    Where torchrun has started several processes, all call this; rank 0 writes, and each reads the same files.

    Args:
        records: the record file.
        output: the run folder, which must not exist.
        settings: sections `model` (with `family`; the default is a GRU) and `training`, over the family's preset.
            See `qtomo.training.config` for the options.
        overwrite: replace an existing run.
        progress: told after each step, with epoch and losses.
        shortcuts: `model`, a family's name with its preset, and single settings: `epochs`, `batch_size`,
            `learning_rate`, `hidden_size`, `seed`, `device`.

    Raises:
        InputError: bad records or settings, or an existing folder.
        KeyboardInterrupt: stopped by Ctrl-C or SIGTERM; `resume(folder)` goes on.
        ProcessLost: another of the processes of torchrun has ended; `resume(folder)` goes on.

    >>> import qtomo
    >>> path = qtomo.simulate(qtomo.GHZ(3), 300, "ghz.h5")
    >>> train(path, "run", epochs=1, hidden_size=4).progress.finished
    True
    """
    workers, progress = world(), Progress.of(progress)
    with workers.together():
        if workers.rank == 0:
            wanted = _with_shortcuts(settings or {}, shortcuts)
            with RecordFile(records) as file:
                config = plan_run(file, output, wanted)
                check_shares(config.training.batch_size, workers)
                file.check(lost=False)
            RunFolder(Path(output)).create(config, overwrite)
    return resume(output, progress=progress)


def _with_shortcuts(settings: Mapping[str, Mapping[str, Any]], shortcuts: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: dict(values) for name, values in settings.items()}
    for name, value in shortcuts.items():
        if name == "model":
            found.setdefault("model", {})["family"] = value
        elif name in SHORTCUTS:
            found.setdefault(SHORTCUTS[name], {})[name] = value
        else:
            raise InputError(Code.UNKNOWN, f"train has no option '{name}'{near_miss(name, ['model', *SHORTCUTS])}")
    return found


def plan_run(file: RecordFile, folder: str | os.PathLike[str], settings: Mapping[str, Mapping[str, Any]]) -> RunConfig:
    """All of a run's `config.toml`, once sure that the settings are right and fit the records; nothing is written.

    Raises:
        InputError: bad settings, or records that these cannot be trained on.
    """
    family = str(settings.get("model", {}).get("family", "gru"))
    checked = merge_settings([(f"preset {family}", preset_of(family)), ("settings", settings)])
    training = TrainingConfig(**checked["training"])
    pick_device(training.device, "training.device")
    if file.design == "listed":
        raise file.error(
            Code.UNSUPPORTED,
            "/settings: a fixed list of settings, whose choice no model should learn; "
            "expected outcomes of a POVM, or shots in bases drawn at random",
        )
    if training.n_validation(file.n_records) >= file.n_records:
        raise InputError(
            Code.TOO_FEW,
            f"{file.path}: {file.n_records} records, expected more than the "
            f"{training.n_validation(file.n_records)} kept for validation",
        )
    config = RunConfig(
        records=describe_records(file, folder),
        model=checked["model"],
        training=training,
    )
    model = config.new_model()  # settings that do not fit the records are refused before a folder is made
    if training.accumulation > 1 and not model.accumulates:
        raise InputError(
            Code.CONFLICT,
            f"training.accumulation = {training.accumulation}, expected 1: a {config.model['family']} counts each part "
            "of a batch as a step",
        )
    return config


def describe_records(file: RecordFile, folder: str | os.PathLike[str]) -> RecordsConfig:
    """What a folder made from these records keeps of them."""
    return RecordsConfig(
        file=os.path.relpath(file.path, folder),
        sha256=file.sha256,
        n_records=file.n_records,
        n_sites=file.n_sites,
        n_outcomes=file.n_outcomes,
    )


def resume(
    folder: str | os.PathLike[str], *, records: str | os.PathLike[str] | None = None, progress: Progress | None = None
) -> Run:
    """Go on with a run from its last checkpoint; a finished one is returned as it is.

    Args:
        folder: the run folder.
        records: where the run's record file is now, if it has moved.
        progress: told after each step, with epoch and losses.

    Raises:
        InputError: not a run folder, damaged files, or other records.
        KeyboardInterrupt: stopped by Ctrl-C or SIGTERM; the state has been saved.
        ProcessLost: another of the processes of torchrun has ended; the last checkpoint stays.

    >>> import qtomo
    >>> path = qtomo.simulate(qtomo.GHZ(3), 300, "ghz.h5")
    >>> run = qtomo.train(path, "run", epochs=1, hidden_size=4)
    >>> resume("run").progress.epoch
    1
    """
    workers, progress = world(), Progress.of(progress)
    with ExitStack() as opened:
        with workers.together():
            run = Run(folder)
            config = run.config.training
            check_shares(config.batch_size, workers)
            file = opened.enter_context(run.open_records(records))
            feed, validation = open_feed(file, config, workers)
            model = run.new_model()
            model.measured_by(file.povm)
        progress.stage("training")
        fit(model, feed, validation, config, run.folder, progress=progress, workers=workers)
    workers.wait()
    return Run(folder)
