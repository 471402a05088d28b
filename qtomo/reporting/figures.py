"""Figures of runs and verifications, as matplotlib figures: labelled, with error bars, readable in greyscale.

`save_figure` writes one as PDF, PNG or SVG; in a notebook it shows itself.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from qtomo.evaluation.comparison import Comparison
from qtomo.evaluation.evaluation import Evaluation
from qtomo.evaluation.judging import BASELINES
from qtomo.evaluation.reliability import Calibration
from qtomo.reporting.style import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    PAPER,
    STYLES,
    letters,
    new_figure,
    plain,
    reaches,
    save_figure,
)
from qtomo.reporting.verification_figures import fault_map
from qtomo.statistics.estimate import Estimate
from qtomo.training.run import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "calibration_figure",
    "comparison_figure",
    "correlations_figure",
    "divergences_figure",
    "fault_map",
    "latent_figure",
    "misfit_map",
    "new_figure",
    "save_figure",
    "summary_figure",
    "training_figure",
]

#: Inches: a figure of a page, which keeps its letters readable on a phone.
_WIDTH, _HEIGHT = 4.8, 3.0

Judged = Mapping[str, tuple[Run, Evaluation]]


@letters()
def summary_figure(run: Run, evaluation: Evaluation) -> Figure:
    """Correlations <Z_m Z_j> against distance, and the training curve, side by side."""
    figure = new_figure(10, 4)
    left, right = figure.subplots(1, 2)
    _correlations(left, evaluation)
    _training_curves(right, {evaluation.family: (run, evaluation)})
    return figure


@letters()
def correlations_figure(evaluation: Evaluation) -> Figure:
    """Correlations <Z_m Z_j> from mid-chain against distance: exact, in the records, in the model.

    Raises:
        ValueError: the evaluation has no such correlations.
    """
    figure = new_figure(_WIDTH, _HEIGHT)
    _correlations(figure.subplots(), evaluation)
    return figure


@letters()
def training_figure(judged: Judged) -> Figure:
    """Held-out loss by epoch of runs by name, each with its evaluation."""
    figure = new_figure(_WIDTH, 1.15 * _HEIGHT)
    _training_curves(figure.subplots(), judged)
    return figure


@letters()
def divergences_figure(evaluations: Mapping[str, Evaluation]) -> Figure:
    """How far models by name are from the target, k-grams of the first one's records beside them: KL and 1 - F_c.

    Raises:
        ValueError: no divergence from a target was evaluated.
    """
    first = next(iter(evaluations.values()))
    rows = {name: found for name, found in first.divergences.items() if name in BASELINES}
    rows |= {name: evaluation.divergences[evaluation.family] for name, evaluation in evaluations.items()}
    if not any("kl_target_model" in found for found in rows.values()):
        raise ValueError("no divergence from a target was evaluated")
    figure = new_figure(_WIDTH, 1.3 + 0.34 * len(rows))
    left, right = figure.subplots(1, 2, sharey=True)
    kinds = (("kl_target_model", "KL(target‖model)", "o", True), ("kl_model_target", "KL(model‖target)", "D", False))
    for shift, (key, label, marker, filled) in zip((-0.12, 0.12), kinds, strict=True):
        _rows(left, rows, key, shift=shift, marker=marker, filled=filled, label=label)
    _rows(right, rows, "classical_fidelity", ends=lambda e: (1 - e.value, 1 - e.high, 1 - e.low))
    left.set_yticks(range(len(rows)), [plain(name) for name in rows])
    left.set_ylim(len(rows) - 0.5, -0.5)
    left.set_xlabel("KL (nats per record)")
    right.set_xlabel("classical infidelity 1 − F_c")
    left.legend(loc="upper center", bbox_to_anchor=(0.5, 1.0 + 0.55 / (0.34 * len(rows))), ncol=1)
    for axes in (left, right):
        _decades(axes)
        axes.grid(axis="x", color=GREY, alpha=0.25, linewidth=0.6)
    return figure


@letters()
def misfit_map(evaluation: Evaluation) -> Figure:
    """<X_i> of each site and <Z_i Z_i+1> of each bond less the exact value, in the records and in the model.

    Without a target, the model less the records. Intervals are simultaneous over all places of a panel.

    Raises:
        ValueError: the evaluation has no such observables.
    """
    found = evaluation.observables
    sites = [name for name in found.get("records", {}) if re.fullmatch(r"X\d+", name)]
    bonds = [f"Z{i} Z{i + 1}" for i in range(len(sites) - 1)]
    if not sites:
        raise ValueError("observables of single sites were not evaluated")
    figure = new_figure(_WIDTH, 4.8 if bonds else 2.6)
    panels = figure.subplots(2 if bonds else 1, 1, squeeze=False)[:, 0]
    truth = found.get("exact")
    less = "exact" if truth else "records"
    styles = [("records", ORANGE, "s", -0.15), (evaluation.family, BLUE, "o", 0.15)]
    quantities = ((sites, f"⟨X⟩ of the site, less {less}", 0.0), (bonds, f"⟨ZZ⟩ of neighbours, less {less}", 0.5))
    for panel, (names, label, offset) in zip(panels, quantities, strict=False):
        for source, colour, marker, shift in styles if truth else styles[1:]:
            estimates = [_less(found[source][n], found[less][n], len(names)) for n in names]
            panel.errorbar(
                np.arange(len(names)) + offset + shift, [e.value for e in estimates], yerr=reaches(estimates),
                color=colour, marker=marker, linestyle="", markersize=3, capsize=1.5, elinewidth=0.8,
                label=plain(source), markerfacecolor=PAPER if source == "records" else colour,
            )  # fmt: skip
        panel.axhline(0, color=GREY, linewidth=0.8)
        panel.set_ylabel(label)
        panel.set_xlabel("site" if names is sites else "bond, between sites i and i + 1")
    panels[0].legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncol=2)
    return figure


@letters()
def calibration_figure(found: Calibration) -> Figure:
    """Observed less predicted frequency of outcomes against the prediction, and each site's excess of surprise."""
    figure = new_figure(_WIDTH, 4.8)
    top, bottom = figure.subplots(2, 1)
    predicted = np.array(found.predicted)
    values = np.array([e.value for e in found.observed])
    top.errorbar(
        predicted, values - predicted, yerr=reaches(found.observed), color=BLUE, marker="o", linestyle="",
        markersize=3.5, capsize=2,
    )  # fmt: skip
    top.set_xlabel("predicted probability of an outcome, given those before it")
    top.set_ylabel("observed frequency\n− predicted")
    sites = found.sites
    bottom.errorbar(
        np.arange(len(sites)), [e.value for e in sites], yerr=reaches(sites), color=BLUE, marker="o", linestyle="",
        markersize=3, capsize=1.5, elinewidth=0.8,
    )  # fmt: skip
    bottom.set_xlabel("site")
    bottom.set_ylabel("surprise beyond\nexpected (nats)")
    for axes in (top, bottom):
        axes.axhline(0, color=GREY, linewidth=0.8)
    return figure


