"""Importers: what another program wrote comes out exactly, and whatever is wrong is told with its place."""

import json
import zipfile
from itertools import product
from pathlib import Path

import h5py
import numpy as np
import pytest

from qtomo import RecordFile, named_povm
from qtomo.distribution import LOST
from qtomo.errors import Code
from qtomo.measurement.readout import with_bit_confusion
from qtomo.records.importers.base import Imported
from qtomo.records.importers.readout import read_calibration, read_confusion
from qtomo.records.importers.registry import FORMATS
from qtomo.records.importing import write_imported
from qtomo.records.survey import coarsened, survey
from qtomo.records.uniformity import LEVEL, SettingTest
from tests.refusing import refused

FOREIGN = Path(__file__).parent / "foreign"
RNG = np.random.default_rng(4)
SETTINGS = RNG.integers(0, 3, (500, 5), dtype=np.uint8)
BITS = RNG.integers(0, 2, (500, 5), dtype=np.uint8)
LETTERS = np.array(list("XYZ"))[SETTINGS]
LABELS = RNG.integers(0, 4, (500, 5), dtype=np.uint8)
PAULI4 = named_povm("pauli4")


def blocks(source: Imported) -> tuple[np.ndarray, np.ndarray] | np.ndarray:
    found = list(source.blocks())
    if not source.has_settings:
        return np.concatenate(found)
    return np.concatenate([block[0] for block in found]), np.concatenate([block[1] for block in found])


def write_lines(path: Path, rows, separator=" ") -> Path:
    path.write_text("".join(separator.join(map(str, row)) + "\n" for row in rows))
    return path


def words(array) -> list[str]:
    return ["".join(map(str, row)) for row in array]


def write_hdf5(path: Path, **datasets) -> Path:
    with h5py.File(path, "w") as file:
        for name, data in datasets.items():
            file[f"run3/{name}"] = data
    return path


def hdf5(path: Path, **datasets) -> Imported:
    write_hdf5(path, bits=BITS, **datasets)
    return FORMATS["hdf5"](path, outcomes="/run3/bits", settings="/run3/bases")


def csv(path: Path, text: str, **options) -> Imported:
    path.write_text(text)
    return FORMATS["csv"](path, **options)


SHOTS = {
    "hdf5 numbers": lambda p: hdf5(p, bases=SETTINGS.astype(np.int64)),
    "hdf5 letters": lambda p: hdf5(p, bases=LETTERS.astype("S1")),
    "hdf5 strings of variable length": lambda p: hdf5(p, bases=LETTERS.astype(object)),
    "hdf5 a word a row": lambda p: hdf5(p, bases=np.array(words(LETTERS), dtype="S5")),
    "csv words": lambda p: csv(p, "".join(f"{s},{b}\n" for s, b in zip(words(LETTERS), words(BITS), strict=True))),
    "csv header, other order": lambda p: csv(
        p, "bits;basis\n" + "".join(f"{b};{s}\n" for s, b in zip(words(LETTERS), words(BITS), strict=True))
    ),
    "csv columns": lambda p: FORMATS["csv"](write_lines(p, np.hstack([LETTERS, BITS.astype(str)]), ",")),
    "npz": lambda p: (
        np.savez_compressed(p.with_suffix(".npz"), b=BITS, s=SETTINGS),
        FORMATS["npy"](p.with_suffix(".npz"), outcomes="b", settings="s"),
    )[1],
    "npy pair": lambda p: (
        np.save(p.with_name("b.npy"), BITS.astype(float)),
        np.save(p.with_name("s.npy"), LETTERS),
        FORMATS["npy"](p.with_name("b.npy"), settings=str(p.with_name("s.npy"))),
    )[2],
    "qucumber": lambda p: FORMATS["qucumber"](
        write_lines(p, BITS), bases=write_lines(p.with_name("bases.txt"), LETTERS)
    ),
}


@pytest.mark.parametrize("name", SHOTS)
def test_shots_come_out_as_they_went_in(tmp_path, name):
    source = SHOTS[name](tmp_path / "foreign")
    settings, bits = blocks(source)
    assert np.array_equal(settings, SETTINGS)
    assert np.array_equal(bits, BITS)
    found = survey(source)
    with RecordFile(write_imported(source, found, tmp_path / "a.h5")) as file:
        assert np.array_equal(file.settings(), SETTINGS)
        assert np.array_equal(file.load(), 2 * SETTINGS + BITS)
        assert file.design == found.design == "random"


