"""Evaluations and verifications read back from their JSON files, which may come from anywhere."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar, cast, get_args

import numpy as np

from qtomo.errors import InputError
from qtomo.evaluation.evaluation import Evaluation, Judging, evaluate, made_by
from qtomo.evaluation.reliability import Calibration
from qtomo.observables.certificates import Certificate, CertificateKind
from qtomo.statistics.estimate import Estimate, Guarantee
from qtomo.statistics.two_sample import TwoSampleTest
from qtomo.training.run import Run
from qtomo.verification.checks.base import Test, TestKind
from qtomo.verification.faults.base import Fault, FaultKind
from qtomo.verification.result import FORMAT, Verdict, Verification
from qtomo.verification.site_map import Batch, HeatMap

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
    say: Callable[[str], None] | None = None,
    how: Judging = Judging(),
) -> Evaluation:
    """The run's stored evaluation where it is of these weights, records and options; else a new one, which is stored.

    Raises:
        InputError: as `evaluate`.
    """
    try:
        stored = read_evaluation(run.folder.evaluation)
    except InputError:
        stored = None
    if stored is not None and stored.made_by == made_by(run, how):
        return stored
    if say:
        why = "is of other weights or options" if stored else "is missing, or not of this qtomo"
        say(f"{run.folder.path}: judging, because evaluation.json {why}")
    return evaluate(run, records=records, say=say, **vars(how))


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
    if top.of("format", str) != FORMAT:
        raise InputError(f"{path}: format '{top.of('format', str)[:40]}', expected '{FORMAT}'")
    maps = top.within("map")
    verdict = top.of("verdict", str)
    if verdict not in get_args(Verdict):
        raise InputError(f"{path}: verdict '{verdict[:40]}', expected {', '.join(get_args(Verdict))}")
    found = Verification(
        file=top.of("file", str),
        target=top.of("target", str),
        verdict=cast(Verdict, verdict),
        headline=top.of("headline", str),
        alpha=top.number("alpha"),
        level=top.number("level"),
        resolution=top.number("resolution"),
        n_records=top.of("n_records", int),
        faults=top.many("faults", _fault),
        tied=top.many("tied", _faults),
        explains=top.of("explains", bool),
        share=top.maybe("explained_share", _number),
        tests=top.many("tests", _test),
        certificates=top.many("certificates", _certificate),
        mapped=_member(FaultKind, maps.of("fault", str), f"{path}, map, fault"),
        sites=maps.many("sites", Estimate.from_dict),
        heat=maps.one("heat", _heat),
        bonds=maps.many("bonds", Estimate.from_dict),
        outcomes=maps.many("outcomes", _estimates),
        batches=maps.many("batches", _batch),
        claims=top.words("claims"),
        lost=top.number("lost_share"),
        measured=top.within("measured").each(_text),
        command=top.of("command", str),
    )
    n_sites = len(found.sites)
    if len(found.outcomes) != n_sites or found.heat.strengths.shape != (len(found.heat.kinds), n_sites):
        raise InputError(f"{path}, map: {n_sites} sites, expected as many of each quantity")
    if len({len(site) for site in found.outcomes}) > 1:
        raise InputError(f"{path}, map, outcomes: sites of different lengths, expected as many outcomes of each")
    return found


Kind = TypeVar("Kind", bound=StrEnum)


def _member(kinds: type[Kind], value: str, place: str) -> Kind:
    if value not in list(kinds):
        raise InputError(f"{place}: '{value[:40]}', expected one of {', '.join(kinds)}")
    return kinds(value)


def _fault(found: object, place: str) -> Fault:
    top = Fields(found, place, "a fault")
    return Fault(
        _member(FaultKind, top.of("kind", str), f"{place}, kind"),
        top.maybe("sites", _sites),
        top.maybe("size", Estimate.from_dict),
        top.of("parameter", str),
        top.of("detail", str),
        top.of("when", str),
    )


def _faults(found: object, place: str) -> list[Fault]:
    return Fields({"all": found}, place, "a list of faults").many("all", _fault)


def _sites(found: object, place: str) -> tuple[int, ...]:
    return tuple(Fields({"all": found}, place, "a list of sites").many("all", _count))


def _test(found: object, place: str) -> Test:
    top = Fields(found, place, "a test")
    fault = top.maybe("fault", _text)
    return Test(
        kind=_member(TestKind, top.of("kind", str), f"{place}, kind"),
        p_value=top.number("p_value"),
        statistic=top.of("statistic", str),
        fault=_member(FaultKind, fault, f"{place}, fault") if fault else None,
        sites=top.one("sites", _sites),
        place=top.of("place", str),
        adjusted=top.number("adjusted_p_value"),
    )


def _certificate(found: object, place: str) -> Certificate:
    top = Fields(found, place, "a certificate")
    value = top.maybe("value", _number)
    guarantee = top.of("guarantee", str)
    if guarantee not in get_args(Guarantee):
        raise InputError(f"{place}, guarantee: '{guarantee[:40]}', expected {', '.join(get_args(Guarantee))}")
    return Certificate(
        kind=_member(CertificateKind, top.of("kind", str), f"{place}, kind"),
        value=float("-inf") if value is None else value,
        level=top.number("level"),
        says=top.of("says", str),
        assumptions=top.words("assumptions"),
        guarantee=cast(Guarantee, guarantee),
        informative=top.of("informative", bool),
        records_needed=top.maybe("records_needed", _count),
    )


def _heat(found: object, place: str) -> HeatMap:
    top = Fields(found, place, "a heat map")
    kinds = [_member(FaultKind, kind, f"{place}, kinds") for kind in top.words("kinds")]
    strengths, gains = (top.many(name, _numbers) for name in ("strengths", "gains_nats"))
    lengths = {len(row) for row in [*strengths, *gains]}
    if len(lengths) > 1 or len(strengths) != len(kinds) or len(gains) != len(kinds):
        raise InputError(f"{place}: rows of different lengths, expected one per kind, all of one length")
    return HeatMap(kinds, np.array(strengths), np.array(gains))


def _numbers(found: object, place: str) -> list[float]:
    return Fields({"all": found}, place, "a list of numbers").many("all", _number)


def _batch(found: object, place: str) -> Batch:
    top = Fields(found, place, "a batch")
    estimate = Estimate.from_dict
    return Batch(top.of("label", str), top.maybe("log_prob", estimate), top.one("strength", estimate))


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
