"""Certificates by settings of their own, as `qtomo.observables.ways` lists them: what is asked for to bounds, and a
target to settings; none where they do not apply.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from qtomo.measurement.settings import SettingList
from qtomo.observables.certificates.base import Certificate
from qtomo.observables.certificates.occupation import occupation_settings, occupation_witnesses
from qtomo.observables.certificates.parent import parent_settings, parent_witnesses
from qtomo.observables.certificates.shadow_overlap import overlap_settings, overlap_witnesses
from qtomo.observables.fidelity.base import Aim, Asked
from qtomo.states.tfim import TFIM

__all__ = ["by_occupation", "by_overlap", "by_parent", "for_occupation", "for_overlap", "for_parent"]


def by_occupation(asked: Asked) -> Iterable[Certificate]:
    """Of an Ising chain, the guaranteed bound first."""
    chain = asked.aim.system
    if isinstance(chain, TFIM) and chain.n_sites > 1:
        return occupation_witnesses(chain, asked.records, asked.level)
    return ()


def for_occupation(aim: Aim, shots: int, _generator: np.random.Generator) -> SettingList | None:
    """Settings of the strings of an Ising chain."""
    chain = aim.system
    if isinstance(chain, TFIM) and chain.n_sites > 1:
        return SettingList(*occupation_settings(chain, shots))
    return None


def by_parent(asked: Asked) -> Iterable[Certificate]:
    """Of a target of 20 qubits or fewer that has no closer certificate."""
    return () if _has_closer(asked.aim) else parent_witnesses(asked.aim, asked.records, asked.level)


def for_parent(aim: Aim, shots: int, _generator: np.random.Generator) -> SettingList | None:
    """Settings of the terms of its Hamiltonian."""
    found = None if _has_closer(aim) else parent_settings(aim, shots)
    return None if found is None else SettingList(*found)


def by_overlap(asked: Asked) -> Iterable[Certificate]:
    """Of a target of 20 qubits or fewer that has no closer certificate."""
    return () if _has_closer(asked.aim) else overlap_witnesses(asked.aim.state, asked.records, asked.level)


def for_overlap(aim: Aim, shots: int, _generator: np.random.Generator) -> SettingList | None:
    """All in Z but a few neighbours."""
    found = None if _has_closer(aim) else overlap_settings(aim.state, shots)
    return None if found is None else SettingList(*found)


def _has_closer(aim: Aim) -> bool:
    """Whether the target is a stabiliser state or an Ising chain, whose own certificates take fewer shots."""
    return aim.stabilisers is not None or isinstance(aim.system, TFIM)
