"""Does a GAN of measurement records know more than independent sites?

Trains the preset with several seeds on records of the critical Ising chain, and compares two-site correlators of its
records with the exact ones, beside what independent sites with the records' frequencies give; and how well a
classifier tells either from held-out records. Run by hand:

    python benchmarks/gan_records.py --qubits 10 --epochs 30 --output gan-10
"""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np

from qtomo import TFIM, RecordFile, Records, estimate_observables, pauli, simulate, train
from qtomo.models.baselines import KGram
from qtomo.observables.paulis import exact_value
from qtomo.seeds import stream
from qtomo.statistics.two_sample import classifier_two_sample_test
from qtomo.training.config import read_settings

VALIDATION = 5_000
KINDS = ("ZZ", "XX", "YY", "XZ")


def main() -> None:
    """Train, sample, compare, and write the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--qubits", type=int, default=10, help="number of qubits")
    parser.add_argument("--shots", type=int, default=100_000, help="training records")
    parser.add_argument("--epochs", type=int, default=30, help="of training")
    parser.add_argument("--seeds", type=int, default=3, help="trainings")
    parser.add_argument("--samples", type=int, default=400_000, help="records drawn of each")
    parser.add_argument("--output", type=Path, default=Path("gan"), help="folder")
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    path = given.output / "tfim.h5"
    if not path.exists():
        simulate(TFIM(given.qubits), given.shots + VALIDATION, path, seed=7)
    with RecordFile(path) as file:
        outcomes, povm, state = file.load(), file.povm, TFIM(given.qubits).state()
    held_out = simulate_fresh(given.qubits, given.output, VALIDATION)
    pairs = list(itertools.combinations(range(given.qubits), 2))
    wanted = {(kind, i, j): pauli(f"{kind[0]}{i} {kind[1]}{j}") for kind in KINDS for i, j in pairs}
    truth = {key: exact_value(observable, state) for key, observable in wanted.items()}

    def judge(model: Any, name: str, seed: int) -> tuple[dict[Any, float], Any]:
        drawn = model.sample(given.samples, stream(seed, f"records of {name}"))
        found = estimate_observables(list(wanted.values()), Records(drawn, povm))
        errors = {key: abs(found[one.name].value - truth[key]) for key, one in wanted.items()}
        return errors, classifier_two_sample_test(drawn[: len(held_out)], held_out, povm.n_outcomes, seed)

    results = {"independent sites": [judge(KGram(outcomes, povm.n_outcomes, 0), "independent sites", 0)], "gan": []}
    for seed in range(given.seeds):
        changes = [f"training.{key}" for key in (f"seed={seed}", f"epochs={given.epochs}")]
        settings = read_settings("gan", None, [*changes, f"training.validation_records={VALIDATION}"])
        run = train(path, given.output / f"gan-{seed}", settings, overwrite=True)
        results["gan"].append(judge(run.model, "gan", seed))
        print(f"seed {seed}: {run.progress.seconds:.0f} s", flush=True)
    report: dict[str, Any] = {}
    for kind in KINDS:
        for distance in range(1, given.qubits):
            chosen = [(kind, i, j) for i, j in pairs if j - i == distance]
            row = {}
            for name, found in results.items():
                means = [float(np.mean([errors[key] for key in chosen])) for errors, _ in found]
                spread = float(np.std(means, ddof=1) / np.sqrt(len(means))) if len(means) > 1 else None
                row[name] = {"mean error": float(np.mean(means)), "standard error": spread}
            report[f"{kind}, distance {distance}"] = row
            gan, sites = row["gan"], row["independent sites"]["mean error"]
            error = gan["standard error"] or 0.0
            print(f"{kind} at distance {distance}: gan {gan['mean error']:.4f} ± {error:.4f}, sites {sites:.4f}")
    for name, found in results.items():
        print(f"{name}: C2ST accuracy", ", ".join(test.accuracy.interval() for _, test in found))
        report[f"accuracy of {name}"] = [test.to_dict() for _, test in found]
    (given.output / "gan.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def simulate_fresh(n_qubits: int, folder: Path, n_records: int) -> Any:
    """Records of the same state that no model has seen."""
    path = simulate(TFIM(n_qubits), n_records, folder / "fresh.h5", seed=8, overwrite=True)
    with RecordFile(path) as file:
        return file.load()


if __name__ == "__main__":
    main()
