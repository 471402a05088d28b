"""Exact states of many qubits and the distributions of their measurement outcomes."""
