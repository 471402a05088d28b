"""The learning rate step by step: linear warm-up, then constant or a cosine to zero (Loshchilov, Hutter 2017,
arXiv 1608.03983).
"""

from __future__ import annotations

import math

from qtomo.training.config import TrainingConfig

__all__ = ["learning_rate"]


def learning_rate(config: TrainingConfig, step: int, total: int) -> float:
    """The rate of a step, counted from 0, of `total` steps."""
    rate = config.learning_rate * min(1.0, (step + 1) / (config.warmup_steps + 1))
    if config.schedule == "cosine":
        rate *= 0.5 * (1 + math.cos(math.pi * step / total))
    return rate
