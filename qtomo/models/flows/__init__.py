"""Normalizing flows: couplings, autoregressions and continuous ones, over embedded records."""
