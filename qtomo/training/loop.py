"""The training loop that every family shares: steps, validation, checkpoints, early stopping, resuming."""

from __future__ import annotations

import json
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from qtomo.distribution import Outcomes
from qtomo.errors import Diverged
from qtomo.files import disk_errors, write_atomic
from qtomo.models import Model
from qtomo.parallel import pick_device
from qtomo.seeds import stream
from qtomo.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from qtomo.training.config import TrainingConfig
from qtomo.training.run import RunFolder

__all__ = ["Report", "fit", "stop_flag"]

#: Called as report(progress, total_steps) after each step.
Report = Callable[[Progress, int], None]

_VALIDATION_CHUNKS = 20  # at least, for the standard error
_LARGEST_CHUNK = 256


def fit(
    model: Model,
    training: Outcomes,
    validation: Outcomes,
    config: TrainingConfig,
    folder: RunFolder,
    report: Report | None = None,
) -> Progress:
    """Train from the folder's checkpoint, or from the start where there is none, to the end.

    A step is a function of the state before it and of (seed, step), so an interrupted run that
    goes on ends with the weights of an uninterrupted one, bit for bit on a CPU.

    Raises:
        KeyboardInterrupt: asked to stop; the state has been saved.
        Diverged: the loss became infinite or not a number; the last checkpoint stays.
    """
    device = pick_device(config.device, "training.device")
    model.to(device)
    rows = torch.from_numpy(training).to(device)
    held_out = torch.from_numpy(validation).to(device)
    optimizer = torch.optim.AdamW(
        model.parameters(), config.learning_rate, betas=(config.momentum, 0.999), weight_decay=config.weight_decay
    )
    progress, average, best = Progress(), _parameters(model) if config.averaging else {}, _weights(model)
    if folder.checkpoint.exists():
        progress, average, best = load_checkpoint(folder.checkpoint, model, optimizer)
        average = {name: value.to(device) for name, value in average.items()}
    batches = math.ceil(len(rows) / config.batch_size)
    total = batches * config.epochs
    _rewrite_metrics(folder, progress)
    started = time.monotonic() - progress.seconds
    saved = time.monotonic()

    def save() -> None:
        progress.seconds = time.monotonic() - started
        save_checkpoint(folder.checkpoint, progress, model, average, best, optimizer)

    with stop_flag() as stopped, torch.random.fork_rng():
        while not progress.finished:
            order = torch.from_numpy(stream(config.seed, "order", progress.epoch).permutation(len(rows))).to(device)
            model.train()
            for batch in torch.split(order, config.batch_size)[progress.batches :]:
                _seed_torch(config.seed, "step", progress.step)
                _step(
                    model, rows[batch].long(), optimizer, _learning_rate(config, progress.step, total), config, progress
                )
                _follow(average, model, config.averaging, progress.step)
                if report:
                    report(progress, total)
                if stopped():
                    save()
                    raise KeyboardInterrupt
                if time.monotonic() - saved > config.checkpoint_seconds:
                    save()
                    saved = time.monotonic()
            _seed_torch(config.seed, "validation", progress.epoch)
            with averaged(model, average):
                loss, error = validation_loss(model, held_out)
                _end_epoch(progress, loss, error, config, time.monotonic() - started)
                if progress.best_epoch == progress.epoch:
                    best = _weights(model)
            save()
            _append_metrics(folder, progress)
    model.load_state_dict(best)
    return progress


def validation_loss(model: Model, outcomes: Tensor) -> tuple[float, float]:
    """Mean loss in nats a record and its standard error, from the spread over chunks."""
    model.eval()
    with torch.no_grad():
        size = min(_LARGEST_CHUNK, math.ceil(len(outcomes) / _VALIDATION_CHUNKS))
        chunks = torch.split(outcomes, size)
        losses = np.array([model.validation_loss(chunk.long()).item() for chunk in chunks])
    weights = np.array([len(chunk) for chunk in chunks]) / len(outcomes)
    mean = float(weights @ losses)
    spread = float(weights @ (losses - mean) ** 2)
    return mean, math.sqrt(spread / (len(chunks) - 1)) if len(chunks) > 1 else math.inf


