"""How long until a model is right? The default against the recipe of 2018, on the same records, in one run.

A training is stopped every few seconds, judged as it stands, and resumed, until the lower end of the interval of F_c
on fresh records reaches the goal; the clock is that of the training alone. Then the default trains for a given
time and is judged once. Run by hand:

    OMP_NUM_THREADS=1 python benchmarks/time_to_fidelity.py --output time-to-fidelity
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from qtomo import TFIM, BornDistribution, Estimate, RecordFile, Run, simulate, train
from qtomo.evaluation.judging import TOLERANCE
from qtomo.models.base import Model
from qtomo.progress import Progress
from qtomo.seeds import stream
from qtomo.statistics.divergences import compare_by_sampling
from qtomo.training.checkpoint import TrainingState, load_weights
from qtomo.training.config import read_settings
from qtomo.training.launch import resume

GOAL = 0.99
OURS, THEIRS = "gru", "carrasquilla2018"
FIRST_STOP, GROWTH = 5.0, 1.15  # of training: when it is first judged in seconds, and the ratio of one stop to the next


class Judge:
    """The exact law of a record file's state, and fresh records of it."""

    def __init__(self, records: Path, n_records: int, seed: int) -> None:
        with RecordFile(records) as file:
            assert file.target is not None
            self.law = BornDistribution(file.target.state(), file.povm, tolerance=TOLERANCE)
        self.fresh = self.law.sample(n_records, stream(seed, "judge"))
        self.log_prob = self.law.log_prob(self.fresh)

    def judge(self, model: Model, seed: int) -> dict[str, Estimate]:
        """Divergences and F_c of the model, from the fresh records and as many of its own."""
        drawn = model.sample(len(self.fresh), stream(seed, "judged"))
        return compare_by_sampling(
            self.log_prob, model.log_prob(self.fresh), self.law.log_prob(drawn), model.log_prob(drawn)
        )


class Stop(Progress):
    """Stops a training once the number of its steps is enough, as Ctrl-C does: it is saved and can be resumed."""

    def __init__(self, enough: Callable[[int], bool]) -> None:
        self.enough, self.asked = enough, False

    def update(self, done: int, total: int, note: str = "") -> None:
        """Stop, if these steps are enough."""
        if not self.asked and self.enough(done):
            self.asked = True  # the step after this one is the last; a second signal would end it without a checkpoint
            signal.raise_signal(signal.SIGINT)


def stop_after(enough: Callable[[int], bool], training: Callable[[Progress], Run]) -> None:
    """Let a training run until its steps are enough."""
    with suppress(KeyboardInterrupt):
        training(Stop(enough))


def train_until(seconds: float, folder: Path) -> TrainingState:
    """Go on with a run until it has trained for so long, or to its end."""
    before = Run(folder).progress.seconds
    started: list[float] = []

    def enough(_step: int) -> bool:
        started[:] = started or [time.monotonic()]
        return before + time.monotonic() - started[0] >= seconds

    stop_after(enough, lambda stop: resume(folder, progress=stop))
    return Run(folder).progress


def race(preset: str, records: Path, folder: Path, judge: Judge, seed: int, most_seconds: float) -> dict[str, Any]:
    """Training seconds until F_c reaches the goal, and every look on the way."""
    looks: list[dict[str, Any]] = []
    run = train_nothing(preset, records, folder, seed)
    due = FIRST_STOP
    while True:
        progress = train_until(due, folder)
        model = run.new_model()
        load_weights(run.folder.checkpoint, model, best=False)
        found = judge.judge(model, seed)
        fidelity = found["classical_fidelity"]
        looks.append(
            {
                "seconds": progress.seconds,
                "steps": progress.step,
                "classical_fidelity": fidelity.to_dict(),
                "kl_target_model": found["kl_target_model"].to_dict(),
            }
        )
        print(f"{preset}, seed {seed}: {progress.seconds:.1f} s, step {progress.step}, F_c {fidelity}", flush=True)
        reached = fidelity.low >= GOAL
        if reached or progress.finished or progress.seconds >= most_seconds:
            return {"seconds": progress.seconds if reached else None, "looks": looks}
        due = progress.seconds * GROWTH


