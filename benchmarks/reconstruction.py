"""From records to the state: is it right, how fast, and do its intervals hold what they say?

    python benchmarks/reconstruction.py --part small
    python benchmarks/reconstruction.py --part coverage-noisy --sets 300
    python benchmarks/reconstruction.py --part scaling --sets 100

`small`: N = 2 to 6, a GHZ state with noise in Pauli-4, against an inversion written with QuTiP and NumPy.
`coverage-...`: N = 3, the share of data sets whose 95 % interval holds the truth, with Clopper-Pearson intervals; pure
targets (noisy, noisy4, pure) and mixed ones (rank2, rank8, near).
`scaling`: mean infidelity of random mixed states against the number of records, with the exponent.
One thread: set OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

import click
import numpy as np
import qutip
from numpy.typing import NDArray
from scipy import stats

from qtomo.measurement.povm import named_povm
from qtomo.reconstruction.dense import reconstruct_frequencies
from qtomo.reconstruction.frequencies import Frequencies
from qtomo.reconstruction.maximum_likelihood import maximum_likelihood
from qtomo.reconstruction.methods import MaximumLikelihood
from qtomo.reconstruction.options import Options
from qtomo.reconstruction.quantities import dense_quantities
from qtomo.records.file.schema import Target
from qtomo.seeds import stream
from qtomo.states.density import DensityMatrix
from qtomo.states.library import GHZ
from qtomo.states.lpdo import LPDO
from qtomo.states.quantities import fidelity, nearest_state
from qtomo.table import Table

Matrix = NDArray[np.complex128]


def noisy_ghz(n_sites: int, noise: float) -> DensityMatrix:
    """A GHZ state with a share of the maximally mixed one."""
    ghz = GHZ(n_sites).state().to_qutip().proj().full()
    return DensityMatrix((1 - noise) * ghz + noise * np.eye(2**n_sites) / 2**n_sites)


def random_state(n_sites: int, rank: int, seed: int) -> DensityMatrix:
    """A random density matrix of some rank, of the Hilbert-Schmidt measure where that is full."""
    rng = stream(seed, "random mixed state")
    root = rng.normal(size=(2**n_sites, rank)) + 1j * rng.normal(size=(2**n_sites, rank))
    rho = root @ root.conj().T
    return DensityMatrix(rho / np.trace(rho).real)


def drawn(state: DensityMatrix, povm: str, n: int, seed: int) -> Frequencies:
    """Frequencies of simulated records, straight from the probabilities of all outcome strings."""
    measurement = named_povm(povm)
    empty = Frequencies(np.zeros((measurement.n_outcomes,) * state.n_sites), measurement, n)
    chances = empty.probabilities(state.matrix).clip(0)
    counts = stream(seed, "benchmark records").multinomial(n, (chances / chances.sum()).ravel())
    return Frequencies(counts.reshape(chances.shape).astype(float), measurement, n)


def qutip_inversion(frequencies: Frequencies) -> Matrix:
    """What one writes in an afternoon: products of elements as QuTiP operators, least squares, clipped eigenvalues."""
    elements = [qutip.Qobj(element) for element in frequencies.povm.elements]
    products = [[element] for element in elements]
    for _ in range(frequencies.n_sites - 1):
        products = [[*product, element] for product in products for element in elements]
    design = np.stack([qutip.tensor(product).full().T.ravel() for product in products])
    rho = np.linalg.lstsq(design, frequencies.counts.ravel() / frequencies.n_records, rcond=None)[0]
    rho = rho.reshape(2**frequencies.n_sites, -1)
    values, vectors = np.linalg.eigh((rho + rho.conj().T) / 2)
    values = values.clip(0) / values.clip(0).sum()
    return np.asarray((vectors * values) @ vectors.conj().T)


def projected(frequencies: Frequencies) -> Matrix:
    """Projected least squares."""
    return nearest_state(frequencies.linear_inversion())


def likeliest(frequencies: Frequencies) -> Matrix:
    """Maximum likelihood."""
    return maximum_likelihood(frequencies).matrix


FITS: dict[str, Callable[[Frequencies], Matrix]] = {
    "QuTiP inversion, clipped": qutip_inversion,
    "qtomo pls": projected,
    "qtomo mle": likeliest,
}


def small(sets: int, seed: int) -> None:
    """Time and infidelity at N = 2 to 6, 100,000 records."""
    rows = []
    for n_sites in range(2, 7):
        state = noisy_ghz(n_sites, 0.1)
        frequencies = [drawn(state, "pauli4", 100_000, seed + index) for index in range(sets)]
        found = {}
        for name, fit in FITS.items():
            seconds, off = [], []
            for data in frequencies[: sets if n_sites < 6 else 1]:
                started = time.perf_counter()
                rho = fit(data)
                seconds.append(time.perf_counter() - started)
                off.append(1 - fidelity(rho, state))
            found[name] = float(np.median(seconds)), float(np.mean(off)), float(np.std(off) / np.sqrt(len(off)))
        plain = found["QuTiP inversion, clipped"]
        for name, (spent, mean, error) in found.items():
            ratios = f"{plain[0] / spent:.3g}", f"{plain[1] / mean:.3g}"
            rows.append(
                [
                    f"{n_sites}, {name}",
                    f"{spent * 1000:.3g} ms",
                    f"{mean:.5f}" + (f" ± {error:.5f}" if error else ""),
                    *ratios,
                ]
            )
    title = f"Noisy GHZ (10 % white noise), Pauli-4, 100,000 records, {sets} data sets (1 at N = 6)"
    click.echo(str(Table(title, ["N, fit", "time", "infidelity", "faster by", "infidelity less by"], rows)))


CASES = {  # what it is, state, measurement, records, target
    "noisy": ("GHZ, 10 % noise, Pauli-6; target GHZ", noisy_ghz(3, 0.1), "pauli6", 5_000, GHZ(3)),
    "noisy4": ("GHZ, 10 % noise, Pauli-4; target GHZ", noisy_ghz(3, 0.1), "pauli4", 5_000, GHZ(3)),
    "pure": ("GHZ, Pauli-6; target GHZ", noisy_ghz(3, 0.0), "pauli6", 5_000, GHZ(3)),
    "rank2": ("random, rank 2, Pauli-6; target itself", random_state(3, 2, 1), "pauli6", 5_000, random_state(3, 2, 1)),
    "rank8": ("random, rank 8, Pauli-6; target itself", random_state(3, 8, 1), "pauli6", 5_000, random_state(3, 8, 1)),
    "near": ("GHZ, 10 % noise, Pauli-6; target 5 %", noisy_ghz(3, 0.1), "pauli6", 5_000, noisy_ghz(3, 0.05)),
}


def coverage(name: str, sets: int, seed: int) -> None:
    """Share of data sets whose 95 % interval holds the truth."""
    case, state, povm, n, meant = CASES[name]
    target = Target.of(meant)
    expected = target.state()
    assert not isinstance(expected, LPDO)
    truth = {quantity.name: value for quantity, value in dense_quantities(state.matrix, expected).items()}
    hits: dict[str, list[bool]] = {}
    values: dict[str, list[float]] = {}
    for index in range(sets):
        frequencies = drawn(state, povm, n, seed + index)
        found = reconstruct_frequencies(frequencies, MaximumLikelihood(), Options(target, seed=index))
        for quantity, estimate in found.numbers.items():
            wanted = truth[quantity.removesuffix(", direct")]
            hits.setdefault(quantity, []).append(estimate.low - 1e-9 <= wanted <= estimate.high + 1e-9)
            values.setdefault(quantity, []).append(estimate.value)
    rows = []
    for quantity, held in hits.items():
        share = stats.binomtest(sum(held), sets).proportion_ci(0.95, method="exact")
        mean = f"{np.mean(values[quantity]):.4f} ± {np.std(values[quantity]) / np.sqrt(sets):.4f}"
        covered = f"{sum(held)}/{sets} = {sum(held) / sets:.3f} [{share.low:.3f}, {share.high:.3f}]"
        rows.append([quantity, f"{truth[quantity.removesuffix(', direct')]:.4f}", mean, covered])
    click.echo(str(Table(f"{case}; {n:,} records", ["quantity", "truth", "mean fit", "covered"], rows)))


def scaling(sets: int, seed: int) -> None:
    """Mean infidelity of random mixed states against records, and the exponent of a power law through three of them."""
    records = [1_000, 10_000, 100_000, 1_000_000, 10_000_000]
    rows = []
    for n_sites, noise in ((1, 0.0), (2, 0.0), (3, 0.0), (1, 0.2), (2, 0.2), (3, 0.2)):
        states = [random_state(n_sites, 2**n_sites, seed + index) for index in range(sets)]
        white = np.eye(2**n_sites) / 2**n_sites
        states = [DensityMatrix((1 - noise) * state.matrix + noise * white) for state in states]
        off = np.array(
            [
                [1 - fidelity(likeliest(drawn(state, "pauli6", n, seed + index)), state) for n in records]
                for index, state in enumerate(states)
            ]
        )
        rng = stream(seed, "scaling bootstrap")
        axis = np.log(records[-3:])
        slopes = [
            float(np.polyfit(axis, np.log(off[rng.integers(0, sets, sets), -3:].mean(axis=0)), 1)[0])
            for _ in range(500)
        ]
        slope = float(np.polyfit(axis, np.log(off[:, -3:].mean(axis=0)), 1)[0])
        errors = off.std(axis=0) / np.sqrt(sets)
        cells = [f"{mean:.2e} ± {error:.0e}" for mean, error in zip(off.mean(axis=0), errors, strict=True)]
        rows.append([f"{n_sites}, {noise:.0%} white noise", *cells, f"{slope:.3f} ± {np.std(slopes):.3f}"])
    title = f"Mean infidelity of maximum likelihood, {sets} random full-rank states, Pauli-6"
    click.echo(
        str(Table(title, ["N, states", *(f"{n:,} records" for n in records), "exponent of the last three"], rows))
    )


#: Parts by name: called with the number of data sets and the seed.
PARTS: dict[str, Callable[[int, int], Any]] = {
    "small": small,
    **{f"coverage-{name}": functools.partial(coverage, name) for name in CASES},
    "scaling": scaling,
}


@click.command()
@click.option("--part", type=click.Choice(list(PARTS)), required=True)
@click.option("--sets", default=20, show_default=True, help="Data sets.")
@click.option("--seed", default=0, show_default=True)
def main(part: str, sets: int, seed: int) -> None:
    """Run one part and print its table."""
    started = time.monotonic()
    PARTS[part](sets, seed)
    click.echo(f"({time.monotonic() - started:.0f} s)")


if __name__ == "__main__":
    main()
