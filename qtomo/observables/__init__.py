"""Observables: sums of Pauli products, exact in a state and estimated from records."""

from qtomo.observables.estimates import estimate_observables, record_values
from qtomo.observables.paulis import Observable, chain_observables, exact_value, pauli

__all__ = ["Observable", "chain_observables", "estimate_observables", "exact_value", "pauli", "record_values"]