def train_nothing(preset: str, records: Path, folder: Path, seed: int) -> Run:
    """The folder of a run that is stopped after its first step."""
    settings = read_settings(preset, None, [f"training.seed={seed}"])
    stop_after(lambda _: True, lambda stop: train(records, folder, settings, overwrite=True, progress=stop))
    return Run(folder)


def train_for(minutes: float, settings: list[str], records: Path, folder: Path) -> Run:
    """The default with as many epochs as fit into the time, by the length of a hundred steps of it."""
    if folder.exists():
        return resume(folder)
    seconds: list[float] = []

    def enough(step: int) -> bool:
        seconds.append(time.monotonic())
        return step >= 100

    measured, chosen = folder.with_name(f".{folder.name}.measured"), read_settings(OURS, None, settings)
    stop_after(enough, lambda stop: train(records, measured, chosen, overwrite=True, progress=stop))
    step = statistics.median(later - earlier for earlier, later in pairwise(seconds))
    config = Run(measured).config
    n_records = config.records.n_records - config.training.n_validation(config.records.n_records)
    epochs = max(1, round(60 * minutes / step / (n_records / config.training.batch_size)))
    return train(records, folder, read_settings(OURS, None, [*settings, f"training.epochs={epochs}"]))


def record_file(folder: Path, qubits: int, n_records: int, seed: int) -> Path:
    """Simulated records of the critical chain, made unless they are there."""
    path = folder / f"tfim-{qubits}-{n_records}-{seed}.h5"
    if not path.exists():
        simulate(TFIM(qubits), n_records, path, seed=seed)
    return path


def main() -> None:
    """Parse, race, train for a time, print and keep what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--qubits", type=int, default=50, help="number of qubits")
    parser.add_argument("--shots", type=int, default=100_000, help="records of a training, validation included")
    parser.add_argument("--seeds", type=int, default=3, help="repetitions of the race, each with its own records")
    parser.add_argument("--fresh", type=int, default=10_000, help="fresh records to judge by, in the race")
    parser.add_argument("--longest", type=float, default=20.0, help="give up a race after this many minutes")
    parser.add_argument("--minutes", type=float, default=15.0, help="of the training after the race; 0 for none")
    parser.add_argument("--judged", type=int, default=100_000, help="fresh records to judge that training by")
    parser.add_argument("--set", action="append", default=[], help="setting of that training, such as model.x=1")
    parser.add_argument("--output", type=Path, default=Path("time-to-fidelity"), help="folder")
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {"race": [], "longer": None}
    for seed in range(1, given.seeds + 1):
        records = record_file(given.output, given.qubits, given.shots, seed)
        judge = Judge(records, given.fresh, 1000 + seed)
        folders = {preset: given.output / f"{preset}-{seed}" for preset in (OURS, THEIRS)}
        both = {p: race(p, records, folder, judge, seed, 60 * given.longest) for p, folder in folders.items()}
        found["race"].append(both)
        ours, theirs = (both[preset]["seconds"] for preset in (OURS, THEIRS))
        ratio = f"{theirs / ours:.1f} times" if ours and theirs else "no ratio"
        print(f"seed {seed}: {OURS} {ours} s, {THEIRS} {theirs} s: {ratio}", flush=True)
    if given.minutes:
        records = record_file(given.output, given.qubits, given.shots, 1)
        run = train_for(given.minutes, given.set, records, given.output / "-".join(["longer", *given.set]))
        judged = Judge(records, given.judged, 2000).judge(run.model, 1)
        kl, fidelity = judged["kl_target_model"], judged["classical_fidelity"]
        found["longer"] = {name: estimate.to_dict() for name, estimate in judged.items()}
        found["longer"] |= {"seconds": run.progress.seconds, "epochs": run.progress.epoch, "set": given.set}
        print(f"{run.progress.seconds:.0f} s, {run.progress.epoch} epochs: KL(target‖model) {kl}, F_c {fidelity}")
    (given.output / "found.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    ratios = [r[THEIRS]["seconds"] / r[OURS]["seconds"] for r in found["race"] if r[THEIRS]["seconds"]]
    if ratios:
        print(f"times sooner: {', '.join(f'{r:.1f}' for r in ratios)}; mean {np.mean(ratios):.1f}")


if __name__ == "__main__":
    main()
