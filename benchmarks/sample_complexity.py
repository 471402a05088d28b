"""How many records does a model need for a classical fidelity of 0.99, and how does that grow with N?

On a grid of counts, factors of sqrt(2) apart, bisection finds one with which every training reaches the goal, while
with the count below it not every one does. Each training has its own simulated records and weights. The held-out
records by which its best epoch is chosen are taken from the count. It reaches the goal if the lower end of the 95 %
interval of F_c, judged on fresh records that chose nothing, is at least 0.99. A state has one recipe for every
measurement, N and count. Trainings that are in the output folder with the same settings are not done again. By hand:

    OMP_NUM_THREADS=1 python benchmarks/sample_complexity.py --output samples
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from qtomo import GHZ, TFIM, BornDistribution, simulate, train
from qtomo.distribution import Distribution
from qtomo.evaluation.judging import TOLERANCE
from qtomo.files import write_atomic
from qtomo.reporting.style import new_figure, save_figure
from qtomo.seeds import stream
from qtomo.states.mps import MPS
from qtomo.statistics.divergences import compare_by_sampling
from qtomo.statistics.estimate import Estimate, sample_mean

GOAL = 0.99
COUNTS = [round(125 * 2 ** (k / 2)) for k in range(17)]
#: Of a count, kept for validation: with fewer, the best epoch is chosen by chance.
HELD_OUT = 0.25
#: An epoch, whatever the count, so that all trainings have the same number of steps.
BATCHES = 8


@dataclass(frozen=True)
class Case:
    """A state seen through a POVM.

    Args:
        title: for tables and figures.
        system: the state of N qubits.
        povm: by name.
        hidden_size: units of the GRU, the same for every N.
        learning_rate: at its highest, the same for every N.
        published: records needed, by N.
        source: of the published numbers.
    """

    title: str
    system: type[GHZ] | type[TFIM]
    povm: str
    hidden_size: int
    learning_rate: float
    published: Mapping[int, int]
    source: str = ""


CASES = {
    "ghz-pauli4": Case(
        "GHZ, Pauli-4",
        GHZ,
        "pauli4",
        4,
        6e-2,
        {10: 42_963, 20: 56_500, 40: 75_739, 60: 89_968, 80: 98_249},
        "published RNN",
    ),
    "ghz-pauli6": Case(
        "GHZ, Pauli-6",
        GHZ,
        "pauli6",
        4,
        6e-2,
        {10: 6_000, 20: 8_000, 40: 10_000, 60: 11_500, 80: 13_000},
        "arXiv 2006.12469",
    ),
    "tfim-pauli4": Case("critical Ising chain, Pauli-4", TFIM, "pauli4", 16, 2e-2, {}),
}


@dataclass(frozen=True)
class Training:
    """What became of one training: F_c and KL(target‖model) with their errors, and its seconds."""

    fidelity: Estimate
    kl: Estimate
    seconds: float

    @property
    def reached(self) -> bool:
        """Whether the interval of F_c lies at or above the goal."""
        return self.fidelity.low >= GOAL


@dataclass(frozen=True)
class Needed:
    """Where the bisection ended for one N.

    Args:
        count: records with which every training reached the goal.
        trainings: those with this count.
        below: the count below, with which one did not; 0 where there is none on the grid.
        trainings_below: those with the count below, up to the first that failed.
        confirming: further trainings with this count, which had no part in finding it.
    """

    count: int
    trainings: Sequence[Training]
    below: int
    trainings_below: Sequence[Training]
    confirming: Sequence[Training]

    @property
    def worst(self) -> Training:
        """The training with the smallest F_c."""
        return min(self.trainings, key=lambda training: training.fidelity.low)


def settings(case: Case, count: int, seed: int, site_size: int) -> dict[str, dict[str, object]]:
    """The recipe: a small GRU, which by default has the same weights at every site."""
    held_out = round(HELD_OUT * count)
    return {
        "model": {"family": "gru", "hidden_size": case.hidden_size, "site_size": site_size},
        "training": {
            "seed": seed,
            "validation_records": held_out,
            "batch_size": math.ceil((count - held_out) / BATCHES),
            "epochs": 60,
            "learning_rate": case.learning_rate,
            "warmup_steps": 20,
            "averaging": 0.0,
            "device": "cpu",
        },
    }


@cache
def exact_target(name: str, n_sites: int) -> BornDistribution:
    """The exact distribution of a case's records."""
    case = CASES[name]
    return BornDistribution(case.system(n_sites).state(), case.povm, tolerance=TOLERANCE)


