"""A number that comes from samples, with all that must be said about it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from qtomo.results import Real, plain

__all__ = ["Estimate", "Guarantee", "bounded_mean", "exact", "mean_of_moments", "plus_minus", "sample_mean"]

_ROUNDING = 1e-9  # by which a value may leave its interval, of the larger of it and one

#: What an interval can claim: coverage at any number of records, in the limit of many, or if a model is right.
Guarantee = Literal["finite-sample", "asymptotic", "model"]


@dataclass(frozen=True)
class Estimate:
    """An estimated value with its error.

    Args:
        value: the estimate.
        standard_error: its standard error; 0 for an exact value.
        low: lower end of the confidence interval.
        high: upper end of the confidence interval.
        level: confidence level of the interval, such as 0.95.
        n_records: number of records it is made from; 0 for an exact value.
        method: how value and interval were made.
        guarantee: what the interval can claim.
        carried_by: the number of records that carry half of its variance, where that was asked.

    Raises:
        ValueError: a value outside its interval, a level outside (0, 1], or a negative error or count.

    >>> print(Estimate(0.5, 0.01, 0.48, 0.52, 0.95, 1000, "mean"))
    0.500 ± 0.010
    """

    value: Real
    standard_error: Real
    low: Real
    high: Real
    level: float
    n_records: int
    method: str
    guarantee: Guarantee = "asymptotic"
    carried_by: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.level <= 1:
            raise ValueError(f"level is {self.level:g}, expected more than 0 and at most 1")
        slack = _ROUNDING * max(1.0, abs(self.value)) if math.isfinite(self.value) else 0.0
        if self.low > self.value + slack or self.high < self.value - slack:
            raise ValueError(f"value {self.value:g} outside its interval [{self.low:g}, {self.high:g}]")
        if self.standard_error < 0:
            raise ValueError(f"standard_error is {self.standard_error:g}, expected none below 0")
        if self.n_records < 0:
            raise ValueError(f"n_records is {self.n_records}, expected none below 0")

    def __str__(self) -> str:
        if self.n_records == 0 and math.isfinite(self.value):
            return f"{self.value:.6g}"
        return plus_minus(self.value, self.standard_error)

    def interval(self) -> str:
        """The value with its interval, as 0.9973 [0.9965, 0.9981]."""
        if math.isinf(self.value):
            return plus_minus(self.value, self.standard_error)
        digits = _digits(max(self.high - self.low, 0.0) / 4)
        return f"{self.value:.{digits}f} [{self.low:.{digits}f}, {self.high:.{digits}f}]"

    def to_dict(self) -> dict[str, Any]:
        """All fields, as plain values for JSON."""
        return plain(self)

    def z_score(self, truth: float) -> float:
        """Standard errors by which the estimate lies above the truth."""
        if self.standard_error > 0:
            return (self.value - truth) / self.standard_error
        return 0.0 if self.value == truth else math.copysign(math.inf, self.value - truth)

    def within(self, low: float, high: float) -> Estimate:
        """The estimate of a quantity that is known to lie between two numbers."""
        value, bottom, top = (min(max(x, low), high) for x in (self.value, self.low, self.high))
        return replace(self, value=value, low=bottom, high=top)

    def scaled(self, factor: float) -> Estimate:
        """The estimate of `factor` times the quantity, for a positive factor."""
        return replace(
            self,
            value=factor * self.value,
            standard_error=factor * self.standard_error,
            low=factor * self.low,
            high=factor * self.high,
        )

    def widened(self, error: float) -> Estimate:
        """The same with an independent standard error added, the interval in proportion."""
        if error == 0:
            return self
        total = math.hypot(self.standard_error, error)
        factor = total / self.standard_error
        return replace(
            self,
            standard_error=total,
            low=self.value - factor * (self.value - self.low),
            high=self.value + factor * (self.high - self.value),
        )


def plus_minus(value: float, standard_error: float) -> str:
    """The value with its standard error, which is shown to two figures; ∞ where there is none."""
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    digits = _digits(standard_error)
    return f"{value:.{digits}f} ± {standard_error:.{digits}f}"


def exact(value: float, method: str = "exact") -> Estimate:
    """A value without sampling error."""
    return Estimate(float(value), 0.0, float(value), float(value), 1.0, 0, method)


def sample_mean(values: ArrayLike, level: float = 0.95, method: str = "mean, Student interval") -> Estimate:
    """The mean of independent values, with the studentised interval.

    The interval holds asymptotically: take it from about a hundred values on, from ten thousand where
    their distribution has long tails. The mean is infinite where a value is.
    """
    array = np.asarray(values, dtype=np.float64)
    if np.isinf(array).any():
        return Estimate(float(array.mean()), math.inf, -math.inf, math.inf, level, array.size, f"{method}; infinite")
    variance = float(array.var(ddof=1)) if array.size > 1 else math.inf
    return mean_of_moments(float(array.mean()), variance, array.size, level, method)


def mean_of_moments(mean: float, variance: float, n: int, level: float, method: str) -> Estimate:
    """As `sample_mean`, from the mean and the (unbiased) variance of `n` independent values."""
    error = math.sqrt(variance / n)
    from scipy import special  # here, so that what needs no interval starts sooner

    reach = float(special.stdtrit(n - 1, (1 + level) / 2)) * error if n > 1 else math.inf
    return Estimate(mean, error, mean - reach, mean + reach, level, n, method)


def bounded_mean(
    values: ArrayLike, level: float = 0.95, method: str = "mean, empirical Bernstein interval", n_records: int = 0
) -> Estimate:
    """The mean of independent values in [0, 1], with an interval that holds for any distribution and n.

    Empirical Bernstein, two-sided (Maurer and Pontil 2009, arXiv 0907.3740, theorem 4): with probability
    at least `level`, the mean is within sqrt(2 v l / n) + 7 l / (3 (n - 1)), l = ln(4 / (1 - level)).

    Raises:
        ValueError: a value outside [0, 1].
    """
    array = np.asarray(values, dtype=np.float64)
    if array.size and not (array.min() >= 0 and array.max() <= 1 + 1e-12):
        raise ValueError(f"values from {array.min()} to {array.max()}, expected all in [0, 1]")
    n = array.size
    mean = float(array.mean())
    if n < 2:
        return Estimate(mean, math.inf, 0.0, 1.0, level, n_records or n, method, "finite-sample")
    variance = float(array.var(ddof=1))
    log_term = math.log(4 / (1 - level))
    reach = math.sqrt(2 * variance * log_term / n) + 7 * log_term / (3 * (n - 1))
    low, high = max(0.0, mean - reach), min(1.0, mean + reach)
    return Estimate(mean, math.sqrt(variance / n), low, high, level, n_records or n, method, "finite-sample")


def _digits(error: float) -> int:
    """Decimals that show an error to two figures."""
    if not math.isfinite(error) or error <= 0:
        return 6
    return max(0, min(12, 1 - math.floor(math.log10(error))))
