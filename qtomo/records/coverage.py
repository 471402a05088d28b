"""Which bases were measured, and whether any state of neighbouring qubits shows in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qtomo.measurement.povm import BASES
from qtomo.records.records import Records

__all__ = ["Coverage", "coverage"]

_ALL_PAIRS = 12  # qubits up to which every two are asked for


@dataclass(frozen=True)
class Coverage:
    """Which bases were measured.

    Args:
        complete: whether every two qubits were measured in all nine pairs of bases, or by an informationally complete
            POVM.
        words: where the records were taken, if not: such as `Z alone`.
    """

    complete: bool
    words: str


def coverage(records: Records) -> Coverage:
    """Which bases the records were measured in; of more than 12 qubits, neighbours and next neighbours are looked at.

    >>> coverage(Records([[0, 1]], settings=[[2, 2]]))
    Coverage(complete=False, words='Z alone')
    """
    unread = np.flatnonzero(records.lost.all(axis=0))
    if len(unread):
        names = f"qubit{'s' if len(unread) > 1 else ''} {', '.join(map(str, unread))}"
        return Coverage(False, f"part: {names} never read")
    if not records.has_settings:
        complete = records.povm.is_complete
        return Coverage(complete, "" if complete else f"outcomes of POVM '{records.povm.name}'")
    assert records.settings is not None
    assert records.setting_index is not None
    used = records.settings[np.unique(records.setting_index)]
    per_site = [np.unique(column) for column in used.T]
    if all(len(bases) == 1 for bases in per_site):
        letters = "".join(BASES[int(bases[0])] for bases in per_site)
        return Coverage(False, f"{letters[0] if len(set(letters)) == 1 else letters} alone")
    n = used.shape[1]
    reach = n if n <= _ALL_PAIRS else 2
    pairs = [(i, j) for i in range(n) for j in range(i + 1, min(n, i + reach + 1))]
    complete = all(len(bases) == len(BASES) for bases in per_site) and all(
        len(np.unique(3 * used[:, i].astype(int) + used[:, j])) == len(BASES) ** 2 for i, j in pairs
    )
    return Coverage(complete, "" if complete else f"the {len(used):,} settings measured")
