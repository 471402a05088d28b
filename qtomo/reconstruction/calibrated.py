"""Intervals that cover near the boundary of states too: tests of every value, inverted, with simulated distributions.

A number g0 belongs to the interval of a quantity unless the fit's value of it is too high or too low for g0. What is
too high is learnt from data sets like the one at hand, drawn from the likeliest state whose quantity is g0, and fitted
by the same method: bias and skewness of the fit, as they are near pure states, are in the comparison. This is the test
inversion of the bootstrap (Carpenter 1999, J. R. Statist. Soc. B 61, 159; hybrid resampling in Chuang and Lai 2000,
Statistica Sinica 10, 1). How often such intervals cover is measured by `benchmarks/intervals.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from qtomo.reconstruction.frequencies import Frequencies
from qtomo.reconstruction.functionals import Functional
from qtomo.reconstruction.maximum_likelihood import Tie, maximum_likelihood_each
from qtomo.reconstruction.shadows import direct_expectation
from qtomo.seeds import stream

__all__ = ["LARGEST_CALIBRATED", "Fits", "calibrated_interval"]

Matrix = NDArray[np.complex128]
Reals = NDArray[np.float64]
#: States (batch, 2**N, 2**N) of data sets by a method, each search started at the state that it was drawn from.
Fits = Callable[[Sequence[Frequencies], Matrix], Matrix]

#: Qubits up to which intervals are calibrated; more take too long.
LARGEST_CALIBRATED = 4

_DRAWS = 50  # data sets of each tested value
_STEPS = (1.6, 2.8)  # standard errors from the centre, where values are tested at first
_ROUNDS = 4  # of going further out, twice as far each time
_STIFFNESS = 50.0  # of the tie, in units of the standard error: tested values end within a fiftieth of what is aimed at
_GAP, _ITERATIONS = 0.02, 300  # nats at which the search for a tested state ends
_NEAR = 0.25  # standard errors from what is possible at which a test stands for the end itself


@dataclass(frozen=True, eq=False)
class _Tested:
    """A tested value and the values of fits to data sets drawn from its state, ascending."""

    number: float
    drawn: Reals


def calibrated_interval(
    functional: Functional,
    value: float,
    frequencies: Frequencies,
    likeliest: Matrix,
    fits: Fits,
    *,
    drawn: Reals,
    level: float,
    seed: int,
) -> tuple[float, float]:
    """The ends of the interval of a quantity.

    Args:
        functional: the quantity.
        value: of the method's fit to the records.
        frequencies: the records.
        likeliest: their state of maximum likelihood (2**N, 2**N).
        fits: the method.
        drawn: values of fits to data sets drawn from the likeliest state.
        level: confidence of the interval.
        seed: of the data sets.
    """
    quantity = functional.quantity
    start = _Tested(float(functional.value(likeliest[None])[0]), np.sort(drawn))
    centre = float(np.clip(value - (drawn.mean() - start.number), quantity.low, quantity.high))
    linear = direct_expectation(frequencies, functional.slope(likeliest[None])[0], level).standard_error
    scale = max(float(drawn.std()), min(linear, quantity.high - quantity.low) / 2)
    tested = [start]
    wanted = centre + scale * np.array([-step for step in _STEPS] + list(_STEPS))
    draw = frequencies.tables_drawn()
    for index in range(_ROUNDS):
        wanted = np.unique(wanted.clip(quantity.low, quantity.high))
        tie = Tie(functional.value, functional.slope, wanted, _STIFFNESS / scale**2)
        states = np.stack(
            [
                fit.matrix
                for fit in maximum_likelihood_each([frequencies] * len(wanted), likeliest, _GAP, _ITERATIONS, tie=tie)
            ]
        )
        probabilities = frequencies.probabilities(states)
        generator = stream(seed, f"calibrated {quantity.kind.value}", index)
        tables = np.concatenate([draw(chances, generator, _DRAWS) for chances in probabilities])
        sets = [replace(frequencies, counts=counts) for counts in tables]
        values = functional.value(fits(sets, np.repeat(states, _DRAWS, axis=0))).reshape(len(states), _DRAWS)
        numbers = functional.value(states)
        tested += [_Tested(float(g), np.sort(row)) for g, row in zip(numbers, values, strict=True)]
        tested.sort(key=lambda one: one.number)
        low, high = (_end(tested, value, (1 + sign * level) / 2) for sign in (1, -1))
        reach = 2.0**index * scale * np.array([1.5, 3.0])
        further = []
        if low is None and tested[0].number > quantity.low + _NEAR * scale:
            further.append(tested[0].number - reach)
        if high is None and tested[-1].number < quantity.high - _NEAR * scale:
            further.append(tested[-1].number + reach)
        if not further:
            break
        wanted = np.concatenate(further)
    return quantity.low if low is None else low, quantity.high if high is None else high


def _end(tested: Sequence[_Tested], value: float, share: float) -> float | None:
    """The number at which a share of the fits is below the value; None where no tested one is so far out.

    Quantiles are those of a number's own mean and standard deviation, and of the residuals of its neighbours and its
    own, so that they scatter less.
    """
    means, errors = (np.array([getattr(one.drawn, f)() for one in tested]) for f in ("mean", "std"))
    residuals = [(one.drawn - mean) / (error or 1.0) for one, mean, error in zip(tested, means, errors, strict=True)]
    spread = [
        np.quantile(np.concatenate(residuals[max(0, k - 1) : k + 2]), share, method="weibull")
        for k in range(len(tested))
    ]
    above = means + errors * np.array(spread) - value
    numbers = np.array([one.number for one in tested])
    if share > 0.5:
        above = np.maximum.accumulate(above)
        return None if above[0] >= 0 else float(np.interp(0.0, above, numbers))
    above = np.minimum.accumulate(above[::-1])[::-1]
    return None if above[-1] <= 0 else float(np.interp(0.0, above, numbers))
