"""Models of outcome distributions, one family a file, and the k-gram baselines."""

from qtomo.models.base import Model
from qtomo.models.baselines import KGram
from qtomo.models.registry import FAMILIES, build_model

__all__ = ["FAMILIES", "KGram", "Model", "build_model"]
