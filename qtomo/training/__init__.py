"""Training: strict settings, one loop for every family, checkpoints and run folders."""

from qtomo.training.config import PRESETS, TrainingConfig, read_settings
from qtomo.training.launch import resume, train
from qtomo.training.run import Run
from qtomo.training.sample import sample_records
from qtomo.training.sweep import Sweep, resume_sweep, run_sweep

__all__ = [
    "PRESETS",
    "Run",
    "Sweep",
    "TrainingConfig",
    "read_settings",
    "resume",
    "resume_sweep",
    "run_sweep",
    "sample_records",
    "train",
]
