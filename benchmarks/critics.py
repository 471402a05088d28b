"""What do clipping and the gradient penalty make of a critic?

The generator stays as it is: real samples plus Gaussian noise of standard deviation 1. Deep critics are trained on
that with clipped weights and with penalties, over seeds; a table
a distribution says where the weights, the gradients and the
critic's estimate of W1 end up, as means over seeds with the standard error of the mean. Further ones say how much
slope each loss leaves the generator as its critic gets better, and compare the estimate of shallow critics with
exact distances in one and two dimensions. Run by hand, minutes on one core:

    python benchmarks/critics.py --output critics
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from qtomo.adversarial.critics import CriticStudy, noisy, sample_slopes, study_critic, train_critic
from qtomo.adversarial.losses import find_loss
from qtomo.adversarial.toys import Sampler, find_toy, gaussian_mixture
from qtomo.adversarial.wasserstein import dual_estimate, exact_w1
from qtomo.files import write_atomic
from qtomo.reporting.adversarial_figures import critic_figure, surface_figure
from qtomo.reporting.style import save_figure
from qtomo.table import Table

TOYS = ("eight_gaussians", "twenty_five_gaussians", "swiss_roll")
WAYS: dict[str, dict[str, Any]] = {
    "clipping at 0.1": {"penalty": "clipping", "strength": 0.1},
    "clipping at 0.02": {"penalty": "clipping", "strength": 0.02, "learning_rate": 5e-4},
    "clipping at 0.01": {"penalty": "clipping", "strength": 0.01, "learning_rate": 5e-4},
    "gradient penalty 10": {"penalty": "gradient_penalty", "strength": 10.0},
}


def mean(values: Sequence[float], digits: int) -> str:
    """Mean ± standard error over seeds."""
    error = np.std(values, ddof=1) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return f"{np.mean(values):.{digits}f} ± {error:.{digits}f}"


def study_table(toy: str, studies: dict[str, list[CriticStudy]]) -> Table:
    """A row a way of training."""
    headings = ["critic", "% at bounds before", "% at bounds after", "decades of gradients", "% of W1 captured"]
    rows = []
    for way, runs in studies.items():
        columns = (
            [100 * run.at_bounds_before for run in runs],
            [100 * run.at_bounds for run in runs],
            [run.decades for run in runs],
            [100 * run.captured for run in runs],
        )
        rows.append([way, *(mean(values, digits) for values, digits in zip(columns, (1, 1, 2, 1), strict=True))])
    return Table(f"{toy}, {len(runs)} seeds", headings, rows)


def pairs() -> dict[str, tuple[Sampler, Sampler, int]]:
    """Pairs of distributions whose W1 is asked for, and their dimensions."""
    line = gaussian_mixture(torch.tensor([[-2.0], [1.0]]), torch.tensor([0.3, 0.5]), torch.tensor([0.4, 0.6]))
    means, scales = torch.tensor([[-1.0, 0.0], [1.0, 1.0]]), torch.tensor([0.3, 0.5])
    plane = gaussian_mixture(means, scales, torch.tensor([0.5, 0.5]))
    ring = find_toy("eight_gaussians").sample
    roll = find_toy("swiss_roll").sample

    def normal(size: int, shift: float) -> Sampler:
        return lambda n, generator: shift + torch.randn(n, size, generator=generator)

    return {
        "1-D, mixture and N(1, 1)": (line.sample, normal(1, 1.0), 1),
        "1-D, N(0, 1) and N(2, 1)": (normal(1, 0.0), normal(1, 2.0), 1),
        "2-D, mixture and N(1, 1)": (plane.sample, normal(2, 1.0), 2),
        "2-D, N(0, 1) and N(1, 1)": (normal(2, 0.0), normal(2, 1.0), 2),
        "2-D, eight Gaussians and noisy": (ring, noisy(ring), 2),
        "2-D, Swiss roll and noisy": (roll, noisy(roll), 2),
    }


def dual_table(seeds: int, steps: int, results: dict[str, Any]) -> Table:
    """The dual estimate of critics of three layers beside the exact distance, and by how much it is off."""
    penalties = [("gradient_penalty", 10.0), ("gradient_penalty", 30.0), ("lipschitz_penalty", 30.0)]
    rows = []
    for name, (real, fake, size) in pairs().items():
        n = 20_000 if size == 1 else 2000
        samples = [(real(20_000, g), fake(20_000, g)) for g in map(torch.Generator().manual_seed, range(seeds))]
        exact = [exact_w1(x[:n], y[:n]) for x, y in samples]
        row = [name, mean(exact, 3)]
        for penalty, strength in penalties:
            settings = {"penalty": penalty, "strength": strength, "steps": steps, "learning_rate": 3e-3}
            found = []
            for seed, (x, y) in enumerate(samples):
                critic = train_critic(real, fake, settings, seed)
                found.append(dual_estimate(critic, x, y, torch.Generator().manual_seed(seed)).value)
            row.append(f"{mean(found, 3)} ({100 * (np.mean(found) / np.mean(exact) - 1):+.1f} %)")
            results[f"{name}, {penalty} {strength:g}"] = {"exact": exact, "dual": found}
        print(row, flush=True)
        rows.append(row)
    headings = ["distributions", "exact W1", *(f"{penalty} {strength:g}" for penalty, strength in penalties)]
    return Table(f"W1 and its dual estimate, {seeds} seeds", headings, rows)


def vanishing_table(seeds: int, results: dict[str, Any]) -> Table:
    """What the critic's training leaves of the generator's slope: fakes at 0 (standard deviation 0.1), eight modes."""
    games = {
        "saturating": ("saturating", "none"),
        "non_saturating": ("non_saturating", "none"),
        "non_saturating, R1": ("non_saturating", "r1"),
        "wasserstein, gradient penalty": ("wasserstein", "gradient_penalty"),
    }
    lengths, real = (10, 100, 300), find_toy("eight_gaussians").sample

    def fake(n: int, generator: torch.Generator) -> torch.Tensor:
        return 0.1 * torch.randn(n, 2, generator=generator)

    rows = []
    for name, (loss, penalty) in games.items():
        slopes = []
        for steps in lengths:
            settings = {"loss": loss, "penalty": penalty, "strength": 1.0, "steps": steps}
            critics = (train_critic(real, fake, settings, seed) for seed in range(seeds))
            points = fake(1000, torch.Generator().manual_seed(0))
            slopes.append([sample_slopes(critic, find_loss(loss), points).mean().item() for critic in critics])
        rows.append([name, *(f"{np.mean(v):.1e} ± {np.std(v, ddof=1) / math.sqrt(seeds):.0e}" for v in slopes)])
        results[f"slopes, {name}"] = dict(zip(map(str, lengths), slopes, strict=True))
    headings = ["generator's loss", *(f"{steps} steps" for steps in lengths)]
    return Table(f"Mean slope of the generator's loss at a fake sample, {seeds} seeds", headings, rows)


def numbers(study: CriticStudy) -> dict[str, Any]:
    """What JSON keeps of a study: all but surface and weights."""
    return {
        "dual": asdict(study.dual),
        "w1": study.w1,
        "captured": study.captured,
        "gradient_norms": study.gradient_norms.tolist(),
        "decades": study.decades,
        "at_bounds_before": study.at_bounds_before,
        "at_bounds": study.at_bounds,
    }


def deep_critics(seeds: int, deep: dict[str, Any], folder: Path, results: dict[str, Any]) -> None:
    """The study of deep critics: a table and a figure a distribution, and their value surfaces."""
    shown: dict[str, dict[str, CriticStudy]] = {way: {} for way in WAYS}
    for toy in TOYS:
        sampler = find_toy(toy).sample
        studies: dict[str, list[CriticStudy]] = {}
        for way, settings in WAYS.items():
            studies[way] = [study_critic(sampler, {**settings, **deep}, seed) for seed in range(seeds)]
            shown[way][toy] = studies[way][0]
            results[f"{toy}, {way}"] = [numbers(study) for study in studies[way]]
        print(f"\n{study_table(toy, studies)}\n", flush=True)
        save_figure(critic_figure(studies), folder / f"{toy}.png")
    real = {toy: find_toy(toy).sample(1000, torch.Generator().manual_seed(0)) for toy in TOYS}
    save_figure(surface_figure(shown, real), folder / "surfaces.png")


def main() -> None:
    """Parse, train, measure; print the tables, write numbers and figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=["deep", "slopes", "dual"], default=["deep", "slopes", "dual"])
    parser.add_argument("--seeds", type=int, default=5, help="critics of each kind")
    parser.add_argument("--steps", type=int, default=400, help="of each deep critic")
    parser.add_argument("--layers", type=int, default=12, help="hidden layers of the deep critics")
    parser.add_argument("--dual-steps", type=int, default=600, help="of each critic that estimates W1")
    parser.add_argument("--output", type=Path, default=Path("critics"), help="folder")
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {}
    if "deep" in given.parts:
        deep_critics(given.seeds, {"steps": given.steps, "hidden_layers": given.layers}, given.output, results)
    if "slopes" in given.parts:
        print(f"\n{vanishing_table(given.seeds, results)}\n", flush=True)
    if "dual" in given.parts:
        print(f"\n{dual_table(given.seeds, given.dual_steps, results)}")
    write_atomic(given.output / "critics.json", json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
