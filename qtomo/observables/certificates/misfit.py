"""A misfit from below: KL(data‖target), and the share of outcomes that the target forbids."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from qtomo.observables.certificates.base import Certificate, CertificateKind
from qtomo.statistics.bounds import proportion_lower_limit

__all__ = ["forbidden_share", "misfit"]

Reals = NDArray[np.float64]

_ASYMPTOTIC_MISFIT = 1_000


def misfit(log_ratios: Mapping[str, Sequence[Reals]], n_forbidden: int, level: float = 0.95) -> Certificate:
    """KL(data‖target) >= E_data[ln q/P], for q learned from other records; infinite where a forbidden one was seen.

    Args:
        log_ratios: by alternative, ln q/P of records that it has not seen, in nats, of each half.
        n_forbidden: records that the target forbids.
        level: confidence, one-sided, of the best of the alternatives (Bonferroni).
    """
    kind = CertificateKind.MISFIT
    assumptions = ["shots are independent and identically distributed"]
    if n_forbidden:
        says = f"infinite: {n_forbidden:,} records that the target forbids"
        return Certificate(kind, math.inf, level, says, assumptions, "finite-sample")
    share = (1 - level) / max(1, 2 * len(log_ratios))
    best, value, n = "", -math.inf, 0
    for name, halves in log_ratios.items():
        for ratio in halves:
            if len(ratio) < _ASYMPTOTIC_MISFIT or not np.isfinite(ratio).all():
                continue
            reach = float(stats.t.ppf(1 - share, len(ratio) - 1)) * float(ratio.std(ddof=1)) / math.sqrt(len(ratio))
            if float(ratio.mean()) - reach > value:
                best, value, n = name, float(ratio.mean()) - reach, len(ratio)
    if not n:
        fewest = 2 * _ASYMPTOTIC_MISFIT
        says = f"no bound: too few shots (about {fewest:,} needed)"
        return Certificate(kind, -math.inf, level, says, assumptions, "asymptotic", False, fewest)
    assumptions.append(f"the mean of ln q/P is normal, from {n:,} records that the alternative has not seen")
    if value > 0:
        says = f"KL(data‖target) ≥ {value:.3g} nats per record at {level:.0%} (asymptotic; seen by {best})"
        return Certificate(kind, value, level, says, assumptions)
    says = "no misfit detected (this is not an upper bound)"
    return Certificate(kind, value, level, says, assumptions, "asymptotic", False)


def forbidden_share(n_forbidden: int, n_records: int, level: float = 0.95) -> Certificate:
    """How often outcomes come that the target forbids: at least this share (Clopper and Pearson 1934)."""
    low = proportion_lower_limit(n_forbidden, n_records, level)
    says = f"at least {low:.4g} of the shots at {level:.0%} (guaranteed; {n_forbidden:,} of {n_records:,} seen)"
    return Certificate(
        CertificateKind.FORBIDDEN,
        low,
        level,
        says,
        ["shots are independent and identically distributed"],
        "finite-sample",
    )
