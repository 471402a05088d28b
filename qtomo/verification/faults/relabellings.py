"""Records that were labelled otherwise than meant: bases, bits, the order of qubits or of shots.

A basis called by another's name or bits read the other way round are a signed permutation of the three axes, one of
48, at one qubit or at all. The order of qubits, of their bits or of their bases is a permutation of columns. Which
qubits were exchanged, and which bits flipped, is searched for in the expectations of pairs of qubits; the answer is
that of the likelihood. A labelling under which the target is what it was has the target's own likelihood and is never
an answer.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qtomo.distribution import LOST, Outcomes
from qtomo.measurement.povm import POVM
from qtomo.records.records import Records
from qtomo.states.born.local_likelihoods import pauli_coefficients
from qtomo.verification.context import Context
from qtomo.verification.faults.axes import AXES, Axes
from qtomo.verification.faults.base import Explanation, Fault, FaultKind
from qtomo.verification.faults.local import ratios
from qtomo.verification.faults.matching import flipped_qubits, permutations

__all__ = [
    "Relabelling",
    "better_labelling",
    "explanations",
    "global_relabellings",
    "one_qubit_log_ratios",
]

Reals = NDArray[np.float64]

_TRIED = 2000  # records that all relabellings of the chain are tried on
_EXCHANGED = 300  # records on which any two qubits are exchanged
_MOST_PAIRS = 400
_FOLLOWED = 12  # of these, how many are tried on all records
_ORDERS = math.log(3)  # an order reversed or shifted is a mistake made so often that few ways of it are counted
_FAR_BETTER = 20.0  # nats, and a tenth of one a record: far more than chance, or another fault, gives
_SAME = 1e-6  # nats per record below which a labelling changes nothing


@dataclass(frozen=True, eq=False)
class Relabelling:
    """One way in which all records may have been labelled wrongly.

    Args:
        fault: what it is called.
        apply: the records as they should have been labelled, or the measurement as it should have been read.
        kept: bits that are still there, in the order of the shots, where these are shifted.
    """

    fault: Fault
    apply: Callable[[Context], Context]
    kept: slice | None = None

    def gain(self, context: Context) -> float:
        """Log-likelihood of the records relabelled less that of the records as they are."""
        moved = self.apply(context)
        before = context.log_likelihood
        if self.kept is not None:
            before = float(context.log_prob[context.records.order][self.kept].sum())
        found = moved.log_likelihood
        return found - before if math.isfinite(before) else math.inf if math.isfinite(found) else math.nan


def _of_axes(axes: Axes, sites: tuple[int, ...] | None = None) -> Relabelling:
    def apply(context: Context) -> Context:
        records = context.records
        if records.has_settings:
            labels = records.labels.copy()
            chosen = slice(None) if sites is None else list(sites)
            lost = labels[:, chosen] == LOST
            labels[:, chosen] = np.where(lost, LOST, axes.labels()[np.minimum(labels[:, chosen], 5)])
            return context.of(_from_labels(records, labels))

        def change(povm: POVM) -> POVM:
            if sites is None:
                return POVM(axes.elements(povm), povm.name)
            elements = np.array(povm.site_elements(records.n_sites))
            for site in sites:
                elements[site] = axes.elements(POVM(elements[site]))
            return POVM(elements, povm.name)

        return context.under(context.hypothesis.measured(change))

    return Relabelling(Fault(axes.kind, sites, detail=axes.detail), apply)


def _from_labels(records: Records, labels: Outcomes) -> Records:
    """The same records with other labels, of shots their settings too."""
    moved = Records.from_labels(labels, records.povm, design=records.design, name=records.name)
    return moved._with(columns=records.columns, target=records.target, ordered=records.ordered)


def _of_columns(
    kind: FaultKind, order: Sequence[int], what: str, detail: str, sites: tuple[int, ...] | None
) -> Relabelling:
    """Columns in another order: of qubits (`both`), or of shots' bits or bases alone."""
    columns = list(order)

    def apply(context: Context) -> Context:
        records = context.records
        if not records.has_settings:
            return context.of(records.with_labels(np.ascontiguousarray(records.outcomes[:, columns])))
        bases = records.shot_settings if what == "bits" else records.shot_settings[:, columns]
        bits = records.outcomes if what == "bases" else records.outcomes[:, columns]
        labels = np.where(bits == LOST, LOST, 2 * bases + bits).astype(np.uint8)
        return context.of(_from_labels(records, labels))

    return Relabelling(Fault(kind, sites, detail=detail), apply)


