"""Sweep a model's settings: train with many, each time where the results so far say it is worth trying.

A sweep folder has `sweep.toml` (enough to run it again), a run folder a trial under `trials/`, and, after each trial,
`trials.json` (all of them) and `best.toml` (the best settings, for `qtomo train --config`). There is no other state:
an interrupted sweep reads its trials back from their folders.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import Field

from qtomo.config import Config
from qtomo.errors import Code, Diverged, InputError
from qtomo.files import atomic_folder, write_atomic
from qtomo.models.registry import FAMILIES
from qtomo.parallel import world
from qtomo.progress import Progress
from qtomo.records.file.reader import RecordFile
from qtomo.results import Real, Result
from qtomo.table import Table
from qtomo.training.config import RecordsConfig, TrainingConfig, check_sections, merge_settings, read_toml
from qtomo.training.launch import describe_records, plan_run, resume
from qtomo.training.loop import stop_flag
from qtomo.training.run import Run, RunFolder, open_records
from qtomo.training.sweep.choice import corners, propose, require_optuna
from qtomo.training.sweep.folder import PLAN, TRIALS, is_sweep
from qtomo.training.sweep.search_space import Choices, Range, Settings, read_space, with_options

__all__ = [
    "Sweep",
    "SweepConfig",
    "SweepPlan",
    "Trial",
    "Trials",
    "is_sweep",
    "resume_sweep",
    "sweep",
]


_LOG = logging.getLogger(__name__)


class SweepConfig(Config):
    """Settings of the search."""

    #: Trainings in all.
    trials: int = Field(20, ge=1)
    #: Every proposal is a function of it and of the trials before.
    seed: int = Field(0, ge=0, lt=2**63)
    #: Random trials before the search is guided.
    startup: int = Field(10, ge=1)


class SweepPlan(Config):
    """All of `sweep.toml`."""

    records: RecordsConfig
    model: dict[str, Any]
    training: TrainingConfig
    sweep: SweepConfig
    #: By option, such as `training.learning_rate`.
    space: dict[str, Range | Choices]

    @property
    def settings(self) -> dict[str, dict[str, Any]]:
        """Sections `model` and `training`, which a trial changes in the options of the space."""
        return {"model": self.model, "training": self.training.model_dump()}

    def save_text(self) -> str:
        """The plan as TOML."""
        return tomli_w.dumps(self.model_dump(exclude_none=True))

    @classmethod
    def load(cls, path: Path, settings: Settings | None = None, records: RecordsConfig | None = None) -> SweepPlan:
        """Read a plan; its own [model] and [training] stand over `settings`, and `records` in place of its own.

        Raises:
            InputError: missing, not TOML, with unknown or wrong settings, or more trials than the space has settings.
        """
        values = read_toml(path)
        check_sections(values, list(cls.model_fields), str(path))
        own = {name: section for name, section in values.items() if name in ("model", "training")}
        complete = merge_settings([("settings", settings or {}), (str(path), own)])
        config = SweepConfig.parse(values.get("sweep", {}), f"{path} [sweep]")
        space = read_space(values.get("space", {}), complete, f"{path} [space]")
        size = 1.0
        for dimension in space.values():
            size *= dimension.size
        if config.trials > size:
            raise InputError(
                Code.VALUE,
                f"{path} [sweep]: trials = {config.trials}, expected at most {size:.0f}, "
                "the number of different settings in [space]",
            )
        return cls(
            records=records or RecordsConfig.parse(values.get("records", {}), f"{path} [records]"),
            model=complete["model"],
            training=TrainingConfig(**complete["training"]),
            sweep=config,
            space=space,
        )

    def check(self, file: RecordFile, folder: Path) -> None:
        """Make sure that each end and each choice of the space can be trained on the records.

        Raises:
            InputError: it cannot.
        """
        for settings in corners(self.space, self.settings):
            plan_run(file, folder, settings)


@dataclass(frozen=True)
class Trial:
    """One training of a sweep.

    Args:
        number: counted from 0, the name of its folder.
        settings: values by option of the space.
        loss: the best validation loss, None where the trial failed.
        loss_error: its standard error, None where there are too few records for one.
        n_parameters: of the model.
        epochs: passes over the records.
        seconds: of training.
        failure: why it failed.
        run: its run folder, in a file.
    """

    number: int
    settings: dict[str, Any]
    loss: Real | None = None
    loss_error: Real | None = None
    n_parameters: int | None = None
    epochs: int | None = None
    seconds: float | None = None
    failure: str | None = None
    run: str = ""

    @property
    def name(self) -> str:
        """The name of its folder."""
        return f"{self.number:04d}"


@dataclass(frozen=True)
class Trials(Result, format="qtomo-sweep", version=1):
    """What `trials.json` keeps of a sweep.

    Args:
        sweep: the sweep folder.
        family: of the models.
        validation_unit: what the validation loss is counted in.
        best: number of the trial of the lowest loss; None where all failed.
        within_one_standard_error: trials after the best whose loss is within one standard error of it.
        trials: in order, failed ones included.

    Raises:
        ValueError: trials that are not numbered in order, or a best one that is none of them or failed.
    """

    sweep: str
    family: str
    validation_unit: str
    best: int | None
    within_one_standard_error: list[int]
    trials: list[Trial]

    def __post_init__(self) -> None:
        if [trial.number for trial in self.trials] != list(range(len(self.trials))):
            raise ValueError("trials: not numbered in order from 0")
        for number in (*self.within_one_standard_error, *(() if self.best is None else (self.best,))):
            if not 0 <= number < len(self.trials) or self.trials[number].loss is None:
                raise ValueError(f"best or within_one_standard_error: no loss of a trial {number}")

    def tables(self) -> list[Table]:
        """One row per trial."""
        rows = [[trial.name, "failed" if trial.loss is None else f"{trial.loss:.4f}"] for trial in self.trials]
        return [Table(f"{self.sweep}: {len(rows)} trials of {self.family}", ["trial", "validation loss"], rows)]


@dataclass(frozen=True)
class Sweep:
    """A sweep folder and its trials so far.

    Args:
        folder: the sweep folder.
        plan: what was asked for.
        trials: in order, failed ones included.
    """

    folder: Path
    plan: SweepPlan
    trials: list[Trial]

    @cached_property
    def ranked(self) -> list[Trial]:
        """Trials that did not fail, the lowest validation loss first."""
        return sorted((trial for trial in self.trials if trial.failure is None), key=_loss)

    @property
    def near_best(self) -> list[Trial]:
        """Trials after the best whose validation loss is within one standard error of it."""
        best = self.ranked[0]
        return [trial for trial in self.ranked[1:] if _loss(trial) <= _loss(best) + (best.loss_error or 0.0)]

    @property
    def unit(self) -> str:
        """What the validation loss is counted in."""
        return FAMILIES[self.plan.model["family"]].validation_unit

    @property
    def best_settings(self) -> Path:
        """`best.toml`: the settings of the best trial, complete."""
        return self.folder / "best.toml"

    def trial_folder(self, trial: Trial) -> Path:
        """The run folder of a trial."""
        return _run_folder(self.folder, trial.number).path

    def kept(self) -> Trials:
        """All that was found, as `trials.json` keeps it."""
        return Trials(
            sweep=str(self.folder),
            family=self.plan.model["family"],
            validation_unit=self.unit,
            best=self.ranked[0].number if self.ranked else None,
            within_one_standard_error=[trial.number for trial in self.near_best] if self.ranked else [],
            trials=[replace(trial, run=str(self.trial_folder(trial))) for trial in self.trials],
            made_from={"records": self.plan.records.sha256},
        )

    def to_dict(self) -> dict[str, Any]:
        """All that was found, for JSON."""
        return self.kept().to_dict()

    def save(self) -> None:
        """Write `trials.json` and `best.toml`."""
        self.kept().save(self.folder / TRIALS, overwrite=True)
        if self.ranked:
            best = with_options(self.plan.settings, self.ranked[0].settings)
            write_atomic(self.best_settings, tomli_w.dumps(best))


def sweep(
    records: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    plan: str | os.PathLike[str],
    settings: Settings | None = None,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Sweep:
    """Train a model on a record file with many settings; everything this leaves is in the sweep folder.

    Args:
        records: the record file.
        folder: the sweep folder, which must not exist.
        plan: a TOML file with sections [space], [sweep] and, where wanted, [model] and [training].
        settings: sections `model` and `training`, under those of the plan; the default is a GRU.
        overwrite: replace an existing sweep.
        progress: told the trials done after each step of the one under way.

    Raises:
        InputError: bad records or settings, an existing folder, no Optuna, several processes, or every trial failed.
        KeyboardInterrupt: stopped by Ctrl-C or SIGTERM; `resume_sweep(folder)` goes on.

    >>> import qtomo
    >>> path = qtomo.simulate(qtomo.GHZ(3), 300, "ghz.h5")
    >>> with open("sweep.toml", "w") as file:
    ...     _ = file.write('[space]\\n"model.hidden_size" = {choices = [2, 4]}\\n[sweep]\\ntrials = 2\\n')
    >>> len(sweep(path, "found", "sweep.toml", {"training": {"epochs": 1}}).trials)
    2
    """
    _check_able()
    folder, progress = Path(folder), Progress.of(progress)
    with RecordFile(records) as file:
        checked = SweepPlan.load(Path(plan), settings, describe_records(file, folder))
        checked.check(file, folder)
        file.check(lost=False)
    with atomic_folder(folder, "sweep folder", PLAN, overwrite) as fresh:
        (fresh / "trials").mkdir()
        write_atomic(fresh / PLAN, checked.save_text())
    return resume_sweep(folder, progress=progress)


def resume_sweep(
    folder: str | os.PathLike[str], *, records: str | os.PathLike[str] | None = None, progress: Progress | None = None
) -> Sweep:
    """Go on with a sweep to the trials that an unbroken one makes; of a finished one all are read back.

    Args:
        folder: the sweep folder.
        records: where the sweep's record file is now, if it has moved.
        progress: told the trials done after each step of the one under way.

    Raises:
        InputError: not a sweep folder, damaged files, other records, no Optuna, several processes, or every trial
            failed.
        KeyboardInterrupt: stopped by Ctrl-C or SIGTERM; the state has been saved.

    >>> try:
    ...     resume_sweep("absent")
    ... except InputError as error:
    ...     print(error)
    absent/sweep.toml: no such file, expected a TOML file of settings
    """
    _check_able()
    folder, progress = Path(folder), Progress.of(progress)
    plan = SweepPlan.load(folder / PLAN)
    found = Sweep(folder, plan, [])
    with open_records(plan.records, folder, records) as file, stop_flag() as stopped:
        plan.check(file, folder)
        progress.stage("sweep")
        while len(found.trials) < plan.sweep.trials:
            if stopped():
                raise KeyboardInterrupt
            found = Sweep(folder, plan, [*found.trials, _next_trial(found, file, progress)])
            found.save()
    progress.update(len(found.trials), len(found.trials), "trials")
    if not found.ranked:
        raise InputError(
            Code.DIVERGED, f"{folder}: all {len(found.trials)} trials failed, the first: {found.trials[0].failure}"
        )
    return found


def _check_able() -> None:
    require_optuna()
    if world().size > 1:
        raise InputError(
            Code.ENVIRONMENT, f"a sweep runs in one process, found {world().size}; start it without torchrun"
        )


class _OfTrial(Progress):
    """Listens to the training of a trial, and tells a sweep's listener the trials that are done."""

    def __init__(self, sweep: Progress, done: Sequence[Trial], n_trials: int) -> None:
        losses = [trial.loss for trial in done if trial.loss is not None]
        self._best = f", lowest loss {min(losses):.3f}" if losses else ""
        self._sweep, self._done, self._n_trials = sweep, len(done), n_trials

    def update(self, done: int, total: int, note: str = "") -> None:
        self._sweep.update(self._done, self._n_trials, f"trials, step {done:,} of {total:,} of the next{self._best}")


