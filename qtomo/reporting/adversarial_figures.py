"""Figures of adversarial training: samples of generators, value surfaces and inner workings of critics."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from qtomo.adversarial.critics import CriticStudy
from qtomo.reporting.style import STYLES, letters, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["critic_figure", "samples_figure", "surface_figure"]


@letters()
def samples_figure(samples: Mapping[str, Tensor], columns: int = 4, most: int = 2000) -> Figure:
    """Samples in the plane (n, 2), a named panel each on the axes of the first."""
    columns = min(columns, len(samples))
    rows = math.ceil(len(samples) / columns)
    figure = new_figure(2.6 * columns, 2.7 * rows)
    reach = 1.2 * next(iter(samples.values())).abs().max().item()
    panels = np.ravel(figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False))
    for panel, (name, points) in zip(panels, samples.items(), strict=False):
        panel.plot(points[:most, 0], points[:most, 1], ".", markersize=1.5, color="black", alpha=0.5)
        panel.set_title(name, fontsize=9)
        panel.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xlabel="$x_1$", ylabel="$x_2$")
        panel.label_outer()
    for panel in panels[len(samples) :]:
        panel.remove()
    return figure


@letters()
def surface_figure(studies: Mapping[str, Mapping[str, CriticStudy]], real: Mapping[str, Tensor]) -> Figure:
    """Value surfaces of critics, a row a way of training and a column a distribution.

    Args:
        studies: by way of training, then by distribution.
        real: samples (n, 2) of each distribution.
    """
    figure = new_figure(3.1 * len(real), 3.0 * len(studies))
    panels = figure.subplots(len(studies), len(real), sharex=True, sharey=True, squeeze=False)
    for row, (way, by_toy) in zip(panels, studies.items(), strict=True):
        for panel, (toy, points) in zip(row, real.items(), strict=True):
            study = by_toy[toy]
            line = np.linspace(-study.extent, study.extent, len(study.surface))
            if np.ptp(study.surface) > 0:  # a flat critic has no contours
                values = study.surface / np.abs(study.surface).max()
                panel.contourf(line, line, values, levels=12, cmap="cividis")
                panel.contour(line, line, values, levels=12, colors="white", linewidths=0.5)
            panel.plot(points[:500, 0], points[:500, 1], ".", markersize=2, color="#D55E00")
            panel.set(xlabel="$x_1$", ylabel="$x_2$", aspect="equal")
            panel.set_title(f"{way}\n{toy}: {100 * study.captured:.0f} % of W1", fontsize=9)
            panel.label_outer()
    figure.suptitle("Critics' values (bright is real), samples as dots", fontsize=11)
    return figure


@letters()
def critic_figure(studies: Mapping[str, Sequence[CriticStudy]]) -> Figure:
    """Gradient norms by layer with standard errors over seeds, and histograms of weights."""
    figure = new_figure(10, 4)
    left, right = figure.subplots(1, 2)
    for (colour, marker, line), (way, runs) in zip(STYLES, studies.items(), strict=False):
        _norms(left, runs, colour, marker, line, way)
        weights = np.concatenate([run.weights / np.abs(run.weights).max() for run in runs])
        right.hist(weights, bins=41, range=(-1, 1), histtype="step", density=True, color=colour, linestyle=line)
    left.set(xlabel="hidden layer", ylabel="|d loss / d activation|", yscale="log")
    left.set_title("Gradient norms, ± standard error over seeds", fontsize=11)
    left.legend(frameon=False)
    right.set(xlabel="weight in units of the largest", ylabel="density", yscale="log")
    right.set_title("Weights of the layers' matrices, as on the left", fontsize=11)
    return figure


def _norms(axes: Axes, runs: Sequence[CriticStudy], colour: str, marker: str, line: Any, label: str) -> None:
    """The geometric mean over seeds, and its error as a factor."""
    logs = np.log([run.gradient_norms for run in runs])
    mean = np.exp(logs.mean(axis=0))
    factor = np.exp(logs.std(axis=0, ddof=1) / math.sqrt(len(logs))) if len(logs) > 1 else np.ones(len(mean))
    axes.errorbar(
        np.arange(1, len(mean) + 1), mean, yerr=[mean - mean / factor, mean * factor - mean], color=colour,
        marker=marker, linestyle=line, markersize=4, capsize=2, label=label,
    )  # fmt: skip
