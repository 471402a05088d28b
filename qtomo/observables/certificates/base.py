"""What a certificate is: a bound, with its assumptions and with what it guarantees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qtomo.results import Probability, Real, plain, stating
from qtomo.statistics.estimate import Guarantee
from qtomo.worded import Worded

__all__ = ["GUARANTEES", "Certificate", "CertificateKind"]

#: Words for what a bound guarantees.
GUARANTEES = {"finite-sample": "guaranteed", "asymptotic": "asymptotic", "model": "of a model"}


class CertificateKind(Worded):
    """What is bounded, and by what."""

    ENERGY = "fidelity-by-energy", "fidelity with the ground state, by its energy"
    ENERGY_AND_PARITY = "fidelity-by-energy-and-parity", "fidelity with the ground state, by its energy and parity"
    OCCUPATION = "fidelity-by-occupation", "fidelity with the ground state, by the occupation of its modes"
    OCCUPATION_AND_PARITY = (
        "fidelity-by-occupation-and-parity",
        "fidelity with the ground state, by the occupation of its modes and its parity",
    )
    DRAWN_STABILISERS = "fidelity-by-drawn-stabilisers", "fidelity with the target, by stabilisers drawn at random"
    DUALS = "fidelity-by-duals", "fidelity with the target, by dual values of every shot"
    STABILISER_GENERATORS = "fidelity-by-generators", "fidelity with the target, by its stabilisers' generators"
    SHADOW_OVERLAP = "fidelity-by-shadow-overlap", "fidelity with the target, by its shadow overlap"
    PARENT_HAMILTONIAN = (
        "fidelity-by-parent-hamiltonian",
        "fidelity with the target, by a Hamiltonian that it is lowest of",
    )
    ENTANGLEMENT = "multipartite-entanglement", "genuine multipartite entanglement, by the fidelity"
    CLASSICAL_FIDELITY = (
        "fidelity-by-classical-fidelity",
        "fidelity of the target with any state of the model's distribution, from above",
    )
    MISFIT = "misfit", "misfit KL(data‖target), from below"
    FORBIDDEN = "forbidden-share", "share of outcomes that the target forbids, from below"


#: Bounds, from below, of the fidelity of the prepared state with the target.
_OF_FIDELITY = (
    CertificateKind.ENERGY,
    CertificateKind.ENERGY_AND_PARITY,
    CertificateKind.OCCUPATION,
    CertificateKind.OCCUPATION_AND_PARITY,
    CertificateKind.PARENT_HAMILTONIAN,
    CertificateKind.SHADOW_OVERLAP,
    CertificateKind.DRAWN_STABILISERS,
    CertificateKind.DUALS,
    CertificateKind.STABILISER_GENERATORS,
)


@dataclass(frozen=True)
class Certificate:
    """A bound that holds with some confidence under stated assumptions.

    Args:
        kind: what is bounded, and by what.
        value: the bound; -inf where there is none.
        level: confidence.
        says: what it says, in a sentence.
        assumptions: what it rests on.
        guarantee: whether it holds at any number of records, or for many.
        informative: whether it says more than what holds for every state.
        records_needed: about how many records of this kind would make it say something, if it does not.
    """

    kind: CertificateKind
    value: Real
    level: Probability
    says: str
    assumptions: list[str]
    guarantee: Guarantee = "asymptotic"
    informative: bool = True
    records_needed: int | None = None

    _stated = stating("name")

    @property
    def name(self) -> str:
        """What is bounded, in words."""
        return self.kind.words

    @property
    def bounds_fidelity(self) -> bool:
        """Whether it bounds the fidelity of the prepared state with the target from below."""
        return self.kind in _OF_FIDELITY

    def to_dict(self) -> dict[str, Any]:
        """All fields, as plain values for JSON."""
        return plain(self)
