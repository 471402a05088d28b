"""The error budget of records: which local errors they have, and which of them cost fidelity."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from qtomo.errors import Code, InputError
from qtomo.states.mps import MPS
from qtomo.statistics.estimate import Estimate
from qtomo.verification.budget.costs import Costs
from qtomo.verification.budget.fitting import fitted
from qtomo.verification.budget.model import READOUT, ErrorModel, Reals
from qtomo.verification.budget.reading import Reading
from qtomo.verification.budget.residuals import Residuals
from qtomo.verification.budget.result import Budget, Entry, Tie, Tied
from qtomo.verification.checks.base import adjusted
from qtomo.verification.context import Context
from qtomo.verification.faults.base import FaultKind
from qtomo.verification.faults.local import LOCAL_KINDS
from qtomo.worded import Worded

__all__ = ["KINDS", "NoBudget", "error_budget", "no_budget"]

#: Errors of each qubit that are fitted, and of the target's Hamiltonian where it has such a parameter.
KINDS = (
    FaultKind.DEPOLARIZING,
    FaultKind.DEPHASING,
    FaultKind.AMPLITUDE_DAMPING,
    FaultKind.ROTATION_X,
    FaultKind.ROTATION_Y,
    FaultKind.ROTATION_Z,
    *READOUT,
    FaultKind.FIELD,
    FaultKind.ANISOTROPY,
)

_PER_PARAMETER = 20  # records that it takes to fit one strength
_UNEVEN = 0.5  # least weight of a strength in what is told of its group, of the mean, that is still called their sum
_LONGEST = 128  # qubits: the information of 8 strengths of each is a matrix of 1000 by 1000


class NoBudget(Worded):
    """Why there is none."""

    MIXED_TARGET = "mixed-target", "the target is not a pure state"
    TOO_MANY_QUBITS = "too-many-qubits", f"more than {_LONGEST} qubits"
    TOO_FEW_RECORDS = "too-few-records", f"fewer than {_PER_PARAMETER} records per strength that is fitted"


def no_budget(context: Context, kinds: Sequence[FaultKind] = KINDS) -> NoBudget | None:
    """Why the records have no error budget; None where they have one."""
    hypothesis = context.hypothesis
    if len(hypothesis.parts) > 1 or not isinstance(hypothesis.first.state, MPS):
        return NoBudget.MIXED_TARGET
    if hypothesis.n_sites > _LONGEST:
        return NoBudget.TOO_MANY_QUBITS
    if len(context.records) < _PER_PARAMETER * sum(kind in LOCAL_KINDS for kind in kinds) * hypothesis.n_sites:
        return NoBudget.TOO_FEW_RECORDS
    return None


def error_budget(context: Context, kinds: Sequence[FaultKind] = KINDS) -> Budget | None:
    """Fit errors of every qubit to records, and say what each costs; None where `no_budget` says why.

    Args:
        context: the records, and the target as it would be measured; calibration shots are a prior.
        kinds: local errors that are fitted at each qubit. Bit flips and Y flips beside dephasing are Pauli rates;
            depolarizing is a third of each, so that all four are not told apart.

    Raises:
        InputError: kinds of which none allows some of the records, as rotations alone do with a target that forbids
            outcomes.
    """
    if no_budget(context, kinds) is not None:
        return None
    model = ErrorModel.of(context, kinds)
    fit = fitted(context, model)
    if not math.isfinite(fit.log_likelihood):
        names = ", ".join(kind.words for kind in kinds)
        found = f"{context.records.name}: {fit.context.n_impossible:,} records that are impossible under {names}"
        raise InputError(Code.MISMATCH, f"{found}, expected kinds of error that allow them, such as depolarizing")
    reading = Reading(model, fit, context.options.level)
    target = context.hypothesis.first.state
    assert isinstance(target, MPS)
    costs = Costs(reading, target)
    context.options.progress.stage("error budget: fidelity")
    residuals = Residuals(reading)
    return Budget(
        fidelity=costs.fidelity(),
        entries=_entries(reading),
        kinds=costs.by_kind(),
        sites=costs.by_site(),
        tied=_tied(reading),
        tests=adjusted(list(residuals.tests())),
        correlations=residuals.correlations(),
        alpha=context.options.alpha,
        level=context.options.level,
        n_records=len(context.records),
    )


def _entries(reading: Reading) -> list[Entry]:
    """Every strength."""
    model = reading.model
    found = []
    for index, (kind, site) in enumerate(model.places):
        low, high = (float(bound[index]) for bound in model.bounds)
        slope = np.zeros(model.n_parameters)
        slope[index] = 1.0
        spread = reading.spread(float(reading.fit.theta[index]), slope)
        parameter = LOCAL_KINDS[kind].parameter if kind in LOCAL_KINDS else _of_shift(model)
        found.append(Entry(kind, site, parameter, reading.estimate(spread, low, high)))
    return found


def _of_shift(model: ErrorModel) -> str:
    assert model.shift is not None
    return model.shift.parameter.parameter


def _tied(reading: Reading) -> list[Tied]:
    """Strengths that are not told apart; those of the same kinds at one qubit each are named together."""
    model = reading.model
    alike: dict[tuple[tuple[FaultKind, ...], int], list[int]] = {}
    for number, (group, _) in enumerate(reading.groups):
        kinds = tuple(dict.fromkeys(model.places[index][0] for index in group))
        one = len({model.places[index][1] for index in group}) == 1
        alike.setdefault((kinds, -1 if one else number), []).append(number)
    found = []
    for (kinds, _), numbers in alike.items():
        members = np.concatenate([reading.groups[number][0] for number in numbers])
        bases = [reading.groups[number][1] for number in numbers]
        weights = np.concatenate([_weights_of_sum(basis) for basis in bases])
        total = None
        if weights.min() > _UNEVEN:
            slope = np.zeros(model.n_parameters)
            slope[members] = weights
            spread = reading.spread(float(reading.fit.theta @ slope), slope)
            total = reading.estimate(spread, *(float(bound[members] @ weights) for bound in model.bounds))
        sites = tuple(sorted({site for _, site in map(model.places.__getitem__, members) if site is not None}))
        found.append(Tied(_tie(kinds, bases, total), kinds, sites, total))
    return found


def _weights_of_sum(untold: Reals) -> Reals:
    """Of strengths in what is told of their sum, (strengths,), of mean 1; zeros where hardly any of it is.

    Args:
        untold: an orthonormal basis of what is not told, (strengths, directions). Errors that multiply, as flips of
            several qubits of a GHZ state do, are told together by a sum with weights that are not quite equal.
    """
    told = 1.0 - untold @ untold.sum(axis=0)
    return np.asarray(told / told.mean()) if told.mean() > _UNEVEN else np.zeros(len(untold))


def _tie(kinds: tuple[FaultKind, ...], bases: list[Reals], total: Estimate | None) -> Tie:
    if all(basis.shape[0] == basis.shape[1] for basis in bases):
        return Tie.UNSEEN
    if total is None and all(basis.shape[1] == 1 for basis in bases):
        return Tie.DIFFERENCES
    if set(kinds) & set(READOUT) and set(kinds) - set(READOUT):
        return Tie.READOUT
    return Tie.PLACE if len(kinds) == 1 else Tie.SEVERAL
