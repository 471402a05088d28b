"""How often does `qtomo verify` raise a false alarm, and how often does it see a fault and call it by its name?

    python benchmarks/verification.py null10 --sets 1000
    python benchmarks/verification.py depolarizing --sets 100 --output depolarizing.json

Each study draws data sets, verifies each as the command does (with the k-gram as the learned alternative, and the
classifier on at most 2,000 records of each set), and prints rates with Clopper-Pearson intervals. Work is split over
processes, one thread each. The critical chain, Pauli-4, level 0.01 for all tests together.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from scipy import stats

from qtomo.analysis.faults import Law, Scores
from qtomo.analysis.verification import verify_records
from qtomo.distribution import Outcomes
from qtomo.noise import parse_noise
from qtomo.povm import named_povm
from qtomo.seeds import stream
from qtomo.states import TFIM, BornDistribution

LEVEL = 0.01
_POVM = named_povm("pauli4")
_DEAD, _PAIR = 20, (17, 18)


@dataclass(frozen=True)
class Study:
    """One question.

    Args:
        target: what was meant.
        n_records: of each data set.
        right: first-named faults that count as right, by how they begin; empty for a study of false alarms.
        noise: what happens before the measurement, if that is the fault.
        made: what was prepared, if that is the fault.
        move: what was done to the order of the qubits.
        n_reference: exact records to calibrate with, drawn once for all data sets.
    """

    target: TFIM
    n_records: int
    right: tuple[str, ...] = ()
    noise: tuple[str, ...] = ()
    made: TFIM | None = None
    move: str = ""
    n_reference: int = 20_000


def _disordered() -> TFIM:
    rng = stream(1, "disorder")
    return TFIM(50, tuple(rng.uniform(0.5, 1.5, 49)), tuple(rng.uniform(0.5, 1.5, 50)))


STUDIES = {
    "null10": Study(TFIM(10), 2_000),
    # Sharing a small reference would make the data sets' mean of ln P err together.
    "null50": Study(TFIM(50), 2_000, n_reference=100_000),
    "depolarizing": Study(TFIM(50), 20_000, ("depolarizing on every qubit",), ("depolarizing:0.01",)),
    "dead": Study(TFIM(50), 500, (f"depolarizing on one qubit qubit {_DEAD}",), (f"depolarizing:1@{_DEAD}",)),
    "swapped": Study(_disordered(), 5_000, (f"neighbours swapped {_PAIR[0]} and {_PAIR[1]}",), move="swapped"),
    "reversed": Study(_disordered(), 5_000, ("order reversed",), move="reversed"),
    "field": Study(TFIM(50), 20_000, ("field off",), made=TFIM(50, 1.0, 1.02)),
}


@cache
def _prepared(name: str) -> tuple[Law, BornDistribution, Scores]:
    torch.set_num_threads(1)
    study = STUDIES[name]
    law = Law(study.target.state(), _POVM, study.target)
    made = study.made.state() if study.made else law.born.state
    source = BornDistribution(made, parse_noise(_POVM, study.noise, study.target.n_sites))
    reference = law.scores(law.sample(study.n_reference, stream(99, f"reference {name}")))
    return law, source, reference


def one(name: str, index: int) -> dict[str, Any]:
    """Draw and verify data set number `index` of a study."""
    study = STUDIES[name]
    law, source, reference = _prepared(name)
    outcomes: Outcomes = source.sample(study.n_records, stream(index, f"data {name}"))
    if study.move == "swapped":
        outcomes[:, list(_PAIR)] = outcomes[:, list(_PAIR[::-1])]
    elif study.move == "reversed":
        outcomes = np.ascontiguousarray(outcomes[:, ::-1])
    found = verify_records(
        outcomes, law, level=LEVEL, alternative="kgram", reference=reference, n_classified=2_000, seed=index
    )
    first = found.first_fault
    return {
        "verdict": found.verdict,
        "first": f"{first.name} {first.place}".strip() if first else "",
        "size": first.size.value if first and first.size else None,
        "p_values": {test.name: test.p_value for test in found.tests},
    }


def rate(hits: int, n: int, level: float = 0.95) -> str:
    """A share with its Clopper-Pearson interval."""
    interval = stats.binomtest(hits, n).proportion_ci(level, method="exact")
    return f"{hits}/{n} = {hits / n:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def report(name: str, found: list[dict[str, Any]]) -> None:
    """What a study found, in lines."""
    study, n = STUDIES[name], len(found)
    rejected = [result for result in found if result["verdict"] == "inconsistent"]
    print(f"## {name}: {n} data sets of {study.n_records:,} records, N = {study.target.n_sites}, level {LEVEL}")
    print(f"rejected: {rate(len(rejected), n)}; verdicts {dict(Counter(result['verdict'] for result in found))}")
    if study.right:
        right = sum(result["first"].startswith(study.right) for result in rejected)
        print(f"first-named fault right, of those rejected: {rate(right, max(1, len(rejected)))}")
        print(f"first named: {Counter(result['first'] for result in rejected).most_common(6)}")
        sizes = [result["size"] for result in rejected if result["size"] is not None]
        if sizes:
            print(
                f"its size: {np.mean(sizes):.4f} ± {np.std(sizes, ddof=1) / np.sqrt(len(sizes)):.4f} (mean of the fits)"
            )
        return
    allowed = int(stats.binom.ppf(0.995, n, LEVEL))
    print(f"at most {allowed} of {n} are within the binomial 99 % range of level {LEVEL}")
    for test in sorted({test for result in found for test in result["p_values"]}):
        below = [sum(result["p_values"].get(test, 1.0) <= level for result in found) for level in (0.01, 0.05)]
        print(f"  {test:36} p <= 0.01: {below[0]:4d}   p <= 0.05: {below[1]:4d}")


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(list(STUDIES)))
@click.option("--sets", default=100, show_default=True, help="Data sets of each study.")
@click.option("--workers", default=2, show_default=True)
@click.option("--output", type=click.Path(path_type=Path), help="JSON of all results.")
def main(names: tuple[str, ...], sets: int, workers: int, output: Path | None) -> None:
    """Run studies one after another; all of them where none is named."""
    everything = {}
    for name in names or STUDIES:
        started = time.monotonic()
        with ProcessPoolExecutor(workers) as pool:
            found = list(pool.map(one, [name] * sets, range(sets), chunksize=max(1, sets // (8 * workers))))
        everything[name] = found
        report(name, found)
        print(f"({time.monotonic() - started:.0f} s)\n", flush=True)
        if output:
            output.write_text(json.dumps(everything))


if __name__ == "__main__":
    main()
