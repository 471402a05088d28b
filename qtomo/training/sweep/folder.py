"""Which folder is a sweep's."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["PLAN", "TRIALS", "is_sweep"]

#: The file of the plan in a sweep folder.
PLAN = "sweep.toml"
#: The file of its trials.
TRIALS = "trials.json"


def is_sweep(folder: str | os.PathLike[str]) -> bool:
    """Whether this is a sweep folder."""
    return (Path(folder) / PLAN).is_file()
