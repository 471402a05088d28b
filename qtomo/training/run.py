"""A run folder: everything a training leaves behind, and how to use it again."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from qtomo.errors import InputError
from qtomo.files import disk_errors, write_atomic
from qtomo.models import Model
from qtomo.records import RecordFile
from qtomo.training.checkpoint import Progress, load_weights
from qtomo.training.config import RunConfig

__all__ = ["Run", "RunFolder"]


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

    def create(self, config: RunConfig, overwrite: bool) -> None:
        """Make the folder with its `config.toml`.

        Raises:
            InputError: it exists and `overwrite` is false, or what exists is not a run folder.
        """
        if self.path.exists():
            empty = self.path.is_dir() and not any(self.path.iterdir())
            if not empty and not self.config.is_file():
                raise InputError(f"{self.path}: exists and is not a run folder (no config.toml); choose another name")
            if not empty and not overwrite:
                raise InputError(f"{self.path}: exists already; go on with --resume, or replace it with --overwrite")
        if not self.path.absolute().parent.is_dir():
            raise InputError(f"{self.path}: its folder does not exist")
        fresh = RunFolder(self.path.with_name(f".{self.path.name}.partial"))
        shutil.rmtree(fresh.path, ignore_errors=True)
        try:
            with disk_errors(self.path):
                fresh.checkpoint.parent.mkdir(parents=True)
                write_atomic(fresh.config, config.save_text())
                if self.path.exists():
                    shutil.rmtree(self.path)
                fresh.path.rename(self.path)
        except BaseException:
            shutil.rmtree(fresh.path, ignore_errors=True)
            raise


class Run:
    """A run folder, opened: its settings, its model and how its training went.

    Args:
        folder: path of the run folder.

    Raises:
        InputError: not a run folder, or settings that are not understood.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = RunFolder(Path(folder))
        if not self.folder.path.is_dir():
            raise InputError(f"{folder}: no such run folder")
        if not self.folder.config.is_file():
            raise InputError(f"{folder}: not a run folder, it has no config.toml")
        self.config = RunConfig.load(self.folder.config)

    @cached_property
    def _loaded(self) -> tuple[Model, Progress]:
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
    def progress(self) -> Progress:
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
        expected = self.config.records
        file = RecordFile(path if path is not None else self.folder.path / expected.file)
        found = (file.n_sites, file.n_outcomes)
        if found != (expected.n_sites, expected.n_outcomes):
            file.close()
            raise InputError(
                f"{file.path}: records of {found[0]} sites and {found[1]} outcomes, "
                f"expected {expected.n_sites} sites and {expected.n_outcomes} outcomes as in {self.folder.path}"
            )
        if file.sha256 != expected.sha256:
            file.close()
            raise InputError(f"{file.path}: other records than those {self.folder.path} was trained on (SHA-256)")
        return file

    def __repr__(self) -> str:
        model, progress = self._loaded
        state = "finished" if progress.finished else "unfinished"
        return (
            f"Run({str(self.folder.path)!r}: {self.config.model['family']}, {model.n_parameters:,} parameters, "
            f"{progress.epoch} epochs, {state}, best validation loss {progress.best_loss:.4f})"
        )
