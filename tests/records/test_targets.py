"""What may be said for a target where the number of qubits is known."""

import numpy as np
import pytest
import qutip

from qtomo import (
    GHZ,
    BornDistribution,
    Circuit,
    DensityMatrix,
    RecordFile,
    Records,
    Target,
    plan,
    reconstruct,
    simulate,
    verify,
    write_state,
)
from qtomo.errors import Code
from qtomo.states.fidelity import fidelity
from tests.refusing import refused
from tests.systems.named import ghz_circuit

RECORDS = Records(BornDistribution(GHZ(3).state(), "pauli4").sample(400, np.random.default_rng(0)), "pauli4")


@pytest.mark.parametrize("target", ["ghz", GHZ, GHZ(3), GHZ(3).state(), Target.of(GHZ(3))], ids=str)
def test_one_coercion_for_every_analysis(target):
    assert verify(RECORDS, target, alternative="none", n_reference=1000).verdict != "inconsistent"
    assert "fidelity with the target" in reconstruct(RECORDS, "mle", target=target, resamples=20).numbers


def test_a_state_file(tmp_path):
    path = write_state(tmp_path / "ghz.h5", GHZ(3).state())
    assert verify(RECORDS, str(path), alternative="none", n_reference=1000).verdict != "inconsistent"


GHZ3 = GHZ(3).state().to_statevector()


@pytest.mark.parametrize(
    "target",
    [
        GHZ3,
        GHZ3[:, None],
        np.outer(GHZ3, GHZ3),
        qutip.ghz_state(3),
        qutip.ket2dm(qutip.ghz_state(3)),
        Circuit(ghz_circuit(3)),
        lambda n: GHZ(n).state(),
    ],
    ids=["ket", "column", "density matrix", "QuTiP ket", "QuTiP density matrix", "circuit", "function of a state"],
)
def test_one_state_said_in_many_ways(target):
    meant = Target.of(target, n_sites=3)
    assert meant.n_sites == 3
    state = meant.state()
    rho = state.matrix if isinstance(state, DensityMatrix) else np.outer(*[state.to_statevector()] * 2)
    assert np.allclose(rho, np.outer(GHZ3, GHZ3), atol=1e-12)


@pytest.mark.parametrize("name", ["ket.npy", "rho.npy", "state.h5", "records.h5", "ghz.qasm"])
def test_one_state_in_many_files(name, tmp_path):
    path = tmp_path / name
    if path.suffix == ".npy":
        np.save(path, GHZ3 if name == "ket.npy" else np.outer(GHZ3, GHZ3))
    elif name == "ghz.qasm":
        path.write_text(ghz_circuit(3))
    elif name == "state.h5":
        write_state(path, GHZ(3).state())
    else:
        simulate(GHZ(3), 10, path)
    for given in (path, str(path)):
        assert fidelity(Target.of(given).state(), GHZ(3).state()).low == pytest.approx(1, abs=1e-9)
    again = simulate(path, 50, tmp_path / "again.h5", seed=3)  # and the records carry it
    with RecordFile(again) as file:
        assert fidelity(file.target.state(), GHZ(3).state()).low == pytest.approx(1, abs=1e-9)
    assert plan(path, ["depolarizing:0.2"], n_exact=300).needed


@pytest.mark.parametrize(
    ("target", "code", "message"),
    [
        (2 * GHZ3, Code.UNPHYSICAL, "a ket of norm 2, expected 1"),
        (GHZ3 * np.nan, Code.VALUE, "not finite"),
        (GHZ3[None], Code.SHAPE, "is a bra"),
        (GHZ3[:7] * 8**0.5 / 2, Code.SHAPE, r"2\*\*N amplitudes, found 7"),
        (np.array(["a", "b"]), Code.SHAPE, "an array of <U1, expected numbers"),
        (np.eye(8), Code.UNPHYSICAL, "trace 8, expected 1"),
        (np.eye(8) / 8 + np.eye(8, k=1), Code.UNPHYSICAL, "not Hermitian"),
        (np.diag([1.5, -0.5]), Code.UNPHYSICAL, "not positive"),
        (np.full((2, 2), np.inf), Code.VALUE, "not finite"),
        (np.ones((2, 3)), Code.SHAPE, r"shape \(2, 3\), expected \(2\*\*N, 2\*\*N\)"),
        (3 * qutip.ghz_state(3), Code.UNPHYSICAL, "a ket of norm 3, expected 1"),
        (qutip.ghz_state(3).dag(), Code.KIND, "QuTiP object of type 'bra'"),
        (qutip.basis(3, 0), Code.KIND, "with dims .*, expected a ket or a density matrix of qubits"),
        (qutip.qeye([2, 2]), Code.UNPHYSICAL, "trace 4, expected 1"),
    ],
)
def test_what_is_no_state_is_refused_and_never_normalised(target, code, message):
    with refused(code, message):
        Target.of(target)


@pytest.mark.parametrize(
    ("target", "code", "message"),
    [
        ("gzh", Code.UNKNOWN, "neither a file nor a state.*ghz"),
        (GHZ(4), Code.MISMATCH, "of 3 qubits, the target has 4"),
    ],
)
def test_what_is_no_target_is_refused_in_words(target, code, message):
    with refused(code, message):
        verify(RECORDS, target)


def test_a_name_needs_the_number_of_qubits():
    for target in ("ghz", GHZ):
        with refused(Code.REQUIRED):
            Target.of(target)
