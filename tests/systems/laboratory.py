"""Records of a density matrix drawn in plain NumPy, in every design that records can have."""

import functools

import numpy as np

from qtomo import Records
from qtomo.measurement.povm import named_povm
from qtomo.verification.context import Context
from qtomo.verification.hypothesis import Hypothesis
from tests.systems import dense

LISTED = np.array([[2, 2, 2], [0, 0, 0], [1, 1, 1], [0, 1, 2], [2, 0, 1], [1, 2, 0], [1, 0, 2], [2, 1, 1]], np.uint8)
#: Shares of the settings of the list, which no two have alike.
SHARES = np.array([8, 7, 6, 5, 4, 3, 2, 1]) / 36
DESIGNS = ("listed", "random", "pauli4", "sic")


def bits_of(rho, settings, rng, flips=(0.0, 0.0)):
    """A bit of each qubit in each shot's own basis, (n, N); read wrongly with probabilities of 0 -> 1 and 1 -> 0."""
    n = settings.shape[1]
    bits = np.zeros(settings.shape, np.uint8)
    outcomes = dense.all_records(n, 2)
    for setting in np.unique(settings, axis=0):
        elements = [np.array([dense.projector(ket) for ket in dense.BASES[basis]]) for basis in setting]
        chances = dense.chances(rho, elements).clip(0)
        rows = (settings == setting).all(axis=1)
        bits[rows] = outcomes[rng.choice(len(outcomes), rows.sum(), p=chances / chances.sum())]
    wrong = rng.random(bits.shape) < np.where(bits == 0, *flips)
    return np.where(wrong, 1 - bits, bits).astype(np.uint8)


def draw(rho, design, n, seed, loss=0.0):
    """Records of a state of three qubits."""
    rng = np.random.default_rng(seed)
    settings = None
    if design in ("listed", "random"):
        settings = rng.integers(0, 3, (n, 3)).astype(np.uint8)
        if design == "listed":
            settings = LISTED[rng.choice(len(LISTED), n, p=SHARES)]
        outcomes = bits_of(rho, settings, rng)
    else:
        elements = dense.POVMS[design]()
        chances = dense.chances(rho, elements).clip(0)
        outcomes = dense.all_records(3, 4)[rng.choice(64, n, p=chances / chances.sum())]
    outcomes[rng.random(outcomes.shape) < loss] = dense.LOST
    povm = "pauli6" if settings is not None else design
    return Records(outcomes, povm, design=design if settings is not None else "povm", settings=settings)


@functools.cache
def hypothesis(system, povm):
    """A system measured by a POVM of some name."""
    return Hypothesis.of(system.state(), named_povm(povm), system)


def against(records, system):
    """Records under a system as their own POVM would measure it."""
    return Context(records, hypothesis(system, records.povm.name))
