"""Results of every kind are read back as they were, and refused where they are damaged, each in one line."""

import contextlib
import dataclasses
import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtomo import (
    GHZ,
    TFIM,
    InputError,
    MatrixProduct,
    Progress,
    Run,
    compare,
    compare_records,
    evaluate,
    plan,
    plan_settings,
    read_result,
    reconstruct,
    simulate,
    verify,
)
from qtomo.errors import Code
from qtomo.evaluation.evaluation import Evaluation
from qtomo.evaluation.judging import Judging
from qtomo.evaluation.stored import stored_or_new
from qtomo.reporting.describe import info
from qtomo.results import KINDS
from qtomo.statistics.estimate import Estimate
from qtomo.training.sweep.trials import Trial, Trials
from qtomo.verification.planning import Plan
from qtomo.verification.result import Verification
from tests.refusing import refused

DATA = Path(__file__).parent / "data"
OPTIONS = Judging(samples=500)
EARLY = {"evaluation": "qtomo evaluate", "verification": "qtomo verify", "comparison": "qtomo compare"}
#: Keys that are stated for people and not read back.
STATED = {"label", "name", "description", "worst_z"}
#: Objects whose keys are names that a user or the data gave, on one level or on two.
TWO_LEVELS = ("divergences", "observables", "z_scores", "records_needed")
OPEN = (
    "made_from",
    "numbers",
    "fitted",
    "held_out",
    "entries",
    "files",
    "lower_bounds",
    "measured",
    "settings",
    *TWO_LEVELS,
)


