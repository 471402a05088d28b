"""Two processes train as one does, stop together, and say so where one of them is lost."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file

from qtomo import Run, resume, train
from qtomo.errors import Code
from qtomo.parallel import World
from qtomo.training.distributed import check_shares, share
from tests.conftest import SMALL
from tests.refusing import refused

# 2,851 records: the last batch of an epoch has one, so that rank 1 has none of it. 52 steps in all.
TRAINING = {**SMALL["training"], "validation_records": 149, "batch_size": 114, "checkpoint_seconds": 0.01}
FAMILIES = ("gru", "rbm", "glow", "gan")

WORKER = """
import json, sys
from qtomo import train
from qtomo.errors import Code, InputError
from qtomo.training import launch

records, folder, training = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
families, fit, found = sys.argv[4:], launch.fit, {}

def kept(model, *arguments, **options):
    found[family] = fit(model, *arguments, **options), {n: w.tolist() for n, w in model.state_dict().items()}

launch.fit = kept
for family in families:
    train(records, f"{folder}/{family}", {"model": {"family": family}, "training": training})
faults = []
for changes in ({"batch_size": 115}, {"learning_rate": 1e30, "gradient_clip": 0, "warmup_steps": 0}):
    try:
        train(records, f"{folder}/fault", {"training": {**training, **changes}})
    except InputError as error:
        faults.append(f"{type(error).__name__}: {error}")
weights = {family: weights for family, (_, weights) in found.items()}
print(json.dumps({"weights": weights, "faults": faults, "steps": [p.step for p, _ in found.values()]}))
"""


def start_two(*arguments: object) -> list[subprocess.Popen]:
    """Two processes with the environment that torchrun gives, without torchrun, which would end both."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {**os.environ, "OMP_NUM_THREADS": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
    shared |= {"MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo"}
    command = [sys.executable, *map(str, arguments)]
    return [
        subprocess.Popen(
            command, env={**shared, "RANK": str(rank)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for rank in range(2)
    ]


def start_training(records, folder) -> list[subprocess.Popen]:
    """Two processes of the command in a run too long to end, once it has a checkpoint."""
    options = [f"--set=training.{name}={value}" for name, value in {**TRAINING, "epochs": 400}.items()]
    two = start_two("-m", "qtomo_cli", "train", records, "--output", folder, "--set=model.hidden_size=12", *options)
    while not Run(folder).folder.checkpoint.exists() if folder.exists() else True:
        assert all(process.poll() is None for process in two), two[0].communicate()[1]
        time.sleep(0.01)
    return two


def told(process: subprocess.Popen) -> tuple[int, list[str]]:
    """Exit code and what was said, without lines of progress and of torch."""
    errors = process.communicate(timeout=60)[1]
    return process.returncode, [line for line in errors.splitlines() if line.startswith(("qtomo:", "Traceback"))]


def test_two_processes_learn_what_one_does(small_records, tmp_path):
    two = start_two("-c", WORKER, small_records, tmp_path, json.dumps(TRAINING), *FAMILIES)
    outputs = [process.communicate(timeout=120) for process in two]
    assert [process.returncode for process in two] == [0, 0], outputs
    first, second = (json.loads(output.splitlines()[-1]) for output, _ in outputs)
    assert first["steps"] == second["steps"] == [52] * len(FAMILIES)
    assert first["weights"] == second["weights"]

    one = train(small_records, tmp_path / "one", {"training": TRAINING})
    both = Run(tmp_path / "gru")
    for alone, shared in zip(one.progress.history, both.progress.history, strict=True):
        for name in ("train_loss", "train_loss_error", "validation_loss", "validation_loss_error"):
            assert shared[name] == pytest.approx(alone[name], abs=1e-5)
    theirs = load_file(both.folder.checkpoint)
    for name, weight in load_file(one.folder.checkpoint).items():
        torch.testing.assert_close(theirs[name], weight, atol=1e-4, rtol=0)
    assert Run(tmp_path / "glow").model.initialised
    gan = Run(tmp_path / "gan")
    assert gan.model.steps == 26 * gan.progress.best_epoch

    assert first["faults"] == second["faults"]
    refused, diverged = first["faults"]
    assert refused.startswith("InputError: training.batch_size = 115 records of all processes together, expected a mul")
    assert refused.endswith("such as 114 or 116")
    assert diverged.startswith("Diverged: the ")


@pytest.mark.slow
def test_one_asked_to_stop_stops_both_and_one_process_goes_on(small_records, tmp_path):
    folder = tmp_path / "run"
    two = start_training(small_records, folder)
    two[1].send_signal(signal.SIGTERM)
    assert told(two[0]) == (130, [f"qtomo: stopped and saved; go on with: qtomo train --resume {folder}"])
    assert told(two[1]) == (130, [])
    before = Run(folder).progress
    assert not before.finished
    config = folder / "config.toml"
    config.write_text(config.read_text().replace("epochs = 400", f"epochs = {before.epoch + 1}"))
    after = resume(folder).progress
    assert after.step == 26 * (before.epoch + 1)
    assert after.history[: before.epoch] == before.history


@pytest.mark.parametrize("lost", [0, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.slow
def test_a_lost_process_is_told_and_the_run_can_go_on(lost, small_records, tmp_path):
    folder = tmp_path / "run"
    two = start_training(small_records, folder)
    two[lost].kill()
    words = "qtomo: another of the 2 processes has stopped; go on from the last checkpoint with: qtomo train --resume"
    assert told(two[1 - lost]) == (130, [f"{words} {folder}"])
    two[lost].communicate()
    assert two[lost].returncode == -signal.SIGKILL
    reached = Run(folder).progress
    assert reached.step > 0
    config = folder / "config.toml"
    config.write_text(config.read_text().replace("epochs = 400", f"epochs = {reached.epoch + 1}"))
    assert resume(folder).progress.finished


@pytest.mark.parametrize(("n", "parts"), [(10, 1), (10, 4), (1, 2), (3, 8)])
def test_shares_are_a_partition_equal_up_to_one(n, parts):
    shares = [list(range(n))[share(n, part, parts)] for part in range(parts)]
    assert [row for rows in shares for row in rows] == list(range(n))
    assert shares[0]
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_a_batch_smaller_than_the_number_of_processes_is_refused():
    check_shares(8, World(0, 4))
    with refused(Code.VALUE, r"training.batch_size = 3 .* number 4, such as 4$"):
        check_shares(3, World(0, 4))
