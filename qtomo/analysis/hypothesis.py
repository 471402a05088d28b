"""Tests of records against an exact law, each with a p-value that holds, and Holm's correction over them.

Two kinds. A score test compares the mean score of a fault with its law in the target: exact mean zero, variance and
skewness from exact records, so that its p-value is right from some hundred records on. A likelihood ratio E = Q/P of
the records under a fixed alternative, averaged over sites and strengths, has mean 1 in the target: 1/E is a p-value at
any number of records (Markov; Wasserman, Ramdas, Balakrishnan 2020, arXiv 1912.11436).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats

from qtomo.analysis.estimate import Estimate
from qtomo.analysis.faults import Scores
from qtomo.distribution import Outcomes

__all__ = [
    "LINEAR",
    "Test",
    "drift",
    "fault_at_a_site",
    "fault_everywhere",
    "forbidden",
    "goodness_of_fit",
    "holm",
    "relabelled",
    "shifted_parameter",
    "split_likelihood_ratio",
]

Reals = NDArray[np.float64]

#: Local faults whose likelihood is linear in their strength, and so 1 + t s at one site.
LINEAR = ("depolarizing", "dephasing", "one read as zero")

#: Strengths that are averaged over where a site's fault is looked for.
_STRENGTHS = np.array([0.02, 0.05, 0.1, 0.2, 0.5, 1.0])
_FLOOR = 1e-3
_DRIFT_BLOCKS = 40
_PERMUTATIONS = 19_999
_PLENTY = 100  # permutations as extreme that are enough to say that p is far from any level of interest


@dataclass(frozen=True)
class Test:
    """What one test found.

    Args:
        name: what is tested for.
        p_value: probability, in the target, of what was found or worse.
        evidence: logarithm of the likelihood ratio for the fault, in nats, less that of the number of places it was
            looked for in; 0 where the test names no fault.
        statistic: in words.
        place: where the fault is, if anywhere: a site, a bond, a row.
        size: the fitted strength.
        fault: whether the name is that of a fault, and may be the verdict's first.
        adjusted: p-value after Holm's correction over all tests of a verification.
    """

    __test__ = False  # not one of pytest's

    name: str
    p_value: float
    evidence: float
    statistic: str
    place: str = ""
    size: Estimate | None = None
    fault: bool = True
    adjusted: float = math.nan

    def to_dict(self) -> dict[str, Any]:
        """All fields, as plain values for JSON."""
        return {
            "name": self.name,
            "p_value": self.p_value,
            "adjusted_p_value": self.adjusted,
            "evidence_nats": self.evidence if math.isfinite(self.evidence) else None,
            "statistic": self.statistic,
            "place": self.place,
            "size": self.size.to_dict() if self.size else None,
            "names_a_fault": self.fault,
        }


def holm(tests: Sequence[Test]) -> list[Test]:
    """The tests with p-values adjusted so that all hold together at any level (Holm 1979), smallest first."""
    ordered = sorted(tests, key=lambda test: test.p_value)
    found, largest = [], 0.0
    for rank, test in enumerate(ordered):
        largest = max(largest, min(1.0, (len(ordered) - rank) * test.p_value))
        found.append(replace(test, adjusted=largest))
    return found


def goodness_of_fit(data: Scores, reference: Scores) -> Test:
    """The mean of ln P over the records against that over exact ones, two-sided.

    Blind to faults that leave the mean of ln P as it is.
    """
    allowed = data.log_prob[np.isfinite(data.log_prob)]
    exact = reference.log_prob[np.isfinite(reference.log_prob)]
    z = _z(allowed, exact, exact.mean()) if len(allowed) else 0.0
    return Test("ln P as in the target", _two_sided(z), 0.0, f"z = {z:+.2f}", fault=False)


def forbidden(data: Scores) -> Test:
    """Records whose probability in the target is zero: one is enough."""
    rows = np.flatnonzero(np.isneginf(data.log_prob))
    place = f"row {rows[0]} first" if len(rows) else ""
    return Test("no forbidden record", 0.0 if len(rows) else 1.0, 0.0, f"{len(rows)} of them", place=place, fault=False)


def fault_everywhere(name: str, data: Scores, reference: Scores, level: float) -> Test:
    """Score test for a local fault of equal strength on every qubit, one-sided."""
    scores, exact = data.sites[name].sum(axis=1), reference.sites[name].sum(axis=1)
    z = _z(scores, exact, 0.0)
    size, gain = _fitted(scores, level, (0.0, 1.0), _FLOOR)
    return Test(f"{name} on every qubit", float(stats.norm.sf(z)), gain, f"z = {z:+.2f}", size=size)


def shifted_parameter(name: str, data: Scores, reference: Scores, level: float) -> Test:
    """Score test for a parameter of the Hamiltonian that is off by a share of itself, two-sided."""
    scores, exact = data.shifts[name], reference.shifts[name]
    z = _z(scores, exact, exact.mean())
    size, gain = _fitted(scores - exact.mean(), level, (-0.5, 0.5), _FLOOR)
    return Test(f"{name} off", _two_sided(z), gain, f"z = {z:+.2f}", size=size)


def fault_at_a_site(name: str, data: Scores, reference: Scores, level: float) -> Test:
    """A local fault of any strength on one qubit, whichever.

    Linear faults by their likelihood ratio averaged over sites and strengths, valid at any number of records; others
    by the largest score of a site (Bonferroni).
    """
    scores = data.sites[name]
    n_sites = scores.shape[1]
    if name not in LINEAR:
        z = np.array([_z(scores[:, site], reference.sites[name][:, site], 0.0) for site in range(n_sites)])
        site = int(z.argmax())
        size, gain = _fitted(scores[:, site], level, (0.0, 1.0), _FLOOR)
        p_value = min(1.0, n_sites * float(stats.norm.sf(z[site])))
        evidence = gain - math.log(n_sites)
        text = f"z = {z[site]:+.2f}"
        return Test(f"{name} on one qubit", p_value, evidence, text, place=f"qubit {site}", size=size)
    logs = np.stack([_log_ratio(scores, strength) for strength in _STRENGTHS])  # (strengths, sites)
    site = int(special.logsumexp(logs, axis=0).argmax())
    size, best = _fitted(scores[:, site], level, (0.0, 1.0), 0.0)
    log_e = float(special.logsumexp(logs)) - math.log(logs.size)
    dead = name == "depolarizing" and size.high >= 1 and size.value > 0.5
    return Test(
        f"{name} on one qubit",
        _markov(log_e),
        best - math.log(n_sites),
        f"ln E = {log_e:.1f}",
        place=f"qubit {site}" + (", dead" if dead else ""),
        size=size,
    )


def relabelled(name: str, data: Scores) -> Test:
    """Qubits exchanged or bases called by another's name, by the likelihood ratio averaged over all such variants."""
    logs = data.moved[name].sum(axis=0)
    log_e = float(special.logsumexp(logs)) - math.log(len(logs)) if np.isfinite(logs).any() else -math.inf
    best = int(np.argmax(logs))
    evidence = float(logs[best]) - math.log(len(logs))
    return Test(name, _markov(log_e), evidence, f"ln E = {log_e:.1f}", place=data.variants[name][best])


