"""Circuits against matrices written out, against Qiskit's own simulation, and from strangers."""

import itertools
import sys

import numpy as np
import pytest
import qutip
from qiskit import qasm2
from qiskit.quantum_info import Statevector

from qtomo import Circuit, RecordFile, Target, simulate
from qtomo.errors import Code
from qtomo.states import qasm
from qtomo.states.gates import apply_gates
from qtomo.states.mps import MPS
from qtomo.states.qasm import Gate
from qtomo.states.stabilisers import stabilisers_of
from tests.refusing import refused
from tests.states.test_stabilisers import matrix
from tests.systems.named import ghz_circuit

HEADS = {
    2: 'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[{n}];\n',
    3: 'OPENQASM 3.0;\ninclude "stdgates.inc";\nqubit[{n}] q;\n',
}

ONE = {
    "h": np.array([[1, 1], [1, -1]]) / 2**0.5,
    "s": np.diag([1, 1j]),
    "t": np.diag([1, np.exp(0.25j * np.pi)]),
    "y": np.array([[0, -1j], [1j, 0]]),
    "rx(0.3)": np.array([[np.cos(0.15), -1j * np.sin(0.15)], [-1j * np.sin(0.15), np.cos(0.15)]]),
}
TWO = {  # the first qubit's index the slower one
    "cx": np.eye(4)[[0, 1, 3, 2]],
    "cz": np.diag([1, 1, 1, -1]),
    "swap": np.eye(4)[[0, 2, 1, 3]],
}
CLIFFORD = ("h", "s", "y", "cx", "cz", "swap")


def random_circuit(n, seed, names, steps=25):
    """Lines of a circuit, and the ket that the matrices above give, site 0 the slowest index."""
    rng = np.random.default_rng(seed)
    lines, ket = [], np.zeros((2,) * n, complex)
    ket[(0,) * n] = 1
    for name in rng.choice(names, steps):
        sites = rng.permutation(n)[: 2 if name in TWO else 1]
        gate = (TWO if name in TWO else ONE)[name].reshape((2,) * (2 * len(sites)))
        ket = np.moveaxis(
            np.tensordot(gate, ket, axes=(range(len(sites), 2 * len(sites)), sites)), range(len(sites)), sites
        )
        lines.append(f"{name} {','.join(f'q[{site}]' for site in sites)};")
    return "\n".join(lines), ket.ravel()


def same(state, ket):
    return abs(np.vdot(ket, state.to_statevector())) ** 2 == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("version", HEADS)
def test_site_i_is_qubit_i(version):
    """Qiskit writes |001> where qubit 0 is flipped; here it is the first of three."""
    head = HEADS[version].format(n=3)
    assert np.allclose(Circuit(f"{head} x q[0];").state().to_statevector(), np.eye(8)[0b100])
    controlled = Circuit(f"{head} x q[0]; cx q[0],q[2];").state()
    assert np.allclose(controlled.to_statevector(), np.eye(8)[0b101])
    assert str(Circuit(f"{head} x q[0];").stabilisers()) == "-ZII +IZI +IIZ"


def test_registers_follow_each_other():
    text = 'OPENQASM 2.0; include "qelib1.inc"; qreg a[1]; qreg b[2]; x b[0];'
    assert np.allclose(Circuit(text).state().to_statevector(), np.eye(8)[0b010])


def test_ghz_against_qutip():
    assert abs(Circuit(ghz_circuit(5)).state().to_qutip().overlap(qutip.ghz_state(5))) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("version", HEADS)
@pytest.mark.parametrize(("n", "seed"), [(3, 0), (4, 1), (5, 2)])
def test_random_circuits_against_matrices(version, n, seed):
    lines, ket = random_circuit(n, seed, [*ONE, *TWO])
    circuit = Circuit(HEADS[version].format(n=n) + lines)
    assert circuit.n_sites == n
    assert same(circuit.state(), ket)
    assert circuit.truncation == 0


