"""Fidelity with a pure target, estimated without a model of the errors."""
