"""Do adversarial networks find the phase by themselves?

A GAN and a bidirectional GAN learn records of Ising chains of many fields, mixed and without labels. Then a linear
read-out of the critic's last layer, or of the inferred latents, averaged over the records of one field, predicts
fields that were in no training. Beside them, what the frequencies of the outcomes alone would do. Run by hand:

    python benchmarks/phase.py --qubits 20 --output phase
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from qtomo import TFIM, BornDistribution, named_povm, train, write_records
from qtomo.distribution import Outcomes
from qtomo.evaluation.linear_probe import read_out
from qtomo.seeds import stream
from qtomo.training.config import read_settings

Features = Callable[[Outcomes], Any]


def frequencies(outcomes: Outcomes) -> Any:
    """One-hot outcomes, summed over sites: (n, 4)."""
    return (outcomes[..., None] == np.arange(4)).sum(axis=1)


def main() -> None:
    """Draw, train, read out, and write the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--qubits", type=int, default=20, help="number of qubits")
    parser.add_argument("--fields", type=int, default=21, help="learned from 0.5 to 1.5; those between are held out")
    parser.add_argument("--shots", type=int, default=2000, help="of each field")
    parser.add_argument("--epochs", type=int, default=30, help="of training")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each network")
    parser.add_argument("--output", type=Path, default=Path("phase"), help="folder")
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    learned = np.linspace(0.5, 1.5, given.fields)
    held_out = (learned[1:] + learned[:-1]) / 2
    povm = named_povm("pauli4")
    sets = {
        label: [
            BornDistribution(TFIM(given.qubits, field=float(h)).state(), povm).sample(
                given.shots, stream(7, label, index)
            )
            for index, h in enumerate(fields)
        ]
        for label, fields in (("learned", learned), ("held out", held_out))
    }
    mixed = np.concatenate(sets["learned"])
    mixed = mixed[stream(7, "mix").permutation(len(mixed))]
    records = write_records(given.output / "mixed.h5", [mixed], given.qubits, povm, overwrite=True)
    found: dict[str, dict[str, Any]] = {}

    def judge(name: str, features: Features) -> None:
        """R^2 from the mean over each field's records, and from single records."""
        x, new = ([features(one).astype(np.float64) for one in sets[label]] for label in sets)
        whole = read_out([f.mean(axis=0) for f in x], learned, [f.mean(axis=0) for f in new], held_out)
        few = 100
        single = read_out(
            np.concatenate([f[:few] for f in x]), learned.repeat(few),
            np.concatenate([f[:few] for f in new]), held_out.repeat(few),
        )  # fmt: skip
        found[name] = {"of a field": whole.to_dict(), "of one record": single.to_dict()}
        print(
            f"{name}: R² = {whole.r_squared.interval()} from {given.shots} records of a field, "
            f"{single.r_squared.interval()} from one record",
            flush=True,
        )

    judge("outcome frequencies", frequencies)
    for family in ("gan", "bigan"):
        for seed in range(given.seeds):
            settings = read_settings(family, None, [f"training.epochs={given.epochs}", f"training.seed={seed}"])
            model = train(records, given.output / f"{family}-{seed}", settings, overwrite=True).model
            function = model.features if family == "gan" else model.encode
            judge(f"{family} {seed}", lambda a, m=model, f=function: m.by_record(a, f))
    (given.output / "phase.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
