"""Record files: what goes in comes out, and whatever is wrong with a file is told in one line."""

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from qtomo import TFIM, RecordFile, Target, named_povm, simulate, write_records
from qtomo.distribution import LOST
from qtomo.errors import Code
from qtomo.records.file.reader import split
from qtomo.states.tfim import ground_state
from tests.refusing import refused

PAULI4 = named_povm("pauli4")
DATA = Path(__file__).parents[2] / "data" / "tfim10.h5"


def some_outcomes(rows: int = 1000, n_sites: int = 5) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 4, (rows, n_sites), dtype=np.uint8)


def test_what_goes_in_comes_out(tmp_path):
    outcomes, model = some_outcomes(), TFIM(5, 1.0, 0.5)
    state = ground_state(model)
    path = write_records(
        tmp_path / "a.h5", iter([outcomes[:300], outcomes[300:]]), 5, PAULI4, target=Target.of(model, state), seed=3
    )
    with RecordFile(path) as file:
        assert (file.load() == outcomes).all()
        assert (file.n_records, file.n_sites, file.n_outcomes, file.seed) == (1000, 5, 4, 3)
        assert np.array_equal(file.povm.elements, PAULI4.elements)
        assert file.povm.name == "pauli4"
        assert file.target.system == model
        assert abs(file.target.state().overlap(state)) == pytest.approx(1, abs=1e-12)


def test_a_target_without_tensors_is_computed(tmp_path):
    model = TFIM(4, 1.0, 0.8)
    path = write_records(tmp_path / "a.h5", [some_outcomes(10, 4)], 4, PAULI4, target=Target.of(model))
    with RecordFile(path) as file:
        assert abs(file.target.state().overlap(ground_state(model))) == pytest.approx(1)


def test_same_seed_same_bytes_and_another_seed_others(tmp_path):
    paths = [tmp_path / name for name in "abc"]
    for path, seed in zip(paths, (1, 1, 2), strict=True):
        simulate(TFIM(6), 20_000, path, seed=seed)
    first, second, other = (path.read_bytes() for path in paths)
    assert first == second
    assert first != other


def test_first_records_do_not_depend_on_how_many_follow(tmp_path):
    few, many = (RecordFile(simulate(TFIM(4), n, tmp_path / str(n), seed=1)).load() for n in (9000, 30_000))
    assert (many[:8192] == few[:8192]).all()


def test_an_interrupted_write_leaves_nothing(tmp_path):
    def blocks():
        yield some_outcomes()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_records(tmp_path / "a.h5", blocks(), 5, PAULI4)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_overwrite_keeps_the_old_file(tmp_path):
    path = write_records(tmp_path / "a.h5", [some_outcomes()], 5, PAULI4)
    before = path.read_bytes()

    def blocks():
        yield some_outcomes()
        raise OSError(28, "No space left on device")

    with refused(Code.ENVIRONMENT, r"a\.h5"):
        write_records(path, blocks(), 5, PAULI4, overwrite=True)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("block", "code", "fault"),
    [
        (np.zeros((3, 4), np.uint8), Code.SHAPE, r"uint8 \(3, 4\), expected uint8 \(rows, 5\)"),
        (np.zeros((3, 5)), Code.SHAPE, r"float64 \(3, 5\), expected uint8"),
        (np.full((3, 5), 4, np.uint8), Code.VALUE, "row 0 of a block, site 0: outcome 4, expected 0 to 3"),
    ],
)
def test_blocks_that_do_not_fit_are_refused(tmp_path, block, code, fault):
    with refused(code, fault):
        write_records(tmp_path / "a.h5", [some_outcomes(), block], 5, PAULI4)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_kept(tmp_path):
    path = write_records(tmp_path / "a.h5", [some_outcomes()], 5, PAULI4)
    with refused(Code.EXISTS, r"a\.h5"):
        write_records(path, [some_outcomes()], 5, PAULI4)
    write_records(path, [some_outcomes(7)], 5, PAULI4, overwrite=True)
    assert RecordFile(path).n_records == 7


@pytest.fixture
def good(tmp_path, small_records) -> Path:
    return Path(shutil.copy(small_records, tmp_path / "rec.h5"))


def edit(path: Path, change) -> None:
    with h5py.File(path, "r+") as file:
        change(file)


def replace(file: h5py.File, name: str, data, **options) -> None:
    attributes = dict(file[name].attrs)
    del file[name]
    file.create_dataset(name, data=data, **options).attrs.update(attributes)


def flip_a_byte(path: Path) -> None:
    with h5py.File(path) as file:
        place = file["outcomes"].id.get_chunk_info(0).byte_offset + 200
    raw = bytearray(path.read_bytes())
    raw[place] ^= 0x10
    path.write_bytes(bytes(raw))


def change_an_outcome(file: h5py.File) -> None:
    file["outcomes"][17, 2] = (file["outcomes"][17, 2] + 1) % 4


def set_outcome(value: int):
    def change(file: h5py.File) -> None:
        file["outcomes"][17, 2] = value

    return change


def external_link(file: h5py.File) -> None:
    del file["outcomes"]
    file["outcomes"] = h5py.ExternalLink("/etc/passwd", "/x")


