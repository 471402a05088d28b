"""Files of laboratories, built small from what their formats are: read with no format named, or asked about."""

import base64
import io
import itertools
import json
import subprocess
import sys
import zlib

import h5py
import numpy as np
import pytest

from qtomo import RecordFile, import_records
from qtomo.distribution import LOST
from qtomo.errors import Code
from qtomo.records.importers.counts import smallest_shots
from qtomo.records.importers.registry import read_format, recognise
from tests.refusing import refused

BASES = ["".join(letters) for letters in itertools.product("XYZ", repeat=2)]


def table(source):
    """All shots as words, (basis, bits), in their order."""
    letters = np.array(list("XYZ"))
    found = []
    for settings, bits in source.blocks():
        words = ["".join("?" if bit == LOST else str(bit) for bit in row) for row in bits]
        found += list(zip(("".join(letters[row]) for row in settings), words, strict=True))
    return found


def counted(source):
    found = {}
    for shot in table(source):
        found[shot] = found.get(shot, 0) + 1
    return found


def text(path, content):
    path.write_text(content)


def as_json(path, content):
    path.write_text(json.dumps(content))


def tomograms(path, names=("ions_024",), shape=3, shots=200, rng=None):
    """Shares of four outcomes in nine bases, of two experiments."""
    rng = rng or np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        for name in names:
            counts = rng.multinomial(shots, [0.4, 0.3, 0.2, 0.1], size=(2, 9))
            counts[0, 0] = [shots - 1, 1, 0, 0]
            data = file.create_dataset(name, data=(counts if shape == 3 else counts[0]) / shots)
            data.attrs["tomo_order"] = BASES
            data.attrs["state_order"] = ["a1", "b1"]


