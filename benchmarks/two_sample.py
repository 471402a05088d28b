"""How often do the two-sample tests find a difference that is there, and one that is not?

Pairs of sets of records of the Ising chain: of one field, where a test should reject as often as its level says, and
of two. Run by hand:

    python benchmarks/two_sample.py --repetitions 1000 --output two-sample.json
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from scipy import stats

from qtomo import TFIM
from qtomo.analysis.two_sample import classifier_two_sample_test, kernel_two_sample_test
from qtomo.povm import named_povm
from qtomo.seeds import stream
from qtomo.states import BornDistribution

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
    parser.add_argument("--records", type=int, default=20_000, help="in each of the two sets")
    parser.add_argument("--fields", type=float, nargs=2, default=(1.0, 1.05), help="of the two sets")
    parser.add_argument("--repetitions", type=int, default=1000, help="of equal and of different sets each")
    parser.add_argument("--output", type=Path, help="JSON file")
    given = parser.parse_args()
    first, second = (
        BornDistribution(TFIM(given.qubits, field=field).state(), named_povm("pauli4")) for field in given.fields
    )
    found = {}
    for label, other in (("equal", first), ("different", second)):
        rows = []
        for seed in range(given.repetitions):
            rows.append(p_values(first, other, given.records, seed))
            if seed % 100 == 99:
                print(f"{label}: {seed + 1} of {given.repetitions}", flush=True)
        for name in TESTS:
            rejected = int(np.sum([row[name] <= LEVEL for row in rows]))
            low, high = stats.binomtest(rejected, given.repetitions).proportion_ci(0.95, method="exact")
            found[f"{label}, {name}"] = {"rejected": rejected, "of": given.repetitions, "interval": [low, high]}
            share = rejected / given.repetitions
            print(f"{label} sets, {name}: rejected at {LEVEL} in {share:.3f} [{low:.3f}, {high:.3f}]", flush=True)
    if given.output:
        given.output.write_text(json.dumps({**vars(given), "output": None, "found": found}, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
