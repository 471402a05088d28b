"""The doctor finds what is wrong and says how to mend it."""

import importlib.metadata
import shutil
from types import SimpleNamespace

import torch

from qtomo import installation
from qtomo.installation import doctor


def by_name(checks):
    return {check.name: check for check in checks}


def test_this_installation_is_sound(tmp_path):
    checks = by_name(doctor(tmp_path).checks)
    assert not [check for check in checks.values() if check.state == "fault"]
    assert torch.__version__ in checks["torch"].found
    assert "tfim10.h5" in checks["data"].found
    assert str(tmp_path) in checks["space"].found


def test_a_missing_package_and_an_old_one_are_faults(tmp_path, monkeypatch):
    real = importlib.metadata.version

    def version(name):
        if name == "h5py":
            raise importlib.metadata.PackageNotFoundError(name)
        return "0.1" if name == "scipy" else real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    check = by_name(doctor(tmp_path).checks)["packages"]
    assert check.state == "fault"
    assert "h5py is missing" in check.found
    assert "scipy 0.1, expected >=1.11" in check.found
    assert "pip install" in check.mend


def test_a_full_disk_is_a_fault(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2**20))
    check = by_name(doctor(tmp_path).checks)["space"]
    assert (check.state, check.found.split()[0]) == ("fault", "0.0")
    assert check.mend


def test_damaged_example_records_are_a_fault(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    damaged = bytearray((installation._ROOT / "data" / "tfim10.h5").read_bytes())
    damaged[len(damaged) // 2] ^= 255
    (tmp_path / "data" / "tfim10.h5").write_bytes(damaged)
    monkeypatch.setattr(installation, "_ROOT", tmp_path)
    check = by_name(doctor(tmp_path).checks)["data"]
    assert check.state == "fault"
    assert "tfim10.h5" in check.found


def test_more_threads_than_cores_get_a_word(tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4096)
    check = by_name(doctor(tmp_path).checks)["threads"]
    assert check.state == "note"
    assert "OMP_NUM_THREADS" in check.mend


def test_a_check_that_breaks_is_a_fault(tmp_path, monkeypatch):
    def broken():
        raise ImportError("libtorch.so: cannot open shared object file")

    monkeypatch.setattr(installation, "_torch", broken)
    check = by_name(doctor(tmp_path).checks)["torch"]
    assert check.state == "fault"
    assert "libtorch.so" in check.found
