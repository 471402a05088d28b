"""PastaQ.jl's `writesamples`: HDF5 with `outcomes` and `bases`, whose axes Julia's order turns around.

Julia writes a matrix (shots, N) so that HDF5 sees (N, shots). A file of outcomes alone was measured in Z.
"""

from __future__ import annotations

from pathlib import Path

from qtomo.errors import Code
from qtomo.measurement.povm import named_povm
from qtomo.records.importers.base import Imported, Lost, OneBased, alphabets
from qtomo.records.importers.hdf5 import ForeignFile, table_blocks, table_shape
from qtomo.records.importers.recognition import Claim, Head, Sure, recognised_by

__all__ = ["read_pastaq"]


def _claim(head: Head) -> Claim | None:
    shape, _ = head.datasets.get("outcomes", ((), ""))
    fits = len(shape) == 2 and shape[0] < shape[1] and head.datasets.get("bases", (shape, ""))[0] == shape
    if not fits or set(head.datasets) - {"outcomes", "bases"}:
        return None
    return Claim(Sure.CERTAIN, f"samples of PastaQ.jl, {shape[1]:,} shots of {shape[0]} qubits")


@recognised_by(_claim)
def read_pastaq(path: Path, *, lost: Lost = None, one_based: OneBased = None) -> Imported:
    """Shots of PastaQ.jl, ("X" => 0) per qubit; or its outcomes in Z alone.

    Raises:
        InputError: data of process tomography; names the dataset, the row, what was found and what was expected.
    """
    with ForeignFile(path) as file:
        if file.has("inputs"):
            raise file.error(
                Code.UNSUPPORTED, "/inputs: prepared states of process tomography, expected shots of one state"
            )
        settings = "bases" if file.has("bases") else None
        n_records, n_sites = table_shape(file, "outcomes", settings, transposed=True)
    basis = None if settings else "Z"
    blocks = table_blocks(path, "outcomes", settings, basis, alphabets(2, lost, one_based), transposed=True)
    how = "bases per qubit" if settings else "no bases, so all in Z"
    notes = (f"axes as Julia writes them: {n_records:,} shots of {n_sites} qubits; {how}",)
    return Imported(path, n_sites, named_povm("pauli6"), True, blocks, notes=notes)
