"""Every way to a fidelity with a pure target that an experiment can be planned for: its settings, what they tell."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from scipy import stats

from qtomo.measurement.settings import Design
from qtomo.observables.certificates.base import Certificate, CertificateKind
from qtomo.observables.certificates.planned import (
    by_occupation,
    by_overlap,
    by_parent,
    for_occupation,
    for_overlap,
    for_parent,
)
from qtomo.observables.fidelity.base import Asked, Fidelity, FidelityKind, Settings
from qtomo.observables.fidelity.duals import by_duals, random_settings
from qtomo.observables.fidelity.expansion import all_settings, by_expansion
from qtomo.observables.fidelity.pairs import by_pairs, weighted_pair_settings
from qtomo.observables.fidelity.stabilisers import (
    covering_settings,
    drawn,
    drawn_settings,
    union,
)
from qtomo.statistics.estimate import Guarantee

__all__ = ["WAYS", "Way"]

#: A bound of the fidelity from below, -inf where there is none, and the standard error of an estimate, where there is
#: one.
Judge = Callable[[Asked], tuple[float, float | None]]


@dataclass(frozen=True)
class Way:
    """A way to a fidelity.

    Args:
        kind: the estimate or certificate that it leads to.
        name: in a few words.
        settings: what to measure.
        judge: what that tells.
        guarantee: of the bound.
        design: of the settings.
    """

    kind: FidelityKind | CertificateKind
    name: str
    settings: Settings
    judge: Judge
    guarantee: Guarantee
    design: Design = "listed"

    @property
    def key(self) -> str:
        """What files call it."""
        return self.kind.value


def _by_estimate(estimator: Callable[[Asked], Iterable[Fidelity]]) -> Judge:
    """The one-sided normal limit of an estimate."""

    def judge(asked: Asked) -> tuple[float, float | None]:
        found = next(iter(estimator(asked)), None)
        if found is None:
            return -math.inf, None
        one = found.estimate
        return one.value - float(stats.norm.ppf(asked.level)) * one.standard_error, one.standard_error

    return judge


def _by_certificate(certify: Callable[[Asked], Iterable[Certificate]]) -> Judge:
    """The bound that holds at any number of shots."""

    def judge(asked: Asked) -> tuple[float, float | None]:
        found = next((one for one in certify(asked) if one.guarantee == "finite-sample"), None)
        return (found.value if found is not None else -math.inf), None

    return judge


def _drawn(asked: Asked) -> tuple[float, float | None]:
    found = drawn(asked)
    if found is None:
        return -math.inf, None
    return found.lower_limit(asked.level, asked.seed), found.estimate(asked.level).standard_error


def _union(asked: Asked) -> tuple[float, float | None]:
    found = union(asked)
    return (found.lower_limit(asked.level, asked.seed) if found is not None else -math.inf), None


#: All of them.
WAYS: tuple[Way, ...] = (
    Way(FidelityKind.STABILISERS, "drawn stabilisers", drawn_settings, _drawn, "finite-sample"),
    Way(CertificateKind.STABILISER_GENERATORS, "generators", covering_settings, _union, "finite-sample"),
    Way(
        CertificateKind.OCCUPATION_AND_PARITY,
        "occupation of modes",
        for_occupation,
        _by_certificate(by_occupation),
        "finite-sample",
    ),
    Way(
        CertificateKind.PARENT_HAMILTONIAN,
        "parent Hamiltonian",
        for_parent,
        _by_certificate(by_parent),
        "finite-sample",
    ),
    Way(CertificateKind.SHADOW_OVERLAP, "shadow overlap", for_overlap, _by_certificate(by_overlap), "finite-sample"),
    Way(FidelityKind.EXPANSION, "all Pauli products", all_settings, _by_estimate(by_expansion), "asymptotic"),
    Way(FidelityKind.PAIRS, "pairs of qubits", weighted_pair_settings, _by_estimate(by_pairs), "asymptotic"),
    Way(FidelityKind.DUALS, "random bases", random_settings, _by_estimate(by_duals), "asymptotic", "random"),
)
