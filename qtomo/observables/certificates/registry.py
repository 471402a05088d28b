"""The certificates of fidelity by planned settings: each a `Certifier`, a line of CERTIFIERS."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from qtomo.measurement.settings import SettingList
from qtomo.observables.certificates.base import Certificate, CertificateKind
from qtomo.observables.certificates.occupation import occupation_settings, occupation_witnesses
from qtomo.observables.certificates.parent import parent_settings, parent_witnesses
from qtomo.observables.certificates.shadow_overlap import overlap_settings, overlap_witnesses
from qtomo.observables.fidelity.base import Aim, Asked, Settings
from qtomo.states.tfim import TFIM

__all__ = ["CERTIFIERS", "Certifier"]


@dataclass(frozen=True)
class Certifier:
    """A way to certify the fidelity with a target.

    Args:
        kind: what it bounds, and by what.
        certify: from records and target to bounds, the guaranteed one first; none where it does not apply.
        settings: from target, shots in all and a generator to the settings that tell most, and the shots of each;
            None where it does not apply.
    """

    kind: CertificateKind
    certify: Callable[[Asked], Iterable[Certificate]]
    settings: Settings


def _by_occupation(asked: Asked) -> Iterable[Certificate]:
    chain = asked.aim.system
    if isinstance(chain, TFIM) and chain.n_sites > 1:
        return occupation_witnesses(chain, asked.records, asked.level)
    return ()


def _for_occupation(aim: Aim, shots: int, _generator: np.random.Generator) -> SettingList | None:
    chain = aim.system
    if isinstance(chain, TFIM) and chain.n_sites > 1:
        return SettingList(*occupation_settings(chain, shots))
    return None


def _by_parent(asked: Asked) -> Iterable[Certificate]:
    return parent_witnesses(asked.aim, asked.records, asked.level)


def _for_parent(aim: Aim, shots: int, _generator: np.random.Generator) -> SettingList | None:
    found = parent_settings(aim, shots)
    return None if found is None else SettingList(*found)


def _by_overlap(asked: Asked) -> Iterable[Certificate]:
    return overlap_witnesses(asked.aim.state, asked.records, asked.level)


def _for_overlap(aim: Aim, shots: int, _generator: np.random.Generator) -> SettingList | None:
    found = overlap_settings(aim.state, shots)
    return None if found is None else SettingList(*found)


#: All of them, the closest first where several apply.
CERTIFIERS: tuple[Certifier, ...] = (
    Certifier(CertificateKind.OCCUPATION_AND_PARITY, _by_occupation, _for_occupation),
    Certifier(CertificateKind.PARENT_HAMILTONIAN, _by_parent, _for_parent),
    Certifier(CertificateKind.SHADOW_OVERLAP, _by_overlap, _for_overlap),
)
