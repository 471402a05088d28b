"""Do record files have the same distribution? Tests, bounds on how far apart they are, and where it shows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from pydantic import Field

from qtomo.errors import Code, InputError
from qtomo.observables.estimates import estimate_observables
from qtomo.observables.paulis import chain_observables
from qtomo.progress import Progress
from qtomo.records.file.reader import RecordFile
from qtomo.records.records import Records
from qtomo.results import Level, Real, Result
from qtomo.seeds import stream
from qtomo.statistics.estimate import Estimate
from qtomo.statistics.holm import expected_largest
from qtomo.statistics.two_sample import SMALLEST, held_out_log_ratios, kernel_two_sample_test
from qtomo.table import Table
from qtomo.verification.difference_tests import DifferenceKind, DifferenceTest, adjusted, differences, matched

__all__ = ["Drift", "FileComparison", "Shift", "compare_records"]

#: Lower bounds that are given.
DIVERGENCES = ("total_variation", "kl", "jensen_shannon")

_MOST = 200_000  # records of a file that are looked at
_SHOWN = 5  # observables in a table


@dataclass(frozen=True)
class Shift:
    """An observable in two files.

    Args:
        first: its estimate in the first file.
        second: in the other one.
        z: their difference in standard errors.
    """

    first: Estimate
    second: Estimate
    z: Real


@dataclass(frozen=True)
class Drift:
    """How one file's records differ from those of the first.

    Args:
        n_records: looked at of the first file and of this one.
        tests: of equal distributions, with Holm's correction over all files, smallest first.
        bounds: lower bounds on divergences of the first file's distribution from this one's, by name.
        observables: by name.
        differs: whether the tests together refute, at the comparison's alpha, that the distributions are equal.

    Raises:
        ValueError: no tests.
    """

    n_records: tuple[int, int]
    tests: list[DifferenceTest]
    bounds: Annotated[dict[str, Estimate], Field(alias="lower_bounds")]
    observables: dict[str, Shift]
    differs: bool

    def __post_init__(self) -> None:
        if not self.tests:
            raise ValueError("tests: none, expected at least one")


@dataclass(frozen=True)
class FileComparison(Result, format="qtomo-file-comparison", version=1):
    """Record files against the first of them. Prints as tables; `to_dict` has everything.

    Args:
        first: the file that the others are compared with.
        drifts: by file.
        alpha: false-alarm rate at which a difference is said to be there.

    Raises:
        ValueError: a file that differs by its tests and not by what is said of it, or the other way round.

    >>> FileComparison.format
    'qtomo-file-comparison'
    """

    first: str
    drifts: Annotated[dict[str, Drift], Field(alias="files")]
    alpha: Level

    def __post_init__(self) -> None:
        for name, drift in self.drifts.items():
            if drift.differs != (drift.tests[0].adjusted <= self.alpha):
                raise ValueError(
                    f"files[{name!r}]: differs is {drift.differs}, with an adjusted_p_value of "
                    f"{drift.tests[0].adjusted:g} of its first test at alpha = {self.alpha:g}"
                )

    def verdicts(self) -> list[str]:
        """A sentence a file."""
        found = []
        for name, drift in self.drifts.items():
            best = drift.tests[0]
            if drift.differs:
                found.append(
                    f"{name} differs from {self.first}: {best.name}{f' ({best.place})' if best.place else ''}, "
                    f"adjusted p = {best.adjusted:.2g}."
                )
            else:
                found.append(
                    f"No difference found between {name} and {self.first} at α = {self.alpha:g} "
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
            tables.append(
                Table("Lower bounds on the divergence of the distributions", ["divergence", "bound [interval]"], rows)
            )
            largest = sorted(drift.observables.items(), key=lambda item: -abs(item[1].z))[:_SHOWN]
            if largest:
                rows = [[key, str(shift.first), str(shift.second), f"{shift.z:+.1f}"] for key, shift in largest]
                expected = expected_largest(len(drift.observables))
                title = (
                    f"Observables that differ most, of {len(drift.observables)} "
                    f"(largest |z| about {expected:.1f} where none does)"
                )
                tables.append(Table(title, ["observable", "first", "this", "z"], rows))
        return tables

    def remarks(self) -> list[str]:
        """The verdicts."""
        return self.verdicts()


def compare_records(
    sources: Sequence[Records | str | os.PathLike[str]],
    *,
    alpha: float = 0.05,
    seed: int = 0,
    progress: Progress | None = None,
) -> FileComparison:
    """Test whether record files of the same measurement have the same distribution: a device today and last week, say.

    Tests are conditional on the settings: frequencies of each qubit's and each pair's outcomes, the parity of all bits
    in each setting that both files have, likelihoods in the first file's target where it names one, the kernel
    distance and the classifier of `qtomo.statistics.two_sample` (of listed settings on shots matched by setting), with
    Holm's correction over all tests of all files. Of a larger file, 200,000 records drawn at random are looked at.

    Args:
        sources: record files, or `Records`, all compared with the first.
        alpha: false-alarm rate over all tests of all files together; intervals are at 1 - alpha.
        seed: of all randomness.
        progress: told what is being done.

    Raises:
        InputError: fewer than two files, damaged ones, or files of different qubits or measurements.

    >>> import numpy as np
    >>> days = [Records(np.random.default_rng(day).integers(0, 4, (200, 3))) for day in (1, 2)]
    >>> [drift.differs for drift in compare_records(days, alpha=0.01).drifts.values()]
    [False]
    """
    if len(sources) < 2:
        raise InputError(Code.TOO_FEW, "one record file, expected two or more to compare")
    progress = Progress.of(progress)
    whole = [_read(source) for source in sources]
    checksums = {records.name: records.sha256 for records in whole}
    first, *others = (_few(records, seed) for records in whole)
    for other in others:
        _check_kin(first, other)
    names: list[str] = []
    found = []
    for other in others:
        progress.stage(f"{other.name} against {first.name}")
        names.append(other.name if other.name not in names else f"{other.name} ({len(names) + 1})")
        found.append(_drift(first, other, alpha, seed))
    tests = adjusted([drift.tests for drift in found])
    drifts = {
        name: replace(drift, tests=own, differs=own[0].adjusted <= alpha)
        for name, drift, own in zip(names, found, tests, strict=True)
    }
    return FileComparison(first.name, drifts, alpha, made_from=checksums)


def _check_kin(first: Records, other: Records) -> None:
    if other.n_sites != first.n_sites:
        raise InputError(
            Code.MISMATCH, f"{other.name}: {other.n_sites} qubits, expected {first.n_sites} as {first.name} has"
        )
    same_shape = other.povm.elements.shape == first.povm.elements.shape
    if other.has_settings != first.has_settings or not same_shape:
        raise InputError(
            Code.MISMATCH,
            f"{other.name}: measured by '{other.povm.name}', expected '{first.povm.name}' as {first.name} was",
        )
    if not np.allclose(other.povm.elements, first.povm.elements, atol=1e-9):
        raise InputError(
            Code.MISMATCH,
            f"{other.name}: elements of its POVM '{other.povm.name}' differ from those of {first.name}: outcomes of "
            "different measurements have different distributions for the same state",
        )


def _read(source: Records | str | os.PathLike[str]) -> Records:
    if isinstance(source, Records):
        return source
    with RecordFile(source) as file:
        return file.records()


def _few(records: Records, seed: int) -> Records:
    """As many of them, drawn at random, as are looked at."""
    if len(records) <= _MOST:
        return records
    return records.take(np.sort(stream(seed, "records to compare").choice(len(records), _MOST, replace=False)))


def _drift(a: Records, b: Records, alpha: float, seed: int) -> Drift:
    target = a.target.state() if a.target is not None else None
    tests = list(differences(a, b, target, stream(seed, "matched likelihoods")))
    whole = a.whole(), b.whole()
    pair = matched(*whole, stream(seed, "matched"))
    bounds: dict[str, Estimate] = {}
    if len(pair[0]) >= SMALLEST:
        n_outcomes, listed = a.povm.n_outcomes, "listed" in (a.design, b.design)
        kernel = kernel_two_sample_test(pair[0].labels, pair[1].labels, n_outcomes, seed, 1 - alpha)
        ratios = held_out_log_ratios(pair[0].labels, pair[1].labels, n_outcomes, seed, matched=listed)
        accuracy = ratios.accuracy(1 - alpha)
        if not listed:  # whose blocks are not exchangeable between settings
            tests.append(DifferenceTest(DifferenceKind.KERNEL, kernel.p_value, f"squared MMD {kernel.squared_mmd}"))
        tests.append(
            DifferenceTest(DifferenceKind.CLASSIFIER, accuracy.p_value, f"accuracy {accuracy.accuracy.interval()}")
        )
        bounds = ratios.bounds(DIVERGENCES, 1 - alpha)
    return Drift((len(a), len(b)), tests, bounds, _observables(a, b, 1 - alpha), differs=False)


def _observables(a: Records, b: Records, level: float) -> dict[str, Shift]:
    found = {}
    for observable in chain_observables(a.n_sites):
        try:
            one, other = (estimate_observables([observable], x, level=level)[observable.name] for x in (a, b))
        except InputError:
            continue  # the settings of a file do not tell it
        error = float(np.hypot(one.standard_error, other.standard_error))
        if error > 0:
            found[observable.name] = Shift(one, other, (other.value - one.value) / error)
    return found
