"""Do autoencoders encode, does z pay for itself, and do penalties act?

    nice python benchmarks/autoencoders.py presets-10 --sets 9 --workers 1 --output presets-10.jsonl
    nice python benchmarks/autoencoders.py presets-50 --sets 1 --workers 1 --output presets-50.jsonl
    nice python benchmarks/autoencoders.py penalties --sets 7 --workers 1 --output penalties.jsonl

Records of the critical Ising chain, and 5,000 held out, on which all is measured. `presets-10` and `presets-50`: each
preset at 10 and 50 qubits after 6 epochs of 100,000 records, beside the decoder of `vae` trained with z unused.
`penalties`: each penalty at 10 qubits after 4 epochs of 20,000 records, with an independent decoder and beta = 0.3, so
that z has much to tell and is free to (`wae`: 16 epochs, and the decoder of its preset); beside it the same settings
without the penalty, and the penalty's measure of draws of q(z|a). Number i is line i of a list below, with seed 0;
lines of JSON are appended, and read again where they are there.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from studies import Result, Studies, command
from torch import Tensor

from qtomo import Estimate, Run, simulate, train
from qtomo.evaluation.judging import Evidence
from qtomo.models.findings import FindingKind
from qtomo.models.vae.diagnosis import kl_decomposition, latent_report
from qtomo.models.vae.penalties import dhsic, mmd, permute_latents
from qtomo.models.vae.vae import VAE
from qtomo.states.born.distribution import BornDistribution
from qtomo.states.tfim import TFIM
from qtomo.statistics.estimate import sample_mean
from qtomo.training.config import read_settings

HELD_OUT = 5_000
BLOCKS = 10  # of the held-out records, for the error of measures that are not means over records

PRESETS = ("vae", "beta_vae", "hvae", "mmd_vae", "wae", "factor_vae", "iwae", "dhsic_vae", "beta_tcvae")
#: The decoder of `vae`, trained where z has no chance: the price of z is a hundred times its worth.
UNUSED = ("model.beta=100", "model.warmup=0", "model.free_bits=0")

#: A Wasserstein autoencoder takes longer to find a use of z.
WINDOWED = ("model.decoder=windowed", "training.epochs=16")
#: Preset, its changes, and what its penalty makes small.
PENALTIES = (
    ("beta_tcvae", ("model.beta=0.3",), "total correlation"),
    ("factor_vae", ("model.beta=0.3",), "total correlation"),
    ("mmd_vae", ("model.beta=0.3", "model.penalty_weight=30"), "MMD²"),
    ("wae", WINDOWED, "MMD²"),
    ("wae", (*WINDOWED, "model.penalty=adversarial_prior"), "MMD²"),
    ("dhsic_vae", ("model.beta=0.3", "model.penalty_weight=500"), "dHSIC"),
    ("dhsic_vae", ("model.beta=0.3", "model.penalty_weight=300"), "dHSIC"),
)

Scores = NDArray[np.float64]


@lru_cache(maxsize=1)
def records(n_sites: int, n_training: int) -> tuple[Path, Scores, NDArray[np.uint8]]:
    """A record file, and ln P and outcomes of the records that every run holds out."""
    folder = Path(tempfile.mkdtemp())
    path = simulate(TFIM(n_sites), n_training + HELD_OUT, folder / "tfim.h5", seed=7)
    settings = {"model": {"hidden_size": 1}, "training": {"validation_records": HELD_OUT, "epochs": 1}}
    evidence = Evidence.of(train(path, folder / "split", settings))
    assert evidence.target is not None
    born = BornDistribution(evidence.target.state(), evidence.povm)
    return Path(path), born.log_prob(evidence.held_out), evidence.held_out


@lru_cache(maxsize=3)
def trained(
    n_sites: int, n_training: int, epochs: int, preset: str, changes: tuple[str, ...]
) -> tuple[VAE, Scores, float]:
    """A model, its bound on each held-out record, and the seconds of its training."""
    path, _, held_out = records(n_sites, n_training)
    fixed = (f"training.epochs={epochs}", f"training.validation_records={HELD_OUT}")
    with tempfile.TemporaryDirectory() as folder:
        run: Run = train(path, Path(folder) / "run", read_settings(preset, None, [*fixed, *changes]))
        model, seconds = run.model, run.progress.seconds
    assert isinstance(model, VAE)
    return model, model.log_prob(held_out), seconds


def pair(estimate: Estimate) -> tuple[float, float]:
    """Value and standard error."""
    return estimate.value, estimate.standard_error


def blocks(model: VAE, held_out: NDArray[np.uint8], measure: Callable[[Tensor, Tensor], Tensor]) -> Estimate:
    """A measure of draws of q(z|a) and of the prior, a mean over blocks of the records."""
    z = torch.from_numpy(model.by_record(held_out, lambda rows: model.posterior(model.encode(rows), 1)[0][0]))
    torch.manual_seed(0)
    prior = model.posterior.sample_prior(z)
    found = [measure(*both).item() for both in zip(z.chunk(BLOCKS), prior.chunk(BLOCKS), strict=True)]
    return sample_mean(found, method=f"mean over {BLOCKS} blocks, Student interval")


def _dhsic(z: Tensor, _: Tensor) -> Tensor:
    """dHSIC less that of the same draws with each latent shuffled, which is its bias."""
    return dhsic(z) - dhsic(permute_latents(z))


def measured(model: VAE, held_out: NDArray[np.uint8], what: str) -> Estimate:
    """What a penalty makes small, on records that no training saw."""
    if what == "total correlation":
        return kl_decomposition(model, held_out)[FindingKind.TOTAL_CORRELATION]
    return blocks(model, held_out, _dhsic if what == "dHSIC" else mmd)


def preset_study(n_sites: int, epochs: int, index: int) -> Result:
    """A preset: bound on KL, latents in use, and what z gains over the decoder that was trained without it."""
    started = time.monotonic()
    name = PRESETS[index % len(PRESETS)]
    _, exact, held_out = records(n_sites, 100_000)
    _, unused, _ = trained(n_sites, 100_000, epochs, "vae", UNUSED)
    model, bound, seconds = trained(n_sites, 100_000, epochs, name, ())
    findings = {finding.kind: finding for finding in model.diagnose(held_out)}
    return {
        "preset": name,
        "kl": pair(sample_mean(exact - bound)),
        "kl_unused": pair(sample_mean(exact - unused)),
        "gain": pair(sample_mean(bound - unused)),
        "in_use": str(findings[FindingKind.LATENTS_IN_USE]),
        "posterior_kl": pair(findings[FindingKind.POSTERIOR_KL].estimate),
        "training_seconds": seconds,
        "seconds": time.monotonic() - started,
    }


def penalty_study(index: int) -> Result:
    """A penalty's measure and the bound, with it and without it."""
    started = time.monotonic()
    name, changes, what = PENALTIES[index % len(PENALTIES)]
    _, exact, held_out = records(10, 20_000)
    found: Result = {"preset": name, "changes": list(changes), "measure": what}
    bounds, fixed = [], ("model.decoder=independent", "training.batch_size=200")
    for which, extra in (("with", ()), ("without", ("model.penalty_weight=0",))):
        model, bound, _ = trained(10, 20_000, 4, name, (*fixed, *changes, *extra))
        bounds.append(bound)
        report = latent_report(model, held_out)
        in_use = f"{len(report.in_use)} of {len(report.variances)}"
        found |= {which: pair(measured(model, held_out, what)), f"in_use_{which}": in_use}
        found[f"kl_{which}"] = pair(sample_mean(exact - bound))
    return {**found, "cost": pair(sample_mean(bounds[1] - bounds[0])), "seconds": time.monotonic() - started}


