"""The value that every analysis takes: what was measured, and how."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qtomo.distribution import LOST, Outcomes, shot_labels
from qtomo.errors import Code, InputError
from qtomo.measurement.calibration import Calibration
from qtomo.measurement.povm import BASES, POVM, named_povm
from qtomo.measurement.settings import Design
from qtomo.records.file.schema import Target

__all__ = ["Records", "checked_records", "distinct_rows"]

_STEPS = 20  # between different rows, of which nearly all rise or fall where rows are sorted


@dataclass(frozen=True, eq=False)
class Records:
    """Measured outcomes of N qubits with all that is needed to read them.

    Two kinds. Outcomes of a POVM (`design` is `povm`): each number is an element's index. Shots in known bases
    (`random` or `listed`): each number is a bit, and `settings` says in which basis it was read; element
    2 * basis + bit of the POVM, which has six, is what the bit means.

    Args:
        outcomes: uint8 (n, N), 255 where lost.
        povm: the measurement of each qubit, or its name; pauli4 where outcomes have no settings, else pauli6.
        design: how settings were chosen: `povm` there are none, `random` each basis uniformly and independently,
            `listed` otherwise.
        settings: the distinct settings, uint8 (S, N), 0 X, 1 Y, 2 Z; or one for each shot, (n, N), where
            `setting_index` is not given.
        setting_index: the row of `settings` that each shot was taken in, (n,).
        columns: a number per shot, such as its time or batch, (n,) each.
        target: the state that was meant.
        ordered: whether the rows stand in the order in which they were measured, which counts do not keep.
        calibration: shots that the readout error in `povm` was estimated from; None where it is given or none.
        name: what messages call them, such as the file.

    Raises:
        InputError: shapes or values that do not fit together; says which.

    >>> shots = Records([[0, 1], [1, 1]], settings=[[2, 2], [0, 2]])
    >>> shots.design, shots.povm.name, shots.labels.tolist()
    ('random', 'pauli6', [[4, 5], [1, 5]])
    """

    outcomes: Outcomes
    povm: POVM
    design: Design
    settings: Outcomes | None
    setting_index: NDArray[np.int64] | None
    columns: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    target: Target | None = None
    ordered: bool = True
    calibration: Calibration | None = None
    name: str = "records"

    def __init__(
        self,
        outcomes: ArrayLike,
        povm: POVM | str | None = None,
        *,
        design: Design | None = None,
        settings: ArrayLike | None = None,
        setting_index: ArrayLike | None = None,
        columns: Mapping[str, NDArray[Any]] | None = None,
        target: Target | None = None,
        ordered: bool = True,
        calibration: Calibration | None = None,
        name: str = "records",
    ) -> None:
        if povm is None:
            povm = "pauli4" if settings is None else "pauli6"
        measured = named_povm(povm) if isinstance(povm, str) else povm
        rows = _codes(outcomes, f"{name}: outcomes")
        measured.site_elements(rows.shape[1])
        design = design or ("povm" if settings is None else "random")
        if (design == "povm") != (settings is None):
            raise InputError(
                Code.MISMATCH, f"{name}: design '{design}' {'with' if settings is not None else 'without'} settings"
            )
        _check(rows, measured.n_outcomes if settings is None else 2, f"{name}: outcome", lost=True)
        distinct = index = None
        if settings is not None:
            if not measured.measures_bases:
                raise InputError(
                    Code.MISMATCH,
                    f"{name}: settings beside POVM '{measured.name}', expected six elements 2 * basis + bit as pauli6",
                )
            distinct, index = _settings(settings, setting_index, rows.shape, name)
        for key, values in (columns or {}).items():
            if np.shape(values) != (len(rows),):
                raise InputError(
                    Code.SHAPE, f"{name}: column '{key}' has shape {np.shape(values)}, expected ({len(rows)},)"
                )
        if calibration is not None and calibration.n_sites != rows.shape[1]:
            raise InputError(
                Code.MISMATCH, f"{name}: a calibration of {calibration.n_sites} qubits, expected {rows.shape[1]}"
            )
        fields: dict[str, Any] = {
            "outcomes": rows,
            "povm": measured,
            "design": design,
            "settings": distinct,
            "setting_index": index,
            "columns": dict(columns or {}),
            "target": target,
            "ordered": ordered,
            "calibration": calibration,
            "name": name,
        }
        for key, value in fields.items():
            object.__setattr__(self, key, value)

    @classmethod
    def from_labels(
        cls, labels: ArrayLike, povm: POVM | str, *, design: Design = "povm", name: str = "records"
    ) -> Self:
        """Records from POVM elements (n, N), which of shots are 2 * basis + bit; the basis of a lost bit is of no use.

        Raises:
            InputError: as `Records`.
        """
        rows = _codes(labels, f"{name}: outcomes")
        if design == "povm":
            return cls(rows, povm, name=name)
        bits = np.where(rows == LOST, LOST, rows % 2).astype(np.uint8)
        settings = np.where(rows == LOST, 0, rows // 2).astype(np.uint8)
        return cls(bits, povm, design=design, settings=settings, name=name)

    def __len__(self) -> int:
        return len(self.outcomes)

    def __repr__(self) -> str:
        how = self.povm.name if self.design == "povm" else f"shots in {self.design} settings"
        return f"Records({len(self):,} of {self.n_sites} qubits, {how})"

    @property
    def sha256(self) -> str:
        """SHA-256 of the outcomes, in hexadecimal."""
        return hashlib.sha256(self.outcomes.tobytes()).hexdigest()

    @property
    def n_sites(self) -> int:
        """N, the number of qubits."""
        return int(self.outcomes.shape[1])

    @property
    def has_settings(self) -> bool:
        """Whether outcomes are bits in known bases."""
        return self.settings is not None

    @property
    def lost(self) -> NDArray[np.bool_]:
        """Where an outcome was lost, (n, N)."""
        found: NDArray[np.bool_] = self.outcomes == LOST
        return found

    @cached_property
    def shot_settings(self) -> Outcomes:
        """The setting of each shot, uint8 (n, N).

        Raises:
            InputError: outcomes of a POVM, which have none.
        """
        if self.settings is None or self.setting_index is None:
            raise InputError(
                Code.UNSUPPORTED, f"{self.name}: outcomes of POVM '{self.povm.name}', which have no settings"
            )
        taken: Outcomes = self.settings[self.setting_index]
        return taken

    @cached_property
    def labels(self) -> Outcomes:
        """The POVM element that each outcome means, uint8 (n, N): 2 * basis + bit for shots; 255 where lost."""
        return self.outcomes if self.settings is None else shot_labels(self.shot_settings, self.outcomes)

    @cached_property
    def order(self) -> NDArray[np.int64] | None:
        """Row numbers as the shots were taken: by the column `time` where there is one; None where it is unknown."""
        if "time" in self.columns:
            return np.argsort(self.columns["time"], kind="stable")
        return np.arange(len(self)) if self.ordered and not self.looks_sorted else None

    @cached_property
    def looks_sorted(self) -> bool:
        """Whether rows stand as in a table of counts, so that their order is none of time: within a setting all equal
        ones together, or in rising or falling order of the outcomes read as numbers from either end.
        """
        rows, index = self.outcomes, self.setting_index
        if len(rows) < 2:
            return False
        same_setting = np.ones(len(rows) - 1, dtype=bool) if index is None else index[1:] == index[:-1]
        return _grouped(rows, index, same_setting) or _monotone(rows, same_setting)

    def take(self, rows: NDArray[Any]) -> Records:
        """The records at some row numbers, or where a mask is true."""
        return self._with(
            outcomes=self.outcomes[rows],
            setting_index=None if self.setting_index is None else self.setting_index[rows],
            columns={key: np.asarray(values)[rows] for key, values in self.columns.items()},
        )

    def with_labels(self, labels: Outcomes) -> Records:
        """The same measurement with other outcomes, given as POVM elements (n, N); shots keep their settings."""
        if self.settings is None:
            return self._with(outcomes=labels)
        return self._with(outcomes=np.where(labels == LOST, LOST, labels % 2).astype(np.uint8))

    def measured_by(self, povm: POVM) -> Records:
        """The same outcomes with another meaning."""
        return self._with(povm=povm)

    def whole(self) -> Records:
        """Those that lost no outcome."""
        kept = np.flatnonzero(~self.lost.any(axis=1))
        return self if len(kept) == len(self) else self.take(kept)

    def halves(self, generator: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Row numbers of two halves drawn at random, sorted."""
        order = generator.permutation(len(self))
        return np.sort(order[: len(order) // 2]), np.sort(order[len(order) // 2 :])

    def bootstrap(self, generator: np.random.Generator) -> Records:
        """As many records drawn with replacement; of listed settings within each setting, whose shots are fixed."""
        n = len(self)
        if self.design != "listed" or self.setting_index is None:
            return self.take(generator.integers(0, n, n))
        rows = np.argsort(self.setting_index, kind="stable")
        counts = np.bincount(self.setting_index)
        drawn = [
            part[generator.integers(0, len(part), len(part))]
            for part in np.split(rows, np.cumsum(counts)[:-1])
            if len(part)
        ]
        return self.take(np.concatenate(drawn))

    def to_numpy(self) -> dict[str, NDArray[Any]]:
        """Plain arrays by name: `outcomes` (n, N), `settings` (n, N) where there are any, and the columns."""
        found: dict[str, NDArray[Any]] = {"outcomes": self.outcomes}
        if self.has_settings:
            found["settings"] = self.shot_settings
        return found | dict(self.columns)

    def to_pandas(self) -> Any:
        """A pandas table with one row per shot: `q0` ..., `basis0` ... where there are settings, and the columns.

        Raises:
            InputError: pandas is not installed.
        """
        try:
            import pandas  # type: ignore[import-untyped]
        except ImportError:
            raise InputError(Code.ENVIRONMENT, "pandas is not installed; pip install pandas") from None
        table = {f"q{site}": self.outcomes[:, site] for site in range(self.n_sites)}
        if self.has_settings:
            letters = np.array(list(BASES))
            table |= {f"basis{site}": letters[self.shot_settings[:, site]] for site in range(self.n_sites)}
        return pandas.DataFrame(table | dict(self.columns))

    def _with(self, **changes: Any) -> Self:
        """The same with some fields changed, which are known to fit."""
        made = object.__new__(type(self))
        for key in self.__dataclass_fields__:
            object.__setattr__(made, key, changes.get(key, getattr(self, key)))
        return made


def checked_records(records: object, what: str, n_sites: int | None = None) -> Records:
    """Records that a caller gave, for `what`, of `n_sites` qubits where that is given.

    Raises:
        InputError: something else, such as a bare array, which does not say how it was measured; or other qubits.
    """
    if isinstance(records, Records):
        if n_sites is not None and records.n_sites != n_sites:
            raise InputError(Code.MISMATCH, f"{what}: records of {records.n_sites} qubits, expected {n_sites}")
        return records
    raise InputError(
        Code.KIND,
        f"{what}: found {type(records).__name__}, expected Records, which say how outcomes were measured: "
        "Records(outcomes, 'pauli4') for outcomes of a POVM, or Records(bits, settings=bases, design='random') for "
        "shots in known bases (design='listed' where a list chose them)",
    )


def _grouped(rows: Outcomes, index: NDArray[np.int64] | None, same_setting: NDArray[np.bool_]) -> bool:
    """Whether equal rows of a setting follow one another, as in measured order only chance would have it."""
    labelled = rows if index is None else np.concatenate([rows, index[:, None].astype(">u4").view(np.uint8)], axis=1)
    first, inverse = distinct_rows(labelled)
    runs = 1 + int(np.count_nonzero(np.diff(inverse)))
    shots = 1 + int(np.count_nonzero(~same_setting))
    changes = len(first) - shots  # of the outcomes, within settings, if all equal rows stand together
    return changes >= 2 and runs <= 1.05 * len(first) + 1 and len(first) < 0.7 * len(rows)


def _monotone(rows: Outcomes, same_setting: NDArray[np.bool_]) -> bool:
    """Whether rows rise or fall within each setting, read as numbers from the left or from the right."""
    steps = np.diff(rows.astype(np.int16), axis=0)[same_setting]
    for ordered in (steps, steps[:, ::-1]):
        moved = ordered[(ordered != 0).any(axis=1)]
        if len(moved) < _STEPS:
            return False
        leading = np.take_along_axis(moved, (moved != 0).argmax(axis=1)[:, None], axis=1)
        rising = float((leading > 0).mean())
        if not 0.02 < rising < 0.98:
            return True
    return False


def distinct_rows(rows: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numbers of rows that stand for all, and for each row which of these it equals: (distinct,) and (n,).

    The first of equal rows stands for them; what stands for them is sorted by a hash, and so in no order of interest.
    """
    generator = np.random.default_rng(0)
    weights = np.array([int(generator.integers(2**62)) * 2 + 1 for _ in range(rows.shape[1])], dtype=np.uint64)
    hashes = np.zeros(len(rows), dtype=np.uint64)
    for site in range(rows.shape[1]):
        hashes += rows[:, site] * weights[site]
    _, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    if np.array_equal(rows[first][inverse], rows):
        return first, inverse
    _, first, inverse = np.unique(rows, axis=0, return_index=True, return_inverse=True)  # two hashes were equal
    return first, inverse.ravel()


def _codes(values: ArrayLike, what: str) -> Outcomes:
    array = np.asarray(values)
    if array.ndim != 2 or not array.shape[1]:
        raise InputError(
            Code.SHAPE, f"{what} have shape {array.shape}, expected (n, N): one row per record, one column per qubit"
        )
    if array.dtype != np.uint8:
        if array.dtype.kind not in "iub" or array.min(initial=0) < 0 or array.max(initial=0) > LOST:
            raise InputError(Code.SHAPE, f"{what} are {array.dtype}, expected whole numbers from 0, {LOST} where lost")
        array = array.astype(np.uint8)
    return array


def _check(rows: Outcomes, n_codes: int, what: str, lost: bool) -> None:
    wrong = rows >= n_codes
    if lost:
        wrong &= rows != LOST
    if wrong.any():
        row, site = np.argwhere(wrong)[0]
        marks = f", or {LOST} where lost" if lost else ""
        raise InputError(
            Code.VALUE, f"{what} {rows[row, site]} in row {row}, site {site}, expected 0 to {n_codes - 1}{marks}"
        )


def _settings(
    settings: ArrayLike, index: ArrayLike | None, shape: tuple[int, int], name: str
) -> tuple[Outcomes, NDArray[np.int64]]:
    """Distinct settings and the one of each shot."""
    given = _codes(settings, f"{name}: settings")
    _check(given, len(BASES), f"{name}: setting", lost=False)
    if index is None:
        if given.shape != shape:
            raise InputError(
                Code.SHAPE, f"{name}: settings have shape {given.shape}, expected that of the outcomes, {shape}"
            )
        first, inverse = distinct_rows(given)
        return given[first], inverse
    taken = np.asarray(index)
    if given.shape[1] != shape[1] or taken.shape != (shape[0],) or taken.dtype.kind not in "iu":
        raise InputError(
            Code.SHAPE,
            f"{name}: settings {given.shape} with an index {taken.dtype} {taken.shape}, expected (S, {shape[1]}) and "
            f"whole numbers ({shape[0]},)",
        )
    if len(taken) and not 0 <= taken.min() <= taken.max() < len(given):
        raise InputError(
            Code.VALUE, f"{name}: an index of settings from {taken.min()} to {taken.max()}, of {len(given)} settings"
        )
    return given, taken.astype(np.int64)
