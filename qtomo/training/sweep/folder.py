"""Which folder is a sweep's."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["PLAN", "is_sweep"]

#: The file of the plan in a sweep folder.
PLAN = "sweep.toml"


def is_sweep(folder: str | os.PathLike[str]) -> bool:
    """Whether this is a sweep folder."""
    return (Path(folder) / PLAN).is_file()
