"""Streamed records: each once an epoch, whichever batch an epoch is entered at, and as good to learn from."""

import threading

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from qtomo import TFIM, Progress, RecordFile, resume, simulate, train
from qtomo.distribution import LOST
from qtomo.errors import Code
from qtomo.measurement.povm import named_povm
from qtomo.parallel import ALONE
from qtomo.records.file.reader import split
from qtomo.records.file.shards import join_shards
from qtomo.records.file.writer import write_records
from qtomo.training.config import TrainingConfig
from qtomo.training.feed import open_feed, streamed
from tests.refusing import refused

SITES, RECORDS = 12, 5000
# 60,000 bytes of outcomes in windows of about 3,200 bytes of blocks of about 800.
TINY = 12_800 / 2**30


def numbered(n: int) -> np.ndarray:
    """Records that say their row in binary."""
    return ((np.arange(n)[:, None] >> np.arange(SITES + 1)[None]) & 1).astype(np.uint8)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("feed") / "numbered.h5"
    write_records(path, [numbered(RECORDS)], SITES + 1, named_povm("pauli4"))
    with RecordFile(path) as opened:
        yield opened


def config(**changes: object) -> TrainingConfig:
    return TrainingConfig(**{"batch_size": 70, "memory_gib": TINY, "seed": 5, **changes})


def rows_of(batches) -> list[int]:
    return [int(row) for batch in batches for row in batch.long() @ (1 << torch.arange(SITES + 1))]


def test_every_training_row_once_an_epoch_and_none_held_out(file):
    feed, validation = open_feed(file, config(), ALONE)
    for_training, held_out = split(RECORDS, 250, 5)
    assert (validation == numbered(RECORDS)[held_out]).all()
    assert feed.n_records == len(for_training) == 4750
    first, second = (list(feed.batches(epoch, 0)) for epoch in (0, 1))
    assert [len(batch) for batch in first] == [70] * 67 + [60]
    assert sorted(rows_of(first)) == sorted(rows_of(second)) == for_training.tolist()
    assert rows_of(first) != rows_of(second)
    assert rows_of(first) == rows_of(feed.batches(0, 0))
    # A batch mixes blocks from all over the file.
    spreads = [np.std(rows_of([batch])) for batch in first]
    assert np.median(spreads) > RECORDS / 12


@pytest.mark.parametrize("first", [1, 13, 30, 67, 68])
def test_an_epoch_is_entered_at_any_batch_without_reading_those_before(first, file, monkeypatch):
    feed, _ = open_feed(file, config(), ALONE)
    whole = list(feed.batches(2, 0))
    read, rows = [], RecordFile.rows
    monkeypatch.setattr(RecordFile, "rows", lambda self, *ends, **kind: read.append(ends) or rows(self, *ends, **kind))
    assert rows_of(feed.batches(2, first)) == rows_of(whole[first:])
    expected = RECORDS * (1 - first / 68)
    assert sum(last - first for first, last in read) == pytest.approx(expected, abs=2 * TINY * 2**30 / 4 / SITES)


def test_shards_of_shots_are_streamed(tmp_path):
    path = tmp_path / "all.h5"
    for shard in range(2):
        simulate(TFIM(4), 9001, path, povm="pauli6", seed=3, settings="random", shard=(shard, 2))
    with RecordFile(join_shards(path, 2)) as file:
        feed, _ = open_feed(file, config(), ALONE)
        for_training, _ = split(9001, 450, 5)
        seen = np.concatenate([batch.numpy() for batch in feed.batches(0, 0)])
        expected = file.load()[for_training]
    assert not np.array_equal(seen, expected)
    assert sorted(map(tuple, seen.tolist())) == sorted(map(tuple, expected.tolist()))


def test_what_the_reader_finds_wrong_is_told_and_its_thread_ends(tmp_path):
    records = numbered(RECORDS)
    records[4000, 7] = LOST
    path = write_records(tmp_path / "lost.h5", [records], SITES + 1, named_povm("pauli4"))
    words = r"lost\.h5: /outcomes, row 4000, site 7: outcome lost"
    with refused(Code.UNSUPPORTED, words):
        train(path, tmp_path / "run", {"training": config().model_dump()})
    assert not (tmp_path / "run").exists()
    threads = threading.active_count()
    with RecordFile(path) as file:
        feed = streamed(file, np.array([17]), config(), ALONE)
        with refused(Code.UNSUPPORTED, words):
            list(feed.batches(0, 0))
    assert threading.active_count() == threads


class _Stop(Exception):
    pass


class _StopAt40(Progress):
    def update(self, done, total, note=""):
        if done == 40:
            raise _Stop


@pytest.mark.slow
def test_a_streamed_run_stopped_in_an_epoch_ends_alike_and_as_well_as_one_in_memory(small_records, tmp_path):
    def settings(memory_gib: float) -> dict[str, dict[str, object]]:
        training = {"epochs": 4, "batch_size": 100, "seed": 3, "memory_gib": memory_gib, "checkpoint_seconds": 1e-9}
        return {"model": {"family": "gru", "hidden_size": 12}, "training": training}

    tiny = 4000 / 2**30
    unbroken = train(small_records, tmp_path / "unbroken", settings(tiny))
    with pytest.raises(_Stop):
        train(small_records, tmp_path / "run", settings(tiny), progress=_StopAt40())
    again = load_file(resume(tmp_path / "run").folder.checkpoint)
    for name, value in load_file(unbroken.folder.checkpoint).items():
        assert torch.equal(again[name], value)
    in_memory = train(small_records, tmp_path / "memory", settings(1.0))
    assert unbroken.progress.best_loss == pytest.approx(in_memory.progress.best_loss, abs=0.02)
