"""Penalties against closed forms for linear and quadratic critics, and against finite differences."""

import math

import pytest
import torch
from torch import nn

from qtomo.adversarial.gan import mlp
from qtomo.adversarial.penalties import (
    PENALTIES,
    clip_weights,
    find_penalty,
    gradient_penalty,
    input_gradients,
    lipschitz_penalty,
    r1,
)
from qtomo.errors import Code
from tests.refusing import refused

REAL, FAKE = torch.randn(2, 50, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
NORMAL = torch.tensor([[2.0], [-1.0], [2.0]], dtype=torch.float64)  # of length 3


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(2)


def linear(x):
    return x @ NORMAL


def quadratic(x):
    return 1.5 * x.square().sum(dim=1, keepdim=True)


def test_a_linear_critic_has_one_slope():
    assert gradient_penalty(linear, REAL, FAKE, generator()).item() == pytest.approx(4)
    assert gradient_penalty(lambda x: linear(x) / 3, REAL, FAKE, generator()).item() == pytest.approx(0, abs=1e-20)
    assert gradient_penalty(lambda x: linear(x) / 6, REAL, FAKE, generator()).item() == pytest.approx(0.25)
    assert r1(linear, REAL).item() == pytest.approx(4.5)


def test_the_lipschitz_penalty_spares_flat_critics():
    assert lipschitz_penalty(linear, REAL, FAKE, generator()).item() == pytest.approx(4)
    assert lipschitz_penalty(lambda x: linear(x) / 6, REAL, FAKE, generator()).item() == 0


@pytest.mark.parametrize(("name", "trapped"), [("gradient_penalty", True), ("lipschitz_penalty", False)])
def test_on_a_line_the_two_sided_penalty_holds_a_critic_of_the_wrong_sign(name, trapped):
    """Real samples 1 above the fake ones, lambda = 10: maxima at slopes 1.05 and, for the two-sided one, -0.95."""
    slope = torch.tensor(-1.2, dtype=torch.float64, requires_grad=True)
    fake = FAKE[:, :1]
    for _ in range(400):
        gain = slope - find_penalty(name, 10.0).term(lambda x, slope=slope: slope * x, fake + 1, fake, generator())
        slope = (slope + 0.02 * torch.autograd.grad(gain, slope)[0]).detach().requires_grad_(True)
    assert slope.item() == pytest.approx(-0.95 if trapped else 1.05)


def test_r1_looks_at_real_samples_alone():
    assert r1(quadratic, REAL).item() == pytest.approx(4.5 * REAL.square().sum(dim=1).mean().item())
    assert find_penalty("r1", 0.4).term(quadratic, REAL, FAKE, generator()).item() == pytest.approx(
        0.4 * r1(quadratic, REAL).item()
    )


def test_the_gradient_penalty_looks_between_real_and_fake():
    """|grad| = 3|x| on lines from a sphere of radius 1 to the same points at radius 3: evenly between 3 and 9."""
    real = nn.functional.normalize(torch.randn(200_000, 3, generator=generator()), dim=1)
    found = gradient_penalty(quadratic, real, 3 * real, generator()).item()
    exact = (8**3 - 2**3) / 18  # mean of (s - 1)^2 over s from 3 to 9
    assert found == pytest.approx(exact, rel=0.01)  # 5 standard errors


def test_input_gradients_against_finite_differences():
    torch.manual_seed(0)
    critic = mlp(3, 1, 16, 2).double()
    found = input_gradients(critic, REAL)
    for axis in range(3):
        shift = torch.zeros(3, dtype=torch.float64)
        shift[axis] = 1e-6
        expected = (critic(REAL + shift) - critic(REAL - shift))[:, 0] / 2e-6
        assert torch.allclose(found[:, axis], expected, atol=1e-6)


@pytest.mark.parametrize("name", ["gradient_penalty", "lipschitz_penalty", "r1"])
def test_penalties_move_the_weights_as_finite_differences_say(name):
    critic = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1)).double()
    with torch.no_grad():
        critic[0].weight.mul_(4)  # steep somewhere, flat elsewhere
    weight = critic[0].weight

    def term():
        return find_penalty(name, 2.0).term(critic, REAL, FAKE, generator())

    term().backward()
    for entry in ((0, 0), (5, 2)):
        values = []
        for shift in (1e-6, -2e-6):
            with torch.no_grad():
                weight[entry] += shift
            values.append(term().item())
        with torch.no_grad():
            weight[entry] += 1e-6
        assert weight.grad[entry].item() == pytest.approx((values[0] - values[1]) / 2e-6, abs=1e-6)
        assert abs(weight.grad[entry].item()) > 1e-5


def test_clipping_keeps_every_weight_inside_from_the_start():
    critic = mlp(2, 1, 32, 2)
    penalty = find_penalty("clipping", 0.05)
    penalty.prepare(critic)
    largest = max(weight.abs().max().item() for weight in critic.parameters())
    assert 0.045 < largest < 0.05 + 1e-6
    assert (critic[2].weight.abs() > 0.045).float().mean() < 0.2  # evenly: none driven to the bounds yet
    with torch.no_grad():
        critic[0].weight.add_(1)
    clip_weights(critic, 0.05)
    assert (critic[0].weight == 0.05).all()


def test_spectral_normalisation_makes_the_largest_singular_value_one():
    torch.manual_seed(0)
    critic = mlp(3, 1, 32, 2)
    before = [torch.linalg.matrix_norm(layer.weight, 2).item() for layer in critic if isinstance(layer, nn.Linear)]
    find_penalty("spectral", 1.0).prepare(critic)
    for _ in range(50):
        critic(REAL.float())
    after = [torch.linalg.matrix_norm(layer.weight, 2).item() for layer in critic if isinstance(layer, nn.Linear)]
    assert after == pytest.approx([1, 1, 1], rel=1e-3)
    assert min(abs(value - 1) for value in before) > 0.01
    assert input_gradients(critic, REAL.float()).norm(dim=1).max() <= 1.001


def test_convolutions_are_normalised_and_start_within_the_bounds_too():
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Conv1d(3, 16, 5), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(16 * 4, 1))
    find_penalty("clipping", 0.3).prepare(critic)
    assert 0.25 < critic[0].weight.abs().max() <= 0.3
    find_penalty("spectral", 1.0).prepare(critic)
    for _ in range(50):
        critic(torch.randn(2, 3, 8))
    assert torch.linalg.matrix_norm(critic[0].weight.flatten(1), 2).item() == pytest.approx(1, rel=1e-3)


def test_no_penalty_does_nothing():
    critic = mlp(2, 1, 8, 1).double()
    weights = [weight.clone() for weight in critic.parameters()]
    penalty = find_penalty("none", 1.0)
    penalty.prepare(critic)
    penalty.after_step(critic)
    assert penalty.term(critic, REAL[:, :2], FAKE[:, :2], generator()).item() == 0
    assert all(torch.equal(*pair) for pair in zip(weights, critic.parameters(), strict=True))


@pytest.mark.parametrize("name", PENALTIES)
@pytest.mark.parametrize("strength", [0.0, -1.0, math.nan])
def test_strengths_are_positive(name, strength):
    with refused(Code.VALUE, f"'{name}'"):
        find_penalty(name, strength)


def test_a_bound_of_zero_is_told_what_it_would_do():
    with refused(Code.VALUE, r"strength = 0: .* a bound of 0 makes every weight 0"):
        find_penalty("clipping", 0)


def test_an_unknown_penalty_lists_the_known_ones():
    with refused(Code.UNKNOWN, "'r2'; known: none, clipping, gradient_penalty"):
        find_penalty("r2", 1.0)
