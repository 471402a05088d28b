"""Which bases were measured: complete exactly where every product of Paulis of two qubits is told by some shot."""

import itertools

import numpy as np
import pytest

from qtomo import Records
from qtomo.distribution import LOST
from qtomo.records.coverage import coverage

ALL = np.array(list(itertools.product(range(3), repeat=2)), np.uint8)


def shots(settings):
    settings = np.asarray(settings, np.uint8)
    return Records(np.zeros(settings.shape, np.uint8), settings=settings)


def test_all_pairs_of_bases_are_enough_and_all_but_one_are_not():
    assert coverage(shots(ALL)).complete
    for left_out in range(9):
        found = coverage(shots(np.delete(ALL, left_out, axis=0)))
        assert not found.complete
        assert found.words == "the 8 settings measured"


def test_each_two_qubits_are_asked_for_up_to_twelve():
    """Qubits 0 and 3 are always in the same basis; every other two are in all nine pairs."""
    settings = np.array([row for row in itertools.product(range(3), repeat=4) if row[0] == row[3]], np.uint8)
    assert not coverage(shots(settings)).complete
    far = np.array(list(itertools.product(range(3), repeat=3)), np.uint8)[:, np.arange(13) % 3]
    assert coverage(shots(far)).complete  # of 13 qubits only next neighbours are looked at: site 3 repeats site 0


@pytest.mark.parametrize(("settings", "words"), [([[2, 2]] * 3, "Z alone"), ([[0, 1]] * 3, "XY alone")])
def test_one_basis_is_named(settings, words):
    found = coverage(shots(settings))
    assert (found.complete, found.words) == (False, words)


def test_a_povm_is_complete_or_not_and_lost_qubits_are_told():
    outcomes = np.zeros((3, 3), np.uint8)
    assert coverage(Records(outcomes, "pauli4")).complete
    assert coverage(Records(outcomes, "trine")).words == "outcomes of POVM 'trine'"
    outcomes[:, [0, 2]] = LOST
    assert coverage(Records(outcomes, "pauli4")).words == "part: qubits 0, 2 never read"
