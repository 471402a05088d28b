"""Fidelity as the mean of dual values, from outcomes of an informationally complete POVM or shots in random bases."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from qtomo.distribution import Outcomes
from qtomo.errors import InputError
from qtomo.measurement.settings import SettingList
from qtomo.observables.fidelity.base import AS_THE_FILE_SAYS, SHOTS_ALIKE, Aim, Asked, Fidelity, FidelityKind, possible
from qtomo.parallel import over_threads
from qtomo.records.records import distinct_rows
from qtomo.seeds import stream
from qtomo.states.mps import MPS
from qtomo.statistics.estimate import sample_mean

__all__ = ["by_duals", "dual_fidelities", "random_settings"]

Reals = NDArray[np.float64]

_FIRST = 2_000  # records that tell the error of all
_LARGEST_ERROR = 0.2  # of a fidelity that is worth printing
_WORK = 2**39  # multiplications at most
_BLOCK = 2**22  # numbers of environments at once
_QUBITS = 20  # beyond which a million shots tell little
_FEWEST = 100  # records, from which a Student interval of long tails is taken


def by_duals(asked: Asked) -> Iterable[Fidelity]:
    """F = E[<ψ|D_a|ψ>] with Σ_a Tr(M_a ρ) D_a = ρ for every ρ, of any pure target; nothing where its standard error is
    above 0.2. The variance grows by a factor per qubit: 1.5 for random bases and a critical Ising chain.
    """
    records = asked.records.whole()
    if records.design == "listed" or len(records) < _FEWEST:
        return
    try:
        duals = np.broadcast_to(records.povm.duals(), records.povm.site_elements(records.n_sites).shape)
    except InputError:
        return  # not informationally complete
    order = stream(asked.seed, "fidelity by duals").permutation(len(records))
    cost = records.n_sites * 8 * max(asked.aim.state.bond_dims, default=1) ** 3
    labels = records.labels[order[: max(_FIRST, int(_WORK / cost))]]
    first = dual_fidelities(asked.aim.state, labels[:_FIRST], duals)
    if first.std() / math.sqrt(len(labels)) > 2 * _LARGEST_ERROR:
        return
    rest = dual_fidelities(asked.aim.state, labels[_FIRST:], duals)
    found = sample_mean(np.concatenate([first, rest]), asked.level, "mean of dual values of the target")
    if found.standard_error > _LARGEST_ERROR:
        return
    yield Fidelity(FidelityKind.DUALS, possible(found), [SHOTS_ALIKE, AS_THE_FILE_SAYS])


def random_settings(aim: Aim, shots: int, generator: np.random.Generator) -> SettingList | None:
    """Bases drawn at random for each shot."""
    if aim.n_sites > _QUBITS:
        return None
    return SettingList.of_shots(generator.integers(0, 3, (shots, aim.n_sites), dtype=np.uint8))


def dual_fidelities(state: MPS, labels: Outcomes, duals: NDArray[np.complex128]) -> Reals:
    """<ψ|D_a|ψ> of each record a, (n,).

    Args:
        state: ψ.
        labels: POVM elements (n, n_sites), none lost.
        duals: D of each site's elements, complex (n_sites, K, 2, 2).
    """
    if not len(labels):
        return np.zeros(0)
    first, inverse = distinct_rows(labels)
    rows = labels[first]
    step = max(1, _BLOCK // max(state.bond_dims, default=1) ** 2)
    blocks = [rows[start : start + step] for start in range(0, len(rows), step)]
    return np.concatenate(list(over_threads(lambda block: _contracted(state, block, duals), blocks)))[inverse]


def _contracted(state: MPS, rows: Outcomes, duals: NDArray[np.complex128]) -> Reals:
    """Along the chain with an environment (bond, bond) per row, those of one outcome together."""
    environments = np.ones((len(rows), 1, 1), dtype=np.complex128)
    for tensor, labels, site in zip(state.tensors, rows.T, duals, strict=True):
        left, _, right = tensor.shape
        following = np.empty((len(rows), right, right), dtype=np.complex128)
        ket = np.ascontiguousarray(tensor.transpose(1, 0, 2))  # (s, left, right)
        for label in np.unique(labels):
            mine = labels == label
            # Σ_st D[s, t] A_s† E A_t: E A_t first, for all rows of the outcome at once
            half = environments[mine].reshape(-1, left) @ ket.transpose(1, 0, 2).reshape(left, 2 * right)
            half = half.reshape(-1, left, 2, right)
            turned = np.einsum("nltr,st->nslr", half, site[label], optimize=True).reshape(-1, 2 * left, right)
            following[mine] = ket.conj().reshape(2 * left, right).T @ turned
        environments = following
    return environments[:, 0, 0].real
