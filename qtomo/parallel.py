"""Where work is done: on which device, and which of several processes this one is."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from types import ModuleType
from typing import TYPE_CHECKING, TypeVar

from qtomo.errors import Code, InputError, ProcessLost

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["ALONE", "World", "over_threads", "pick_device", "world"]

Item = TypeVar("Item")
Result = TypeVar("Result")

#: How long a process waits for the others: one of them may be reading a large file, or compiling.
_PATIENCE = timedelta(minutes=30)


def pick_device(name: str, option: str = "device") -> torch.device:
    """The device a setting names: `auto` is a GPU where there is one. Processes of torchrun take one each.

    Raises:
        InputError: an unknown name, a GPU is asked for and there is none, or fewer than processes on this machine.
    """
    import torch

    if name not in ("auto", "cpu", "cuda"):
        raise InputError(Code.UNKNOWN, f"{option} = '{name}', expected auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError(Code.ENVIRONMENT, f"{option} = 'cuda': no CUDA device on this machine")
    if name == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    workers = world()
    if workers.size == 1:
        return torch.device("cuda")
    if workers.local_rank >= torch.cuda.device_count():
        raise InputError(
            Code.ENVIRONMENT,
            f"{option} = '{name}': process {workers.local_rank} of this machine has no GPU, there are "
            f"{torch.cuda.device_count()}; start as many processes as GPUs (torchrun --nproc-per-node)",
        )
    return torch.device("cuda", workers.local_rank)


def over_threads(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """`function` of each item, in their order, by as many threads as PyTorch has, of one thread each: for many matrix
    products, each too small to be shared out.

    At most twice as many results as threads wait to be taken.
    """
    import torch

    threads, items = torch.get_num_threads(), list(items)
    if threads == 1 or len(items) < 2:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        waiting = [pool.submit(function, item) for item in items[: 2 * threads]]
        for following in [*items[2 * threads :], *[None] * len(waiting)]:
            yield waiting.pop(0).result()
            if following is not None:
                waiting.append(pool.submit(function, following))


@dataclass(frozen=True)
class World:
    """The processes that work together, as torchrun starts them; one process alone is rank 0 of 1.

    Every process has to call the same methods in the same order. Any of them raises `ProcessLost` where another
    process has ended.
    """

    rank: int = 0
    size: int = 1
    #: The rank among the processes of this machine, which chooses the GPU.
    local_rank: int = 0

    def wait(self) -> None:
        """Until every process has come here."""
        if self.size > 1:
            with self._connected() as distributed:
                distributed.barrier()

    def sum(self, values: Tensor) -> None:
        """Put the sum over processes into `values`, of the same shape in each."""
        if self.size > 1:
            with self._connected() as distributed:
                distributed.all_reduce(values)

    def broadcast(self, tensors: Sequence[Tensor]) -> None:
        """Give every process the tensors of rank 0, of the same shapes and types in each, in one message."""
        if self.size == 1 or not tensors:
            return
        import torch

        with torch.no_grad(), self._connected() as distributed:
            message = torch.cat([tensor.reshape(-1).view(torch.uint8) for tensor in tensors])
            distributed.broadcast(message, 0)
            sizes = [tensor.numel() * tensor.element_size() for tensor in tensors]
            for tensor, part in zip(tensors, torch.split(message, sizes), strict=True):
                tensor.copy_(part.clone().view(tensor.dtype).view(tensor.shape))  # the clone is aligned

    @contextmanager
    def together(self) -> Iterator[None]:
        """A block that all processes end well, or all with the `InputError` of the first that failed."""
        error: InputError | None = None
        try:
            yield
        except InputError as found:
            error = found
        errors: list[InputError | None] = [error]
        if self.size > 1:
            errors *= self.size
            with self._connected() as distributed:
                distributed.all_gather_object(errors, error)
        for failure in errors:
            if failure is not None:
                raise failure

    @contextmanager
    def _connected(self) -> Iterator[ModuleType]:
        import torch
        import torch.distributed

        try:
            if not torch.distributed.is_initialized():
                backend = "gloo"
                if torch.cuda.is_available() and torch.distributed.is_nccl_available():
                    torch.cuda.set_device(self.local_rank % torch.cuda.device_count())
                    backend = "cpu:gloo,cuda:nccl"
                torch.distributed.init_process_group(backend, timeout=_PATIENCE)
                atexit.register(torch.distributed.destroy_process_group)
            yield torch.distributed
        except ValueError as error:
            raise InputError(
                Code.ENVIRONMENT, f"processes cannot be joined ({error}); start them with torchrun"
            ) from None
        except RuntimeError as error:
            raise ProcessLost(f"another of the {self.size} processes has stopped") from error


#: One process that works for itself.
ALONE = World()


def world() -> World:
    """This process among those of torchrun.

    Raises:
        InputError: RANK and WORLD_SIZE do not fit together.
    """
    names = ("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_RANK", "0")
    try:
        found = World(*(int(os.environ.get(name, default)) for name, default in names))
    except ValueError:
        raise InputError(
            Code.ENVIRONMENT, "environment variables RANK, WORLD_SIZE and LOCAL_RANK are no whole numbers"
        ) from None
    if not 0 <= found.rank < found.size:
        raise InputError(
            Code.ENVIRONMENT, f"environment variables RANK={found.rank} and WORLD_SIZE={found.size} do not fit together"
        )
    return found
