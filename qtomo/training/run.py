"""A run folder: everything a training leaves behind, and how to use it again."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from qtomo.errors import Code, InputError
from qtomo.files import atomic_folder, write_atomic
from qtomo.models.base import Model
from qtomo.records.file.reader import RecordFile
from qtomo.training.checkpoint import TrainingState, load_weights
from qtomo.training.config import RecordsConfig, RunConfig

__all__ = ["Run", "RunFolder", "open_records"]


@dataclass(frozen=True)
class RunFolder:
    """Names of the files of a run.

    Args:
        path: the folder.
    """

    path: Path

    @property
    def config(self) -> Path:
        """`config.toml`: enough to run it again."""
        return self.path / "config.toml"

    @property
    def checkpoint(self) -> Path:
        """Weights, optimiser and progress."""
        return self.path / "checkpoint" / "latest.safetensors"

    @property
    def metrics(self) -> Path:
        """One JSON line an epoch."""
        return self.path / "metrics.jsonl"

    @property
    def evaluation(self) -> Path:
        """What `evaluate` found."""
        return self.path / "evaluation.json"

    @property
    def report(self) -> Path:
        """The page that `qtomo demo` writes there."""
        return self.path / "report.html"

    def create(self, config: RunConfig, overwrite: bool) -> None:
        """Make the folder with its `config.toml`.

        Raises:
            InputError: it exists and `overwrite` is false, or what exists is not a run folder.
        """
        with atomic_folder(self.path, "run folder", self.config.name, overwrite) as path:
            fresh = RunFolder(path)
            fresh.checkpoint.parent.mkdir()
            write_atomic(fresh.config, config.save_text())


class Run:
    """A run folder, opened: its settings, its model and how its training went.

    Args:
        folder: path of the run folder.

    Raises:
        InputError: not a run folder, or settings that are not understood.

    >>> import qtomo
    >>> path = qtomo.simulate(qtomo.GHZ(3), 300, "ghz.h5")
    >>> run = qtomo.train(path, "run", epochs=1, hidden_size=4)
    >>> Run("run").model.n_sites
    3
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = RunFolder(Path(folder))
        if not self.folder.path.is_dir():
            raise InputError(Code.ABSENT, f"{folder}: no such run folder")
        if not self.folder.config.is_file():
            raise InputError(Code.KIND, f"{folder}: not a run folder, it has no config.toml")
        self.config = RunConfig.load(self.folder.config)

    @cached_property
    def _loaded(self) -> tuple[Model, TrainingState]:
        model = self.new_model()
        progress = load_weights(self.folder.checkpoint, model)
        model.eval()
        return model, progress

    @property
    def model(self) -> Model:
        """The model with its best weights, on the CPU.

        Raises:
            InputError: no checkpoint yet, or a damaged one.
        """
        return self._loaded[0]

    @property
    def progress(self) -> TrainingState:
        """How far the training went, and its history."""
        return self._loaded[1]

    def new_model(self) -> Model:
        """The model as it is before training, drawn by the run's seed."""
        return self.config.new_model()

    def open_records(self, path: str | os.PathLike[str] | None = None) -> RecordFile:
        """The run's records, or the same ones at another place.

        Raises:
            InputError: not found, or other records than those of the run.
        """
        return open_records(self.config.records, self.folder.path, path)

    def __repr__(self) -> str:
        model, progress = self._loaded
        state = "finished" if progress.finished else "unfinished"
        return (
            f"Run({str(self.folder.path)!r}: {self.config.model['family']}, {model.n_parameters:,} parameters, "
            f"{progress.epoch} epochs, {state}, best validation loss {progress.best_loss:.4f})"
        )


def open_records(expected: RecordsConfig, folder: Path, path: str | os.PathLike[str] | None = None) -> RecordFile:
    """The records that a folder was made from, or the same ones at another place.

    Raises:
        InputError: not found, or other records than those expected.
    """
    file = RecordFile(path if path is not None else folder / expected.file)
    found = (file.n_sites, file.n_outcomes)
    if found != (expected.n_sites, expected.n_outcomes):
        file.close()
        raise InputError(
            Code.MISMATCH,
            f"{file.path}: records of {found[0]} sites and {found[1]} outcomes, "
            f"expected {expected.n_sites} sites and {expected.n_outcomes} outcomes as in {folder}",
        )
    if file.sha256 != expected.sha256:
        file.close()
        raise InputError(Code.MISMATCH, f"{file.path}: other records than those {folder} was trained on (SHA-256)")
    return file
