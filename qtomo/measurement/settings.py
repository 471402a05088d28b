"""Settings of shots: the basis that each qubit is measured in, drawn at random or from a list."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from qtomo.distribution import Outcomes
from qtomo.errors import Code, InputError
from qtomo.files import check_absent, write_atomic
from qtomo.measurement.povm import BASES

__all__ = ["Design", "SettingList", "read_setting_list", "setting_text", "write_setting_list"]

_HEADER = ["bases", "shots"]
_EXPECTED = "expected a setting and a number of shots, such as XZZY 1000"

#: How settings were chosen: there are none (outcomes of a POVM), each basis of each shot uniformly and independently at
#: random, or otherwise, as by a list.
Design = Literal["povm", "random", "listed"]


@dataclass(frozen=True, eq=False)
class SettingList:
    """A list of settings with a number of shots each.

    Args:
        bases: uint8 (settings, n_sites): 0 X, 1 Y, 2 Z.
        shots: of each setting, (settings,).
    """

    bases: Outcomes
    shots: NDArray[np.int64]

    @classmethod
    def evenly(cls, bases: Outcomes, shots: int) -> Self:
        """Settings with as many shots each, as near as they go to so many in all, and at least one."""
        return cls(bases, np.full(len(bases), max(1, round(shots / len(bases))), dtype=np.int64))

    @classmethod
    def of_shots(cls, bases: Outcomes) -> Self:
        """The different settings of shots (n, n_sites), with how often each is there."""
        distinct, counts = np.unique(bases, axis=0, return_counts=True)
        return cls(distinct, counts.astype(np.int64))

    @classmethod
    def from_words(cls, words: Sequence[tuple[str, int]]) -> Self:
        """From letters such as XZZY with their shots."""
        bases = np.array([[BASES.index(letter) for letter in letters] for letters, _ in words], dtype=np.uint8)
        return cls(bases, np.array([shots for _, shots in words], dtype=np.int64))

    def words(self) -> list[tuple[str, int]]:
        """Letters such as XZZY with their shots."""
        return [(setting_text(row), int(shots)) for row, shots in zip(self.bases, self.shots, strict=True)]

    @property
    def n_records(self) -> int:
        """Shots of all settings together."""
        return int(self.shots.sum())

    def rows(self, first: int, last: int) -> Outcomes:
        """The settings of shots `first` to `last`, uint8 (last - first, n_sites); the list's order is that of shots."""
        index = np.searchsorted(np.cumsum(self.shots), np.arange(first, last), side="right")
        taken: Outcomes = self.bases[index]
        return taken


def read_setting_list(path: str | os.PathLike[str], n_sites: int) -> SettingList:
    """Settings from a text file: a line each, its letters X, Y, Z and its number of shots, such as `XZZY 1000`.

    One letter stands for that basis on every qubit. Empty lines and what follows a # do not count. A .csv file has a
    comma between both and may have a header, a .json file a list of objects with `bases` and `shots`, as `qtomo plan`
    writes them.

    Raises:
        InputError: names the line and what it should hold.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            Code.DAMAGED if path.is_file() else Code.ABSENT,
            f"{path}: cannot be read as a text file of settings ({error})",
        ) from None
    bases, shots = [], []
    for place, letters, number in _of_json(text, path) if path.suffix == ".json" else _of_lines(text, path):
        if not number.isascii() or not number.isdigit() or not 0 < int(number) < 2**40:
            raise InputError(Code.SYNTAX, f"{place}: '{letters} {number}', {_EXPECTED}")
        spelt = letters.upper() * (n_sites if len(letters) == 1 else 1)
        wrong = next((i for i, letter in enumerate(spelt) if letter not in BASES), None)
        if wrong is not None:
            raise InputError(Code.VALUE, f"{place}, site {wrong}: basis '{spelt[wrong]}', expected X, Y or Z")
        if len(spelt) != n_sites:
            raise InputError(Code.MISMATCH, f"{place}: a setting of {len(spelt)} letters, expected one, or {n_sites}")
        bases.append([BASES.index(letter) for letter in spelt])
        shots.append(int(number))
    if not bases:
        raise InputError(Code.TOO_FEW, f"{path}: no setting, expected lines such as XZZY 1000")
    return SettingList(np.array(bases, dtype=np.uint8), np.array(shots, dtype=np.int64))


def _of_lines(text: str, path: Path) -> Iterator[tuple[str, str, str]]:
    """Place, letters and number of shots of each line."""
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.partition("#")[0].replace(",", " ").split()
        if not words or (number == 1 and [word.lower() for word in words] == _HEADER):
            continue
        place = f"{path}, line {number}"
        if len(words) != 2:
            raise InputError(Code.SYNTAX, f"{place}: '{line.strip()}', {_EXPECTED}")
        yield place, words[0], words[1]


def _of_json(text: str, path: Path) -> Iterator[tuple[str, str, str]]:
    expected = 'expected a list of objects such as {"bases": "XZZY", "shots": 1000}'
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(Code.DAMAGED, f"{path}: not JSON ({error}), {expected}") from None
    for number, one in enumerate(found if isinstance(found, list) else [found]):
        place = f"{path}, object {number}"
        if not isinstance(one, dict) or not isinstance(one.get("bases"), str) or type(one.get("shots")) is not int:
            raise InputError(Code.SYNTAX, f"{place}: {expected}")
        yield place, one["bases"], str(one["shots"])


def write_setting_list(listed: SettingList, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Write settings as `read_setting_list` reads them: .csv, .json or .txt.

    Raises:
        InputError: another ending, or a file that exists.
    """
    path = Path(path)
    words = listed.words()
    if path.suffix == ".json":
        text = json.dumps([{"bases": letters, "shots": shots} for letters, shots in words], indent=1) + "\n"
    elif path.suffix == ".csv":
        text = ",".join(_HEADER) + "\n" + "".join(f"{letters},{shots}\n" for letters, shots in words)
    elif path.suffix == ".txt":
        text = "".join(f"{letters} {shots}\n" for letters, shots in words)
    else:
        raise InputError(Code.UNSUPPORTED, f"{path}: ends in '{path.suffix}', expected .csv, .json or .txt")
    write_atomic(check_absent(path, overwrite), text)
    return path


def setting_text(bases: Outcomes) -> str:
    """A setting as letters."""
    return "".join(BASES[b] for b in bases)
