"""Is the installation sound? Each check says what was found and, where something is wrong, how to mend it.

Nothing of qtomo that needs another package is imported before a check asks for it, so that this works where an
installation is broken.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

__all__ = ["Check", "Installation", "doctor"]

_OLDEST_PYTHON = (3, 11)
_LITTLE_SPACE = 2**30  # bytes
_ROOT = Path(__file__).parents[1]

State = Literal["ok", "note", "fault"]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Args:
        name: what.
        state: `ok`; `note`, which works but deserves a word; `fault`, which does not work.
        found: what was found.
        mend: what to do about it; empty where nothing is to do.
    """

    name: str
    state: State
    found: str
    mend: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The fields, for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Installation:
    """What all checks found. Prints as a line each."""

    checks: list[Check]

    @property
    def faults(self) -> int:
        """Number of checks that found a fault."""
        return sum(check.state == "fault" for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"sound": self.faults == 0, "checks": [check.to_dict() for check in self.checks]}

    def __str__(self) -> str:
        width, lines = max(len(check.name) for check in self.checks), []
        for check in self.checks:
            lines.append(f"{check.state.ljust(5)}  {check.name.ljust(width)}  {check.found}")
            if check.mend:
                lines.append(f"{' ' * (width + 9)}→ {check.mend}")
        summary = f"{self.faults} of {len(self.checks)} checks found a fault." if self.faults else "All is well."
        return "\n".join([*lines, "", summary])


def doctor(folder: Path | None = None) -> Installation:
    """Look the installation through; a check that breaks is itself a fault.

    Args:
        folder: where files would be written; the present one by default.

    >>> checks = doctor().checks
    >>> {check.state for check in checks} <= {"ok", "note", "fault"}
    True
    """
    folder = folder or Path.cwd()
    checks: dict[str, Callable[[], Check | list[Check]]] = {
        "Python": _python,
        "packages": _packages,
        "torch": _torch,
        "device": _device,
        "threads": _threads,
        "HDF5": _hdf5,
        "extras": _extras,
        "compiler": _compiler,
        "space": lambda: _space(folder),
        "data": _data,
    }
    found: list[Check] = []
    for name, look in checks.items():
        try:
            result = look()
        except Exception as error:  # the point of a doctor is to survive what ails the patient
            what = " ".join(f"{type(error).__name__}: {error}".split())
            result = Check(name, "fault", what, "pip install --force-reinstall qtomo, or make install in the source")
        found += result if isinstance(result, list) else [result]
    return Installation(found)


def _python() -> Check:
    found = f"{platform.python_version()} at {sys.executable}"
    if sys.version_info < _OLDEST_PYTHON:
        return Check("Python", "fault", found, f"use Python {'.'.join(map(str, _OLDEST_PYTHON))} or later")
    return Check("Python", "ok", found)


def _requirements() -> dict[str, list[Any]]:
    """What qtomo needs, by extra; the empty name for what it always needs."""
    from packaging.requirements import Requirement

    by_extra: dict[str, list[Any]] = {"": []}
    distribution = importlib.metadata.distribution("qtomo")
    for line in distribution.requires or []:
        requirement = Requirement(line)
        marker = requirement.marker
        if marker is None or marker.evaluate({"extra": ""}):
            by_extra[""].append(requirement)
            continue
        for extra in distribution.metadata.get_all("Provides-Extra") or []:
            if marker.evaluate({"extra": extra}):
                by_extra.setdefault(extra, []).append(requirement)
    return by_extra


def _lacking(requirements: list[Any]) -> list[str]:
    """Requirements that are not installed, or not in the version asked for, in words."""
    lacking = []
    for requirement in requirements:
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            lacking.append(f"{requirement.name} is missing")
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            lacking.append(f"{requirement.name} {version}, expected {requirement.specifier}")
    return lacking