@letters()
def latent_figure(correlations: Mapping[str, Sequence[Estimate]]) -> Figure:
    """Which latent follows which observable, from `latent_correlations`: a cell each, with its error."""
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
    axes.set_yticks(range(len(correlations)), [plain(name) for name in correlations])
    axes.set_xlabel("latent")
    axes.set_title("Which latent follows which observable")
    figure.colorbar(picture, label="correlation, ± standard error")
    return figure


@letters()
def comparison_figure(comparison: Comparison) -> Figure:
    """Divergence from the target (or held-out loss) and two-sample accuracy, a row a distribution."""
    figure = new_figure(10, 1.5 + 0.35 * len(comparison.entries))
    left, right = figure.subplots(1, 2, sharey=True)
    entries = comparison.entries
    _dots(left, {name: entry.divergences.get(comparison.measure) for name, entry in entries.items()}, comparison)
    _dots(right, {name: entry.two_sample.accuracy for name, entry in entries.items()}, comparison)
    if comparison.target:
        left.set_xscale("log")
    left.set_xlabel(
        "KL(target‖model) (nats per record)"
        if comparison.target
        else "negative log-likelihood (nats per held-out record)"
    )
    left.set_title("Divergence, with intervals")
    right.axvline(0.5, color=GREY, linewidth=0.8)
    right.set_xlabel("accuracy of telling fresh from held-out records (chance 0.5)")
    right.set_title("Classifier two-sample test, with intervals")
    return figure


