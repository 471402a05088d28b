"""Intervals that hold what they promise, and numbers that print with their errors."""

import json
import math

import numpy as np
import pytest

from qtomo import Estimate
from qtomo.statistics.estimate import bounded_mean, exact, mean_of_moments, sample_mean

REPEATS = 2000


def coverage(make, truth: float) -> float:
    return float(np.mean([estimate.low <= truth <= estimate.high for estimate in map(make, range(REPEATS))]))


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_the_student_interval_covers_as_often_as_it_says(level):
    def make(seed: int) -> Estimate:
        return sample_mean(np.random.default_rng(seed).exponential(size=400), level)

    spread = math.sqrt(level * (1 - level) / REPEATS)
    assert coverage(make, 1.0) == pytest.approx(level, abs=5 * spread + 0.01)


def test_the_bernstein_interval_covers_rare_values_where_the_student_one_does_not():
    def rare(seed: int) -> np.ndarray:
        return (np.random.default_rng(seed).random(200) < 0.002).astype(float)

    assert coverage(lambda seed: bounded_mean(rare(seed)), 0.002) >= 0.95
    assert coverage(lambda seed: sample_mean(rare(seed)), 0.002) < 0.5


def test_bounded_mean_refuses_values_out_of_bounds():
    with pytest.raises(ValueError, match="expected all in"):
        bounded_mean([0.5, 1.5])
    assert bounded_mean([0.5]).to_dict()["standard_error"] == "Infinity"
    assert (bounded_mean([0.5]).low, bounded_mean([0.5]).high) == (0.0, 1.0)


def test_moments_give_the_same_as_values():
    values = np.random.default_rng(0).normal(size=50)
    same = mean_of_moments(values.mean(), values.var(ddof=1), 50, 0.9, "m")
    assert same == sample_mean(values, 0.9, "m")


def test_one_value_tells_nothing_of_its_error():
    estimate = sample_mean([3.0])
    assert estimate.standard_error == math.inf
    assert (estimate.low, estimate.high) == (-math.inf, math.inf)
    json.dumps(estimate.to_dict(), allow_nan=False)


def test_it_prints_its_error_to_two_figures():
    estimate = Estimate(0.123456, 0.00123, 0.121, 0.126, 0.95, 1000, "test")
    assert str(estimate) == "0.1235 ± 0.0012"
    assert estimate.interval() == "0.1235 [0.1210, 0.1260]"
    assert str(exact(0.5)) == "0.5"
    assert estimate.z_score(0.121) == pytest.approx((0.123456 - 0.121) / 0.00123)


def test_a_scaled_estimate_scales_all_of_it():
    estimate = sample_mean([1.0, 2.0, 4.0])
    assert estimate.scaled(3).to_dict() == pytest.approx(
        sample_mean([3.0, 6.0, 12.0]).to_dict() | {"method": estimate.method}
    )
