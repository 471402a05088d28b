"""The certificates of a verification: each a function, here or in a file of its own, and its name in CERTIFICATES."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from qtomo.distribution import Outcomes
from qtomo.observables.certificates.base import Certificate
from qtomo.observables.certificates.energy import energy_witnesses
from qtomo.observables.certificates.misfit import forbidden_share, misfit
from qtomo.observables.certificates.stabilisers import stabiliser_witnesses
from qtomo.verification.context import Context
from qtomo.verification.fidelity import fidelity_asked
from qtomo.verification.learned import Learned

__all__ = ["CERTIFICATES", "Certifying", "certificates"]


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


def by_energy(given: Certifying) -> Iterable[Certificate]:
    """Fidelity with a ground state."""
    records = given.context.records.measured_by(given.context.hypothesis.povm)
    return energy_witnesses(given.context.hypothesis.system, records, given.context.options.level, given.parity_bits)


def by_stabilisers(given: Certifying) -> Iterable[Certificate]:
    """Fidelity with a stabiliser state."""
    asked = fidelity_asked(given.context)
    return stabiliser_witnesses(asked) if asked is not None else ()


def by_misfit(given: Certifying) -> Iterable[Certificate]:
    """KL(data‖target) from below."""
    context, learned = given.context, given.learned
    ratios = {learned.name: learned.log_ratios(context.conditional_log_prob)} if learned is not None else {}
    yield misfit(ratios, context.n_impossible, context.options.level)


def by_forbidden_outcomes(given: Certifying) -> Iterable[Certificate]:
    """How often outcomes come that the target forbids, where some did."""
    if given.context.n_impossible:
        yield forbidden_share(given.context.n_impossible, len(given.context.records), given.context.options.level)


#: All of them, in the order in which they are shown.
CERTIFICATES: tuple[Callable[[Certifying], Iterable[Certificate]], ...] = (
    by_stabilisers,
    by_energy,
    by_misfit,
    by_forbidden_outcomes,
)


def certificates(given: Certifying) -> list[Certificate]:
    """What the records certify."""
    return [found for certify in CERTIFICATES for found in certify(given)]
