from .base import Model as Model
from .baselines import KGram as KGram
from .registry import FAMILIES as FAMILIES
from .registry import build_model as build_model
from .registry import parse_model as parse_model
