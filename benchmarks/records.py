"""How fast are records drawn, and how much memory do simulation and training take?

Run by `make bench`. The rate is the slope between two sizes, so that start-up and DMRG do not count; one thread.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FEW, MANY = 200_000, 2_000_000


def measure(*arguments: object) -> tuple[float, float]:
    """Seconds and peak memory in GiB of one command."""
    command = [Path(sys.executable).with_name("qtomo"), *map(str, arguments)]
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{command}: exit code {process.returncode}")
    return time.monotonic() - started, usage.ru_maxrss / 2**20


def main() -> None:
    """Simulate twice, train on the larger file for one short epoch, and print."""
    with tempfile.TemporaryDirectory() as folder:
        simulate = ("simulate", "tfim", "--qubits", 50, "--seed", 7, "--shots")
        short, _ = measure(*simulate, FEW, "--output", f"{folder}/few.h5")
        long, memory = measure(*simulate, MANY, "--output", f"{folder}/many.h5")
        print(f"simulate: {(MANY - FEW) / (long - short):,.0f} records a second on one core, N = 50")
        print(f"simulate: peak memory {memory:.2f} GiB for {MANY:,} records, file included")
        small = ("--set", "model.hidden_size=16", "--set", "training.epochs=1", "--set", "training.batch_size=4000")
        _, memory = measure("train", f"{folder}/many.h5", "--output", f"{folder}/run", *small)
        print(f"train: peak memory {memory:.2f} GiB on {MANY:,} records")


if __name__ == "__main__":
    main()
