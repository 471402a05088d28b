"""Which losses and penalties learn every mode?

Every recipe is trained on every toy over several seeds. A table a toy says how many modes are covered and how many
samples lie within 3 standard deviations of one (98.9 % of true ones do), and how well a nearest-neighbour classifier
tells samples from real ones (0.5: not at all). Numbers are means over seeds with the standard error of the mean, and
the worst seed. Run by hand, about a minute a training on one core:

    python benchmarks/toy_gans.py --output toy-gans
    python benchmarks/toy_gans.py --toys eight_gaussians --recipes saturating --seeds 3
"""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from qtomo.adversarial.gan import RECIPES, train_gan
from qtomo.adversarial.judging import mode_coverage, two_sample
from qtomo.adversarial.toys import TOYS, find_toy
from qtomo.files import write_atomic
from qtomo.reporting.adversarial_figures import samples_figure
from qtomo.reporting.style import save_figure
from qtomo.table import Table

SAMPLES = 10_000


def trained(toy_name: str, recipe: str, seed: int) -> tuple[dict[str, Any], Tensor]:
    """One training, judged, and its samples."""
    toy, start = find_toy(toy_name), time.perf_counter()
    gan = train_gan(toy.sample, RECIPES[recipe], seed)
    seconds = time.perf_counter() - start
    random = torch.Generator().manual_seed(seed)
    made, real = gan.sample(SAMPLES, random), toy.sample(SAMPLES, random)
    found: dict[str, Any] = {"seed": seed, "seconds": seconds, "stopped_at": gan.stopped_at}
    found["two_sample"] = asdict(two_sample(real, made))
    if toy.modes is not None:
        found["modes"] = asdict(mode_coverage(made, toy))
    return found, made


def spread(values: list[float], digits: int, worst: float) -> str:
    """Mean ± standard error over seeds (worst)."""
    error = np.std(values, ddof=1) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return f"{np.mean(values):.{digits}f} ± {error:.{digits}f} ({worst:.{digits}f})"


def table(toy_name: str, results: dict[str, list[dict[str, Any]]]) -> Table:
    """A row a recipe."""
    rows = []
    for recipe, runs in results.items():
        row = [recipe, str(len(runs))]
        if "modes" in runs[0]:
            covered, near = ([run["modes"][name] for run in runs] for name in ("covered", "near"))
            row += [f"{spread(covered, 1, min(covered))} of {runs[0]['modes']['n_modes']}"]
            row += [spread([100 * share for share in near], 1, 100 * min(near))]
        accuracy = [run["two_sample"]["accuracy"] for run in runs]
        row += [spread(accuracy, 3, max(accuracy)), f"{np.mean([run['seconds'] for run in runs]):.0f}"]
        rows.append(row)
    modes = ["modes covered (worst)", "% within 3 sd (worst)"] if "modes" in runs[0] else []
    headings = ["recipe", "seeds", *modes, "two-sample accuracy (worst)", "seconds"]
    return Table(toy_name, headings, rows)


def main() -> None:
    """Parse, train, judge; print the tables, write numbers and a figure a toy."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--toys", nargs="+", choices=TOYS, default=["eight_gaussians", "twenty_five_gaussians"])
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=list(RECIPES), metavar="RECIPE")
    parser.add_argument("--seeds", type=int, default=5, help="trainings of each")
    parser.add_argument("--output", type=Path, default=Path("toy-gans"), help="folder")
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    for toy_name in given.toys:
        results: dict[str, list[dict[str, Any]]] = {}
        shown: dict[str, Tensor] = {}
        for recipe in given.recipes:
            for seed in range(given.seeds):
                found, made = trained(toy_name, recipe, seed)
                results.setdefault(recipe, []).append(found)
                shown.setdefault(recipe, made)
                print(f"{toy_name}, {recipe}: {found}", flush=True)
                write_atomic(given.output / f"{toy_name}.json", json.dumps(results, indent=1) + "\n")
        real = find_toy(toy_name).sample(SAMPLES, torch.Generator().manual_seed(0))
        save_figure(samples_figure({"real": real, **shown}), given.output / f"{toy_name}.png")
        print(f"\n{table(toy_name, results)}\n", flush=True)


if __name__ == "__main__":
    main()