def bit_array(bits):
    """As Qiskit's primitives store shots (shots, bits), the last bit of a row in the lowest place."""
    file = io.BytesIO()
    width = -(-bits.shape[1] // 8) * 8
    padded = np.zeros((len(bits), width), np.uint8)
    padded[:, width - bits.shape[1] :] = bits
    np.save(file, np.packbits(padded, axis=1))
    array = {"__type__": "ndarray", "__value__": base64.b64encode(zlib.compress(file.getvalue())).decode()}
    return {"__type__": "BitArray", "__value__": {"array": array, "num_bits": bits.shape[1]}}


def sampler(path, registers, **metadata):
    fields = {name: bit_array(np.array(bits, np.uint8)) for name, bits in registers.items()}
    data = {"__type__": "DataBin", "__value__": {"field_names": list(fields), "fields": fields}}
    one = {"__type__": "SamplerPubResult", "__value__": {"data": data, "metadata": {"circuit_metadata": metadata}}}
    as_json(path, {"__type__": "PrimitiveResult", "__value__": {"pub_results": [one], "metadata": {"version": 2}}})


def result(path, name="tomo_XZ", counts=None, **header):
    header = {"name": name, "memory_slots": 2, "creg_sizes": [["c", 2]], **header}
    as_json(
        path, {"results": [{"success": True, "data": {"counts": counts or {"0x0": 2, "0x1": 1}}, "header": header}]}
    )


def aquila(path, shots, tasks=1):
    one = {"task_ir": {"lattice": {"sites": [[0, 0], [0, 5e-6]]}}, "task_result_ir": {"shot_outputs": shots}}
    as_json(path, {"job": {"tasks": [one] * tasks}})


def image(before, after, status="Success"):
    return {"shot_status": status, "pre_sequence": before, "post_sequence": after}


def analog(before, after, status="Success"):
    return {"shotMetadata": {"shotStatus": status}, "shotResult": {"preSequence": before, "postSequence": after}}


U = {"X": np.array([[1, 1], [1, -1]]) / np.sqrt(2), "Y": np.array([[1, -1j], [1, 1j]]) / np.sqrt(2), "Z": np.eye(2)}


def randomized(path, unitaries, results, names=("measurement_results", "measurement_settings")):
    np.savez(path, **{names[0]: np.array(results), names[1]: np.array(unitaries), "N": 2})


def julia(path, **datasets):
    with h5py.File(path, "w") as file:
        for name, values in datasets.items():
            file[name] = values


ZZ4 = np.tile([[0, 1], [1, 1]], (20, 1))

#: A file that its name ends like, how it is written, its format, the options that decide, and its shots by count.
READ = {
    "frequencies": (
        "h5",
        lambda p: tomograms(p),
        "frequencies",
        {"select": "a1", "shots_per_setting": 200},
        {("XX", "00"): 199, ("XX", "01"): 1},
    ),
    "frequencies of one experiment": (
        "h5",
        lambda p: tomograms(p, shape=2),
        "frequencies",
        {"shots_per_setting": 200},
        {("XX", "00"): 199, ("XX", "01"): 1},
    ),
    "counter lines": (
        "txt",
        lambda p: text(p, "".join(f"Counter({{'01': {n + 1}, '11': 2}})\n" for n in range(9))),
        "counters",
        {"bases": "lexicographic", "bit_order": "plain"},
        {("XX", "01"): 1, ("XX", "11"): 2, ("XY", "01"): 2, ("ZZ", "01"): 9},
    ),
    "counter lines with bases": (
        "txt",
        lambda p: text(p, "XZ: Counter({'01': 3})\nZZ: {'10': 1}\n"),
        "counters",
        {"bit_order": "qiskit"},
        {("XZ", "10"): 3, ("ZZ", "01"): 1},
    ),
    "Aquila": (
        "json",
        lambda p: aquila(p, [image([1, 1], [0, 1]), image([1, 0], [1, 0]), image([1, 1], [1, 1], "Failed")]),
        "rydberg",
        {},
        {("ZZ", "10"): 1, ("ZZ", "0?"): 1},
    ),
    "Aquila, one task of several": (
        "json",
        lambda p: aquila(p, [image([1, 1], [0, 1])], tasks=3),
        "rydberg",
        {"task": 1},
        {("ZZ", "10"): 1},
    ),
    "Braket analog": (
        "json",
        lambda p: as_json(p, {"measurements": [analog([1, 1], [1, 0])], "taskMetadata": {}}),
        "rydberg",
        {},
        {("ZZ", "01"): 1},
    ),
    "pytket": (
        "json",
        lambda p: as_json(p, {"(1, 0)": 2, "(0,0)": 1}),
        "pytket",
        {},
        {("ZZ", "10"): 2, ("ZZ", "00"): 1},
    ),
    "pytket by basis": (
        "json",
        lambda p: as_json(p, {"XZ": {"(1, 0)": 2}, "ZZ": {"(0, 0)": 1}}),
        "pytket",
        {},
        {("XZ", "10"): 2, ("ZZ", "00"): 1},
    ),
    "RandomMeas": (
        "npz",
        lambda p: randomized(p, [[U["X"], U["Z"]], [U["Y"], U["X"][::-1]]], [[[0, 1], [1, 1]], [[0, 0], [1, 0]]]),
        "randommeas",
        {},
        {("XZ", "01"): 1, ("XZ", "11"): 1, ("YX", "01"): 1, ("YX", "11"): 1},
    ),
    "SamplerV2": (
        "json",
        lambda p: sampler(p, {"meas": [[0, 1], [1, 0], [0, 1]]}, basis="XX"),
        "qiskit",
        {},
        {("XX", "10"): 2, ("XX", "01"): 1},
    ),
    "SamplerV2 of two registers": (
        "json",
        lambda p: sampler(p, {"mid": [[1], [0]], "c": [[0, 1], [1, 0]]}, basis="XX"),
        "qiskit",
        {"register": "c"},
        {("XX", "10"): 1, ("XX", "01"): 1},
    ),
    "registers joined": (
        "json",
        lambda p: sampler(p, {"a": [[1], [0]], "b": [[0], [0]]}, basis="ZZ"),
        "qiskit",
        {"register": ("b", "a")},
        {("ZZ", "01"): 1, ("ZZ", "00"): 1},
    ),
    "REST samples": (
        "json",
        lambda p: as_json(
            p,
            {
                "results": [
                    {
                        "data": {"meas": {"samples": ["0x1", "0x3"], "num_bits": 2}},
                        "metadata": {"circuit_metadata": {"basis": "XZ"}},
                    }
                ]
            },
        ),
        "qiskit",
        {"basis_order": "plain"},
        {("XZ", "10"): 1, ("XZ", "11"): 1},
    ),
    "a failed experiment is left out": (
        "json",
        lambda p: as_json(
            p,
            {
                "results": [
                    {"data": {"counts": {"0x1": 2}}, "header": {"name": "t_XX", "memory_slots": 2}},
                    {"success": False, "data": {}, "header": {"name": "t_ZZ", "memory_slots": 2}},
                ]
            },
        ),
        "qiskit",
        {},
        {("XX", "10"): 2},
    ),
    "mid-circuit bits": (
        "json",
        lambda p: result(p, "t_XX", {"0x5": 2}, memory_slots=3, creg_sizes=[["mid", 1], ["c", 2]]),
        "qiskit",
        {"register": "c"},
        {("XX", "01"): 2},
    ),
    "qiskit-experiments": (
        "json",
        lambda p: result(p, "StateTomography", metadata={"clbits": [1, 0], "m_idx": [0, 1]}),
        "qiskit",
        {},
        {("XZ", "00"): 2, ("XZ", "10"): 1},
    ),
    "counts of a register": (
        "json",
        lambda p: as_json(p, [{"basis": "XX", "counts": {"c": {"01": 2}}}]),
        "qiskit",
        {"bit_order": "qiskit"},
        {("XX", "10"): 2},
    ),
    "counts as floats": (
        "json",
        lambda p: as_json(p, [{"basis": "XX", "counts": {"01": 2.0}}]),
        "qiskit",
        {"bit_order": "plain"},
        {("XX", "01"): 2},
    ),
    "Braket gates": (
        "json",
        lambda p: as_json(p, {"measurements": [[0, 1], [1, 1]], "measuredQubits": [5, 2]}),
        "braket",
        {},
        {("ZZ", "10"): 1, ("ZZ", "11"): 1},
    ),
    "IonQ v1": (
        "json",
        lambda p: as_json(p, {"0": 5, "2": 3}),
        "ionq",
        {"qubits": 2},
        {("ZZ", "00"): 5, ("ZZ", "01"): 3},
    ),
    "IonQ v2": (
        "json",
        lambda p: as_json(p, {"histogram": {"registers": {"out": {"01": 4}}}}),
        "ionq",
        {"basis": "XX"},
        {("XX", "10"): 4},
    ),
    "IonQ probabilities": (
        "json",
        lambda p: as_json(p, {"0": 0.25, "3": 0.75}),
        "ionq",
        {"qubits": 2, "shots_per_setting": 8},
        {("ZZ", "00"): 2, ("ZZ", "11"): 6},
    ),
    "a table of counts": (
        "csv",
        lambda p: text(p, "basis,bits,count\nXZ,01,4\nZZ,00,6\n"),
        "csv",
        {},
        {("XZ", "01"): 4, ("ZZ", "00"): 6},
    ),
    "an index column of pandas": (
        "csv",
        lambda p: text(p, ",basis,bits\n0,XZ,01\n1,ZZ,11\n"),
        "csv",
        {},
        {("XZ", "01"): 1, ("ZZ", "11"): 1},
    ),
    "semicolons and decimal commas": (
        "csv",
        lambda p: text(p, "basis;bits;time\nXZ;01;0,5\nZZ;11;1,5\n"),
        "csv",
        {"column": "time"},
        {("XZ", "01"): 1, ("ZZ", "11"): 1},
    ),
    "columns of other names": (
        "csv",
        lambda p: text(p, "out1,axis0,out0,axis1\n1,X,0,Z\n1,Z,1,Z\n"),
        "csv",
        {"outcomes": "out{i}", "settings": "axis{i}"},
        {("XZ", "01"): 1, ("ZZ", "11"): 1},
    ),
    "eigenvalues": (
        "npy",
        lambda p: np.save(p, 1 - 2 * ZZ4),
        "npy",
        {"basis": "Z", "eigenvalues": True},
        {("ZZ", "01"): 20, ("ZZ", "11"): 20},
    ),
    "columns of Julia": (
        "h5",
        lambda p: julia(p, bits=ZZ4.T, bases=np.full((2, 40), 2)),
        "hdf5",
        {"records": "columns"},
        {("ZZ", "01"): 20, ("ZZ", "11"): 20},
    ),
    "arrays by their names": (
        "npz",
        lambda p: np.savez(p, bits=ZZ4, bases=np.full((40, 2), 2)),
        "npy",
        {},
        {("ZZ", "01"): 20, ("ZZ", "11"): 20},
    ),
    "samples of PastaQ": (
        "h5",
        lambda p: julia(p, outcomes=ZZ4.T, bases=np.full((2, 40), "Z", object)),
        "pastaq",
        {},
        {("ZZ", "01"): 20, ("ZZ", "11"): 20},
    ),
}


@pytest.fixture
def made(tmp_path):
    def make(name, suffix, write):
        path = tmp_path / f"{name.replace(' ', '-').replace(',', '')}.{suffix}"
        write(path)
        return path

    return make


@pytest.mark.parametrize("name", READ)
def test_it_is_read_with_no_format_named(made, name):
    suffix, write, format, options, shots = READ[name]
    path = made("data", suffix, write)
    assert recognise(path)[0][0] == format
    found = counted(read_format(path, None, options))
    assert shots.items() <= found.items()
    if format != "frequencies" and "counter lines" not in name:
        assert found == shots


#: Files and options that leave in doubt what is meant, or that are wrong: the code, and words that tell what to do.
DOUBTFUL = {
    "several datasets": ("h5", lambda p: tomograms(p, ("a", "b")), {}, Code.REQUIRED, "/a, /b; expected --outcomes"),
    "several experiments": ("h5", lambda p: tomograms(p), {}, Code.REQUIRED, "--select with one of a1, b1"),
    "no such experiment": ("h5", lambda p: tomograms(p), {"select": "c9"}, Code.UNKNOWN, "no experiment 'c9'"),
    "unknown shots": ("h5", lambda p: tomograms(p), {"select": "a1"}, Code.REQUIRED, "makes all of them whole is 200"),
    "wrong shots": (
        "h5",
        lambda p: tomograms(p),
        {"select": "a1", "shots_per_setting": 30},
        Code.VALUE,
        "30 does not make the shares whole",
    ),
    "no bases of lines": ("txt", lambda p: text(p, "Counter({'01': 1})"), {}, Code.REQUIRED, "--bases lexicographic"),
    "too few lines": (
        "txt",
        lambda p: text(p, "Counter({'01': 1})"),
        {"bases": "lexicographic"},
        Code.MISMATCH,
        "9 bases, expected 1",
    ),
    "order of bits": ("txt", lambda p: text(p, "XX Counter({'01': 1})"), {}, Code.REQUIRED, "--bit-order plain"),
    "a word twice": (
        "txt",
        lambda p: text(p, "XX Counter({'01': 1, '01': 2})"),
        {"bit_order": "plain"},
        Code.SYNTAX,
        "each word once",
    ),
    "a call in the text": (
        "txt",
        lambda p: text(p, "Counter({'01': __import__('os').getpid()})"),
        {"bit_order": "plain"},
        Code.SYNTAX,
        "line 1",
    ),
    "several tasks": (
        "json",
        lambda p: aquila(p, [image([1], [1])], tasks=2),
        {},
        Code.REQUIRED,
        "2 tasks, expected --task with one of 0 to 1, or -1",
    ),
    "no such task": ("json", lambda p: aquila(p, [image([1], [1])]), {"task": 4}, Code.VALUE, "--task 4"),
    "an atom of 2": ("json", lambda p: aquila(p, [image([1], [2])]), {}, Code.VALUE, "shot 0, atom 0: 2"),
    "no shot succeeded": ("json", lambda p: aquila(p, [image([1], [1], "No")]), {}, Code.TOO_FEW, "none of 1 shots"),
    "images of other atoms": (
        "json",
        lambda p: aquila(p, [image([1, 1], [1])]),
        {},
        Code.SHAPE,
        "2 atoms before and 1",
    ),
    "tuples of several lengths": (
        "json",
        lambda p: as_json(p, {"(1, 0)": 2, "(0,)": 1}),
        {},
        Code.SHAPE,
        "1 bits, expec",
    ),
    "counts below zero": ("json", lambda p: as_json(p, {"(1, 0)": -2}), {}, Code.VALUE, "-2, expected a whole number"),
    "shares as counts": ("json", lambda p: as_json(p, {"(1, 0)": 0.25}), {}, Code.VALUE, "0.25, expected a whole"),
    "no basis of samples": (
        "json",
        lambda p: sampler(p, {"meas": [[0, 1]]}),
        {},
        Code.REQUIRED,
        "no basis, expected a label such as XZZ",
    ),
    "registers of SamplerV2": (
        "json",
        lambda p: sampler(p, {"mid": [[1]], "c": [[0, 1]]}, basis="XX"),
        {},
        Code.REQUIRED,
        r"mid \(1 bit\), c \(2 bits\); expected --register",
    ),
    "no such register": (
        "json",
        lambda p: sampler(p, {"mid": [[1]], "c": [[0, 1]]}, basis="XX"),
        {"register": "d"},
        Code.ABSENT,
        "no register 'd', found mid, c",
    ),
    "registers of unequal shots": (
        "json",
        lambda p: sampler(p, {"mid": [[1], [0]], "c": [[0, 1]]}, basis="XX"),
        {"register": "c"},
        Code.SHAPE,
        "as many in each",
    ),
    "a letter of a setting": ("json", lambda p: result(p, "t_XZ"), {}, Code.REQUIRED, "'XZ' may run either way"),
    "mid-circuit bits": (
        "json",
        lambda p: result(p, "t_XX", memory_slots=3, creg_sizes=[["mid", 1], ["c", 2]]),
        {},
        Code.REQUIRED,
        "registers mid",
    ),
    "spaces without names": (
        "json",
        lambda p: as_json(p, [{"counts": {"01 0": 5}}]),
        {"basis": "Z"},
        Code.REQUIRED,
        r"registers 0 \(1 bit\), 1 \(2 bits\)",
    ),
    "counts of registers apart": (
        "json",
        lambda p: as_json(p, [{"basis": "XX", "counts": {"a": {"0": 1}, "b": {"1": 1}}}]),
        {},
        Code.REQUIRED,
        "registers a, b, each by itself",
    ),
    "half a count": (
        "json",
        lambda p: as_json(p, [{"basis": "XX", "counts": {"01": 2.5}}]),
        {},
        Code.VALUE,
        "2.5, expected",
    ),
    "bare strings": ("json", lambda p: as_json(p, {"XX": {"01": 2}}), {}, Code.REQUIRED, "--bit-order qiskit"),
    "decimal states": ("json", lambda p: as_json(p, {"0": 5, "2": 3}), {}, Code.REQUIRED, r"--qubits \(2 or more\)"),
    "a state too large": ("json", lambda p: as_json(p, {"0": 5, "9": 3}), {"qubits": 2}, Code.VALUE, "below 4"),
    "probabilities": (
        "json",
        lambda p: as_json(p, {"0": 0.25, "3": 0.75}),
        {"qubits": 2},
        Code.REQUIRED,
        "--shots-per-setting NUMBER; the smallest number that makes these whole is 4",
    ),
    "probabilities that do not sum to 1": (
        "json",
        lambda p: as_json(p, {"0": 0.25, "3": 0.5}),
        {"qubits": 2, "shots_per_setting": 4},
        Code.VALUE,
        "sum to 0.75",
    ),
    "registers of IonQ": (
        "json",
        lambda p: as_json(p, {"histogram": {"registers": {"a": {"0": 1}, "b": {"1": 1}}}}),
        {},
        Code.REQUIRED,
        "registers a, b",
    ),
    "a qubit measured twice": (
        "json",
        lambda p: as_json(p, {"measurements": [[0, 1]], "measuredQubits": [5, 5]}),
        {},
        Code.VALUE,
        "distinct numbers",
    ),
    "an outcome of 3": (
        "json",
        lambda p: as_json(p, {"measurements": [[0, 3]], "measuredQubits": [5, 4]}),
        {},
        Code.VALUE,
        "shot 0, site 1: outcome '3'",
    ),
    "a unitary that is no basis": (
        "npz",
        lambda p: randomized(p, [[U["X"] @ np.diag([1, np.exp(0.3j)])]], [[[0]]]),
        {},
        Code.UNSUPPORTED,
        "setting 0, site 0: a unitary that measures neither X, Y nor Z",
    ),
    "no unitary": ("npz", lambda p: randomized(p, [[U["X"] + 1]], [[[0]]]), {}, Code.UNPHYSICAL, "no unitary matrix"),
    "unitaries of other qubits": ("npz", lambda p: randomized(p, [[U["X"]]], [[[0, 1]]]), {}, Code.SHAPE, "expected"),
    "outcomes from 1": (
        "npz",
        lambda p: randomized(p, [[U["X"]]], [[[1], [2]]]),
        {},
        Code.REQUIRED,
        "--one-based outcomes",
    ),
    "shares in a table": (
        "csv",
        lambda p: text(p, "basis,bits,frequency\nXZ,01,0.25\n"),
        {},
        Code.VALUE,
        "line 2, column of counts: 0.25",
    ),
    "two columns of counts": (
        "csv",
        lambda p: text(p, "basis,bits,count,shots\nXZ,01,2,10\n"),
        {},
        Code.CONFLICT,
        "count and shots",
    ),
    "columns of other names": (
        "csv",
        lambda p: text(p, "axis,out\nXZ,01\nZZ,11\n"),
        {},
        Code.UNKNOWN,
        "column 'axis', expected .*--outcomes axis",
    ),
    "a number that is missing": (
        "csv",
        lambda p: text(p, "out0,out2\n1,0\n"),
        {"outcomes": "out{i}", "basis": "Z"},
        Code.ABSENT,
        "i = 0, 2",
    ),
    "eigenvalues": (
        "npy",
        lambda p: np.save(p, 1 - 2 * ZZ4),
        {"basis": "Z"},
        Code.VALUE,
        "--eigenvalues where they are",
    ),
    "eigenvalues with their own mark": (
        "npy",
        lambda p: np.save(p, 1 - 2 * ZZ4),
        {"basis": "Z", "eigenvalues": True, "lost": "-1"},
        Code.CONFLICT,
        "stands for an eigenvalue",
    ),
    "columns of Julia": (
        "h5",
        lambda p: julia(p, bits=ZZ4.T, bases=np.full((2, 40), 2)),
        {},
        Code.REQUIRED,
        "expected --records rows or --records columns",
    ),
    "columns of MATLAB": ("npy", lambda p: np.save(p, ZZ4.T), {"basis": "Z"}, Code.REQUIRED, "--records rows"),
    "several arrays": (
        "npz",
        lambda p: np.savez(p, one=ZZ4, two=ZZ4),
        {"basis": "Z"},
        Code.REQUIRED,
        "one of one, two",
    ),
    "no datasets that are known": (
        "h5",
        lambda p: julia(p, one=ZZ4, two=ZZ4),
        {},
        Code.REQUIRED,
        r"/one \(40, 2\), /two",
    ),
    "nothing": ("bin", lambda p: p.write_bytes(bytes(range(256))), {}, Code.UNKNOWN, "of no format that is recognised"),
    "an empty file": ("csv", lambda p: p.write_bytes(b""), {}, Code.TOO_FEW, "an empty file"),
    "half of some JSON": ("json", lambda p: text(p, '{"XX": {"01": 2}'), {}, Code.DAMAGED, "not readable"),
    "deep JSON": ("json", lambda p: text(p, "[" * 100_000), {}, Code.DAMAGED, "not readable"),
}


@pytest.mark.parametrize("name", DOUBTFUL)
def test_it_is_asked_what_is_meant(made, name):
    suffix, write, options, code, words = DOUBTFUL[name]
    path = made("data", suffix, write)
    with refused(code, words) as caught:
        table(read_format(path, None, options))
    assert str(path) in str(caught.value) or "--lost -1" in str(caught.value)


def test_what_may_be_two_formats_is_not_guessed(tmp_path):
    """Zeros and ones with one 1 in each four: one-hot text, or outcomes of eight qubits."""
    path = tmp_path / "a.txt"
    path.write_text("1 0 0 0 0 0 1 0\n0 1 0 0 0 0 0 1\n")
    names = [name for name, _ in recognise(path)]
    assert names[0] == "onehot"
    assert {"csv", "qucumber"} <= set(names)
    path.write_text("1 0 1 0\n0 1 1 1\n")
    with refused(Code.REQUIRED, "may be of several formats.*csv.*qucumber"):
        read_format(path)
    assert read_format(path, "qucumber", {"basis": "Z"}).n_sites == 4


def test_several_files_are_one_experiment(tmp_path, qtomo):
    for name, basis in (("a", "XX"), ("b", "ZZ")):
        (tmp_path / f"{name}.csv").write_text(f"{basis},01\n{basis},11\n")
    found = qtomo("import", tmp_path / "a.csv", tmp_path / "b.csv", "--output", tmp_path / "all.h5")
    assert found.code == 0
    assert "taken for a text table" in found.errors
    assert "2 files, one after the other" in found.output
    with RecordFile(tmp_path / "all.h5") as file:
        assert file.n_records == 4
    (tmp_path / "c.csv").write_text("XXX,010\n")
    with refused(Code.MISMATCH, r"c\.csv: qubits 3, expected 2 as in"):
        import_records([tmp_path / "a.csv", tmp_path / "c.csv"], dry_run=True)


def test_a_file_that_another_program_writes_is_said_to_be_open(tmp_path):
    path = tmp_path / "live.h5"
    held = "import sys, h5py; f = h5py.File(sys.argv[1], 'w'); f['bits'] = [[0, 1]]; f.flush(); print('held'); input()"
    with subprocess.Popen(
        [sys.executable, "-u", "-c", held, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        with refused(Code.ENVIRONMENT, "open for writing in another program"):
            read_format(path, None, {"basis": "Z"})
        process.communicate("\n")
    assert read_format(path, None, {"basis": "Z"}).n_sites == 2


def test_the_smallest_number_of_shots():
    assert smallest_shots(np.array([0.005, 0.495, 0.5])) == 200
    assert smallest_shots(np.array([1 / 3, 2 / 3])) == 3
    assert smallest_shots(np.array([1.0, 0.0])) == 1
    assert smallest_shots(np.array([np.pi / 4, 1 - np.pi / 4]), most=1000) is None
