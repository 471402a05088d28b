"""Counts of pairs of qubits, against counting row by row."""

import itertools

import numpy as np

from qtomo.distribution import LOST
from qtomo.records.frequencies import equal_bits, outcome_pairs

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 6, (60, 4)).astype(np.uint8)
LABELS[RNG.random(LABELS.shape) < 0.2] = LOST
WEIGHTS = RNG.integers(1, 5, 60).astype(float)
PLACES = np.array([[0, 1], [3, 1], [2, 0]])


def test_equal_bits_are_counted_in_each_two_bases():
    equal, both = equal_bits(LABELS, WEIGHTS, PLACES)
    for pair, (i, j) in enumerate(PLACES):
        for column, (a, b) in enumerate(itertools.product(range(3), repeat=2)):
            chosen = [k for k in range(60) if LABELS[k, i] in (2 * a, 2 * a + 1) and LABELS[k, j] in (2 * b, 2 * b + 1)]
            assert both[pair, column] == sum(WEIGHTS[k] for k in chosen)
            alike = [k for k in chosen if LABELS[k, i] % 2 == LABELS[k, j] % 2]
            assert equal[pair, column] == sum(WEIGHTS[k] for k in alike)


def test_outcomes_are_counted_in_pairs():
    found, there = outcome_pairs(LABELS, WEIGHTS, PLACES, 6)
    for pair, (i, j) in enumerate(PLACES):
        read = (LABELS[:, i] != LOST) & (LABELS[:, j] != LOST)
        assert (there[pair] == WEIGHTS[read].sum()).all()
        for column, (a, b) in enumerate(itertools.product(range(6), repeat=2)):
            assert found[pair, column] == WEIGHTS[(LABELS[:, i] == a) & (LABELS[:, j] == b)].sum()
