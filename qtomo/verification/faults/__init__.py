"""Faults of a state or of its measurement, and which of them explain records.

A family of faults is a function in a file of its own, from a context to explanations. FAMILIES lists them all.
"""
