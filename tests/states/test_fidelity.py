"""Fidelity of chains against that of their density matrices."""

import numpy as np
import pytest

from qtomo.errors import Code
from qtomo.states import fidelity as module
from qtomo.states.fidelity import fidelity
from qtomo.states.library import RandomMPS
from qtomo.states.lpdo import LPDO
from qtomo.states.quantities import fidelity as dense
from qtomo.states.tfim import TFIM
from tests.refusing import refused


def mixed(seed: int) -> LPDO:
    rng = np.random.default_rng(seed)
    return LPDO.from_tensors([rng.normal(size=s) for s in [(1, 2, 2, 3), (3, 2, 2, 3), (3, 2, 2, 1)]])


def test_pure_and_mixed():
    pure, other = RandomMPS(3, 2, 1).state(), RandomMPS(3, 2, 2).state()
    assert fidelity(pure, other).low == pytest.approx(abs(pure.overlap(other)) ** 2, abs=1e-12)
    rho, sigma = mixed(1), mixed(2)
    expected = dense(rho.to_density().matrix, pure)
    for found in (fidelity(rho, pure), fidelity(pure, rho), fidelity(pure, rho.to_density())):
        assert found.low == found.high == pytest.approx(expected, abs=1e-12)
    exact = dense(rho.to_density().matrix, sigma.to_density())
    assert fidelity(rho, sigma).low == pytest.approx(exact, abs=1e-10)


def test_bounds_hold_where_it_is_not_computed(monkeypatch):
    rho, sigma = mixed(1), mixed(2)
    exact = fidelity(rho, sigma).low
    monkeypatch.setattr(module, "LARGEST_DENSITY", 2)
    bounds = fidelity(rho, sigma)
    assert bounds.low <= exact <= bounds.high
    assert bounds.low < bounds.high
    assert fidelity(rho, rho).high == pytest.approx(1)


def test_other_lengths_are_refused():
    with refused(Code.MISMATCH):
        fidelity(mixed(1), TFIM(4).state())
