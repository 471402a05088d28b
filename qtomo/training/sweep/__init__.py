"""Sweeps of a model's settings."""
