"""The certificates of a verification: each a function, here or in a file of its own, and its name in a tuple below."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from qtomo.distribution import Outcomes
from qtomo.observables.certificates.base import Certificate
from qtomo.observables.certificates.duals import dual_witness, has_dual_witness
from qtomo.observables.certificates.energy import energy_witnesses
from qtomo.observables.certificates.entanglement import entanglement
from qtomo.observables.certificates.misfit import forbidden_share, misfit
from qtomo.observables.certificates.occupation import occupation_witnesses
from qtomo.observables.certificates.planned import by_overlap, by_parent
from qtomo.observables.certificates.stabilisers import stabiliser_witnesses
from qtomo.observables.fidelity.base import Asked
from qtomo.states.tfim import TFIM
from qtomo.verification.context import Context
from qtomo.verification.fidelity import fidelity_asked
from qtomo.verification.learned import Learned

__all__ = ["CERTIFICATES", "OF_FIDELITY", "Certifier", "Certifying", "certificates"]


@dataclass(frozen=True, eq=False)
class Certifying:
    """What a certificate may rest on.

    Args:
        context: the records under the target with its readout as fitted.
        learned: the alternative that was learned from halves of the records, if any.
        parity_bits: bits of shots of all qubits in basis X, (n, n_sites), 255 where lost; None where there are none.
    """

    context: Context
    learned: Learned | None = None
    parity_bits: Outcomes | None = None


def by_duals(given: Certifying) -> Iterable[Certificate]:
    """Fidelity with any target of few qubits."""
    asked = fidelity_asked(given.context)
    return dual_witness(asked) if asked is not None else ()


def by_energy(given: Certifying) -> Iterable[Certificate]:
    """Fidelity with a ground state."""
    records = given.context.records.measured_by(given.context.hypothesis.povm)
    return energy_witnesses(given.context.hypothesis.system, records, given.context.options.level, given.parity_bits)


def by_occupation(given: Certifying) -> Iterable[Certificate]:
    """Fidelity with the ground state of an Ising chain, where there is a bound."""
    system = given.context.hypothesis.system
    if isinstance(system, TFIM) and system.n_sites > 1:
        records = given.context.records.measured_by(given.context.hypothesis.povm)
        for found in occupation_witnesses(system, records, given.context.options.level, given.parity_bits):
            if found.informative:
                yield found


def by_stabilisers(given: Certifying) -> Iterable[Certificate]:
    """Fidelity with a stabiliser state."""
    asked = fidelity_asked(given.context)
    return stabiliser_witnesses(asked) if asked is not None else ()


def by_planned_settings(given: Certifying) -> Iterable[Certificate]:
    """Fidelity with any target of few qubits, from settings that were planned for it."""
    asked = fidelity_asked(given.context)
    if asked is not None and asked.records.design == "listed":
        for found in (*by_parent(asked), *by_overlap(asked)):
            if found.informative:
                yield found


def by_misfit(given: Certifying) -> Iterable[Certificate]:
    """KL(data‖target) from below."""
    context, learned = given.context, given.learned
    ratios = {learned.name: learned.log_ratios(context.conditional_log_prob)} if learned is not None else {}
    yield misfit(ratios, context.n_impossible, context.options.level)


def by_forbidden_outcomes(given: Certifying) -> Iterable[Certificate]:
    """How often outcomes come that the target forbids, where some did."""
    if given.context.n_impossible:
        yield forbidden_share(given.context.n_impossible, len(given.context.records), given.context.options.level)


Certifier = Callable[[Certifying], Iterable[Certificate]]

#: Bounds of the fidelity, with whether each is one for such records and target: the settings say it, not the outcomes.
OF_FIDELITY: tuple[tuple[Certifier, Callable[[Asked], bool]], ...] = (
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
    asked = fidelity_asked(given.context)
    if asked is not None:
        tried = [certify for certify, applies in OF_FIDELITY if applies(asked)]
        options = given.context.options
        level = 1 - (1 - options.level) / max(1, len(tried))
        each = replace(given, context=replace(given.context, options=replace(options, level=level)))
        found = [one for certify in tried for one in certify(each)]
        best = max((one for one in found if one.guarantee == "finite-sample"), key=lambda one: one.value, default=None)
        found += entanglement([best] if best is not None else [], asked.aim.state, asked.aim.system)
    return found + [one for certify in CERTIFICATES for one in certify(given)]
