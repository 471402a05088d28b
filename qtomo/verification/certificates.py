"""The certificates of a verification: each a function, here or in a file of its own, and its name in a tuple below."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from qtomo.distribution import Outcomes
from qtomo.observables.certificates import planned
from qtomo.observables.certificates.base import Certificate
from qtomo.observables.certificates.duals import dual_witness, has_dual_witness
from qtomo.observables.certificates.energy import energy_witnesses
from qtomo.observables.certificates.entanglement import entanglement
from qtomo.observables.certificates.misfit import forbidden_share, misfit
from qtomo.observables.certificates.occupation import occupation_witnesses
from qtomo.observables.certificates.stabilisers import stabiliser_witnesses
from qtomo.observables.fidelity.base import Asked
from qtomo.states.tfim import TFIM
from qtomo.verification.context import Context
from qtomo.verification.learned import Learned

__all__ = ["CERTIFICATES", "OF_FIDELITY", "Certifier", "Certifying", "certificates"]


@dataclass(frozen=True, eq=False)
class Certifying:
    """What a certificate may rest on.

    Args:
        context: the records under the target with its readout as fitted.
        asked: what a fidelity with the target is made from; None where it is mixed.
        learned: the alternative that was learned from halves of the records, if any.
        parity_bits: bits of shots of all qubits in basis X, (n, n_sites), 255 where lost; None where there are none.
    """

    context: Context
    asked: Asked | None = None
    learned: Learned | None = None
    parity_bits: Outcomes | None = None


def by_stabilisers(asked: Asked, _parity_bits: Outcomes | None) -> Iterable[Certificate]:
    """Fidelity with a stabiliser state."""
    return stabiliser_witnesses(asked)


def by_duals(asked: Asked, _parity_bits: Outcomes | None) -> Iterable[Certificate]:
    """Fidelity with any target of few qubits."""
    return dual_witness(asked)


def by_energy(asked: Asked, parity_bits: Outcomes | None) -> Iterable[Certificate]:
    """Fidelity with a ground state."""
    return energy_witnesses(asked.aim.system, asked.records, asked.level, parity_bits)


def by_occupation(asked: Asked, parity_bits: Outcomes | None) -> Iterable[Certificate]:
    """Fidelity with the ground state of an Ising chain, where there is a bound."""
    system = asked.aim.system
    if isinstance(system, TFIM) and system.n_sites > 1:
        found = occupation_witnesses(system, asked.records, asked.level, parity_bits)
        yield from (one for one in found if one.informative)


def by_planned_settings(asked: Asked, _parity_bits: Outcomes | None) -> Iterable[Certificate]:
    """Fidelity with any target of few qubits, from settings that were planned for it."""
    yield from (one for one in (*planned.by_parent(asked), *planned.by_overlap(asked)) if one.informative)


def by_misfit(given: Certifying) -> Iterable[Certificate]:
    """KL(data‖target) from below."""
    context, learned = given.context, given.learned
    ratios = {learned.name: learned.log_ratios(context.conditional_log_prob)} if learned is not None else {}
    yield misfit(ratios, context.n_impossible, context.options.level)


def by_forbidden_outcomes(given: Certifying) -> Iterable[Certificate]:
    """How often outcomes come that the target forbids, where some did."""
    if given.context.n_impossible:
        yield forbidden_share(given.context.n_impossible, len(given.context.records), given.context.options.level)


OfFidelity = Callable[[Asked, Outcomes | None], Iterable[Certificate]]
Certifier = Callable[[Certifying], Iterable[Certificate]]

#: Bounds of the fidelity, with whether each is one for such records and target: the settings say it, not the outcomes.
OF_FIDELITY: tuple[tuple[OfFidelity, Callable[[Asked], bool]], ...] = (
    (by_stabilisers, lambda asked: asked.aim.stabilisers is not None),
    (by_duals, has_dual_witness),
    (by_energy, lambda asked: isinstance(asked.aim.system, TFIM)),
    (by_occupation, lambda asked: isinstance(asked.aim.system, TFIM)),
    (by_planned_settings, lambda asked: asked.records.design == "listed"),
)
#: Others.
CERTIFICATES: tuple[Certifier, ...] = (by_misfit, by_forbidden_outcomes)


def certificates(given: Certifying) -> list[Certificate]:
    """What the records certify. Where several bounds of the fidelity are tried, each holds at a confidence at which the
    best of them holds at the one asked for (Bonferroni).
    """
    found: list[Certificate] = []
    asked = given.asked
    if asked is not None:
        tried = [certify for certify, applies in OF_FIDELITY if applies(asked)]
        each = replace(asked, level=1 - (1 - asked.level) / max(1, len(tried)))
        found = [one for certify in tried for one in certify(each, given.parity_bits)]
        best = max((one for one in found if one.guarantee == "finite-sample"), key=lambda one: one.value, default=None)
        found += entanglement([best] if best is not None else [], asked.aim.state, asked.aim.system)
    return found + [one for certify in CERTIFICATES for one in certify(given)]