def _dots(axes: Axes, values: dict[str, Estimate | None], comparison: Comparison) -> None:
    """A labelled row an estimate, from the top; k-grams as grey squares."""
    markers = {"exact": "o", "lower_bound": "<", "estimate": "D", "none": "x"}
    for row, (name, estimate) in enumerate(values.items()):
        entry = comparison.entries[name]
        if estimate is None:
            continue
        colour, marker = (GREY, "s") if entry.seconds is None else (BLUE, markers[entry.likelihood])
        reach = [[estimate.value - estimate.low], [estimate.high - estimate.value]]
        axes.errorbar(estimate.value, row, xerr=reach, color=colour, marker=marker, markersize=5, capsize=2)
    axes.set_yticks(range(len(values)), labels=[plain(name) for name in values])
    axes.set_ylim(len(values) - 0.5, -0.5)


def _legend_below(axes: Axes) -> None:
    """Names of the series under the axis, where they hide nothing."""
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncol=3)


def _correlations(axes: Axes, evaluation: Evaluation) -> None:
    from matplotlib.ticker import MaxNLocator

    style = {"exact": (INK, "-", ""), "records": (ORANGE, "", "s"), evaluation.family: (BLUE, "", "o")}
    pairs = _pairs(evaluation)
    for shift, (source, (colour, line, marker)) in zip((0.0, -0.12, 0.12), style.items(), strict=True):
        found = evaluation.observables.get(source)
        if found is None:
            continue
        distance = np.array([d for d, _ in pairs]) + shift
        values = np.array([found[name].value for _, name in pairs])
        bars = None if source == "exact" else reaches([found[name] for _, name in pairs])
        axes.errorbar(
            distance, values, yerr=bars, color=colour, linestyle=line, marker=marker, markersize=4, capsize=2,
            label=plain(source), markerfacecolor=PAPER if source == "records" else colour,
        )  # fmt: skip
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.set_xlabel("distance from mid-chain |j − m| (sites)")
    axes.set_ylabel("correlation ⟨Z_m Z_j⟩")
    level = evaluation.observables["records"][pairs[0][1]].level
    axes.set_title(f"Correlations, with {100 * level:g} % intervals")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _legend_below(axes)


def _pairs(evaluation: Evaluation) -> list[tuple[int, str]]:
    """(distance, name) of the correlators from mid-chain to the right."""
    pairs = [
        (int(match[1]), int(match[2]))
        for name in evaluation.observables.get("records", {})
        if (match := re.fullmatch(r"Z(\d+) Z(\d+)", name))
    ]
    if not pairs:
        raise ValueError("correlations of two sites were not evaluated")
    middle = (max(j for _, j in pairs) + 1) // 2
    return [(j - i, f"Z{i} Z{j}") for i, j in sorted(pairs) if i == middle]