def _step(
    model: Model,
    batch: Tensor,
    optimizer: torch.optim.Optimizer,
    learning_rate: float,
    config: TrainingConfig,
    progress: Progress,
) -> None:
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
    loss = model.loss(batch)
    value = loss.item()
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), config.gradient_clip or math.inf).item()
    for what, number in (("loss", value), ("norm of the gradient", norm)):
        if not math.isfinite(number):
            raise Diverged(
                f"the {what} is {number} at epoch {progress.epoch + 1}, batch {progress.batches + 1}: the weights of "
                f"the last checkpoint stay; lower training.learning_rate ({config.learning_rate}) or "
                "training.gradient_clip"
            )
    optimizer.step()
    progress.step += 1
    progress.batches += 1
    progress.loss_sum += value
    progress.loss_squares += value**2


def _end_epoch(progress: Progress, loss: float, error: float, config: TrainingConfig, seconds: float) -> None:
    mean = progress.loss_sum / progress.batches
    spread = max(0.0, progress.loss_squares / progress.batches - mean**2)
    progress.epoch += 1
    progress.history.append(
        {
            "epoch": progress.epoch,
            "step": progress.step,
            "train_loss": mean,
            "train_loss_error": math.sqrt(spread / progress.batches),
            "validation_loss": loss,
            "validation_loss_error": error if math.isfinite(error) else None,
            "seconds": round(seconds, 3),
        }
    )
    progress.loss_sum = progress.loss_squares = 0.0
    progress.batches = 0
    if loss < progress.best_loss:
        progress.best_loss, progress.best_epoch = loss, progress.epoch
    tired = config.patience and progress.epoch - progress.best_epoch >= config.patience
    progress.finished = bool(progress.epoch >= config.epochs or tired)


def _learning_rate(config: TrainingConfig, step: int, total: int) -> float:
    rate = config.learning_rate * min(1.0, (step + 1) / (config.warmup_steps + 1))
    if config.schedule == "cosine":
        rate *= 0.5 * (1 + math.cos(math.pi * step / total))
    return rate


def _weights(model: Model) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def _parameters(model: Model) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.named_parameters()}


def _follow(average: dict[str, Tensor], model: Model, averaging: float, step: int) -> None:
    """Move the averaged weights towards those after step number `step`, counted from 1."""
    keep = min(averaging, (1 + step) / (10 + step))  # at the start, over about a tenth of the steps so far
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name in average:
                average[name].lerp_(value, 1 - keep)


@contextmanager
def averaged(model: Model, average: Mapping[str, Tensor]) -> Iterator[None]:
    """The model with its averaged weights, where there are any, while the block runs."""
    present = _parameters(model) if average else {}
    model.load_state_dict(average, strict=False)
    try:
        yield
    finally:
        model.load_state_dict(present, strict=False)


def _seed_torch(seed: int, purpose: str, index: int) -> None:
    torch.manual_seed(int(stream(seed, purpose, index).integers(2**63)))


def _line(entry: dict[str, Any]) -> str:
    return json.dumps(entry) + "\n"


def _rewrite_metrics(folder: RunFolder, progress: Progress) -> None:
    write_atomic(folder.metrics, "".join(_line(entry) for entry in progress.history))


def _append_metrics(folder: RunFolder, progress: Progress) -> None:
    with disk_errors(folder.metrics), open(folder.metrics, "a", encoding="utf-8") as file:
        file.write(_line(progress.history[-1]))


class _Ask:
    """A signal handler that takes the first signal as a request, and interrupts at the second."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self, number: int, _frame: object) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


@contextmanager
def stop_flag() -> Iterator[Callable[[], bool]]:
    """While the block runs, the first Ctrl-C or SIGTERM only raises a flag, so that a step ends whole.

    A second one interrupts at once. A block inside another shares its flag. Outside the main thread signals are
    left alone.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    outer = signal.getsignal(signal.SIGINT)
    ask = outer if isinstance(outer, _Ask) else _Ask()
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: ask.asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
