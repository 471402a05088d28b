"""Local noise before the measurement, as a change of POVM.

A channel E on a qubit before it is measured equals no channel and the measurement E†(M_a), the sum of
K† M_a K over Kraus operators K. So noisy records of any state cost what clean ones do, and no density matrix is ever
made. Readout error is in `qtomo.measurement.readout`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qtomo.config import near_miss
from qtomo.errors import Code, InputError
from qtomo.measurement.povm import PAULIS, POVM
from qtomo.measurement.readout import with_readout_error

__all__ = [
    "NOISES",
    "amplitude_damping",
    "dephasing",
    "depolarizing",
    "noisy",
    "parse_noise",
]

_TOLERANCE = 1e-9
_READOUT = "readout"

Kraus = NDArray[np.complex128]


def depolarizing(probability: float) -> Kraus:
    """The qubit is replaced by the maximally mixed state with this probability: (4, 2, 2).

    Raises:
        InputError: a probability outside [0, 1].
    """
    p = _probability(probability, "depolarizing")
    weights = [1 - 3 * p / 4, p / 4, p / 4, p / 4]
    return np.stack([math.sqrt(w) * PAULIS[letter] for w, letter in zip(weights, "IXYZ", strict=True)])


def dephasing(probability: float) -> Kraus:
    """Z acts with this probability, so that coherences shrink by 1 - 2p: (2, 2, 2).

    Raises:
        InputError: a probability outside [0, 1].
    """
    p = _probability(probability, "dephasing")
    return np.stack([math.sqrt(1 - p) * PAULIS["I"], math.sqrt(p) * PAULIS["Z"]])


def amplitude_damping(probability: float) -> Kraus:
    """|1> decays to |0> with this probability: (2, 2, 2).

    Raises:
        InputError: a probability outside [0, 1].
    """
    p = _probability(probability, "amplitude-damping")
    stay = np.diag([1, math.sqrt(1 - p)]).astype(np.complex128)
    return np.stack([stay, math.sqrt(p) * np.array([[0, 1], [0, 0]], dtype=np.complex128)])


#: Channels by the name the command line knows, each made from one probability.
NOISES: dict[str, Callable[[float], Kraus]] = {
    "depolarizing": depolarizing,
    "dephasing": dephasing,
    "amplitude-damping": amplitude_damping,
}


def noisy(povm: POVM, kraus: ArrayLike, n_sites: int, sites: Sequence[int] | None = None) -> POVM:
    """The measurement that `povm` is after a channel has acted on its qubits.

    Args:
        povm: the measurement of `n_sites` qubits.
        kraus: Kraus operators (operators, 2, 2).
        n_sites: N.
        sites: the qubits that the channel acts on; all where not given.

    Raises:
        InputError: operators that do not preserve the trace or have another shape, or a site outside the chain.
    """
    operators = np.asarray(kraus, dtype=np.complex128)
    if operators.ndim != 3 or operators.shape[1:] != (2, 2) or not np.isfinite(operators).all():
        raise InputError(Code.SHAPE, f"Kraus operators have shape {operators.shape}, expected finite (operators, 2, 2)")
    excess = np.abs(np.einsum("kji,kjl->il", operators.conj(), operators) - np.eye(2)).max()
    if excess > _TOLERANCE:
        raise InputError(
            Code.UNPHYSICAL, f"Kraus operators do not preserve the trace: the sum of K†K is off 1 by {excess:.3g}"
        )

    def pulled_back(elements: NDArray[np.complex128]) -> NDArray[np.complex128]:
        moved: NDArray[np.complex128] = np.einsum("kji,...ajl,klm->...aim", operators.conj(), elements, operators)
        return 0.5 * (moved + moved.conj().swapaxes(-1, -2))  # Hermitian to the last bit

    return povm.changed(pulled_back, n_sites, sites)


def parse_noise(povm: POVM, texts: Sequence[str], n_sites: int) -> POVM:
    """The measurement after channels written as NAME:PROBABILITY or NAME:PROBABILITY@SITE,SITE.

    The first acts first on the state. `readout:P` or `readout:P0/P1` acts last, wherever it stands: 0 is read as 1
    with probability P0, 1 as 0 with P1. The name of the result tells them all.

    Raises:
        InputError: an unknown name (tells the near miss), no probability, or a site outside the chain.
    """
    name = povm.name
    last = [text for text in texts if text.startswith(_READOUT)]
    for text in [*last, *(text for text in reversed(texts) if text not in last)]:
        povm = _with_noise(povm, text, n_sites)
    return POVM(povm.elements, " after ".join([name, *reversed(texts)])) if texts else povm


def _with_noise(povm: POVM, text: str, n_sites: int) -> POVM:
    head, at, places = text.partition("@")
    name, _, strength = head.partition(":")
    known = [*NOISES, _READOUT]
    if name not in known:
        raise InputError(Code.UNKNOWN, f"noise '{text}': unknown channel '{name}'{near_miss(name, known)}")
    try:
        probabilities = [float(part) for part in strength.split("/")]
        sites = [int(place) for place in places.split(",")] if at else None
    except ValueError:
        raise InputError(
            Code.SYNTAX, f"noise '{text}': expected NAME:PROBABILITY or NAME:PROBABILITY@SITE,SITE"
        ) from None
    if len(probabilities) > (2 if name == _READOUT else 1):
        raise InputError(Code.SYNTAX, f"noise '{text}': {len(probabilities)} probabilities are too many")
    if name == _READOUT:
        return with_readout_error(povm, probabilities[0], probabilities[-1], n_sites, sites)
    return noisy(povm, NOISES[name](probabilities[0]), n_sites, sites)


def _probability(value: float, name: str) -> float:
    if not 0 <= value <= 1:
        raise InputError(Code.VALUE, f"{name}: probability is {value}, expected 0 to 1")
    return value
