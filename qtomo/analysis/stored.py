"""Evaluations and verifications read back from their JSON files, which may come from anywhere."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar, cast, get_args

from qtomo.analysis.calibration import Calibration
from qtomo.analysis.certificates import Certificate
from qtomo.analysis.estimate import Estimate
from qtomo.analysis.evaluation import Evaluation, evaluate, made_by
from qtomo.analysis.hypothesis import Test
from qtomo.analysis.maps import Batch
from qtomo.analysis.two_sample import TwoSampleTest
from qtomo.analysis.verdict import Verdict, Verification
from qtomo.errors import InputError
from qtomo.training import Run

__all__ = ["read_evaluation", "read_verification", "stored_or_new"]

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
        certificates=top.many("certificates", _certificate),
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


def read_verification(path: str | os.PathLike[str]) -> Verification:
    """A verification as `qtomo verify` wrote it.

    Raises:
        InputError: no such file, or not a verification of this version.
    """
    top = Fields(_load(Path(path)), str(path), "a verification that this qtomo wrote: run qtomo verify again")
    maps = top.within("map")
    verdict = top.of("verdict", str)
    if verdict not in get_args(Verdict):
        raise InputError(f"{path}: verdict '{verdict[:40]}', expected {', '.join(get_args(Verdict))}")
    found = Verification(
        file=top.of("file", str),
        target=top.of("target", str),
        verdict=cast(Verdict, verdict),
        first_fault=top.maybe("first_fault", _test),
        level=top.number("level"),
        resolution=top.number("resolution"),
        n_records=top.of("n_records", int),
        tests=top.many("tests", _test),
        certificates=top.many("certificates", _certificate),
        sites=maps.many("sites", Estimate.from_dict),
        bonds=maps.many("bonds", Estimate.from_dict),
        claims=top.words("claims"),
        readout=maps.many("readout", Estimate.from_dict),
        outcomes=maps.many("outcomes", _estimates),
        batches=maps.many("batches", _batch),
        lost=top.number("lost_share"),
        measured=top.within("measured").each(_text),
        command=top.of("command", str),
    )
    n_sites = len(found.sites)
    if len(found.outcomes) != n_sites or len(found.readout) not in (0, n_sites):
        raise InputError(f"{path}, map: {n_sites} sites, expected as many of each quantity")
    if len({len(site) for site in found.outcomes}) > 1:
        raise InputError(f"{path}, map, outcomes: sites of different lengths, expected as many outcomes of each")
    return found


def _test(found: object, place: str) -> Test:
    top = Fields(found, place, "a test")
    evidence = top.maybe("evidence_nats", _number)
    return Test(
        name=top.of("name", str),
        p_value=top.number("p_value"),
        evidence=float("inf") if evidence is None else evidence,
        statistic=top.of("statistic", str),
        place=top.of("place", str),
        size=top.maybe("size", Estimate.from_dict),
        fault=top.of("names_a_fault", bool),
        adjusted=top.number("adjusted_p_value"),
    )


def _certificate(found: object, place: str) -> Certificate:
    top = Fields(found, place, "a certificate")
    value = top.maybe("value", _number)
    return Certificate(
        name=top.of("name", str),
        value=float("-inf") if value is None else value,
        level=top.number("level"),
        says=top.of("says", str),
        assumptions=top.words("assumptions"),
        records_to_say_something=top.maybe("records_to_say_something", _count),
    )


def _batch(found: object, place: str) -> Batch:
    top = Fields(found, place, "a batch")
    estimate = Estimate.from_dict
    return Batch(top.of("label", str), top.maybe("log_prob", estimate), top.one("depolarizing", estimate))


def _estimates(found: object, place: str) -> list[Estimate]:
    return Fields({"all": found}, place, "a list of estimates").many("all", Estimate.from_dict)


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
    try:
        return float(value)
    except OverflowError:
        raise InputError(f"{place}: found a whole number of {len(str(value))} digits, expected a smaller one") from None


def _count(value: object, place: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"{place}: found {type(value).__name__}, expected a whole number")
    return value


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
