"""Which settings a sweep tries next: corners of the space first, then what the results so far favour."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from qtomo.errors import Code, InputError
from qtomo.seeds import stream
from qtomo.training.sweep.search_space import Choices, Range, Settings, Space, with_options

__all__ = ["corners", "propose", "require_optuna"]

_ATTEMPTS = 20  # proposals of settings tried before, until chance takes over


def corners(space: Space, settings: Settings) -> Iterator[dict[str, dict[str, Any]]]:
    """Settings at each end and each choice of each option, the other options at their first value."""
    first = with_options(settings, {name: dimension.ends[0] for name, dimension in space.items()})
    for name, dimension in space.items():
        for end in dimension.ends:
            yield with_options(first, {name: end})


def require_optuna() -> Any:
    """The module `optuna`.

    Raises:
        InputError: it is not installed.
    """
    try:
        import optuna
    except ImportError:
        raise InputError(
            Code.ENVIRONMENT, "a sweep needs Optuna, which is not installed: pip install qtomo[sweep]"
        ) from None
    return optuna


def propose(
    space: Space, found: Sequence[tuple[Mapping[str, Any], float | None]], seed: int, startup: int
) -> dict[str, Any]:
    """Values by option to try next, never ones tried before, while the space has others.

    The first `startup` are random; then a tree-structured Parzen estimator (Bergstra, Bardenet, Bengio, Kégl 2011)
    weighs where good values lie against bad ones. A function of the arguments alone.

    Args:
        space: what may be tried.
        found: values by option of all trials so far, in order, with what they reached (None where they failed, which
            counts as worse than any other).
        seed: of every random number.
        startup: trials before the estimator guides.

    Raises:
        InputError: a trial lies outside the space, or Optuna is not installed.
    """
    optuna = require_optuna()
    drawn = stream(seed, "sweep", len(found)).integers(2**32, size=2)
    distributions = {name: _distribution(optuna, dimension) for name, dimension in space.items()}
    with _quiet(optuna):
        sampler = optuna.samplers.TPESampler(n_startup_trials=startup, seed=int(drawn[0]))
        study = optuna.create_study(sampler=sampler)
        for number, (options, value) in enumerate(found):
            try:
                inner = {name: _inside(space[name], options[name]) for name in space}
                state = optuna.trial.TrialState.PRUNED if value is None else optuna.trial.TrialState.COMPLETE
                study.add_trial(
                    optuna.create_trial(state=state, value=value, params=inner, distributions=distributions)
                )
            except ValueError:
                raise InputError(
                    Code.VALUE, f"trial {number} with {dict(options)} lies outside the space of the sweep"
                ) from None
        tried = [dict(options) for options, _ in found]

        def ask() -> dict[str, Any]:
            asked = study.ask(distributions).params
            return {name: _outside(space[name], asked[name]) for name in space}

        attempts, options = 1, ask()
        while options in tried:
            if attempts == _ATTEMPTS:
                study.sampler = optuna.samplers.RandomSampler(seed=int(drawn[1]))
            attempts, options = attempts + 1, ask()
        return options


def _distribution(optuna: Any, dimension: Range | Choices) -> Any:
    """Choices are given to Optuna by their place in the list: it takes only plain values."""
    kinds = optuna.distributions
    if isinstance(dimension, Choices):
        return kinds.CategoricalDistribution(range(len(dimension.choices)))
    if dimension.whole:
        return kinds.IntDistribution(dimension.low, dimension.high, log=dimension.log, step=dimension.step or 1)
    return kinds.FloatDistribution(float(dimension.low), float(dimension.high), log=dimension.log, step=dimension.step)


def _inside(dimension: Range | Choices, value: Any) -> Any:
    return dimension.choices.index(value) if isinstance(dimension, Choices) else value


def _outside(dimension: Range | Choices, value: Any) -> Any:
    return dimension.choices[value] if isinstance(dimension, Choices) else value


@contextmanager
def _quiet(optuna: Any) -> Iterator[None]:
    """Without Optuna's own log lines and its warnings about experimental parts."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(before)
