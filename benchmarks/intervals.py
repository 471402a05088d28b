"""How often do the intervals of `qtomo reconstruct` hold the truth?

    python benchmarks/intervals.py mle --sets 3000 --output mle.jsonl
    python benchmarks/intervals.py all --sets 300 --output all.jsonl

Data set number i is drawn by seed i from a grid of qubits (1 to 3), pure states (GHZ, random) with white noise (none to
30 %), shots (300 to 5,000) and designs (random bases, all settings alike); the target is the pure state. `mle` asks
maximum likelihood for fidelity and purity, `pls` projected least squares, `all` maximum likelihood for entropy and
negativity too. Started again with the same output a study goes on where it stopped; files of several runs are merged by
`cat`. Rates have Clopper-Pearson intervals. Work is split over processes, one thread each.
"""

from __future__ import annotations

import functools
import itertools
import time

import numpy as np
from studies import Result, Studies, by, command, rate

from qtomo.measurement.povm import named_povm
from qtomo.reconstruction.dense import reconstruct_dense
from qtomo.reconstruction.methods import METHODS, LinearInversion, MaximumLikelihood, ProjectedLeastSquares
from qtomo.reconstruction.options import Options
from qtomo.reconstruction.quantities import QuantityKind, dense_quantities
from qtomo.records.file.schema import Target
from qtomo.records.records import Records
from qtomo.seeds import stream
from qtomo.states.born.distribution import BornDistribution
from qtomo.states.density import DensityMatrix
from qtomo.states.library import GHZ
from qtomo.states.mps import MPS

QUBITS = (1, 2, 3)
NOISE = (0.0, 0.01, 0.02, 0.05, 0.3)
SHOTS = (300, 1000, 5000)
DESIGNS = ("random", "listed")
STATES = ("ghz", "random")

RESAMPLES = 20
_TWO = frozenset({QuantityKind.FIDELITY, QuantityKind.PURITY})
_SLACK = 1e-9


def coverage(index: int, *, method: str, kinds: frozenset[QuantityKind] | None) -> Result:
    """Records of one state of the grid: which intervals hold its numbers?"""
    rng = stream(index, "intervals")
    n_sites, n = int(rng.choice(QUBITS)), int(rng.choice(SHOTS))
    noise, design, name = float(rng.choice(NOISE)), str(rng.choice(DESIGNS)), str(rng.choice(STATES))
    pure = _pure(name, n_sites, rng)
    ket = pure.to_statevector()
    state = DensityMatrix((1 - noise) * np.outer(ket, ket.conj()) + noise * np.eye(2**n_sites) / 2**n_sites)
    records = _measured(state, design, n, rng)
    chosen = METHODS[method]()
    assert isinstance(chosen, LinearInversion | MaximumLikelihood | ProjectedLeastSquares)
    started = time.process_time()
    options = Options(Target.of(pure), resamples=RESAMPLES, seed=index, observables=(), kinds=kinds)
    numbers = reconstruct_dense(records, chosen, options).numbers
    found: Result = {"N": n_sites, "n": n, "noise": noise, "design": design, "state": name}
    found["seconds"] = time.process_time() - started
    truth = {quantity.name: value for quantity, value in dense_quantities(state.matrix, pure).items()}
    for quantity, estimate in numbers.items():
        true = truth[quantity.removesuffix(", direct")]
        found[quantity] = {
            "true": true,
            "value": estimate.value,
            "low": estimate.low,
            "high": estimate.high,
            "covered": bool(estimate.low - _SLACK <= true <= estimate.high + _SLACK),
        }
    return found


def _pure(name: str, n_sites: int, rng: np.random.Generator) -> MPS:
    if name == "ghz":
        return GHZ(n_sites).state()
    ket = rng.normal(size=2**n_sites) + 1j * rng.normal(size=2**n_sites)
    return MPS.from_statevector(ket / np.linalg.norm(ket))


def _measured(state: DensityMatrix, design: str, n: int, rng: np.random.Generator) -> Records:
    if design == "random":
        settings = rng.integers(0, 3, (n, state.n_sites), dtype=np.uint8)
    else:
        every = np.array(list(itertools.product(range(3), repeat=state.n_sites)), dtype=np.uint8)
        settings = np.sort(np.resize(np.arange(len(every)), n))
        settings = every[settings]
    povm = named_povm("pauli6")
    bits = BornDistribution(state, povm).sample_bits(settings, rng)
    return Records(bits, povm, settings=settings, design=design)


def report(found: list[Result]) -> None:
    """Coverage and mean width along each axis."""
    names = list(dict.fromkeys(key for r in found for key, value in r.items() if isinstance(value, dict)))
    none = sum(not any(name in r for name in names) for r in found)
    print(f"{none} of {len(found)} data sets do not determine the state and have no numbers")
    for name in names:

        def line(results: list[Result], name: str = name) -> str:
            given = [r[name] for r in results]
            below = sum(r["high"] + _SLACK < r["true"] for r in given)
            above = sum(r["low"] - _SLACK > r["true"] for r in given)
            width = np.mean([r["high"] - r["low"] for r in given])
            held = rate(len(given) - below - above, len(given))
            return f"{held}; below the truth {below}, above {above}; mean width {width:.4f}"

        print(name)
        by([r for r in found if name in r], ("N", "noise", "n", "design", "state"), line)


STUDIES: Studies = {
    "mle": (functools.partial(coverage, method="mle", kinds=_TWO), report),
    "pls": (functools.partial(coverage, method="pls", kinds=_TWO), report),
    "all": (functools.partial(coverage, method="mle", kinds=None), report),
}


if __name__ == "__main__":
    command(STUDIES)()
