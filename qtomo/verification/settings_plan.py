"""Plan the settings of an experiment that is to certify a fidelity: which, how many shots of each, by which way.

Nothing is promised that was not tried: records of the target after depolarizing of every qubit, as strong as the
expected fidelity says, are drawn in the settings of each way, and looked at as `verify` would; the number of shots is
doubled until the bound that was asked for is reached, then narrowed.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from qtomo.errors import Code, InputError
from qtomo.measurement.noise import depolarizing, noisy
from qtomo.measurement.povm import named_povm
from qtomo.measurement.settings import SettingList, write_setting_list
from qtomo.observables.certificates.base import GUARANTEES
from qtomo.observables.fidelity.base import Aim, Asked
from qtomo.observables.ways import WAYS, Way
from qtomo.progress import Progress
from qtomo.records.file.schema import Target, TargetLike
from qtomo.records.records import Records
from qtomo.results import Level, Probability, Result
from qtomo.seeds import stream
from qtomo.statistics.estimate import Guarantee
from qtomo.table import Table
from qtomo.verification.budget.fidelity import Fidelity as LocalFidelity
from qtomo.verification.hypothesis import Hypothesis

__all__ = ["PlannedWay", "SettingsPlan", "plan_settings"]

_FEWEST, _MOST = 200, 2_000_000  # shots that are tried
_SETS, _RIGHT = 5, 4  # data sets of one number of shots, and how many of them have to reach the bound
_SAYING = 16  # times the fewest shots, with which a way says something if it ever does
_NARROWED = 3  # halvings of the last interval of shots


@dataclass(frozen=True)
class PlannedWay:
    """A way to a fidelity, and what it takes.

    Args:
        way: what the fidelity is told from.
        shots: in all, with which the bound was reached in four of five simulated experiments; None where it was not
            with the most that were tried.
        n_settings: different settings.
        bound: what was certified with these shots, on average.
        standard_error: of an estimate of the fidelity from the same shots; None where the way bounds alone.
        guarantee: of the bound.
    """

    way: str
    shots: int | None
    n_settings: int
    bound: float
    standard_error: float | None
    guarantee: Guarantee


@dataclass(frozen=True)
class SettingsPlan(Result, format="qtomo-settings-plan", version=1):
    """How a fidelity can be certified, the fewest shots first; `save_settings` writes the list of the best way.

    Args:
        target: in words.
        certify: the bound that is asked for.
        expected: the fidelity that the device is thought to have.
        level: confidence of the bound.
        n_sites: N.
        ways: what each takes.
        settings: of the best way, by letters such as XZZY, with shots; empty where none reaches the bound.
    """

    target: str
    certify: Probability
    expected: Probability
    level: Level
    n_sites: int
    ways: list[PlannedWay]
    settings: list[tuple[str, int]]

    def table(self) -> Table:
        """One row per way."""
        rows = [
            [
                one.way,
                f"{one.shots:,}" if one.shots else "not reached",
                f"{one.n_settings:,}",
                f"{one.bound:.3f}",
                "–" if one.standard_error is None else f"{one.standard_error:.4f}",
                GUARANTEES[one.guarantee],
            ]
            for one in self.ways
        ]
        title = f"To certify F ≥ {self.certify:g} at {self.level:.0%} of {self.target}, if F is {self.expected:g}"
        return Table(title, ["by", "shots", "settings", "bound", "error of F", ""], rows)

    def tables(self) -> list[Table]:
        """The table of `table`."""
        return [self.table()]

    def save_settings(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the settings of the best way: .csv with a header, .json, or .txt lines, which `qtomo simulate
        --settings` reads.

        Raises:
            InputError: no way reaches the bound, a file that exists, or another ending.
        """
        if not self.settings:
            raise InputError(Code.TOO_FEW, f"no way certifies F >= {self.certify:g} with {_MOST:,} shots")
        return write_setting_list(SettingList.from_words(self.settings), path, overwrite=overwrite)

    def circuits(self) -> list[Any]:
        """A Qiskit circuit per setting that turns its bases to Z and measures; append each to the preparation. Its
        metadata has the `bases` and the `shots`.

        Raises:
            InputError: qiskit is not installed.
        """
        try:
            from qiskit import QuantumCircuit
        except ImportError:
            raise InputError(Code.ENVIRONMENT, "qiskit is not installed; pip install qtomo[qiskit]") from None
        made = []
        for letters, shots in self.settings:
            circuit = QuantumCircuit(self.n_sites, self.n_sites, metadata={"bases": letters, "shots": shots})
            for site, letter in enumerate(letters):
                if letter == "Y":
                    circuit.sdg(site)
                if letter in "XY":
                    circuit.h(site)
            circuit.measure(range(self.n_sites), range(self.n_sites))
            made.append(circuit)
        return made


