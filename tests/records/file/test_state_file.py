"""States and POVMs from files: round trips, and files that hold none."""

import h5py
import numpy as np
import pytest
import qutip

from qtomo import GHZ, TFIM, RandomMPS, simulate, write_records
from qtomo.errors import Code
from qtomo.measurement.povm import named_povm
from qtomo.records.file.reader import RecordFile
from qtomo.records.file.state_file import read_povm, read_state, write_state
from qtomo.states.density import DensityMatrix
from tests.refusing import refused


def test_a_state_comes_back(tmp_path):
    state = RandomMPS(7, 4).state()
    assert abs(read_state(write_state(tmp_path / "s.h5", state)).overlap(state)) == pytest.approx(1, abs=1e-12)
    mixed = DensityMatrix.from_qutip(qutip.rand_dm([2, 2], seed=1))
    assert (read_state(write_state(tmp_path / "m.h5", mixed)).matrix == mixed.matrix).all()


def test_the_state_of_a_record_file_and_of_arrays(tmp_path):
    records = simulate(GHZ(3), 10, tmp_path / "ghz.h5")
    ghz = GHZ(3).state()
    assert abs(read_state(records).overlap(ghz)) == pytest.approx(1)
    ket = qutip.ghz_state(3)
    np.save(tmp_path / "ket.npy", ket.full())
    assert abs(read_state(tmp_path / "ket.npy").overlap(ghz)) == pytest.approx(1)
    np.save(tmp_path / "rho.npy", ket.proj().full())
    assert read_state(tmp_path / "rho.npy").matrix == pytest.approx(ket.proj().full())


def test_a_mixed_state_is_kept_with_its_records(tmp_path):
    mixed = DensityMatrix.from_qutip(qutip.rand_dm([2, 2], seed=1))
    with RecordFile(simulate(mixed, 500, tmp_path / "a.h5", seed=1)) as file:
        assert (file.target.state().matrix == mixed.matrix).all()
        assert file.target.system is None


def test_povms_from_files(tmp_path):
    records = simulate(TFIM(3), 10, tmp_path / "a.h5", povm=named_povm("pauli4").turned(np.eye(3)[[1, 0, 2]]))
    assert np.allclose(read_povm(records).elements, named_povm("pauli4").elements[[0, 2, 1, 3]])
    np.save(tmp_path / "sic.npy", named_povm("sic").elements)
    assert read_povm(tmp_path / "sic.npy").name == "sic"


def spoil(name: str, value: object):
    def change(path):
        with h5py.File(path, "r+") as file:
            if name in file:
                del file[name]
                file[name] = value
            else:
                file.attrs[name] = value

    return change


@pytest.mark.parametrize(
    ("change", "code", "fault"),
    [
        (
            spoil("tensors/2", np.zeros((3, 2, 2))),
            Code.SHAPE,
            r"MPS tensor of site 2 has shape \(3, 2, 2\), expected \(2, 2, right\)",
        ),
        (spoil("tensors/2", np.zeros((2, 3))), Code.SHAPE, "/tensors/2: 2 dimensions, expected 3"),
        (spoil("n_sites", 9), Code.ABSENT, "/tensors/5: missing"),
        (spoil("n_sites", -1), Code.VALUE, "attribute n_sites is -1"),
        (spoil("version", 3), Code.VERSION, "state file of version 3, expected 1"),
        (spoil("format", "x"), Code.KIND, "another kind"),
    ],
)
def test_state_files_that_hold_none(tmp_path, change, code, fault):
    path = write_state(tmp_path / "s.h5", GHZ(5).state())
    change(path)
    with refused(code, rf"s\.h5: .*{fault}"):
        read_state(path)


def test_arrays_that_hold_none(tmp_path):
    path = tmp_path / "a.npy"
    for array, code, fault in (
        (np.eye(4) * 0.225, Code.UNPHYSICAL, "trace 0.9, expected 1"),
        (np.ones(3) / 3**0.5, Code.SHAPE, r"has 2\*\*N amplitudes, found 3"),
        (np.array(["x"]), Code.SHAPE, "expected numbers"),
        (np.array([1, None], dtype=object), Code.DAMAGED, "not a readable .npy file"),
    ):
        np.save(path, array, allow_pickle=True)
        with refused(code, rf"a\.npy: .*{fault}"):
            read_state(path)
    path.write_bytes(b"\x93NUMPY junk")
    with refused(Code.DAMAGED, r"a\.npy"):
        read_state(path)
    with refused(Code.ABSENT, r"none\.npy"):
        read_povm(tmp_path / "none.npy")
    np.save(path, named_povm("sic").elements * 0.9)
    with refused(Code.UNPHYSICAL, r"a\.npy: POVM 'a'"):
        read_povm(path)
    path = write_records(tmp_path / "b.h5", [np.zeros((1, 2), np.uint8)], 2, named_povm("sic"))
    with refused(Code.ABSENT, r"b\.h5: /target"):
        read_state(path)
