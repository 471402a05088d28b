"""Text tables, CSV: bases and bits, or outcome labels, one record per line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from qtomo.errors import Code, InputError
from qtomo.measurement.povm import BASES
from qtomo.records.file.writer import Block
from qtomo.records.importers.base import (
    Basis,
    Columns,
    Imported,
    Lost,
    OneBased,
    Povm,
    alphabets,
    as_blocks,
    fixed_basis,
    measurement,
    shot_blocks,
    text_lines,
    with_basis,
)

__all__ = ["read_csv"]

_WHAT = "lines such as XZZY,0110"
_BASES = r"(bases|basis|settings?)_?\d*"
_OUTCOMES = r"(outcomes?|bits?|samples?|q|site)_?\d*"
_COUNTS = r"(counts?|shots|multiplicity|frequency)"


@dataclass(frozen=True)
class _Layout:
    """Which words of a line are bases and which are outcomes, both from left to right."""

    width: int
    bases: list[int]
    outcomes: list[int]
    columns: dict[str, int]
    separator: str | None
    has_header: bool


def read_csv(
    path: Path,
    *,
    povm: Povm = None,
    column: Annotated[tuple[str, ...], "A column of the header to keep as a number per shot, such as time."] = (),
    basis: Basis = None,
    lost: Lost = None,
    one_based: OneBased = None,
) -> Imported:
    """A text table: bases then outcomes, each as one word of N letters or as N words.

    Words stand between commas, semicolons, tabs or spaces. A first line of names is a header; columns called
    bases (basis, setting, settings) and bits (outcomes, samples, q) then tell which is which, numbered where there
    is one per qubit.

    Raises:
        InputError: names the line, what was found and what was expected.
    """
    place, first = next(text_lines(path, _WHAT))
    layout = _layout(first, place, column)
    if layout.bases and basis is not None:
        raise InputError(Code.CONFLICT, f"--basis {basis}: {path} has the bases of the shots, expected one of the two")
    has_settings = bool(layout.bases) or basis is not None
    povm = measurement(path, povm, has_settings)
    letters, outcomes = alphabets(2 if has_settings else povm.n_outcomes, lost, one_based)
    n_sites = _n_sites(path, layout)
    if basis is not None:
        fixed_basis(basis, n_sites)

    def rows() -> Iterator[tuple[list[int], list[int]]]:
        for place, line in _lines(path, layout):
            bases = letters.of_words(_chosen(line, layout.bases), place, n_sites) if layout.bases else []
            yield bases, outcomes.of_words(_chosen(line, layout.outcomes), place, n_sites)

    def blocks() -> Iterator[Block]:
        if layout.bases:
            return shot_blocks(rows())
        return with_basis(as_blocks(bits for _, bits in rows()), basis, n_sites)

    kind = "bases and bits" if layout.bases else "bits" if basis else f"outcomes of POVM '{povm.name}'"
    header = ", the first line is a header" if layout.has_header else ", no header"
    notes = (f"{kind} from left to right, {layout.width} words per line{header}",)
    return Imported(path, n_sites, povm, has_settings, blocks, lambda: _columns(path, layout), notes)


def _lines(path: Path, layout: _Layout) -> Iterator[tuple[str, list[str]]]:
    """The words of each line of data, with its place."""
    for number, (place, line) in enumerate(text_lines(path, _WHAT)):
        if number == 0 and layout.has_header:
            continue
        words = _split(line, layout.separator)
        if len(words) != layout.width:
            raise InputError(Code.SHAPE, f"{place}: {len(words)} words, expected {layout.width} as in the first line")
        yield place, words


def _n_sites(path: Path, layout: _Layout) -> int:
    """Outcomes of the first line of data."""
    for _, line in _lines(path, layout):
        return len(_chosen(line, layout.outcomes))
    raise InputError(Code.TOO_FEW, f"{path}, after its header: no line of data, expected {_WHAT}")


def _chosen(line: list[str], places: list[int]) -> list[str]:
    """One value per qubit: the letters of one word, or as many words."""
    return list(line[places[0]]) if len(places) == 1 else [line[i] for i in places]


def _columns(path: Path, layout: _Layout) -> Columns:
    values: dict[str, list[float]] = {name: [] for name in layout.columns}
    for place, line in _lines(path, layout):
        for name, index in layout.columns.items():
            values[name].append(_number(line[index], f"{place}, column '{name}'"))
    return {name: _narrow(np.array(found)) for name, found in values.items()}


def _split(line: str, separator: str | None) -> list[str]:
    return [word.strip().strip('"') for word in line.split(separator)]


def _layout(first: str, place: str, kept: tuple[str, ...]) -> _Layout:
    separator = next((s for s in ",;\t" if s in first), None)
    words = _split(first, separator)
    if all(re.fullmatch(r"[A-Za-z]\w*", word) and set(word.upper()) - set(BASES) for word in words):
        return _layout_of_header(words, place, kept, separator)
    if kept:
        raise InputError(Code.ABSENT, f"{place}: no header, expected one with the column '{kept[0]}' of --column")
    n_bases = sum(bool(word) and not set(word.upper()) - set(BASES) for word in words)
    if n_bases and 2 * n_bases != len(words):
        raise InputError(
            Code.SYNTAX, f"{place}: {n_bases} of {len(words)} words are bases, expected half of them: {_WHAT}"
        )
    return _Layout(len(words), list(range(n_bases)), list(range(n_bases, len(words))), {}, separator, has_header=False)


def _layout_of_header(words: list[str], place: str, kept: tuple[str, ...], separator: str | None) -> _Layout:
    roles: dict[str, list[int]] = {_BASES: [], _OUTCOMES: []}
    columns: dict[str, int] = {}
    for index, word in enumerate(words):
        role = next((role for role in roles if re.fullmatch(role, word, re.I)), None)
        if re.fullmatch(_COUNTS, word, re.I):
            raise InputError(
                Code.UNSUPPORTED,
                f"{place}: column '{word}' of counts, expected a row per shot: write each row as often as it was seen, "
                "or import the counts as JSON (qtomo import qiskit)",
            )
        if word in kept:
            columns[word] = index
        elif role is not None:
            roles[role].append(index)
        else:
            expected = "bases, bits or outcomes (numbered where there is one per qubit)"
            raise InputError(
                Code.UNKNOWN,
                f"{place}: column '{word}', expected {expected}; --column {word} keeps it as a number per shot",
            )
    missing = [name for name in kept if name not in columns]
    if missing:
        raise InputError(Code.ABSENT, f"{place}: no column '{missing[0]}' of --column, found {', '.join(words)}")
    for chosen in roles.values():
        numbers = [int(found[0]) for index in chosen if (found := re.findall(r"\d+$", words[index]))]
        if len(chosen) > 1 and numbers != list(range(numbers[0] if numbers else 0, len(chosen) + (numbers or [0])[0])):
            names = ", ".join(words[index] for index in chosen)
            raise InputError(
                Code.SYNTAX, f"{place}: columns {names}, expected them numbered in order from left to right"
            )
    if not roles[_OUTCOMES]:
        raise InputError(
            Code.ABSENT, f"{place}: no column of outcomes, found {', '.join(words)}, expected one called bits"
        )
    return _Layout(len(words), roles[_BASES], roles[_OUTCOMES], columns, separator, has_header=True)


def _number(word: str, place: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise InputError(Code.VALUE, f"{place}: '{word[:40]}', expected a number") from None


def _narrow(values: NDArray[Any]) -> NDArray[Any]:
    """Whole numbers as integers where all are."""
    whole = np.isfinite(values).all() and (values == np.rint(values)).all() and np.abs(values).max() < 2**53
    return values.astype(np.int64) if whole else values
