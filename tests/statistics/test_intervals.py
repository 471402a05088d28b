"""Intervals from a likelihood: against Clopper and Pearson, Poisson and the normal, and how often they cover."""

import math

import numpy as np
import pytest
from scipy import special, stats

from qtomo.statistics.evidence import clopper_pearson, likelihood_interval


def binomial(k, n):
    return lambda p: float(special.xlogy(k, p) + special.xlog1py(n - k, -p))


@pytest.mark.parametrize("level", [0.68, 0.95, 0.999])
def test_that_of_a_normal_is_its_own(level):
    low, high, error = likelihood_interval(lambda t: -0.5 * ((t - 3) / 0.1) ** 2, 3.0, (-10.0, 10.0), level)
    z = stats.norm.ppf((1 + level) / 2)
    assert error == pytest.approx(0.1, rel=1e-3)
    assert (low, high) == (pytest.approx(3 - 0.1 * z, abs=3e-3), pytest.approx(3 + 0.1 * z, abs=3e-3))


def test_a_factor_widens_it_about_the_best():
    plain = likelihood_interval(lambda t: -0.5 * ((t - 3) / 0.1) ** 2, 3.0, (-10.0, 10.0), 0.95)
    wide = likelihood_interval(lambda t: -0.5 * ((t - 3) / 0.1) ** 2, 3.0, (-10.0, 10.0), 0.95, widening=2.0)
    assert np.array(wide) - [3, 3, 0] == pytest.approx(2 * (np.array(plain) - [3, 3, 0]))
    ends = likelihood_interval(lambda t: -0.5 * ((t - 3) / 0.1) ** 2, 3.0, (2.9, 3.05), 0.95)
    assert ends[:2] == (2.9, 3.05)


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
@pytest.mark.parametrize("n", [1000, 10**5])
def test_that_of_no_event_is_poissons(level, n):
    """None of n: p is below -ln((1 - level)/2)/n, as the exact interval has it."""
    low, high, error = likelihood_interval(binomial(0, n), 0.0, (0.0, 1.0), level)
    assert low == 0
    assert high == pytest.approx(-math.log((1 - level) / 2) / n, rel=2e-2)
    assert high == pytest.approx(clopper_pearson(0, n, level)[1], rel=2e-2)
    assert error > 0


@pytest.mark.parametrize(("k", "n"), [(40, 1000), (500, 1000), (980, 1000), (30_000, 10**5)])
def test_that_of_many_events_is_clopper_and_pearsons(k, n):
    low, high, error = likelihood_interval(binomial(k, n), k / n, (0.0, 1.0), 0.95)
    width = math.sqrt(k * (n - k) / n**3)
    assert error == pytest.approx(width, rel=0.15)  # the fall to one side, which is not the other's
    assert (low, high) == pytest.approx(clopper_pearson(k, n, 0.95), abs=0.25 * width)


def test_what_the_records_say_nothing_of_has_all_that_is_possible():
    low, high, _ = likelihood_interval(lambda _t: 0.0, 0.3, (0.0, 1.0), 0.95)
    assert (low, high) == (0.0, 1.0)


def test_a_likelihood_that_ends_is_followed_to_its_end():
    """Uniform on [0, t] with ten values, the largest 0.8: t is below 0.8 alpha^(-1/10) by the threshold."""
    found = likelihood_interval(lambda t: -10 * math.log(t) if t >= 0.8 else -math.inf, 0.8, (0.5, 5.0), 0.95)
    assert found[0] == pytest.approx(0.8, abs=0.02)
    assert 0.85 < found[1] < 2


def mixture_chances(t, n_outcomes=6):
    """(1 - t) of a steep distribution and t of a flat one: as a share of noise in records."""
    steep = 0.5 ** np.arange(n_outcomes)
    steep[-2:] = 0
    return (1 - t) * steep / steep.sum() + t / n_outcomes


@pytest.mark.parametrize(("truth", "n"), [(0.0, 60), (0.02, 60), (0.05, 200), (0.2, 60), (0.6, 200), (1.0, 60)])
def test_it_covers_a_share_of_noise_at_any_number_of_events(truth, n):
    """1,000 data sets at 90 %, of down to one event in sixty records; at least as often as a binomial allows, at 1e-7,
    of a coverage of 88 %, for a likelihood ratio is not exact.
    """
    rng, covered = np.random.default_rng(11), 0
    grid = np.linspace(0, 1, 401)
    with np.errstate(divide="ignore"):
        logs = np.log(np.array([mixture_chances(t) for t in grid]))
    for counts in rng.multinomial(n, mixture_chances(truth), 1000):
        seen = counts > 0

        def curve(t, counts=counts, seen=seen):
            with np.errstate(divide="ignore"):
                return float(counts[seen] @ np.log(mixture_chances(t)[seen]))

        place = int(np.argmax(logs[:, seen] @ counts[seen]))
        low, high, _ = likelihood_interval(curve, float(grid[place]), (0.0, 1.0), 0.9)
        covered += low - 0.0025 <= truth <= high + 0.0025  # the grid's own error
    assert covered >= stats.binom.ppf(1e-7, 1000, 0.88)