def _of_shots(step: int) -> Relabelling:
    """Bits that stand beside the settings of another shot."""

    def apply(context: Context) -> Context:
        records = context.records
        order = records.order
        assert order is not None
        bases, bits = records.shot_settings[order], records.outcomes[order]
        bases, bits = (bases[:-1], bits[1:]) if step > 0 else (bases[1:], bits[:-1])
        labels = np.where(bits == LOST, LOST, 2 * bases + bits).astype(np.uint8)
        return context.of(Records.from_labels(labels, records.povm, design=records.design, name=records.name))

    fault = Fault(
        FaultKind.SHOTS_SHIFTED, detail=f"bits belong to the settings one row {'after' if step > 0 else 'before'}"
    )
    return Relabelling(fault, apply, slice(1, None) if step > 0 else slice(None, -1))


@functools.cache
def global_relabellings(n_sites: int, has_settings: bool, ordered: bool) -> tuple[Relabelling, ...]:
    """Every relabelling of the whole chain that has no place."""
    found = [_of_axes(axes) for axes in AXES]
    kinds = ("both", "bits", "bases") if has_settings else ("both",)
    if n_sites > 1:
        names = {"both": "of the qubits", "bits": "of the bits alone", "bases": "of the basis letters alone"}
        chain = list(range(n_sites))
        for what in kinds:
            found.append(_of_columns(FaultKind.ORDER_REVERSED, chain[::-1], what, names[what], None))
        for what, step in itertools.product(kinds, (1, -1)) if n_sites > 2 else ():
            moved = [(site + step) % n_sites for site in chain]
            words = f"{names[what].removeprefix('of ')}, to the {'right' if step > 0 else 'left'}"
            found.append(_of_columns(FaultKind.SITES_SHIFTED, moved, what, words, None))
    if has_settings and ordered:
        found += [_of_shots(1), _of_shots(-1)]
    return tuple(found)


def better_labelling(context: Context) -> Fault | None:
    """The relabelling of the whole chain that fits the target far better than the records as they are; None if none."""
    records = context.records
    gain, fault = 0.0, None
    for one in global_relabellings(records.n_sites, records.has_settings, ordered=False):
        found = one.gain(context)
        gain, fault = (found, one.fault) if found > gain else (gain, fault)
    return fault if gain > max(_FAR_BETTER, len(records) / 10) else None


def one_qubit_log_ratios(context: Context) -> Reals:
    """Log-likelihood of all records with the axes of one qubit moved, (len(AXES), n_sites)."""
    povm, n_sites = context.hypothesis.povm, context.records.n_sites
    found = np.zeros((len(AXES), n_sites))
    base = float(context.counts @ context.likelihoods.log_scale)
    with np.errstate(divide="ignore"):
        for index, axes in enumerate(AXES):
            table = pauli_coefficients(axes.elements(povm))
            table = np.broadcast_to(table, (n_sites, *table.shape[-2:]))
            parts = np.concatenate([table, table.sum(axis=1, keepdims=True)], axis=1)[None]
            for piece, values in ratios(context, parts):
                found[index] += context.counts[piece] @ np.log(values[0].clip(0), dtype=np.float64)
    return base + found


