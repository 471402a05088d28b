"""The training records of a run, a batch at a time: from memory, or streamed from the record file.

The batches of an epoch are a function of (seed, epoch), and may begin at any of them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qtomo.distribution import Outcomes
from qtomo.parallel import World, pick_device
from qtomo.records.file.reader import RecordFile, split
from qtomo.seeds import stream
from qtomo.training.config import TrainingConfig

__all__ = ["Feed", "in_memory", "open_feed", "streamed"]

_GIB = 2**30
_BLOCK_BYTES = 2**20
_WINDOWS = 4  # a window has this part of the memory: two of them stand there, and their orders
_BLOCKS = 4  # a window has at least so many


@dataclass(frozen=True)
class Feed:
    """Training records, each once an epoch."""

    n_records: int
    #: batches(epoch, first): those of an epoch from number `first` on, uint8 (batch_size, n_sites), the last smaller.
    batches: Callable[[int, int], Generator[Tensor]]


def open_feed(file: RecordFile, config: TrainingConfig, workers: World) -> tuple[Feed, Outcomes]:
    """Training records, streamed where they need more than `memory_gib`, and those held out for validation.

    Raises:
        InputError: damaged records, or lost outcomes.
    """
    n_records = file.n_records
    for_training, held_out = split(n_records, config.n_validation(n_records), config.seed)
    if n_records * file.n_sites > config.memory_gib * _GIB:
        return streamed(file, held_out, config, workers), file.load(rows=held_out)
    outcomes = file.load()
    return in_memory(outcomes[for_training], config), outcomes[held_out]


def in_memory(outcomes: Outcomes, config: TrainingConfig) -> Feed:
    """Records (n_records, n_sites) that stand on the device, all of them shuffled anew in each epoch."""
    device = pick_device(config.device, "training.device")
    rows = torch.from_numpy(outcomes).to(device)

    def batches(epoch: int, first: int) -> Generator[Tensor]:
        order = torch.from_numpy(stream(config.seed, "order", epoch).permutation(len(rows))).to(device)
        for batch in torch.split(order, config.batch_size)[first:]:
            yield rows[batch]

    return Feed(len(rows), batches)


def streamed(file: RecordFile, held_out: NDArray[np.int64], config: TrainingConfig, workers: World) -> Feed:
    """Records read while the model trains on those read before.

    Blocks of the file, in an order drawn anew in each epoch, make a window, whose rows are shuffled. A thread reads
    the next window. Where it cannot, all processes raise its `InputError`.

    Args:
        file: the records; it must stay open.
        held_out: sorted numbers of the rows to leave out.
        config: `memory_gib` sets the size of a window.
        workers: the processes, each of which reads all windows.
    """
    device = pick_device(config.device, "training.device")
    size = config.memory_gib * _GIB / _WINDOWS
    blocks = np.array(list(file.ranges(min(_BLOCK_BYTES, int(size / _BLOCKS)))))
    kept = np.diff(blocks, axis=1)[:, 0] - np.diff(np.searchsorted(held_out, blocks), axis=1)[:, 0]
    window_rows = max(1, int(size / file.n_sites))

    def read(epoch: int, number: int, window: NDArray[np.int64]) -> Tensor:
        out = torch.empty(int(kept[window].sum()), file.n_sites, dtype=torch.uint8)
        places = stream(config.seed, f"window {number}", epoch).permutation(len(out))
        done = 0
        for first, last in blocks[window].tolist():
            start, end = np.searchsorted(held_out, (first, last))
            rows = np.delete(file.rows(first, last, lost=False), held_out[start:end] - first, axis=0)
            out.numpy()[places[done : done + len(rows)]] = rows
            done += len(rows)
        return out

    def batches(epoch: int, first: int) -> Generator[Tensor]:
        order = stream(config.seed, "blocks", epoch).permutation(len(blocks))
        ends = np.cumsum(kept[order])
        cuts = np.flatnonzero(np.diff((ends - kept[order]) // window_rows)) + 1
        windows = np.split(order, cuts)
        starts = np.concatenate([[0], ends[cuts - 1]])
        opening = int(np.searchsorted(starts, first * config.batch_size, side="right")) - 1
        skipped = first * config.batch_size - int(starts[opening])
        rest = torch.empty(0, file.n_sites, dtype=torch.uint8, device=device)
        with ThreadPoolExecutor(1) as thread:
            coming = thread.submit(read, epoch, opening, windows[opening])
            for number in range(opening, len(windows)):
                with workers.together():
                    window = coming.result()
                if number + 1 < len(windows):
                    coming = thread.submit(read, epoch, number + 1, windows[number + 1])
                for batch in _cut(rest, window[skipped:].to(device), config.batch_size):
                    if len(batch) == config.batch_size:
                        yield batch
                    rest = batch[len(batch) // config.batch_size * config.batch_size :].clone()
                skipped = 0
        if len(rest):
            yield rest

    return Feed(int(kept.sum()), batches)


def _cut(rest: Tensor, window: Tensor, batch_size: int) -> Iterator[Tensor]:
    """Batches of `rest` and `window` one after the other; the last may be smaller."""
    head = batch_size - len(rest)
    yield torch.cat([rest, window[:head]])
    if len(window) > head:
        yield from torch.split(window[head:], batch_size)
