"""Training: strict settings, one loop for every family, checkpoints and run folders."""

from qtomo.training.config import PRESETS, TrainingConfig, read_settings
from qtomo.training.launch import resume, train
from qtomo.training.run import Run
from qtomo.training.sample import sample_records

__all__ = ["PRESETS", "Run", "TrainingConfig", "read_settings", "resume", "sample_records", "train"]
