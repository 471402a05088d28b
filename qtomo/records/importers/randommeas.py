"""Randomized measurements as RandomMeas.jl publishes them: outcomes beside the local unitaries before them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qtomo.distribution import Outcomes
from qtomo.errors import Code, InputError
from qtomo.measurement.povm import named_povm
from qtomo.records.file.writer import Block
from qtomo.records.importers.base import Imported, OneBased, alphabets
from qtomo.records.importers.npy import read_archive
from qtomo.records.importers.recognition import Claim, Head, Sure, recognised_by

__all__ = ["read_randommeas"]

_RESULTS, _SETTINGS = "measurement_results", "measurement_settings"
_CLOSE = 1e-6


def _claim(head: Head) -> Claim | None:
    if {_RESULTS, _SETTINGS} <= set(head.arrays):
        return Claim(Sure.CERTAIN, "randomized measurements of RandomMeas.jl, a unitary a setting and qubit")
    return None


@recognised_by(_claim)
def read_randommeas(path: Path, *, one_based: OneBased = None) -> Imported:
    """Outcomes (settings, shots, N) after local unitaries (settings, N, 2, 2), where these turn X, Y or Z into Z.

    Raises:
        InputError: names the array, what was found and what was expected; unitaries that measure no Pauli basis.
    """
    results, unitaries = read_archive(path, _RESULTS), read_archive(path, _SETTINGS)
    if results.ndim != 3 or 0 in results.shape:
        raise InputError(Code.SHAPE, f"{path}, {_RESULTS}: {results.shape}, expected (settings, shots, N)")
    n_settings, _, n_sites = results.shape
    if unitaries.shape != (n_settings, n_sites, 2, 2):
        expected = (n_settings, n_sites, 2, 2)
        raise InputError(Code.SHAPE, f"{path}, {_SETTINGS}: {unitaries.shape}, expected {expected}")
    bases, flipped = _bases(path, unitaries.astype(np.complex128))
    if one_based is None and results.min() >= 1 and results.max() == 2:
        raise InputError(
            Code.REQUIRED,
            f"{path}, {_RESULTS}: outcomes 1 and 2, expected --one-based outcomes where they count from 1",
        )
    _, bits = alphabets(2, None, one_based)

    def blocks() -> Iterator[Block]:
        for number, (basis, flip) in enumerate(zip(bases, flipped, strict=True)):
            rows = bits.of_array(results[number], f"{path}, {_RESULTS}, setting {number}")
            yield np.tile(basis, (len(rows), 1)), rows ^ flip

    notes = (f"{n_settings:,} settings of {results.shape[1]:,} shots; their unitaries are changes of Pauli basis",)
    return Imported(path, n_sites, named_povm("pauli6"), True, blocks, notes=notes)


def _bases(path: Path, unitaries: NDArray[np.complex128]) -> tuple[Outcomes, Outcomes]:
    """The Pauli basis that each unitary turns into Z, and whether its bits are exchanged, uint8 (settings, N) both."""
    deviation = np.abs(np.einsum("snab,sncb->snac", unitaries, unitaries.conj()) - np.eye(2)).max(axis=(2, 3))
    if deviation.max() > _CLOSE:
        setting, site = np.argwhere(deviation > _CLOSE)[0]
        raise InputError(
            Code.UNPHYSICAL, f"{path}, {_SETTINGS}, setting {setting}, site {site}: no unitary matrix, expected one"
        )
    # Bit 0 is the projector onto u^dagger |0>; its Bloch vector is one of the six Pauli directions, or none.
    kets = unitaries[:, :, 0, :].conj()
    overlap = kets[..., 0].conj() * kets[..., 1]
    bloch = np.stack([2 * overlap.real, 2 * overlap.imag, np.abs(kets[..., 0]) ** 2 - np.abs(kets[..., 1]) ** 2], -1)
    basis = np.abs(bloch).argmax(axis=-1)
    along = np.take_along_axis(bloch, basis[..., None], -1)[..., 0]
    if np.abs(along).min() < 1 - _CLOSE:
        setting, site = np.argwhere(np.abs(along) < 1 - _CLOSE)[0]
        raise InputError(
            Code.UNSUPPORTED,
            f"{path}, {_SETTINGS}, setting {setting}, site {site}: a unitary that measures neither X, Y nor Z, which "
            "are all the bases that a record file holds",
        )
    return basis.astype(np.uint8), (along < 0).astype(np.uint8)
