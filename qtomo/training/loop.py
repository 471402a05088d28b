"""The training loop that every family shares: steps, validation, checkpoints, early stopping, resuming."""

from __future__ import annotations

import json
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from qtomo.distribution import Outcomes
from qtomo.errors import Code, Diverged, InputError
from qtomo.files import disk_errors, write_atomic
from qtomo.models.base import Model
from qtomo.parallel import ALONE, World, pick_device
from qtomo.progress import SILENT, Progress
from qtomo.seeds import stream
from qtomo.training.checkpoint import TrainingState, load_checkpoint, save_checkpoint
from qtomo.training.config import TrainingConfig
from qtomo.training.distributed import reduce_step, share, share_buffers, start_together
from qtomo.training.feed import Feed
from qtomo.training.run import RunFolder
from qtomo.training.schedule import learning_rate

__all__ = ["fit", "stop_flag", "validation_loss"]

_VALIDATION_CHUNKS = 20  # at least, for the standard error
_LARGEST_CHUNK = 256


def fit(
    model: Model,
    feed: Feed,
    validation: Outcomes,
    config: TrainingConfig,
    folder: RunFolder,
    *,
    progress: Progress = SILENT,
    workers: World = ALONE,
) -> TrainingState:
    """Train from the folder's checkpoint, or from the start where there is none, to the end.

    A step is a function of the state before it and of (seed, step), so an interrupted run that
    goes on ends with the weights of an uninterrupted one, bit for bit on a CPU.

    Of several processes each computes its share of each batch; all take the same step, and rank 0 writes.

    Args:
        model: as it is before training.
        feed: the training records.
        validation: the held-out records, (n, n_sites).
        config: the settings.
        folder: the run folder.
        progress: told after each step.
        workers: the processes that train together.

    Raises:
        KeyboardInterrupt: asked to stop; the state has been saved.
        Diverged: the loss became infinite or not a number; the last checkpoint stays.
        InputError: records that cannot be read, or a model that cannot be compiled or computed in this precision.
        ProcessLost: another process has ended; the last checkpoint stays.
    """
    training = _Training(model, feed, validation, config, folder, workers)
    with stop_flag() as stopped, torch.random.fork_rng():
        while not training.state.finished:
            training.epoch(stopped, progress)
            training.validate()
    model.load_state_dict(training.best)
    model.set_progress(1.0)
    return training.state


class _Training:
    """A model on its way: what is kept from one epoch to the next, and in checkpoints."""

    def __init__(
        self,
        model: Model,
        feed: Feed,
        validation: Outcomes,
        config: TrainingConfig,
        folder: RunFolder,
        workers: World,
    ) -> None:
        device = pick_device(config.device, "training.device")
        model.to(device)
        self.model, self.feed, self.config, self.folder, self.workers = model, feed, config, folder, workers
        self.held_out = torch.from_numpy(validation).to(device)
        self.optimizer = torch.optim.AdamW(
            _groups(model), config.learning_rate, betas=(config.momentum, 0.999), weight_decay=config.weight_decay
        )
        self.state, self.best = TrainingState(), _weights(model)
        self.average = _parameters(model) if config.averaging else {}
        if folder.checkpoint.exists():
            self.state, average, self.best = load_checkpoint(folder.checkpoint, model, self.optimizer)
            self.average = {name: value.to(device) for name, value in average.items()}
        self.total = math.ceil(feed.n_records / config.batch_size) * config.epochs
        self.step = _Step(model, self.optimizer, config, workers, self.total)
        self.writes = workers.rank == 0
        if self.writes:
            _rewrite_metrics(folder, self.state)
        self.started = time.monotonic() - self.state.seconds
        self.saved = time.monotonic()

    def save(self) -> None:
        """Write a checkpoint."""
        self.state.seconds = time.monotonic() - self.started
        if self.writes:
            save_checkpoint(self.folder.checkpoint, self.state, self.model, self.average, self.best, self.optimizer)

    def epoch(self, stopped: Callable[[], bool], progress: Progress) -> None:
        """What is left of an epoch; asked to stop, it saves and raises KeyboardInterrupt."""
        self.model.train()
        with closing(self.feed.batches(self.state.epoch, self.state.batches)) as batches:
            for batch in batches:
                stop = self.step(batch, self.state, stopped)
                _follow(self.average, self.model, self.config.averaging, self.state.step)
                progress.update(self.state.step, self.total, _note(self.state, self.config))
                if stop:
                    self.save()
                    self.workers.wait()
                    raise KeyboardInterrupt
                if time.monotonic() - self.saved > self.config.checkpoint_seconds:
                    self.save()
                    self.saved = time.monotonic()

    def validate(self) -> None:
        """The end of an epoch: its validation loss, the best weights so far, a checkpoint."""
        state = self.state
        _seed_torch(self.config.seed, "validation", state.epoch)
        with averaged(self.model, self.average):
            loss, error = validation_loss(self.model, self.held_out, self.workers)
            _end_epoch(state, loss, error, self.config, time.monotonic() - self.started)
            if state.best_epoch == state.epoch:
                self.best = _weights(self.model)
        self.save()
        if self.writes:
            _append_metrics(self.folder, state)


