"""How well does each family learn the same records in the same time?

Every preset is trained in turn on the same records of the critical Ising chain, with as many epochs as fit
into the time by the length of one, and judged in one table by `qtomo compare`. A run that is already in the output
folder goes on where it stopped. Run by hand:

    python benchmarks/families.py --qubits 10 --minutes 5 --output families-10
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from tempfile import TemporaryDirectory

from qtomo import TFIM, Progress, Run, compare, simulate, train
from qtomo.evaluation.judging import Evidence
from qtomo.evaluation.latents import bounds_by_samples, collective_observables, latent_correlations
from qtomo.models.vae.diagnosis import latent_report
from qtomo.models.vae.vae import VAE
from qtomo.reporting.figures import comparison_figure, latent_figure, save_figure
from qtomo.table import Table
from qtomo.training.config import read_settings
from qtomo.training.launch import resume
from qtomo.training.presets import PRESETS

VALIDATION = 5_000


class Printed(Progress):
    """Prints each stage."""

    def stage(self, text: str) -> None:
        """What is being done."""
        print(text)


def epochs_in(seconds: float, records: Path, settings: dict[str, dict[str, object]]) -> int:
    """Epochs that fit into the time, at least one, from how long one takes with its validation."""
    one = {**settings, "training": {**settings["training"], "epochs": 1}}
    with TemporaryDirectory() as folder:
        return max(1, round(seconds / train(records, folder, one, overwrite=True).progress.seconds))


def trained(preset: str, changes: list[str], epochs: int | None, seconds: float, records: Path, folder: Path) -> Run:
    """A run of a preset with changes and so many epochs or, where they are not given, one that takes about the time."""
    if folder.exists():
        return resume(folder)
    settings = read_settings(preset, None, [f"training.validation_records={VALIDATION}", *changes])
    settings["training"]["epochs"] = epochs or epochs_in(seconds, records, settings)
    print(f"{preset}: {settings['training']['epochs']} epochs", flush=True)
    return train(records, folder, settings)


def markdown(table: Table) -> str:
    """The table for a document."""
    rows = [table.headings, ["---"] * len(table.headings), *table.rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)


def show_latents(run: Run, folder: Path) -> None:
    """Which latents of an autoencoder are in use, what the bound's samples do, and which observable each follows."""
    assert isinstance(run.model, VAE)
    evidence = Evidence.of(run)
    print(f"\n{run.folder.path.name}: {latent_report(run.model, evidence.held_out)}")
    for samples, bound in bounds_by_samples(run.model, evidence.held_out).items():
        print(f"mean bound of {samples} samples on the held-out records: {bound}")
    system = evidence.target.system if evidence.target is not None else None
    wanted = collective_observables(evidence.n_sites, system.terms() if system is not None else ())
    found = latent_correlations(run.model, evidence.held_out, evidence.povm, wanted)
    save_figure(latent_figure(found), folder / "latents.png")


def main() -> None:
    """Parse, train, compare, and write the table as Markdown and JSON and a figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--qubits", type=int, default=10, help="number of qubits")
    parser.add_argument("--shots", type=int, default=100_000, help="training records")
    parser.add_argument("--minutes", type=float, default=5.0, help="of training a family")
    parser.add_argument("--epochs", type=int, help="of training a family, whatever time they take")
    parser.add_argument("--samples", type=int, default=20_000, help="fresh records to judge by")
    parser.add_argument(
        "--presets", nargs="+", choices=PRESETS, default=[p for p in PRESETS if p != "carrasquilla2018"]
    )
    parser.add_argument("--set", dest="changes", action="append", default=[], help="an option of all, as qtomo train's")
    parser.add_argument("--output", type=Path, default=Path("families"), help="folder")
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    records = given.output / "tfim.h5"
    if not records.exists():
        simulate(TFIM(given.qubits), given.shots + VALIDATION, records, seed=7)
    runs = [
        trained(preset, given.changes, given.epochs, 60 * given.minutes, records, given.output / preset)
        for preset in given.presets
    ]
    comparison = compare(runs, samples=given.samples, allow_estimates=True, progress=Printed())
    text = "\n".join([markdown(comparison.table()), "", *(f"- {note}" for note in comparison.notes)])
    (given.output / "families.md").write_text(text + "\n", encoding="utf-8")
    (given.output / "families.json").write_text(json.dumps(comparison.to_dict(), indent=1) + "\n", encoding="utf-8")
    save_figure(comparison_figure(comparison), given.output / "families.png")
    print(f"\n{comparison}")
    for run in runs:
        if run.folder.path.name == "iwae":
            show_latents(run, given.output)


if __name__ == "__main__":
    main()
