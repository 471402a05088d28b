"""Record files: simulate, write, read and check measurement outcomes."""

from qtomo.records.calibration import Calibration
from qtomo.records.reader import RecordFile, split
from qtomo.records.records import Records, checked_records, distinct_rows
from qtomo.records.schema import Target
from qtomo.records.settings import Design, SettingList, read_setting_list
from qtomo.records.shards import join_shards, shard_path
from qtomo.records.simulation import Progress, Shard, draw_blocks, option_name, simulate
from qtomo.records.state_file import read_povm, read_state, write_state
from qtomo.records.writer import write_records

__all__ = [
    "Calibration",
    "Design",
    "Progress",
    "RecordFile",
    "Records",
    "SettingList",
    "Shard",
    "Target",
    "checked_records",
    "distinct_rows",
    "draw_blocks",
    "join_shards",
    "option_name",
    "read_povm",
    "read_setting_list",
    "read_state",
    "shard_path",
    "simulate",
    "split",
    "write_records",
    "write_state",
]
