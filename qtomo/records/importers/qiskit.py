"""Qiskit counts and memory as JSON, read without Qiskit.

Qiskit writes bit strings with the last classical bit leftmost. They are reversed here, once: site i is classical
bit i. A whole result (`Result.to_dict()`) is known to be so; of bare counts only the user can tell.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np

from qtomo.distribution import Outcomes
from qtomo.errors import Code, InputError
from qtomo.measurement.povm import BASES, named_povm
from qtomo.records.file.hdf5 import first_line
from qtomo.records.file.writer import Block
from qtomo.records.importers.base import Alphabet, Basis, Imported, Lost, alphabets, check_file, fixed_basis

__all__ = ["read_qiskit"]

_LARGEST_FILE = 2**28
_LARGEST_SHOTS = 10**8
_ROWS = 8192
_WHAT = "JSON of Qiskit counts or memory"
_LABELS = ("basis", "bases", "setting", "settings", "label")

Order = Literal["qiskit", "plain"]


@dataclass(frozen=True)
class _Experiment:
    """Shots in one setting: `words` as the file writes them, each with how often; counted where in no order."""

    place: str
    label: str | None
    words: list[tuple[str, int]]
    width: int | None
    is_result: bool
    is_counted: bool


def read_qiskit(
    path: Path,
    *,
    bit_order: Annotated[Order | None, "qiskit: last classical bit leftmost; plain: first leftmost."] = None,
    basis_order: Annotated[Order | None, "qiskit: last qubit's letter leftmost; plain: first."] = None,
    basis: Basis = None,
    lost: Lost = None,
) -> Imported:
    """Counts or memory of one or many experiments, each with its basis as a label.

    The label stands beside the counts ("basis"), in the metadata of the experiment or of its header, or ends the
    experiment's name (tomography_XZZ).

    Raises:
        InputError: names the experiment, what was found and what was expected; also where the order of bits or of
            basis labels is in doubt.
    """
    experiments = _experiments(path, _load(path))
    width = _width(experiments)
    _, bits = alphabets(2, lost, None)
    if bit_order is None and width > 1 and not all(experiment.is_result for experiment in experiments):
        raise InputError(
            Code.REQUIRED,
            f"{path}: bare bit strings, whose order is in doubt; expected --bit-order qiskit (last classical bit "
            "leftmost, as get_counts() gives) or --bit-order plain",
        )
    if basis is not None:
        fixed_basis(basis, width)
    labels = [_label(experiment, basis, width) for experiment in experiments]
    if basis is None:
        labels = _site_order(path, labels, basis_order)
    reverse = bit_order != "plain"

    def blocks() -> Iterator[Block]:
        for experiment, label in zip(experiments, labels, strict=True):
            for block in _rows(experiment, bits, width, reverse):
                yield np.tile(fixed_basis(label, width), (len(block), 1)), block

    notes = [
        f"{len(experiments)} experiments; site 0 is the {'right' if reverse else 'left'}most bit of each string, "
        f"and the {'last' if basis_order == 'qiskit' else 'first'} letter of a basis label"
    ]
    ordered = not any(experiment.is_counted for experiment in experiments)
    if not ordered:
        notes.append("counts keep no order of shots")
    return Imported(path, width, named_povm("pauli6"), True, blocks, notes=tuple(notes), ordered=ordered)


def _site_order(path: Path, labels: list[str], order: Order | None) -> list[str]:
    """Basis labels with the letter of site 0 first."""
    turned = [label for label in labels if label != label[::-1]]
    if order is None and turned:
        raise InputError(
            Code.REQUIRED,
            f"{path}: basis label '{turned[0]}' may run either way; expected --basis-order plain (its first letter "
            "is qubit 0) or --basis-order qiskit (its last is)",
        )
    return [label[::-1] for label in labels] if order == "qiskit" else labels


def _rows(experiment: _Experiment, bits: Alphabet, width: int, reverse: bool) -> Iterator[Outcomes]:
    """The shots of an experiment, uint8 (rows, width) each, site 0 leftmost."""
    rows, times = [], []
    for word, count in experiment.words:
        place = f"{experiment.place}, '{word[:40]}'"
        row = bits.of_words(_letters(word, width, place), place)
        rows.append(row[::-1] if reverse else row)
        times.append(count)
    shots = np.array(rows, dtype=np.uint8).reshape(len(rows), width)
    ends = np.cumsum(times)
    for first in range(0, int(ends[-1]), _ROWS):
        chosen = np.arange(first, min(first + _ROWS, int(ends[-1])))
        yield shots[np.searchsorted(ends, chosen, side="right")]


def _load(path: Path) -> Any:
    check_file(path, _WHAT)
    size = path.stat().st_size
    if size > _LARGEST_FILE:
        raise InputError(
            Code.TOO_LARGE,
            f"{path}: {size:,} bytes, expected at most {_LARGEST_FILE:,} of JSON; write it as .npy or HDF5",
        )
    try:
        return json.loads(path.read_bytes(), object_pairs_hook=_unique, parse_constant=_refuse)
    except (ValueError, RecursionError, OSError) as error:
        raise InputError(Code.DAMAGED, f"{path}: not readable ({first_line(error)}), expected {_WHAT}") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"'{next(name for name in names if names.count(name) > 1)}' stands twice in one object")
    return found


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is no count")


def _experiments(path: Path, content: Any) -> list[_Experiment]:
    is_result = isinstance(content, dict) and isinstance(content.get("results"), list)
    entries = content["results"] if is_result else content
    if isinstance(entries, dict) and not {"counts", "memory", "data"} & set(entries):
        if all(isinstance(value, dict) for value in entries.values()):
            entries = [{"basis": label, "counts": counts} for label, counts in entries.items()]
        else:
            entries = [{"counts": entries}]
    if isinstance(entries, dict):
        entries = [entries]
    if not isinstance(entries, list) or not entries:
        raise InputError(Code.TOO_FEW, f"{path}: no experiments, expected {_WHAT}")
    found = [_experiment(f"{path}, experiment {i}", entry, is_result) for i, entry in enumerate(entries)]
    total = sum(count for experiment in found for _, count in experiment.words)
    if total > _LARGEST_SHOTS:
        raise InputError(Code.TOO_LARGE, f"{path}: counts of {total:,} shots, expected at most {_LARGEST_SHOTS:,}")
    return found


def _experiment(place: str, entry: Any, is_result: bool) -> _Experiment:
    if not isinstance(entry, dict):
        raise InputError(Code.KIND, f"{place}: found {str(entry)[:40]!r}, expected an object with counts or memory")
    data = _object(entry.get("data")) or entry
    memory, counts = data.get("memory"), data.get("counts")
    if isinstance(memory, list) and memory:
        wrong = next((word for word in memory if not isinstance(word, str)), None)
        if wrong is not None:
            raise InputError(Code.VALUE, f"{place}, memory: found {wrong!r}, expected bit strings")
        words, counted = [(word, 1) for word in memory], False
    elif isinstance(counts, dict) and counts:
        for word, count in counts.items():
            if not isinstance(count, int) or isinstance(count, bool) or count < 0:
                raise InputError(
                    Code.VALUE, f"{place}, counts of '{word[:40]}': {str(count)[:40]}, expected a whole number from 0"
                )
        words, counted = [(word, count) for word, count in counts.items() if count], True
    else:
        words, counted = [], False
    if not words:
        raise InputError(Code.TOO_FEW, f"{place}: no shots, expected counts or memory")
    header = _object(entry.get("header"))
    width = header.get("memory_slots")
    return _Experiment(
        place, _find_label(entry, header), words, width if isinstance(width, int) else None, is_result, counted
    )


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _find_label(entry: Mapping[str, Any], header: Mapping[str, Any]) -> str | None:
    for source in (entry, _object(entry.get("metadata")), _object(header.get("metadata"))):
        for name in _LABELS:
            if isinstance(source.get(name), str):
                return str(source[name])
    for title in (header.get("name"), entry.get("name")):
        if isinstance(title, str) and (end := re.search(rf"(?:^|[_\-\s])([{BASES}]+)$", title)):
            return end[1]
    return None


def _width(experiments: list[_Experiment]) -> int:
    """Bits of a string, the same in all."""
    found = []
    for experiment in experiments:
        word = experiment.words[0][0]
        if experiment.width is None and word.startswith("0x"):
            raise InputError(
                Code.SYNTAX, f"{experiment.place}: '{word[:40]}' without memory_slots in a header, expected bit strings"
            )
        found.append(experiment.width if word.startswith("0x") else len(word.replace(" ", "")))
        if found[-1] != found[0]:
            raise InputError(
                Code.MISMATCH, f"{experiment.place}: {found[-1]} bits, expected {found[0]} as in the first experiment"
            )
    width = found[0]
    if width is None or not 1 <= width <= 100_000:
        raise InputError(Code.VALUE, f"{experiments[0].place}: {width} bits, expected 1 to 100,000")
    return width


def _label(experiment: _Experiment, basis: str | None, width: int) -> str:
    label = basis or experiment.label
    if label is None:
        expected = "a label such as XZZ beside the counts, in its metadata or at the end of its name; or --basis"
        raise InputError(Code.REQUIRED, f"{experiment.place}: no basis, expected {expected}")
    label = label.upper()
    if basis is None and (len(label) != width or set(label) - set(BASES)):
        raise InputError(Code.SYNTAX, f"{experiment.place}: basis '{label[:40]}', expected {width} letters X, Y or Z")
    return label


def _letters(word: str, width: int, place: str) -> str:
    letters = word.replace(" ", "")
    if letters.startswith("0x"):
        if not re.fullmatch(r"0x[0-9a-fA-F]+", letters) or len(letters) > width + 2:
            raise InputError(Code.VALUE, f"{place}: expected a number of {width} bits in hexadecimal")
        letters = format(int(letters, 16), f"0{width}b")
    if len(letters) != width:
        raise InputError(Code.SHAPE, f"{place}: {len(letters)} bits, expected {width}")
    return letters
