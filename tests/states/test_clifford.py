"""Stabilisers that gates make, against what they do to the state vector."""

import numpy as np
import pytest

from qtomo.states.clifford import stabilisers_after
from qtomo.states.qasm import Gate
from tests.systems import dense

S, H = np.diag([1, 1j]), np.array([[1, 1], [1, -1]]) / 2**0.5
CX, CZ, SWAP = np.eye(4)[[0, 1, 3, 2]], np.diag([1, 1, 1, -1]), np.eye(4)[[0, 2, 1, 3]]
ISWAP = np.diag([1, 0, 0, 1]) + 1j * np.eye(4)[[0, 2, 1, 3]] * np.array([0, 1, 1, 0])[:, None]


def on_register(matrix, sites, n):
    """A gate written out on all qubits, from its elements: the first of its sites is the slowest index."""
    whole = np.zeros((2**n, 2**n), complex)
    for column in range(2**n):
        bits = [(column >> (n - 1 - site)) & 1 for site in range(n)]
        inner = int("".join(str(bits[site]) for site in sites), 2)
        for outer in range(len(matrix)):
            new = list(bits)
            for place, site in enumerate(sites):
                new[site] = (outer >> (len(sites) - 1 - place)) & 1
            whole[int("".join(map(str, new)), 2), column] += matrix[outer, inner]
    return whole


def random_circuit(n, seed):
    rng = np.random.default_rng(seed)
    ones, twos = [S, H, dense.X, dense.Y, dense.Z, S.conj()], [CX, CZ, SWAP, ISWAP]
    for _ in range(25):
        if rng.random() < 0.5:
            yield Gate(ones[rng.integers(len(ones))].astype(complex), (int(rng.integers(n)),))
        else:
            yield Gate(twos[rng.integers(len(twos))].astype(complex), tuple(rng.permutation(n)[:2].tolist()))


@pytest.mark.parametrize("seed", range(6))
def test_the_state_is_the_one_that_its_stabilisers_leave(seed):
    """prod (1 + g)/2 over the generators is the projector on the state of the circuit."""
    n, gates = 3, list(random_circuit(3, seed))
    ket = np.eye(2**n)[0].astype(complex)
    for matrix, sites in gates:
        ket = on_register(matrix, sites, n) @ ket
    found = stabilisers_after(n, gates)
    projector = np.eye(2**n)
    for x, z, negative in zip(found.x, found.z, found.negative, strict=True):
        letters = ["IXZY"[a + 2 * b] for a, b in zip(x, z, strict=True)]
        generator = (-1) ** int(negative) * dense.product(dict(enumerate(letters)), n)
        projector = projector @ (np.eye(2**n) + generator) / 2
    assert projector == pytest.approx(dense.projector(ket), abs=1e-12)


def test_other_gates_have_no_stabilisers():
    """An angle off by the rounding of a written pi/2 is a Clifford gate still, one off by more is none."""

    def phase(angle):
        return stabilisers_after(1, [Gate(H, (0,)), Gate(np.diag([1, np.exp(1j * angle)]), (0,))])

    assert str(phase(np.pi / 2 + 1e-7)) == "+Y"
    assert phase(np.pi / 2 + 1e-3) is None
    assert phase(np.pi / 4) is None
