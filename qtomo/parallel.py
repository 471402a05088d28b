"""Where work is done: on which device, and which of several processes this one is."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch

from qtomo.errors import InputError

__all__ = ["World", "pick_device", "world"]


def pick_device(name: str, option: str = "device") -> torch.device:
    """The device a setting names: `auto` is a GPU where there is one.

    Raises:
        InputError: an unknown name, or a GPU is asked for and there is none.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise InputError(f"{option} = '{name}', expected auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError(f"{option} = 'cuda': no CUDA device on this machine")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


@dataclass(frozen=True)
class World:
    """The processes that work together, as torchrun starts them; one process alone is rank 0 of 1."""

    rank: int = 0
    size: int = 1

    def wait(self) -> None:
        """Until every process has come here."""
        if self.size == 1:
            return
        import torch.distributed

        if not torch.distributed.is_initialized():
            torch.distributed.init_process_group("gloo")
        torch.distributed.barrier()


def world() -> World:
    """This process among those of torchrun.

    Raises:
        InputError: RANK and WORLD_SIZE do not fit together.
    """
    try:
        found = World(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))
    except ValueError:
        raise InputError("environment variables RANK and WORLD_SIZE are no whole numbers") from None
    if not 0 <= found.rank < found.size:
        raise InputError(f"environment variables RANK={found.rank} and WORLD_SIZE={found.size} do not fit together")
    return found
