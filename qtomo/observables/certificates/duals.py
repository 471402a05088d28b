"""The fidelity with any target of few qubits, from below, from shots in random bases or outcomes of a complete POVM."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from qtomo.errors import InputError
from qtomo.observables.certificates.base import Certificate, CertificateKind
from qtomo.observables.fidelity.base import AS_THE_FILE_SAYS, SHOTS_ALIKE, Asked
from qtomo.observables.fidelity.duals import dual_fidelities
from qtomo.seeds import stream
from qtomo.statistics.bounds import mean_lower_limit

__all__ = ["dual_witness", "has_dual_witness"]

_RECORDS = 50_000  # different ones that a measurement can have, of which the extremes are looked for


def has_dual_witness(asked: Asked) -> bool:
    """Whether the measurement and the number of qubits allow it."""
    records = asked.records
    return (
        records.design != "listed" and records.povm.is_complete and records.povm.n_outcomes**records.n_sites <= _RECORDS
    )


def dual_witness(asked: Asked) -> Iterator[Certificate]:
    """F >= the lower limit of the mean of <ψ|D_a|ψ>, by bets on values between the least and the largest that there are
    (arXiv 2010.09686).
    """
    records = asked.records.whole()
    if not len(records) or not has_dual_witness(asked):
        return
    elements = records.povm.site_elements(records.n_sites)
    try:
        duals = np.broadcast_to(records.povm.duals(), elements.shape)
    except InputError:
        return  # not complete at some site
    all_there = itertools.product(range(records.povm.n_outcomes), repeat=records.n_sites)
    possible = dual_fidelities(asked.aim.state, np.array(list(all_there), np.uint8), duals)
    values = dual_fidelities(asked.aim.state, records.labels, duals)
    order = stream(asked.seed, "order of bets on duals").permutation(len(values))
    limit = mean_lower_limit(values[order], float(possible.min()), float(possible.max()), asked.level)
    value = min(1.0, limit)
    says = f"F ≥ {value:.4f} at {asked.level:.0%} (guaranteed)" if value > 0 else "no bound: too few shots"
    basis = "bets on dual values, between the least and the largest that there are"
    rests_on = [SHOTS_ALIKE, basis, AS_THE_FILE_SAYS]
    if records.has_settings:
        rests_on.append("the basis of each shot was drawn at random")
    yield Certificate(CertificateKind.DUALS, value, asked.level, says, rests_on, "finite-sample", value > 0)
