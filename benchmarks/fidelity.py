"""Do model-free estimates of the fidelity cover, and are guaranteed bounds below the truth?

    python benchmarks/fidelity.py ghz --sets 300 --output ghz.jsonl
    python benchmarks/fidelity.py small --sets 1000 --output small.jsonl

Shots are drawn in NumPy, apart from qtomo's sampler. `ghz`: 20, 60 and 120 qubits under Pauli errors of each qubit, so
that the fidelity is 0.56, 20,000 shots of drawn settings. `small`: 2 to 5 qubits of several states after amplitude
damping of a qubit and white noise, 100 to 5,000 shots of each way, with and without readout error.
"""

from __future__ import annotations

import itertools
import math
import time

import numpy as np
from scipy import optimize
from studies import Result, by, command, rate

from qtomo import Records
from qtomo.measurement.povm import PAULIS, named_povm
from qtomo.measurement.readout import with_readout_error
from qtomo.observables.fidelity.base import Aim, Asked
from qtomo.observables.fidelity.registry import fidelities
from qtomo.observables.fidelity.stabilisers import drawn, union
from qtomo.observables.ways import WAYS
from qtomo.states.library import GHZ, Cluster, RandomMPS, W
from qtomo.statistics.estimate import Estimate

LEVEL = 0.95
_SHOTS = 20_000
_SMALL = {"ghz": GHZ, "cluster": Cluster, "w": W, "random": lambda n: RandomMPS(n, 2, 7)}


