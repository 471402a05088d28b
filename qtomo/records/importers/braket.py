"""Results of Amazon Braket's gate machines: JSON with `measurements` (shots, qubits) and `measuredQubits`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from qtomo.errors import Code, InputError
from qtomo.measurement.povm import named_povm
from qtomo.records.file.writer import Block
from qtomo.records.importers.base import Alphabet, Basis, Imported, Lost, alphabets, fixed_basis, load_json
from qtomo.records.importers.recognition import Claim, Head, Sure, first_of, keys, recognised_by

__all__ = ["read_braket"]

_WHAT = 'JSON with "measurements", a list of shots, and "measuredQubits"'


def _claim(head: Head) -> Claim | None:
    content = keys(head.json)
    if "measuredQubits" in content and isinstance(first_of(content.get("measurements")), list):
        return Claim(Sure.CERTAIN, "shots of a gate machine through Amazon Braket")
    return None


@recognised_by(_claim)
def read_braket(path: Path, *, basis: Basis = None, lost: Lost = None) -> Imported:
    """Shots of measured qubits, put in the order of their numbers, in Z or in --basis.

    Raises:
        InputError: names the shot, what was found and what was expected.
    """
    content = load_json(path, _WHAT)
    shots, qubits = keys(content).get("measurements"), keys(content).get("measuredQubits")
    if not isinstance(shots, list) or not shots or not isinstance(qubits, list) or not qubits:
        raise InputError(Code.KIND, f"{path}: expected {_WHAT}")
    if not all(isinstance(one, int) and not isinstance(one, bool) for one in qubits) or len(set(qubits)) != len(qubits):
        raise InputError(Code.VALUE, f"{path}, measuredQubits: {str(qubits)[:40]}, expected distinct numbers")
    order, n_sites = np.argsort(qubits), len(qubits)
    _, bits = alphabets(2, lost, None)
    rows = np.array(
        [_row(shot, f"{path}, shot {number}", n_sites, bits) for number, shot in enumerate(shots)], np.uint8
    )
    bases = fixed_basis(basis or "Z", n_sites)

    def blocks() -> Iterator[Block]:
        yield np.tile(bases, (len(rows), 1)), rows[:, order]

    notes = [f"site i is qubit {', '.join(map(str, sorted(qubits)))} of the machine, in this order"]
    notes += [] if basis else ["no basis in the file, so all in Z; --basis says another"]
    return Imported(path, n_sites, named_povm("pauli6"), True, blocks, notes=tuple(notes))


def _row(shot: Any, place: str, n_sites: int, bits: Alphabet) -> list[int]:
    if not isinstance(shot, list):
        raise InputError(Code.KIND, f"{place}: found {str(shot)[:40]!r}, expected a list of {n_sites} bits")
    return bits.of_words([str(bit) for bit in shot], place, n_sites)
