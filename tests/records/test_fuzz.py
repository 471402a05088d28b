"""Damaged record files: each is refused in one line or read exactly, in bounded time and memory.

The files are read in processes of their own, so that a crash or a hang of the HDF5 library fails the test and not
the run of the tests.
"""

import json
import subprocess
import sys

import numpy as np
import pytest

from qtomo import TFIM, Circuit, Graph, Target, named_povm, simulate, write_records
from tests.systems.named import ghz_circuit

RING = Graph(4, ((0, 1), (1, 2), (2, 3), (0, 3)))
ROUNDS = 2000

READER = """
import json, pathlib, resource, signal, sys
import numpy as np
from qtomo import RecordFile
from qtomo.errors import InputError

LARGEST = 2**30
folder, first, last = pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
originals = sorted(folder.glob("*.h5"))

def content(path):
    with RecordFile(path) as file:
        target = file.target
        found = [file.load(lost=True), file.povm.elements, file.n_records, file.n_sites, file.povm.name, file.design]
        found += [file.creator, file.command, file.seed, file.sha256]
        found += [part for item in sorted(file.columns().items()) for part in item]
        found += [] if file.design == "povm" else [file.settings()]
        found += [] if target is None else [sorted(target.parameters.items()), *(target.tensors or ())]
        return [part.tobytes() if isinstance(part, np.ndarray) else part for part in found]

def damaged(raw, rng):
    raw = bytearray(raw)
    kind = rng.integers(10)
    if kind == 0:
        return bytes(raw[: rng.integers(len(raw))])
    for place in rng.integers(len(raw), size=rng.choice([1, 1, 1, 2, 4, 16, 64, 256])):
        raw[place] ^= rng.integers(1, 256) if kind > 2 else 1 << rng.integers(8)
    return bytes(raw)

expected = {path: content(path) for path in originals}
pages = int(pathlib.Path("/proc/self/statm").read_text().split()[0]) if pathlib.Path("/proc/self/statm").exists() else 0
if pages:
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + LARGEST,) * 2)
counts = {"refused": 0, "exact": 0}
for i in range(first, last):
    rng = np.random.default_rng([5, i])
    original = originals[i % len(originals)]
    victim = folder / f"victim{first}"
    victim.write_bytes(damaged(original.read_bytes(), rng))
    print(i, file=sys.stderr, flush=True)
    signal.alarm(20)
    try:
        same = content(victim) == expected[original]
        assert same, f"damage {i} of {original.name}: read otherwise than written"
        counts["exact"] += 1
    except InputError as error:
        assert str(error).startswith(str(victim)), error
        counts["refused"] += 1
print(json.dumps(counts))
"""


def small_files(folder) -> None:
    rng = np.random.default_rng(0)
    pauli4, pauli6 = named_povm("pauli4"), named_povm("pauli6")
    settings, bits = rng.integers(0, 3, (80, 4), dtype=np.uint8), rng.integers(0, 2, (80, 4), dtype=np.uint8)
    columns = {"time": np.arange(80) * 0.5, "batch": np.arange(80)}
    write_records(folder / "shots.h5", [(settings, bits)], 4, pauli6, design="random", columns=columns)
    simulate(TFIM(4), 60, folder / "tensors.h5", seed=2)
    for name, system in (("target", TFIM(4, 1.0, 0.8)), ("circuit", Circuit(ghz_circuit(4))), ("graph", RING)):
        outcomes = rng.integers(0, 4, (40, 4), dtype=np.uint8)
        write_records(folder / f"{name}.h5", [outcomes], 4, pauli4, target=Target.of(system), seed=1)


@pytest.mark.parametrize("part", range(4))
def test_damaged_files_are_refused_or_read_exactly(tmp_path, part):
    small_files(tmp_path)
    first, last = part * ROUNDS // 4, (part + 1) * ROUNDS // 4
    command = [sys.executable, "-c", READER, str(tmp_path), str(first), str(last)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, f"exit {result.returncode}: {result.stderr[-2000:]}"
    counts = json.loads(result.stdout)
    assert sum(counts.values()) == last - first
    assert counts["refused"] > counts["exact"]
