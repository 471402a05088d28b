"""Figures of a verification: where records and target disagree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from qtomo.analysis.verdict import Verification
from qtomo.report.canvas import BLUE, GREY, VERMILION, letters, new_figure, reaches

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["fault_map"]


@letters()
def fault_map(found: Verification) -> Figure:
    """Strength of depolarizing at each qubit, and the misfit of each neighbours' <ZZ>.

    Intervals hold together: where one leaves the line at zero, that qubit or bond is at fault.
    """
    figure = new_figure(6.0, 5.4 if found.bonds else 3.0)
    panels = figure.subplots(2 if found.bonds else 1, 1, squeeze=False)[:, 0]
    quantities = (
        (found.sites, 0.0, "depolarizing strength", "site"),
        (found.bonds, 0.5, "⟨ZZ⟩, records − target", "bond, between sites i and i + 1"),
    )
    for panel, (estimates, offset, label, where) in zip(panels, quantities, strict=False):
        off = np.array([e.low > 0 or e.high < 0 for e in estimates])
        places, values, reach = (
            np.arange(len(estimates)) + offset,
            np.array([e.value for e in estimates]),
            reaches(estimates),
        )
        for chosen, colour, marker, name in ((~off, BLUE, "o", "agrees"), (off, VERMILION, "D", "off")):
            if chosen.any():
                panel.errorbar(
                    places[chosen], values[chosen], yerr=reach[:, chosen], color=colour, marker=marker, linestyle="",
                    markersize=3.5, capsize=1.5, elinewidth=0.8, label=name,
                )  # fmt: skip
        panel.axhline(0, color=GREY, linewidth=0.8)
        panel.set_xlabel(where)
        panel.set_ylabel(label)
        panel.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncol=2)
    level = found.sites[0].level
    figure.suptitle(f"{found.verdict}: {level:.0%} intervals that hold for all places together", fontsize=10)
    return figure
