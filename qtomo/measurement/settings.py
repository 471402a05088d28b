"""Settings of shots: the basis that each qubit is measured in, drawn at random or from a list."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from qtomo.distribution import Outcomes
from qtomo.errors import InputError
from qtomo.measurement.povm import BASES

__all__ = ["Design", "SettingList", "read_setting_list", "setting_text"]

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
    """Settings from a text file: a line each, its letters X, Y, Z and its number of shots.

    One letter stands for that basis on every qubit. Empty lines and what follows a # do not count.

    Raises:
        InputError: names the line and what it should hold.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a text file of settings ({error})") from None
    bases, shots = [], []
    for number, line in enumerate(lines, start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        place = f"{path}, line {number}"
        if len(words) != 2 or not words[1].isascii() or not words[1].isdigit() or not 0 < int(words[1]) < 2**40:
            raise InputError(f"{place}: '{line.strip()}', expected a setting and a number of shots, such as XZZY 1000")
        letters = words[0].upper() * (n_sites if len(words[0]) == 1 else 1)
        wrong = next((i for i, letter in enumerate(letters) if letter not in BASES), None)
        if wrong is not None:
            raise InputError(f"{place}, site {wrong}: basis '{letters[wrong]}', expected X, Y or Z")
        if len(letters) != n_sites:
            raise InputError(f"{place}: a setting of {len(letters)} letters, expected one, or {n_sites}")
        bases.append([BASES.index(letter) for letter in letters])
        shots.append(int(words[1]))
    if not bases:
        raise InputError(f"{path}: no setting, expected lines such as XZZY 1000")
    return SettingList(np.array(bases, dtype=np.uint8), np.array(shots, dtype=np.int64))


def setting_text(bases: Outcomes) -> str:
    """A setting as letters."""
    return "".join(BASES[b] for b in bases)
