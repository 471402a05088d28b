"""Where records and target disagree: qubit by qubit, channel by channel, outcome by outcome, and along the shots."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import interpolate, stats

from qtomo.errors import InputError
from qtomo.measurement.povm import POVM
from qtomo.observables.estimates import estimate_observables
from qtomo.observables.paulis import exact_value, pauli
from qtomo.results import Matrix, stating
from qtomo.seeds import stream
from qtomo.states.born.local_likelihoods import pauli_coefficients
from qtomo.statistics.estimate import Estimate
from qtomo.statistics.evidence import likelihood_interval
from qtomo.verification.context import Context
from qtomo.verification.faults.base import FaultKind
from qtomo.verification.faults.local import (
    LOCAL_KINDS,
    LocalKind,
    applied,
    fit_strength,
    grid_curves,
    ratios,
    site_curve,
)

_ROUNDING = 1e-10  # nats, that a target which gives all records one probability differs by
__all__ = ["Batch", "HeatMap", "batch_map", "bond_map", "heat_map", "outcome_map", "site_map"]

Reals = NDArray[np.float64]

_MAPPED = (400_000, 2_000, 20_000)  # records times qubits, and records, that a map of qubits is fitted to
_ROUNDS = 6
_START = 0.02
_BLOCKS = 20
_MOST_BATCHES = 60
_BATCH, _FINE = 500, 13  # shots of a batch that its strength is fitted to, and strengths that it is refined at


@dataclass(frozen=True)
class Batch:
    """What the shots of one batch say; intervals are simultaneous over all batches.

    Args:
        by: what makes it a batch: the records' column `batch`, or their place in order or in time.
        first: its number in the column, or its first shot.
        last: the same number, or its last shot.
        log_prob: mean of ln P less that of exact records in the same settings; None where there are none.
        strength: of the mapped fault at every qubit.
    """

    by: Literal["batch", "order", "time"]
    first: float
    last: float
    log_prob: Estimate | None
    strength: Estimate

    _stated = stating("label")

    @property
    def label(self) -> str:
        """Which shots, in words."""
        if self.by == "batch":
            return f"batch {self.first:g}"
        return f"shots {self.first:.0f} to {self.last:.0f}{' by time' if self.by == 'time' else ''}"


@dataclass(frozen=True, eq=False)
class HeatMap:
    """Each local fault at each qubit alone, all else being as in the target.

    Args:
        kinds: of the rows.
        strengths: likeliest ones, (kinds, n_sites).
        gains: log-likelihood ratios to no fault, in nats, (kinds, n_sites).
    """

    kinds: list[FaultKind]
    strengths: Matrix
    gains: Annotated[Matrix, Field(alias="gains_nats")]

    def __post_init__(self) -> None:
        if self.strengths.shape != self.gains.shape or len(self.gains) != len(self.kinds):
            shapes = f"{len(self.kinds)} kinds, strengths {self.strengths.shape}, gains {self.gains.shape}"
            raise ValueError(f"{shapes}, expected one row per kind in both, all of one length")

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, HeatMap)
            and self.kinds == other.kinds
            and np.array_equal(self.strengths, other.strengths, equal_nan=True)
            and np.array_equal(self.gains, other.gains, equal_nan=True)
        )


def heat_map(context: Context) -> HeatMap:
    """Strength and evidence of each local fault at each qubit; where records are forbidden, beside as much
    depolarizing of every qubit as makes all of them possible.
    """
    kinds, strengths, gains = [], [], []
    if context.n_impossible:
        share = max(context.n_impossible / len(context.records) / context.records.n_sites, 1e-3)
        context = context.under(applied(context.hypothesis, FaultKind.DEPOLARIZING, min(share, 0.1), None))
    base = context.log_likelihood
    for kind in LOCAL_KINDS:
        try:
            grid, values, _ = context.once(grid_curves, kind)
        except InputError:
            continue
        best = values.argmax(axis=0)
        kinds.append(kind)
        strengths.append([_vertex(grid, values[:, site], int(place)) for site, place in enumerate(best)])
        gains.append((values.max(axis=0) - base).clip(0))
    shape = (len(kinds), context.records.n_sites)
    return HeatMap(kinds, np.array(strengths).reshape(shape), np.array(gains).reshape(shape))


def _vertex(grid: Reals, values: Reals, place: int) -> float:
    """The top of the parabola through the best of a grid and its neighbours."""
    if not 0 < place < len(grid) - 1 or not np.isfinite(values[place - 1 : place + 2]).all():
        return float(grid[place])
    a, b, c = grid[place - 1 : place + 2]
    fa, fb, fc = values[place - 1 : place + 2]
    slope = (b - a) ** 2 * (fb - fc) - (b - c) ** 2 * (fb - fa)
    scale = (b - a) * (fb - fc) - (b - c) * (fb - fa)
    return float(np.clip(b - 0.5 * slope / scale, a, c)) if scale else float(b)


def site_map(context: Context, kind: FaultKind) -> list[Estimate]:
    """A fault at every qubit, each with a strength of its own, all fitted together by maximum likelihood.

    Steps of Newton with the Fisher matrix of the records, within what is possible. Intervals are those of each qubit's
    likelihood, widened for the others that were fitted too, and hold for all qubits together (Bonferroni).

    Raises:
        InputError: a measurement that has no such fault.
    """
    product, fewest, most = _MAPPED
    part = context.part(min(most, max(fewest, product // context.records.n_sites)), "map")
    local = LOCAL_KINDS[kind]
    local.parts(context.hypothesis.povm, context.records.n_sites)
    strengths: Reals = np.full(context.records.n_sites, _START)
    inverse: Reals = np.eye(len(strengths))
    for _ in range(_ROUNDS):
        current = _with_strengths(part, local, strengths)
        gradient, fisher = _slopes(current, local, strengths, part)
        inverse = np.asarray(np.linalg.pinv(fisher, rcond=1e-9, hermitian=True), dtype=np.float64)
        free = ~(((strengths <= local.bounds[0]) & (gradient < 0)) | ((strengths >= local.bounds[1]) & (gradient > 0)))
        step = np.zeros_like(strengths)
        step[free] = np.linalg.pinv(fisher[np.ix_(free, free)], rcond=1e-9, hermitian=True) @ gradient[free]
        reach = 0.3 if local.bounds[0] == 0 else 0.5
        moved = np.asarray(np.clip(strengths + step.clip(-reach, reach), *local.bounds), dtype=np.float64)
        settled = float((moved - strengths) @ fisher @ (moved - strengths)) < 0.02 * len(strengths)
        strengths = moved
        if settled:
            break
    current = _with_strengths(part, local, strengths)
    povm = part.hypothesis.povm
    curves = [site_curve(current, kind, site, povm) for site in range(len(strengths))]
    return [
        _of_site(part, local, curve, (float(t), float(fisher[i, i]), float(inverse[i, i])))
        for i, (curve, t) in enumerate(zip(curves, strengths, strict=True))
    ]


def _with_strengths(context: Context, local: LocalKind, strengths: Reals) -> Context:
    n_sites = context.records.n_sites

    def change(povm: POVM) -> POVM:
        elements = povm.site_elements(n_sites)
        changed = [
            local.change(POVM(site), float(t), 1).elements if t else site
            for site, t in zip(elements, strengths, strict=True)
        ]
        return POVM(np.array(changed), povm.name)

    return context.under(context.hypothesis.measured(change))


def _slopes(current: Context, local: LocalKind, strengths: Reals, base: Context) -> tuple[Reals, Reals]:
    """Gradient and Fisher matrix of the log-likelihood in all strengths, (n_sites,) and (n_sites, n_sites)."""
    parts = local.parts(base.hypothesis.povm, base.records.n_sites)
    step = 1e-5
    inside = np.clip(strengths, local.bounds[0] + step, local.bounds[1] - step)
    change = (local.functions(inside + step) - local.functions(inside - step)) / (2 * step)  # (terms, n_sites)
    slope = np.einsum("kn,knap->nap", change, parts)[None]
    n_sites = len(strengths)
    gradient, fisher = np.zeros(n_sites), np.zeros((n_sites, n_sites))
    likelihoods = current.likelihoods
    for piece, found in ratios(current, slope):
        chance = likelihoods.chance[piece][:, None]
        scores = np.where(chance > 0, found[0] / np.where(chance > 0, chance, 1.0), 0.0).astype(np.float64)
        weighted = scores * current.counts[piece, None]
        gradient += weighted.sum(axis=0)
        fisher += weighted.T @ scores
    return gradient, fisher


def _of_site(
    base: Context, local: LocalKind, curve: Callable[[float], float], fitted: tuple[float, float, float]
) -> Estimate:
    """The strength at one site with the interval of its own likelihood, the others as they are; from the fitted
    strength and its diagonal entries of the Fisher matrix and of its inverse.
    """
    level, n = base.options.level, len(base.records)
    each = 1 - (1 - level) / base.records.n_sites
    method = "maximum likelihood of all qubits together, simultaneous likelihood-ratio intervals"
    strength, information, variance = fitted
    best, top = fit_strength(curve, [strength], local.bounds)
    if not math.isfinite(top):
        return Estimate(best, math.inf, *local.bounds, level, n, method)
    if not (information > 1e-9 and variance > 0):
        return Estimate(best, math.inf, *local.bounds, level, n, f"{method}; the records tell nothing of it")
    widening = math.sqrt(max(1.0, information * variance))
    low, high, error = likelihood_interval(curve, best, local.bounds, each, widening)
    return Estimate(best, error, min(low, best), max(high, best), level, n, method)


def bond_map(context: Context) -> list[Estimate]:
    """<Z_i Z_i+1> of the records minus the target's, with intervals that are simultaneous (Bonferroni)."""
    records, state = context.records, context.hypothesis.first.state
    wanted = [pauli(f"Z{i} Z{i + 1}") for i in range(records.n_sites - 1)]
    if not wanted or state is None:
        return []
    level = context.options.level
    try:
        measured = records.measured_by(context.hypothesis.povm)
        found = estimate_observables(wanted, measured, level=1 - (1 - level) / len(wanted))
    except InputError:
        return []  # some pair was never measured together
    estimates = []
    for observable in wanted:
        e, exact = found[observable.name], exact_value(observable, state)
        method = f"{e.method}, simultaneous"
        estimates.append(
            Estimate(e.value - exact, e.standard_error, e.low - exact, e.high - exact, level, e.n_records, method)
        )
    return estimates


