"""Training: strict settings, one loop for every family, checkpoints and run folders."""

from qtomo.training.config import PRESETS, TrainingConfig, read_settings
from qtomo.training.run import Run
from qtomo.training.train import resume, train

__all__ = ["PRESETS", "Run", "TrainingConfig", "read_settings", "resume", "train"]
