"""What do certificates of fidelity certify, and how often are they above the truth?

    python benchmarks/certificates.py chains --sets 100 --output chains.jsonl
    python benchmarks/certificates.py any-target --sets 12 --output any-target.jsonl
    python benchmarks/certificates.py coverage --sets 1200 --output coverage.jsonl

`chains`: transverse-field Ising chains of 50 qubits with depolarizing noise of 0.001 per qubit, from planned settings
and from random bases. `any-target`: an XXZ chain, a random matrix-product state of bond dimension 4 and a shallow
circuit, of 8 to 20 qubits, at a true fidelity of 0.97. `coverage`: 4 to 6 qubits, the target mixed with itself after a
Pauli error of one qubit. Data set number i has seed i; lines of JSON are appended, and read again where they are there.
"""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache

import numpy as np
from scipy import stats
from studies import Result, Studies, command, rate
from verification import LEVEL, brickwork

from qtomo.measurement.noise import parse_noise
from qtomo.measurement.povm import PAULIS, POVM, named_povm
from qtomo.measurement.settings import SettingList
from qtomo.observables.certificates.base import CertificateKind
from qtomo.observables.certificates.planned import by_occupation, by_overlap, by_parent
from qtomo.observables.fidelity.base import Aim, Asked
from qtomo.observables.ways import WAYS
from qtomo.records.records import Records
from qtomo.seeds import stream
from qtomo.states.born.distribution import BornDistribution
from qtomo.states.density import DensityMatrix
from qtomo.states.library import RandomMPS, System
from qtomo.states.mps import MPS
from qtomo.states.tfim import TFIM
from qtomo.states.xxz import XXZ

#: Field, shots, design.
CHAINS = (
    *((1.0, 500_000, "planned"), (1.3, 60_000, "planned")) * 4,
    (1.0, 200_000, "random"), (1.0, 1_000_000, "random"), (1.3, 200_000, "random"),
)  # fmt: skip
SETTINGS = {one.key: one.settings for one in WAYS}
PARENT, OVERLAP, OCCUPATION = (
    kind.value
    for kind in (
        CertificateKind.PARENT_HAMILTONIAN,
        CertificateKind.SHADOW_OVERLAP,
        CertificateKind.OCCUPATION_AND_PARITY,
    )
)

CERTIFY = {PARENT: by_parent, OVERLAP: by_overlap, OCCUPATION: by_occupation}

#: Target, qubits, way, shots.
ANY = (
    ("xxz", 8, PARENT, 100_000), ("xxz", 8, OVERLAP, 500_000), ("random", 8, OVERLAP, 200_000),
    ("random", 12, OVERLAP, 500_000), ("circuit", 8, PARENT, 100_000), ("circuit", 12, OVERLAP, 500_000),
    ("xxz", 20, PARENT, 1_000_000), ("circuit", 20, PARENT, 500_000), ("random", 20, OVERLAP, 1_000_000),
)  # fmt: skip
COVERED = (
    ("tfim", 6, OCCUPATION), ("xxz", 4, PARENT), ("circuit", 5, PARENT), ("random", 4, OVERLAP),
)  # fmt: skip


@lru_cache(maxsize=32)
def aim_of(name: str, n_sites: int, field: float = 1.0) -> Aim:
    """A target; Schmidt weight of 1e-9 a cut of a long chain is left out, which is 5e-8 of the fidelity."""
    if name == "circuit":
        return Aim(brickwork(n_sites, 7))
    system: System = (
        TFIM(n_sites, 1.0, field) if name == "tfim" else XXZ(n_sites) if name == "xxz" else RandomMPS(n_sites, 4, 1)
    )
    state = system.state()
    return Aim(state.truncate(weight=1e-9)[0] if n_sites > 30 else state, system)


@lru_cache(maxsize=64)
def settings_of(name: str, n_sites: int, field: float, way: str, shots: int) -> SettingList:
    """What is planned."""
    found = SETTINGS[way](aim_of(name, n_sites, field), shots, stream(0, "settings"))
    assert found is not None
    return found


@lru_cache(maxsize=32)
def kept_by_one_error(state: MPS) -> float:
    """Mean fidelity after a random Pauli of a random qubit."""
    kept = [abs(state.expectation({site: PAULIS[p]})) ** 2 for site in range(state.n_sites) for p in "XYZ"]
    return float(np.mean(kept))


def fidelity_of(state: MPS, strength: float) -> float:
    """Of depolarizing noise, none or one error; two leave less than their probability times what one leaves."""
    error, n = 0.75 * strength, state.n_sites
    return float((1 - error) ** n + n * error * (1 - error) ** (n - 1) * kept_by_one_error(state))


def noisy(strength: float, n_sites: int) -> POVM:
    """Random bases after depolarizing noise, which is of the state and no part of what the records say."""
    return parse_noise(named_povm("pauli6"), [f"depolarizing:{strength}"], n_sites)


