"""How well does each family learn the same records in the same time?

Every preset is trained in turn on the same records of the critical Ising chain, with as many epochs as fit
into the time by the length of one, and judged in one table by `qtomo compare`. Run by hand:

    python benchmarks/families.py --qubits 10 --minutes 5 --output families-10
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from qtomo import TFIM, Run, compare, simulate, train
from qtomo.analysis.table import Table
from qtomo.models import FAMILIES
from qtomo.report.figures import comparison_figure
from qtomo.training import PRESETS, read_settings

VALIDATION = 5_000


def epochs_in(seconds: float, records: Path, folder: Path, settings: dict[str, dict[str, object]]) -> int:
    """Epochs that fit into the time, at least one, from how long one takes with its validation."""
    one = {**settings, "training": {**settings["training"], "epochs": 1}}
    return max(1, round(seconds / train(records, folder, one, overwrite=True).progress.seconds))


def trained(preset: str, seconds: float, records: Path, folder: Path) -> Run:
    """A run of a preset that takes about the time."""
    settings = read_settings(preset, None, [f"training.validation_records={VALIDATION}"])
    settings["training"]["epochs"] = epochs_in(seconds, records, folder, settings)
    print(f"{preset}: {settings['training']['epochs']} epochs", flush=True)
    return train(records, folder, settings, overwrite=True)


def markdown(table: Table) -> str:
    """The table for a document."""
    rows = [table.headings, ["---"] * len(table.headings), *table.rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)


def main() -> None:
    """Parse, train, compare, and write the table as Markdown and JSON and a figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--qubits", type=int, default=10, help="number of qubits")
    parser.add_argument("--records", type=int, default=100_000, help="training records")
    parser.add_argument("--minutes", type=float, default=5.0, help="of training a family")
    parser.add_argument("--samples", type=int, default=20_000, help="fresh records to judge by")
    parser.add_argument("--presets", nargs="+", choices=PRESETS, default=[p for p in PRESETS if p in FAMILIES])
    parser.add_argument("--output", type=Path, default=Path("families"), help="folder")
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    records = given.output / "tfim.h5"
    simulate(TFIM(given.qubits), given.records + VALIDATION, records, seed=7, overwrite=True)
    runs = [trained(preset, 60 * given.minutes, records, given.output / preset) for preset in given.presets]
    comparison = compare(runs, n_samples=given.samples, allow_estimates=True, say=print)
    text = "\n".join([markdown(comparison.table()), "", *(f"- {note}" for note in comparison.notes)])
    (given.output / "families.md").write_text(text + "\n", encoding="utf-8")
    (given.output / "families.json").write_text(json.dumps(comparison.to_dict(), indent=1) + "\n", encoding="utf-8")
    comparison_figure(comparison, given.output / "families.png")
    print(f"\n{comparison}")


if __name__ == "__main__":
    main()
