"""The state of a training run in one safetensors file, replaced at once: whole or not there.

Tensors: `model.*` now, `average.*` their moving average where there is one, `best.*` at the lowest validation loss,
`optimizer.<parameter>.<name>`. The rest is JSON in the header. No random state is stored because none is carried:
what a step draws is a function of (seed, step).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from qtomo.errors import Code, InputError
from qtomo.files import write_atomic

__all__ = ["TrainingState", "load_checkpoint", "load_weights", "save_checkpoint"]

_KEY = "qtomo"  # a single header entry, because their order in the file is not fixed


@dataclass
class TrainingState:
    """How far a run is."""

    #: Whole epochs done, and steps done in all.
    epoch: int = 0
    step: int = 0
    #: Sum and sum of squares of the batch losses of the epoch under way, and number of them.
    loss_sum: float = 0.0
    loss_squares: float = 0.0
    batches: int = 0
    best_loss: float = float("inf")
    best_epoch: int = 0
    seconds: float = 0.0
    finished: bool = False
    #: One entry an epoch, as in metrics.jsonl.
    history: list[dict[str, Any]] = field(default_factory=list)


def save_checkpoint(
    path: Path,
    progress: TrainingState,
    model: torch.nn.Module,
    average: dict[str, Tensor],
    best: dict[str, Tensor],
    optimizer: torch.optim.Optimizer,
) -> None:
    """Replace the checkpoint by the present state."""
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    tensors |= {f"average.{name}": value for name, value in average.items()}
    tensors |= {f"best.{name}": value for name, value in best.items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": value for name, value in state.items()}
    tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    write_atomic(path, save(tensors, metadata={_KEY: json.dumps(asdict(progress))}))


def load_checkpoint(
    path: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[TrainingState, dict[str, Tensor], dict[str, Tensor]]:
    """Put the stored state into model and optimiser; returns the progress, the averaged and the best weights.

    Raises:
        InputError: the file is damaged, or belongs to another model.
    """
    progress, tensors = _read(path)
    _load_state(model, _under(tensors, "model."), path)
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in _under(tensors, "optimizer.").items():
        index, _, entry = name.partition(".")
        state.setdefault(int(index), {})[entry] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return progress, _under(tensors, "average."), _under(tensors, "best.")


def load_weights(path: Path, model: torch.nn.Module, best: bool = True) -> TrainingState:
    """Put the best weights into the model, or those of now, averaged where they are.

    Raises:
        InputError: no checkpoint, a damaged one, or one of another model.
    """
    progress, tensors = _read(path)
    now = _under(tensors, "model.") | _under(tensors, "average.")
    _load_state(model, _under(tensors, "best.") if best else now, path)
    return progress


def _read(path: Path) -> tuple[TrainingState, dict[str, Tensor]]:
    if not path.is_file():
        raise InputError(Code.ABSENT, f"{path}: no such file, expected the checkpoint of a training run")
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})[_KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        known = {f.name for f in fields(TrainingState)}
        return TrainingState(**{name: value for name, value in header.items() if name in known}), tensors
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            Code.DAMAGED,
            f"{path}: damaged checkpoint ({error}); restore it from a copy, or train again with --overwrite",
        ) from None


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _load_state(model: torch.nn.Module, state: dict[str, Tensor], path: Path) -> None:
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        detail = str(error).splitlines()[-1].strip()
        raise InputError(Code.MISMATCH, f"{path}: checkpoint of another model ({detail})") from None
