"""Plans of settings: what they promise is reached by experiments of other seeds, and their lists are read again."""

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.quantum_info import Statevector

from qtomo import GHZ, RecordFile, W, plan_settings, simulate
from qtomo.errors import InputError
from qtomo.measurement.povm import named_povm
from qtomo.measurement.settings import SettingList, read_setting_list, write_setting_list
from qtomo.observables.fidelity.base import Aim, Asked
from qtomo.observables.fidelity.registry import fidelities
from qtomo.observables.fidelity.stabilisers import drawn
from qtomo.states.density import DensityMatrix
from qtomo.verification.settings_plan import SettingsPlan


@pytest.fixture(scope="module")
def planned():
    return plan_settings(GHZ(5), 0.8, 0.93)


def test_the_list_of_a_plan_certifies_when_it_is_measured(planned, tmp_path):
    """At least four of five simulated experiments reached the bound: none of four has a chance of 0.002."""
    path = planned.save_settings(tmp_path / "s.csv")
    reached = 0
    for seed in range(4):
        noise = ["depolarizing:0.0186"]  # of each of five qubits: F = 0.93
        file = simulate(GHZ(5), None, tmp_path / f"{seed}.h5", povm="pauli6", settings=path, noise=noise, seed=seed)
        with RecordFile(file) as opened:
            plain = opened.records().measured_by(named_povm("pauli6"))  # the noise is what is to be found
        asked = Asked(plain, Aim.of(GHZ(5).state(), GHZ(5)))
        best = fidelities(asked)[0].estimate
        assert abs(best.z_score(0.93)) < 4
        reached += drawn(asked).lower_limit(0.95, 0) >= 0.8
    assert reached


def test_ways_are_ranked_by_their_shots(planned):
    shots = [one.shots for one in planned.ways if one.shots is not None]
    assert shots == sorted(shots)
    assert sum(number for _, number in planned.settings) == shots[0]
    assert len(plan_settings(W(3), 0.7, 0.95).ways) >= 2


def test_what_cannot_be_planned_is_refused():
    with pytest.raises(InputError, match=r"certify is 0\.95, expected less than expected, 0\.9"):
        plan_settings(GHZ(3), 0.95, 0.9)
    with pytest.raises(InputError, match="a mixed target, expected a pure one"):
        plan_settings(DensityMatrix(np.eye(4) / 4))


@pytest.mark.parametrize("suffix", ["csv", "json", "txt"])
def test_lists_of_settings_are_read_as_written(tmp_path, suffix):
    listed = SettingList.from_words([("XZY", 10), ("ZZZ", 3)])
    path = write_setting_list(listed, tmp_path / f"s.{suffix}")
    found = read_setting_list(path, 3)
    assert found.words() == [("XZY", 10), ("ZZZ", 3)]
    with pytest.raises(InputError, match="exists already"):
        write_setting_list(listed, path)
    with pytest.raises(InputError, match=r"ends in '.pdf', expected .csv, .json or .txt"):
        write_setting_list(listed, tmp_path / "s.pdf")


@pytest.mark.parametrize("text", ["{", "[1]", '[{"bases": "XX"}]', '[{"bases": "XX", "shots": true}]'])
def test_a_list_of_settings_that_is_none_is_refused(tmp_path, text):
    (tmp_path / "s.json").write_text(text)
    with pytest.raises(InputError, match=r'expected a list of objects such as \{"bases": "XZZY", "shots": 1000\}'):
        read_setting_list(tmp_path / "s.json", 2)


def test_circuits_turn_each_basis_to_z():
    """Qubits in the +1 states of X, Y and Z read 0 in circuits for them, and either bit in others."""
    plan = SettingsPlan("ghz", 0.8, 0.9, 0.95, 3, [], [("XYZ", 10), ("ZZZ", 5)])
    prepared = QuantumCircuit(3)
    prepared.h([0, 1])
    prepared.s(1)
    found = []
    for circuit in plan.circuits():
        circuit.remove_final_measurements()
        found.append(Statevector(prepared.compose(circuit)).probabilities_dict(decimals=9))
    assert [one.metadata for one in plan.circuits()] == [{"bases": "XYZ", "shots": 10}, {"bases": "ZZZ", "shots": 5}]
    assert found[0] == {"000": 1.0}
    assert found[1] == {"000": 0.25, "001": 0.25, "010": 0.25, "011": 0.25}