def explanations(context: Context, _best: float = -math.inf) -> Iterable[Explanation]:
    """Every relabelling that makes the records likelier than they are."""
    yield from _of_one_qubit(context)
    few = context.part(_TRIED, "relabellings")
    records = context.records
    ordered = records.has_settings and records.order is not None
    tried = list(global_relabellings(records.n_sites, records.has_settings, ordered))
    of_axes = [one for one in tried if one.fault.kind in (FaultKind.BASES_RELABELLED, FaultKind.BITS_EXCHANGED)]
    yield from _followed(context, few, of_axes, math.log(len(of_axes)))
    yield from _followed(context, few, [one for one in tried if one not in of_axes], _ORDERS)
    if records.n_sites > 1:
        yield from _of_found(context, few)


def _of_one_qubit(context: Context) -> Iterator[Explanation]:
    values = one_qubit_log_ratios(context)
    before = context.log_likelihood
    best = float(values.max())
    for index, site in np.argwhere(values > max(best - 6.0, before + 1e-6)).tolist()[:_FOLLOWED]:
        yield _explained(_of_axes(AXES[index], (site,)), float(values[index, site]), math.log(values.size))


def _followed(
    context: Context, few: Context, tried: Sequence[Relabelling], log_places: float, most: int = _FOLLOWED
) -> Iterator[Explanation]:
    """The relabellings that few records like best, with the likelihood of all."""
    gains = [one.gain(few) for one in tried]
    ranked = sorted((i for i, gain in enumerate(gains) if gain > _SAME * len(few.records)), key=lambda i: -gains[i])
    for index in ranked[:most]:
        gain = gains[index] if few is context else tried[index].gain(context)
        if not gain > 0:
            continue
        base = context.log_likelihood if math.isfinite(context.log_likelihood) else 0.0
        total = base + gain if math.isfinite(gain) else tried[index].apply(context).log_likelihood
        yield _explained(tried[index], total, log_places)


def _of_found(context: Context, few: Context) -> Iterator[Explanation]:
    """Exchanged qubits, and qubits whose bits are flipped, as the expectations of pairs suggest them."""
    n_sites = context.records.n_sites
    pairs = list(itertools.combinations(range(n_sites), 2))
    kinds = ("both", "bits") if context.records.has_settings else ("both",)
    if len(pairs) > _MOST_PAIRS:
        pairs = [(i, i + 1) for i in range(n_sites - 1)]
    tried = [_exchanged(n_sites, pair, what) for what in kinds for pair in pairs]
    fewer = few.part(_EXCHANGED, "exchanged")
    yield from _followed(context, fewer, tried, math.log(len(tried)))
    found = [
        _of_columns(FaultKind.QUBITS_EXCHANGED, order, "both", _cycles(order), None)
        if len(moved := [i for i, j in enumerate(order) if i != j]) != 2
        else _exchanged(n_sites, (moved[0], moved[1]), "both")
        for order in permutations(context)
    ]
    yield from _followed(context, few, found, math.lgamma(n_sites + 1), len(found))
    flipped = [_of_axes(axes, sites) for axes, sites in flipped_qubits(context)]
    yield from _followed(context, few, flipped, n_sites * math.log(2), len(flipped))


def _exchanged(n_sites: int, pair: tuple[int, int], what: str) -> Relabelling:
    order = list(range(n_sites))
    order[pair[0]], order[pair[1]] = pair[1], pair[0]
    return _of_columns(FaultKind.QUBITS_EXCHANGED, order, what, "" if what == "both" else "their bits alone", pair)


def _cycles(order: Sequence[int]) -> str:
    """A permutation as its cycles, or whole where these are many."""
    left, cycles = set(range(len(order))), []
    while left:
        cycle = [min(left)]
        while order[cycle[-1]] != cycle[0]:
            cycle.append(order[cycle[-1]])
        left -= set(cycle)
        if len(cycle) > 1:
            cycles.append(cycle)
    if len(cycles) <= 3 and all(len(cycle) <= 4 for cycle in cycles):
        return "; ".join(" → ".join(map(str, cycle)) for cycle in cycles)
    return f"the columns are qubits {' '.join(map(str, np.argsort(order)))}"


def _explained(one: Relabelling, log_likelihood: float, log_places: float) -> Explanation:
    return Explanation(one.fault, 0.0, log_likelihood, log_places, lambda context, _: one.apply(context))
