"""What does each flow add to its window? Every flow beside the window alone, on the same fresh records.

A data set is a case: the window alone first, to which the others are compared record by record. Runs and
log-probabilities stay in the folder of the results, and go on where they stopped. Run by hand, with one worker:

    python benchmarks/flows.py fifty --sets 9 --workers 1 --output flows/50.jsonl
"""

from __future__ import annotations

import math
import os
from functools import partial
from pathlib import Path

import numpy as np
from studies import Result, command

from qtomo import TFIM, Run, simulate, train
from qtomo.models.flows.base import Flow
from qtomo.seeds import stream
from qtomo.states.born.distribution import BornDistribution
from qtomo.states.tfim import ground_state
from qtomo.training.config import read_settings
from qtomo.training.launch import resume

FOLDER = Path(os.environ.get("QTOMO_FLOWS", "flows"))
SHOTS, VALIDATION, FRESH = 100_000, 2_000, 20_000

#: Name, family, changes, and epochs at ten and at fifty qubits; the window alone first.
CASES: list[tuple[str, str, list[str], int, int]] = [
    ("window alone", "nice", ["model.transforms=0"], 12, 6),
    ("maf", "maf", [], 3, 1),
    ("glow", "glow", [], 6, 1),
    ("glow without mixing", "glow", ["model.mixing=false"], 6, 1),
    ("nice", "nice", [], 6, 1),
    ("realnvp", "realnvp", [], 6, 1),
    ("nsf", "nsf", [], 2, 1),
    ("iaf", "iaf", [], 1, 1),
    ("cnf", "cnf", [], 1, 1),
]


def fresh(n_sites: int) -> tuple[np.ndarray, np.ndarray]:
    """Records that no flow learned from, and their ln P: (FRESH, N) and (FRESH,)."""
    born = BornDistribution(ground_state(TFIM(n_sites)))
    drawn = born.sample(FRESH, stream(8, "fresh", n_sites))
    return drawn, born.log_prob(drawn)


def trained(n_sites: int, index: int) -> Run:
    """The run of a case; the one in the folder where there is one."""
    name, family, changes, *epochs = CASES[index]
    records = FOLDER / f"tfim-{n_sites}.h5"
    if not records.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        simulate(TFIM(n_sites), SHOTS + VALIDATION, records, seed=7)
    folder = FOLDER / f"{name.replace(' ', '_')}-{n_sites}"
    if folder.exists():
        return resume(folder)
    given = [f"training.validation_records={VALIDATION}", f"training.epochs={epochs[n_sites > 10]}", *changes]
    return train(records, folder, read_settings(family, None, given))


def case(n_sites: int, index: int) -> Result:
    """KL of a case with its error, its gain over the window alone and over its own window, and what it took."""
    run = trained(n_sites, index)
    outcomes, truth = fresh(n_sites)
    model = run.model
    assert isinstance(model, Flow)
    found = model.log_prob(outcomes)
    kept = FOLDER / f"log-prob-{n_sites}-{{}}.npy"
    np.save(str(kept).format(index), found)
    gains = {"window": found - np.load(str(kept).format(0))}
    if model.config.transforms and model.config.window and not model.window_inside:
        gains["own window"] = found - model.by_record(outcomes, model.window_log_prob)
    if CASES[index][0] == "glow without mixing":
        gains["mixing"] = np.load(str(kept).format(index - 1)) - found
    return {
        "name": CASES[index][0],
        "likelihood": model.likelihood,
        "kl": _mean(truth - found),
        "gains": {name: _mean(values) for name, values in gains.items()},
        "parameters": model.n_parameters,
        "epochs": CASES[index][4 if n_sites > 10 else 3],
        "seconds": run.progress.seconds,
    }


def _mean(values: np.ndarray) -> list[float]:
    return [float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values)))]


def show(results: list[Result]) -> None:
    """The table of all cases, for a document."""
    print("| flow | KL(target‖model) | gain over the window alone | over its own window | epochs, time | parameters |")
    print("| --- | --- | --- | --- | --- | --- |")
    for found in results:
        bound = "≤ " if found["likelihood"] == "lower_bound" else ""
        kl, error = found["kl"]
        gains = " | ".join(_gain(found["gains"].get(name)) for name in ("window", "own window"))
        time = f"{found['epochs']}, {found['seconds']:.0f} s"
        print(f"| {found['name']} | {bound}{kl:.4f} ± {error:.4f} | {gains} | {time} | {found['parameters']:,} |")
        if "mixing" in found["gains"]:
            print(f"| glow over glow without mixing | | {_gain(found['gains']['mixing'])} | | | |")


def _gain(found: list[float] | None) -> str:
    """A gain, its standard error and their ratio."""
    return f"{found[0]:.4f} ± {found[1]:.4f} ({found[0] / found[1]:.1f})" if found and found[1] else "–"


main = command({"ten": (partial(case, 10), show), "fifty": (partial(case, 50), show)})

if __name__ == "__main__":
    main()
