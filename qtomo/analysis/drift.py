"""Do record files have the same law? Tests, bounds on how far apart they are, and where it shows."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from scipy import stats

from qtomo import __version__
from qtomo.analysis.estimate import Estimate
from qtomo.analysis.evaluation import expected_largest
from qtomo.analysis.hypothesis import Test, holm
from qtomo.analysis.observables import chain_observables, estimate_observables
from qtomo.analysis.table import Table, as_text
from qtomo.analysis.two_sample import held_out_log_ratios, kernel_two_sample_test
from qtomo.distribution import LOST, Outcomes
from qtomo.errors import InputError
from qtomo.povm import POVM
from qtomo.records import RecordFile
from qtomo.seeds import stream

__all__ = ["Drift", "FileComparison", "compare_records"]

#: Lower bounds that are given.
DIVERGENCES = ("total_variation", "kl", "jensen_shannon")

_MOST = 200_000  # records of a file that are looked at
_SHOWN = 5  # observables in a table


@dataclass(frozen=True)
class Drift:
    """How one file's records differ from those of the first.

    Args:
        n_records: looked at of the first file and of this one, without those that have a lost outcome.
        tests: of equal laws, with Holm's correction, smallest first.
        bounds: lower bounds on divergences of the first file's law from this one's, by name.
        observables: estimate in the first file, in this one, and the difference in standard errors, by name.
    """

    n_records: tuple[int, int]
    tests: list[Test]
    bounds: dict[str, Estimate]
    observables: dict[str, tuple[Estimate, Estimate, float]]

    def differs(self, level: float) -> bool:
        """Whether the tests together refute the equality of the laws."""
        return self.tests[0].adjusted <= level

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain values for JSON."""
        return {
            "n_records": list(self.n_records),
            "tests": [test.to_dict() for test in self.tests],
            "lower_bounds": {name: bound.to_dict() for name, bound in self.bounds.items()},
            "observables": {
                name: {"first": a.to_dict(), "second": b.to_dict(), "z": z}
                for name, (a, b, z) in self.observables.items()
            },
        }


