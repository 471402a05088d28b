from .base import Model as Model
from .baselines import KGram as KGram
from .registry import FAMILIES as FAMILIES, build_model as build_model, parse_model as parse_model