def _training_curves(axes: Axes, judged: Judged) -> None:
    """Held-out loss by epoch; where the target is known, minus the exact loss of the same records.

    That difference estimates KL(target||model). Near the target ln P/Q has a variance of twice its mean
    (both are half a Fisher form to leading order), from which the error bars come. Runs without a likelihood, whose
    loss is another quantity, are drawn only where there is nothing else.
    """
    from matplotlib.ticker import MaxNLocator

    likely = {name: pair for name, pair in judged.items() if pair[0].model.likelihood != "none"}
    floors = [e.divergences.get("exact", {}).get("validation_loss") for _, e in likely.values()]
    from_exact = bool(likely) and all(floor is not None for floor in floors)
    shown = likely or dict(list(judged.items())[:1])
    best, lowest = math.inf, []
    styles = itertools.cycle(STYLES)
    for place, ((colour, marker, line), (name, (run, evaluation))) in enumerate(
        zip(styles, shown.items(), strict=False)
    ):
        history = run.progress.history
        losses = np.array([entry["validation_loss"] for entry in history])
        errors = np.array([entry["validation_loss_error"] or math.nan for entry in history])
        found = evaluation.divergences
        grams = [found[gram]["validation_loss"].value for gram in found if gram in BASELINES] if likely else []
        if from_exact:
            floor = found["exact"]["validation_loss"]
            losses, grams = losses - floor.value, [loss - floor.value for loss in grams]
            errors = np.sqrt(2 * np.clip(losses, 0, None) / floor.n_records)
            losses = np.where(losses > 0, losses, math.nan)
            ends = np.concatenate([losses, losses - 1.96 * errors])
            lowest.extend(ends[ends > 0].tolist())
        best = min([best, *grams])
        axes.errorbar(
            [entry["epoch"] + 0.04 * place for entry in history], losses, yerr=1.96 * errors, color=colour,
            marker=marker, linestyle=line, markersize=4, capsize=2, label=plain(name),
        )  # fmt: skip
    if math.isfinite(best):
        axes.axhline(best, color=GREY, linestyle=":", label="best k-gram")
    unit = next(iter(shown.values()))[0].model.validation_unit
    axes.set_ylabel(
        "held-out loss − exact loss\n≈ KL(target‖model) (nats per record)" if from_exact else f"held-out loss ({unit})"
    )
    if from_exact:
        axes.set_yscale("log", nonpositive="clip")  # a bar that reaches below zero leaves the panel
        axes.set_ylim(bottom=0.5 * min(lowest, default=1e-6))
    axes.set_xlabel("epoch")
    axes.set_title("Training curve, with 95 % intervals")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _legend_below(axes)


def _decades(axes: Axes) -> None:
    """A logarithmic axis of whole decades around what is drawn, labelled at these alone."""
    from matplotlib.ticker import NullFormatter

    values = [v for line in axes.get_lines() for v in np.ravel(np.asarray(line.get_xdata(), float)) if v > 0]
    axes.set_xscale("log", nonpositive="clip")
    if values:
        axes.set_xlim(10 ** math.floor(math.log10(min(values))), 10 ** math.ceil(math.log10(max(values))))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _rows(
    axes: Axes,
    rows: Mapping[str, Mapping[str, Estimate]],
    key: str,
    *,
    shift: float = 0.0,
    marker: str = "o",
    filled: bool = True,
    label: str = "",
    ends: Callable[[Estimate], tuple[float, float, float]] = lambda e: (e.value, e.low, e.high),
) -> None:
    """One quantity, a row a distribution from the top; k-grams in grey. `ends` gives value, low and high."""
    for row, (name, found) in enumerate(rows.items()):
        estimate = found.get(key)
        if estimate is None or not math.isfinite(estimate.value):
            continue
        value, low, high = ends(estimate)
        colour = GREY if name in BASELINES else BLUE
        axes.errorbar(
            value, row + shift, xerr=[[value - low], [high - value]], color=colour, marker=marker, markersize=4,
            capsize=2, linestyle="", markerfacecolor=colour if filled else PAPER,
        )  # fmt: skip
    if label:
        face = INK if filled else PAPER
        axes.plot([], [], color=INK, marker=marker, markersize=4, linestyle="", markerfacecolor=face, label=label)


def _less(one: Estimate, other: Estimate, n: int) -> Estimate:
    """The difference of independent estimates, its interval one of n simultaneous ones (Bonferroni)."""
    error = math.hypot(one.standard_error, other.standard_error)
    reach = float(stats.norm.ppf(1 - (1 - one.level) / (2 * n))) * error
    value = one.value - other.value
    method = f"difference, simultaneous normal interval of {n}"
    return Estimate(value, error, value - reach, value + reach, one.level, one.n_records, method)