@dataclass(frozen=True)
class FileComparison:
    """Record files against the first of them. Prints as tables; `to_dict` has everything.

    Args:
        first: the file that the others are compared with.
        drifts: by file.
        level: false-alarm rate at which a difference is said to be there.
    """

    first: str
    drifts: dict[str, Drift]
    level: float

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain values for JSON."""
        return {
            "creator": f"qtomo {__version__}",
            "first": self.first,
            "level": self.level,
            "files": {
                name: {"differs": drift.differs(self.level), **drift.to_dict()} for name, drift in self.drifts.items()
            },
        }

    def verdicts(self) -> list[str]:
        """A sentence a file."""
        found = []
        for name, drift in self.drifts.items():
            best = drift.tests[0]
            if drift.differs(self.level):
                found.append(
                    f"{name} differs from {self.first}: {best.name}{f' ({best.place})' if best.place else ''}, "
                    f"adjusted p = {best.adjusted:.2g}."
                )
            else:
                found.append(
                    f"No difference found between {name} and {self.first} at level {self.level:g} "
                    f"(smallest adjusted p = {best.adjusted:.2g}). That is no proof that there is none."
                )
        return found

    def tables(self) -> list[Table]:
        """For each file: tests, bounds, and the observables that differ most."""
        tables = []
        for name, drift in self.drifts.items():
            sizes = " and ".join(f"{n:,}" for n in drift.n_records)
            rows = [[t.name, t.statistic, t.place or "–", f"{t.p_value:.2g}", f"{t.adjusted:.2g}"] for t in drift.tests]
            title = f"{name} against {self.first}  ({sizes} records)"
            tables.append(Table(title, ["test", "found", "where", "p", "adjusted p"], rows))
            rows = [[key.replace("_", " "), bound.interval()] for key, bound in drift.bounds.items()]
            tables.append(Table("Lower bounds on the divergence of the laws", ["divergence", "bound [interval]"], rows))
            largest = sorted(drift.observables.items(), key=lambda item: -abs(item[1][2]))[:_SHOWN]
            if largest:
                rows = [[key, str(a), str(b), f"{z:+.1f}"] for key, (a, b, z) in largest]
                expected = expected_largest(len(drift.observables))
                title = (
                    f"Observables that differ most, of {len(drift.observables)} "
                    f"(largest |z| about {expected:.1f} where none does)"
                )
                tables.append(Table(title, ["observable", "first", "this", "z"], rows))
        return tables

    def __str__(self) -> str:
        return as_text(self.tables(), self.verdicts())

    def _repr_html_(self) -> str:
        verdicts = "".join(f"<li>{escape(verdict)}</li>" for verdict in self.verdicts())
        return "".join(table._repr_html_() for table in self.tables()) + f"<ul>{verdicts}</ul>"


def compare_records(
    paths: Sequence[str | os.PathLike[str]],
    level: float = 0.05,
    seed: int = 0,
    say: Callable[[str], None] | None = None,
) -> FileComparison:
    """Test whether record files of the same measurement have the same law: a device today and last week, say.

    Three tests, with Holm's correction: the kernel distance and the classifier of `qtomo.analysis.two_sample`, and
    the frequencies of each site's outcomes. Records with a lost outcome are left out; of a larger file, 200,000
    records drawn at random are looked at.

    Args:
        paths: record files, all compared with the first.
        level: false-alarm rate over the tests of a file together; intervals are at 1 - level.
        seed: of all randomness.
        say: called with a line about what is being done.

    Raises:
        InputError: fewer than two files, damaged ones, files of different qubits or measurements, or shots in
            settings that nobody drew at random.
    """
    if len(paths) < 2:
        raise InputError("one record file, expected two or more to compare")
    say = say or (lambda _line: None)
    first, *others = (_load(path, seed) for path in paths)
    for name, outcomes, povm, shots in others:
        if outcomes.shape[1] != first[1].shape[1]:
            raise InputError(f"{name}: {outcomes.shape[1]} qubits, expected {first[1].shape[1]} as {first[0]} has")
        if shots != first[3] or povm.elements.shape != first[2].elements.shape:
            raise InputError(f"{name}: measured by '{povm.name}', expected '{first[2].name}' as {first[0]} was")
        if not np.allclose(povm.elements, first[2].elements, atol=1e-9):
            raise InputError(
                f"{name}: elements of its POVM '{povm.name}' differ from those of {first[0]}: outcomes of different "
                "measurements have different laws for the same state"
            )
    drifts: dict[str, Drift] = {}
    for name, outcomes, povm, shots in others:
        say(f"{name} against {first[0]}")
        key = name if name not in drifts else f"{name} ({len(drifts) + 1})"
        drifts[key] = _drift(first[1], outcomes, povm, shots, level, seed)
    return FileComparison(first[0], drifts, level)


def _load(path: str | os.PathLike[str], seed: int) -> tuple[str, Outcomes, POVM, bool]:
    """Name, records without loss, measurement, and whether they are shots."""
    with RecordFile(path) as file:
        if file.design == "fixed":
            raise file.error(
                "/settings: a fixed list of settings, which no law of records describes; expected outcomes of a POVM, "
                "or shots in bases drawn at random"
            )
        outcomes = file.load(lost=True)
        if len(outcomes) > _MOST:
            chosen = stream(seed, "records to compare").choice(len(outcomes), _MOST, replace=False)
            outcomes = outcomes[np.sort(chosen)]
        whole = outcomes[~(outcomes == LOST).any(axis=1)]
        if len(whole) < len(outcomes) and len(whole) < 10:
            raise file.error(f"/outcomes: {len(whole)} records without a lost outcome, expected at least 10")
        return str(path), whole, file.povm, file.design is not None


def _drift(a: Outcomes, b: Outcomes, povm: POVM, shots: bool, level: float, seed: int) -> Drift:
    n_outcomes = povm.n_outcomes
    confidence = 1 - level
    kernel = kernel_two_sample_test(a, b, n_outcomes, seed, confidence)
    log_ratios = held_out_log_ratios(a, b, n_outcomes, seed)
    classifier = log_ratios.accuracy(confidence)
    tests = [
        Test("kernel distance", kernel.p_value, 0.0, f"squared MMD {kernel.squared_mmd}", fault=False),
        Test("classifier", classifier.p_value, 0.0, f"accuracy {classifier.accuracy.interval()}", fault=False),
        _frequencies(a, b, n_outcomes),
    ]
    return Drift(
        (len(a), len(b)),
        holm(tests),
        log_ratios.bounds(DIVERGENCES, confidence),
        _observables(a, b, povm, shots, confidence),
    )


def _frequencies(a: Outcomes, b: Outcomes, n_outcomes: int) -> Test:
    """Pearson's chi-squared test of equal frequencies at each site, Bonferroni over sites."""
    found = []
    for site in range(a.shape[1]):
        counts = np.stack([np.bincount(x[:, site], minlength=n_outcomes) for x in (a, b)])
        counts = counts[:, counts.sum(axis=0) > 0]
        result = stats.chi2_contingency(counts, correction=False)
        found.append((float(result.pvalue), float(result.statistic), site))
    p_value, statistic, site = min(found)
    adjusted = min(1.0, a.shape[1] * p_value)
    return Test("outcomes of a site", adjusted, 0.0, f"chi² = {statistic:.1f}", f"site {site}", fault=False)


def _observables(
    a: Outcomes, b: Outcomes, povm: POVM, shots: bool, confidence: float
) -> dict[str, tuple[Estimate, Estimate, float]]:
    if not povm.is_complete:
        return {}
    wanted = chain_observables(a.shape[1])
    in_a, in_b = (estimate_observables(wanted, x, povm, confidence, shots) for x in (a, b))
    found = {}
    for name, one in in_a.items():
        error = float(np.hypot(one.standard_error, in_b[name].standard_error))
        if error > 0:
            found[name] = (one, in_b[name], (in_b[name].value - one.value) / error)
    return found
