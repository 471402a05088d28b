"""Data parallel training: what the processes that torchrun starts tell one another at each step."""

from __future__ import annotations

import torch
from torch import Tensor

from qtomo.errors import Code, InputError
from qtomo.models.base import Model
from qtomo.parallel import World

__all__ = ["check_shares", "reduce_step", "share", "share_buffers", "start_together"]


def share(n: int, part: int, parts: int) -> slice:
    """Which of `n` rows belong to `part` of `parts`: contiguous, equal up to one row, and some to part 0."""
    return slice(-(-n * part // parts), -(-n * (part + 1) // parts))


def check_shares(batch_size: int, workers: World) -> None:
    """Make sure that every process has the same share of a batch.

    Raises:
        InputError: the number of processes does not divide the batch.
    """
    if batch_size % workers.size:
        below, above = batch_size // workers.size * workers.size, -(-batch_size // workers.size) * workers.size
        near = f"{below} or {above}" if below else str(above)
        raise InputError(
            Code.VALUE,
            f"training.batch_size = {batch_size} records of all processes together, expected a multiple of their "
            f"number {workers.size}, such as {near}",
        )


def start_together(model: Model, batch: Tensor, workers: World) -> None:
    """What a family takes from its first batch, from the whole of it, and the same weights in every process.

    Args:
        model: as it is before the first step.
        batch: the first batch, int64 (batch_size, n_sites).
        workers: the processes.
    """
    model.train()
    model.start_from(batch)
    workers.broadcast(list(model.state_dict().values()))


def reduce_step(model: Model, loss: float, stop: bool, workers: World) -> tuple[float, bool]:
    """Sum gradients and losses over the processes, in one message; each has weighted its own by its share.

    Args:
        model: with gradients, which become those of the whole batch; a weight without one in any process has none.
        loss: of this process.
        stop: whether this process was asked to stop.
        workers: the processes.

    Returns:
        The loss of the whole batch, and whether any process was asked to stop.

    Raises:
        ProcessLost: another process has ended.
    """
    if workers.size == 1:
        return loss, stop
    weights = list(model.parameters())
    gradients = [torch.zeros_like(weight) if weight.grad is None else weight.grad for weight in weights]
    present = [float(weight.grad is not None) for weight in weights]
    rest = gradients[0].new_tensor([loss, float(stop), *present])
    message = torch.cat([*(gradient.reshape(-1) for gradient in gradients), rest])
    workers.sum(message)
    *sums, rest = torch.split(message, [*(weight.numel() for weight in weights), len(rest)])
    loss, asked, *present = rest.tolist()
    for weight, found, number in zip(weights, sums, present, strict=True):
        weight.grad = found.view_as(weight) if number else None
    return loss, asked > 0


def share_buffers(model: Model, workers: World) -> None:
    """Give every process what rank 0 carries from step to step beside its weights, such as Markov chains."""
    if workers.size > 1:
        weights = dict(model.named_parameters())
        workers.broadcast([value for name, value in model.state_dict().items() if name not in weights])
