"""What a sweep of settings found, in words and a table."""

from __future__ import annotations

import shlex

from qtomo.statistics.estimate import plus_minus
from qtomo.table import Table
from qtomo.training.sweep.trials import Sweep, Trial

__all__ = ["sweep_summary"]


def sweep_summary(sweep: Sweep) -> str:
    """Trials from best to worst, and how far the best can be believed."""
    options = list(sweep.plan.space)
    failed = [trial for trial in sweep.trials if trial.failure is not None]
    headings = ["trial", "validation loss", "above best", *options, "parameters", "epochs", "seconds"]
    best = sweep.ranked[0]
    rows = [
        [trial.name, _loss(trial), _above(trial, best), *_settings(trial, options), *_cost(trial)]
        for trial in [*sweep.ranked, *failed]
    ]
    title = f"{sweep.folder}: {len(sweep.trials)} trials of {sweep.plan.model['family']}  ({sweep.unit})"
    near = ", ".join(trial.name for trial in sweep.near_best) or "no other trial"
    best_run, again = sweep.trial_folder(best), shlex.quote(str(sweep.best_settings))
    notes = [
        f"Best: trial {best.name}. Its loss is the lowest of {len(sweep.ranked)} and therefore too low on average; "
        f"judge it on fresh records: qtomo evaluate {shlex.quote(str(best_run))}",
        f"Within one standard error of it: {near}. All trials share the held-out records, so that their differences "
        "are known better than ± says, but how well is not computed here.",
        f"Its settings: {sweep.best_settings}; train with them: qtomo train RECORDS --config {again} --output RUN",
        *(f"Trial {trial.name} failed: {trial.failure}" for trial in failed),
    ]
    return "\n".join([str(Table(title, headings, rows)), "", *(f"• {note}" for note in notes)])


def _loss(trial: Trial) -> str:
    if trial.loss is None:
        return "failed"
    if trial.loss_error is None:
        return f"{trial.loss:.4f}"
    return plus_minus(trial.loss, trial.loss_error)


def _above(trial: Trial, best: Trial) -> str:
    return "–" if trial.loss is None or best.loss is None else f"{trial.loss - best.loss:.4f}"


def _settings(trial: Trial, options: list[str]) -> list[str]:
    values = [trial.settings[name] for name in options]
    return [f"{value:.4g}" if isinstance(value, float) else str(value) for value in values]


def _cost(trial: Trial) -> list[str]:
    if trial.failure is not None:
        return ["–"] * 3
    return [f"{trial.n_parameters:,}", f"{trial.epochs}", f"{trial.seconds:.0f}"]
