"""Import formats: one file each, which reads a foreign file as outcomes or as shots with settings.

A format is a function of a path and keyword options; the command line makes its options from the signature.
"""

from __future__ import annotations

from collections.abc import Callable

from qtomo.records.importers.base import Imported
from qtomo.records.importers.csv import read_csv
from qtomo.records.importers.hdf5 import read_hdf5
from qtomo.records.importers.npy import read_npy
from qtomo.records.importers.onehot import read_onehot
from qtomo.records.importers.pastaq import read_pastaq
from qtomo.records.importers.qiskit import read_qiskit
from qtomo.records.importers.qucumber import read_qucumber

__all__ = ["FORMATS"]

#: Every format by name: the only list there is.
FORMATS: dict[str, Callable[..., Imported]] = {
    "hdf5": read_hdf5,
    "csv": read_csv,
    "npy": read_npy,
    "qiskit": read_qiskit,
    "qucumber": read_qucumber,
    "pastaq": read_pastaq,
    "onehot": read_onehot,
}
