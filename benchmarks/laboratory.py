"""Four experiments as a laboratory would hand them over: CSV files of bases and bits, drawn in NumPy alone.

    python benchmarks/laboratory.py lab

- ghz4.csv: four qubits, 4,000 shots in random bases; each qubit dephases by 2 %, and qubit 2 by 10 %.
- w3.csv: three qubits, all 27 settings, 100 shots each; 4 % white noise.
- circuit5.csv, circuit5.qasm: a circuit of five qubits, 6,000 shots in random bases; qubit 3 depolarizes by 6 %.
- chain12.csv, zeros.csv, ones.csv: a critical Ising chain of twelve qubits, 8,000 shots in random bases; 2 % of bits are
  misread, as 500 shots of |0...0> and of |1...1> tell, and qubit 7 depolarizes by 15 %.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import click
import numpy as np
from scipy.sparse.linalg import LinearOperator, eigsh

I, X, Y, Z = np.eye(2), np.array([[0, 1], [1, 0]]), np.array([[0, -1j], [1j, 0]]), np.diag([1.0, -1.0])
H, S = (X + Z) / math.sqrt(2), np.diag([1.0, -1j])
TO_Z = {"X": H, "Y": H @ S, "Z": I}
CIRCUIT = """OPENQASM 2.0;
include "qelib1.inc";
qreg q[5];
h q[0];
cx q[0],q[1];
ry(0.9) q[2];
cx q[1],q[2];
rz(0.7) q[2];
cx q[2],q[3];
rx(1.1) q[3];
cz q[3],q[4];
ry(0.4) q[4];
cx q[3],q[4];
"""


def on(matrix: np.ndarray, psi: np.ndarray, *sites: int) -> np.ndarray:
    """A gate of some sites on a state of shape (2, ..., 2), site 0 first."""
    n = len(sites)
    moved = np.tensordot(matrix.reshape((2,) * (2 * n)), psi, axes=(range(n, 2 * n), sites))
    return np.moveaxis(moved, range(n), sites)


def shots(
    prepare: Callable[[np.random.Generator], np.ndarray], settings: Sequence[str], rng: np.random.Generator
) -> list[tuple[str, str]]:
    """A shot in each setting of a state that is prepared anew."""
    found = []
    for setting in settings:
        psi = prepare(rng)
        for site, basis in enumerate(setting):
            psi = on(TO_Z[basis], psi, site)
        chances = np.abs(psi.reshape(-1)) ** 2
        outcome = int(rng.choice(len(chances), p=chances / chances.sum()))
        found.append((setting, f"{outcome:0{len(setting)}b}"))
    return found


def with_errors(
    psi: np.ndarray, errors: dict[int, tuple[float, Sequence[np.ndarray]]]
) -> Callable[[np.random.Generator], np.ndarray]:
    """A state of which each site suffers one of its errors with some probability."""

    def prepare(rng: np.random.Generator) -> np.ndarray:
        found = psi
        for site, (probability, kinds) in errors.items():
            if rng.random() < probability:
                found = on(kinds[rng.integers(len(kinds))], found, site)
        return found

    return prepare


def random_settings(n: int, n_sites: int, rng: np.random.Generator) -> list[str]:
    """Bases drawn at random."""
    return ["".join(row) for row in rng.choice(list("XYZ"), (n, n_sites))]


def ising(n_sites: int) -> np.ndarray:
    """The ground state of -sum Z Z - sum X."""
    shape = (2,) * n_sites

    def times(vector: np.ndarray) -> np.ndarray:
        psi = vector.reshape(shape)
        found = np.zeros(shape)
        for site in range(n_sites):
            found -= on(X, psi, site)
            if site + 1 < n_sites:
                found -= on(Z, on(Z, psi, site), site + 1)
        return found.reshape(-1)

    operator = LinearOperator((2**n_sites, 2**n_sites), matvec=times, dtype=np.float64)
    return eigsh(operator, k=1, which="SA", v0=np.ones(2**n_sites))[1][:, 0].reshape(shape)


def circuit() -> np.ndarray:
    """What CIRCUIT prepares."""
    cx, cz = np.eye(4)[[0, 1, 3, 2]], np.diag([1, 1, 1, -1])
    turn = {"x": X, "y": Y, "z": Z}

    def r(axis: str, angle: float) -> np.ndarray:
        return math.cos(angle / 2) * I - 1j * math.sin(angle / 2) * turn[axis]

    psi = np.zeros((2,) * 5, complex)
    psi[0, 0, 0, 0, 0] = 1
    steps = [(H, 0), (cx, 0, 1), (r("y", 0.9), 2), (cx, 1, 2), (r("z", 0.7), 2), (cx, 2, 3), (r("x", 1.1), 3), (cz, 3, 4),
             (r("y", 0.4), 4), (cx, 3, 4)]  # fmt: skip
    for gate, *sites in steps:
        psi = on(gate, psi, *sites)
    return psi


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def main(folder: Path) -> None:
    """Write the files into FOLDER."""
    write(folder)


def write(folder: Path) -> None:
    """Write the files into a folder."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(1)

    def save(name: str, rows: list[tuple[str, str]]) -> None:
        (folder / name).write_text("bases,bits\n" + "".join(f"{s},{b}\n" for s, b in rows))

    psi = np.zeros((2,) * 4)
    psi[0, 0, 0, 0] = psi[1, 1, 1, 1] = math.sqrt(0.5)
    errors = {site: (0.1 if site == 2 else 0.02, [Z]) for site in range(4)}
    save("ghz4.csv", shots(with_errors(psi, errors), random_settings(4000, 4, rng), rng))
    psi = np.zeros((2,) * 3)
    psi[1, 0, 0] = psi[0, 1, 0] = psi[0, 0, 1] = math.sqrt(1 / 3)

    def white(rng: np.random.Generator) -> np.ndarray:
        return psi if rng.random() > 0.04 else np.eye(8)[rng.integers(8)].reshape(2, 2, 2)

    settings = ["".join(row) for row in itertools.product("XYZ", repeat=3) for _ in range(100)]
    save("w3.csv", shots(white, settings, rng))
    errors = {3: (0.06 * 3 / 4, [X, Y, Z])}
    save("circuit5.csv", shots(with_errors(circuit(), errors), random_settings(6000, 5, rng), rng))
    (folder / "circuit5.qasm").write_text(CIRCUIT)
    errors = {7: (0.15 * 3 / 4, [X, Y, Z])}
    save("chain12.csv", [
        (s, misread(b, rng)) for s, b in shots(with_errors(ising(12), errors), random_settings(8000, 12, rng), rng)
    ])  # fmt: skip
    for name, bit in (("zeros.csv", "0"), ("ones.csv", "1")):
        save(name, [("Z" * 12, misread(bit * 12, rng)) for _ in range(500)])


def misread(bits: str, rng: np.random.Generator) -> str:
    """Bits of which 2 % are read as the other."""
    return "".join(str(int(bit) ^ int(rng.random() < 0.02)) for bit in bits)


if __name__ == "__main__":
    main()
