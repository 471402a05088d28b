"""Record files: simulate, write, read and check measurement outcomes."""

from qtomo.records.reader import RecordFile, split
from qtomo.records.schema import Target
from qtomo.records.simulation import Progress, draw_blocks, option_name, simulate
from qtomo.records.writer import write_records

__all__ = [
    "Progress",
    "RecordFile",
    "Target",
    "draw_blocks",
    "option_name",
    "simulate",
    "split",
    "write_records",
]
