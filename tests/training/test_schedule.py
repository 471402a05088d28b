"""The learning rate: warm-up, then constant or a cosine."""

import math

import pytest

from qtomo.training.config import TrainingConfig
from qtomo.training.schedule import learning_rate


def rates(total=100, **settings):
    config = TrainingConfig.parse({"learning_rate": 0.1, **settings}, "[training]")
    return [learning_rate(config, step, total) for step in range(total)]


def test_it_warms_up_in_equal_steps():
    found = rates(schedule="constant", warmup_steps=9)
    assert found[:10] == pytest.approx([0.01 * (step + 1) for step in range(10)])
    assert set(found[9:]) == {0.1}


def test_a_cosine_goes_to_zero():
    found = rates(schedule="cosine", warmup_steps=0)
    assert found == pytest.approx([0.05 * (1 + math.cos(math.pi * step / 100)) for step in range(100)])
    assert found == sorted(found, reverse=True)
