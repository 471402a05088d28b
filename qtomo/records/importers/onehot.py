"""One-hot text of the 2018 code (arXiv 1810.10584): N * K zeros and ones per line, one 1 in each K."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from qtomo.errors import Code, InputError
from qtomo.measurement.povm import named_povm
from qtomo.records.importers.base import Alphabet, Imported, Povm, as_blocks, text_lines
from qtomo.records.importers.recognition import Claim, Head, Sure, recognised_by

__all__ = ["read_onehot"]

_WHAT = "lines of N * K zeros and ones with spaces between"


def _claim(head: Head) -> Claim | None:
    words = head.lines[0].split() if head.lines else []
    if len(words) < 4 or set(words) - {"0", "1"} or any(len(line.split()) != len(words) for line in head.lines):
        return None
    rows = [line.split() for line in head.lines]
    fits = len(words) % 4 == 0 and all(
        row[start : start + 4].count("1") == 1 for row in rows for start in range(0, len(words), 4)
    )
    return Claim(Sure.LIKELY, "one-hot text, one 1 in each four") if fits else None


@recognised_by(_claim)
def read_onehot(path: Path, *, povm: Povm = None) -> Imported:
    """One-hot text, Pauli-4 unless another POVM is given; K is its number of outcomes.

    Raises:
        InputError: names the line, what was found and what was expected.
    """
    povm = povm or named_povm("pauli4")
    k = povm.n_outcomes
    bits = Alphabet("entry", {"0": 0, "1": 1}, "0 or 1")
    place, first = next(text_lines(path, _WHAT))
    width = len(first.split())
    if width % k:
        raise InputError(Code.SHAPE, f"{place}: {width} entries, expected a multiple of K = {k} of POVM '{povm.name}'")

    def rows() -> Iterator[list[int]]:
        for place, line in text_lines(path, _WHAT):
            entries = bits.of_words(line.split(), place)
            if len(entries) != width:
                raise InputError(Code.SHAPE, f"{place}: {len(entries)} entries, expected {width} as in the first line")
            groups = [entries[start : start + k] for start in range(0, width, k)]
            for site, group in enumerate(groups):
                if sum(group) != 1:
                    raise InputError(
                        Code.VALUE, f"{place}, site {site}: {sum(group)} ones in {group}, expected exactly one"
                    )
            yield [group.index(1) for group in groups]

    notes = (f"{k} entries per qubit, the place of the 1 is the outcome of POVM '{povm.name}'",)
    return Imported(path, width // k, povm, False, lambda: as_blocks(rows()), notes=notes)
