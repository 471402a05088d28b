"""Exact states and the exact distribution of their measurement outcomes."""

from qtomo.states.born import BornDistribution
from qtomo.states.dmrg import Terms
from qtomo.states.library import GHZ, SYSTEMS, Cluster, Product, RandomMPS, System, W, build_system
from qtomo.states.mps import MPS
from qtomo.states.tfim import TFIM, FreeFermions, ground_state
from qtomo.states.xxz import XXZ

__all__ = [
    "GHZ",
    "MPS",
    "SYSTEMS",
    "TFIM",
    "XXZ",
    "BornDistribution",
    "Cluster",
    "FreeFermions",
    "Product",
    "RandomMPS",
    "System",
    "Terms",
    "W",
    "build_system",
    "ground_state",
]
