"""Faults of a state or of its measurement, and which of them explain records.

A family of faults is a function in a file of its own, from a context to explanations. FAMILIES lists them all.
"""

from qtomo.verification.faults import local, mixtures, pairs, parameters, relabellings, shots
from qtomo.verification.faults.base import Family

__all__ = ["FAMILIES"]

FAMILIES: tuple[Family, ...] = (
    local.explanations,
    relabellings.explanations,
    mixtures.explanations,
    parameters.explanations,
    pairs.explanations,
    shots.explanations,
)