@pytest.fixture(scope="module")
def run(small_run, small_records, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stored") / "run"
    shutil.copytree(small_run.folder.path, folder)
    evaluate(Run(folder), records=small_records, samples=500)
    return Run(folder)


@pytest.fixture(scope="module")
def results(run, small_records, tmp_path_factory):
    """One result of each kind, by format; each has something in every list."""
    folder = tmp_path_factory.mktemp("results")
    for name, seed in (("lab", 1), ("good", 2)):
        noise = ["depolarizing:0.3@1"] if name == "lab" else []
        simulate(
            TFIM(3),
            1000,
            folder / f"{name}.h5",
            povm="pauli6",
            seed=seed,
            noise=noise,
            declared=False,
            settings="random",
        )
    trials = [
        Trial(0, {"model.hidden_size": 4}, 3.5, 0.1, 100, 2, 1.5, run="sweep/trials/0000"),
        Trial(1, {"model.hidden_size": 8}, failure="the loss is nan", run="sweep/trials/0001"),
        Trial(2, {"model.hidden_size": 6}, 3.6, math.nan, 120, 2, 1.5, run="sweep/trials/0002"),
    ]
    found = [
        Evaluation.load(run.folder.evaluation),
        compare([run], records=small_records, samples=100),
        verify(folder / "lab.h5", alternative="none", n_reference=1000, save=False),
        compare_records([folder / "lab.h5", folder / "good.h5"]),
        plan(GHZ(2), ["depolarizing:0.1", "readout-1-to-0:0.1"], n_exact=200),
        plan_settings(GHZ(2), 0.7, 0.9),
        reconstruct(folder / "lab.h5", "mle", resamples=20),
        reconstruct(folder / "lab.h5", MatrixProduct(2), resamples=20),
        Trials("sweep", "gru", "nats per record", 0, [2], trials, made_from={"records": "0" * 64}),
    ]
    return {one.format: one for one in found}


def test_every_kind_is_tested(results):
    assert set(results) == set(KINDS)


@pytest.mark.parametrize("name", KINDS)
def test_what_is_read_is_what_was_saved(results, tmp_path, name):
    found = results[name]
    path = found.save(tmp_path / "a.json")
    again = type(found).load(path)
    assert again.to_dict() == found.to_dict() == json.loads(path.read_text(encoding="utf-8"))
    assert again == found or name in ("qtomo-sweep", "qtomo-tensor-network")  # which have numbers that are NaN
    assert read_result(path).to_dict() == found.to_dict()
    assert str(again) == str(found)
    assert "<table>" in found._repr_html_()
    with refused(Code.EXISTS):
        found.save(path)
    again.save(path, overwrite=True)
    other = Plan if name != "qtomo-plan" else Verification
    with refused(Code.KIND, f"format '{name}', expected '{other.format}'"):
        other.load(path)
    assert found.qtomo in str(info(path))
    assert all(len(checksum) == 64 for checksum in found.made_from.values())
    assert found.made_from or name in ("qtomo-plan", "qtomo-settings-plan")


def places(value, path=()):
    """Each place of a document but for the second and later items of a list or of an open object."""
    yield path
    if isinstance(value, dict):
        last = path[-1] if path else None
        names = list(value) if not is_open(value, path) else list(value)[-1:]
        for name in names if last != "settings" else ():
            yield from places(value[name], (*path, name))
    elif isinstance(value, list) and value:
        yield from places(value[0], (*path, 0))


def is_open(value, path):
    nested = len(path) > 1 and path[-2] in TWO_LEVELS
    named = bool(path) and path[-1] in OPEN
    return named or (nested and not {"standard_error", "first"} & set(value))


def parent(document, path):
    for key in path[:-1]:
        document = document[key]
    return document


@pytest.mark.parametrize("name", KINDS)
def test_damage_anywhere_is_refused_with_its_place(results, tmp_path, name):
    document = results[name].to_dict()
    path, tried = tmp_path / "a.json", 0
    for place in places(document):
        if not place or place[-1] in STATED:
            continue
        words = str(next(part for part in reversed(place) if isinstance(part, str)))
        for damage in ("wrong", "missing"):
            copy = json.loads(json.dumps(document))
            inside = parent(copy, place)
            if damage == "wrong":
                inside[place[-1]] = 3 if isinstance(inside[place[-1]], dict) else {"a": []}
            elif isinstance(inside, list) or is_open(inside, place[:-1]):
                continue
            else:
                del inside[place[-1]]
            path.write_text(json.dumps(copy))
            with pytest.raises(InputError) as error:
                read_result(path)
            message = str(error.value)
            assert message.startswith(str(path))
            assert place[-1] == "format" or words in message, (place, message)
            assert "\n" not in message
            assert len(message) < len(str(path)) + 800
            tried += 1
    assert tried > 20


@given(
    st.lists(st.tuples(*[st.floats()] * 3), max_size=4),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=9),
)
def test_any_number_and_any_text_survive(tmp_path_factory, numbers, text):
    needed = {}
    for index, row in enumerate(numbers):
        low, value, high = sorted(row) if not any(map(math.isnan, row)) else row
        if not (low > value or value > high):
            needed[f"{text}{index}"] = {"sic": Estimate(value, math.inf, low, high, 0.5, index, text)}
    path = tmp_path_factory.mktemp("any") / "a.json"
    found = Plan(0.5, 0.5, needed)
    found.save(path)
    assert read_result(path).to_dict() == found.to_dict()
    assert "nan" not in path.read_text(encoding="utf-8").replace(text, "").lower().replace('"nan"', "")


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=5), st.lists, max_leaves=8), st.data())
def test_no_damage_ends_in_a_traceback(results, tmp_path_factory, value, data):
    document = json.loads(json.dumps(results["qtomo-verification"].to_dict()))
    place = data.draw(st.sampled_from(list(places(document))[1:]))
    parent(document, place)[place[-1]] = value
    path = tmp_path_factory.mktemp("any") / "a.json"
    path.write_text(json.dumps(document))
    with contextlib.suppress(InputError):
        assert isinstance(read_result(path), Verification)


