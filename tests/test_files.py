"""Files and folders are whole or absent, whatever happens while they are written."""

import errno
import os

import pytest

from qtomo.errors import Code
from qtomo.files import atomic_folder, atomic_output, check_absent, disk_errors, read_text, write_atomic
from tests.refusing import refused


def test_a_file_is_there_only_when_its_block_has_ended(tmp_path):
    path = tmp_path / "a.bin"
    with atomic_output(path) as partial:
        partial.write_bytes(b"new")
        assert not path.exists()
        assert partial.parent == tmp_path  # a rename between two disks would not be atomic
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, failure):
    path = tmp_path / "a.txt"
    write_atomic(path, "old ψ")
    with pytest.raises(failure), atomic_output(path) as partial:
        partial.write_text("half")
        raise failure
    assert path.read_text(encoding="utf-8") == "old ψ"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_what_a_killed_process_left_is_replaced(tmp_path):
    (tmp_path / ".a.txt.partial").write_text("left from before")
    write_atomic(tmp_path / "a.txt", b"whole")
    assert (tmp_path / "a.txt").read_bytes() == b"whole"
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize(
    ("number", "code"),
    [(errno.ENOSPC, Code.ENVIRONMENT), (errno.EDQUOT, Code.ENVIRONMENT), (errno.EACCES, Code.ENVIRONMENT)],
)
def test_errors_of_the_disk_are_told(tmp_path, number, code):
    with refused(code, "a.txt: cannot be written"), disk_errors(tmp_path / "a.txt"):
        raise OSError(number, "")
    with pytest.raises(OSError, match="other"), disk_errors(tmp_path / "a.txt"):
        raise OSError(errno.EINVAL, "other")


def test_a_folder_is_replaced_only_if_it_is_of_its_kind_and_may_be(tmp_path):
    run, other = tmp_path / "run", tmp_path / "other"

    def write(path, text, overwrite=False):
        with atomic_folder(path, "run folder", "run.toml", overwrite) as partial:
            assert not (partial / "run.toml").exists()
            (partial / "run.toml").write_text(text)

    run.mkdir()  # an empty one may be taken
    write(run, "first")
    with refused(Code.EXISTS):
        write(run, "second")
    write(run, "third", overwrite=True)
    assert (run / "run.toml").read_text() == "third"
    other.mkdir()
    (other / "thesis.tex").write_text("years of work")
    with refused(Code.EXISTS, "not a run folder"):
        write(other, "fourth", overwrite=True)
    assert os.listdir(other) == ["thesis.tex"]
    with refused(Code.ABSENT):
        write(tmp_path / "none" / "run", "fifth")


def test_a_failure_leaves_the_old_folder(tmp_path):
    path = tmp_path / "run"
    path.mkdir()
    (path / "run.toml").write_text("old")
    with pytest.raises(ValueError, match="half"), atomic_folder(path, "run folder", "run.toml", True) as partial:
        (partial / "run.toml").write_text("new")
        raise ValueError("half")
    assert (path / "run.toml").read_text() == "old"
    assert os.listdir(tmp_path) == ["run"]


def test_what_may_be_written(tmp_path):
    path = tmp_path / "a"
    assert check_absent(str(path), overwrite=False) == path
    path.touch()
    assert check_absent(path, overwrite=True) == path
    with refused(Code.EXISTS):
        check_absent(path, overwrite=False)
    with refused(Code.KIND):
        check_absent(tmp_path, overwrite=True)
    with refused(Code.ABSENT):
        check_absent(tmp_path / "none" / "a", overwrite=True)


def test_text_is_read_up_to_its_limit(tmp_path):
    path = tmp_path / "a.txt"
    write_atomic(path, "ψψ")
    assert read_text(path, 4) == "ψψ"
    with refused(Code.TOO_LARGE):
        read_text(path, 3)
    write_atomic(path, b"\xff\xfe")
    with refused(Code.KIND):
        read_text(path, 4)
    for missing in (tmp_path, tmp_path / "none"):
        with refused(Code.ABSENT):
            read_text(missing, 4)
