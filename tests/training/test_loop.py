"""Training: it learns, the same seed gives the same weights, and a killed run ends like an unbroken one."""

import json
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file

from qtomo import Progress, Run, resume, train
from qtomo.errors import Code
from qtomo.models.registry import build_model
from qtomo.records.file.reader import RecordFile, split
from qtomo.training.loop import _follow, _groups
from tests.conftest import SMALL
from tests.refusing import refused


def weights(run: Run) -> dict[str, torch.Tensor]:
    return load_file(run.folder.checkpoint)


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def changed(**training: object) -> dict[str, dict[str, object]]:
    return {"model": SMALL["model"], "training": {**SMALL["training"], **training}}


def test_it_learns_and_tells_how(small_run):
    history = small_run.progress.history
    assert [entry["epoch"] for entry in history] == [1, 2]
    assert history[1]["validation_loss"] < history[0]["train_loss"]
    assert all(entry["validation_loss_error"] > 0 for entry in history)
    lines = [json.loads(line) for line in small_run.folder.metrics.read_text().splitlines()]
    assert lines == history
    assert small_run.progress.finished


def test_same_seed_same_weights(small_run, small_records, tmp_path):
    again = train(small_records, tmp_path / "again", SMALL)
    assert same(weights(again), weights(small_run))
    other = train(small_records, tmp_path / "other", changed(seed=4))
    assert not same(weights(other), weights(small_run))


def test_a_run_leaves_torch_s_generator_alone(small_records, tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train(small_records, tmp_path / "run", SMALL)
    assert torch.equal(torch.rand(3), expected)


class _Stop(Exception):
    pass


class _StopAt(Progress):
    def __init__(self, step):
        self.step = step

    def update(self, done, total, note=""):
        if done == self.step:
            raise _Stop


def test_stopped_in_the_middle_of_an_epoch_it_goes_on_to_the_same_weights(small_run, small_records, tmp_path):
    settings = changed(checkpoint_seconds=1e-9)

    with pytest.raises(_Stop):
        train(small_records, tmp_path / "run", settings, progress=_StopAt(12))
    with pytest.raises(_Stop):
        resume(tmp_path / "run", progress=_StopAt(37))
    assert same(weights(resume(tmp_path / "run")), weights(small_run))


def test_a_loss_that_changes_along_the_training_goes_on_where_it_was(small_records, tmp_path):
    model = {"family": "vae", "latent_size": 2, "hidden_size": 8, "warmup": 0.8, "cycles": 2}
    settings = {"model": model, "training": {"epochs": 2, "batch_size": 100, "checkpoint_seconds": 1e-9}}
    whole = train(small_records, tmp_path / "whole", settings)
    with pytest.raises(_Stop):
        train(small_records, tmp_path / "run", settings, progress=_StopAt(11))
    assert same(weights(resume(tmp_path / "run")), weights(whole))
    assert not same(weights(whole), weights(train(small_records, tmp_path / "fixed", _without_warmup(settings))))


def _without_warmup(settings):
    return {**settings, "model": {**settings["model"], "warmup": 0}}


SCRIPT = "import sys, qtomo_cli; sys.argv = ['qtomo', *sys.argv[1:]]; qtomo_cli.main()"


def start_training(records, folder, *options: str) -> subprocess.Popen:
    command = [sys.executable, "-c", SCRIPT, "train", *options]
    if "--resume" not in options:
        command += [str(records), "--output", str(folder)]
        for section, values in changed(epochs=12, checkpoint_seconds=0.01).items():
            command += [word for name, value in values.items() for word in ("--set", f"{section}.{name}={value}")]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(path, process) -> None:
    while not path.exists():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.005)


@pytest.mark.parametrize("moment", [0, *(pytest.param(one, marks=pytest.mark.slow) for one in (1, 2))])
def test_killed_at_a_random_moment_it_goes_on_to_the_same_weights(moment, small_records, tmp_path):
    unbroken = train(small_records, tmp_path / "unbroken", changed(epochs=12))
    folder = tmp_path / "run"
    process = start_training(small_records, folder)
    wait_for(folder / "checkpoint" / "latest.safetensors", process)
    time.sleep(random.Random(moment).uniform(0, 1.0))
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "the run ended before it was killed"
    finished = resume(folder)
    assert same(weights(finished), weights(unbroken))
    assert finished.progress.epoch == 12
    epochs = [json.loads(line)["epoch"] for line in finished.folder.metrics.read_text().splitlines()]
    assert epochs == list(range(1, 13))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.slow
def test_ctrl_c_saves_and_says_how_to_go_on(number, small_records, tmp_path):
    folder = tmp_path / "run"
    process = start_training(small_records, folder)
    wait_for(folder / "checkpoint" / "latest.safetensors", process)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.strip().splitlines()[-1] == f"qtomo: stopped and saved; go on with: qtomo train --resume {folder}"
    assert not Run(folder).progress.finished
    again = start_training(None, None, "--resume", str(folder))
    output, errors = again.communicate(timeout=120)
    assert again.returncode == 0, errors
    assert "12 epochs, finished" in output


