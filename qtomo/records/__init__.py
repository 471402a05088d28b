"""Record files: simulate, write, read and check measurement outcomes."""

from qtomo.records.reader import RecordFile, split
from qtomo.records.schema import Target
from qtomo.records.simulate import Progress, draw_blocks, simulate_tfim
from qtomo.records.writer import write_records

__all__ = [
    "Progress",
    "RecordFile",
    "Target",
    "draw_blocks",
    "simulate_tfim",
    "split",
    "write_records",
]
