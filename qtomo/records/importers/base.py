"""What every import format shares: its result, its options, and how written values become outcomes."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from qtomo.distribution import LOST, Outcomes
from qtomo.errors import Code, InputError
from qtomo.measurement.povm import BASES, POVM, named_povm
from qtomo.records.file.hdf5 import first_line
from qtomo.records.file.writer import Block

__all__ = [
    "Alphabet",
    "Basis",
    "Columns",
    "Eigenvalues",
    "Imported",
    "Laid",
    "Lost",
    "OneBased",
    "Povm",
    "Run",
    "alphabets",
    "as_blocks",
    "check_file",
    "check_laid",
    "fixed_basis",
    "load_json",
    "measurement",
    "names_bases",
    "shot_blocks",
    "text_lines",
    "with_basis",
]

#: Options that formats share, each a type and its help.
Povm = Annotated[POVM | None, "What outcomes mean that are no bits in known bases: a name, a record file or a .npy."]
Basis = Annotated[str | None, "Basis of every shot where the file has none: a letter X, Y or Z, or one per qubit."]
Lost = Annotated[str | None, "What marks a lost outcome in the file, such as -1, 9, nan or ?."]
Eigenvalues = Annotated[bool, "Outcomes are the eigenvalues +1 (bit 0) and -1 (bit 1)."]
Laid = Annotated[Literal["rows", "columns"] | None, "Whether a record is a row or a column of the arrays."]
OneBased = Annotated[Literal["outcomes", "settings", "both"] | None, "What the file counts from 1."]

#: Numbers per record, by name.
Columns = Mapping[str, NDArray[Any]]

#: Rows, and how often each of them follows itself, (rows,); None where each stands once.
Run = tuple[Block, NDArray[np.int64] | None]

_LARGEST_JSON = 2**28
_LONGEST_LINE = 2**24
_FEW = 16  # qubits that a handful of records may be of
_ROWS = 8192  # a block of rows read from text
_UNKNOWN = 254  # no outcome, and not lost


@dataclass(frozen=True, eq=False)
class Imported:
    """A foreign file as understood, read a block at a time and as often as asked.

    Args:
        path: the file.
        n_sites: N.
        povm: what the outcomes mean; of shots with settings six elements, 2 * basis + bit.
        has_settings: whether blocks are pairs (settings, bits), or outcomes.
        blocks: the rows, uint8 (rows, n_sites) each, 255 where lost; raises InputError at what is wrong.
        columns: numbers per record, (n_records,) each.
        notes: how the file was understood, for a person to check.
        ordered: whether rows stand in the order of measurement, which counts do not keep.
        counted: the rows of `blocks` with how often each follows itself; None where the file does not count.
    """

    path: Path
    n_sites: int
    povm: POVM
    has_settings: bool
    blocks: Callable[[], Iterator[Block]]
    columns: Callable[[], Columns] = dict
    notes: tuple[str, ...] = ()
    ordered: bool = True
    counted: Callable[[], Iterator[Run]] | None = None

    def runs(self) -> Iterator[Run]:
        """The rows of `blocks`, those that were counted once each with how often."""
        if self.counted is not None:
            yield from self.counted()
        else:
            yield from ((block, None) for block in self.blocks())


@dataclass(frozen=True)
class Alphabet:
    """How a file writes values of one kind, and the number that each stands for.

    Args:
        what: the kind, in words.
        codes: the number by the way it is written.
        expected: the ways, for messages.
    """

    what: str
    codes: dict[str, int]
    expected: str
    _seen: dict[str, int] = field(default_factory=dict)

    def of_words(self, words: Sequence[str], place: str, n_sites: int | None = None) -> list[int]:
        """Numbers of written values.

        Raises:
            InputError: a value that is none of the known ones, with its site; or not `n_sites` of them.
        """
        if n_sites is not None and len(words) != n_sites:
            raise InputError(
                Code.SHAPE, f"{place}: {len(words)} values of kind {self.what}, expected {n_sites}, one per qubit"
            )
        seen = self._seen
        try:
            return [seen[word] for word in words]
        except KeyError:
            return [self._of_word(word, f"{place}, site {site}") for site, word in enumerate(words)]

    def _of_word(self, word: str, place: str) -> int:
        code = self.codes.get(word, self.codes.get(_canonical(word)))
        if code is None:
            raise self.error(place, word)
        if len(word) < 32:
            self._seen[word] = code
        return code

    def of_array(self, array: NDArray[Any], place: str, first_row: int = 0) -> Outcomes:
        """Numbers of an array (rows, n_sites) of integers, floats or strings.

        Raises:
            InputError: a value that is none of the known ones, with its row and site, or another type.
        """
        if array.dtype.kind not in "biufSUO":
            raise InputError(Code.SHAPE, f"{place}: data of type {array.dtype}, expected numbers or letters")
        numeric = array.dtype.kind in "biuf"
        out = np.full(array.shape, _UNKNOWN, dtype=np.uint8)
        for text, code in self.codes.items():
            number = _number(text)
            if not numeric:
                out[array == (text if array.dtype.kind == "U" else text.encode())] = code
            elif number is not None:
                out[np.isnan(array) if math.isnan(number) else array == number] = code
        wrong = np.argwhere(out == _UNKNOWN)
        if len(wrong):
            row, site = wrong[0]
            raise self.error(f"{place}, row {first_row + row}, site {site}", array[row, site])
        return out

    def error(self, place: str, found: object) -> InputError:
        """What to say of a value that is none of these."""
        if isinstance(found, bytes):
            found = found.decode(errors="replace")
        return InputError(Code.VALUE, f"{place}: {self.what} '{str(found)[:40]}', expected {self.expected}")


def alphabets(
    n_outcomes: int, lost: str | None, one_based: str | None, eigenvalues: bool | None = None
) -> tuple[Alphabet, Alphabet]:
    """How bases, and outcomes below `n_outcomes`, are written; `eigenvalues` is None where a format knows neither
    these nor values that count from 1.

    Raises:
        InputError: what marks a lost outcome stands for an outcome as well.
    """
    first = 1 if one_based in ("settings", "both") else 0
    letters = {way: basis for basis, letter in enumerate(BASES) for way in (letter, letter.lower())}
    numbers = {str(first + basis): basis for basis in range(3)}
    hint = "" if first else "; --one-based settings where they count from 1"
    bases = Alphabet("basis", letters | numbers, f"X, Y, Z or {first}, {first + 1}, {first + 2}{hint}")
    if eigenvalues:
        if n_outcomes != 2 or one_based in ("outcomes", "both"):
            raise InputError(
                Code.CONFLICT, "--eigenvalues: outcomes +1 and -1 are bits, expected shots in bases and no --one-based"
            )
        return bases, _eigenvalues(lost)
    first = 1 if one_based in ("outcomes", "both") else 0
    codes = {str(first + outcome): outcome for outcome in range(n_outcomes)}
    known = f"{first} to {first + n_outcomes - 1}"
    hints = [] if first or eigenvalues is None else ["--one-based outcomes where they count from 1"]
    hints += ["--eigenvalues where they are +1 and -1"] if n_outcomes == 2 and eigenvalues is not None else []
    if lost is None:
        hints.append("--lost VALUE where it marks a lost one")
    elif _canonical(lost) in codes:
        raise InputError(
            Code.CONFLICT, f"--lost {lost}: stands for an outcome as well, expected another mark than {known}"
        )
    else:
        codes[_canonical(lost)] = LOST
        known += f", or {lost} for a lost one"
    return bases, Alphabet("outcome", codes, "; ".join([known, *hints]))


def _eigenvalues(lost: str | None) -> Alphabet:
    """+1 is bit 0 and -1 is bit 1, as the Pauli matrices have it."""
    codes = {"1": 0, "+1": 0, "-1": 1, "+": 0, "-": 1}
    if lost is None:
        return Alphabet("eigenvalue", codes, "+1 or -1; --lost VALUE where it marks a lost one")
    if _canonical(lost) in codes:
        raise InputError(Code.CONFLICT, f"--lost {lost}: stands for an eigenvalue as well, expected another mark")
    return Alphabet("eigenvalue", codes | {_canonical(lost): LOST}, f"+1, -1, or {lost} for a lost one")


def check_laid(place: str, n_records: int, n_sites: int, records: str | None) -> None:
    """Ask which way an array lies that would hold more qubits than records, as Julia's and MATLAB's do.

    Raises:
        InputError: so it would, and nobody said which way it lies.
    """
    if records is None and n_sites > max(n_records, _FEW):
        raise InputError(
            Code.REQUIRED,
            f"{place}: {n_records:,} records of {n_sites:,} qubits, or {n_sites:,} of {n_records:,} as column-major "
            "programs write them; expected --records rows or --records columns",
        )


def names_bases(settings: str | None, basis: str | None) -> bool:
    """Whether the records are shots, in the bases of a table or of an option.

    Raises:
        InputError: both are given.
    """
    if settings is not None and basis is not None:
        raise InputError(
            Code.CONFLICT, f"--basis {basis}: --settings names the bases of the shots, expected one of the two"
        )
    return settings is not None or basis is not None


def measurement(path: Path, povm: POVM | None, has_settings: bool) -> POVM:
    """What the outcomes of a file mean: as given, else Pauli-6 for bits in known bases.

    Raises:
        InputError: outcomes without bases and without a POVM, or bases beside a POVM that does not measure them.
    """
    if not has_settings and povm is None:
        raise InputError(
            Code.REQUIRED,
            f"{path}: no basis of any shot, expected where they stand (--settings, --bases), one for all shots "
            "(--basis), or what the outcomes mean (--povm)",
        )
    povm = povm or named_povm("pauli6")
    if has_settings and not povm.measures_bases:
        raise InputError(
            Code.MISMATCH, f"{path}: bases beside POVM '{povm.name}', expected six elements 2 * basis + bit as pauli6"
        )
    return povm


def fixed_basis(letters: str, n_sites: int) -> Outcomes:
    """One basis for all shots, uint8 (n_sites,).

    Raises:
        InputError: other letters, or another number of them.
    """
    if len(letters) not in (1, n_sites) or any(letter not in BASES for letter in letters.upper()):
        raise InputError(Code.SYNTAX, f"--basis '{letters}': expected a letter X, Y or Z, or {n_sites} of them")
    codes = [BASES.index(letter) for letter in letters.upper()]
    return np.array(codes * (n_sites if len(codes) == 1 else 1), dtype=np.uint8)


def with_basis(blocks: Iterator[Outcomes], basis: str | None, n_sites: int) -> Iterator[Block]:
    """Blocks of bits, all measured in `basis`; or blocks of outcomes as they are, where there is none."""
    for block in blocks:
        yield block if basis is None else (np.tile(fixed_basis(basis, n_sites), (len(block), 1)), block)


def check_file(path: Path, what: str) -> None:
    """Be sure that a file is there and holds something.

    Raises:
        InputError: no such file, a directory, or an empty file.
    """
    if not path.is_file():
        raise InputError(
            Code.KIND if path.is_dir() else Code.ABSENT,
            f"{path}: {'a directory' if path.is_dir() else 'no such file'}, expected {what}",
        )
    if path.stat().st_size == 0:
        raise InputError(Code.TOO_FEW, f"{path}: an empty file, expected {what}")


def text_lines(path: Path, what: str) -> Iterator[tuple[str, str]]:
    """The lines of a UTF-8 text file that hold something, each with its place for messages.

    What follows a # does not count.

    Raises:
        InputError: no file, no line that holds something, a byte that is no text, or a line of more than 16 MiB.
    """
    check_file(path, what)
    found = False
    try:
        with path.open("rb") as file:
            number = 0
            while raw := file.readline(_LONGEST_LINE):
                number += 1
                place = f"{path}, line {number}"
                if len(raw) == _LONGEST_LINE:
                    raise InputError(Code.TOO_LARGE, f"{place}: more than {_LONGEST_LINE:,} bytes, expected one record")
                try:
                    line = raw.decode("utf-8-sig" if number == 1 else "utf-8").partition("#")[0].strip()
                except UnicodeDecodeError as error:
                    raise InputError(
                        Code.DAMAGED, f"{place}: byte 0x{raw[error.start]:02x} is not UTF-8 text, expected {what}"
                    ) from None
                if line:
                    found = True
                    yield place, line
    except OSError as error:
        raise InputError(Code.ENVIRONMENT, f"{path}: cannot be read ({error.strerror}), expected {what}") from None
    if not found:
        raise InputError(Code.TOO_FEW, f"{path}: no line of data, expected {what}")


def load_json(path: Path, what: str) -> Any:
    """What a file of JSON holds.

    Raises:
        InputError: no file, one of more than 256 MiB, no JSON, a name that stands twice in an object, or a number that
            is none.
    """
    check_file(path, what)
    size = path.stat().st_size
    if size > _LARGEST_JSON:
        raise InputError(
            Code.TOO_LARGE,
            f"{path}: {size:,} bytes, expected at most {_LARGEST_JSON:,} of JSON; write it as .npy or HDF5",
        )
    try:
        return json.loads(path.read_bytes(), object_pairs_hook=_unique, parse_constant=_refuse)
    except (ValueError, RecursionError, OSError) as error:
        raise InputError(Code.DAMAGED, f"{path}: not readable ({first_line(error)}), expected {what}") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"'{next(name for name in names if names.count(name) > 1)}' stands twice in one object")
    return found


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is no number")


def as_blocks(rows: Iterable[list[int]]) -> Iterator[Outcomes]:
    """Rows of one length as uint8 blocks."""
    rows = iter(rows)
    while taken := list(islice(rows, _ROWS)):
        yield np.array(taken, dtype=np.uint8)


def shot_blocks(rows: Iterable[tuple[list[int], list[int]]]) -> Iterator[Block]:
    """Rows of bases and bits as pairs of uint8 blocks."""
    rows = iter(rows)
    while taken := list(islice(rows, _ROWS)):
        yield (
            np.array([bases for bases, _ in taken], dtype=np.uint8),
            np.array([bits for _, bits in taken], dtype=np.uint8),
        )


def _canonical(word: str) -> str:
    """A number as an integer is written where it is one, so that 1, 1.0 and 1e0 are the same; else the word."""
    number = _number(word)
    if number is None or math.isinf(number):
        return word
    return "nan" if math.isnan(number) else str(int(number)) if number == int(number) else word


def _number(word: str) -> float | None:
    return float(word) if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?|[nN][aA][nN]", word, re.A) else None
