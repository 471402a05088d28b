"""Fidelity as the sum of the target's Pauli products, where the settings measure all of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np

from qtomo.errors import InputError
from qtomo.measurement.settings import SettingList
from qtomo.observables.estimates import estimate_observables
from qtomo.observables.fidelity.base import AS_THE_FILE_SAYS, SHOTS_ALIKE, Aim, Asked, Fidelity, FidelityKind, possible
from qtomo.observables.paulis import Observable
from qtomo.states.dmrg import Terms
from qtomo.states.pauli import to_paulis
from qtomo.states.stabilisers import Stabilisers

__all__ = ["all_settings", "by_expansion"]

_QUBITS, _STABILISED = 5, 10  # at most, of any state and of a stabiliser state
_WORK = 2**32  # records times products times qubits
_ZERO = 1e-12  # below which a coefficient is rounding


def by_expansion(asked: Asked) -> Iterable[Fidelity]:
    """F = sum over Pauli products P of <ψ|P|ψ> <P>/2^N; each <P> from all shots that tell it. Of a stabiliser state
    these are its 2^N stabilisers.
    """
    n, records = asked.records.n_sites, asked.records
    if n > (_QUBITS if asked.aim.stabilisers is None else _STABILISED) or not len(records):
        return
    terms = _of_stabilisers(asked.aim.stabilisers) if asked.aim.stabilisers is not None else _of_any(asked)
    if len(records) * len(terms) * n > _WORK:
        return
    try:
        found = estimate_observables([Observable("fidelity", tuple(terms))], records, level=asked.level)["fidelity"]
    except InputError:
        return  # a product that no setting tells
    yield Fidelity(FidelityKind.EXPANSION, possible(found), [SHOTS_ALIKE, AS_THE_FILE_SAYS])


def all_settings(aim: Aim, shots: int, _generator: np.random.Generator) -> SettingList | None:
    """Every setting of few qubits, as often each."""
    if aim.n_sites > _QUBITS:
        return None
    settings = np.array(list(itertools.product(range(3), repeat=aim.n_sites)), np.uint8)
    return SettingList.evenly(settings, shots)


def _of_stabilisers(group: Stabilisers) -> Terms:
    x, z, signs = group.elements(np.array(list(itertools.product((0, 1), repeat=group.n_sites)), np.uint8))
    return [
        (float(sign) / len(signs), {site: "IXZY"[code] for site, code in enumerate(codes) if code})
        for codes, sign in zip((x + 2 * z).tolist(), signs.tolist(), strict=True)
    ]


def _of_any(asked: Asked) -> Terms:
    ket = asked.aim.state.to_statevector()
    values = to_paulis(np.outer(ket, ket.conj()))
    return [
        (float(values[where]) / len(ket), {site: "IXYZ"[p] for site, p in enumerate(where) if p})
        for where in map(tuple, np.argwhere(np.abs(values) > _ZERO).tolist())
    ]
