"""The certificates of fidelity that have settings of their own: each a `Certifier`, a line of CERTIFIERS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qtomo.distribution import Outcomes
from qtomo.observables.certificates.base import Certificate, CertificateKind
from qtomo.observables.certificates.occupation import occupation_settings, occupation_witnesses
from qtomo.records.records import Records
from qtomo.states.mps import MPS
from qtomo.states.system import System
from qtomo.states.tfim import TFIM

__all__ = ["CERTIFIERS", "Certifier", "Settings", "certifiers_of"]

#: Settings uint8 (S, n_sites), 0 X, 1 Y, 2 Z, and the shots of each, (S,).
Settings = tuple[Outcomes, NDArray[np.int64]]


@dataclass(frozen=True)
class Certifier:
    """A way to certify the fidelity with a target.

    Args:
        kind: what it bounds, and by what.
        applies: whether there is a bound for a target.
        certify: (target, records, level) to bounds, the guaranteed one first.
        settings: (target, shots in all) to the settings that tell most, and the shots of each.
    """

    kind: CertificateKind
    applies: Callable[[System | MPS], bool]
    certify: Callable[[System | MPS, Records, float], list[Certificate]]
    settings: Callable[[System | MPS, int], Settings]


def _chain(target: System | MPS) -> TFIM:
    assert isinstance(target, TFIM)
    return target


#: All of them, the one that needs fewest shots first.
CERTIFIERS: tuple[Certifier, ...] = (
    Certifier(
        CertificateKind.OCCUPATION_AND_PARITY,
        lambda target: isinstance(target, TFIM) and target.n_sites > 1,
        lambda target, records, level: occupation_witnesses(_chain(target), records, level),
        lambda target, shots: occupation_settings(_chain(target), shots),
    ),
)


def certifiers_of(target: System | MPS) -> list[Certifier]:
    """Those that have a bound for a target.

    >>> [one.kind.value for one in certifiers_of(TFIM(4))]
    ['fidelity-by-occupation-and-parity']
    """
    return [one for one in CERTIFIERS if one.applies(target)]