def certified(way: str, aim: Aim, records: Records, fidelity: float) -> Result:
    """Bounds, and whether they are above."""
    found = {one.guarantee: one.value for one in CERTIFY[way](Asked(records, aim, LEVEL))}
    return {"values": found, "above": {name: bool(value > fidelity + 1e-9) for name, value in found.items()}}


def chains(index: int) -> Result:
    """A chain of 50 qubits."""
    field, shots, design = CHAINS[index % len(CHAINS)]
    aim, rng = aim_of("tfim", 50, field), stream(index, "chains")
    born = BornDistribution(aim.state, noisy(0.001, 50))
    if design == "planned":
        listed = settings_of("tfim", 50, field, OCCUPATION, shots)
        number = np.repeat(np.arange(len(listed.bases)), listed.shots)
        bits = born.sample_bits(listed.bases[number], rng)
        records = Records(bits, settings=listed.bases, setting_index=number, design="listed")
    else:
        settings = rng.integers(0, 3, (shots, 50), dtype=np.uint8)
        records = Records(born.sample_bits(settings, rng), settings=settings, design="random")
    fidelity = fidelity_of(aim.state, 0.001)
    found = certified(OCCUPATION, aim, records, fidelity)
    return {"field": field, "shots": shots, "design": design, "fidelity": fidelity, **found}


def any_target(index: int) -> Result:
    """A target of any kind at a fidelity of 0.97."""
    name, n, way, shots = ANY[index % len(ANY)]
    aim, rng = aim_of(name, n), stream(index, "any target")
    strength = 0.03 / 0.75 / n / (1 - kept_by_one_error(aim.state))
    listed = settings_of(name, n, 1.0, way, shots)
    number = np.repeat(np.arange(len(listed.bases)), listed.shots)
    bits = BornDistribution(aim.state, noisy(strength, n)).sample_bits(listed.bases[number], rng)
    records = Records(bits, settings=listed.bases, setting_index=number, design="listed")
    fidelity = fidelity_of(aim.state, strength)
    found = certified(way, aim, records, fidelity)
    plan = {"target": name, "N": n, "way": way, "shots": shots, "settings": len(listed.bases)}
    return {**plan, "fidelity": fidelity, **found}


def coverage(index: int) -> Result:
    """A few qubits: a target mixed with a neighbour of it, or after noise."""
    rng = stream(index, "coverage")
    name, n, way = COVERED[index % len(COVERED)]
    shots = (500, 5_000, 50_000)[index // len(COVERED) % 3]
    aim = aim_of(name, n)
    share = float(rng.choice([0.0, 0.03, 0.2]))
    psi = aim.state.to_statevector()
    site, letter = int(rng.integers(n)), str(rng.choice(list("XYZ")))
    turned = np.einsum("st,atb->asb", PAULIS[letter], psi.reshape(2**site, 2, -1)).reshape(-1)
    rho = (1 - share) * np.outer(psi, psi.conj()) + share * np.outer(turned, turned.conj())
    fidelity = 1 - share + share * abs(np.vdot(psi, turned)) ** 2
    listed = settings_of(name, n, 1.0, way, shots)
    number = np.repeat(np.arange(len(listed.bases)), listed.shots)
    bits = BornDistribution(DensityMatrix(rho), named_povm("pauli6")).sample_bits(listed.bases[number], rng)
    records = Records(bits, settings=listed.bases, setting_index=number, design="listed")
    found = certified(way, aim, records, fidelity)
    return {"target": name, "N": n, "way": way, "shots": shots, "share": share, "fidelity": fidelity, **found}


def report(found: list[Result], axes: tuple[str, ...]) -> None:
    """A line for each kind of data set and guarantee."""
    groups = defaultdict(list)
    for result in found:
        groups[tuple(result[axis] for axis in axes)].append(result)
    for place, results in sorted(groups.items(), key=str):
        print("  ", *(f"{axis} {value}" for axis, value in zip(axes, place, strict=True)))
        for guarantee in ("finite-sample", "asymptotic"):
            given = [r for r in results if guarantee in r["values"]]
            if given:
                values = np.array([r["values"][guarantee] for r in given])
                hits = sum(r["above"][guarantee] for r in given)
                allowed = int(stats.binom.ppf(0.995, len(given), 1 - LEVEL))
                truth = np.mean([r["fidelity"] for r in given])
                print(
                    f"    {guarantee:14} F {truth:.4f}; median {np.median(values):.4f}"
                    f", lowest {values.min():.4f}; 0.8 or more in {(values >= 0.8).sum()}, 0.9 or more in "
                    f"{rate(int((values >= 0.9).sum()), len(given))}; above the truth {hits}, at most {allowed}"
                )


STUDIES: Studies = {
    "chains": (chains, lambda found: report(found, ("field", "design", "shots"))),
    "any-target": (any_target, lambda found: report(found, ("target", "N", "way", "shots"))),
    "coverage": (coverage, lambda found: report(found, ("target", "N", "way", "shots"))),
}


if __name__ == "__main__":
    command(STUDIES)()
