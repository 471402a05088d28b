"""Locally purified states against density matrices."""

import itertools

import numpy as np
import pytest

from qtomo import simulate
from qtomo.errors import Code
from qtomo.measurement.povm import PAULIS, named_povm
from qtomo.records.file.reader import RecordFile
from qtomo.records.file.state_file import read_state, write_state
from qtomo.states.born.distribution import BornDistribution
from qtomo.states.lpdo import LPDO
from qtomo.states.tfim import TFIM
from tests.refusing import refused


@pytest.fixture
def state():
    rng = np.random.default_rng(1)
    bonds = [1, 3, 4, 2, 1]
    shapes = [(left, 2, 2, right) for left, right in itertools.pairwise(bonds)]
    return LPDO.from_tensors([rng.normal(size=s) + 1j * rng.normal(size=s) for s in shapes])


def test_its_values_are_those_of_its_density_matrix(state):
    rho = state.to_density()
    assert state.purity() == pytest.approx(np.vdot(rho.matrix, rho.matrix).real, abs=1e-12)
    operators = {0: PAULIS["Z"], 2: PAULIS["Y"]}
    assert state.expectation(operators) == pytest.approx(rho.expectation(operators), abs=1e-12)
    model = TFIM(4)
    energy = sum(c * rho.expectation({i: PAULIS[p] for i, p in product.items()}) for c, product in model.terms())
    assert state.mpo_expectation(model.mpo()) == pytest.approx(energy, abs=1e-12)


@pytest.mark.parametrize("povm", ["sic", "pauli6"])
def test_scores_and_samples_are_those_of_its_density_matrix(state, povm):
    exact, dense = BornDistribution(state, povm), BornDistribution(state.to_density(), povm)
    records = exact.sample(40_000, np.random.default_rng(0))
    assert records.shape == (40_000, 4)
    assert exact.log_prob(records[:100]) == pytest.approx(dense.log_prob(records[:100]), abs=1e-10)
    # mean log-likelihood ratio against the samples' own frequencies of pairs: chi-square of the first two sites
    counts = np.bincount(records[:, 0] * exact.n_outcomes + records[:, 1], minlength=exact.n_outcomes**2)
    elements = named_povm(povm).elements
    expected = np.array([[state.expectation({0: a, 1: b}).real for b in elements] for a in elements]).ravel()
    chi2 = np.sum((counts - 40_000 * expected) ** 2 / (40_000 * expected))
    assert chi2 < exact.n_outcomes**2 + 6 * np.sqrt(2 * exact.n_outcomes**2) + 18


def test_bits_in_given_bases(state):
    settings = np.full((20_000, 4), 2, np.uint8)
    bits = BornDistribution(state, "pauli6").sample_bits(settings, np.random.default_rng(0))
    z = 1 - 2 * bits[:, 1].mean()
    assert z == pytest.approx(state.expectation({1: PAULIS["Z"]}).real, abs=0.04)


def test_files(state, tmp_path):
    again = read_state(write_state(tmp_path / "s.h5", state))
    assert isinstance(again, LPDO)
    assert again.to_density().matrix == pytest.approx(state.to_density().matrix, abs=1e-12)
    with RecordFile(simulate(state, 100, tmp_path / "r.h5", seed=1)) as file:
        target = file.target.state()
    assert isinstance(target, LPDO)
    assert target.purity() == pytest.approx(state.purity(), abs=1e-12)


def test_shapes_that_do_not_fit():
    with refused(Code.SHAPE, "purification dimensions"):
        LPDO.from_tensors([np.ones((1, 2, 3, 1))])
    with refused(Code.VALUE, "purification"):
        LPDO(TFIM(3).state(), 1)
