"""Intervals by the parametric bootstrap: data sets like the one at hand are drawn from a state and fitted anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from qtomo.reconstruction.frequencies import Frequencies
from qtomo.reconstruction.options import Options
from qtomo.reconstruction.quantities import Quantity
from qtomo.seeds import stream
from qtomo.statistics.estimate import Estimate

__all__ = ["bootstrap", "reflected"]

Matrix = NDArray[np.complex128]
Values = dict[Quantity, float]
_CELLS = 2**19  # of the tables of outcome strings that are in memory at once


def bootstrap(
    frequencies: Frequencies,
    truth: Matrix,
    refits: Callable[[Sequence[Frequencies]], list[Values]],
    options: Options,
) -> dict[Quantity, NDArray[np.float64]]:
    """Quantities of data sets drawn from `truth`: as many records in each setting, with the same outcomes lost.

    So shots that share a setting stay together, whether settings were random or listed. `refits` takes several data
    sets at once; each quantity comes as (resamples,). Data set b depends on the seed and b alone.
    """
    draw = frequencies.resampler()
    probabilities = frequencies.probabilities(truth)
    together = max(1, min(options.resamples, _CELLS // frequencies.counts.size))
    rows: list[Values] = []
    for first in range(0, options.resamples, together):
        batch = range(first, min(first + together, options.resamples))
        rows += refits([draw(probabilities, stream(options.seed, "reconstruct bootstrap", b)) for b in batch])
        options.progress.update(len(rows), options.resamples)
    return {quantity: np.array([row[quantity] for row in rows]) for quantity in rows[0]}


def reflected(
    value: float,
    resampled: NDArray[np.float64],
    truth: float,
    quantity: Quantity,
    *,
    level: float,
    n_records: int,
    method: str,
) -> Estimate:
    """The basic interval: resampled errors, resampled - truth, are subtracted from the value.

    It corrects a bias of the fit, as a percentile interval does not, and is cut at the quantity's bounds (Davison and
    Hinkley 1997, 5.2). One that is cut spans the percentile interval as well: cut at a value on the bound, as of a fit
    that is its own target, nothing would be left of it.
    """
    low, high = np.quantile(resampled - truth, [(1 - level) / 2, (1 + level) / 2])
    ends = [value - high, value - low]
    if ends[0] < quantity.low or ends[1] > quantity.high:
        ends = [min(ends[0], value + low), max(ends[1], value + high)]
    ends = np.clip(ends, quantity.low, quantity.high)
    # Where the fit is biased, its own value lies outside: the interval is widened to it, and covers the more.
    bottom, top = min(float(ends[0]), value), max(float(ends[1]), value)
    return Estimate(value, float(resampled.std(ddof=1)), bottom, top, level, n_records, method)