def validation_loss(model: Model, outcomes: Tensor, workers: World = ALONE) -> tuple[float, float]:
    """Mean loss in nats per record and its standard error, from the spread over chunks.

    Several processes share the chunks; those of a model that draws in its loss then draw other numbers than one.
    """
    model.eval()
    size = min(_LARGEST_CHUNK, math.ceil(len(outcomes) / _VALIDATION_CHUNKS))
    chunks = torch.split(outcomes, size)
    found = torch.zeros(len(chunks), dtype=torch.float64, device=outcomes.device)
    seed = torch.initial_seed()
    with torch.no_grad():
        for index in range(len(chunks))[share(len(chunks), workers.rank, workers.size)]:
            if workers.size > 1:
                torch.manual_seed(seed + index)
            found[index] = model.validation_loss(chunks[index].long()).item()
    workers.sum(found)
    losses = found.cpu().numpy()
    weights = np.array([len(chunk) for chunk in chunks]) / len(outcomes)
    mean = float(weights @ losses)
    spread = float(weights @ (losses - mean) ** 2)
    return mean, math.sqrt(spread / (len(chunks) - 1)) if len(chunks) > 1 else math.inf


class _Step:
    """A step of training: the gradient of a batch, clipped, and what the optimiser makes of it.

    Args:
        model: the model.
        optimizer: of its weights.
        config: the settings.
        workers: the processes, which share the batch.
        total: number of steps in all.
    """

    def __init__(
        self, model: Model, optimizer: torch.optim.Optimizer, config: TrainingConfig, workers: World, total: int
    ) -> None:
        self._model, self._optimizer, self._config, self._workers = model, optimizer, config, workers
        self._total = total
        self._loss = torch.compile(model.loss) if config.compile else model.loss
        self._purpose = "step" if workers.rank == 0 else f"step of rank {workers.rank}"

    def __call__(self, batch: Tensor, state: TrainingState, stopped: Callable[[], bool]) -> bool:
        """Take the step of a batch of all processes, uint8 (batch_size, n_sites); whether any was asked to stop."""
        model, config, workers = self._model, self._config, self._workers
        if workers.size > 1 and state.step == 0:
            _seed_torch(config.seed, "step", 0)
            start_together(model, batch.long(), workers)
        _seed_torch(config.seed, self._purpose, state.step)
        for group in self._optimizer.param_groups:
            group["lr"] = group["scale"] * learning_rate(config, state.step, self._total)
        model.set_progress(state.step / self._total)
        self._optimizer.zero_grad(set_to_none=True)
        value, stop = reduce_step(model, self._backward(batch), stopped(), workers)
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), config.gradient_clip or math.inf).item()
        for what, number in (("loss", value), ("norm of the gradient", norm)):
            if not math.isfinite(number):
                raise Diverged(
                    Code.DIVERGED,
                    f"the {what} is {number} at epoch {state.epoch + 1}, batch {state.batches + 1}: the weights "
                    f"of the last checkpoint stay; lower training.learning_rate ({config.learning_rate}) or "
                    "training.gradient_clip",
                )
        self._optimizer.step()
        share_buffers(model, workers)
        state.step += 1
        state.batches += 1
        state.loss_sum += value
        state.loss_squares += value**2
        return stop

    def _backward(self, batch: Tensor) -> float:
        """This process's part of the loss of a batch, with the gradients of it, part by part."""
        config, workers = self._config, self._workers
        own = batch[share(len(batch), workers.rank, workers.size)]
        value = 0.0
        for part in range(config.accumulation):
            rows = own[share(len(own), part, config.accumulation)]
            if len(rows):
                with self._understood():
                    with torch.autocast(rows.device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
                        loss = self._loss(rows.long())
                    loss = loss * (len(rows) / len(batch))
                    torch.autograd.backward(loss)
                value += loss.item()
        return value

    @contextmanager
    def _understood(self) -> Iterator[None]:
        """Tell which setting a model cannot be computed with."""
        config = self._config
        settings = {"precision": config.precision != "float32", "compile": config.compile}
        try:
            yield
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, NotImplementedError) as error:
            changed = [f"training.{name}" for name, given in settings.items() if given]
            if not changed:
                raise
            raise InputError(
                Code.UNSUPPORTED,
                f"the model cannot be trained with this {' and '.join(changed)} ({str(error).splitlines()[0]}); "
                "leave that out",
            ) from error


