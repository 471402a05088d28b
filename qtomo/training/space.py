"""What a sweep may try: a range or a list of choices an option; and what it should try next."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

from pydantic import Field, PlainValidator, ValidationInfo, field_validator

from qtomo.config import Config, near_miss
from qtomo.errors import InputError
from qtomo.seeds import stream
from qtomo.training.config import check_sections, parse_settings

__all__ = [
    "Choices",
    "Range",
    "Settings",
    "Space",
    "corners",
    "propose",
    "read_space",
    "require_optuna",
    "with_options",
]

#: Sections `model` and `training`.
Settings = Mapping[str, Mapping[str, Any]]

_ATTEMPTS = 20  # proposals of settings tried before, until chance takes over

#: Options that make trials incomparable, and why.
_REFUSED = {
    "model.family": "a sweep is of one family: sweep each, and put the best runs side by side with qtomo compare",
    "training.seed": "it also chooses the records kept for validation, which must be the same for all trials",
    "training.validation_records": "the records kept for validation must be the same for all trials",
}


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("expected a number")
    return value


Number = Annotated[int | float, PlainValidator(_number)]


class Range(Config):
    """Numbers between two ends, both included; whole ones where the option is a whole number."""

    low: Number
    high: Number
    #: Draw the logarithm evenly, not the number.
    log: bool = False
    #: Only low, low + step, low + 2 step, …, high.
    step: Number | None = None

    @field_validator("high")
    @classmethod
    def _above_low(cls, value: float, info: ValidationInfo) -> float:
        low = info.data.get("low", -math.inf)
        if value <= low:
            raise ValueError(f"expected more than low = {low}")
        return value

    @field_validator("log")
    @classmethod
    def _log_of_positive(cls, value: bool, info: ValidationInfo) -> bool:
        low = info.data.get("low", math.inf)
        if value and low <= 0:
            raise ValueError(f"expected low above 0, found low = {low}")
        return value

    @field_validator("step")
    @classmethod
    def _step_divides(cls, value: float | None, info: ValidationInfo) -> float | None:
        if value is None or not {"low", "high", "log"} <= info.data.keys():
            return value
        low, high = info.data["low"], info.data["high"]
        if info.data["log"]:
            raise ValueError("expected no step where log = true")
        if isinstance(low, int) and isinstance(high, int) and not isinstance(value, int):
            raise ValueError("expected a whole number, as low and high are")
        steps = (high - low) / value if value > 0 else 0.0
        if steps < 1 or abs(steps - round(steps)) > 1e-9:
            raise ValueError(f"expected a whole number of steps from low = {low} to high = {high}")
        return value

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are meant."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def size(self) -> float:
        """Number of different values."""
        if self.step is None and not self.whole:
            return math.inf
        return round((self.high - self.low) / (self.step or 1)) + 1

    @property
    def ends(self) -> list[Any]:
        """The values that are checked before a sweep starts."""
        return [self.low, self.high]

    def with_ends(self, ends: Sequence[Any], place: str) -> Range:
        """The same between other ends."""
        values = self.model_dump(exclude_none=True)
        return Range.parse({**values, "low": ends[0], "high": ends[1]}, place)


class Choices(Config):
    """One of these values; none is nearer to another."""

    choices: list[Any] = Field(min_length=1)

    @field_validator("choices")
    @classmethod
    def _different(cls, values: list[Any]) -> list[Any]:
        for index, value in enumerate(values):
            if value in values[:index]:
                raise ValueError(f"{value!r} stands there twice")
        return values

    @property
    def size(self) -> float:
        """Number of different values."""
        return len(self.choices)

    @property
    def ends(self) -> list[Any]:
        """The values that are checked before a sweep starts."""
        return self.choices

    def with_ends(self, ends: Sequence[Any], place: str) -> Choices:
        """The same with other choices."""
        return Choices.parse({"choices": list(ends)}, place)


#: By option, such as `training.learning_rate`.
Space = dict[str, Range | Choices]


def with_options(settings: Settings, options: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The settings with values by option, such as {"training.epochs": 3}, in place of their own."""
    changed = {section: dict(values) for section, values in settings.items()}
    for name, value in options.items():
        section, _, option = name.partition(".")
        changed[section][option] = value
    return changed


def read_space(values: Mapping[str, Any], settings: Settings, place: str) -> Space:
    """The space of a sweep from TOML, its values as the options take them.

    Each end and each choice is checked with the options before it at their first value.

    Raises:
        InputError: no option, an unknown one (names the near miss), one that may not vary, or bad values.
    """
    space: Space = {}
    for name, found in _by_option(values, place):
        where = f"{place} {name}"
        if name in _REFUSED:
            raise InputError(f"{where}: {_REFUSED[name]}")
        dimension = _read_dimension(found, where)
        section, _, option = name.partition(".")
        ends = [
            parse_settings(with_options(settings, {name: end}), {"model": where, "training": where})[section][option]
            for end in dimension.ends
        ]
        space[name] = dimension.with_ends(ends, where)
        settings = with_options(settings, {name: ends[0]})
    if not space:
        raise InputError(
            f'{place}: no option, expected such as "training.learning_rate" = {{ low = 1e-3, high = 1e-2 }}'
        )
    return space


def _by_option(values: Mapping[str, Any], place: str) -> Iterator[tuple[str, Any]]:
    """Options with what is said of them; `"training.epochs" = …` and `training.epochs = …` both mean one."""
    for name, found in values.items():
        section, dot, option = name.partition(".")
        inside = {option: found} if dot else found
        check_sections({section: inside}, ["model", "training"], place)
        for option, dimension in inside.items():
            yield f"{section}.{option}", dimension


def _read_dimension(values: Any, place: str) -> Range | Choices:
    known = ["choices", *Range.model_fields]
    if not isinstance(values, Mapping):
        raise InputError(f"{place} = {values!r}, expected {{ low = …, high = … }} or {{ choices = […] }}")
    for name in values:
        if name not in known:
            raise InputError(f"{place}: unknown key '{name}'{near_miss(name, known)}")
    if "choices" not in values:
        return Range.parse(values, place)
    if len(values) > 1:
        others = ", ".join(name for name in values if name != "choices")
        raise InputError(f"{place}: choices beside {others}, expected choices alone, or a range with low and high")
    return Choices.parse(values, place)


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
        raise InputError("a sweep needs Optuna, which is not installed: pip install qtomo[sweep]") from None
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
                raise InputError(f"trial {number} with {dict(options)} lies outside the space of the sweep") from None
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
