"""Genuine multipartite entanglement from a bound on the fidelity.

A mixture of states, each separable across some cut of the qubits in two, has a fidelity with |psi> of at most the
largest squared Schmidt coefficient of |psi> over all cuts (Bourennane et al. 2004, arXiv quant-ph/0309043). That is 1/2
for a GHZ state. A fidelity above it shows that all qubits are entangled together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from qtomo.observables.certificates.base import GUARANTEES, Certificate, CertificateKind
from qtomo.states.library import GHZ
from qtomo.states.mps import MPS
from qtomo.states.system import System

__all__ = ["entanglement", "largest_schmidt_weight"]

_ENUMERATED = 12  # qubits of which all cuts are looked at
_ROUNDING = 1e-9


def largest_schmidt_weight(state: MPS, system: System | None = None) -> float | None:
    """The largest squared Schmidt coefficient over all cuts of the qubits in two; None where it is not known.

    Known for a GHZ state of any size, 1/2, and by all 2^(N-1) - 1 cuts up to 12 qubits. Cuts of neighbours alone, which
    a larger matrix-product state would tell, leave out cuts that may have a larger one, and prove nothing.

    Args:
        state: the target.
        system: its parameters, where known.

    >>> from qtomo import W
    >>> round(largest_schmidt_weight(W(4).state()), 6)
    0.75
    """
    n = state.n_sites
    if n < 2:
        return None
    if isinstance(system, GHZ):
        return 0.5
    if n > _ENUMERATED:
        return None
    psi = state.to_statevector().reshape((2,) * n)
    largest = 0.0
    for subset in range(1, 2 ** (n - 1)):  # of sites 1 to N - 1; site 0 is on the other side
        part = [site for site in range(1, n) if subset >> (site - 1) & 1]
        rest = [site for site in range(n) if site not in part]
        small, other = sorted((part, rest), key=len)
        matrix = psi.transpose(*small, *other).reshape(2 ** len(small), -1)
        largest = max(largest, float(np.linalg.eigvalsh(matrix @ matrix.conj().T)[-1]))
    return largest


def entanglement(bounds: Iterable[Certificate], state: MPS, system: System | None = None) -> Iterator[Certificate]:
    """What bounds of the fidelity say of entanglement: a certificate for each that is high enough.

    Args:
        bounds: certificates of the fidelity with `state`.
        state: the target.
        system: its parameters, where known.
    """
    high = [one for one in bounds if one.informative and one.bounds_fidelity and one.value > 0.5]
    threshold = largest_schmidt_weight(state, system) if high else None
    for one in high:
        if threshold is not None and one.value > threshold + _ROUNDING:
            text = f"all {state.n_sites} qubits are entangled together: F ≥ {one.value:.4f} > {threshold:.4f}"
            says = f"{text} at {one.level:.0%} ({GUARANTEES[one.guarantee]})"
            cuts = "over all cuts of the qubits in two the target's largest squared Schmidt coefficient is "
            assumptions = [f"{cuts}{threshold:.4f}", *one.assumptions]
            yield Certificate(CertificateKind.ENTANGLEMENT, one.value, one.level, says, assumptions, one.guarantee)