@dataclass(frozen=True)
class Search:
    """How the records needed are sought.

    Args:
        folder: of every training.
        repeats: trainings that must all reach the goal.
        n_fresh: records of target and model each, to judge by.
        site_size: of the learned vector a site; 0 for the same weights everywhere.
        n_confirming: further trainings with the count that was found.
    """

    folder: Path
    repeats: int
    n_fresh: int
    site_size: int
    n_confirming: int

    def training(self, name: str, n_sites: int, count: int, repeat: int) -> Training:
        """Simulate, train and judge, or read what was found before with the same settings."""
        place = self.folder / name / str(n_sites) / f"{count}-{repeat}"
        seed = int(stream(repeat, f"{name} {n_sites}", count).integers(2**31))
        asked: dict[str, Any] = {
            "n_fresh": self.n_fresh,
            "settings": settings(CASES[name], count, seed, self.site_size),
        }
        file = place / "result.json"
        found = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        if found.get("asked") != asked:
            place.mkdir(parents=True, exist_ok=True)
            target = exact_target(name, n_sites)
            assert isinstance(target.state, MPS)
            records = simulate(target.state, count, place / "records.h5", povm=target.povm, seed=seed, overwrite=True)
            run = train(records, place / "run", asked["settings"], overwrite=True)
            divergences = self.judge(target, run.model, seed)
            found = {
                "asked": asked,
                "fidelity": divergences["classical_fidelity"].to_dict(),
                "kl": divergences["kl_target_model"].to_dict(),
                "seconds": run.progress.seconds,
            }
            write_atomic(file, json.dumps(found, indent=1) + "\n")
        done = Training(Estimate(**found["fidelity"]), Estimate(**found["kl"]), found["seconds"])
        print(
            f"{name}, N = {n_sites}: {count} records, F_c {done.fidelity.interval()}, {done.seconds:.0f} s", flush=True
        )
        return done

    def judge(self, target: BornDistribution, model: Distribution, seed: int) -> dict[str, Estimate]:
        """Divergences on records that neither trained nor chose anything."""
        fresh = target.sample(self.n_fresh, stream(seed, "fresh records of the target"))
        drawn = model.sample(self.n_fresh, stream(seed, "fresh records of the model"))
        with np.errstate(invalid="ignore"):  # KL(model‖target) is infinite where the model draws impossible records
            return compare_by_sampling(
                target.log_prob(fresh), model.log_prob(fresh), target.log_prob(drawn), model.log_prob(drawn)
            )

    def trainings(self, name: str, n_sites: int, count: int) -> list[Training]:
        """One after the other, up to the first that does not reach the goal."""
        done: list[Training] = []
        for repeat in range(self.repeats):
            done.append(self.training(name, n_sites, count, repeat))
            if not done[-1].reached:
                break
        return done

    def records_needed(self, name: str, n_sites: int) -> Needed | None:
        """Bisection over the counts; None where the largest is too small."""
        tried: dict[int, list[Training]] = {}
        low, high = -1, len(COUNTS)  # with COUNTS[low] a training failed, with COUNTS[high] none did
        while high - low > 1:
            middle = (low + high) // 2
            done = tried[middle] = self.trainings(name, n_sites, COUNTS[middle])
            low, high = (low, middle) if all(t.reached for t in done) else (middle, high)
        if high == len(COUNTS):
            return None
        below, done_below = (COUNTS[low], tried[low]) if low >= 0 else (0, [])
        later = range(self.repeats, self.repeats + self.n_confirming)
        confirming = [self.training(name, n_sites, COUNTS[high], repeat) for repeat in later]
        return Needed(COUNTS[high], tried[high], below, done_below, confirming)


def without_coherence(n_sites: int, povm: str) -> Estimate:
    """F_c of a GHZ state and the equal mixture of |0...0> and |1...1>: what is reached without any superposition."""
    target = BornDistribution(GHZ(n_sites).state(), povm)
    records = target.sample(100_000, stream(0, "without coherence"))
    parts = [BornDistribution(MPS.product([ket] * n_sites), povm).log_prob(records) for ket in np.eye(2)]
    log_mixture = np.logaddexp(*parts) - math.log(2)
    return sample_mean(np.exp((log_mixture - target.log_prob(records)) / 2))