def _groups(model: Model) -> list[dict[str, Any]]:
    """Weights by the scale of their learning rate, those of scale 1 first."""
    by_scale: dict[float, list[Tensor]] = {1.0: []}
    for name, weight in model.named_parameters():
        by_scale.setdefault(model.learning_rate_scale(name), []).append(weight)
    return [{"params": weights, "scale": scale} for scale, weights in by_scale.items() if weights]


def _note(state: TrainingState, config: TrainingConfig) -> str:
    """Epoch and losses so far, the held-out one of the epoch before."""
    words = f"steps, epoch {state.epoch + 1} of {config.epochs}, loss {state.loss_sum / max(1, state.batches):.3f}"
    return f"{words}, held out {state.history[-1]['validation_loss']:.3f}" if state.history else words


def _end_epoch(state: TrainingState, loss: float, error: float, config: TrainingConfig, seconds: float) -> None:
    mean = state.loss_sum / state.batches
    spread = max(0.0, state.loss_squares / state.batches - mean**2)
    state.epoch += 1
    state.history.append(
        {
            "epoch": state.epoch,
            "step": state.step,
            "train_loss": mean,
            "train_loss_error": math.sqrt(spread / state.batches),
            "validation_loss": loss,
            "validation_loss_error": error if math.isfinite(error) else None,
            "seconds": round(seconds, 3),
        }
    )
    state.loss_sum = state.loss_squares = 0.0
    state.batches = 0
    if loss < state.best_loss:
        state.best_loss, state.best_epoch = loss, state.epoch
    tired = config.patience and state.epoch - state.best_epoch >= config.patience
    state.finished = bool(state.epoch >= config.epochs or tired)


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


def _rewrite_metrics(folder: RunFolder, state: TrainingState) -> None:
    write_atomic(folder.metrics, "".join(_line(entry) for entry in state.history))


def _append_metrics(folder: RunFolder, state: TrainingState) -> None:
    with disk_errors(folder.metrics), open(folder.metrics, "a", encoding="utf-8") as file:
        file.write(_line(state.history[-1]))


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
