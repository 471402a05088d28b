"""Two local faults of one qubit, or of every qubit, fitted together.

A single fault may stand in for two: bit flips and phase flips of a qubit look like depolarizing, beside which neither
adds much, for depolarizing has too much of a third flip that would have to be taken away again. Scores of the records
in all directions at once, with either sign, tell cheaply whether there is something to find; pairs of kinds are then
fitted jointly. At one qubit the elements after two faults are a sum of products of functions of either strength, whose
weights in each record the local likelihoods tell; faults of every qubit are scored anew at each pair of strengths.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from qtomo.measurement.povm import POVM
from qtomo.states.born.local_likelihoods import pauli_coefficients
from qtomo.verification.context import Context
from qtomo.verification.faults.base import Explanation
from qtomo.verification.faults.local import LocalKind, applied, explanation, possible_kinds, ratios

__all__ = ["signed_gain", "together"]

Reals = NDArray[np.float64]
Surface = Callable[[float, float], float]

_FEW = 1_000  # records that pairs of kinds of every qubit are compared on
_FOLLOWED = 3  # of those, that are fitted to all records
_SLOPE = 1e-4  # strength at which a slope is taken
_ROUNDS = 80  # likelihoods at most of one joint fit


def signed_gain(context: Context, site: int | None) -> float:
    """Nats that the records would gain, to second order, by a little more or less of every kind of local fault at a
    qubit, or at every qubit where `site` is None: g F⁻¹ g / 2 with the scores g and their information F.
    """
    scores = []
    for local in possible_kinds(context):
        parts = local.parts(context.hypothesis.povm, context.records.n_sites)
        slope = np.diff(local.functions(np.array([0.0, _SLOPE])), axis=1)[:, 0] / _SLOPE
        found = np.zeros(len(context.rows))
        for piece, values in ratios(context, parts):
            slopes = np.einsum("k,kni->ni", slope, values)
            found[piece] = slopes.sum(axis=1) if site is None else slopes[:, site]
        scores.append(found)
    matrix = np.stack(scores)
    gradient, information = matrix @ context.counts, (matrix * context.counts) @ matrix.T
    return float(gradient @ np.linalg.pinv(information, rcond=1e-9, hermitian=True) @ gradient) / 2


def together(context: Context, site: int | None, beyond: float) -> tuple[Explanation, Explanation] | None:
    """The likeliest two faults of a qubit, or of every qubit where `site` is None; None where no two are likelier than
    `beyond`, a log-likelihood.
    """
    pairs = list(itertools.combinations(possible_kinds(context), 2))
    if site is None:
        pairs = [pair for pair in pairs if all(one.parameter == "probability" for one in pair)]
        few = context.part(_FEW, "pairs of kinds")
        found = _fitted(few, pairs, None)
        pairs = [pair for pair, _, _ in found[:_FOLLOWED]] if few is not context else pairs
    best = next(iter(_fitted(context, pairs, site)), None)
    if best is None or not best[2] > beyond:
        return None
    kinds, strengths, top = best
    first, second = (
        # beside another fault a strength has the curve that the other leaves it
        explanation(context, local.kind, site, (strength, top), lambda _: top)
        for local, strength in zip(kinds, strengths, strict=True)
    )
    return first, second


_Pair = tuple[LocalKind, LocalKind]


def _fitted(context: Context, pairs: list[_Pair], site: int | None) -> list[tuple[_Pair, tuple[float, float], float]]:
    """Pairs with their strengths and log-likelihoods, the likeliest first."""
    found = []
    for pair in pairs:
        surface = _of_every_qubit(context, pair) if site is None else _of_a_qubit(context, pair, site)
        found.append((pair, *_highest(surface, pair)))
    return sorted(found, key=lambda one: -one[2])


def _highest(surface: Surface, pair: _Pair) -> tuple[tuple[float, float], float]:
    """Where a surface is highest within the bounds, and how high: the best of a coarse grid, then a simplex from it."""
    values = {strengths: surface(*strengths) for strengths in itertools.product(*(one.coarse for one in pair))}
    start = max(values, key=lambda strengths: values[strengths])
    first, second = start
    found = optimize.minimize(
        lambda t: -max(surface(float(t[0]), float(t[1])), -1e300),
        start,
        method="Nelder-Mead",
        bounds=[one.bounds for one in pair],
        options={"maxfev": _ROUNDS, "xatol": 1e-4, "fatol": 1e-3},
    )
    if -found.fun > values[start]:
        return (float(found.x[0]), float(found.x[1])), -float(found.fun)
    return (first, second), values[start]


def _of_a_qubit(context: Context, pair: _Pair, site: int) -> Surface:
    """Log-likelihood of all records with the second fault after the first at a qubit, by both strengths."""
    first, second = pair
    povm = POVM(context.hypothesis.povm.site_elements(context.records.n_sites)[site])
    at_nodes = np.stack(
        [[second.change(first.change(povm, a, 1), b, 1).site_elements(1)[0] for b in second.nodes] for a in first.nodes]
    )
    coefficients = pauli_coefficients(np.concatenate([at_nodes, at_nodes.sum(axis=2, keepdims=True)], axis=2))
    inverses = (np.linalg.inv(one.functions(np.array(one.nodes)).T) for one in pair)
    parts = np.einsum("ka,lb,abop->klop", *inverses, coefficients)
    labels = np.minimum(context.rows[:, site], parts.shape[2] - 1)  # 255, a lost outcome, is the last
    weights = np.einsum("klnp,np->nkl", parts[:, :, labels], context.likelihoods.weights[:, site].astype(np.float64))
    base, counts = float(context.counts @ context.likelihoods.log_scale), context.counts

    def surface(one: float, other: float) -> float:
        a, b = (local.functions(np.array([t]))[:, 0] for local, t in zip(pair, (one, other), strict=True))
        with np.errstate(divide="ignore"):
            return base + float(counts @ np.log((weights @ b @ a).clip(0)))

    return surface


def _of_every_qubit(context: Context, pair: _Pair) -> Surface:
    """The same with both faults at every qubit; each pair of strengths is scored anew."""

    def surface(one: float, other: float) -> float:
        hypothesis = context.hypothesis
        for local, t in zip(pair, (one, other), strict=True):
            hypothesis = applied(hypothesis, local.kind, t, None)
        found = hypothesis.log_prob(context.rows)
        return float(context.counts @ found) if np.isfinite(found).all() else -np.inf

    return surface
