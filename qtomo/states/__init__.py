"""Exact states and the exact distribution of their measurement outcomes."""

from qtomo.states.born import BornDistribution
from qtomo.states.density import LARGEST_DENSITY, DensityMatrix
from qtomo.states.dmrg import Terms
from qtomo.states.library import GHZ, SYSTEMS, Cluster, Product, RandomMPS, System, W, build_system
from qtomo.states.lpdo import LPDO
from qtomo.states.mps import MPS
from qtomo.states.tfim import TFIM, FreeFermions, ground_state
from qtomo.states.xxz import XXZ

#: What can be measured.
State = MPS | LPDO | DensityMatrix

__all__ = [
    "GHZ",
    "LARGEST_DENSITY",
    "LPDO",
    "MPS",
    "SYSTEMS",
    "TFIM",
    "XXZ",
    "BornDistribution",
    "Cluster",
    "DensityMatrix",
    "FreeFermions",
    "Product",
    "RandomMPS",
    "State",
    "System",
    "Terms",
    "W",
    "build_system",
    "ground_state",
]
