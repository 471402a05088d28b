"""Qiskit counts and memory as JSON, read without Qiskit.

Qiskit writes bit strings with the last classical bit leftmost. They are reversed here, once: site i is classical
bit i. A whole result (`Result.to_dict()`) is known to be so; of bare counts only the user can tell.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from qtomo.distribution import Outcomes
from qtomo.errors import Code, InputError
from qtomo.measurement.povm import BASES, named_povm
from qtomo.records.importers.base import Alphabet, Basis, Imported, Lost, Run, alphabets, fixed_basis, load_json
from qtomo.records.importers.bits import bit_array
from qtomo.records.importers.counts import LARGEST, as_whole, drawn_out
from qtomo.records.importers.recognition import Claim, Head, Sure, first_of, keys, recognised_by

__all__ = ["read_qiskit"]

MOST_BITS = 100_000
_PAULI_BASIS = "ZXY"  # how qiskit-experiments numbers bases
_WHAT = "JSON of Qiskit counts or memory"
_LABELS = ("basis", "bases", "setting", "settings", "label")

Order = Literal["qiskit", "plain"]


@dataclass(frozen=True)
class _Experiment:
    """Shots in one setting: `words` as the file writes them, each with how often; counted where in no order.

    Args:
        place: where it stands, for messages.
        label: letters of the bases; None where there are none.
        words: bit strings or hexadecimal numbers, each with how often.
        registers: name and bits of each, that of the lowest bits first; None where only the words tell.
        width: all bits, where the file says so.
        is_result: whether Qiskit's order of bits is sure.
        is_counted: whether the order of the shots is lost.
        is_labelled: whether the label has the letter of site 0 first, for sure.
    """

    place: str
    label: str | None
    words: list[tuple[str, int]]
    registers: tuple[tuple[str, int], ...] | None
    width: int | None
    is_result: bool
    is_counted: bool
    is_labelled: bool = False


def _claim(head: Head) -> Claim | None:
    content = head.json
    if content is None:
        return None
    if keys(content).get("__type__") == "PrimitiveResult":
        return Claim(Sure.CERTAIN, "a result of Qiskit's SamplerV2")
    if isinstance(keys(content).get("results"), list):
        return Claim(Sure.CERTAIN, "a result of Qiskit")
    one = keys(first_of(content) if isinstance(content, list) else content)
    if {"counts", "memory"} & {*one, *keys(one.get("data"))}:
        return Claim(Sure.LIKELY, "counts or memory of Qiskit")
    counts = next(iter(one.values())) if one and all(isinstance(value, dict) for value in one.values()) else one
    words = isinstance(counts, dict) and counts and all(re.fullmatch(r"[01 ]+|0x[0-9a-fA-F]+", key) for key in counts)
    return Claim(Sure.LIKELY, "bare counts by bit strings, as Qiskit's get_counts() gives") if words else None


@recognised_by(_claim)
def read_qiskit(
    path: Path,
    *,
    bit_order: Annotated[Order | None, "qiskit: last classical bit leftmost; plain: first leftmost."] = None,
    basis_order: Annotated[Order | None, "qiskit: last qubit's letter leftmost; plain: first."] = None,
    register: Annotated[tuple[str, ...], "The classical register of the qubits, where there are several."] = (),
    basis: Basis = None,
    lost: Lost = None,
) -> Imported:
    """Counts, memory or samples of one or many experiments, each with its basis as a label.

    The label stands beside the counts ("basis"), in the metadata of the experiment, of its header or of its circuit,
    or ends the experiment's name (tomography_XZZ). Several registers that are named are joined, first one first.

    Raises:
        InputError: names the experiment, what was found and what was expected; also where the order of bits or of
            basis labels, or which register is meant, is in doubt.
    """
    experiments, n_failed = _experiments(path, load_json(path, _WHAT), register)
    places = [_places(experiment, register) for experiment in experiments]
    width = _width(experiments, places)
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
    if basis is None and not all(experiment.is_labelled for experiment in experiments):
        labels = _site_order(path, labels, basis_order)
    reverse = bit_order != "plain"

    def runs() -> Iterator[Run]:
        for experiment, label, chosen in zip(experiments, labels, places, strict=True):
            rows, times = _rows(experiment, bits, chosen, reverse)
            yield (np.tile(fixed_basis(label, width), (len(rows), 1)), rows), times

    notes = [
        f"{len(experiments)} experiments; site 0 is the {'right' if reverse else 'left'}most bit of each string, "
        f"and the {'last' if basis_order == 'qiskit' else 'first'} letter of a basis label"
    ]
    notes += [f"register {' and '.join(register)} alone"] if register else []
    notes += [f"{n_failed} experiments that did not succeed are left out"] if n_failed else []
    ordered = not any(experiment.is_counted for experiment in experiments)
    if not ordered:
        notes.append("counts keep no order of shots")
    return Imported(
        path,
        width,
        named_povm("pauli6"),
        True,
        lambda: drawn_out(runs()),
        notes=tuple(notes),
        ordered=ordered,
        counted=runs,
    )


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


def _rows(
    experiment: _Experiment, bits: Alphabet, chosen: list[int], reverse: bool
) -> tuple[Outcomes, NDArray[np.int64]]:
    """The words of an experiment, uint8 (rows, sites), site 0 leftmost, and how often each was seen."""
    rows, times, width = [], [], _all_bits(experiment)
    for word, count in experiment.words:
        place = f"{experiment.place}, '{word[:40]}'"
        row = bits.of_words(_letters(word, width, place, reverse), place)
        rows.append([row[bit] for bit in chosen])
        times.append(count)
    return np.array(rows, dtype=np.uint8).reshape(len(rows), len(chosen)), np.array(times, np.int64)


def _experiments(path: Path, content: Any, register: tuple[str, ...]) -> tuple[list[_Experiment], int]:
    """Those that succeeded, and how many did not."""
    if _object(content).get("__type__") == "PrimitiveResult":
        content = {"results": _object(content.get("__value__")).get("pub_results")}
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
    right = [one for one in entries if _object(one).get("success", True) is not False]
    if not right:
        raise InputError(Code.TOO_FEW, f"{path}: none of {len(entries)} experiments succeeded, expected one")
    found = [_experiment(f"{path}, experiment {i}", entry, is_result, register) for i, entry in enumerate(right)]
    total = sum(count for experiment in found for _, count in experiment.words)
    if total > LARGEST:
        raise InputError(Code.TOO_LARGE, f"{path}: counts of {total:,} shots, expected at most {LARGEST:,}")
    return found, len(entries) - len(right)


def _experiment(place: str, entry: Any, is_result: bool, register: tuple[str, ...]) -> _Experiment:
    if not isinstance(entry, dict):
        raise InputError(Code.KIND, f"{place}: found {str(entry)[:40]!r}, expected an object with counts or memory")
    entry = _object(entry.get("__value__")) or entry
    data = _object(entry.get("data")) or entry
    header = _object(entry.get("header"))
    label, is_labelled = _find_label(entry, header)
    sampled = _samples(place, data, register)
    if sampled is not None:
        registers, words = sampled
        return _Experiment(place, label, words, registers, None, True, False, is_labelled)
    words, counted = _words(place, data, register)
    if not words:
        raise InputError(Code.TOO_FEW, f"{place}: no shots, expected counts or memory")
    width = header.get("memory_slots")
    return _Experiment(
        place,
        label,
        words,
        _registers(header),
        width if isinstance(width, int) else None,
        is_result,
        counted,
        is_labelled,
    )


def _words(place: str, data: dict[str, Any], register: tuple[str, ...]) -> tuple[list[tuple[str, int]], bool]:
    """Memory, or counts, with whether they are counts."""
    memory, counts = data.get("memory"), data.get("counts")
    if isinstance(memory, list) and memory:
        wrong = next((word for word in memory if not isinstance(word, str)), None)
        if wrong is not None:
            raise InputError(Code.VALUE, f"{place}, memory: found {wrong!r}, expected bit strings")
        return [(word, 1) for word in memory], False
    if not isinstance(counts, dict) or not counts:
        return [], False
    if all(isinstance(value, dict) for value in counts.values()):
        name = _one_register(place, list(counts), register)
        counts = counts[name]
    found = [(word, as_whole(count, f"{place}, counts of '{word[:40]}'")) for word, count in counts.items()]
    return [(word, count) for word, count in found if count], True


def _one_register(place: str, names: list[str], register: tuple[str, ...]) -> str:
    """The one whose counts are meant: those of several cannot be joined."""
    if len(names) > 1 and len(register) != 1:
        raise InputError(
            Code.REQUIRED,
            f"{place}: counts of registers {', '.join(names)}, each by itself; expected --register with one of them",
        )
    name = register[0] if register else names[0]
    if name not in names:
        raise InputError(Code.ABSENT, f"{place}: no register '{name}', found {', '.join(names)}")
    return name


def _samples(
    place: str, data: dict[str, Any], register: tuple[str, ...]
) -> tuple[tuple[tuple[str, int], ...], list[tuple[str, int]]] | None:
    """Registers and shots of SamplerV2: bits packed in an array, or samples as numbers, a register each."""
    fields = _object(_object(data.get("__value__")).get("fields")) if "__type__" in data else data
    found: dict[str, tuple[int, list[int]]] = {}
    for name, value in fields.items():
        one = _object(value)
        if one.get("__type__") == "BitArray":
            found[name] = bit_array(f"{place}, {name}", _object(one.get("__value__")))
        elif isinstance(one.get("samples"), list):
            found[name] = _numbers(f"{place}, {name}", one)
    if not found:
        return None
    lengths = {len(shots) for _, shots in found.values()}
    if len(lengths) != 1 or 0 in lengths:
        raise InputError(Code.SHAPE, f"{place}: registers of {sorted(lengths)} shots, expected as many in each")
    words = []
    for shots in zip(*(shots for _, shots in found.values()), strict=True):
        parts = [format(value, f"0{width}b") for value, (width, _) in zip(shots, found.values(), strict=True)]
        words.append(("".join(reversed(parts)), 1))
    return tuple((name, width) for name, (width, _) in found.items()), words


def _numbers(place: str, one: dict[str, Any]) -> tuple[int, list[int]]:
    """Bits, and shots as numbers, of samples such as "0x3"."""
    width = one.get("num_bits")
    if not isinstance(width, int) or isinstance(width, bool) or not 1 <= width <= MOST_BITS:
        raise InputError(Code.VALUE, f"{place}: num_bits {str(width)[:40]}, expected 1 to {MOST_BITS:,}")
    shots = []
    for number, word in enumerate(one["samples"]):
        if not isinstance(word, str) or not re.fullmatch(r"0x[0-9a-fA-F]+", word) or len(word) > width + 2:
            raise InputError(Code.VALUE, f"{place}, shot {number}: {str(word)[:40]!r}, expected hexadecimal, as 0x3")
        shots.append(int(word, 16))
        if shots[-1] >> width:
            raise InputError(Code.VALUE, f"{place}, shot {number}: '{word[:40]}', expected a number of {width} bits")
    return width, shots


def _registers(header: dict[str, Any]) -> tuple[tuple[str, int], ...] | None:
    """Name and bits of each classical register of a header, that of the lowest bits first."""
    sizes = header.get("creg_sizes")
    if not isinstance(sizes, list):
        return None
    found = [(one[0], one[1]) for one in sizes if isinstance(one, list) and len(one) == 2]
    fit = len(found) == len(sizes) and all(isinstance(n, str) and isinstance(w, int) and w > 0 for n, w in found)
    return tuple(found) if fit and found else None


def _places(experiment: _Experiment, register: tuple[str, ...]) -> list[int]:
    """Which bits, counted from the first one, are those of the qubits."""
    registers = experiment.registers or _registers_of_words(experiment)
    if len(registers) == 1 and (not register or register == (registers[0][0],)):
        return list(range(_all_bits(experiment)))
    names = [name for name, _ in registers]
    if not register:
        words = ", ".join(f"{name} ({width} bit{'s' if width > 1 else ''})" for name, width in registers)
        raise InputError(
            Code.REQUIRED,
            f"{experiment.place}: registers {words}; expected --register with that of the qubits, or several to join",
        )
    missing = next((name for name in register if name not in names), None)
    if missing is not None:
        # Counts of a register by itself have lost their name.
        if len(registers) == 1:
            return list(range(_all_bits(experiment)))
        raise InputError(Code.ABSENT, f"{experiment.place}: no register '{missing}', found {', '.join(names)}")
    starts = np.cumsum([0, *(width for _, width in registers)])
    at = {name: range(start, start + width) for (name, width), start in zip(registers, starts.tolist(), strict=False)}
    return [bit for name in register for bit in at[name]]


def _registers_of_words(experiment: _Experiment) -> tuple[tuple[str, int], ...]:
    """Registers without names, by the spaces between them: that of the lowest bits, written last, is 0."""
    parts = experiment.words[0][0].split()
    if len(parts) == 1:
        return (("0", 0),)
    return tuple((str(number), len(part)) for number, part in enumerate(reversed(parts)))


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _find_label(entry: Mapping[str, Any], header: Mapping[str, Any]) -> tuple[str | None, bool]:
    """The letters of the bases, and whether that of site 0 surely stands first."""
    circuit = _object(_object(entry.get("metadata")).get("circuit_metadata"))
    sources = (entry, _object(entry.get("metadata")), _object(header.get("metadata")), circuit)
    for source in sources:
        for name in _LABELS:
            if isinstance(source.get(name), str):
                return str(source[name]), False
        indices, bits = source.get("m_idx"), source.get("clbits")
        if isinstance(indices, list) and all(index in (0, 1, 2) for index in indices):
            order = np.argsort(bits) if isinstance(bits, list) and len(bits) == len(indices) else range(len(indices))
            return "".join(_PAULI_BASIS[indices[place]] for place in order), True
    for title in (header.get("name"), entry.get("name")):
        if isinstance(title, str) and (end := re.search(rf"(?:^|[_\-\s])([{BASES}]+)$", title)):
            return end[1], False
    return None, False


def _all_bits(experiment: _Experiment) -> int:
    """Bits of a string of an experiment, those of all registers."""
    word = experiment.words[0][0]
    if not word.startswith("0x"):
        return len(word.replace(" ", ""))
    if experiment.width is None:
        raise InputError(
            Code.SYNTAX, f"{experiment.place}: '{word[:40]}' without memory_slots in a header, expected bit strings"
        )
    return experiment.width


def _width(experiments: list[_Experiment], places: list[list[int]]) -> int:
    """Qubits, the same number in all experiments."""
    for experiment, chosen in zip(experiments, places, strict=True):
        bits = _all_bits(experiment)
        if not 1 <= bits <= MOST_BITS:
            raise InputError(Code.VALUE, f"{experiment.place}: {bits} bits, expected 1 to {MOST_BITS:,}")
        if len(chosen) != len(places[0]):
            raise InputError(
                Code.MISMATCH,
                f"{experiment.place}: {len(chosen)} bits, expected {len(places[0])} as in the first experiment",
            )
        if max(chosen) >= bits:
            raise InputError(Code.MISMATCH, f"{experiment.place}: {bits} bits, expected as many as its registers have")
    return len(places[0])


def _label(experiment: _Experiment, basis: str | None, width: int) -> str:
    label = basis or experiment.label
    if label is None:
        expected = "a label such as XZZ beside the counts, in its metadata or at the end of its name; or --basis"
        raise InputError(Code.REQUIRED, f"{experiment.place}: no basis, expected {expected}")
    label = label.upper()
    if basis is None and (len(label) != width or set(label) - set(BASES)):
        raise InputError(Code.SYNTAX, f"{experiment.place}: basis '{label[:40]}', expected {width} letters X, Y or Z")
    return label


def _letters(word: str, width: int, place: str, reverse: bool) -> str:
    """The bits of a word, the first classical bit first."""
    letters = word.replace(" ", "")
    if letters.startswith("0x"):
        if not re.fullmatch(r"0x[0-9a-fA-F]+", letters) or len(letters) > width + 2:
            raise InputError(Code.VALUE, f"{place}: expected a number of {width} bits in hexadecimal")
        letters = format(int(letters, 16), f"0{width}b")
    if len(letters) != width:
        raise InputError(Code.SHAPE, f"{place}: {len(letters)} bits, expected {width}")
    return letters[::-1] if reverse else letters