OUTCOMES = {
    "hdf5": lambda p: FORMATS["hdf5"](write_hdf5(p, a=LABELS), outcomes="run3/a", povm=PAULI4),
    "csv words": lambda p: csv(p, "\n".join(words(LABELS)), povm=PAULI4),
    "csv columns": lambda p: FORMATS["csv"](write_lines(p, LABELS, "\t"), povm=PAULI4),
    "npy": lambda p: (np.save(p.with_name("a.npy"), LABELS), FORMATS["npy"](p.with_name("a.npy"), povm=PAULI4))[1],
    "onehot": lambda p: FORMATS["onehot"](write_lines(p, np.eye(4, dtype=int)[LABELS].reshape(500, 20))),
    "onehot floats": lambda p: (
        np.savetxt(p, np.eye(4)[LABELS].reshape(500, 20)),
        FORMATS["onehot"](p, povm=PAULI4),
    )[1],
}


@pytest.mark.parametrize("name", OUTCOMES)
def test_outcomes_come_out_as_they_went_in(tmp_path, name):
    source = OUTCOMES[name](tmp_path / "foreign")
    assert np.array_equal(blocks(source), LABELS)
    with RecordFile(write_imported(source, survey(source), tmp_path / "a.h5")) as file:
        assert np.array_equal(file.load(), LABELS)
        assert file.design == "povm"


def test_pastaq_as_julia_writes_it(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:  # a matrix (shots, N) of Julia is (N, shots) to HDF5
        file["outcomes"] = BITS.T.astype(np.int64)
        file["state"] = "nothing"
    settings, bits = blocks(FORMATS["pastaq"](tmp_path / "a.h5"))
    assert (settings == 2).all()
    assert np.array_equal(bits, BITS)
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["bases"] = LETTERS.T.astype(object)
    settings, bits = blocks(FORMATS["pastaq"](tmp_path / "a.h5"))
    assert np.array_equal(settings, SETTINGS)
    assert np.array_equal(bits, BITS)
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["inputs"] = file["bases"][()]
    with refused(Code.UNSUPPORTED, r"a\.h5: /inputs"):
        FORMATS["pastaq"](tmp_path / "a.h5")


def test_qiskit_files_written_by_qiskit():
    """Qubit 0 is |1> and qubit 2 |0> in ZZZ: only the reversed string says so (foreign/README.md)."""
    result = blocks(FORMATS["qiskit"](FOREIGN / "result.json", basis_order="plain"))
    memory = blocks(FORMATS["qiskit"](FOREIGN / "memory.json", bit_order="qiskit", basis_order="plain"))
    counts = blocks(FORMATS["qiskit"](FOREIGN / "counts.json", bit_order="qiskit", basis_order="plain"))
    for settings, bits in (result, memory, counts):
        assert [words(np.array(list("XYZ"))[settings])[row] for row in (0, 20, 40)] == ["XZZ", "ZZZ", "YZX"]
        assert bits.shape == (60, 3)
        zzz = (settings == 2).all(axis=1)
        assert (bits[zzz][:, 0] == 1).all()
        assert (bits[zzz][:, 2] == 0).all()
        assert set(bits[zzz][:, 1]) == {0, 1}
    assert np.array_equal(result[1], memory[1])
    assert all(sorted(words(memory[1][i : i + 20])) == sorted(words(counts[1][i : i + 20])) for i in (0, 20, 40))
    plain = blocks(FORMATS["qiskit"](FOREIGN / "memory.json", bit_order="plain", basis_order="qiskit"))
    assert np.array_equal(plain[1], memory[1][:, ::-1])
    assert np.array_equal(plain[0], memory[0][:, ::-1])


def test_qiskit_registers_and_lost_bits(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"XXZ": {"1 00": 2, "0 0?": 1}}))
    order = {"bit_order": "qiskit", "basis_order": "plain", "lost": "?"}
    with refused(Code.REQUIRED, r"registers 0 \(2 bits\), 1 \(1 bit\); expected --register"):
        FORMATS["qiskit"](path, **order)
    source = FORMATS["qiskit"](path, **order, register=("0", "1"))
    assert blocks(source)[1].tolist() == [[0, 0, 1], [0, 0, 1], [LOST, 0, 0]]


