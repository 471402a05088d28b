"""Channels, rotations and misread bits, of one qubit or of every qubit alike.

A fault of one qubit changes the elements of its measurement, M_a to M_a(t), so that P_t(a) is exact at any strength
from the local likelihoods of the records, for those that the target forbids too. Elements are a sum of a few
functions of t: 1 and t for a mixing fault, 1, t and sqrt(1 - t) for amplitude damping, 1, cos t and sin t for a
rotation. The same fault of every qubit is another hypothesis, whose records are scored anew at each strength.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from qtomo.errors import InputError
from qtomo.measurement.noise import amplitude_damping, dephasing, depolarizing, noisy
from qtomo.measurement.povm import PAULIS, POVM
from qtomo.measurement.readout import with_readout_error
from qtomo.parallel import over_threads
from qtomo.states.born.local_likelihoods import pauli_coefficients
from qtomo.verification.context import Context
from qtomo.verification.faults.base import Explanation, Fault, FaultKind
from qtomo.verification.hypothesis import Hypothesis

__all__ = [
    "LOCAL_KINDS",
    "LocalKind",
    "anywhere_log_ratios",
    "applied",
    "everywhere_curve",
    "explanation",
    "explanations",
    "fit_strength",
    "grid_curves",
    "mixture_curve",
    "one_qubit_curves",
    "possible_kinds",
    "ratios",
    "site_curve",
]

Reals = NDArray[np.float64]

_CLOSE = 6.0  # nats below the likeliest qubit within which others are named too
_MOST_NAMED = 4
_SAME = 1e-4  # difference of log-likelihoods that rounding makes
_STAGES = (500, 3000)  # records that a search for the kind looks at before all
_BEHIND = 0.25  # of the best kind's gain, by which another may be behind on few records and still be followed
_STEPS = 14  # likelihoods at most that a fit of one strength takes after its grid
_LARGEST_TABLE = 2**20  # ratios at once


@dataclass(frozen=True)
class LocalKind:
    """A fault of a qubit, by strength.

    Args:
        kind: which.
        parameter: what its strength is.
        change: the measurement after it, for all qubits: (povm, strength, n_sites) to another.
        functions: of strengths (T,), those that elements are a sum of, (terms, T).
        nodes: strengths, as many as functions, that tell the coefficients.
        grid: strengths to begin a search with.
        coarse: fewer of them.
        bounds: of the strength.
        kraus: Kraus operators by strength; None for a bit that is misread, which leaves the state as it is.
    """

    kind: FaultKind
    parameter: str
    change: Callable[[POVM, float, int], POVM]
    functions: Callable[[Reals], Reals]
    nodes: tuple[float, ...]
    grid: tuple[float, ...]
    coarse: tuple[float, ...]
    bounds: tuple[float, float]
    kraus: Callable[[float], NDArray[np.complex128]] | None = None

    def parts(self, povm: POVM, n_sites: int) -> Reals:
        """Coefficients of I, X, Y, Z in the elements, by function: (terms, n_sites, K + 1, 4), the last element being
        that of a lost outcome.

        Raises:
            InputError: a measurement that has no such fault, as SIC has no bits to misread.
        """
        found = _parts(self.kind, povm)
        return found if found.shape[1] == n_sites else np.broadcast_to(found, (len(found), n_sites, *found.shape[2:]))


def _channel(kraus: Callable[[float], NDArray[np.complex128]]) -> Callable[[POVM, float, int], POVM]:
    return lambda povm, strength, n_sites: noisy(povm, kraus(strength), n_sites)


def _flip(letter: str) -> Callable[[float], NDArray[np.complex128]]:
    """The Pauli of a letter acts with some probability."""
    return lambda p: np.stack([math.sqrt(1 - p) * PAULIS["I"], math.sqrt(p) * PAULIS[letter]])


def _rotation(letter: str) -> Callable[[float], NDArray[np.complex128]]:
    """exp(-i angle P/2)."""
    return lambda angle: (math.cos(angle / 2) * PAULIS["I"] - 1j * math.sin(angle / 2) * PAULIS[letter])[None]


def _misread(bit: int) -> Callable[[POVM, float, int], POVM]:
    """A bit read as the other with some probability, beyond what the POVM says."""

    def change(povm: POVM, strength: float, n_sites: int) -> POVM:
        if not povm.measures_bases:
            return with_readout_error(povm, strength * (bit == 0), strength * (bit == 1), n_sites)
        elements = povm.elements.copy()
        elements[..., 1 - bit :: 2, :, :] += strength * elements[..., bit::2, :, :]
        elements[..., bit::2, :, :] *= 1 - strength
        return POVM(elements, povm.name)

    return change


def _linear(t: Reals) -> Reals:
    return np.stack([np.ones_like(t), t])


def _damped(t: Reals) -> Reals:
    return np.stack([np.ones_like(t), t, np.sqrt(1 - t)])


def _angular(t: Reals) -> Reals:
    return np.stack([np.ones_like(t), np.cos(t), np.sin(t)])


_SHARES = (0.002, 0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6, 1.0)
_COARSE = (0.005, 0.02, 0.06, 0.15, 0.4)
_WIDE = (-1.6, -0.6, -0.2, -0.07, -0.02, 0.02, 0.07, 0.2, 0.6, 1.6)
_ANGLES = (*(sign * angle for angle in (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6) for sign in (1, -1)), math.pi)


_PROBABILITIES = (_SHARES, _COARSE, (0.0, 1.0))


def _mixing(kind: FaultKind, kraus: Callable[[float], NDArray[np.complex128]]) -> LocalKind:
    return LocalKind(kind, "probability", _channel(kraus), _linear, (0.0, 1.0), *_PROBABILITIES, kraus)


def _misreading(kind: FaultKind, bit: int) -> LocalKind:
    return LocalKind(kind, "probability", _misread(bit), _linear, (0.0, 1.0), *_PROBABILITIES)


def _damping() -> LocalKind:
    change, nodes = _channel(amplitude_damping), (0.0, 0.5, 1.0)
    kind = FaultKind.AMPLITUDE_DAMPING
    return LocalKind(kind, "probability", change, _damped, nodes, *_PROBABILITIES, amplitude_damping)


def _turning(kind: FaultKind, letter: str) -> LocalKind:
    nodes, kraus = (0.0, 2 * math.pi / 3, -2 * math.pi / 3), _rotation(letter)
    return LocalKind(kind, "angle", _channel(kraus), _angular, nodes, _ANGLES, _WIDE, (-math.pi, math.pi), kraus)


#: All of them by kind. Bits misread either way with probability p are depolarizing of 2p for any measurement of bases.
LOCAL_KINDS: dict[FaultKind, LocalKind] = {
    one.kind: one
    for one in (
        _mixing(FaultKind.DEPOLARIZING, depolarizing),
        _mixing(FaultKind.DEPHASING, dephasing),
        _mixing(FaultKind.BIT_FLIP, _flip("X")),
        _mixing(FaultKind.BIT_PHASE_FLIP, _flip("Y")),
        _damping(),
        _misreading(FaultKind.READOUT_0_TO_1, 0),
        _misreading(FaultKind.READOUT_1_TO_0, 1),
        _turning(FaultKind.ROTATION_X, "X"),
        _turning(FaultKind.ROTATION_Y, "Y"),
        _turning(FaultKind.ROTATION_Z, "Z"),
    )
}


@functools.lru_cache(maxsize=256)
def _parts(kind: FaultKind, povm: POVM) -> Reals:
    local = LOCAL_KINDS[kind]
    n_sites = povm.n_sites or 1
    at_nodes = np.stack([local.change(povm, node, n_sites).site_elements(n_sites) for node in local.nodes])
    lost = np.sum(at_nodes, axis=2, keepdims=True)
    coefficients = pauli_coefficients(np.concatenate([at_nodes, lost], axis=2))
    inverse = np.linalg.inv(local.functions(np.array(local.nodes)).T)
    found: Reals = np.einsum("ks,snap->knap", inverse, coefficients)
    return found


def applied(hypothesis: Hypothesis, kind: FaultKind, strength: float, site: int | None) -> Hypothesis:
    """A hypothesis with a local fault at a site, or at every site."""
    local = LOCAL_KINDS[kind]

    def change(povm: POVM) -> POVM:
        if site is None:
            return local.change(povm, strength, hypothesis.n_sites)
        elements = np.array(povm.site_elements(hypothesis.n_sites))
        elements[site] = local.change(POVM(elements[site]), strength, 1).elements
        return POVM(elements, povm.name)

    return hypothesis.measured(change)


def ratios(context: Context, parts: Reals) -> Iterator[tuple[slice, Reals]]:
    """Pieces of the rows, with the coefficient of each function in P(a)/exp(log_scale): (terms, rows, n_sites).

    The first function is 1. Where the parts of a mixture measure a site differently, no fault is looked for there.
    """
    for piece in _pieces(context):
        yield piece, _ratios(context, parts, piece)


def _pieces(context: Context) -> list[slice]:
    n, n_sites = context.rows.shape
    step = max(1, _LARGEST_TABLE // n_sites)
    return [slice(first, min(first + step, n)) for first in range(0, n, step)]


def _ratios(context: Context, parts: Reals, piece: slice) -> Reals:
    likelihoods, plain = context.likelihoods, context.hypothesis.plain_sites
    labels = np.minimum(context.rows[piece], parts.shape[2] - 1)  # 255, a lost outcome, is the last
    table = parts.astype(np.float32)[:, np.arange(labels.shape[1]), labels]
    found: Reals = np.einsum("knip,nip->kni", table, likelihoods.weights[piece])
    if not plain.all():
        found[:, :, ~plain] = 0.0
        found[0][:, ~plain] = likelihoods.chance[piece][:, None]
    return found


def one_qubit_curves(context: Context, kind: FaultKind, strengths: Reals) -> tuple[Reals, Reals]:
    """Log-likelihood of all records with the fault at each one qubit, (T, n_sites); and at one that is drawn at random
    for each record, (T,), by strength.

    Raises:
        InputError: a measurement that has no such fault.
    """
    local = LOCAL_KINDS[kind]
    parts = local.parts(context.hypothesis.povm, context.records.n_sites)
    functions = local.functions(strengths).astype(np.float32)
    at_site = np.zeros((len(strengths), context.records.n_sites))
    anywhere = np.zeros(len(strengths))
    base = float(context.counts @ context.likelihoods.log_scale)

    def sums(piece: slice) -> list[tuple[Reals, float]]:
        counts, found = context.counts[piece], _ratios(context, parts, piece)
        values = (np.einsum("k,kni->ni", weights, found).clip(0) for weights in functions.T)
        with np.errstate(divide="ignore"):
            return [
                (counts @ np.log(one), float(counts @ np.log(one.mean(axis=1, dtype=np.float64)))) for one in values
            ]

    for found in over_threads(sums, _pieces(context)):
        for index, (each, mean) in enumerate(found):
            at_site[index] += each
            anywhere[index] += mean
    return base + at_site, base + anywhere


def grid_curves(context: Context, kind: FaultKind) -> tuple[Reals, Reals, Reals]:
    """`one_qubit_curves` on the grid of the kind, in order and with zero: the strengths, and both of its parts.

    Raises:
        InputError: as there.
    """
    strengths = np.array(sorted({*LOCAL_KINDS[kind].grid, 0.0}))
    return strengths, *one_qubit_curves(context, kind, strengths)


def anywhere_log_ratios(context: Context, kind: FaultKind, strengths: Reals) -> Reals:
    """ln P_t/P_0 of each of the rows with the fault at a qubit drawn at random for each record, (T, rows); infinite for
    rows that are impossible without it.
    """
    local = LOCAL_KINDS[kind]
    parts = local.parts(context.hypothesis.povm, context.records.n_sites)
    functions = local.functions(strengths)
    found = np.zeros((len(strengths), len(context.rows)))
    with np.errstate(divide="ignore"):
        for piece, values in ratios(context, parts):
            found[:, piece] = np.log((functions.T @ values.mean(axis=2, dtype=np.float64)).clip(0))
    likelihoods = context.likelihoods
    possible = np.isfinite(likelihoods.log_prob)
    chance = np.where(possible, likelihoods.log_prob, 0.0) - np.where(possible, likelihoods.log_scale, 0.0)
    return np.where(possible, found - chance, np.inf)


def site_curve(context: Context, kind: FaultKind, site: int, povm: POVM | None = None) -> Callable[[float], float]:
    """Log-likelihood of all records with the fault at one qubit, by strength; before `povm`, which may be another there
    than the hypothesis has.
    """
    local = LOCAL_KINDS[kind]
    parts = local.parts(povm or context.hypothesis.povm, context.records.n_sites)[:, site]
    labels = np.minimum(context.rows[:, site], parts.shape[1] - 1)
    found = np.einsum("knp,np->kn", parts[:, labels], context.likelihoods.weights[:, site].astype(np.float64))
    base, counts = float(context.counts @ context.likelihoods.log_scale), context.counts

    def curve(strength: float) -> float:
        weights = local.functions(np.array([strength]))[:, 0]
        with np.errstate(divide="ignore"):
            return base + float(counts @ np.log((weights @ found).clip(0)))

    return curve


def everywhere_curve(context: Context, kind: FaultKind) -> Callable[[float], float]:
    """Log-likelihood of all records with the fault at every qubit, by strength; each strength is scored once."""

    @functools.cache
    def curve(strength: float) -> float:
        found = applied(context.hypothesis, kind, strength, None).log_prob(context.rows)
        return float(context.counts @ found) if np.isfinite(found).all() else -math.inf

    return curve


def fit_strength(
    curve: Callable[[float], float], grid: Iterable[float], bounds: tuple[float, float]
) -> tuple[float, float]:
    """The strength of largest log-likelihood and that likelihood: the best of a grid, then a search between its
    neighbours.
    """
    strengths = sorted({*grid, *bounds})
    values = [curve(t) for t in strengths]
    best = int(np.argmax(values))
    if not math.isfinite(values[best]):
        return strengths[best], values[best]
    low, high = strengths[max(best - 1, 0)], strengths[min(best + 1, len(strengths) - 1)]
    found = optimize.minimize_scalar(
        lambda t: -max(curve(float(t)), -1e300),
        bounds=(low, high),
        method="bounded",
        options={"xatol": 1e-4 * (high - low), "maxiter": _STEPS},
    )
    if -found.fun > values[best]:
        return float(found.x), -float(found.fun)
    return strengths[best], values[best]


def mixture_curve(before: Reals, other: Reals, counts: Reals) -> Callable[[float], float]:
    """Log-likelihood of records in a mixture of two distributions, by the share of the second.

    Args:
        before: ln P of different records in the first, (rows,).
        other: in the second, (rows,).
        counts: how often each is there, (rows,).
    """

    def curve(share: float) -> float:
        if not 0 < share < 1:
            logs = other if share else before
        else:
            logs = np.logaddexp(np.log1p(-share) + before, np.log(share) + other)
        return float(counts @ logs) if np.isfinite(logs).all() else -math.inf

    return curve


def possible_kinds(context: Context) -> list[LocalKind]:
    """Local faults that the measurement can have: one without bits has none to misread."""
    found = []
    for local in LOCAL_KINDS.values():
        try:
            local.parts(context.hypothesis.povm, context.records.n_sites)
        except InputError:
            continue
        found.append(local)
    return found


def explanations(context: Context, _best: float = -math.inf) -> Iterable[Explanation]:
    """Every local fault of one qubit at its likeliest qubits, and of every qubit where it may be the best."""
    found: list[Explanation] = []
    for local in possible_kinds(context):
        found += _of_one_qubit(context, local)
    return [*found, *_of_every_qubit(context, max(found, key=lambda one: one.score, default=None))]


def _applying(kind: FaultKind, site: int | None) -> Callable[[Context, float], Context]:
    """Records under a local fault, by strength."""
    return lambda context, strength: context.under(applied(context.hypothesis, kind, strength, site))


def explanation(
    context: Context,
    kind: FaultKind,
    site: int | None,
    fitted: tuple[float, float],
    curve: Callable[[float], float],
) -> Explanation:
    """A local fault at a site, or at every site, with its strength and the log-likelihood there."""
    local, places = LOCAL_KINDS[kind], 1 if site is None else context.records.n_sites
    fault = Fault(kind, None if site is None else (site,), parameter=local.parameter)
    return Explanation(fault, *fitted, math.log(places), _applying(kind, site), curve, local.bounds)


def _of_one_qubit(context: Context, local: LocalKind) -> Iterator[Explanation]:
    """At the likeliest qubits, and at all others where the fault gives the same distribution as there."""
    kind = local.kind
    strengths, values, _ = context.once(grid_curves, kind)
    values = values[strengths != 0]
    best = values.max(axis=0)
    left = [int(site) for site in np.argsort(-best, kind="stable")]
    for _ in range(min(_MOST_NAMED, len(left))):
        site = left[0]
        if best[site] < best.max() - _CLOSE:
            return
        curve = site_curve(context, kind, site)
        fitted = fit_strength(curve, local.grid, local.bounds)
        alike = [other for other in left if np.allclose(values[:, other], values[:, site], 0, _SAME)]
        yield from (explanation(context, kind, other, fitted, curve) for other in alike)
        left = [other for other in left if other not in alike]
        if not left:
            return


def _of_every_qubit(context: Context, rival: Explanation | None) -> Iterator[Explanation]:
    """Kinds and strengths are searched for on few records first; what is far behind there is not followed, behind the
    best kind or behind a fault of one qubit.
    """
    if context.records.n_sites == 1:
        return
    guesses = {local.kind: (local.coarse, local.bounds) for local in possible_kinds(context)}
    for most in _STAGES:
        part = context.part(most, "strengths")
        found: dict[FaultKind, tuple[float, float, tuple[float, float]]] = {}
        for kind, (grid, bounds) in guesses.items():
            strength, top, around = _bracketed(everywhere_curve(part, kind), grid, bounds)
            found[kind] = strength, top, around
        best = max(top for _, top, _ in found.values())
        if rival is not None:
            best = max(best, rival.apply(part, rival.strength).log_likelihood)
        before = part.log_likelihood
        reach = _CLOSE + _BEHIND * ((best - before) if math.isfinite(before) else 0.1 * len(part.records))
        kept = {kind: one for kind, one in found.items() if one[1] >= best - reach}
        guesses = {kind: (_between(around), around) for kind, (_, _, around) in kept.items()}
        if part is context or not guesses:
            break
    for kind, (_, bounds) in guesses.items():
        curve = everywhere_curve(context, kind)
        yield explanation(context, kind, None, fit_strength(curve, _between(bounds), bounds), curve)


def _bracketed(
    curve: Callable[[float], float], grid: Sequence[float], bounds: tuple[float, float]
) -> tuple[float, float, tuple[float, float]]:
    """The best of a grid, its log-likelihood, and its neighbours there, between which the peak is."""
    strengths = sorted({*grid, *bounds})
    values = [curve(t) for t in strengths]
    best = int(np.argmax(values))
    return strengths[best], values[best], (strengths[max(best - 1, 0)], strengths[min(best + 1, len(values) - 1)])


def _between(bounds: tuple[float, float]) -> tuple[float, ...]:
    return tuple(np.linspace(*bounds, 5)[1:-1].tolist())