def outcome_map(context: Context) -> list[list[Estimate]]:
    """Share of each outcome at each site less its exact probability, n_sites lists of n_outcomes.

    Of shots with settings, the shares are those among the shots in the outcome's basis. Intervals are Clopper and
    Pearson's and hold for all sites and outcomes together (Bonferroni). A single outcome may be right everywhere and
    pairs wrong: that shows in correlations alone.
    """
    n_sites, level = context.records.n_sites, context.options.level
    coefficients = pauli_coefficients(context.hypothesis.povm.site_elements(n_sites))
    exact = np.einsum("ikp,ip->ik", coefficients, context.hypothesis.marginals.sites).clip(0, 1)
    k = exact.shape[1]
    counts = np.stack([context.counts @ (context.rows == outcome) for outcome in range(k)], axis=1)
    totals = np.repeat(counts.sum(axis=1, keepdims=True), k, axis=1)
    if context.records.has_settings:
        exact = exact / np.repeat(exact.reshape(n_sites, -1, 2).sum(axis=2), 2, axis=1)
        totals = np.repeat(counts.reshape(n_sites, -1, 2).sum(axis=2), 2, axis=1)
    tail = (1 - level) / (2 * n_sites * k)
    low = np.where(counts > 0, stats.beta.ppf(tail, np.maximum(counts, 1), totals - counts + 1), 0.0)
    high = np.where(counts < totals, stats.beta.isf(tail, counts + 1, np.maximum(totals - counts, 1)), 1.0)
    share = np.where(totals > 0, counts / np.maximum(totals, 1), exact)
    method = "share less the exact probability, simultaneous Clopper-Pearson intervals"

    def one(i: int, j: int) -> Estimate:
        n = int(totals[i, j])
        error = math.sqrt(exact[i, j] * (1 - exact[i, j]) / n) if n else math.inf
        value, bottom, top = (float(a[i, j] - exact[i, j]) for a in (share, low, high))
        return Estimate(value, error, bottom, top, level, n, method, "finite-sample")

    return [[one(i, j) for j in range(k)] for i in range(n_sites)]