def test_qucumber_files_that_qucumber_reads():
    settings, bits = blocks(FORMATS["qucumber"](FOREIGN / "samples.txt", bases=FOREIGN / "bases.txt"))
    assert np.array_equal(bits, np.loadtxt(FOREIGN / "samples.txt"))
    assert np.array_equal(np.array(list("XYZ"))[settings], np.loadtxt(FOREIGN / "bases.txt", dtype=str))


@pytest.mark.parametrize(
    ("mark", "value", "kind"), [("-1", -1, int), ("9", 9, int), ("nan", np.nan, float), ("255", 255, np.uint8)]
)
def test_lost_outcomes_stay_lost(tmp_path, mark, value, kind):
    foreign = BITS.astype(kind)
    foreign[3, 2] = value
    write_hdf5(tmp_path / "a.h5", bits=foreign, bases=SETTINGS)
    mapping = {"outcomes": "/run3/bits", "settings": "/run3/bases"}
    with refused(Code.VALUE, r"row 3, site 2: .*--lost VALUE"):
        survey(FORMATS["hdf5"](tmp_path / "a.h5", **mapping))
    source = FORMATS["hdf5"](tmp_path / "a.h5", **mapping, lost=mark)
    assert survey(source).n_lost == 1
    assert blocks(source)[1][3, 2] == LOST


def test_counting_from_one_is_asked_for(tmp_path):
    write_hdf5(tmp_path / "a.h5", bits=BITS + 1, bases=SETTINGS + 1)
    mapping = {"outcomes": "/run3/bits", "settings": "/run3/bases"}
    for asked, message in (("outcomes", "--one-based settings"), ("settings", "--one-based outcomes")):
        with refused(Code.VALUE, message):
            survey(FORMATS["hdf5"](tmp_path / "a.h5", **mapping, one_based=asked))
    settings, bits = blocks(FORMATS["hdf5"](tmp_path / "a.h5", **mapping, one_based="both"))
    assert np.array_equal(settings, SETTINGS)
    assert np.array_equal(bits, BITS)


def test_columns_and_one_basis_for_all(tmp_path):
    text = "time,bits\n" + "".join(f"{row / 2},{word}\n" for row, word in enumerate(words(BITS)))
    source = csv(tmp_path / "a.csv", text, column=("time",), basis="XZZYX")
    assert np.array_equal(survey(source).columns["time"], np.arange(500) / 2)
    assert (blocks(source)[0] == [0, 2, 2, 1, 0]).all()
    write_hdf5(tmp_path / "a.h5", bits=BITS, t=np.arange(500))
    source = FORMATS["hdf5"](tmp_path / "a.h5", outcomes="run3/bits", basis="Z", column=("time=/run3/t",))
    with RecordFile(write_imported(source, survey(source), tmp_path / "b.h5")) as file:
        assert np.array_equal(file.columns()["time"], np.arange(500))
        assert file.design == "listed"


def huge(path: Path, **options) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("bits", shape=(10**9, 20), dtype="u1", **options)
    assert path.stat().st_size < 5000


