"""ln P of each record against traces with the density matrix, and over chains too long for one."""

import numpy as np
import pytest
import torch

from qtomo.states.born.scoring import Scorer, rescaled
from qtomo.states.mps import MPS
from tests.systems import dense

CPU = torch.device("cpu")


def random_ket(n, real):
    rng = np.random.default_rng(n)
    ket = rng.normal(size=2**n) + (0 if real else 1j * rng.normal(size=2**n))
    return ket / np.linalg.norm(ket)


@pytest.mark.parametrize("real", [True, False], ids=["real", "complex"])
@pytest.mark.parametrize("povm", dense.POVMS)
def test_scores_are_those_of_the_density_matrix(povm, real):
    """Lost outcomes too; the elements differ from site to site."""
    ket, elements = random_ket(3, real), dense.POVMS[povm]()
    k, by_site = len(elements), [np.roll(elements, site, axis=0) for site in range(3)]
    expected = dense.log(dense.chances(dense.projector(ket), [dense.with_lost(one) for one in by_site]))
    tensors, rows = MPS.from_statevector(ket).tensors, dense.all_records(3, k, lost=True)
    assert Scorer(tensors, np.stack(by_site).astype(complex), CPU).log_prob(rows) == pytest.approx(expected, abs=1e-9)
    single = Scorer(tensors, np.stack(by_site).astype(complex), CPU, single=True).log_prob(rows)
    there = np.isfinite(expected)
    assert (np.isneginf(single) == ~there).all()
    assert np.average(np.abs(single[there] - expected[there]), weights=np.exp(expected[there])) < 1e-5


def test_a_product_state_is_scored_site_by_site():
    kets = [np.array([np.cos(a), np.exp(1j * a) * np.sin(a)]) for a in (0.0, 0.4, 1.1)]
    elements = np.stack([dense.pauli6()] * 3).astype(complex)
    scorer = Scorer(MPS.product(kets).tensors, elements, CPU)
    assert scorer.bond_dim == 1
    rows = dense.all_records(3, 6, lost=True)
    rho = dense.kron(*map(dense.projector, kets))
    expected = dense.log(dense.chances(rho, dense.with_lost(dense.pauli6())))
    assert np.isneginf(expected).any()
    assert scorer.log_prob(rows) == pytest.approx(expected, abs=1e-12)


def test_a_long_chain_does_not_run_out_of_digits():
    """GHZ in Pauli-6: P(|0> in basis Z at each site) = 3**-n / 2, far below the smallest float."""
    n = 800
    bulk = np.zeros((2, 2, 2))
    bulk[0, 0, 0] = bulk[1, 1, 1] = 1
    tensors = [bulk.sum(axis=0, keepdims=True) / 2**0.5, *[bulk] * (n - 2), bulk.sum(axis=2, keepdims=True)]
    scorer = Scorer(tensors, np.stack([dense.pauli6()] * n).astype(complex), CPU)
    mixed = np.full(n, 4, np.uint8)
    mixed[-1] = 5
    found = scorer.log_prob(np.stack([np.full(n, 4, np.uint8), mixed]))
    assert found[0] == pytest.approx(-n * np.log(3) - np.log(2), rel=1e-12)
    assert np.isneginf(found[1])


def test_steps_by_hand_are_the_whole_walk():
    ket, elements = random_ket(3, real=False), dense.sic().astype(complex)
    scorer = Scorer(MPS.from_statevector(ket).tensors, np.stack([elements] * 3), CPU)
    rows = dense.all_records(3, 4)
    environment = scorer.start(len(rows))
    for site in range(3):
        environment = scorer.advance(site, environment, rows[:, site].astype(np.int64))
    expected = dense.chances(dense.projector(ket), elements)
    assert environment[0, :, 0].real.numpy() == pytest.approx(expected, abs=1e-14)


def test_rescaled_environments_have_largest_entry_one():
    environment = torch.tensor([[[1.0, -4.0]], [[2.0, 0.5]]], dtype=torch.float64)
    found, scale = rescaled(environment)
    assert found.abs().max() == 1
    assert torch.equal(found * scale.exp()[None, :, None], environment)
