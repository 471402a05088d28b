"""Which qubits were exchanged or flipped: expectations of pairs, and what a search in them recovers."""

import itertools

import numpy as np
import pytest

from qtomo import Records
from qtomo.measurement.povm import named_povm
from qtomo.states.tfim import TFIM
from qtomo.verification.context import Context
from qtomo.verification.faults.matching import expectations, flipped_qubits, permutations
from qtomo.verification.hypothesis import Hypothesis
from tests.systems import dense, laboratory
from tests.systems.laboratory import against

DISORDERED = TFIM(6, (1.0, 0.6, 1.1, 1.4, 1.3), (0.9, 0.5, 1.2, 1.3, 0.3, 1.3))


def drawn(design, n, seed):
    rng = np.random.default_rng(seed)
    settings = rng.integers(0, 3, (n, 6)).astype(np.uint8) if design == "random" else None
    empty = Records(np.zeros((n, 6), np.uint8), settings=settings)
    return against(empty, DISORDERED).hypothesis.sample_like(empty, rng)


@pytest.mark.parametrize("loss", [0.0, 0.2])
@pytest.mark.parametrize("design", ["listed", "random", "pauli4"])
def test_expectations_are_means_over_the_records_that_tell_them(design, loss):
    """Exact ones from the density matrix; those of records by counting (products of signs) or by dual values."""
    system, rho = dense.STATES["tilted"]
    records = laboratory.draw(rho, design, 500, 1, loss)
    found = expectations(against(records, system))
    for (i, p), (j, q) in itertools.product(itertools.product(range(3), range(3)), repeat=2):
        if i == j and p != q:
            continue
        letters = {i: "XYZ"[p], j: "XYZ"[q]}
        assert found.exact[i, j, p, q] == pytest.approx(np.trace(rho @ dense.product(letters, 3)).real, abs=1e-9)
        seen = (records.outcomes[:, [i, j]] != dense.LOST).all(axis=1)
        if design == "pauli4":
            values = [
                np.linalg.solve(dense.pauli4().reshape(4, 4).T, dense.PAULI["XYZ"[k]].ravel() + 0j).real for k in (p, q)
            ]
            a, b = values[0][records.outcomes[seen, i]], values[1][records.outcomes[seen, j]]
        else:
            seen &= (records.shot_settings[:, i] == p) & (records.shot_settings[:, j] == q)
            a, b = 1.0 - 2.0 * records.outcomes[seen, i], 1.0 - 2.0 * records.outcomes[seen, j]
        if not seen.any():
            assert found.weights[i, j, p, q] == 0
            continue
        products = a if i == j else a * b
        assert found.seen[i, j, p, q] == pytest.approx(products.mean())
        assert found.weights[i, j, p, q] == pytest.approx(len(products) ** 2 / (products**2).sum())


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("design", "n"), [("random", 4000), ("pauli4", 20_000)])
def test_a_random_permutation_of_the_qubits_is_recovered(design, n, seed):
    right = drawn(design, n, seed)
    order = np.random.default_rng(seed).permutation(6)
    outcomes = right.outcomes[:, order]
    settings = right.shot_settings[:, order] if right.has_settings else None
    found = list(permutations(against(Records(outcomes, settings=settings), DISORDERED)))
    assert np.argsort(order).tolist() in found or (order == np.arange(6)).all()


def test_the_order_that_is_right_already_is_not_among_them():
    found = list(permutations(against(drawn("random", 4000, 9), DISORDERED)))
    assert list(range(6)) not in found
    assert all(sorted(order) == list(range(6)) for order in found)
    assert len({tuple(order) for order in found}) == len(found)


@pytest.mark.parametrize("bases", ["XYZ", "Z", "XY"])
@pytest.mark.parametrize("sites", [(1, 3), (0, 2, 5), (2, 3, 4, 5)])
def test_qubits_whose_bits_are_flipped_are_recovered(bases, sites):
    """In all bases or in some. Bits of Z alone of a TFIM are known up to all of them, which its parity leaves alike."""
    right = drawn("random", 4000, 3)
    bits = right.outcomes.copy()
    for site in sites:
        wrong = np.isin(right.shot_settings[:, site], ["XYZ".index(p) for p in bases])
        bits[wrong, site] ^= 1
    found = list(flipped_qubits(against(Records(bits, settings=right.shot_settings), DISORDERED)))
    flips = tuple(p in bases for p in "XYZ")
    sets = [found_sites for axes, found_sites in found if axes.flips == flips]
    others = tuple(site for site in range(6) if site not in sites)
    assert sites in sets or ("X" not in bases and others in sets)
    assert all(axes.order == (0, 1, 2) and 1 < len(found_sites) < 6 for axes, found_sites in found)


def test_a_measurement_that_tells_no_expectation_finds_nothing():
    rho = dense.tfim(3)
    records = laboratory.draw(rho, "pauli4", 100, 0)
    context = Context(
        Records(records.outcomes % 3, "trine"), Hypothesis.of(dense.STATES["tfim"][0].state(), named_povm("trine"))
    )
    assert list(permutations(context)) == []
    assert list(flipped_qubits(context)) == []
