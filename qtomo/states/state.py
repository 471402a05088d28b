"""The kinds of states there are."""

from __future__ import annotations

from qtomo.states.density import DensityMatrix
from qtomo.states.lpdo import LPDO
from qtomo.states.mps import MPS

__all__ = ["State"]

#: What can be measured.
State = MPS | LPDO | DensityMatrix
