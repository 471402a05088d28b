"""The evaluation that a run's folder keeps, used again while it is of the same weights, records and options."""

from __future__ import annotations

import os
from collections.abc import Callable

from qtomo import __version__
from qtomo.errors import InputError
from qtomo.evaluation.evaluation import Evaluation, EvaluationOptions, evaluate, made_from
from qtomo.training.run import Run

__all__ = ["stored_or_new"]

_USUAL = EvaluationOptions(20_000, 0, 0.95, False)


def stored_or_new(
    run: Run,
    records: str | os.PathLike[str] | None = None,
    options: EvaluationOptions = _USUAL,
    *,
    say: Callable[[str], None] | None = None,
    device: str = "cpu",
) -> Evaluation:
    """The run's stored evaluation where it is of these weights, records and options; else a new one, which is stored.

    Args:
        run: a run.
        records: where the run's record file is now, if it has moved.
        options: of the evaluation.
        say: called with a line about what is being done.
        device: where the exact target is sampled and scored.

    Raises:
        InputError: as `evaluate`.
    """
    why = "is of other weights or options"
    try:
        stored = Evaluation.load(run.folder.evaluation)
        if (stored.qtomo, stored.made_from, stored.options) == (__version__, made_from(run), options):
            return stored
    except InputError:
        why = "is missing, damaged or of another version"
    if say:
        say(f"{run.folder.path}: judging, because evaluation.json {why}")
    return evaluate(
        run,
        records,
        n_samples=options.n_samples,
        seed=options.seed,
        level=options.level,
        say=say,
        device=device,
        allow_estimates=options.allow_estimates,
    )
