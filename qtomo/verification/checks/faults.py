"""Tests for listed faults, each by a likelihood ratio averaged over strengths and places: an e-value."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from qtomo.errors import InputError
from qtomo.statistics.evidence import log_mean_exp, p_of_log_e
from qtomo.verification.checks.base import Test, TestKind
from qtomo.verification.context import Context
from qtomo.verification.faults.local import LOCAL_KINDS, grid_curves
from qtomo.verification.faults.parameters import log_e, parameters_of
from qtomo.verification.faults.relabellings import global_relabellings, one_qubit_log_ratios

__all__ = ["local_faults", "parameters", "relabelled"]

Reals = NDArray[np.float64]

_TRIED = 2000  # records that relabellings of the whole chain are tried on


def _above(values: Reals, before: float) -> Reals:
    """Log-likelihoods less that of the hypothesis, where this may have none."""
    if math.isfinite(before):
        return values - before
    return np.where(np.isfinite(values), np.inf, 0.0)


def local_faults(context: Context) -> Iterator[Test]:
    """Each local fault of one qubit, whichever, and of every qubit (as one drawn at random for each record)."""
    before = context.log_likelihood
    for kind in LOCAL_KINDS:
        try:
            strengths, *curves = context.once(grid_curves, kind)
        except InputError:
            continue  # a measurement without bits has none to misread
        sites, anywhere = (values[strengths != 0] for values in curves)
        at_site = _above(sites, before)
        where = int(sites.max(axis=0).argmax())
        found = log_mean_exp(at_site)
        yield Test(TestKind.ONE_QUBIT, p_of_log_e(found), _text(found), kind, (where,))
        if context.records.n_sites > 1:
            found = log_mean_exp(_above(anywhere, before))
            yield Test(TestKind.EVERY_QUBIT, p_of_log_e(found), _text(found), kind)


def relabelled(context: Context) -> Iterator[Test]:
    """Axes of one qubit called by others' names, and relabellings of the whole chain."""
    values, records = one_qubit_log_ratios(context), context.records
    found = log_mean_exp(_above(values, context.log_likelihood))
    where = int(values.max(axis=0).argmax())
    yield Test(TestKind.RELABELLED_QUBIT, p_of_log_e(found), _text(found), sites=(where,))
    few, order = context.part(_TRIED, "relabellings"), records.order
    ordered = records.has_settings and order is not None and len(order) > 1
    first = context.of(records.take(order[:_TRIED])) if ordered and order is not None else few  # neighbours stay so
    gains = [
        one.gain(few if one.kept is None else first)
        for one in global_relabellings(records.n_sites, records.has_settings, ordered)
    ]
    found = log_mean_exp([0.0 if math.isnan(gain) else gain for gain in gains])
    yield Test(TestKind.RELABELLED, p_of_log_e(found), _text(found))


def parameters(context: Context) -> Iterator[Test]:
    """A parameter of the Hamiltonian that is off."""
    for parameter in parameters_of(context.hypothesis.system):
        found = log_e(context, parameter)
        yield Test(TestKind.PARAMETER, p_of_log_e(found), _text(found), parameter.kind)


def _text(log_e_value: float) -> str:
    return f"ln E = {log_e_value:.1f}"