def split_likelihood_ratio(log_ratios: Sequence[Reals], name: str) -> Test:
    """Any difference that a model learned: ln q/P of each half under the model of the other half.

    The mean of both ratios is at most 1 on average in the target, whatever was learned (arXiv 1912.11436, eq. 5).
    """
    totals = np.array([float(ratio.sum()) for ratio in log_ratios])
    log_e = float(special.logsumexp(totals)) - math.log(len(totals))
    return Test(f"what {name} learned", _markov(log_e), 0.0, f"ln E = {log_e:.1f}", fault=False)


def drift(
    features: Mapping[str, Reals], outcomes: Outcomes, order: NDArray[np.intp], generator: np.random.Generator
) -> Test:
    """A change along the shots, wherever it sets in: largest jump between means before and after, by permutation.

    Shots in `order` (by time, or as they stand) are summed in blocks; the law of the largest standardised jump over
    all features, each site's outcomes among them, comes from shuffling the blocks.
    """
    columns = [features[name] for name in features]
    labels = [f"{name}" for name in features]
    for site in range(outcomes.shape[1]):
        for outcome in range(int(outcomes[:, site].max(initial=0))):
            if outcome <= 8:
                columns.append((outcomes[:, site] == outcome).astype(np.float64))
                labels.append(f"outcome {outcome} of qubit {site}")
    n_blocks = min(_DRIFT_BLOCKS, max(2, len(order) // 25))
    rows = len(order) // n_blocks
    used = order[: rows * n_blocks]
    blocks = np.stack([column[used].reshape(n_blocks, rows).mean(axis=1) for column in columns], axis=1)
    blocks = blocks - blocks.mean(axis=0)
    spread = blocks.std(axis=0, ddof=1)
    keep = spread > 0
    blocks, labels = blocks[:, keep] / spread[keep], [label for label, kept in zip(labels, keep, strict=True) if kept]
    if not labels:
        return Test("drift along the shots", 1.0, 0.0, "no feature varies")
    jumps = _jumps(blocks)
    found = float(jumps.max())
    cut, which = np.unravel_index(int(jumps.argmax()), jumps.shape)
    beyond = tried = 0
    while tried < _PERMUTATIONS and beyond < _PLENTY:
        tried += 1
        beyond += _jumps(blocks[generator.permutation(n_blocks)]).max() >= found - 1e-9
    first = int(used[min((int(cut) + 1) * rows, len(used) - 1)])
    return Test(
        "drift along the shots",
        (beyond + 1) / (tried + 1),
        found**2 / 2 - math.log(len(labels) * n_blocks),
        f"largest jump {found:.1f} standard errors, of {labels[int(which)]}",
        place=f"from about row {first}",
    )


def _jumps(blocks: Reals) -> Reals:
    """Standardised difference between the means after and before each cut, (cuts, features), no sign."""
    n = len(blocks)
    before = np.arange(1, n)[:, None]
    sums = blocks.cumsum(axis=0)[:-1]
    found: Reals = np.abs(sums) / np.sqrt(before * (n - before) / n)
    return found


def _z(scores: Reals, exact: Reals, centre: float) -> float:
    """Standardised mean with variance and skewness of exact records (Cornish and Fisher 1938), and its uncertainty.

    Where the centre is itself a mean of exact records, their variance counts too.
    """
    n, m = len(scores), len(exact)
    variance = float(exact.var(ddof=1))
    if variance <= 0 or not math.isfinite(variance):
        return 0.0
    own = 1 / n + (1 / m if centre else 0.0)
    z = (float(scores.mean()) - centre) / math.sqrt(variance * own)
    skewness = float(stats.skew(exact)) / math.sqrt(n)
    return z - skewness * (z * z - 1) / 6 if abs(skewness * z) < 1 else z


def _two_sided(z: float) -> float:
    return 2 * float(stats.norm.sf(abs(z)))


def _markov(log_e: float) -> float:
    return min(1.0, math.exp(-log_e)) if log_e > 0 else 1.0


def _log_ratio(scores: Reals, strength: float, floor: float = 0.0) -> Reals:
    """ln of the product over records of 1 + t s, a site: (sites,). Factors below `floor` count as that."""
    with np.errstate(divide="ignore"):  # a record that the alternative forbids
        total: Reals = np.log(np.maximum(1 + strength * scores, floor)).sum(axis=0)
    return total


def _fitted(scores: Reals, level: float, bounds: tuple[float, float], floor: float) -> tuple[Estimate, float]:
    """Strength t that makes the product of 1 + t s largest, and the logarithm of that product.

    For a linear fault of one site that is maximum likelihood; for others it is to first order in t, where the
    factor of a record may fall below zero: `floor` then bounds what one record can say against the fault.
    """
    best = optimize.minimize_scalar(
        lambda t: -float(_log_ratio(scores, t, floor)), bounds=bounds, method="bounded", options={"xatol": 1e-5}
    )
    value = float(best.x)
    slopes = scores / np.maximum(1 + value * scores, max(floor, 1e-12))
    error = 1 / math.sqrt(max(float(np.square(slopes).sum()), 1e-12))
    reach = float(stats.norm.ppf((1 + level) / 2)) * error
    interval = max(bounds[0], value - reach), min(bounds[1], value + reach)
    order = "maximum likelihood" if floor == 0 else "maximum likelihood to first order"
    return Estimate(value, error, *interval, level, len(scores), f"{order}, observed information"), -float(best.fun)