@pytest.mark.parametrize("seed", range(4))
def test_clifford_circuits_have_the_stabilisers_of_their_state(seed):
    lines, ket = random_circuit(4, seed, CLIFFORD)
    found = stabilisers_of(Circuit(HEADS[2].format(n=4) + lines))
    chosen = np.array(list(itertools.product((0, 1), repeat=4)), np.uint8)
    projector = sum(matrix(*element) for element in zip(*found.elements(chosen), strict=True)) / 16
    assert np.allclose(projector, np.outer(ket, ket.conj()))


def test_other_circuits_have_no_stabilisers():
    head = HEADS[2].format(n=2)
    assert stabilisers_of(Circuit(head + "h q[0]; t q[0];")) is None
    assert (
        str(stabilisers_of(Circuit(head + "rx(1.5707963267948966) q[0]; u2(0,3.141592653589793) q[1];"))) == "-YI +IX"
    )
    assert stabilisers_of(Circuit(head + "rx(1.5708) q[0];")) is None


LARGER = {
    "standard gates": "h q; ccx q[0],q[2],q[1]; cswap q[3],q[0],q[1]; u3(0.1,0.2,0.3) q[2]; rzz(0.4) q[3],q[0];",
    "a gate of its own": "gate own(a) x,y,z { rx(a/2) x; cx x,z; barrier x; cu1(a) y,z; } own(0.7) q[3],q[1],q[0];",
    "one in another": "gate in(a) x { rx(a) x; } gate out x,y { in(pi/8) y; cx y,x; } out q[2],q[0]; out q[0],q[3];",
}


@pytest.mark.parametrize("name", LARGER)
def test_larger_gates_against_qiskit(name):
    text = HEADS[2].format(n=4) + LARGER[name]
    known = qasm2.loads(text, custom_instructions=qasm2.LEGACY_CUSTOM_INSTRUCTIONS)
    assert same(Circuit(text).state(), Statevector(known).reverse_qargs().data)


def test_modifiers_of_openqasm_3():
    """Controls, inverses and powers, each beside the gate that it stands for."""
    pairs = {
        "ctrl @ s q[0], q[2];": "cp(pi/2) q[0], q[2];",
        "negctrl @ x q[0], q[1];": "x q[0]; cx q[0], q[1]; x q[0];",
        "inv @ t q[1];": "tdg q[1];",
        "pow(2) @ t q[1];": "s q[1];",
        "ctrl(2) @ z q[0], q[1], q[2];": "h q[2]; ccx q[0], q[1], q[2]; h q[2];",
        "gate own a, b { h a; cx a, b; gphase(0.3); } own q[0], q[1]; inv @ own q[1], q[2];": "h q[0]; cx q[0], q[1]; "
        "cx q[1], q[2]; h q[1];",
    }
    head = HEADS[3].format(n=3) + "h q; t q; ry(0.4) q[1]; "
    for text, plain in pairs.items():
        assert same(Circuit(head + text).state(), Circuit(head + plain).state().to_statevector())


def test_measurements_at_the_end_are_left_out():
    lines, ket = random_circuit(3, 5, [*ONE, *TWO])
    newer = HEADS[3].format(n=3) + "bit[3] c;\n" + lines + "\nbarrier q; c[0] = measure q[0]; c = measure q;"
    older = HEADS[2].format(n=3) + "creg c[3];\n" + lines + "\nmeasure q[1] -> c[0]; barrier q; measure q -> c;"
    assert same(Circuit(newer).state(), ket)
    assert same(Circuit(older).state(), ket)


def test_the_bound_on_the_infidelity_holds_and_is_of_its_size():
    """Truncated circuits of eight qubits beside the exact ones."""
    for seed in range(4):
        rng = np.random.default_rng(seed)
        turns = [np.linalg.qr(rng.normal(size=(4, 4)) + 1j * rng.normal(size=(4, 4)))[0] for _ in range(14)]
        weak = [dense_power(turn, 0.25) for turn in turns]
        gates = [Gate(gate, tuple(rng.permutation(8)[:2])) for gate in weak]
        exact, none = apply_gates(8, gates, 256)
        cut, bound = apply_gates(8, gates, 7)
        infidelity = 1 - abs(exact.overlap(cut)) ** 2
        assert none == 0
        assert 0 < infidelity <= bound < min(1.0, 60 * infidelity)
        assert max(cut.bond_dims) <= 7