@pytest.mark.parametrize("kind", EARLY)
def test_files_of_before_the_format_version_are_refused_with_what_to_run(kind):
    path = DATA / f"{kind}-before-format-version.json"
    with refused(Code.VERSION, f"run {EARLY[kind]} again"):
        read_result(path)


def test_other_versions_say_what_to_do(results, tmp_path):
    document = results["qtomo-plan"].to_dict()
    for version, advice in (
        (2, "update qtomo"),
        (0, "run qtomo plan again"),
        ("1", "expected a whole number"),
    ):
        (tmp_path / "a.json").write_text(json.dumps({**document, "format_version": version}))
        with pytest.raises(InputError, match=advice):
            read_result(tmp_path / "a.json")


def test_a_fresh_evaluation_is_used_and_a_stale_one_made_anew(run, small_records):
    lines = []

    class Told(Progress):
        def stage(self, text):
            lines.append(text)

    fresh = evaluate(run, records=small_records, samples=500, save=False)
    assert stored_or_new(run, small_records, OPTIONS, progress=Told()) == fresh
    assert not lines
    fewer = dataclasses.replace(OPTIONS, samples=400)
    assert stored_or_new(run, small_records, fewer, progress=Told()).options == fewer
    assert "of other weights or options" in lines[0]
    run.folder.evaluation.write_text("{}")
    lines.clear()
    stored_or_new(run, small_records, OPTIONS, progress=Told())
    assert "missing, damaged or of another version" in lines[0]


@pytest.mark.parametrize(
    "text", ["", "[", "[1]", '"a"', "[" * 100_000, "{" * 5000, "1" * 5000, "\ufeff{}", '{"a": 1} x']
)
def test_what_is_no_json_object(tmp_path, text):
    (tmp_path / "a.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"a\.json"):
        read_result(tmp_path / "a.json")


def test_what_is_no_file_or_too_large(tmp_path, monkeypatch):
    with refused(Code.ABSENT):
        read_result(tmp_path / "b.json")
    with refused(Code.ABSENT):
        read_result(tmp_path)
    monkeypatch.setattr("qtomo.results._LARGEST_FILE", 2**20)
    (tmp_path / "a.json").write_text(" " * (2**20 + 1))
    with refused(Code.TOO_LARGE, "1 MiB"):
        read_result(tmp_path / "a.json")


def test_a_message_has_no_control_characters_of_the_file(results, tmp_path):
    document = results["qtomo-plan"].to_dict()
    document["records_needed"]["\x1b[31m"] = {"\x07": 3}
    document["qtomo"] = "1"
    (tmp_path / "a.json").write_text(json.dumps(document))
    with pytest.raises(InputError) as error:
        read_result(tmp_path / "a.json")
    assert str(error.value).isprintable()


def test_a_name_that_is_no_unicode_is_written_readably(results, tmp_path):
    found = dataclasses.replace(results["qtomo-verification"], file="lab\udcff.h5")
    assert Verification.load(found.save(tmp_path / "a.json")).file == "lab?.h5"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"value": 2.0}, "outside its interval"),
        ({"low": 1.5}, "outside its interval"),
        ({"level": 0.0}, "level is 0"),
        ({"level": 1.5}, "level is 1.5"),
        ({"standard_error": -1.0}, "expected none below 0"),
        ({"n_records": -1}, "expected none below 0"),
    ],
)
def test_an_estimate_is_checked_when_it_is_made(fields, words):
    with pytest.raises(ValueError, match=words):
        Estimate(**{**dataclasses.asdict(Estimate(1.0, 0.1, 0.9, 1.1, 0.95, 10, "m")), **fields})


def test_arrays_are_lists_in_a_file_and_arrays_again(results, tmp_path):
    found = Verification.load(results["qtomo-verification"].save(tmp_path / "a.json"))
    assert isinstance(found.map.heat.gains, np.ndarray)
    assert found.map.heat != dataclasses.replace(found.map.heat, gains=found.map.heat.gains + 1)