def markdown(case: Case, found: Mapping[int, Needed | None]) -> str:
    """The table of a case for a document."""
    headings = [
        "N",
        "records needed",
        "reached",
        "smallest F_c [95 % interval]",
        "count below: reached",
        "again",
        "training",
    ]
    if case.published:
        headings += [case.source, "ratio"]
    rows = [headings, ["---"] * len(headings)]
    for n_sites, needed in found.items():
        if needed is None:
            rows.append([str(n_sites), f"more than {COUNTS[-1]:,}", *["–"] * (len(headings) - 2)])
            continue
        reached = sum(t.reached for t in needed.trainings_below)
        again = sum(t.reached for t in needed.confirming)
        row = [
            str(n_sites),
            f"{needed.count:,}",
            f"{len(needed.trainings)} of {len(needed.trainings)}",
            needed.worst.fidelity.interval(),
            f"{needed.below:,}: {reached} of {len(needed.trainings_below)}" if needed.below else "–",
            f"{again} of {len(needed.confirming)}" if needed.confirming else "–",
            f"{max(t.seconds for t in needed.trainings):.0f} s",
        ]
        if case.published:
            published = case.published.get(n_sites)
            row += [f"{published:,}", f"{published / needed.count:.2g}"] if published else ["–", "–"]
        rows.append(row)
    lines = [f"## {case.title}", "", *("| " + " | ".join(row) + " |" for row in rows)]
    if case.system is GHZ:
        mixtures = [f"{without_coherence(n_sites, case.povm).value:.4f} at N = {n_sites}" for n_sites in found]
        lines += ["", f"F_c of the mixture of the two product states, without coherence: {', '.join(mixtures)}."]
    return "\n".join(lines)


def to_dict(case: Case, found: Mapping[int, Needed | None]) -> dict[str, Any]:
    """The same for JSON, with every training at the two counts."""

    def listed(done: Sequence[Training]) -> list[dict[str, Any]]:
        return [
            {"fidelity": t.fidelity.to_dict(), "kl": t.kl.to_dict(), "seconds": t.seconds, "reached": t.reached}
            for t in done
        ]

    return {
        str(n_sites): {
            "published": case.published.get(n_sites),
            **(
                {}
                if needed is None
                else {
                    "records_needed": needed.count,
                    "trainings": listed(needed.trainings),
                    "count_below": needed.below,
                    "trainings_below": listed(needed.trainings_below),
                    "confirming": listed(needed.confirming),
                }
            ),
        }
        for n_sites, needed in found.items()
    }


def figure(found: Mapping[str, Mapping[int, Needed | None]], path: Path) -> None:
    """Records needed against N, as PNG; a bar reaches down to the count that was too few."""
    drawing = new_figure(7, 4.5)
    axes = drawing.subplots()
    # Okabe and Ito's colour-blind safe colours; markers tell the same without colour.
    for (name, by_n), colour, marker in zip(found.items(), ("#0072B2", "#D55E00", "#009E73"), "osD", strict=False):
        case = CASES[name]
        held = {n_sites: needed for n_sites, needed in by_n.items() if needed is not None}
        counts = [needed.count for needed in held.values()]
        bars = [needed.count - needed.below for needed in held.values()]
        axes.errorbar(
            list(held),
            counts,
            yerr=[bars, [0] * len(bars)],
            color=colour,
            marker=marker,
            capsize=3,
            label=f"{case.title}: qtomo",
        )
        if case.published:
            label = f"{case.title}: {case.source}"
            axes.plot(
                list(case.published), list(case.published.values()),
                color=colour, marker=marker, markerfacecolor="white", linestyle="--", label=label,
            )  # fmt: skip
    axes.set_yscale("log")
    axes.set_xlabel("number of qubits N")
    axes.set_ylabel(f"records needed for F_c ≥ {GOAL}")
    axes.grid(alpha=0.3, which="both")
    drawing.legend(loc="outside lower center", ncols=2, fontsize=8)
    save_figure(drawing, path)


def main() -> None:
    """Parse, search, and write the tables as Markdown and JSON and the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--qubits", nargs="+", type=int, default=[10, 20, 40, 60, 80])
    parser.add_argument("--repeats", type=int, default=3, help="trainings that must all reach the goal")
    parser.add_argument("--fresh", type=int, default=10_000, help="records, of target and model each, to judge by")
    parser.add_argument(
        "--site-size", type=int, default=0, help="of a learned vector a site: no longer all sites alike"
    )
    parser.add_argument("--confirm", type=int, default=0, help="further trainings with the count that was found")
    parser.add_argument("--output", type=Path, default=Path("samples"), help="folder")
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    search = Search(given.output, given.repeats, given.fresh, given.site_size, given.confirm)
    found = {name: {n: search.records_needed(name, n) for n in given.qubits} for name in given.cases}
    text = "\n\n".join(markdown(CASES[name], by_n) for name, by_n in found.items())
    values = {name: to_dict(CASES[name], by_n) for name, by_n in found.items()}
    write_atomic(given.output / "sample_complexity.md", text + "\n")
    write_atomic(given.output / "sample_complexity.json", json.dumps(values, indent=1) + "\n")
    figure(found, given.output / "sample_complexity.png")
    print(f"\n{text}")


if __name__ == "__main__":
    main()