def ghz(index: int) -> Result:
    """One experiment with a long GHZ state."""
    started, rng = time.monotonic(), np.random.default_rng([1, index])
    n_sites = (20, 60, 120)[index % 3]
    system = GHZ(n_sites)

    def true(scale: float) -> float:
        x, y, z = scale * shares
        kept = (1 - x - y) ** n_sites
        return float(kept * (1 + (1 - 2 * z / (1 - x - y)) ** n_sites) / 2)

    shares = rng.dirichlet([1, 1, 2])
    scale = float(optimize.brentq(lambda s: true(s) - 0.56, 0.0, 0.4))
    settings = system.stabilisers().draw_settings(_SHOTS, rng)
    turned = (settings != 2).any(axis=1)
    errors = rng.choice(4, size=settings.shape, p=[1 - scale, *(scale * shares)])  # none, X, Y, Z
    bits = rng.integers(0, 2, settings.shape)
    bits[~turned] = bits[~turned, :1]
    wanted = ((settings == 1).sum(axis=1) // 2) % 2
    bits[turned, 0] ^= (bits[turned].sum(axis=1) + wanted[turned]) % 2
    flips = np.array([[0, 0, 1, 1], [0, 1, 0, 1], [0, 1, 1, 0]])  # of a basis by an error
    bits ^= flips[settings, errors]
    records = Records(bits.astype(np.uint8), "pauli6", design="listed", settings=settings)
    asked = Asked(records, Aim.of(system.state(), system), LEVEL, index)
    shots_of = drawn(asked)
    found = shots_of.estimate(LEVEL)
    return {
        "qubits": n_sites,
        "truth": true(scale),
        "value": found.value,
        "error": found.standard_error,
        "covers": _covers(found, true(scale)),
        "bound": shots_of.lower_limit(LEVEL, index),
        "seconds": time.monotonic() - started,
    }


def small(index: int) -> Result:
    """One experiment with a small state, by a way drawn at random."""
    started, rng = time.monotonic(), np.random.default_rng([2, index])
    name = str(rng.choice(list(_SMALL)))
    n_sites = int(rng.integers(2, 6))
    system = _SMALL[name](n_sites)
    aim = Aim.of(system.state(), system)
    shots = int(rng.choice([100, 300, 1000, 5000]))
    ways = [way for way in WAYS if way.settings(aim, shots, np.random.default_rng(0)) is not None]
    way = ways[rng.integers(len(ways))]
    listed = way.settings(aim, shots, rng)
    settings = np.repeat(listed.bases, listed.shots, axis=0)
    noise, damping = float(rng.choice([0.0, 0.01, 0.05, 0.2])), float(rng.choice([0.0, 0.1]))
    flips = (0.02, 0.05) if rng.random() < 0.5 else (0.0, 0.0)
    ket = system.state().to_statevector()
    rho = _noisy(np.outer(ket, ket.conj()), noise, damping, n_sites)
    truth = float((ket.conj() @ rho @ ket).real)
    bits = _measured(rho, settings, flips, rng)
    povm = with_readout_error(named_povm("pauli6"), *flips, n_sites) if any(flips) else named_povm("pauli6")
    asked = Asked(Records(bits, povm, design=way.design, settings=settings), aim, LEVEL, index)
    estimates = fidelities(asked)
    bounds = [one.lower_limit(LEVEL, index) for one in (drawn(asked), union(asked)) if one is not None]
    return {
        "target": name,
        "way": way.key,
        "qubits": n_sites,
        "shots": shots,
        "noise": noise,
        "readout": any(flips),
        "truth": truth,
        "covers": {one.kind.value: _covers(one.estimate, truth) for one in estimates},
        "first": bool(estimates) and _covers(estimates[0].estimate, truth),
        "any": bool(estimates),
        "bounds": bounds,
        "seconds": time.monotonic() - started,
    }


def _covers(found: Estimate, truth: float) -> bool:
    return bool(found.low - 1e-9 <= truth <= found.high + 1e-9)


def _noisy(rho: np.ndarray, noise: float, damping: float, n_sites: int) -> np.ndarray:
    kraus = (np.diag([1, math.sqrt(1 - damping)]), math.sqrt(damping) * np.array([[0, 1], [0, 0]]))
    rest = np.eye(2 ** (n_sites - 1))
    rho = sum(np.kron(k, rest) @ rho @ np.kron(k, rest).T for k in kraus)
    return (1 - noise) * rho + noise * np.eye(len(rho)) / len(rho)


def _measured(
    rho: np.ndarray, settings: np.ndarray, flips: tuple[float, float], rng: np.random.Generator
) -> np.ndarray:
    n_sites = settings.shape[1]
    outcomes = np.array(list(itertools.product((0, 1), repeat=n_sites)), np.uint8)
    bits = np.zeros(settings.shape, np.uint8)
    for setting in np.unique(settings, axis=0):
        turn = np.ones((1, 1))
        for basis in setting:
            turn = np.kron(turn, np.linalg.eigh(PAULIS["XYZ"[basis]])[1][:, ::-1].conj().T)
        chances = np.diag(turn @ rho @ turn.conj().T).real.clip(0)
        rows = (settings == setting).all(axis=1)
        bits[rows] = outcomes[rng.choice(len(outcomes), rows.sum(), p=chances / chances.sum())]
    wrong = rng.random(bits.shape) < np.where(bits == 0, *flips)
    return np.where(wrong, 1 - bits, bits).astype(np.uint8)


def report_ghz(found: list[Result]) -> None:
    """Coverage by length."""
    by(found, ["qubits"], lambda rows: (
        f"covers {rate(sum(r['covers'] for r in rows), len(rows))}, error {np.mean([r['error'] for r in rows]):.4f}, "
        f"F > 0.5 certified {rate(sum(r['bound'] > 0.5 for r in rows), len(rows))}, "
        f"above the truth {rate(sum(r['bound'] > r['truth'] for r in rows), len(rows))}"
    ))  # fmt: skip


def report_small(found: list[Result]) -> None:
    """Coverage by axis, and by estimate."""
    told = [r for r in found if r["any"]]
    print(f"  an estimate in {rate(len(told), len(found))}")
    axes = ["target", "way", "qubits", "shots", "noise", "readout"]
    by(told, axes, lambda rows: f"covers {rate(sum(r['first'] for r in rows), len(rows))}")
    for kind in sorted({kind for r in found for kind in r["covers"]}):
        mine = [r["covers"][kind] for r in found if kind in r["covers"]]
        print(f"  {f'estimate {kind}':32} covers {rate(sum(mine), len(mine))}")
    bounds = [(bound, r["truth"]) for r in found for bound in r["bounds"]]
    print(f"  {'bounds above the truth':32} {rate(sum(bound > truth for bound, truth in bounds), len(bounds))}")


if __name__ == "__main__":
    command({"ghz": (ghz, report_ghz), "small": (small, report_small)})()
