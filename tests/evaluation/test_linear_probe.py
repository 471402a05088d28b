"""A linear read-out: exact on linear data, no better than chance on noise, and what it refuses."""

import numpy as np
import pytest

from qtomo.errors import Code
from qtomo.evaluation.linear_probe import read_out
from tests.refusing import refused


def test_a_linear_parameter_is_read_exactly():
    random = np.random.default_rng(0)
    x, new = random.normal(size=(30, 4)), random.normal(size=(20, 4))
    weights = np.array([1.0, -2.0, 0.0, 0.5])
    found = read_out(x, x @ weights + 3, new, new @ weights + 3)
    assert found.predictions == pytest.approx(new @ weights + 3, abs=1e-4)
    assert found.r_squared.low > 0.9999


def test_noise_predicts_nothing():
    random = np.random.default_rng(1)
    found = read_out(random.normal(size=(40, 60)), np.arange(40.0), random.normal(size=(40, 60)), np.arange(40.0))
    assert found.r_squared.value < 0.2


def test_r_squared_is_one_less_the_share_of_the_error():
    found = read_out([[0.0], [1.0], [2.0], [3.0]], [0, 1, 2, 3], [[0.0], [1.0], [2.0]], [0.3, 1.3, 2.3])
    errors = found.predictions - np.array([0.3, 1.3, 2.3])
    assert found.r_squared.value == pytest.approx(1 - np.mean(errors**2) / np.var([0.3, 1.3, 2.3]))


def test_what_cannot_be_read():
    with refused(Code.SHAPE):
        read_out([[0.0], [1.0]], [0, 1], [[0.0]] * 3, [0, 1, 2])
    with refused(Code.VALUE, "parameter"):
        read_out([[0.0], [1.0], [2.0]], [1, 1, 1], [[0.0]] * 3, [0, 1, 2])