def batch_map(context: Context, kind: FaultKind) -> list[Batch]:
    """ln P and the strength of a fault, batch by batch: of the column `batch`, else of twenty parts in order.

    None where neither a batch nor the order of the shots is known.
    """
    groups = list(_groups(context))
    if not groups:
        return []
    strengths = _Strengths(context, LOCAL_KINDS[kind], [rows for *_, rows in groups])
    level = context.options.level
    each = 1 - (1 - level) / len(groups)
    paired, reference = context.reference
    difference = np.full(len(context.records), np.nan)
    with np.errstate(invalid="ignore"):
        found_less_exact = context.log_prob[paired] - reference.mean(axis=1)
        difference[paired] = np.where(np.abs(found_less_exact) > _ROUNDING, found_less_exact, 0.0)
    found: list[Batch] = []
    for by, first, last, rows in groups:
        values = difference[rows][np.isfinite(difference[rows])]
        log_prob = _mean(values, each, level) if len(values) > 1 else None
        found.append(Batch(by, first, last, log_prob, strengths.of(len(found), each)))
    return found


def _groups(context: Context) -> Iterator[tuple[Literal["batch", "order", "time"], float, float, NDArray[np.int64]]]:
    records = context.records
    named = records.columns.get("batch")
    if named is not None and 1 < len(np.unique(named)) <= _MOST_BATCHES:
        for value in np.unique(named):
            yield "batch", float(value), float(value), np.flatnonzero(named == value)
        return
    order = records.order
    if order is None:
        return
    end = 0
    for part in np.array_split(order, max(1, min(_BLOCKS, len(order) // 25))):
        end += len(part)
        yield "time" if "time" in records.columns else "order", end - len(part), end - 1, part


def _mean(values: Reals, each: float, level: float) -> Estimate:
    n = len(values)
    value, error = float(values.mean()), float(values.std(ddof=1)) / math.sqrt(n)
    reach = float(stats.t.ppf((1 + each) / 2, n - 1)) * error
    method = "mean ln P less that of exact records in the same settings, simultaneous Student intervals"
    return Estimate(value, error, value - reach, value + reach, level, n, method)


class _Strengths:
    """The strength of a fault at every qubit, batch by batch: all of them scored at once on a grid of strengths."""

    def __init__(self, context: Context, local: LocalKind, batches: list[NDArray[np.int64]]) -> None:
        rng = stream(context.options.seed, "batches")
        chosen = [rng.choice(rows, min(len(rows), _BATCH), replace=False) for rows in batches]
        self._level, self._local, self._sizes = context.options.level, local, [len(rows) for rows in chosen]
        self._context = context.of(context.records.take(np.concatenate(chosen)))
        self._grid, self._values = np.empty(0), np.empty((len(batches), 0))
        self._add(np.array([0.0, *local.coarse, *local.bounds]))
        best = self._values.argmax(axis=1)
        ends = self._grid[np.maximum(best - 1, 0)].min(), self._grid[np.minimum(best + 1, len(self._grid) - 1)].max()
        self._add(np.linspace(*ends, _FINE))

    def _add(self, strengths: Reals) -> None:
        new = np.setdiff1d(strengths, self._grid)
        columns = []
        for strength in new:
            moved = applied(self._context.hypothesis, self._local.kind, float(strength), None)
            logs = moved.log_prob(self._context.rows)[self._context.inverse]
            columns.append([part.sum() for part in np.split(logs, np.cumsum(self._sizes)[:-1])])
        order = np.argsort(grid := np.concatenate([self._grid, new]))
        values = np.concatenate([self._values, np.array(columns).T], axis=1)
        self._grid, self._values = grid[order], values[:, order]

    def of(self, batch: int, each: float) -> Estimate:
        """Of one batch, in an interval of confidence `each`."""
        values, n, bounds = self._values[batch], self._sizes[batch], self._local.bounds
        finite, method = np.isfinite(values), "maximum likelihood"
        if finite.sum() < 2:
            return Estimate(0.0, math.inf, *bounds, self._level, n, f"{method}; records it forbids")
        near = interpolate.PchipInterpolator(self._grid[finite], values[finite])
        inside = float(self._grid[finite][0]), float(self._grid[finite][-1])

        def curve(strength: float) -> float:
            return float(near(min(max(strength, inside[0]), inside[1])))

        best, _top = fit_strength(curve, self._grid[finite].tolist(), inside)
        low, high, error = likelihood_interval(curve, best, bounds, each)
        method += ", simultaneous likelihood-ratio intervals"
        return Estimate(best, error, min(low, best), max(high, best), self._level, n, method)