def _next_trial(found: Sweep, file: RecordFile, progress: Progress) -> Trial:
    """Read the next trial back where it is finished, go on with it where it is not, or begin it."""
    plan, done = found.plan, found.trials
    number, run = len(done), _run_folder(found.folder, len(done))
    failed = run.path / "failed.json"

    def fail(options: Mapping[str, Any], message: str) -> Trial:
        run.path.mkdir(exist_ok=True)
        _LOG.warning("trial %d failed: %s", number, message)
        write_atomic(failed, json.dumps({"settings": options, "message": message}) + "\n")
        return Trial(number, dict(options), failure=message)

    if failed.is_file():
        stored = _read_failure(failed)
        return Trial(number, stored["settings"], failure=stored["message"])
    if run.config.is_file():
        options = _options_of(run, found)
    else:
        options = propose(plan.space, [(t.settings, t.loss) for t in done], plan.sweep.seed, plan.sweep.startup)
        try:
            config = plan_run(file, run.path, with_options(plan.settings, options))
        except InputError as error:  # each value was checked alone: these do not go together
            return fail(options, str(error))
        run.create(config, overwrite=False)

    try:
        trained = resume(run.path, records=file.path, progress=_OfTrial(progress, done, plan.sweep.trials))
    except Diverged as error:
        return fail(options, str(error))
    state = trained.progress
    if state.best_epoch == 0:
        return fail(options, f"the validation loss is finite in none of {state.epoch} epochs")
    return Trial(
        number,
        options,
        loss=state.best_loss,
        loss_error=state.history[state.best_epoch - 1]["validation_loss_error"],
        n_parameters=trained.model.n_parameters,
        epochs=state.epoch,
        seconds=round(state.seconds, 3),
    )


def _options_of(run: RunFolder, found: Sweep) -> dict[str, Any]:
    """Values by option of a trial that has begun.

    Raises:
        InputError: its other settings are not those of the plan.
    """
    config = Run(run.path).config
    have = {"model": config.model, "training": config.training.model_dump()}
    options = {}
    for name in found.plan.space:
        section, _, option = name.partition(".")
        options[name] = have[section].get(option)
    if have != with_options(found.plan.settings, options):
        raise InputError(
            Code.MISMATCH,
            f"{run.config}: other settings than {found.folder / PLAN} gives; of a sweep that has begun only "
            "[sweep] trials may change",
        )
    return options


def _read_failure(path: Path) -> dict[str, Any]:
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return {"settings": dict(stored["settings"]), "message": str(stored["message"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(Code.DAMAGED, f"{path}: damaged ({error}); delete it to have the trial made again") from None


def _run_folder(folder: Path, number: int) -> RunFolder:
    return RunFolder(folder / "trials" / f"{number:04d}")


def _loss(trial: Trial) -> float:
    return float("inf") if trial.loss is None else trial.loss
