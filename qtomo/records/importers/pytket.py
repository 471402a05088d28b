"""Counts of pytket, of Quantinuum's machines among others: JSON whose keys are tuples of bits."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from qtomo.errors import Code, InputError
from qtomo.records.importers.base import Basis, Imported, fixed_basis, load_json
from qtomo.records.importers.counts import Counted, as_whole, imported_counts
from qtomo.records.importers.recognition import Claim, Head, Sure, keys, recognised_by

__all__ = ["read_pytket"]

_WHAT = 'JSON of counts by tuples, {"(1, 1, 0)": 12}'
_KEY = r"\(\s*[01]\s*(,\s*[01]\s*)*,?\s*\)"
_LETTERS = r"[XYZxyz]+"


def _claim(head: Head) -> Claim | None:
    counts = keys(head.json)
    inner = next(iter(counts.values()), None)
    if isinstance(inner, dict) and all(re.fullmatch(_LETTERS, key) for key in counts):
        counts = inner
    if counts and all(re.fullmatch(_KEY, key) for key in counts):
        return Claim(Sure.CERTAIN, "counts of pytket, keyed by tuples of bits, the first of qubit 0")
    return None


@recognised_by(_claim)
def read_pytket(path: Path, *, basis: Basis = None) -> Imported:
    """Counts by tuples of bits, the first of which is qubit 0; in Z, in --basis, or an object a basis.

    Raises:
        InputError: names the key, what was found and what was expected.
    """
    content = load_json(path, _WHAT)
    if not isinstance(content, dict) or not content:
        raise InputError(Code.KIND, f"{path}: expected {_WHAT}")
    by_basis = content if all(isinstance(one, dict) for one in content.values()) else {basis or "Z": content}
    if by_basis is content and basis is not None:
        raise InputError(Code.CONFLICT, f"--basis {basis}: {path} has the bases of the shots, expected one of the two")
    found = [_counted(f"{path}, {label}", label, counts) for label, counts in by_basis.items()]
    notes = () if by_basis is content or basis else ("no basis in the file, so all in Z; --basis says another",)
    return imported_counts(path, found, ("first bit of each tuple is site 0", *notes))


def _counted(place: str, label: str, counts: dict[str, Any]) -> Counted:
    rows, times = [], []
    for key, count in counts.items():
        if not re.fullmatch(_KEY, key):
            raise InputError(Code.SYNTAX, f"{place}, '{key[:40]}': expected a tuple of bits such as (1, 0, 1)")
        rows.append([int(bit) for bit in re.findall(r"[01]", key)])
        times.append(as_whole(count, f"{place}, count of '{key[:40]}'"))
        if len(rows[-1]) != len(rows[0]):
            raise InputError(Code.SHAPE, f"{place}, '{key[:40]}': {len(rows[-1])} bits, expected {len(rows[0])}")
    if not rows:
        raise InputError(Code.TOO_FEW, f"{place}: no counts, expected {_WHAT}")
    return Counted(place, fixed_basis(label, len(rows[0])), np.array(rows, np.uint8), np.array(times, np.int64))
