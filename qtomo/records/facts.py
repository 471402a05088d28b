"""What a record file says of itself, in words."""

from __future__ import annotations

from qtomo.records.file.reader import RecordFile

__all__ = ["record_facts"]

_SETTINGS = {
    "povm": "one measurement for all shots",
    "random": "bases drawn at random, recorded per shot",
    "listed": "a list of bases, recorded per shot",
}


def record_facts(file: RecordFile) -> dict[str, str]:
    """Size, measurement, settings, target, seed, command and checksum, by name."""
    povm = file.povm
    return {
        "records": f"{file.n_records:,} of {file.n_sites} qubits",
        "measurement": f"{povm.name}, {povm.n_outcomes} outcomes per qubit"
        + ("" if povm.is_complete else ", not informationally complete"),
        "settings": _SETTINGS[file.design],
        "state named by the file": file.target.describe() if file.target else "none",
        "seed": str(file.seed) if file.seed is not None else "unknown",
        "made by": file.creator or "unknown",
        "command": file.command or "unknown",
        "SHA-256": file.sha256,
    }
