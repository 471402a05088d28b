"""Results of IonQ's service: histograms by decimal state or by register, of counts or of probabilities."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from qtomo.errors import Code, InputError
from qtomo.records.importers.base import Basis, Imported, fixed_basis, load_json
from qtomo.records.importers.counts import Counted, as_whole, imported_counts, times_shots
from qtomo.records.importers.recognition import Claim, Head, Sure, keys, recognised_by

__all__ = ["read_ionq"]

_WHAT = 'an IonQ histogram, {"0": 500, "3": 500} or {"histogram": {"registers": {...}}}'
_PARTS = ("histogram", "probabilities")


def _claim(head: Head) -> Claim | None:
    content = keys(head.json)
    for part in _PARTS:
        if part in content and isinstance(content[part], dict):
            return Claim(Sure.CERTAIN, f"{part} of IonQ's service")
    if content and all(re.fullmatch(r"\d{1,30}", key) for key in content):
        if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in content.values()):
            return None
        if all(re.fullmatch(r"[01]+", key) for key in content) and len({*map(len, content)}) == 1 and len(content) > 2:
            return None  # as likely bit strings
        what = "counts" if sum(content.values()) > 1.5 else "probabilities"
        return Claim(Sure.LIKELY, f"{what} by decimal state, as IonQ's service writes them")
    return None


@recognised_by(_claim)
def read_ionq(
    path: Path,
    *,
    qubits: Annotated[int | None, "Qubits, where decimal states leave them open."] = None,
    shots_per_setting: Annotated[int | None, "Shots that probabilities are of."] = None,
    register: Annotated[str | None, "The register, where there are several."] = None,
    basis: Basis = None,
) -> Imported:
    """A histogram of IonQ's service, in Z or in --basis: decimal states (qubit 0 is the lowest bit) or registers.

    Raises:
        InputError: names the state, what was found and what was expected.
    """
    content = load_json(path, _WHAT)
    if not isinstance(content, dict) or not content:
        raise InputError(Code.KIND, f"{path}: expected {_WHAT}")
    histogram, notes = _histogram(path, content, register)
    if histogram and all(re.fullmatch(r"\d+", key) for key in histogram) and "registers" not in str(notes):
        width = qubits if qubits is not None else content.get("qubits")
        if not isinstance(width, int) or not 1 <= width <= 64:
            least = max(1, max(int(key[:30]) for key in histogram).bit_length())
            raise InputError(
                Code.REQUIRED,
                f"{path}: decimal states of an unknown number of qubits, expected --qubits ({least} or more)",
            )
        rows = [_bits(f"{path}, state '{key[:40]}'", int(key[:30]), width) for key in histogram]
        notes = (*notes, "decimal states, qubit 0 is the lowest bit")
    else:
        rows = _strings(path, list(histogram))
        width = len(rows[0])
        notes = (*notes, "bit strings, qubit 0 is the rightmost bit")
    values = list(histogram.values())
    place = f"{path}, histogram"
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values) and sum(values) < 1.5:
        times = times_shots(np.array(values, float), shots_per_setting, place)
    else:
        times = np.array([as_whole(value, f"{place}, '{key[:40]}'") for key, value in histogram.items()], np.int64)
    if basis is None:
        notes = (*notes, "no basis in the file, so all in Z; --basis says another")
    bases = fixed_basis(basis or "Z", width)
    return imported_counts(path, [Counted(place, bases, np.array(rows, np.uint8), times)], notes)


def _histogram(path: Path, content: dict[str, Any], register: str | None) -> tuple[dict[str, Any], tuple[str, ...]]:
    found = next((content[part] for part in _PARTS if isinstance(content.get(part), dict)), content)
    registers = found.get("registers")
    if isinstance(registers, dict) and registers:
        if register is None and len(registers) > 1:
            names = ", ".join(map(str, registers))
            raise InputError(Code.REQUIRED, f"{path}: registers {names}, expected --register with one of them")
        name = register or next(iter(registers))
        if not isinstance(registers.get(name), dict) or not registers[name]:
            raise InputError(Code.ABSENT, f"{path}: no register '{name}', found {', '.join(map(str, registers))}")
        return registers[name], (f"registers: {name}",)
    if register is not None:
        raise InputError(Code.ABSENT, f"{path}: no registers, asked for '{register}'")
    if not found:
        raise InputError(Code.TOO_FEW, f"{path}: an empty histogram, expected {_WHAT}")
    return found, ()


def _bits(place: str, state: int, width: int) -> list[int]:
    if state >= 1 << width:
        raise InputError(Code.VALUE, f"{place}: expected one of {width} qubits, below {1 << width}")
    return [state >> site & 1 for site in range(width)]


def _strings(path: Path, words: list[str]) -> list[list[int]]:
    for word in words:
        if not re.fullmatch(r"[01]+", word) or len(word) != len(words[0]):
            raise InputError(Code.SYNTAX, f"{path}, '{word[:40]}': expected bit strings of one length")
    return [[int(bit) for bit in reversed(word)] for word in words]
