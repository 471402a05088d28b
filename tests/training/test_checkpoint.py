"""A checkpoint puts model, averages and optimiser where they were, so that the next step is the same."""

import copy

import pytest
import torch
from torch import nn

from qtomo.errors import Code
from qtomo.training.checkpoint import TrainingState, load_checkpoint, load_weights, save_checkpoint
from tests.refusing import refused

STATE = TrainingState(epoch=2, step=5, loss_sum=1.5, best_loss=0.25, best_epoch=1, history=[{"epoch": 1, "loss": 0.25}])


def trained(seed):
    torch.manual_seed(seed)
    model = nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    for _ in range(3):
        step(model, optimizer)
    return model, optimizer


def step(model, optimizer):
    optimizer.zero_grad()
    model(torch.arange(6.0).view(2, 3)).square().sum().backward()
    optimizer.step()


def weights(model, factor=1.0):
    return {name: factor * value.clone() for name, value in model.state_dict().items()}


@pytest.fixture
def stored(tmp_path):
    model, optimizer = trained(1)
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, STATE, model, weights(model, 2), weights(model, 3), optimizer)
    return path, model, optimizer


def test_the_next_step_is_the_one_that_would_have_followed(stored):
    path, model, optimizer = stored
    other, others = trained(2)
    progress, average, best = load_checkpoint(path, other, others)
    assert progress == STATE
    assert {name: value.tolist() for name, value in average.items()} == {
        name: value.tolist() for name, value in weights(model, 2).items()
    }
    assert torch.equal(best["weight"], 3 * model.weight)
    step(model, optimizer)
    step(other, others)
    assert all(torch.equal(weights(model)[name], value) for name, value in weights(other).items())


def test_weights_are_the_best_or_the_averaged_ones(stored):
    path, model, _ = stored
    other = nn.Linear(3, 2)
    assert load_weights(path, other).step == 5
    assert torch.equal(other.weight, 3 * model.weight)
    load_weights(path, other, best=False)
    assert torch.equal(other.weight, 2 * model.weight)


def test_where_nothing_is_averaged_weights_are_those_of_now(tmp_path):
    model, optimizer = trained(1)
    save_checkpoint(tmp_path / "c", STATE, model, {}, weights(model, 3), optimizer)
    other = nn.Linear(3, 2)
    load_weights(tmp_path / "c", other, best=False)
    assert torch.equal(other.weight, model.weight)


def test_a_damaged_an_absent_and_a_foreign_checkpoint_are_refused(stored):
    path, model, _ = stored
    with refused(Code.MISMATCH):
        load_weights(path, nn.Linear(4, 2))
    with refused(Code.ABSENT):
        load_weights(path.with_name("none"), model)
    before = copy.deepcopy(weights(model))
    content = path.read_bytes()
    for cut in (0, 4, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:cut])
        with refused(Code.DAMAGED):
            load_weights(path, model)
    assert all(torch.equal(before[name], value) for name, value in weights(model).items())
