"""Figures a person would show: labelled, with error bars, readable in greyscale."""

from __future__ import annotations

import io
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from qtomo.analysis import Evaluation
from qtomo.files import write_atomic
from qtomo.training import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["summary_figure"]

# Okabe and Ito's colour-blind safe colours; markers and line styles tell the same without colour.
_EXACT, _RECORDS, _MODEL = "#000000", "#E69F00", "#0072B2"


def summary_figure(run: Run, evaluation: Evaluation, path: Path) -> None:
    """Correlations <Z_m Z_j> against distance, and the training curve, side by side, as PNG.

    Raises:
        InputError: the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    _correlations(left, evaluation)
    _training_curve(right, run, evaluation)
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
    from matplotlib.ticker import MaxNLocator

    history = run.progress.history
    epochs = [entry["epoch"] for entry in history]
    for key, colour, marker, label in (
        ("train", _RECORDS, "s", "training (mean over the epoch)"),
        ("validation", _MODEL, "o", "held out"),
    ):
        values = [entry[f"{key}_loss"] for entry in history]
        errors = [1.96 * (entry[f"{key}_loss_error"] or math.nan) for entry in history]
        axes.errorbar(epochs, values, yerr=errors, color=colour, marker=marker, markersize=4, capsize=2, label=label)
    best = min(
        (found["validation_loss"].value for name, found in evaluation.divergences.items() if name.endswith("-gram")),
        default=None,
    )
    if best is not None:
        axes.axhline(best, color="0.4", linestyle=":", label="best k-gram, held out")
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss (nats a record)")
    axes.set_title("Training curve, with 95 % intervals", fontsize=11)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False)