def plan_settings(
    target: TargetLike,
    certify: float = 0.9,
    expected: float = 0.97,
    *,
    level: float = 0.95,
    seed: int = 0,
    progress: Progress | None = None,
) -> SettingsPlan:
    """Which settings, and how many shots of each, certify a fidelity with a pure target, by each way there is.

    Args:
        target: what is to be prepared.
        certify: the bound from below that is asked for.
        expected: the fidelity that the device is thought to have, as after depolarizing of every qubit.
        level: confidence of the bound, one-sided.
        seed: of the simulated experiments, and of settings that are drawn.
        progress: told what is being done.

    Raises:
        InputError: a mixed target, or numbers out of order.

    >>> from qtomo import GHZ
    >>> found = plan_settings(GHZ(4), 0.8, 0.95)
    >>> found.ways[0].shots < 2000
    True
    """
    for name, value in (("certify", certify), ("expected", expected), ("level", level)):
        if not 0 < value < 1:
            raise InputError(Code.VALUE, f"{name} is {value:g}, expected between 0 and 1")
    if not certify < expected:
        raise InputError(Code.CONFLICT, f"certify is {certify:g}, expected less than expected, {expected:g}")
    meant, progress = Target.of(target), Progress.of(progress)
    aim = Aim.of(meant.state(), meant.system)
    if aim is None:
        raise InputError(Code.UNSUPPORTED, f"{meant.describe()}: a mixed target, expected a pure one")
    progress.stage("how strong errors of the expected fidelity are")
    faulty = _faulty(aim, expected)
    found: list[tuple[PlannedWay, SettingList]] = []
    for way in WAYS:
        progress.stage(f"simulated experiments: {way.name}")
        planned = _planned(way, _Trial(aim, faulty, way, level, seed), certify)
        found += [planned] if planned is not None else []
    found.sort(key=lambda one: (one[0].shots is None, one[0].shots or 0, -one[0].bound))
    best = found[0][1] if found and found[0][0].shots else None
    return SettingsPlan(
        meant.describe(),
        certify,
        expected,
        level,
        aim.n_sites,
        [one for one, _ in found],
        best.words() if best is not None else [],
    )


def _faulty(aim: Aim, expected: float) -> Hypothesis:
    """The target after depolarizing of every qubit, with the expected fidelity, in bases X, Y and Z."""
    fidelity = LocalFidelity(aim.state)

    def excess(p: float) -> float:
        return fidelity(np.tile(np.diag([1.0, 1 - p, 1 - p, 1 - p]), (aim.n_sites, 1, 1))) - expected

    strength = float(optimize.brentq(excess, 0.0, 1.0, xtol=1e-9)) if excess(1.0) < 0 else 1.0
    povm = noisy(named_povm("pauli6"), depolarizing(strength), aim.n_sites)
    return Hypothesis.of(aim.state, povm, aim.system)


@dataclass(frozen=True, eq=False)
class _Tried:
    """Simulated experiments with one list of settings.

    Args:
        listed: the settings.
        bounds: what each experiment certifies; -inf where nothing.
        error: mean standard error of their estimates; None where there are none.
    """

    listed: SettingList
    bounds: NDArray[np.float64]
    error: float | None

    def reaches(self, certify: float) -> bool:
        """Whether nearly all experiments do."""
        return int((self.bounds >= certify).sum()) >= _RIGHT


@dataclass(frozen=True, eq=False)
class _Trial:
    """Simulated experiments of one way."""

    aim: Aim
    faulty: Hypothesis
    way: Way
    level: float
    seed: int

    def of(self, shots: int) -> _Tried | None:
        """Experiments of so many shots; None where the way does not apply to the target."""
        key, aim = self.way.key, self.aim
        listed = self.way.settings(aim, shots, stream(self.seed, f"settings of {key} {shots}"))
        if listed is None:
            return None
        index = np.repeat(np.arange(len(listed.bases)), listed.shots)
        none = np.zeros((len(index), aim.n_sites), np.uint8)
        empty = Records(none, "pauli6", design=self.way.design, settings=listed.bases, setting_index=index)
        bounds, errors = np.full(_SETS, -math.inf), []
        for number in range(_SETS):
            drawn = self.faulty.sample_like(empty, stream(self.seed, f"{key} {shots} {number}"))
            bounds[number], error = self.way.judge(Asked(drawn, aim, self.level, number))
            errors += [error] if error is not None else []
        return _Tried(listed, bounds, float(np.mean(errors)) if errors else None)


def _planned(way: Way, trial: _Trial, certify: float) -> tuple[PlannedWay, SettingList] | None:
    """What a way takes; None where it does not apply to the target."""
    shots, found = _FEWEST, trial.of(_FEWEST)
    while found is not None and not found.reaches(certify) and shots < _MOST and not _hopeless(found, shots):
        shots *= 2
        found = trial.of(shots)
    if found is None:
        return None
    enough, low = found.reaches(certify), shots // 2
    for _ in range(_NARROWED if enough and shots > _FEWEST else 0):
        middle = round(math.sqrt(low * shots))
        tried = trial.of(middle)
        if tried is not None and tried.reaches(certify):
            shots, found = middle, tried
        else:
            low = middle
    bound = float(np.clip(found.bounds.mean(), 0.0, 1.0)) if np.isfinite(found.bounds).all() else 0.0
    total = found.listed.n_records if enough else None
    return PlannedWay(way.name, total, len(found.listed.bases), bound, found.error, way.guarantee), found.listed


def _hopeless(found: _Tried, shots: int) -> bool:
    """Whether so many shots say nothing at all, as dual values of many qubits do, so that more are not tried."""
    return shots >= _SAYING * _FEWEST and bool(np.isneginf(found.bounds).all())
