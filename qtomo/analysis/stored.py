"""Evaluations and verifications read back from their JSON files, which may come from anywhere."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from qtomo.analysis.calibration import Calibration
from qtomo.analysis.estimate import Estimate
from qtomo.analysis.evaluation import Evaluation, evaluate, made_by
from qtomo.analysis.two_sample import TwoSampleTest
from qtomo.errors import InputError
from qtomo.training import Run

__all__ = ["read_evaluation", "stored_or_new"]

_LARGEST_FILE = 64 * 2**20

T = TypeVar("T")


def read_evaluation(path: str | os.PathLike[str]) -> Evaluation:
    """An evaluation as `qtomo evaluate` wrote it.

    Raises:
        InputError: no such file, or not an evaluation of this version.
    """
    top = Fields(_load(Path(path)), str(path), "an evaluation that this qtomo wrote: run qtomo evaluate again")
    return Evaluation(
        run=top.of("run", str),
        target=top.of("target", str),
        family=top.of("family", str),
        divergences={name: found.each(Estimate.from_dict) for name, found in top.within("divergences").groups()},
        gain=top.maybe("gain_over_best_baseline", Estimate.from_dict),
        observables={name: found.each(Estimate.from_dict) for name, found in top.within("observables").groups()},
        claims=top.words("claims"),
        two_sample=top.maybe("two_sample", _two_sample),
        calibration=top.maybe("calibration", _calibration),
        made_by=top.of("made_by", dict),
    )


def stored_or_new(
    run: Run,
    records: str | os.PathLike[str] | None = None,
    n_samples: int = 20_000,
    seed: int = 0,
    level: float = 0.95,
    say: Callable[[str], None] | None = None,
    device: str = "cpu",
    allow_estimates: bool = False,
) -> Evaluation:
    """The run's stored evaluation where it is of these weights, records and options; else a new one, which is stored.

    Raises:
        InputError: as `evaluate`.
    """
    try:
        stored = read_evaluation(run.folder.evaluation)
    except InputError:
        stored = None
    if stored is not None and stored.made_by == made_by(run, n_samples, seed, level, allow_estimates):
        return stored
    if say:
        why = "is of other weights or options" if stored else "is missing, or not of this qtomo"
        say(f"{run.folder.path}: judging, because evaluation.json {why}")
    return evaluate(run, records, n_samples, seed, level, say=say, device=device, allow_estimates=allow_estimates)


def _two_sample(found: object, place: str) -> TwoSampleTest:
    top = Fields(found, place, "a two-sample test")
    return TwoSampleTest(top.one("accuracy", Estimate.from_dict), top.number("p_value"))


def _calibration(found: object, place: str) -> Calibration:
    top = Fields(found, place, "a calibration")
    predicted = top.many("predicted", _number)
    observed = top.many("observed", Estimate.from_dict)
    if len(predicted) != len(observed):
        raise InputError(f"{place}: {len(predicted)} predicted and {len(observed)} observed, expected as many")
    return Calibration(predicted, observed, top.many("sites", Estimate.from_dict))


class Fields:
    """An object of a JSON file whose entries are checked as they are taken.

    Args:
        found: what should be an object.
        place: where it stands, for messages.
        expected: what it should be, in words.

    Raises:
        InputError: not an object.
    """

    def __init__(self, found: object, place: str, expected: str) -> None:
        self._place, self._expected = place, expected
        if not isinstance(found, dict):
            raise InputError(f"{place}: found {type(found).__name__}, expected {expected}")
        self._found: dict[str, Any] = found

    def of(self, name: str, kind: type[T]) -> T:
        """An entry of a type.

        Raises:
            InputError: it is missing, or of another type.
        """
        value = self._found.get(name)
        if not isinstance(value, kind):
            what = f"{name} is {type(value).__name__}" if name in self._found else f"no {name}"
            raise InputError(f"{self._place}: {what}, expected {self._expected}")
        return value

    def number(self, name: str) -> float:
        """A number; infinite where the file has none."""
        return _number(self._found.get(name), f"{self._place}, {name}")

    def words(self, name: str) -> list[str]:
        """A list of texts."""
        return self.many(name, _text)

    def within(self, name: str) -> Fields:
        """An object under this one."""
        return Fields(self.of(name, dict), f"{self._place}, {name}", "an object")

    def groups(self) -> Iterator[tuple[str, Fields]]:
        """All entries, which are objects."""
        return ((name, self.within(name)) for name in self._found)

    def one(self, name: str, make: Callable[[object, str], T]) -> T:
        """An entry as `make(entry, place)` understands it."""
        return make(self._found.get(name), f"{self._place}, {name}")

    def maybe(self, name: str, make: Callable[[object, str], T]) -> T | None:
        """The same, of an entry that may be none."""
        return None if self._found.get(name) is None else self.one(name, make)

    def many(self, name: str, make: Callable[[object, str], T]) -> list[T]:
        """The same, of each item of a list."""
        return [make(item, f"{self._place}, {name}, {index}") for index, item in enumerate(self.of(name, list))]

    def each(self, make: Callable[[object, str], T]) -> dict[str, T]:
        """All entries as `make` understands them."""
        return {name: self.one(name, make) for name in self._found}


def _number(value: object, place: str) -> float:
    if value is None:
        return float("inf")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{place}: found {type(value).__name__}, expected a number")
    return float(value)


def _text(value: object, place: str) -> str:
    if not isinstance(value, str):
        raise InputError(f"{place}: found {type(value).__name__}, expected a text")
    return value


def _load(path: Path) -> object:
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.stat().st_size > _LARGEST_FILE:
        raise InputError(f"{path}: {path.stat().st_size:,} bytes, expected at most {_LARGEST_FILE:,}")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not a JSON file that can be read ({error})") from None
