"""Do outcomes drift along the shots?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from qtomo.seeds import stream
from qtomo.statistics.evidence import p_of_log_e
from qtomo.verification.checks.base import Test, TestKind
from qtomo.verification.context import Context
from qtomo.verification.faults.shots import segments

__all__ = ["changes", "drift"]

Reals = NDArray[np.float64]

_BLOCKS = 40
_PERMUTATIONS = 19_999
_PLENTY = 100  # permutations as extreme that are enough to say that p is far from any of interest
_FEWEST = 50
_VARIANCE = 10.0  # of a sum, in squares of what one shot may change, from which it is normal


def drift(context: Context) -> Iterator[Test]:
    """A listed fault that sets in along the shots, by its likelihood; and any change of outcomes, by permutation."""
    order = context.records.order
    if order is None or len(order) < 2:
        return
    found = context.once(segments).log_e()
    yield Test(TestKind.FAULT_SETS_IN, p_of_log_e(found), f"ln E = {found:.1f}")
    yield from changes(context, _features(context))


def changes(context: Context, features: Mapping[str, Reals]) -> Iterator[Test]:
    """Whether the mean of some feature of the records, (n,) each, changes along the shots.

    Largest jump between the means of a feature before and after a cut, over features and cuts.

    Blocks of shots of one measurement, or in settings drawn at random, are exchangeable if nothing changes: their
    permutations tell how large a jump may be. Of listed settings only shots of one setting are compared, and the jump
    is normal if there are enough of them (Bonferroni over features and cuts).
    """
    order = context.records.order
    if order is None or len(order) < _FEWEST or not features:
        return
    names, columns = list(features), np.stack(list(features.values()), axis=1)[order]
    n_blocks = min(_BLOCKS, len(order) // 25)
    block = np.arange(len(order)) * n_blocks // len(order)
    listed = context.records.design == "listed" and context.records.setting_index is not None
    if listed:
        assert context.records.setting_index is not None
        z = _jumps_within(columns, block, n_blocks, context.records.setting_index[order])
        found = float(z.max(initial=0.0))
        p_value = min(1.0, 2 * max(int((z > 0).sum()), 1) * float(stats.norm.sf(found)))
    else:
        spread = columns.std(axis=0)
        sums = np.stack([np.bincount(block, column, n_blocks) for column in columns.T], axis=1)
        sizes = np.bincount(block, minlength=n_blocks)[:, None]
        means = (sums / sizes - columns.mean(axis=0)) / np.where(spread > 1e-12, spread, np.inf)
        z = _jumps(means) * np.sqrt(len(order) / n_blocks)
        found = float(z.max())
        p_value = _permuted(means, float(_jumps(means).max()), stream(context.options.seed, "drift"))
    if not z.size or found == 0:
        return
    cut, which = (int(x) for x in np.unravel_index(int(z.argmax()), z.shape))
    row = int(order[int(np.flatnonzero(block == cut + 1)[0])])
    text = f"{found:.1f} σ, {names[which]}"
    yield Test(TestKind.DRIFT, p_value, text, place=f"row {row}")


def _features(context: Context) -> dict[str, Reals]:
    """Per record, by name: ln P, and each qubit's bit or outcomes."""
    logs = context.log_prob
    finite = np.isfinite(logs)
    found = {"ln P": np.where(finite, logs, logs[finite].min(initial=0.0) - 10.0)}
    outcomes = context.records.outcomes
    kinds = 2 if context.records.has_settings else min(context.hypothesis.povm.n_outcomes, 8)
    for site in range(outcomes.shape[1]):
        for outcome in range(1, kinds):
            found[f"qubit {site} as {outcome}"] = (outcomes[:, site] == outcome).astype(np.float64)
    return found


def _jumps(means: Reals) -> Reals:
    """Standardised difference between the means after and before each cut, (cuts, features), no sign."""
    n = len(means)
    before = np.arange(1, n)[:, None]
    found: Reals = np.abs(means.cumsum(axis=0)[:-1]) / np.sqrt(before * (n - before) / n)
    return found


def _permuted(means: Reals, found: float, generator: np.random.Generator) -> float:
    """Share of permutations of the blocks with as large a jump: more of them while it may matter."""
    beyond = tried = 0
    while tried < _PERMUTATIONS and beyond < _PLENTY:
        tried += 1
        beyond += _jumps(means[generator.permutation(len(means))]).max() >= found - 1e-9
    return (beyond + 1) / (tried + 1)


def _jumps_within(features: Reals, block: NDArray[np.int64], n_blocks: int, groups: NDArray[np.int64]) -> Reals:
    """Sums over the shots before each cut less what their settings' means give, over the standard error of drawing them
    without replacement, (cuts, features); 0 where that rests on few shots.
    """
    n_groups = int(groups.max()) + 1
    cells = np.bincount(groups * n_blocks + block, minlength=n_groups * n_blocks).reshape(n_groups, n_blocks)
    before = cells.cumsum(axis=1)[:, :-1].astype(np.float64)  # (settings, cuts)
    sizes = cells.sum(axis=1)[:, None].astype(np.float64)
    drawn = before * (sizes - before) / np.maximum(sizes * (sizes - 1), 1)  # times n var: variance of the sum
    found = np.zeros((n_blocks - 1, features.shape[1]))
    for column, feature in enumerate(features.T):
        sums = np.bincount(groups * n_blocks + block, feature, n_groups * n_blocks).reshape(n_groups, n_blocks)
        squares = np.bincount(groups, feature**2, n_groups)[:, None]
        means = sums.sum(axis=1, keepdims=True) / np.maximum(sizes, 1)
        variance = (drawn * (squares - sizes * means**2).clip(0)).sum(axis=0)
        excess = (sums.cumsum(axis=1)[:, :-1] - before * means).sum(axis=0)
        scale = float(np.ptp(feature)) ** 2
        enough = variance > _VARIANCE * scale
        found[enough, column] = np.abs(excess[enough]) / np.sqrt(variance[enough])
    return found
