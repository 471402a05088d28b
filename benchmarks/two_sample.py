"""How often do the two-sample tests find a difference that is there, and one that is not?

Pairs of sets of records of the Ising chain, of one field, where a test should reject as often as its level says, or of
two. Run by hand:

    python benchmarks/two_sample.py --fields 1 1 --shots 2000 --repetitions 1000
    python benchmarks/two_sample.py --fields 1 1.05 --shots 20000 --repetitions 200
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from scipy import stats

from qtomo import TFIM
from qtomo.measurement.povm import named_povm
from qtomo.seeds import stream
from qtomo.states.born.distribution import BornDistribution
from qtomo.statistics.two_sample import classifier_two_sample_test, kernel_two_sample_test

TESTS = {"kernel": kernel_two_sample_test, "classifier": classifier_two_sample_test}
LEVEL = 0.05


def p_values(first: BornDistribution, second: BornDistribution, records: int, seed: int) -> dict[str, float]:
    """Each test's p-value for one pair of sets."""
    a, b = (d.sample(records, stream(seed, name)) for d, name in ((first, "first set"), (second, "second set")))
    return {name: test(a, b, first.n_outcomes, seed).p_value for name, test in TESTS.items()}


def main() -> None:
    """Repeat, count, and write the counts as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--qubits", type=int, default=10, help="number of qubits")
    parser.add_argument("--shots", type=int, default=20_000, help="in each of the two sets")
    parser.add_argument("--fields", type=float, nargs=2, default=(1.0, 1.05), help="of the two sets")
    parser.add_argument("--repetitions", type=int, default=1000, help="pairs of sets")
    parser.add_argument("--output", type=Path, help="JSON file")
    given = parser.parse_args()
    first, second = (
        BornDistribution(TFIM(given.qubits, field=field).state(), named_povm("pauli4")) for field in given.fields
    )
    rows = []
    for seed in range(given.repetitions):
        rows.append(p_values(first, second, given.shots, seed))
        if seed % 100 == 99:
            print(f"{seed + 1} of {given.repetitions}", flush=True)
    found = {}
    for name in TESTS:
        rejected = int(np.sum([row[name] <= LEVEL for row in rows]))
        low, high = stats.binomtest(rejected, given.repetitions).proportion_ci(0.95, method="exact")
        found[name] = {"rejected": rejected, "of": given.repetitions, "interval": [low, high]}
        print(f"{name}: rejected at {LEVEL} in {rejected / given.repetitions:.3f} [{low:.3f}, {high:.3f}]", flush=True)
    if given.output:
        given.output.write_text(
            json.dumps({**vars(given), "output": str(given.output), "found": found}, indent=1) + "\n", "utf-8"
        )


if __name__ == "__main__":
    main()
