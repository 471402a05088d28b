"""Counts: rows that stand for many shots are looked through once each, and drawn out a block at a time."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from qtomo import RecordFile, import_records
from qtomo.records.importers import counts
from qtomo.records.importers.registry import read_format
from qtomo.records.survey import survey
from qtomo.records.uniformity import SettingTest


@pytest.mark.parametrize("size", [1, 6, 1000])
def test_rows_are_drawn_out_as_often_as_they_were_seen(monkeypatch, size):
    """Blocks of few bytes end within runs, between them, and beside rows that were never seen."""
    monkeypatch.setattr(counts, "_BLOCK_BYTES", size)
    rng = np.random.default_rng(0)
    rows, times = rng.integers(0, 2, (40, 2), np.uint8), rng.integers(0, 5, 40)
    times[[0, -1]] = 0
    bases = rng.integers(0, 3, (40, 2), np.uint8)
    expected = np.repeat(rows, times, axis=0)
    assert (np.concatenate(list(counts.drawn_out([(rows, times)]))) == expected).all()
    blocks = list(counts.drawn_out([((bases, rows), times), ((bases, rows), None)]))
    assert all(len(block) <= max(1, size // 2) for block, _ in blocks[:-1])
    assert (np.concatenate([one for _, one in blocks]) == np.concatenate([expected, rows])).all()
    assert (
        np.concatenate([one for one, _ in blocks]) == np.concatenate([np.repeat(bases, times, axis=0), bases])
    ).all()


@pytest.mark.parametrize("most", [1, 2, 40])
def test_settings_that_were_counted_are_tested_as_those_of_each_shot(most):
    rng = np.random.default_rng(most)
    settings, times = rng.integers(0, 3, (3000, 2), np.uint8), rng.integers(0, most + 1, 3000)
    counted, single = SettingTest(2), SettingTest(2)
    for part in np.split(np.arange(3000), [1000, 1001]):
        counted.add(settings[part], times[part])
        single.add(np.repeat(settings[part], times[part], axis=0))
    assert counted.result() == single.result()
    assert single.result().n_records == times.sum()


@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        ("a.csv", "basis,bits,count\nXZ,01,0\nXX,0?,4\nZZ,00,6\n", {"lost": "?"}),
        ("a.json", '{"XX": {"01": 3, "11": 2}, "ZZ": {"00": 9}}', {"bit_order": "plain"}),
        ("a.txt", "XZ: Counter({'01': 3})\nZZ: {'10': 4, '11': 1}\n", {"bit_order": "plain"}),
    ],
)
def test_a_survey_by_counts_is_that_of_the_shots(tmp_path, name, content, options):
    path = tmp_path / name
    path.write_text(content)
    source = read_format(path, None, options)
    assert source.counted is not None
    by_counts, by_shots = survey(source), survey(replace(source, counted=None))
    assert by_counts.n_records == by_shots.n_records >= 8
    assert by_counts.n_lost == by_shots.n_lost
    assert by_counts.uniformity == by_shots.uniformity
    for one, other in zip(by_counts.first, by_shots.first, strict=True):
        assert (one == other[: len(one)]).all()


def test_counts_of_several_files_are_joined(tmp_path):
    for name, basis in (("a", "XX"), ("b", "ZZ")):
        (tmp_path / f"{name}.json").write_text(f'{{"{basis}": {{"01": 3000, "11": 2}}}}')
    found = import_records(
        [tmp_path / "a.json", tmp_path / "b.json"], bit_order="plain", output=tmp_path / "all.h5", design="listed"
    )
    assert found.n_records == 6004
    assert found.settings.n_settings == 2
    with RecordFile(tmp_path / "all.h5") as file:
        assert file.check() == 0
        shown, times = np.unique(file.records().labels, axis=0, return_counts=True)
    assert dict(zip(map(tuple, shown.tolist()), times.tolist(), strict=True)) == {
        (0, 1): 3000,
        (1, 1): 2,
        (4, 5): 3000,
        (5, 5): 2,
    }


@pytest.mark.slow
def test_a_hundred_million_counts_take_seconds_and_little_memory(tmp_path):
    rng = np.random.default_rng(0)
    shots = rng.multinomial(10**8, rng.dirichlet(np.full(256, 0.5)))
    path = tmp_path / "many.json"
    path.write_text(json.dumps([{"basis": "Z" * 8, "counts": {f"{i:08b}": int(n) for i, n in enumerate(shots)}}]))
    run = """
import resource, sys, time
from qtomo import import_records
found = import_records(sys.argv[1], bit_order="plain", output=sys.argv[2])
print(found.n_records, time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    done = subprocess.run(
        [sys.executable, "-c", run, str(path), str(tmp_path / "many.h5")], capture_output=True, text=True, check=True
    )
    n_records, seconds, kilobytes = done.stdout.split()
    assert int(n_records) == 10**8
    assert float(seconds) < 20  # 7 on two cores that others use too
    assert int(kilobytes) < 2**20