def test_early_stopping_keeps_the_best(small_records, tmp_path):
    run = train(
        small_records, tmp_path / "run", changed(epochs=50, patience=2, learning_rate=0.05, schedule="constant")
    )
    losses = [entry["validation_loss"] for entry in run.progress.history]
    assert len(losses) < 50
    assert run.progress.best_epoch == losses.index(min(losses)) + 1 == len(losses) - 2
    with run.open_records() as file:
        _, held_out = split(3000, run.config.training.n_validation(3000), run.config.training.seed)
        assert -run.model.log_prob(file.load()[held_out]).mean() == pytest.approx(min(losses), rel=1e-5)


def test_a_loss_that_explodes_is_told(small_records, tmp_path):
    words = r"the (loss|norm of the gradient) is (nan|inf) at epoch 1, batch \d+: .* lower training\.learning_rate"
    with refused(Code.DIVERGED, words):
        train(small_records, tmp_path / "run", changed(learning_rate=1e30, gradient_clip=0.0, warmup_steps=0))


def test_a_gradient_that_is_no_number_leaves_the_last_good_weights(small_records, tmp_path, monkeypatch):
    """A game may have a finite loss whose gradient is none; here from the second epoch on."""
    done = train(small_records, tmp_path / "done", changed(epochs=1, schedule="constant"))
    family, calls = type(done.model), [0]
    good = family.loss

    def loss(self, outcomes):
        calls[0] += self.training
        return good(self, outcomes) if calls[0] <= done.progress.step else (self.head.weight * 0).sum().sqrt()

    monkeypatch.setattr(family, "loss", loss)
    with refused(Code.DIVERGED, r"the norm of the gradient is nan at epoch 2, batch 1"):
        train(small_records, tmp_path / "run", changed(epochs=2, schedule="constant"))
    stopped = Run(tmp_path / "run")
    assert stopped.progress.epoch == 1
    for name, value in stopped.model.state_dict().items():
        assert torch.equal(value, done.model.state_dict()[name])


def test_an_existing_run_is_kept(small_run, small_records, tmp_path):
    with refused(Code.EXISTS, "exists already; go on with --resume, or replace it with --overwrite"):
        train(small_records, small_run.folder.path, SMALL)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with refused(Code.EXISTS, "not a run folder"):
        train(small_records, tmp_path / "mine", SMALL, overwrite=True)
    assert (tmp_path / "mine" / "thesis.tex").exists()


def test_damaged_and_foreign_checkpoints(small_run, tmp_path):
    folder = shutil.copytree(small_run.folder.path, tmp_path / "run")
    checkpoint = folder / "checkpoint" / "latest.safetensors"
    whole = checkpoint.read_bytes()
    checkpoint.write_bytes(whole[:-100])
    with refused(Code.DAMAGED):
        _ = Run(folder).model
    checkpoint.write_bytes(whole)
    config = folder / "config.toml"
    config.write_text(config.read_text().replace("hidden_size = 12", "hidden_size = 13"))
    with refused(Code.MISMATCH):
        _ = Run(folder).model
    checkpoint.unlink()
    with refused(Code.ABSENT):
        _ = Run(folder).model


def test_too_few_records_for_validation(small_records, tmp_path):
    with refused(Code.TOO_FEW):
        train(small_records, tmp_path / "run", changed(validation_records=3000))
    assert list(tmp_path.iterdir()) == []


def test_the_averaged_weights_are_those_that_are_validated_and_kept(small_records, tmp_path):
    run = train(small_records, tmp_path / "run", changed(averaging=0.99, epochs=2))
    tensors = load_file(run.folder.checkpoint)
    for name in dict(run.model.named_parameters()):
        assert not torch.equal(tensors[f"average.{name}"], tensors[f"model.{name}"])
    assert run.progress.best_epoch == 2
    assert same(
        {name: tensors[f"average.{name}"] for name, _ in run.model.named_parameters()},
        dict(run.model.named_parameters()),
    )
    with RecordFile(small_records) as file:
        outcomes = file.load()
    held_out = outcomes[
        split(len(outcomes), run.config.training.n_validation(len(outcomes)), run.config.training.seed)[1]
    ]
    assert -run.model.log_prob(held_out).mean() == pytest.approx(run.progress.best_loss, rel=1e-6)


def test_the_average_is_over_a_tenth_of_the_steps_at_first_and_then_over_the_steps_asked():
    model = build_model({"family": "gru", "hidden_size": 2}, 3, 4)
    average = {name: torch.zeros_like(value) for name, value in model.named_parameters()}
    with torch.no_grad():
        for value in model.parameters():
            value.fill_(1.0)
    expected = 0.0
    for step in range(1, 200):
        _follow(average, model, 0.9, step)
        keep = min(0.9, (1 + step) / (10 + step))
        expected = keep * expected + (1 - keep)
        assert all(value == pytest.approx(expected, rel=1e-5) for value in average["head.bias"].tolist())
    assert expected == pytest.approx(1, abs=1e-6)


def test_weights_learn_at_the_scale_that_their_family_gives():
    model = build_model({"family": "nice", "hidden_size": 8, "transforms": 1}, 3, 4)
    groups = {group["scale"]: group["params"] for group in _groups(model)}
    assert sum(len(weights) for weights in groups.values()) == len(list(model.parameters()))
    window = list(model.transform.transforms[0].parameters())
    assert {id(weight) for weight in groups[3.0]} == {id(weight) for weight in window}
    assert [group["scale"] for group in _groups(build_model({"family": "gru"}, 3, 4))] == [1.0]
