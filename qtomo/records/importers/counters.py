"""Counts as Python prints them: a line such as `Counter({'0011': 2382})` for each setting."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import numpy as np

from qtomo.errors import Code, InputError
from qtomo.measurement.povm import BASES
from qtomo.records.importers.base import Basis, Imported, fixed_basis, text_lines
from qtomo.records.importers.counts import Counted, as_whole, imported_counts
from qtomo.records.importers.recognition import Claim, Head, Sure, recognised_by

__all__ = ["read_counters"]

_WHAT = "lines such as Counter({'0011': 2382})"
_LINE = r"(?:([XYZxyz]+)\s*[:,;\s]\s*)?(?:Counter\()?\{(.*)\}\)?[,;]?"
_ENTRY = r"""\s*['"]([01]+)['"]\s*:\s*([\d.]+)\s*"""


def _claim(head: Head) -> Claim | None:
    if not head.lines or not re.match(r"(?:[XYZxyz]+\s*[:,;\s]\s*)?(Counter\(\{|\{')", head.lines[0]):
        return None
    return Claim(Sure.CERTAIN, "counts as Python prints them, a line a setting")


@recognised_by(_claim)
def read_counters(
    path: Path,
    *,
    bases: Annotated[
        str | None, "Bases of the lines: `lexicographic` (XX, XY, ... ZZ), or a file of one a line."
    ] = None,
    bit_order: Annotated[
        Literal["qiskit", "plain"] | None, "plain: first bit is the first letter's; qiskit: last bit is."
    ] = None,
    basis: Basis = None,
) -> Imported:
    """A line of counts a setting; the basis stands before the counts, or --bases or --basis says it.

    Raises:
        InputError: names the line, what was found and what was expected; also where the order of bits is in doubt.
    """
    lines = list(_lines(path))
    width = len(next(iter(lines[0][2])))
    labels = _labels(path, [(place, label) for place, label, _ in lines], width, bases, basis)
    if bit_order is None and width > 1:
        raise InputError(
            Code.REQUIRED,
            f"{path}: bit strings, whose order is in doubt; expected --bit-order plain (first bit belongs to the first "
            "letter) or --bit-order qiskit (last bit does)",
        )
    found = []
    for (place, _, counts), label in zip(lines, labels, strict=True):
        if any(len(word) != width for word in counts):
            raise InputError(
                Code.SHAPE, f"{place}: words of several lengths, expected {width} bits as in the first line"
            )
        rows = np.array([[int(bit) for bit in word] for word in counts], np.uint8)
        turned = rows[:, ::-1] if bit_order == "qiskit" else rows
        found.append(Counted(place, fixed_basis(label, width), turned, np.array(list(counts.values()), np.int64)))
    side = "last" if bit_order == "qiskit" else "first"
    return imported_counts(path, found, (f"{len(found)} settings; site 0 is the {side} bit and the first letter",))


def _lines(path: Path) -> Iterator[tuple[str, str | None, dict[str, int]]]:
    """Place, basis and counts of each line."""
    for place, line in text_lines(path, _WHAT):
        whole = re.fullmatch(_LINE, line)
        if whole is None:
            raise InputError(Code.SYNTAX, f"{place}: '{line[:40]}', expected {_WHAT}")
        counts: dict[str, int] = {}
        for entry in filter(str.strip, whole[2].split(",")):
            pair = re.fullmatch(_ENTRY, entry)
            if pair is None or pair[1] in counts:
                raise InputError(
                    Code.SYNTAX, f"{place}: '{entry.strip()[:40]}', expected each word once, as '0011': 12"
                )
            counts[pair[1]] = as_whole(_count(pair[2]), f"{place}, count of '{pair[1][:40]}'")
        if not counts:
            raise InputError(Code.TOO_FEW, f"{place}: no counts, expected {_WHAT}")
        yield place, whole[1], counts


def _count(word: str) -> float | str:
    try:
        return float(word)
    except ValueError:
        return word


def _labels(
    path: Path, found: list[tuple[str, str | None]], width: int, bases: str | None, basis: str | None
) -> list[str]:
    own = [label for _, label in found if label is not None]
    given = [one for one in (bases, basis, own or None) if one is not None]
    if len(given) != 1 or (own and len(own) != len(found)):
        wanted = "expected --bases lexicographic, --bases FILE, --basis, or one before the counts of each line"
        raise InputError(
            Code.CONFLICT if given else Code.REQUIRED,
            f"{path}: {'bases from several places or of some lines alone' if given else 'no bases'}, {wanted}",
        )
    if own:
        return own
    if basis is not None:
        return [basis] * len(found)
    if bases == "lexicographic":
        labels = ["".join(letters) for letters in itertools.islice(itertools.product(BASES, repeat=width), 10**6)]
        place = f"{path}, --bases lexicographic"
    else:
        labels = [line for _, line in text_lines(Path(str(bases)), "lines of bases such as XZZY")]
        place = str(bases)
    if len(labels) != len(found):
        raise InputError(Code.MISMATCH, f"{place}: {len(labels)} bases, expected {len(found)}, one per line of counts")
    return labels