def external_storage(file: h5py.File) -> None:
    del file["outcomes"]
    file.create_dataset("outcomes", shape=(3, 5), dtype="u1", external=[("/etc/hostname", 0, 15)])


def virtual(file: h5py.File) -> None:
    del file["outcomes"]
    layout = h5py.VirtualLayout(shape=(3, 5), dtype="u1")
    layout[:] = h5py.VirtualSource("../other.h5", "outcomes", shape=(3, 5))
    file.create_virtual_dataset("outcomes", layout)


FAULTS = {
    "other kind": (lambda f: f.attrs.__setitem__("format", "keras"), Code.KIND, "'keras'.* expected format"),
    "no format": (lambda f: f.attrs.__delitem__("format"), Code.KIND, "no attribute 'format'"),
    "version": (lambda f: f.attrs.__setitem__("version", 9), Code.VERSION, "version 9"),
    "changed outcome": (change_an_outcome, Code.DAMAGED, "/outcomes: SHA-256"),
    "outcome out of range": (set_outcome(4), Code.VALUE, "/outcomes, row 17, site 2: outcome 4"),
    "lost outcome": (set_outcome(LOST), Code.UNSUPPORTED, "/outcomes, row 17, site 2: outcome lost"),
    "missing outcomes": (lambda f: f.__delitem__("outcomes"), Code.ABSENT, "/outcomes: missing"),
    "missing POVM": (lambda f: f.__delitem__("povm"), Code.ABSENT, "/povm: missing"),
    "wrong type": (lambda f: replace(f, "outcomes", np.zeros((5, 5))), Code.SHAPE, "float64, expected uint8"),
    "wrong rank": (lambda f: replace(f, "outcomes", np.zeros(5, "u1")), Code.SHAPE, "/outcomes: 1 dim"),
    "incomplete POVM": (
        lambda f: replace(f, "povm/elements", PAULI4.elements * 0.9),
        Code.UNPHYSICAL, "/povm/elements: POVM 'pauli4': elements do not sum to the identity",
    ),
    "POVM of other sites": (
        lambda f: replace(f, "povm/elements", np.stack([PAULI4.elements] * 3)),
        Code.MISMATCH, "/povm/elements: .* given for 3 sites, asked for 5",
    ),
    "external link": (external_link, Code.DAMAGED, "/outcomes: a link that may point elsewhere"),
    "soft link": (lambda f: f.__setitem__("target/tensors/0", h5py.SoftLink("/outcomes")), Code.DAMAGED, "tensors/0"),
    "external storage": (external_storage, Code.DAMAGED, "/outcomes: stored outside this file"),
    "virtual": (virtual, Code.DAMAGED, "/outcomes: a shard '../other.h5'"),
    "group for dataset": (lambda f: (f.__delitem__("outcomes"), f.create_group("outcomes")), Code.KIND, "a group"),
    "target of other size": (lambda f: f["target"].attrs.__setitem__("n_sites", 9), Code.MISMATCH, "/target"),
    "target not finite": (lambda f: f["target"].attrs.__setitem__("field", np.nan), Code.VALUE, "field is nan"),
    "target attribute": (lambda f: f["target"].attrs.__setitem__("field", [1.0, 2.0]), Code.SHAPE, "2 values"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_told_with_its_place(good, name):
    change, code, message = FAULTS[name]
    if name == "soft link":
        edit(good, lambda f: f.__delitem__("target/tensors/0"))
    edit(good, change)
    with refused(code, rf"rec\.h5: .*{message}"), RecordFile(good) as file:
        file.load()


def test_a_flipped_byte_is_noticed(good):
    flip_a_byte(good)
    with refused(Code.DAMAGED, r"rec\.h5: /outcomes"), RecordFile(good) as file:
        file.check()


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.95])
def test_a_truncated_file_is_noticed(good, keep):
    raw = good.read_bytes()
    good.write_bytes(raw[: int(keep * len(raw))])
    with refused(Code.DAMAGED, r"rec\.h5"):
        RecordFile(good)


def test_files_that_are_not_there_or_not_hdf5(tmp_path):
    with refused(Code.ABSENT, r"none\.h5"):
        RecordFile(tmp_path / "none.h5")
    with refused(Code.KIND):
        RecordFile(tmp_path)
    (tmp_path / "text.h5").write_text("hello")
    with refused(Code.KIND, r"text\.h5"):
        RecordFile(tmp_path / "text.h5")


def test_splits_never_overlap_and_leave_nothing_out():
    training, validation = split(1000, 137, seed=5)
    assert len(validation) == 137
    assert sorted([*training, *validation]) == list(range(1000))
    again = split(1000, 137, seed=5)
    assert (again[1] == validation).all()
    assert (split(1000, 137, seed=6)[1] != validation).any()
    with refused(Code.TOO_FEW):
        split(5, 5, seed=0)


@pytest.mark.parametrize("path", [DATA, Path(__file__).parent / "before_checksums.h5"], ids=lambda path: path.stem)
def test_the_shipped_records_can_be_read(path):
    """Files of version 1 stay readable, those written before metadata had checksums as well."""
    with RecordFile(path) as file:
        assert file.load().shape == (5000, 10)
        assert file.target.system == TFIM(10)
        assert abs(file.target.state().overlap(ground_state(TFIM(10)))) == pytest.approx(1, abs=1e-9)
