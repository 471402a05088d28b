"""Both walkers draw what the density matrix says, at a false-alarm rate of 1e-7 each."""

import numpy as np
import pytest
import torch
from scipy import stats

from qtomo.measurement.bases import as_random_bases
from qtomo.states.born.sampling import BasisWalker, ElementWalker
from qtomo.states.mps import MPS
from tests.systems import dense

CPU = torch.device("cpu")
N = 20_000


def random_ket(real):
    rng = np.random.default_rng(4)
    ket = rng.normal(size=8) + (0 if real else 1j * rng.normal(size=8))
    return ket / np.linalg.norm(ket)


def p_value(records, chances, k):
    index = np.ravel_multi_index(records.T, (k,) * records.shape[1])
    return stats.chisquare(np.bincount(index, minlength=len(chances)), len(records) * chances).pvalue


@pytest.mark.parametrize("real", [True, False], ids=["real", "complex"])
@pytest.mark.parametrize("povm", dense.POVMS)
def test_elements_are_drawn_as_often_as_they_should_be(povm, real):
    ket, elements = random_ket(real), dense.POVMS[povm]()
    tensors = MPS.from_statevector(ket).tensors
    drawn = ElementWalker(tensors, np.stack([elements] * 3), CPU).sample(N, np.random.default_rng(1))
    assert p_value(drawn, dense.chances(dense.projector(ket), elements), len(elements)) > 1e-7


@pytest.mark.parametrize("real", [True, False], ids=["real", "complex"])
@pytest.mark.parametrize("flips", [(0.0, 0.0), (0.1, 0.3)], ids=["read right", "misread"])
def test_bases_are_drawn_as_often_as_they_should_be(flips, real):
    ket, elements = random_ket(real), dense.misread("pauli4", *flips)
    walker = BasisWalker(MPS.from_statevector(ket).tensors, [as_random_bases(elements)] * 3, CPU)
    drawn = walker.sample(N, np.random.default_rng(2))
    assert p_value(drawn, dense.chances(dense.projector(ket), elements), 4) > 1e-7


def test_bases_that_are_given_are_those_measured():
    """Of Pauli-6, whose outcome is 2 * basis + bit."""
    ket, elements = random_ket(real=False), dense.pauli6()
    measurement = as_random_bases(elements)
    order = [int(measurement.labels[basis].argmax(axis=1)[0]) // 2 for basis in range(3)]
    walker = BasisWalker(MPS.from_statevector(ket).tensors, [measurement] * 3, CPU)
    given = np.tile(np.array([0, 2, 1], np.uint8), (N, 1))
    drawn = walker.sample(N, np.random.default_rng(3), given)
    bases = [order[basis] for basis in (0, 2, 1)]
    assert (drawn // 2 == bases).all()
    by_site = [3 * elements[2 * basis : 2 * basis + 2] for basis in bases]
    assert p_value(drawn % 2, dense.chances(dense.projector(ket), by_site), 2) > 1e-7


def test_what_is_impossible_is_never_drawn_and_a_seed_is_a_sample():
    walker = ElementWalker(MPS.from_statevector(np.eye(8)[0]).tensors, np.stack([dense.pauli6()] * 3), CPU)
    drawn = walker.sample(N, np.random.default_rng(5))
    assert not (drawn == 5).any()  # |1>
    assert (drawn == walker.sample(N, np.random.default_rng(5))).all()


def test_a_long_chain_keeps_its_digits():
    """All 300 qubits of a GHZ state agree, though the norm of what is carried falls by a half at each."""
    n = 300
    bulk = np.zeros((2, 2, 2))
    bulk[0, 0, 0] = bulk[1, 1, 1] = 1
    tensors = [bulk[:1] + bulk[1:]] + [bulk] * (n - 2) + [bulk.sum(axis=2, keepdims=True)]
    tensors[0] = tensors[0] / 2**0.5
    elements = np.stack([np.array([np.diag([0.75, 0]), np.diag([0.25, 0]), np.diag([0, 1.0])], complex)] * n)
    drawn = ElementWalker(tensors, elements, CPU).sample(500, np.random.default_rng(6))
    ones = drawn == 2
    assert (ones.all(axis=1) | ~ones.any(axis=1)).all()
    assert 1e-7 < stats.binom.cdf(ones[:, 0].sum(), 500, 0.5) < 1 - 1e-7
