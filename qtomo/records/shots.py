"""How many shots are simulated where no number is given."""

__all__ = ["SHOTS"]

SHOTS = 100_000
