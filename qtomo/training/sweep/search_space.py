"""What a sweep may try: a range or a list of choices an option."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field, PlainValidator, ValidationInfo, field_validator

from qtomo.config import Config, near_miss
from qtomo.errors import Code, InputError
from qtomo.training.config import check_sections, parse_settings

__all__ = [
    "Choices",
    "Range",
    "Settings",
    "Space",
    "read_space",
    "with_options",
]

#: Sections `model` and `training`.
Settings = Mapping[str, Mapping[str, Any]]

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
            raise InputError(Code.UNSUPPORTED, f"{where}: {_REFUSED[name]}")
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
            Code.REQUIRED,
            f'{place}: no option, expected such as "training.learning_rate" = {{ low = 1e-3, high = 1e-2 }}',
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
        raise InputError(Code.VALUE, f"{place} = {values!r}, expected {{ low = …, high = … }} or {{ choices = […] }}")
    for name in values:
        if name not in known:
            raise InputError(Code.UNKNOWN, f"{place}: unknown key '{name}'{near_miss(name, known)}")
    if "choices" not in values:
        return Range.parse(values, place)
    if len(values) > 1:
        others = ", ".join(name for name in values if name != "choices")
        raise InputError(
            Code.CONFLICT, f"{place}: choices beside {others}, expected choices alone, or a range with low and high"
        )
    return Choices.parse(values, place)
