"""One listener for every long work, and what the command shows of it."""

import inspect
import logging
import sys

from qtomo_cli.common import show_messages, shown_progress

import qtomo
from qtomo import GHZ, Progress, simulate
from qtomo.errors import Code
from tests.refusing import refused

LONG = {
    "compare", "compare_records", "evaluate", "plan", "plan_settings", "reconstruct", "report", "resume",
    "resume_sweep", "sample", "simulate", "sweep", "train", "verify",
}  # fmt: skip


class Heard(Progress):
    def __init__(self):
        self.told = []

    def stage(self, text):
        self.told.append((text, []))

    def update(self, done, total, note=""):
        self.told[-1][1].append((done, total, note))

    @property
    def counted(self):
        return {text: updates for text, updates in self.told if updates}


def test_it_is_the_only_callback_of_the_front_door():
    doors = {name: getattr(qtomo, name) for name in qtomo.__all__}
    parameters = {name: inspect.signature(door).parameters for name, door in doors.items() if inspect.isfunction(door)}
    assert {name for name, found in parameters.items() if "progress" in found} == LONG
    for name in LONG:
        assert parameters[name]["progress"].kind is inspect.Parameter.KEYWORD_ONLY
        assert "Progress" in parameters[name]["progress"].annotation
        assert not {"say", "report", "watch", "callback"} & parameters[name].keys()


def test_a_function_in_its_place_is_refused(tmp_path):
    with refused(Code.KIND, r"progress: found builtin_function_or_method, expected .* qtomo\.Progress"):
        simulate(GHZ(2), 10, tmp_path / "r.h5", progress=print)
    assert not (tmp_path / "r.h5").exists()


def test_each_stage_that_counts_comes_to_its_end(small_run, tmp_path):
    heard = Heard()
    pair = qtomo.simulate(GHZ(2), 9000, tmp_path / "r.h5", progress=heard)
    assert heard.told == [("exact state of 2 qubits", []), ("records", [(8192, 9000, ""), (9000, 9000, "")])]
    works = {
        "bootstrap of 20 data sets": lambda heard: qtomo.reconstruct(pair, resamples=20, progress=heard),
        "20 draws of the Fisher matrix at each bond dimension": lambda heard: qtomo.reconstruct(
            pair, qtomo.MatrixProduct(2), resamples=20, progress=heard
        ),
        "scoring 400 records of the target": lambda heard: qtomo.evaluate(
            small_run, samples=400, save=False, progress=heard
        ),
        "records": lambda heard: qtomo.sample(small_run, 50, tmp_path / "drawn.h5", progress=heard),
    }
    for text, work in works.items():
        heard = Heard()
        work(heard)
        done = [(done, total) for done, total, _ in heard.counted[text]]
        assert done == sorted(done)
        assert done[-1][0] == done[-1][1]


def test_a_verification_tells_its_stages(tmp_path):
    heard = Heard()
    simulate(GHZ(3), 300, tmp_path / "r.h5")
    qtomo.verify(tmp_path / "r.h5", alternative="none", n_reference=1000, progress=heard)
    stages = [text for text, _ in heard.told]
    assert stages[-1] == "maps and bounds"
    assert len(stages) > 4


def test_training_tells_epoch_and_losses(small_records, tmp_path):
    heard = Heard()
    settings = {"training": {"epochs": 2, "batch_size": 900}, "model": {"family": "gru", "hidden_size": 4}}
    run = qtomo.train(small_records, tmp_path / "run", settings, progress=heard)
    updates = heard.counted["training"]
    assert [(done, total) for done, total, _ in updates] == [(step, 8) for step in range(1, 9)]
    first, last = updates[0][2], updates[-1][2]
    assert first.startswith("steps, epoch 1 of 2, loss ")
    validation = run.progress.history[0]["validation_loss"]
    train_loss = run.progress.history[1]["train_loss"]
    assert last == f"steps, epoch 2 of 2, loss {train_loss:.3f}, held out {validation:.3f}"


def work(progress):
    progress.stage("counting [bold]k-grams[/bold]\x1b[2J")
    progress.stage("records")
    for done in range(4):
        progress.update(done, 3, "of them\x07")


def test_lines_where_there_is_no_terminal(capsys):
    with shown_progress() as progress:
        work(progress)
        progress.update(3, 3, "of them\x07")
    told = capsys.readouterr()
    assert told.err.splitlines() == ["counting [bold]k-grams[/bold]?[2J", "records", "records: 3 of 3 of them?"]
    assert not told.out


def test_bars_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    with shown_progress() as progress:
        work(progress)
    shown = capsys.readouterr().err
    assert "counting [bold]k-grams[/bold]?[2J" in shown
    assert "━" in shown
    assert "3/3" in shown
    assert "of them?" in shown
    assert shown.index("k-grams") < shown.index("records") < shown.index("3/3")


def test_other_processes_show_nothing(capsys, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with shown_progress() as progress:
        work(progress)
    show_messages()
    logging.getLogger("qtomo.somewhere").warning("left out")
    assert capsys.readouterr().err == ""


def test_a_warning_of_the_library_is_one_line_on_standard_error(capsys):
    show_messages()
    show_messages()
    logging.getLogger("qtomo.somewhere").warning("trial %d failed:\x1b[2J", 3)
    logging.getLogger("qtomo.somewhere").info("a detail")
    assert capsys.readouterr().err == "warning: trial 3 failed:?[2J\n"
