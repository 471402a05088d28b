"""Figures of a verification: which qubits, bonds, outcomes and batches of shots disagree with the target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from qtomo.reporting.style import BLUE, GREY, VERMILION, letters, new_figure, reaches
from qtomo.statistics.estimate import Estimate
from qtomo.verification.budget.result import Budget
from qtomo.verification.result import Verification

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["batch_figure", "budget_figure", "fault_map", "heat_figure", "outcome_figure"]

_WIDTH = 4.8
_VECTORS = 4000  # cells of a map that are drawn one by one
_TICKS = 7


@letters()
def fault_map(found: Verification) -> Figure:
    """Strength of the mapped fault at each qubit, and the misfit of each neighbours' <ZZ>.

    Intervals are simultaneous: where one leaves the line at zero, that qubit or bond is at fault.
    """
    figure = new_figure(_WIDTH, 4.8 if found.map.bonds else 2.6)
    panels = figure.subplots(2 if found.map.bonds else 1, 1, squeeze=False)[:, 0]
    _places(panels[0], found.map.sites, np.arange(len(found.map.sites)), f"{found.map.fault.words}", "site")
    if found.map.bonds:
        places = np.arange(len(found.map.bonds)) + 0.5
        _places(panels[1], found.map.bonds, places, "⟨ZZ⟩, records − target", "bond, between sites i and i + 1")
    return figure


@letters()
def heat_figure(found: Verification) -> Figure:
    """Evidence of each local fault at each qubit alone, in nats, on a logarithmic scale."""
    gains = found.map.heat.gains
    figure = new_figure(_WIDTH, 1.5 + 0.27 * len(gains))
    axes = figure.subplots()
    shown = np.log10(1 + gains)
    picture = axes.pcolormesh(
        np.arange(gains.shape[1] + 1) - 0.5, np.arange(len(gains) + 1) - 0.5, shown, cmap="Blues", vmin=0.0,
        vmax=max(2.0, float(shown.max(initial=0.0))), rasterized=gains.size > _VECTORS,
    )  # fmt: skip
    axes.set_yticks(range(len(gains)), [kind.words for kind in found.map.heat.kinds])
    axes.invert_yaxis()
    axes.set_xlabel("site")
    figure.colorbar(picture, label="log10(1 + nats)")
    return figure


@letters()
def outcome_figure(found: Verification) -> Figure:
    """Each outcome's share at each site less its exact probability, in standard errors; + and − where it is off.

    Raises:
        ValueError: the verification has no map of outcomes.
    """
    if not found.map.outcomes:
        raise ValueError("the verification has no map of outcomes")
    values = np.array(
        [[e.value / e.standard_error if e.standard_error > 0 else 0.0 for e in s] for s in found.map.outcomes]
    )
    n_sites, k = values.shape
    figure = new_figure(_WIDTH, 1.5 + 0.27 * k)
    axes = figure.subplots()
    reach = max(4.0, float(np.nanmax(np.abs(values))))
    picture = axes.pcolormesh(
        np.arange(n_sites + 1) - 0.5, np.arange(k + 1) - 0.5, values.T, cmap="PuOr_r", vmin=-reach, vmax=reach,
        rasterized=values.size > _VECTORS,
    )  # fmt: skip
    dark, light = "#000001", "#fffffe"  # of the cells, which stay as they are in the dark
    for site, estimates in enumerate(found.map.outcomes):
        for outcome, e in enumerate(estimates):
            if e.low > 0 or e.high < 0:
                axes.text(
                    site,
                    outcome,
                    "+" if e.value > 0 else "−",
                    ha="center",
                    va="center",
                    color=dark if abs(values[site, outcome]) < 0.6 * reach else light,
                )
    axes.set_yticks(range(k))
    axes.invert_yaxis()
    axes.set_xlabel("site")
    axes.set_ylabel("outcome")
    figure.colorbar(picture, label="share − exact\n(standard errors)")
    return figure


@letters()
def batch_figure(found: Verification) -> Figure:
    """The mapped fault on every qubit, and the mean ln P less the exact one, batch by batch along the shots.

    Raises:
        ValueError: there are no batches.
    """
    batches = found.map.batches
    if not batches:
        raise ValueError("there are no batches of shots")
    scored = all(batch.log_prob is not None for batch in batches)
    figure = new_figure(_WIDTH, 4.6 if scored else 2.6)
    panels = figure.subplots(2 if scored else 1, 1, squeeze=False)[:, 0]
    where = "batch" if batches[0].by == "batch" else "first shot of the batch"
    places = np.arange(len(batches))
    _places(panels[0], [batch.strength for batch in batches], places, f"{found.map.fault.words}\non every qubit", where)
    if scored:
        misfits = [batch.log_prob for batch in batches if batch.log_prob is not None]
        _places(panels[1], misfits, places, "mean ln P, less exact\n(nats per record)", where)
    shown = places[:: -(-len(places) // _TICKS)]
    for panel in panels:
        panel.set_xticks(shown, [f"{batches[place].first:.12g}" for place in shown])
    return figure


@letters()
def budget_figure(found: Budget) -> Figure:
    """Share of the infidelity that each kind of error costs, the largest first, and that each qubit costs, with
    intervals.
    """
    kinds = sorted(found.kinds, key=lambda cost: -cost.share.value)
    figure = new_figure(_WIDTH, 2.4 + 0.27 * len(kinds))
    above, below = figure.subplots(2, 1, height_ratios=(1 + len(kinds), 7))
    shares = [cost.share for cost in kinds]
    names = [cost.kind.words if cost.kind is not None else "" for cost in kinds]
    above.barh(range(len(kinds)), [e.value for e in shares], color=BLUE, xerr=reaches(shares), capsize=1.5)
    above.set_yticks(range(len(kinds)), names)
    above.invert_yaxis()
    above.set_xlabel("share of the infidelity")
    shares = [cost.share for cost in found.sites]
    below.bar(range(len(shares)), [e.value for e in shares], color=BLUE, yerr=reaches(shares), capsize=1.5)
    below.set_xlabel("site")
    below.set_ylabel("share of the infidelity")
    above.set_xlim(0, 1)
    below.set_ylim(0, None)
    return figure


def _places(axes: Axes, estimates: Sequence[Estimate], places: Any, label: str, where: str) -> None:
    """An estimate a place; those whose interval leaves zero in another colour and marker."""
    off = np.array([e.low > 0 or e.high < 0 for e in estimates])
    values, reach = np.array([e.value for e in estimates]), reaches(estimates)
    for chosen, colour, marker, name in ((~off, BLUE, "o", "agrees"), (off, VERMILION, "D", "off")):
        if chosen.any():
            axes.errorbar(
                places[chosen], values[chosen], yerr=reach[:, chosen], color=colour, marker=marker, linestyle="",
                markersize=3.5, capsize=1.5, elinewidth=0.8, label=name,
            )  # fmt: skip
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.set_xlabel(where)
    axes.set_ylabel(label)
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncol=2, borderaxespad=0.1)
