"""Figures a person would show: labelled, with error bars, readable in greyscale."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from qtomo.analysis import Comparison, Estimate, Evaluation
from qtomo.analysis.verdict import Verification
from qtomo.files import write_atomic
from qtomo.training import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["comparison_figure", "fault_map", "latent_figure", "new_figure", "save_figure", "summary_figure"]

# Okabe and Ito's colour-blind safe colours; markers and line styles tell the same without colour.
_EXACT, _RECORDS, _MODEL, _FAULT = "#000000", "#E69F00", "#0072B2", "#D55E00"


def summary_figure(run: Run, evaluation: Evaluation, path: Path) -> None:
    """Correlations <Z_m Z_j> against distance, and the training curve, side by side, as PNG.

    Raises:
        InputError: the file cannot be written.
    """
    figure = new_figure(10, 4)
    left, right = figure.subplots(1, 2)
    _correlations(left, evaluation)
    _training_curve(right, run, evaluation)
    save_figure(figure, path)


def latent_figure(correlations: Mapping[str, Sequence[Estimate]], path: Path) -> None:
    """Which latent follows which observable, from `latent_correlations`, as PNG: a cell each, with its error.

    Raises:
        InputError: the file cannot be written.
    """
    values = np.array([[e.value for e in row] for row in correlations.values()])
    figure = new_figure(2.5 + 0.9 * values.shape[1], 1.5 + 0.6 * values.shape[0])
    axes = figure.subplots()
    picture = axes.imshow(values, vmin=-1, vmax=1, cmap="RdBu", aspect="auto")
    for row, estimates in enumerate(correlations.values()):
        for column, estimate in enumerate(estimates):
            if math.isfinite(estimate.value):
                colour = "white" if abs(estimate.value) > 0.6 else "black"
                text = f"{estimate.value:+.2f}\n±{estimate.standard_error:.2f}"
                axes.text(column, row, text, ha="center", va="center", fontsize=8, color=colour)
    axes.set_xticks(range(values.shape[1]))
    axes.set_yticks(range(len(correlations)), list(correlations))
    axes.set_xlabel("latent")
    axes.set_title("Which latent follows which observable", fontsize=11)
    figure.colorbar(picture, label="correlation, ± standard error")
    save_figure(figure, path)


def fault_map(found: Verification, path: Path) -> None:
    """Strength of depolarizing at each qubit, and the misfit of each neighbours' <ZZ>, as PNG.

    Intervals hold together: where one leaves the line at zero, that qubit or bond is at fault.

    Raises:
        InputError: the file cannot be written.
    """
    figure = new_figure(10, 6)
    panels = figure.subplots(2, 1) if found.bonds else [figure.subplots()]
    labels = ("depolarizing strength of the qubit", r"$\langle Z_iZ_{i+1}\rangle$, records − target")
    places = (np.arange(len(found.sites)), np.arange(len(found.bonds)) + 0.5)
    for panel, label, where, estimates in zip(panels, labels, places, (found.sites, found.bonds), strict=False):
        values = np.array([e.value for e in estimates])
        reach = np.array([[e.value - e.low, e.high - e.value] for e in estimates]).T
        off = np.array([e.low > 0 or e.high < 0 for e in estimates])
        for chosen, colour, marker, name in ((~off, _MODEL, "o", "agrees"), (off, _FAULT, "D", "off")):
            if chosen.any():
                panel.errorbar(
                    where[chosen], values[chosen], yerr=reach[:, chosen], color=colour, marker=marker, linestyle="",
                    markersize=4, capsize=2, label=name,
                )  # fmt: skip
        panel.axhline(0, color="0.5", linewidth=0.8)
        panel.set_xlabel("site")
        panel.set_ylabel(label)
        panel.legend(frameon=False)
    level = found.sites[0].level
    figure.suptitle(f"{found.verdict}: where the fault is ({level:.0%} intervals, for all together)", fontsize=11)
    save_figure(figure, path)


def comparison_figure(comparison: Comparison, path: Path) -> None:
    """Divergence from the target (or held-out loss) and two-sample accuracy, a row a distribution, as PNG.

    Raises:
        InputError: the file cannot be written.
    """
    figure = new_figure(10, 1.5 + 0.35 * len(comparison.entries))
    left, right = figure.subplots(1, 2, sharey=True)
    entries = comparison.entries
    _dots(left, {name: entry.divergences.get(comparison.measure) for name, entry in entries.items()}, comparison)
    _dots(right, {name: entry.two_sample.accuracy for name, entry in entries.items()}, comparison)
    if comparison.target:
        left.set_xscale("log")
    left.set_xlabel(
        "KL(target‖model) (nats a record)" if comparison.target else "negative log-likelihood (nats a held-out record)"
    )
    left.set_title("Divergence, with intervals", fontsize=11)
    right.axvline(0.5, color="0.7", linewidth=0.8)
    right.set_xlabel("accuracy of telling fresh from held-out records (chance 0.5)")
    right.set_title("Classifier two-sample test, with intervals", fontsize=11)
    save_figure(figure, path)


def _dots(axes: Axes, values: dict[str, Estimate | None], comparison: Comparison) -> None:
    """A labelled row an estimate, from the top; k-grams as grey squares."""
    markers = {"exact": "o", "lower_bound": "<", "estimate": "D", "none": "x"}
    for row, (name, estimate) in enumerate(values.items()):
        entry = comparison.entries[name]
        if estimate is None:
            continue
        colour, marker = ("0.5", "s") if entry.seconds is None else (_MODEL, markers[entry.likelihood])
        reach = [[estimate.value - estimate.low], [estimate.high - estimate.value]]
        axes.errorbar(estimate.value, row, xerr=reach, color=colour, marker=marker, markersize=5, capsize=2)
    axes.set_yticks(range(len(values)), labels=list(values))
    axes.set_ylim(len(values) - 0.5, -0.5)


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, of inches, that needs no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """The figure as PNG, whole or not at all.

    Raises:
        InputError: the file cannot be written.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=150, format="png")
    write_atomic(path, buffer.getvalue())


