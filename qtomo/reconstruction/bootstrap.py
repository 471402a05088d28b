"""Intervals by the parametric bootstrap: data sets like the one at hand are drawn from a state and estimated anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from qtomo.reconstruction.frequencies import Frequencies
from qtomo.seeds import stream
from qtomo.statistics.estimate import Estimate

__all__ = ["bootstrap", "reflected"]

Matrix = NDArray[np.complex128]
Numbers = dict[str, float]
_CELLS = 2**19  # of the tables of outcome strings that are worked on at once

Progress = Callable[[int, int], None]


def bootstrap(
    frequencies: Frequencies,
    truth: Matrix,
    numbers: Callable[[Sequence[Frequencies]], list[Numbers]],
    resamples: int,
    seed: int,
    progress: Progress | None = None,
) -> dict[str, NDArray[np.float64]]:
    """Numbers of data sets drawn from `truth`: as many records in each setting, with the same outcomes lost.

    So shots that share a setting stay together, whether settings were drawn or chosen. `numbers` takes several data
    sets at once; each of the numbers comes as (resamples,). Data set b depends on the seed and b alone.
    """
    draw = frequencies.resampler()
    chances = frequencies.probabilities(truth)
    together = max(1, min(resamples, _CELLS // frequencies.counts.size))
    found: list[Numbers] = []
    for first in range(0, resamples, together):
        batch = range(first, min(first + together, resamples))
        found += numbers([draw(chances, stream(seed, "reconstruct bootstrap", index)) for index in batch])
        if progress:
            progress(len(found), resamples)
    return {name: np.array([row[name] for row in found]) for name in found[0]}


def reflected(
    value: float,
    truth: float,
    resampled: NDArray[np.float64],
    level: float,
    n_records: int,
    bounds: tuple[float, float],
    what: str,
) -> Estimate:
    """The basic interval: resampled errors, estimate - truth, are taken off the value (Davison and Hinkley 1997, 5.2).

    It undoes a bias of the fit, as a percentile interval does not, and is cut at the bounds of the quantity.
    """
    low, high = np.quantile(resampled - truth, [(1 - level) / 2, (1 + level) / 2])
    ends = np.clip([value - high, value - low], *bounds)
    method = f"{what}, basic parametric bootstrap of {len(resampled)}"
    return Estimate(value, float(resampled.std(ddof=1)), float(ends[0]), float(ends[1]), level, n_records, method)
