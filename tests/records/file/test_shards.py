"""Shards: the union is what one process makes, joined it reads as one file, and a missing part is named."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from qtomo import TFIM, RecordFile, simulate
from qtomo.errors import Code
from qtomo.records.file.shards import join_shards, shard_path
from tests.refusing import refused

MODEL, RECORDS = TFIM(4), 30_000


@pytest.fixture
def joined(tmp_path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    for shard in range(3):
        simulate(MODEL, RECORDS, folder / "a.h5", povm="pauli6", seed=2, settings="random", shard=(shard, 3))
    return join_shards(folder / "a.h5", 3)


def test_shards_together_are_what_one_process_makes(joined, tmp_path):
    alone = simulate(MODEL, RECORDS, tmp_path / "alone.h5", povm="pauli6", seed=2, settings="random")
    shutil.move(joined.parent, tmp_path / "moved")
    with RecordFile(tmp_path / "moved" / "a.h5") as file, RecordFile(alone) as one:
        assert (file.load() == one.load()).all()
        assert (file.settings() == one.settings()).all()
        assert (file.sha256, file.target.parameters) == (one.sha256, one.target.parameters)
    # Any HDF5 program reads it too.
    with h5py.File(tmp_path / "moved" / "a.h5") as plain, h5py.File(alone) as one_plain:
        assert (plain["outcomes"][:] == one_plain["outcomes"][:]).all()


def test_blocks_of_shards_never_repeat_a_stream(joined):
    """Each of the four blocks of 8,192 records differs from all others."""
    with RecordFile(joined) as file:
        blocks = np.split(file.load(), [8192, 16384, 24576])
    starts = {block[:200].tobytes() for block in blocks}
    assert len(starts) == 4


def test_a_missing_shard_is_named(joined):
    shard_path(joined, 1, 3).unlink()
    with refused(Code.ABSENT, r"a\.h5: /outcomes: shard 'a\.shard-1-of-3\.h5'"):
        RecordFile(joined)
    with refused(Code.ABSENT, r"shard 'a\.shard-1-of-3\.h5' is missing \(1 of 3 are\)"):
        join_shards(joined, 3, overwrite=True)


def test_a_changed_or_foreign_shard_is_noticed(joined):
    with h5py.File(shard_path(joined, 1, 3), "r+") as file:
        file["outcomes"][3, 1] ^= 1
    with refused(Code.DAMAGED, "/outcomes: SHA-256"), RecordFile(joined) as file:
        file.load()
    simulate(MODEL, RECORDS, joined, povm="pauli6", seed=5, settings="random", shard=(1, 3), overwrite=True)
    with refused(Code.MISMATCH, "another simulation"):
        join_shards(joined, 3, overwrite=True)
    simulate(TFIM(4, 1, 2), 8192, joined, seed=5, shard=(0, 1), overwrite=True)
    shutil.copy(joined, shard_path(joined, 1, 3))
    with refused(Code.MISMATCH, "shard 1 of 3"):
        join_shards(joined, 3, overwrite=True)


def test_a_file_that_names_itself_as_its_shard_is_refused(tmp_path):
    path = simulate(MODEL, 100, tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        del file["outcomes"]
        layout = h5py.VirtualLayout(shape=(100, 4), dtype="u1")
        layout[:] = h5py.VirtualSource("a.h5", "outcomes", shape=(100, 4))
        file.create_virtual_dataset("outcomes", layout)
    with refused(Code.DAMAGED, "/outcomes: the file names itself as its shard"):
        RecordFile(path)


@pytest.mark.parametrize(
    ("shard", "code", "fault"),
    [((3, 3), Code.VALUE, "shard is 3 of 3"), ((-1, 2), Code.VALUE, "-1 of 2"), ((0, 9), Code.TOO_FEW, "is empty")],
)
def test_shards_that_cannot_be(tmp_path, shard, code, fault):
    with refused(code, fault):
        simulate(MODEL, RECORDS, tmp_path / "a.h5", shard=shard)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_two_ranks_and_one_make_the_same_records(tmp_path):
    command = ("-m", "qtomo_cli", "simulate", "tfim", "--qubits", "4", "--shots", "20000", "--seed", "4")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    torchrun = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2")
    subprocess.run([*torchrun, *command, "--output", tmp_path / "two.h5"], check=True, env=environment, timeout=120)
    subprocess.run(
        [sys.executable, *command, "--output", tmp_path / "one.h5"], check=True, env=environment, timeout=120
    )
    with RecordFile(tmp_path / "two.h5") as two, RecordFile(tmp_path / "one.h5") as one:
        assert (two.load() == one.load()).all()
        assert two.command == one.command
    assert shard_path(tmp_path / "two.h5", 1, 2).is_file()


def test_a_shard_that_is_made_of_shards_is_refused(joined):
    shard = shard_path(joined, 1, 3)
    shutil.copy(joined, shard)
    with refused(Code.KIND, "/outcomes"):
        RecordFile(joined)