def _correlations(axes: Axes, evaluation: Evaluation) -> None:
    style = {"exact": (_EXACT, "-", ""), "records": (_RECORDS, "", "s"), evaluation.family: (_MODEL, "", "o")}
    pairs = _pairs(evaluation)
    for shift, (source, (colour, line, marker)) in zip((0.0, -0.12, 0.12), style.items(), strict=True):
        found = evaluation.observables.get(source)
        if found is None:
            continue
        distance = np.array([d for d, _ in pairs]) + shift
        values = np.array([found[name].value for _, name in pairs])
        reach = np.array([[found[n].value - found[n].low, found[n].high - found[n].value] for _, n in pairs]).T
        bars = None if source == "exact" else reach
        axes.errorbar(
            distance, values, yerr=bars, color=colour, linestyle=line, marker=marker, markersize=4, capsize=2,
            label=source, markerfacecolor="white" if source == "records" else colour,
        )  # fmt: skip
    axes.axhline(0, color="0.7", linewidth=0.8)
    axes.set_xlabel("distance from mid-chain |j − m| (sites)")
    axes.set_ylabel(r"correlation $\langle Z_m Z_j\rangle$")
    axes.set_title("Correlations, with 95 % intervals", fontsize=11)
    axes.legend(frameon=False)


def _pairs(evaluation: Evaluation) -> list[tuple[int, str]]:
    """(distance, name) of the correlators from mid-chain to the right."""
    pairs = [
        (int(match[1]), int(match[2]))
        for name in evaluation.observables["records"]
        if (match := re.fullmatch(r"Z(\d+) Z(\d+)", name))
    ]
    middle = (max(j for _, j in pairs) + 1) // 2
    return [(j - i, f"Z{i} Z{j}") for i, j in sorted(pairs) if i == middle]


def _training_curve(axes: Axes, run: Run, evaluation: Evaluation) -> None:
    """Held-out loss by epoch; where the target is known, minus the exact loss of the same records.

    That difference estimates KL(target||model). Near the target ln P/Q has a variance of twice its mean
    (both are half a Fisher form to leading order), from which the error bars come.
    """
    from matplotlib.ticker import MaxNLocator

    history = run.progress.history
    epochs = [entry["epoch"] for entry in history]
    losses = np.array([entry["validation_loss"] for entry in history])
    errors = np.array([entry["validation_loss_error"] or math.nan for entry in history])
    floor = evaluation.divergences.get("exact", {}).get("validation_loss")
    grams = [found["validation_loss"].value for name, found in evaluation.divergences.items() if name.endswith("-gram")]
    if floor is not None:
        losses, grams = losses - floor.value, [loss - floor.value for loss in grams]
        errors = np.sqrt(2 * np.clip(losses, 0, None) / floor.n_records)
        axes.set_yscale("log", nonpositive="mask")
        axes.set_ylabel("held-out loss − exact loss ≈ KL(target‖model)\n(nats a record)")
    else:
        axes.set_ylabel("held-out loss (nats a record)")
    axes.errorbar(
        epochs, losses, yerr=1.96 * errors, color=_MODEL, marker="o", markersize=4, capsize=2, label=evaluation.family
    )
    if grams:
        axes.axhline(min(grams), color="0.4", linestyle=":", label="best k-gram")
    axes.set_xlabel("epoch")
    axes.set_title("Training curve, with 95 % intervals", fontsize=11)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False)
