"""Intervals that cover near the boundary of states too: tests of every value, inverted, with simulated distributions.

A number g0 belongs to the interval of a quantity unless its estimate from the records is too high or too low for g0.
What is too high is learnt from data sets like the one at hand, drawn from the likeliest state whose quantity is g0: a
distribution that is skewed or discrete, as they are near pure states, is taken as it is. The estimate is one without
bias, so that little hangs on what else that state is. This is the test inversion of the bootstrap (Carpenter 1999,
J. R. Statist. Soc. B 61, 159; hybrid resampling in Chuang and Lai 2000, Statistica Sinica 10, 1). How often such
intervals cover is measured by `benchmarks/intervals.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qtomo.reconstruction.frequencies import Frequencies
from qtomo.reconstruction.functionals import Functional
from qtomo.reconstruction.maximum_likelihood import Tie, maximum_likelihood_each
from qtomo.reconstruction.quantities import Quantity
from qtomo.seeds import stream

__all__ = ["LARGEST_CALIBRATED", "calibrated_interval", "entropy_range"]

Matrix = NDArray[np.complex128]
Reals = NDArray[np.float64]

#: Qubits up to which intervals are calibrated; more take too long.
LARGEST_CALIBRATED = 5

_DRAWS = 400  # data sets of each tested value
_STEPS = (1.0, 1.7, 2.4, 3.2)  # standard errors from the estimate, where values are tested at first
_ROUNDS = 4  # of going further out, twice as far each time
_LEAST = 1e-3  # standard error at least, so that numbers near a certain one are tested
_STIFFNESS = 50.0  # of the tie, in units of the standard error: tested values end within a fiftieth of what is aimed at
_GAP, _ITERATIONS = 0.02, 300  # nats at which the search for a tested state ends
_INNER = 0.3  # share of data sets beyond the estimate, above which a tested number says little of an end
_NEWTON = 30  # steps
_NEAR = 0.25  # standard errors from what is possible at which a test stands for the end itself


@dataclass(frozen=True, eq=False)
class _Tested:
    """A tested value, and the estimates from data sets drawn from its state."""

    number: float
    drawn: Reals


def calibrated_interval(
    functional: Functional, frequencies: Frequencies, likeliest: Matrix, *, level: float, seed: int
) -> tuple[float, float]:
    """The ends of the interval of a quantity.

    Args:
        functional: the quantity.
        frequencies: the records.
        likeliest: their state of maximum likelihood (2**N, 2**N).
        level: confidence of the interval.
        seed: of the data sets.
    """
    quantity = functional.quantity
    estimate = float(functional.statistic(frequencies.counts[None])[0])
    draw = frequencies.tables_drawn()

    def tests(states: Matrix, index: int) -> list[_Tested]:
        generator = stream(seed, f"calibrated {quantity.kind.value}", index)
        chances, numbers = frequencies.probabilities(states), functional.value(states).tolist()
        return [
            _Tested(number, functional.statistic(draw(p, generator, _DRAWS)))
            for number, p in zip(numbers, chances, strict=True)
        ]

    tested = tests(likeliest[None], 0)
    scale = max(float(tested[0].drawn.std()), _LEAST)
    centre = min(max(estimate, quantity.low), quantity.high)
    wanted = centre + scale * np.array([-step for step in _STEPS] + list(_STEPS))
    for index in range(1, _ROUNDS + 1):
        numbers = np.unique(wanted.clip(quantity.low, quantity.high))
        tie = Tie(functional.value, functional.slope, numbers, _STIFFNESS / scale**2)
        fits = maximum_likelihood_each([frequencies] * len(numbers), likeliest, _GAP, _ITERATIONS, tie=tie)
        tested += tests(np.stack([fit.matrix for fit in fits]), index)
        ends = [_end(tested, estimate, (1 - level) / 2, outward, scale / 2) for outward in (-1, 1)]
        wanted = _further(tested, ends, quantity, scale, 2.0**index)
        if not len(wanted):
            break
    bounds = quantity.low, quantity.high
    low, high = (bound if end is None else end for bound, end in zip(bounds, ends, strict=True))
    return min(max(low, quantity.low), quantity.high), min(max(high, quantity.low), quantity.high)


def _further(
    tested: Sequence[_Tested], ends: Sequence[float | None], quantity: Quantity, scale: float, times: float
) -> Reals:
    """Numbers to test beyond the outermost, on a side whose end is not found, up to what is possible."""
    wanted: list[float] = []
    for outward, end, bound in zip((-1, 1), ends, (quantity.low, quantity.high), strict=True):
        outermost = max(outward * one.number for one in tested)
        if end is None and outermost < outward * bound - _NEAR * scale:
            wanted += [outward * (outermost + step * times * scale) for step in (0.75, 1.5)]
    return np.array(wanted)


def _end(tested: Sequence[_Tested], value: float, tail: float, outward: int, reach: float) -> float | None:
    """The number of which a share `tail` of estimates is as far inward as the value; None where none is tested so far.

    Args:
        tested: the tested numbers.
        value: the estimate from the records.
        tail: the share.
        outward: -1 for the lower end, where estimates of at least the value count, 1 for the upper.
        reach: how far beyond the outermost tested number the end may lie.
    """
    ordered = sorted(tested, key=lambda one: outward * one.number)
    hits = np.array([((value - one.drawn) * outward >= 0).sum() for one in ordered])
    draws = np.array([len(one.drawn) for one in ordered])
    first = 1 + max([-1, *np.flatnonzero(hits > _INNER * draws)])
    if first and (first == len(hits) or hits[first] <= tail * draws[first]):
        first -= 1  # the end lies between it and the next
    numbers = np.array([outward * one.number for one in ordered])[first:]
    at, slope = _logistic((numbers - numbers[0]) / reach, hits[first:], draws[first:])
    if slope >= 0:
        return None
    end = numbers[0] + reach * (np.log(tail / (1 - tail)) - at) / slope
    return None if end > numbers[-1] + reach else float(outward * end)


def _logistic(x: Reals, hits: Reals, draws: Reals) -> tuple[float, float]:
    """ln p/(1-p) = a + b x by maximum likelihood, half a hit and half a miss added per x (a weak prior): a, b."""
    hits, draws = hits + 0.5, draws + 1.0
    design = np.stack([np.ones_like(x), x], axis=1)
    found = np.zeros(2)
    for _ in range(_NEWTON):
        shares = 1 / (1 + np.exp(-(design @ found).clip(-30, 30)))
        weights = draws * shares * (1 - shares)
        slope = design.T @ (hits - draws * shares)
        found = found + np.linalg.lstsq(design.T * weights @ design, slope, rcond=1e-12)[0].clip(-3, 3)
    return float(found[0]), float(found[1])


def entropy_range(low: float, high: float, n_sites: int) -> tuple[float, float]:
    """The least and the largest von Neumann entropy in nats of states of a purity from `low` to `high`.

    No entropy is below -ln of the purity, Renyi's of order 2; of one purity the largest is that of a pure state with
    white noise, whose smaller eigenvalues are alike.
    """
    d = 2**n_sites
    noise = 1 - math.sqrt(max(0.0, (low - 1 / d) / (1 - 1 / d)))
    values = np.array([1 - noise + noise / d, *[noise / d] * (d - 1)])
    values = values[values > 0]
    return max(0.0, -math.log(high)), float(-(values * np.log(values)).sum())
