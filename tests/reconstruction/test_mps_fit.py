"""Tensor networks fitted to records: the bond dimension and the amplitudes are those that the records carry."""

import copy

import numpy as np
import pytest

from qtomo import LocallyPurified, MatrixProduct, Records
from qtomo.reconstruction.mps_fit import fit_tensor_network, fit_wider, free_parameters
from qtomo.states.born.distribution import BornDistribution
from qtomo.states.fidelity import fidelity
from qtomo.states.library import GHZ, RandomMPS
from qtomo.states.tfim import TFIM
from qtomo.training.natural import mean_log_prob


def sampled(state, povm, n):
    return Records(BornDistribution(state, povm).sample(n, np.random.default_rng(1)), povm)


def fitted(state, povm, n, bond_dim=None, **options):
    return fit_tensor_network(sampled(state, povm, n), MatrixProduct(bond_dim), seed=1, **options)


@pytest.fixture(scope="module")
def critical():
    """The fit of 3,000 records of six critical qubits, with nothing given."""
    return fitted(TFIM(6).state(), "pauli6", 3000)


def test_a_real_state_gets_real_amplitudes(critical):
    state, fit = TFIM(6).state(), critical
    assert not fit.model.config.complex_amplitudes
    assert abs(fit.model.to_state().overlap(state)) ** 2 > 0.98
    assert fit.log_prob > fit.stages[0].validation - 0.2
    assert sorted([*fit.training, *fit.validation]) == list(range(3000))


def test_a_complex_state_gets_complex_ones():
    state = RandomMPS(5, 2, 3).state()
    fit = fitted(state, "pauli4", 4000)
    assert fit.model.config.complex_amplitudes
    assert abs(fit.model.to_state().overlap(state)) ** 2 > 0.95


def test_sharp_measurements_of_a_far_state_do_not_trap_it():
    state = GHZ(6).state()
    fit = fitted(state, "pauli6", 3000, bond_dim=2)
    assert fit.model.config.bond_dim == 2
    assert abs(fit.model.to_state().overlap(state)) ** 2 > 0.98


def test_the_same_seed_gives_the_same_state():
    first, second = (fitted(TFIM(3).state(), "sic", 200, bond_dim=2) for _ in range(2))
    assert all((a == b).all() for a, b in zip(first.model.arrays(), second.model.arrays(), strict=True))


def test_free_parameters_are_those_of_a_ray():
    """A full chain has the 2**(N + 1) - 2 real numbers of a normalised ray, or 2**N - 1 where it is real."""
    for complex_, expected in ((True, 30), (False, 15)):
        fit = fitted(TFIM(4).state(), "sic", 300, bond_dim=4, complex_amplitudes=complex_)
        assert free_parameters(fit.model) == expected == pytest.approx(fit.stages[-1].parameters)


def test_the_next_bond_dimension_is_fitted_to_the_end_of_all_records(critical):
    records, model = sampled(TFIM(6).state(), "pauli6", 3000).labels, copy.deepcopy(critical.model)
    before = mean_log_prob(model, records)
    wider = fit_wider(model, records)
    assert wider.config.bond_dim == model.config.bond_dim + 1
    gained = 2 * len(records) * (mean_log_prob(wider, records) - before)
    more = free_parameters(wider) - free_parameters(model)
    assert 0.3 * more < gained < 4 * more  # a likelihood ratio, chi-squared of so many parameters or somewhat more
    assert mean_log_prob(model, records) == before


def test_there_is_no_wider_chain_where_none_has_room():
    model = fitted(TFIM(3).state(), "sic", 200, bond_dim=2, complex_amplitudes=False).model
    assert fit_wider(model, sampled(TFIM(3).state(), "sic", 200).labels) is None


@pytest.mark.slow
def test_a_mixed_fit_finds_coherence_that_few_records_show():
    """From a mixed start the fit of a GHZ state ends without its coherence, at fidelity 1/2."""
    state = GHZ(6).state()
    fit = fit_tensor_network(sampled(state, "pauli6", 3000), LocallyPurified(2), complex_amplitudes=False, seed=1)
    assert fidelity(fit.model.to_state(), state).low > 0.9
