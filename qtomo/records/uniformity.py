"""Were the settings of shots drawn uniformly and independently? A test that takes them a block at a time.

What the bases should be, and where a design that is another shows:

- each basis as likely on a qubit: chi-square, 2 degrees of freedom, a qubit;
- neighbours independent: chi-square of their 3 x 3 table, 4 degrees, a pair;
- shot after shot independent: how often a qubit keeps its basis, binomial with 1/3, a qubit, and how often all do;
- as many different settings as there should be: pairs of shots with equal settings, n (n - 1)/2 of probability 3**-N,
  Poisson where settings are many, else chi-square over all 3**N of them, from both sides.

The smallest p-value times the number of tests (Bonferroni) is that of all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from qtomo.distribution import Outcomes

__all__ = ["LEVEL", "SettingTest", "Uniformity"]

#: A p-value below this calls a design listed: one in a thousand random designs is taken for a listed one.
LEVEL = 1e-3

_FEWEST = 30  # shots below which no test can tell


@dataclass(frozen=True)
class Uniformity:
    """Whether settings look uniformly and independently drawn.

    Args:
        p_value: of all tests together, Bonferroni.
        worst: the test with the smallest p-value, in words.
        n_settings: different settings among the shots.
        n_records: shots.
    """

    p_value: float
    worst: str
    n_settings: int
    n_records: int

    @property
    def is_random(self) -> bool:
        """Whether there is no sign of another design, in shots enough to show one."""
        return self.n_records >= _FEWEST and self.p_value >= LEVEL

    def describe(self) -> str:
        """One line: the verdict and what it depends on."""
        settings = f"{self.n_settings:,} settings in {self.n_records:,} shots"
        if self.n_records < _FEWEST:
            return f"{settings}, too few to tell random bases from a list"
        drawn = "may be uniform and independent" if self.is_random else "are not uniform and independent"
        return f"{settings}; bases {drawn}: p = {self.p_value:.3g} over all tests, smallest for {self.worst}"


class SettingTest:
    """Counts over blocks of settings, and the test of them.

    Args:
        n_sites: N.
    """

    def __init__(self, n_sites: int) -> None:
        self._n_sites = n_sites
        self._pairs = np.zeros((max(n_sites - 1, 0), 9), dtype=np.int64)
        self._sites = np.zeros((n_sites, 3), dtype=np.int64)
        self._kept = np.zeros(n_sites, dtype=np.int64)
        self._all_kept = 0
        self._last: Outcomes | None = None
        self._seen: list[tuple[NDArray[np.uint64], NDArray[np.int64]]] = []  # settings of each block, and how often
        weights = np.random.default_rng(0).integers(1, 2**63, n_sites, dtype=np.uint64)
        self._weights = weights | np.uint64(1)  # a linear hash of a setting; two of them agree with 2**-63

    def add(self, settings: Outcomes, times: NDArray[np.int64] | None = None) -> None:
        """Count a block, uint8 (rows, n_sites), that follows the last one; each row as often as `times` says."""
        if times is not None:
            settings, times = settings[times > 0], times[times > 0]
        if not len(settings):
            return
        for basis in range(3):
            self._sites[:, basis] += _sums(settings == basis, times)
        joint = 3 * settings[:, :-1] + settings[:, 1:]
        for pair in range(9):
            self._pairs[:, pair] += _sums(joint == pair, times)
        before = settings[:-1] if self._last is None else np.concatenate([self._last[None], settings[:-1]])
        kept = before == settings[len(settings) - len(before) :]
        within = 0 if times is None else int(times.sum()) - len(times)  # from a row to itself
        self._kept += kept.sum(axis=0) + within
        self._all_kept += int(kept.all(axis=1).sum()) + within
        self._last = settings[-1]
        hashes = (settings.astype(np.uint64) * self._weights).sum(axis=1, dtype=np.uint64)
        self._seen.append(_counted(hashes, np.ones(len(hashes), np.int64) if times is None else times))

    def result(self) -> Uniformity:
        """The test of all that was added."""
        n, sites = int(self._sites[0].sum()), self._n_sites
        _, repeats = _counted(*(np.concatenate(parts) for parts in zip(*self._seen, strict=True)))
        found: list[tuple[float, str]] = []
        if n > 1:
            of_sites = ((self._sites - n / 3) ** 2).sum(axis=1) / (n / 3)
            found += [(float(p), f"the bases of site {i}") for i, p in enumerate(stats.chi2.sf(of_sites, 2))]
            found += [(p, f"sites {i} and {i + 1} together") for i, p in enumerate(self._neighbours(n))]
            low, high = stats.binom.cdf(self._kept, n - 1, 1 / 3), stats.binom.sf(self._kept - 1, n - 1, 1 / 3)
            both = np.minimum(1.0, 2 * np.minimum(low, high))
            found += [(float(p), f"site {i} from shot to shot") for i, p in enumerate(both)]
            same = float(stats.binom.sf(self._all_kept - 1, n - 1, 3.0**-sites))
            found += [
                (same, "settings that stay from shot to shot"),
                (self._coincidences(n, repeats), "repeated settings"),
            ]
        p_value, worst = min(found, default=(1.0, "none"))
        return Uniformity(min(1.0, p_value * max(len(found), 1)), worst, len(repeats), n)

    def _neighbours(self, n: int) -> list[float]:
        tables = self._pairs.reshape(-1, 3, 3)
        expected = tables.sum(axis=2, keepdims=True) * tables.sum(axis=1, keepdims=True) / n
        terms = np.where(expected > 0, (tables - expected) ** 2 / np.where(expected > 0, expected, 1), 0.0)
        return [float(p) for p in stats.chi2.sf(terms.sum(axis=(1, 2)), 4)]

    def _coincidences(self, n: int, repeats: NDArray[np.int64]) -> float:
        pairs = float((repeats * (repeats - 1.0) / 2).sum())
        chance = 3.0**-self._n_sites
        if n * chance < 5:
            return float(stats.poisson.sf(pairs - 1, n * (n - 1) / 2 * chance))
        cells = 3**self._n_sites
        chi_square = (2 * pairs + n) * cells / n - n
        above = float(stats.chi2.sf(chi_square, cells - 1))
        if self._n_sites == 1:
            return above
        return min(1.0, 2 * min(above, float(stats.chi2.cdf(chi_square, cells - 1))))


def _sums(found: NDArray[np.bool_], times: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """How often each column holds, (columns,)."""
    sums: NDArray[np.int64] = found.sum(axis=0) if times is None else times @ found
    return sums


def _counted(hashes: NDArray[np.uint64], times: NDArray[np.int64]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """The different ones among some, and how often each is there."""
    different, inverse = np.unique(hashes, return_inverse=True)
    found = np.zeros(len(different), np.int64)
    np.add.at(found, inverse, times)
    return different, found