def never_written(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("bits", shape=(100_000, 20), dtype="u1", chunks=(1000, 20))
        file["more"] = RNG.integers(0, 9, 10_000)


def external_link(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["bits"] = h5py.ExternalLink("other.h5", "/bits")


def soft_link(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["there"] = BITS
        file["bits"] = h5py.SoftLink("/there")


def external_storage(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("bits", shape=(3, 5), dtype="u1", external=[("/etc/hostname", 0, 15)])


def virtual(path: Path) -> None:
    with h5py.File(path, "w") as file:
        layout = h5py.VirtualLayout(shape=(3, 5), dtype="u1")
        layout[:] = h5py.VirtualSource("other.h5", "bits", shape=(3, 5))
        file.create_virtual_dataset("bits", layout)


def references(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["x"] = 1
        file.create_dataset("bits", data=np.array([[file["x"].ref] * 2], dtype=h5py.ref_dtype))


def hdf5_of(data):
    def write(path: Path) -> None:
        with h5py.File(path, "w") as file:
            file["bits"] = data

    return write


def npy_claiming(path: Path) -> None:
    with path.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (10**9, 20)}
        np.lib.format.write_array_header_1_0(file, header)
        file.write(b"\0" * 900)


def npy_of(data):
    def write(path: Path) -> None:
        with path.open("wb") as file:
            np.save(file, data, allow_pickle=True)

    return write


def npz_of_others(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, a=BITS)


def npz_claiming(path: Path) -> None:
    npy_claiming(path.with_name("inner"))
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(path.with_name("inner"), "b.npy")


HDF5 = ("hdf5", {"outcomes": "bits", "basis": "Z"})
CSV, QISKIT = ("csv", {}), ("qiskit", {"bit_order": "qiskit", "basis_order": "plain"})
NPY, NPZ = ("npy", {"basis": "Z"}), ("npy", {"outcomes": "b", "basis": "Z"})

# Format and options, what is in the file, and what is said of it.
MALFORMED = {
    "hdf5 no file of it": (HDF5, "hello", Code.KIND, "not an HDF5 file, expected a file of measurement records"),
    "hdf5 missing": (HDF5, lambda p: h5py.File(p, "w").close(), Code.ABSENT, "/bits: missing"),
    "hdf5 missing basis": (
        ("hdf5", {"outcomes": "bits"}),
        hdf5_of(BITS),
        Code.REQUIRED,
        "no basis of any shot, expected .*--settings",
    ),
    "hdf5 ragged": (
        HDF5,
        hdf5_of(np.array(["010", "01"], dtype=object)),
        Code.SHAPE,
        "row 1: 2 values of kind outcome, expected 3",
    ),
    "hdf5 letters": (
        HDF5,
        hdf5_of(np.array(["010", "0x0"], "S3")),
        Code.VALUE,
        "row 1, site 1: outcome 'x', expected 0",
    ),
    "hdf5 from one": (
        HDF5,
        hdf5_of(BITS + 1),
        Code.VALUE,
        "site .: outcome '2', expected 0 to 1; --one-based outcomes",
    ),
    "hdf5 empty": (HDF5, hdf5_of(np.zeros((0, 3), "u1")), Code.TOO_FEW, r"/bits: shape \(0, 3\) holds no record"),
    "hdf5 empty file": (HDF5, "", Code.KIND, "not an HDF5 file"),
    "hdf5 nan": (
        HDF5,
        hdf5_of(np.full((2, 2), np.nan)),
        Code.VALUE,
        "/bits, row 0, site 0: outcome 'nan', expected 0 to 1",
    ),
    "hdf5 half": (
        HDF5,
        hdf5_of(np.full((2, 2), 0.5)),
        Code.VALUE,
        "/bits, row 0, site 0: outcome '0.5', expected 0 to 1",
    ),
    "hdf5 negative": (
        HDF5,
        hdf5_of(-BITS.astype(int)),
        Code.VALUE,
        "/bits, row 0, site .: outcome '-1', expected 0 to 1",
    ),
    "hdf5 huge": (
        HDF5,
        huge,
        Code.TOO_LARGE,
        "/bits: shape .* claims 20,000,000,000 bytes, expected no more than a file of",
    ),
    "hdf5 huge, chunked": (
        HDF5,
        lambda p: huge(p, chunks=(1000, 20)),
        Code.TOO_LARGE,
        "/bits: shape .* claims 20,000,000,000 bytes",
    ),
    "hdf5 never written": (HDF5, never_written, Code.DAMAGED, "/bits: .* but some were never written"),
    "hdf5 external link": (
        HDF5,
        external_link,
        Code.DAMAGED,
        "/bits: a link that may point elsewhere, which is refused",
    ),
    "hdf5 soft link": (HDF5, soft_link, Code.DAMAGED, "/bits: a link that may point elsewhere, which is refused"),
    "hdf5 external storage": (
        HDF5,
        external_storage,
        Code.DAMAGED,
        "/bits: stored outside this file, which is refused",
    ),
    "hdf5 virtual": (HDF5, virtual, Code.DAMAGED, "/bits: stored outside this file, which is refused"),
    "hdf5 references": (HDF5, references, Code.SHAPE, "/bits: data of type object, expected numbers or letters"),
    "hdf5 complex": (
        HDF5,
        hdf5_of(np.ones((2, 2), complex)),
        Code.SHAPE,
        "data of type complex128, expected numbers or letters",
    ),
    "hdf5 one dimension": (HDF5, hdf5_of(np.ones(4)), Code.SHAPE, "/bits: 1 dimensions, expected two"),
    "hdf5 non-UTF8": (HDF5, hdf5_of(np.array([b"\xff\xfe"], "S2")), Code.VALUE, "/bits, row 0, site 0: outcome"),
    "csv empty": (CSV, "", Code.TOO_FEW, "an empty file, expected lines such as XZZY,0110"),
    "csv only comments": (CSV, "# nothing\n", Code.TOO_FEW, "no line of data, expected lines such as XZZY,0110"),
    "csv missing basis": (CSV, "0110\n", Code.REQUIRED, r"no basis of any shot, expected .*\(--basis\)"),
    "csv missing one basis": (CSV, "XZ,01\n,01\n", Code.SHAPE, "line 2: 0 values of kind basis, expected 2"),
    "csv ragged": (CSV, "XZ,01\nXZ,011\n", Code.SHAPE, "line 2: 3 values of kind outcome, expected 2"),
    "csv ragged columns": (CSV, "X,Z,0,1\nX,Z,0\n", Code.SHAPE, "line 2: 3 words, expected 4 as in the first line"),
    "csv other letter": (CSV, "XZ,01\nXQ,01\n", Code.VALUE, "line 2, site 1: basis 'Q', expected X, Y, Z or 0, 1, 2"),
    "csv letter for a bit": (CSV, "XZ,01\nXZ,0a\n", Code.VALUE, "line 2, site 1: outcome 'a', expected 0 to 1"),
    "csv from one": (
        CSV,
        "X,Z,1,2\n",
        Code.VALUE,
        "line 1, site 1: outcome '2', expected 0 to 1; --one-based outcomes",
    ),
    "csv nan": (CSV, "X,Z,0,nan\n", Code.VALUE, "line 1, site 1: outcome 'nan', expected 0 to 1"),
    "csv negative": (CSV, "X,Z,0,-1\n", Code.VALUE, "line 1, site 1: outcome '-1', expected 0 to 1"),
    "csv non-UTF8": (CSV, b"XZ,01\nXZ,0\xff\n", Code.DAMAGED, "line 2: byte 0xff is not UTF-8 text"),
    "csv other column": (
        CSV,
        "bases,bits,run\nX,1,3\n",
        Code.UNKNOWN,
        "line 1: column 'run', expected bases, bits .*--column run",
    ),
    "csv columns out of order": (
        CSV,
        "basis_1,basis_0,bit_0,bit_1\nX,Z,0,1\n",
        Code.SYNTAX,
        "columns basis_1, basis_0, expected",
    ),
    "csv header alone": (CSV, "bases,bits\n", Code.TOO_FEW, "after its header: no line of data"),
    "npy no file of it": (NPY, "hello", Code.DAMAGED, "not readable .*, expected an array"),
    "npy huge": (NPY, npy_claiming, Code.DAMAGED, "claims 20,000,000,000 bytes, but the file holds 900"),
    "npz huge": (NPZ, npz_claiming, Code.DAMAGED, "claims 20,000,000,000 bytes, but the file holds 900"),
    "npz other name": (NPZ, npz_of_others, Code.ABSENT, "no array 'b', expected one of a"),
    "npy pickle": (NPY, npy_of(np.array([[None]])), Code.SHAPE, "array of object"),
    "npy one dimension": (NPY, npy_of(np.ones(3)), Code.SHAPE, r"array of float64 \(3,\), expected"),
    "npy nan": (NPY, npy_of(np.full((2, 2), np.nan)), Code.VALUE, "row 0, site 0: outcome 'nan'"),
    "qiskit no JSON": (QISKIT, "{", Code.DAMAGED, "not readable .*, expected JSON of Qiskit counts or memory"),
    "qiskit deep": (QISKIT, "[" * 200_000, Code.DAMAGED, "not readable .*, expected JSON"),
    "qiskit empty": (QISKIT, "[]", Code.TOO_FEW, "no experiments, expected JSON"),
    "qiskit non-UTF8": (QISKIT, b'{"X": {"\xff": 1}}', Code.DAMAGED, "not readable .*, expected JSON"),
    "qiskit bits in doubt": (
        ("qiskit", {}),
        '{"XX": {"01": 1}}',
        Code.REQUIRED,
        "whose order is in doubt; expected --bit-order",
    ),
    "qiskit labels in doubt": (
        ("qiskit", {"bit_order": "qiskit"}),
        '{"XZ": {"01": 1}}',
        Code.REQUIRED,
        "basis label 'XZ' may run either way; expected --basis-order plain",
    ),
    "qiskit missing basis": (
        QISKIT,
        '[{"counts": {"01": 1}}]',
        Code.REQUIRED,
        "experiment 0: no basis, expected a label such as XZZ",
    ),
    "qiskit ragged": (QISKIT, '{"XX": {"01": 1, "011": 1}}', Code.SHAPE, "'011': 3 bits, expected 2"),
    "qiskit widths": (
        QISKIT,
        '{"XX": {"01": 1}, "ZZ": {"011": 1}}',
        Code.MISMATCH,
        "experiment 1: 3 bits, expected 2 as in",
    ),
    "qiskit letters": (QISKIT, '{"XX": {"0a": 1}}', Code.VALUE, "'0a', site 0: outcome 'a', expected 0 to 1"),
    "qiskit negative": (QISKIT, '{"XX": {"01": -1}}', Code.VALUE, "counts of '01': -1, expected a whole number"),
    "qiskit fraction": (QISKIT, '{"XX": {"01": 0.5}}', Code.VALUE, "counts of '01': 0.5, expected a whole number"),
    "qiskit nan": (QISKIT, '{"XX": {"01": NaN}}', Code.DAMAGED, "NaN is no number"),
    "qiskit twice": (QISKIT, '{"XX": {"01": 1, "01": 2}}', Code.DAMAGED, "'01' stands twice in one object"),
    "qiskit huge": (
        QISKIT,
        '{"XX": {"01": 1000000000}}',
        Code.TOO_LARGE,
        "1,000,000,000 shots, expected at most 100,000,000",
    ),
    "qiskit hex of unknown width": (
        QISKIT,
        '{"XX": {"0x1": 1}}',
        Code.SYNTAX,
        "'0x1' without memory_slots .*, expected bit",
    ),
    "qiskit label": (QISKIT, '{"XQ": {"01": 1}}', Code.SYNTAX, "basis 'XQ', expected 2 letters X, Y or Z"),
    "qucumber ragged": (
        ("qucumber", {"basis": "Z"}),
        "0 1\n0 1 1\n",
        Code.SHAPE,
        "line 2: 3 values of kind outcome, expected 2",
    ),
    "qucumber missing basis": (("qucumber", {}), "0 1\n", Code.REQUIRED, "no basis of any shot, expected .*--bases"),
    "qucumber letters": (("qucumber", {"basis": "Z"}), "0 1\n0 b\n", Code.VALUE, "line 2, site 1: outcome 'b'"),
    "onehot two ones": (
        ("onehot", {}),
        "0 1 0 0 1 1 0 0\n",
        Code.VALUE,
        "line 1, site 1: 2 ones in .*, expected exactly one",
    ),
    "onehot ragged": (
        ("onehot", {}),
        "0 1 0 0\n0 1 0 0 1 0 0 0\n",
        Code.SHAPE,
        "line 2: 8 entries, expected 4 as in the first",
    ),
    "onehot width": (("onehot", {}), "0 1 0\n", Code.SHAPE, "line 1: 3 entries, expected a multiple of K = 4"),
    "onehot letters": (("onehot", {}), "0 1 0 x\n", Code.VALUE, "line 1, site 3: entry 'x', expected 0 or 1"),
    "pastaq other file": (("pastaq", {}), hdf5_of(BITS), Code.ABSENT, "/outcomes: missing"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_wrong_is_told_with_its_place(tmp_path, name):
    (kind, options), content, code, message = MALFORMED[name]
    path = tmp_path / "foreign"
    if callable(content):
        content(path)
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with refused(code, f"(?s)foreign.*({message})"):
        survey(FORMATS[kind](path, **options))


@pytest.mark.parametrize("name", FORMATS)
def test_no_file(tmp_path, name):
    options = {"hdf5": {"outcomes": "a", "basis": "Z"}, "csv": {}, "npy": {"basis": "Z"}, "qucumber": {"basis": "Z"}}
    with refused(Code.ABSENT, "none"):
        FORMATS[name](tmp_path / "none", **options.get(name, {}))


def test_a_bases_file_that_ends_early(tmp_path):
    samples, bases = write_lines(tmp_path / "s.txt", BITS), write_lines(tmp_path / "b.txt", LETTERS[:-1])
    with refused(Code.SHAPE, r"b\.txt, at the end"):
        survey(FORMATS["qucumber"](samples, bases=bases))


def uniformity(settings):
    test = SettingTest(settings.shape[1])
    for first in range(0, len(settings), 177):
        test.add(settings[first : first + 177])
    return test.result()


def test_random_bases_pass():
    """200 designs, false alarm 1e-3 each by Bonferroni: more than 4 alarms have probability below 1e-6."""
    rng = np.random.default_rng(8)
    for n_sites, n_records in ((1, 300), (3, 2000), (10, 500), (30, 200)):
        alarms = [not uniformity(rng.integers(0, 3, (n_records, n_sites), dtype=np.uint8)).is_random for _ in range(50)]
        assert sum(alarms) <= 4


DESIGNS = {
    "one setting": np.tile(np.array([0, 1, 2, 0], np.uint8), (500, 1)),
    "few settings, shuffled": RNG.permutation(np.repeat(RNG.integers(0, 3, (20, 10), dtype=np.uint8), 50, axis=0)),
    "each setting held": np.repeat(RNG.integers(0, 3, (500, 3), dtype=np.uint8), 4, axis=0),
    "all settings, equally often": np.tile(np.array(list(product(range(3), repeat=4)), np.uint8), (50, 1)),
    "biased": RNG.choice(3, p=[0.4, 0.3, 0.3], size=(3000, 6)).astype(np.uint8),
    "the same on all qubits": np.repeat(RNG.integers(0, 3, (500, 1), dtype=np.uint8), 6, axis=1),
    "too few shots": RNG.integers(0, 3, (10, 6), dtype=np.uint8),
}


@pytest.mark.parametrize("name", DESIGNS)
def test_other_designs_are_told(name):
    assert not uniformity(DESIGNS[name]).is_random


def test_coarsening_to_pauli4(tmp_path):
    source = SHOTS["csv words"](tmp_path / "a.csv")
    found = survey(source)
    assert found.uniformity.p_value >= LEVEL
    four = coarsened(source, found)
    of = {(2, 0): 0, (0, 0): 1, (1, 0): 2}
    expected = [[of.get((s, b), 3) for s, b in zip(*row, strict=True)] for row in zip(SETTINGS, BITS, strict=True)]
    assert np.array_equal(blocks(four), expected)
    assert np.allclose(four.povm.elements, PAULI4.elements, atol=1e-15)
    fixed = csv(tmp_path / "b.csv", "XZ,01\n" * 100)
    with refused(Code.UNSUPPORTED, r"b\.csv: 1 settings in 100 shots; bases are not .* p = .*expected p of"):
        coarsened(fixed, survey(fixed))


CONFUSION = np.array([[[0.99, 0.04], [0.01, 0.96]], [[0.9, 0.2], [0.1, 0.8]]])


def test_confusion_files(tmp_path):
    np.save(tmp_path / "c.npy", CONFUSION)
    (tmp_path / "c.json").write_text(json.dumps(CONFUSION.tolist()))
    (tmp_path / "c.csv").write_text("0.99,0.04\n0.01,0.96\n0.9,0.2\n0.1,0.8\n")
    for name in ("c.npy", "c.json", "c.csv"):
        assert np.allclose(read_confusion(tmp_path / name, 2), CONFUSION, atol=1e-12)
    (tmp_path / "one.csv").write_text("0.99 0.04\n0.01 0.96\n")
    assert read_confusion(tmp_path / "one.csv", 3).shape == (3, 2, 2)


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("0.9 0.1\n0.2 0.8\n", Code.UNPHYSICAL, "site 0: column 0 sums to 1.1, expected 1; its rows do: transpose it"),
        ("0.9 0.1\n", Code.SHAPE, r"expected \(2, 2\) or \(2, 2, 2\)"),
        ("0.9 0.1\n0.1\n", Code.SHAPE, "not numbers of one shape"),
        ("1.1 0\n-0.1 1\n", Code.VALUE, r"site 0, p\(0\|0\): 1.1, expected 0 to 1"),
        ("nan 0\n0 1\n", Code.VALUE, r"p\(0\|0\): nan, expected 0 to 1"),
    ],
)
def test_confusion_that_is_none(tmp_path, text, code, message):
    (tmp_path / "c.csv").write_text(text)
    with refused(code, rf"c\.csv.*{message}"):
        read_confusion(tmp_path / "c.csv", 2)


def test_readout_enters_the_elements():
    """Bit b of basis s read as a: Tr(M' rho) is the confusion of the probabilities, and pairs still sum to 1/3."""
    povm = with_bit_confusion(named_povm("pauli6"), CONFUSION, 2)
    assert povm.measures_bases
    rho = np.array([[0.7, 0.1 - 0.2j], [0.1 + 0.2j, 0.3]])
    ideal = np.einsum("aij,ji->a", named_povm("pauli6").elements, rho).real.reshape(3, 2)
    read = np.einsum("naij,ji->na", povm.elements, rho).real.reshape(2, 3, 2)
    assert np.allclose(read, np.einsum("nab,sb->nsa", CONFUSION, ideal), atol=1e-15)
    four = with_bit_confusion(PAULI4, CONFUSION, 2)
    assert np.allclose(four.elements[:, :3], povm.elements[:, [4, 0, 2]], atol=1e-12)


def test_calibration_shots(tmp_path):
    rng = np.random.default_rng(1)
    n, flips = 4000, CONFUSION[:, [1, 0], [0, 1]]
    zeros = (rng.random((n, 2)) < flips[:, 0]).astype(int)
    ones = (rng.random((n, 2)) >= flips[:, 1]).astype(int)
    zeros[:5, 1] = -1
    write_lines(tmp_path / "0.txt", zeros)
    np.save(tmp_path / "1.npy", ones)
    found = read_calibration(tmp_path / "0.txt", tmp_path / "1.npy", 2, {"lost": "-1"})
    assert found.shots.tolist() == [[n, n], [n - 5, n]]
    assert (found.wrong[:, 1] == (ones == 0).sum(axis=0)).all()
    off = np.abs(found.confusion[:, [1, 0], [0, 1]] - flips)
    assert (off < 5.5 * found.errors).all()  # four numbers: false alarm 2e-7
    assert np.allclose(found.errors, np.sqrt(flips * (1 - flips) / n), rtol=0.1)
    write_lines(tmp_path / "0.txt", np.zeros((100, 2), int))
    perfect = read_calibration(tmp_path / "0.txt", tmp_path / "1.npy", 2)
    assert (perfect.errors > 0).all()
    with refused(Code.MISMATCH, r"0\.txt"):
        read_calibration(tmp_path / "0.txt", tmp_path / "1.npy", 3)


def test_a_column_of_counts_stands_for_as_many_shots(tmp_path):
    path = tmp_path / "lab.csv"
    path.write_text("bases,bits,counts\nZZ,00,4\nZX,11,0\nXZ,01,2\n")
    settings, bits = blocks(FORMATS["csv"](path))
    assert settings.tolist() == [[2, 2]] * 4 + [[0, 2]] * 2
    assert bits.tolist() == [[0, 0]] * 4 + [[0, 1]] * 2
    with refused(Code.CONFLICT, "keep no number per shot"):
        path.write_text("bases,bits,counts,time\nZZ,00,4,1\n")
        FORMATS["csv"](path, column=("time",))