def dense_power(unitary, exponent):
    values, vectors = np.linalg.eig(unitary)
    gate = vectors @ np.diag(np.exp(1j * exponent * np.angle(values))) @ np.linalg.inv(vectors)
    assert np.allclose(gate @ gate.conj().T, np.eye(4), atol=1e-9)
    return gate


def test_a_state_that_does_not_fit_is_refused():
    with refused(Code.TOO_LARGE, r"bond dimension of 1: infidelity up to .*, expected at most 0\.01"):
        Circuit(HEADS[2].format(n=2) + "h q[0]; cx q[0],q[1];", bond_dim=1).state()
    nearly = Circuit(HEADS[2].format(n=2) + "ry(0.1) q[0]; cx q[0],q[1];", bond_dim=1)
    assert 1 - abs(nearly.state().to_statevector()[0]) ** 2 == pytest.approx(0, abs=1e-12)
    assert nearly.truncation == pytest.approx(np.sin(0.05) ** 2)
    assert "truncation 0.002498" in Target.of(nearly).describe()
    hardly = Circuit(HEADS[2].format(n=2) + "ry(0.002) q[0]; cx q[0],q[1];", bond_dim=1)
    assert "truncation 1.00e-06" in Target.of(hardly).describe()


REFUSED = {
    "measured before": (
        2,
        "creg c[1]; measure q[0] -> c[0]; h q[0];",
        Code.UNSUPPORTED,
        "measures qubit 0 before its gate 'h'",
    ),
    "measured before, 3": (
        3,
        "bit c; c = measure q[1]; x q[1];",
        Code.UNSUPPORTED,
        "measures qubit 1 before its gate 'x'",
    ),
    "reset": (2, "reset q[0];", Code.UNSUPPORTED, "the circuit has a reset, expected gates"),
    "reset, 3": (3, "reset q[0];", Code.UNSUPPORTED, "line 4: the circuit has a reset"),
    "condition": (2, "creg c[1]; if (c==1) x q[0];", Code.UNSUPPORTED, "has classical control"),
    "condition, 3": (3, "bit c; c = measure q[0]; if (c) { x q[1]; }", Code.UNSUPPORTED, "has classical control"),
    "loop": (3, "for int i in [0:1] { x q[i]; }", Code.UNSUPPORTED, "the circuit has a loop"),
    "input": (3, "input float a; rx(a) q[0];", Code.UNSUPPORTED, "a statement of type IODeclaration"),
    "opaque": (2, "opaque g a; g q[0];", Code.UNSUPPORTED, "gate 'g' has no definition"),
    "infinite": (2, "rx(1e400) q[0];", Code.VALUE, "gate 'rx' has parameters that are not finite"),
    "unknown gate": (2, "frob q[0];", Code.SYNTAX, "Qiskit cannot read: .*'frob' is not defined"),
    "unknown gate, 3": (3, "frob q[0];", Code.SYNTAX, "Qiskit cannot read: .*'frob' is not defined"),
    "no qubit": (2, "x q[7];", Code.SYNTAX, "Qiskit cannot read"),
    "deep": (
        3,
        "rx(" + "(" * 500 + "1" + ")" * 500 + ") q[0];",
        Code.SYNTAX,
        "Qiskit cannot read: maximum recursion depth",
    ),
    "power of its own": (
        3,
        "gate g a { x a; } pow(0.5) @ g q[0];",
        Code.UNSUPPORTED,
        "a power of 'g', expected powers of standard",
    ),
    "many controls": (3, "ctrl(1000) @ x q[0];", Code.TOO_LARGE, "more controls than the 4"),
    "many at once": (2, "qreg r[900];" + "h r; " * 112, Code.TOO_LARGE, "more than 100,000 gates"),
    "many at once, 3": (3, "qubit[900] r;" + "h r[0:899]; " * 112, Code.TOO_LARGE, "more than 100,000 gates"),
    "too long": (2, " " * 2**19, Code.TOO_LARGE, "bytes, expected at most 524,288"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_unitary_circuit_is_refused_in_words(case):
    version, lines, code, message = REFUSED[case]
    with refused(code, message):
        Circuit(HEADS[version].format(n=2) + lines).state()


DECLARED = {
    "no version": ("qreg q[2];", Code.SYNTAX, "without 'OPENQASM 2.0;' or 'OPENQASM 3.0;' at its start"),
    "version 4": ("OPENQASM 4.0; qubit q;", Code.SYNTAX, "without 'OPENQASM 2.0;'"),
    "another file": (
        'OPENQASM 2.0; include "/etc/passwd"; qreg q[1];',
        Code.UNSUPPORTED,
        "includes '/etc/passwd', expected no files",
    ),
    "one behind a comment": ('OPENQASM 3; include/**/"a.inc"; qubit q;', Code.UNSUPPORTED, "includes 'a.inc'"),
    "no qubits": ("OPENQASM 2.0; creg c[2];", Code.TOO_LARGE, "0 qubits, expected 1 to 1,000"),
    "many qubits": ("OPENQASM 2.0; qreg q[900]; qreg r[900];", Code.TOO_LARGE, "1,800 qubits, expected 1 to 1,000"),
    "huge": ("OPENQASM 3.0; qubit/* */[99999999999] q;", Code.SYNTAX, "line 1: 'qubit' without a plain size"),
    "hexadecimal": ("OPENQASM 3.0; qubit[0xfffffff] q;", Code.SYNTAX, "'qubit' without a plain size"),
    "computed": (
        "OPENQASM 3.0; const int n = 10 ** 9;\nqubit[n] q;",
        Code.SYNTAX,
        "line 2: 'qubit' without a plain size",
    ),
    "many bits": (
        "OPENQASM 2.0; qreg q[1]; creg c[999999999];",
        Code.TOO_LARGE,
        "999,999,999 classical bits, expected at most",
    ),
    "an open comment": ("/* " * 100_000, Code.SYNTAX, "without 'OPENQASM"),
}


@pytest.mark.parametrize("case", DECLARED)
def test_what_qiskit_should_not_see_is_refused_at_once(case):
    text, code, message = DECLARED[case]
    with refused(code, message):
        Circuit(text)


@pytest.mark.parametrize("version", HEADS)
def test_gates_that_double_at_each_level_are_refused(version, monkeypatch):
    monkeypatch.setattr(qasm, "_MOST_GATES", 2000)
    doubled = "".join(f"gate g{i + 1} a {{ g{i} a; g{i} a; }}\n" for i in range(60))
    text = HEADS[version].format(n=1) + f"gate g0 a {{ x a; x a; }}\n{doubled}g60 q[0];"
    with refused(Code.TOO_LARGE, "more than 2,000 gates"):
        Circuit(text).state()


def test_a_record_file_carries_the_text_and_the_state(tmp_path, monkeypatch):
    lines, ket = random_circuit(3, 7, [*ONE, *TWO], steps=4000)
    circuit = Circuit(HEADS[2].format(n=3) + lines)
    assert len(circuit.qasm) > 2**15
    path = simulate(circuit, 20, tmp_path / "a.h5")
    monkeypatch.setitem(sys.modules, "qiskit", None)  # as where it is not installed
    with RecordFile(path) as file:
        target = file.target
    assert target.system == circuit
    assert same(target.state(), ket)
    other = Circuit(HEADS[2].format(n=3) + "h q[0];")
    for question in (other.state, other.stabilisers):
        with refused(Code.ENVIRONMENT, r"not installed .*: pip install 'qtomo\[qiskit\]'"):
            question()


def test_states_are_of_matrix_products():
    assert isinstance(Circuit(ghz_circuit(40)).state(), MPS)
    assert set(Circuit(ghz_circuit(40)).state().bond_dims) == {2}