def _packages() -> Check:
    needed = _requirements()[""]
    lacking = _lacking(needed)
    version = importlib.metadata.version("qtomo")
    if lacking:
        return Check("packages", "fault", "; ".join(lacking), "pip install --upgrade qtomo, or make install")
    return Check("packages", "ok", f"qtomo {version} at {_ROOT}, and the {len(needed)} packages it needs")


def _torch() -> Check:
    import torch

    eye = torch.eye(4, dtype=torch.float64)
    if not torch.equal(eye @ eye, eye):
        return Check("torch", "fault", f"{torch.__version__}: wrong matrix products", "install torch anew")
    return Check("torch", "ok", torch.__version__)


def _device() -> Check:
    import torch

    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
        return Check("device", "ok", f"cpu and cuda: {', '.join(names)} (--device cuda, training.device)")
    if torch.version.cuda is not None and shutil.which("nvidia-smi"):
        mend = "compare the driver (nvidia-smi) with the CUDA version of torch"
        return Check("device", "note", f"cpu; torch for CUDA {torch.version.cuda} finds no GPU", mend)
    return Check("device", "ok", "cpu")


def _threads() -> Check:
    import torch

    threads, cores = torch.get_num_threads(), len(os.sched_getaffinity(0)) if _has_affinity() else os.cpu_count() or 1
    found = f"{threads} of {cores} cores"
    if threads > cores:
        return Check("threads", "note", found, f"export OMP_NUM_THREADS={cores}: more threads than cores are slower")
    if threads < cores and "OMP_NUM_THREADS" in os.environ:
        found += f", as OMP_NUM_THREADS={os.environ['OMP_NUM_THREADS']} says"
    return Check("threads", "ok", found)


def _has_affinity() -> bool:
    return hasattr(os, "sched_getaffinity")


def _hdf5() -> Check:
    import h5py
    import numpy as np

    rows = np.arange(64, dtype=np.uint8).reshape(16, 4)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "check.h5"
        with h5py.File(path, "w") as file:
            file.create_dataset("outcomes", data=rows, compression="gzip", fletcher32=True)
        with h5py.File(path, "r") as file:
            whole = np.array_equal(file["outcomes"][:], rows)
    found = f"h5py {h5py.__version__}, HDF5 {h5py.version.hdf5_version}"
    if not whole:
        return Check("HDF5", "fault", f"{found}: read other data than were written", "install h5py anew")
    return Check("HDF5", "ok", found)


def _extras() -> Check:
    by_extra = {name: _lacking(needed) for name, needed in _requirements().items() if name}
    there = [name for name, lacking in by_extra.items() if not lacking]
    absent = [name for name, lacking in by_extra.items() if lacking]
    found = f"installed: {', '.join(there) or 'none'}; not: {', '.join(absent) or 'none'}"
    return Check("extras", "ok", f"{found} (optional: pip install 'qtomo[NAME]')")


def _compiler() -> Check:
    compiler = next((path for name in ("c++", "g++", "clang++") if (path := shutil.which(name))), None)
    return Check("compiler", "ok", compiler or "none; only training.compile needs a C++ compiler")


def _space(folder: Path) -> Check:
    free = shutil.disk_usage(folder).free
    found = f"{free / 2**30:,.1f} GiB free in {folder}"
    if not os.access(folder, os.W_OK):
        return Check("space", "fault", f"{folder} cannot be written", "go to a folder of your own")
    if free < _LITTLE_SPACE:
        return Check("space", "fault", found, "make room: a run of 50 qubits and its records need some 100 MB")
    return Check("space", "ok", found)


def _data() -> Check:
    from qtomo.records.file.reader import RecordFile

    paths = sorted((_ROOT / "data").glob("*.h5"))
    if not paths:
        return Check("data", "ok", "no example records with this installation (they come with the source)")
    for path in paths:
        with RecordFile(path) as file:
            file.check()
    return Check("data", "ok", f"{', '.join(path.name for path in paths)} in {_ROOT / 'data'}, checksums hold")
