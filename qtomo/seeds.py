"""Random streams: every random number is a function of (seed, purpose, index).

Streams of different purposes never overlap, so training order, simulation and evaluation may share
one seed. A block of work that is done again, elsewhere or by another process, draws the same numbers.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

__all__ = ["stream", "torch_generator"]


def stream(seed: int, purpose: str, index: int = 0) -> np.random.Generator:
    """The random generator of block `index` of the stream `purpose` under `seed` (not negative)."""
    entropy = [seed, zlib.crc32(purpose.encode()), index]
    return np.random.Generator(np.random.PCG64DXSM(np.random.SeedSequence(entropy)))


def torch_generator(generator: np.random.Generator, device: str | torch.device = "cpu") -> torch.Generator:
    """A torch generator on `device`, seeded by the next number of a NumPy one."""
    import torch

    return torch.Generator(device).manual_seed(int(generator.integers(2**63)))
