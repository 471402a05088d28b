"""Text tables, CSV: bases and bits, or outcome labels, one record per line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
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
    Eigenvalues,
    Imported,
    Lost,
    OneBased,
    Povm,
    Run,
    alphabets,
    as_blocks,
    fixed_basis,
    measurement,
    shot_blocks,
    text_lines,
    with_basis,
)
from qtomo.records.importers.counts import LARGEST, as_whole, drawn_out
from qtomo.records.importers.recognition import Claim, Head, Sure, recognised_by

__all__ = ["read_csv"]

_WHAT = "lines such as XZZY,0110"
_BASES = r"(bases|basis|settings?)_?\d*"
_OUTCOMES = r"(outcomes?|bits?|bitstrings?|samples?|states?|q|site)_?\d*"
_COUNTS = r"(counts?|n_?shots|shots|multiplicity|frequency|frequencies|occurrences)"
_NAME = r"[A-Za-z][\w: .-]*"
_ROWS = 8192  # lines at once
_INDEX = r"|unnamed: ?0|index|idx|row|shot|shot_?(index|id|number)"


@dataclass(frozen=True)
class _Layout:
    """Which words of a line are bases and which are outcomes, both from left to right."""

    width: int
    bases: list[int]
    outcomes: list[int]
    columns: dict[str, int]
    separator: str | None
    has_header: bool
    count: int | None = None


def _claim(head: Head) -> Claim | None:
    found = [line.partition("#")[0].strip() for line in head.lines]
    lines = [line for line in found if line]
    if not lines or lines[0][0] in "{[<" or lines[0].startswith("Counter"):
        return None
    separator = _separator(lines[0])
    words = _split(lines[0], separator)
    roles = [word for word in words if any(re.fullmatch(role, word, re.I) for role in (_BASES, _OUTCOMES))]
    if roles and all(re.fullmatch(r"[A-Za-z][\w: ]*|", word) for word in words):
        return Claim(Sure.CERTAIN, f"a text table with a header, {', '.join(words[:6])}")
    n_bases = sum(bool(word) and not set(word.upper()) - set(BASES) for word in words)
    if n_bases and 2 * n_bases == len(words):
        return Claim(Sure.CERTAIN, "a text table of bases and bits without a header")
    if all(re.fullmatch(r"[+-]?\d+", word) for word in words):
        return Claim(Sure.POSSIBLE, "a text table of outcomes without a header")
    return Claim(Sure.POSSIBLE, "a text table with a header of its own") if separator and len(words) > 1 else None


@recognised_by(_claim)
def read_csv(
    path: Path,
    *,
    outcomes: Annotated[str | None, "Columns of the outcomes, as they are called: q{i}, i from 0 or 1."] = None,
    settings: Annotated[str | None, "Columns of the bases, as they are called: basis{i}."] = None,
    povm: Povm = None,
    column: Annotated[tuple[str, ...], "A column of the header to keep as a number per shot, such as time."] = (),
    basis: Basis = None,
    lost: Lost = None,
    one_based: OneBased = None,
    eigenvalues: Eigenvalues = False,
) -> Imported:
    """A text table: bases then outcomes, each as one word of N letters or as N words.

    Words stand between commas, semicolons, tabs or spaces. A first line of names is a header; columns called
    bases (basis, setting, settings) and bits (outcomes, samples, q) then tell which is which, numbered where there
    is one per qubit. A column called count (counts, shots, multiplicity, frequency) says how often a row was seen.

    Raises:
        InputError: names the line, what was found and what was expected.
    """
    place, first = next(text_lines(path, _WHAT))
    layout = _layout(first, place, column, (settings, outcomes))
    if layout.bases and basis is not None:
        raise InputError(Code.CONFLICT, f"--basis {basis}: {path} has the bases of the shots, expected one of the two")
    if layout.count is not None and layout.columns:
        raise InputError(
            Code.CONFLICT, f"{place}: --column {column[0]} beside a column of counts, which keep no number per shot"
        )
    has_settings = bool(layout.bases) or basis is not None
    povm = measurement(path, povm, has_settings)
    letters, labels = alphabets(2 if has_settings else povm.n_outcomes, lost, one_based, eigenvalues)
    n_sites = _n_sites(path, layout)
    if basis is not None:
        fixed_basis(basis, n_sites)

    def rows() -> Iterator[tuple[list[int], list[int]]]:
        for place, line in _lines(path, layout):
            bases = letters.of_words(_chosen(line, layout.bases), place, n_sites) if layout.bases else []
            yield bases, labels.of_words(_chosen(line, layout.outcomes), place, n_sites)

    def runs() -> Iterator[Run]:
        yield from _runs(rows(), _counts(path, layout), basis, n_sites)

    def blocks() -> Iterator[Block]:
        if layout.count is not None:
            yield from drawn_out(runs())
        elif layout.bases:
            yield from shot_blocks(rows())
        else:
            yield from with_basis(as_blocks(bits for _, bits in rows()), basis, n_sites)

    kind = "bases and bits" if layout.bases else "bits" if basis else f"outcomes of POVM '{povm.name}'"
    header = ", the first line is a header" if layout.has_header else ", no header"
    notes = [f"{kind} from left to right, {layout.width} words per line{header}"]
    if layout.count is not None:
        total = sum(_counts(path, layout))
        if not 0 < total <= LARGEST:
            raise InputError(Code.TOO_LARGE, f"{path}: counts of {total:,} shots, expected 1 to {LARGEST:,}")
        notes += [f"each line stands for as many shots as it counts, {total:,} in all", "counts keep no order of shots"]
    return Imported(
        path,
        n_sites,
        povm,
        has_settings,
        blocks,
        lambda: _columns(path, layout),
        tuple(notes),
        ordered=layout.count is None,
        counted=None if layout.count is None else runs,
    )


def _counts(path: Path, layout: _Layout) -> Iterator[int]:
    """How often each line was seen."""
    assert layout.count is not None
    for place, line in _lines(path, layout):
        number = _number(line[layout.count], f"{place}, column of counts", layout.separator)
        yield as_whole(number, f"{place}, column of counts")


def _runs(
    rows: Iterator[tuple[list[int], list[int]]], counts: Iterator[int], basis: str | None, n_sites: int
) -> Iterator[Run]:
    """Rows that stand for many shots each."""
    pairs = zip(rows, counts, strict=True)
    while taken := list(islice(pairs, _ROWS)):
        labels = np.array([bits for (_, bits), _ in taken], np.uint8)
        times = np.array([count for _, count in taken], np.int64)
        if taken[0][0][0]:
            yield (np.array([bases for (bases, _), _ in taken], np.uint8), labels), times
        else:
            yield from ((block, times) for block in with_basis(iter([labels]), basis, n_sites))


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
            values[name].append(_number(line[index], f"{place}, column '{name}'", layout.separator))
    return {name: _narrow(np.array(found)) for name, found in values.items()}


def _separator(line: str) -> str | None:
    return next((s for s in ";\t," if s in line), None)


def _split(line: str, separator: str | None) -> list[str]:
    return [word.strip().strip('"') for word in line.split(separator)]


def _layout(first: str, place: str, kept: tuple[str, ...], named: tuple[str | None, str | None]) -> _Layout:
    separator = _separator(first)
    words = _split(first, separator)
    is_name = [bool(re.fullmatch(_NAME, word) and set(word.upper()) - set(BASES)) for word in words]
    if any(named) or (all(is_name[1:] or is_name) and (is_name[0] or re.fullmatch(_INDEX, words[0], re.I))):
        return _layout_of_header(words, place, kept, separator, named)
    if kept:
        raise InputError(Code.ABSENT, f"{place}: no header, expected one with the column '{kept[0]}' of --column")
    n_bases = sum(bool(word) and not set(word.upper()) - set(BASES) for word in words)
    if n_bases and 2 * n_bases != len(words):
        raise InputError(
            Code.SYNTAX, f"{place}: {n_bases} of {len(words)} words are bases, expected half of them: {_WHAT}"
        )
    return _Layout(len(words), list(range(n_bases)), list(range(n_bases, len(words))), {}, separator, has_header=False)


def _layout_of_header(
    words: list[str], place: str, kept: tuple[str, ...], separator: str | None, named: tuple[str | None, str | None]
) -> _Layout:
    roles = {
        role: _called(words, pattern, place)
        for role, pattern in zip((_BASES, _OUTCOMES), named, strict=True)
        if pattern
    }
    taken = {index for found in roles.values() for index in found}
    columns: dict[str, int] = {}
    counts: list[int] = []
    for index, word in enumerate(words):
        role = next((role for role in (_BASES, _OUTCOMES) if re.fullmatch(role, word, re.I)), None)
        if index in taken or (index == 0 and re.fullmatch(_INDEX, word, re.I) and word not in kept):
            continue
        if word in kept:
            columns[word] = index
        elif re.fullmatch(_COUNTS, word, re.I):
            counts.append(index)
        elif role is not None and not named[role == _OUTCOMES]:
            roles.setdefault(role, []).append(index)
        else:
            expected = "bases, bits or outcomes (numbered where there is one per qubit)"
            raise InputError(
                Code.UNKNOWN,
                f"{place}: column '{word}', expected {expected}; --outcomes {word} where it holds them, --column "
                f"{word} keeps it as a number per shot",
            )
    missing = [name for name in kept if name not in columns]
    if missing:
        raise InputError(Code.ABSENT, f"{place}: no column '{missing[0]}' of --column, found {', '.join(words)}")
    if len(counts) > 1:
        raise InputError(
            Code.CONFLICT,
            f"{place}: columns {' and '.join(words[index] for index in counts)}, expected one of counts; --column "
            "NAME keeps the other",
        )
    _check_numbered(words, roles, place)
    return _Layout(
        len(words),
        roles.get(_BASES, []),
        roles[_OUTCOMES],
        columns,
        separator,
        has_header=True,
        count=counts[0] if counts else None,
    )


def _called(words: list[str], pattern: str, place: str) -> list[int]:
    """Columns that a name means; one with {i} those of all qubits, in the order of their numbers."""
    if "{i}" not in pattern:
        if pattern not in words:
            raise InputError(Code.ABSENT, f"{place}: no column '{pattern}', found {', '.join(words)}")
        return [words.index(pattern)]
    exact = re.escape(pattern).replace(re.escape("{i}"), r"(\d{1,6})")
    found = sorted((int(one[1]), index) for index, word in enumerate(words) if (one := re.fullmatch(exact, word)))
    numbers = [number for number, _ in found]
    if not numbers or numbers[0] > 1 or numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        raise InputError(
            Code.ABSENT,
            f"{place}: columns {pattern} with i = {', '.join(map(str, numbers)) or 'none'}, expected all from 0 or 1",
        )
    return [index for _, index in found]


def _check_numbered(words: list[str], roles: dict[str, list[int]], place: str) -> None:
    """Be sure that there are outcomes, and that columns of a kind are numbered in order where nobody named them."""
    for chosen in roles.values():
        numbers = [int(found[0]) for index in chosen if (found := re.findall(r"\d+$", words[index]))]
        if len(chosen) > 1 and numbers != list(range(numbers[0] if numbers else 0, len(chosen) + (numbers or [0])[0])):
            names = ", ".join(words[index] for index in chosen)
            raise InputError(
                Code.SYNTAX, f"{place}: columns {names}, expected them numbered in order from left to right"
            )
    if not roles.get(_OUTCOMES):
        raise InputError(
            Code.ABSENT,
            f"{place}: no column of outcomes, found {', '.join(words)}, expected one called bits, or --outcomes NAME",
        )


def _number(word: str, place: str, separator: str | None) -> float:
    try:
        return float(word if separator == "," else word.replace(",", "."))
    except ValueError:
        raise InputError(Code.VALUE, f"{place}: '{word[:40]}', expected a number") from None


def _narrow(values: NDArray[Any]) -> NDArray[Any]:
    """Whole numbers as integers where all are."""
    whole = np.isfinite(values).all() and (values == np.rint(values)).all() and np.abs(values).max() < 2**53
    return values.astype(np.int64) if whole else values
