"""A measurement as a random choice of basis: the elements come back, and what is none is told."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qtomo.measurement.bases import as_random_bases, basis_of
from qtomo.measurement.noise import parse_noise
from qtomo.measurement.povm import named_povm, parse_axes


@pytest.mark.parametrize(("name", "n_bases"), [("pauli4", 3), ("pauli6", 3), ("rebit", 2)])
def test_named_povms_of_bases(name, n_bases):
    povm = named_povm(name)
    found = as_random_bases(povm.elements)
    assert found.weights == pytest.approx(np.full(n_bases, 1 / n_bases))
    assert found.elements() == pytest.approx(povm.elements, abs=1e-12)


@pytest.mark.parametrize("name", ["sic", "trine"])
def test_what_is_no_choice_of_basis(name):
    assert as_random_bases(named_povm(name).elements) is None


@pytest.mark.parametrize("noise", ["depolarizing:0.1", "dephasing:0.2", "readout:0.1/0.3"])
def test_noise_keeps_a_choice_of_bases_one(noise):
    povm = parse_noise(parse_axes(named_povm("pauli4"), ["Z,-X,Y"], 2), [noise], 2)
    for elements in povm.site_elements(2):
        assert as_random_bases(elements).elements() == pytest.approx(elements, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), n_bases=st.integers(1, 4), n_outcomes=st.integers(2, 5))
def test_any_choice_of_bases_with_bits_named_by_themselves_comes_back(seed, n_bases, n_outcomes):
    """Each basis has its own plus outcome; the other bits share the labels at random."""
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.ones(n_bases))
    elements = np.zeros((n_bases + n_outcomes, 2, 2), complex)
    for basis, weight in enumerate(weights):
        kets = np.linalg.qr(rng.normal(size=(2, 2)) + 1j * rng.normal(size=(2, 2)))[0]
        projectors = [np.outer(ket, ket.conj()) for ket in kets.T]
        elements[basis] += weight * projectors[0]
        elements[n_bases:] += weight * rng.dirichlet(np.ones(n_outcomes))[:, None, None] * projectors[1]
    found = as_random_bases(elements)
    assert found.elements() == pytest.approx(elements, abs=1e-9)
    assert found.weights.sum() == pytest.approx(1)


def test_two_outcomes_are_a_basis_with_a_confused_bit():
    effect = 0.9 * np.diag([1, 0]) + 0.2 * np.diag([0, 1])
    kets, given = basis_of(effect.astype(complex))
    rebuilt = sum(given[bit, 0] * np.outer(ket, ket.conj()) for bit, ket in enumerate(kets))
    assert rebuilt == pytest.approx(effect, abs=1e-14)
    assert given.sum(axis=1) == pytest.approx([1, 1])
