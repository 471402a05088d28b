"""Exact states and the exact distribution of their measurement outcomes."""

from qtomo.states.born import BornDistribution
from qtomo.states.mps import MPS
from qtomo.states.tfim import TFIM, FreeFermions, ground_state

__all__ = ["MPS", "TFIM", "BornDistribution", "FreeFermions", "ground_state"]