def shown(value: tuple[float, float], digits: int = 4) -> str:
    """Value ± standard error."""
    return f"{value[0]:.{digits}f} ± {value[1]:.{digits}f}"


def print_presets(found: list[Result]) -> None:
    """The table of presets."""
    print("| preset | KL(target‖model) ≤ | z unused ≤ | gain of z | latents in use | KL(q‖p) | time |\n|" + "---|" * 7)
    for one in found:
        cells = [one["preset"], *(shown(one[key]) for key in ("kl", "kl_unused", "gain")), one["in_use"]]
        print("| " + " | ".join([*cells, shown(one["posterior_kl"], 3), f"{one['training_seconds']:.0f} s"]) + " |")


def print_penalties(found: list[Result]) -> None:
    """The table of penalties."""
    print(
        "| preset | measure | with | without | cost (nats per record) | latents in use, with and without |\n|"
        + "---|" * 6
    )
    for one in found:
        name = ", ".join([one["preset"], *one["changes"]])
        cells = [name, one["measure"], *(shown(one[key], 5) for key in ("with", "without")), shown(one["cost"])]
        print("| " + " | ".join([*cells, f"{one['in_use_with']}, {one['in_use_without']}"]) + " |")


STUDIES: Studies = {
    "presets-10": (partial(preset_study, 10, 6), print_presets),
    "presets-50": (partial(preset_study, 50, 6), print_presets),
    "penalties": (penalty_study, print_penalties),
}

if __name__ == "__main__":
    command(STUDIES)()
