"""Does adversarial training by each f-divergence find the Gaussian nearest to a mixture, and know how near it is?

Five divergences, several seeds each: fits by quadrature and by training from samples, beside the figures of Nowozin
et al. 2016 (arXiv 1606.00709, table 3), then what each fit is worth by every divergence. Run by hand:

    python benchmarks/fgan_table.py --seeds 5 --output fgan
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import torch

from qtomo.adversarial.fdivergences import divergence
from qtomo.adversarial.gaussian_mixture import (
    AdversarialFit,
    DirectFit,
    Plan,
    adversarial_fit,
    cross_table,
    direct_fit,
    mean_with_error,
)
from qtomo.table import Table

#: By name: D_f at the optimum, bound reached, mean at the optimum and reached, standard deviation likewise.
PUBLISHED_FITS = {
    "kl": (0.2831, 0.2801, 1.0100, 1.0335, 1.8308, 1.8236),
    "reverse_kl": (0.2480, 0.2415, 1.5782, 1.5624, 1.6319, 1.6403),
    "jensen_shannon": (0.1280, 0.1226, 1.3070, 1.2854, 1.7542, 1.7659),
    "jeffrey": (0.5705, 0.5151, 1.3218, 1.2295, 1.7034, 1.8087),
    "pearson": (0.6457, 0.6379, 0.5737, 0.6157, 1.9274, 1.9031),
}

#: Trained with the row's, judged by the column's, in the order above; bounds of critics, not exact values.
PUBLISHED_CROSS = {
    "kl": (0.2808, 0.3423, 0.1314, 0.5447, 0.7345),
    "reverse_kl": (0.3518, 0.2414, 0.1228, 0.5794, 1.3974),
    "jensen_shannon": (0.2871, 0.2760, 0.1210, 0.5260, 0.9216),
    "jeffrey": (0.2869, 0.2975, 0.1247, 0.5236, 0.8849),
    "pearson": (0.2970, 0.5466, 0.1665, 0.7085, 0.648),
}

Fits = dict[str, list[AdversarialFit]]
Cross = dict[str, dict[str, tuple[float, float]]]


def trained(seeds: int, plan: Plan) -> Fits:
    """The adversarial fits by name, one a seed."""
    fits: Fits = {}
    for name in PUBLISHED_FITS:
        fits[name] = [adversarial_fit(divergence(name), seed, plan) for seed in range(seeds)]
        print(f"{name}: trained with {seeds} seeds", flush=True)
    return fits


def fit_table(direct: dict[str, DirectFit], fits: Fits) -> Table:
    """Ours beside the published, a divergence a column."""
    rows = []
    for index, label, field in ((0, "D_f", "divergence"), (2, "mean", "mean"), (4, "standard deviation", "scale")):
        reached = "bound" if field == "divergence" else field
        trained_label = "bound reached" if field == "divergence" else f"{label}, trained"
        rows += [
            [f"{label}, quadrature", *(f"{getattr(direct[name], field):.4f}" for name in PUBLISHED_FITS)],
            [f"{label}, published", *(f"{figures[index]:.4f}" for figures in PUBLISHED_FITS.values())],
            [trained_label, *(_cell([getattr(fit, reached) for fit in fits[name]]) for name in PUBLISHED_FITS)],
            [f"{trained_label}, published", *(f"{figures[index + 1]:.4f}" for figures in PUBLISHED_FITS.values())],
        ]
    excess = {name: [(fit.bound - fit.divergence) / fit.bound_error for fit in fits[name]] for name in PUBLISHED_FITS}
    rows.append(["largest excess / error", *(f"{max(excess[name]):+.1f}" for name in PUBLISHED_FITS)])
    return Table("The nearest Gaussian", ["", *PUBLISHED_FITS], rows)


def worth_table(cross: Cross) -> Table:
    """Our exact values and the published bounds, a row for what was trained with."""
    rows = []
    for name, published in PUBLISHED_CROSS.items():
        rows.append([name, *(f"{value:.4f} ± {error:.4f}" for value, error in cross[name].values())])
        rows.append([f"{name}, published", *(f"{value:.4f}" for value in published)])
    return Table("Trained with the row's, worth by the column's", ["", *PUBLISHED_FITS], rows)


def markdown(table: Table) -> str:
    """The table for a document."""
    rows = [table.headings, ["---"] * len(table.headings), *table.rows]
    return f"{table.title}:\n\n" + "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _cell(values: list[float]) -> str:
    value, error = mean_with_error(values)
    return f"{value:.4f} ± {error:.4f}"


def main() -> None:
    """Parse, fit both ways, print the two tables, and write them as Markdown and JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="trainings of each divergence, two or more")
    parser.add_argument("--output", type=Path, help="folder to write to")
    given = parser.parse_args()
    if given.seeds < 2:
        parser.error("--seeds: error bars need two or more")
    torch.set_num_threads(1)
    direct = {name: direct_fit(divergence(name)) for name in PUBLISHED_FITS}
    fits = trained(given.seeds, Plan())
    cross = cross_table(fits, [divergence(name) for name in PUBLISHED_FITS])
    tables = [fit_table(direct, fits), worth_table(cross)]
    print("\n" + "\n\n".join(map(str, tables)))
    if given.output:
        given.output.mkdir(parents=True, exist_ok=True)
        (given.output / "fgan.md").write_text("\n\n".join(map(markdown, tables)) + "\n", encoding="utf-8")
        results = {
            "direct": {name: asdict(fit) for name, fit in direct.items()},
            "trained": {name: [asdict(fit) for fit in row] for name, row in fits.items()},
            "cross": cross,
        }
        (given.output / "fgan.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
