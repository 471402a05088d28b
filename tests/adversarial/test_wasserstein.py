"""W1: exact distances in closed form, point masses, critics trained to estimate it."""

import math

import pytest
import torch
from torch import nn

from qtomo.adversarial.critics import train_critic
from qtomo.adversarial.toys import gaussian_mixture
from qtomo.adversarial.wasserstein import PointMasses, dual_estimate, exact_w1, point_masses
from qtomo.errors import Code
from tests.refusing import refused


def generator(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_a_shift_costs_its_length(dimensions):
    x = torch.randn(200, dimensions, generator=generator())
    shift = torch.arange(1.0, dimensions + 1)
    assert exact_w1(x, x.flip(0) + shift) == pytest.approx(shift.norm().item(), rel=1e-5)


def test_points_on_a_line_cost_the_same_by_sorting_and_by_assignment():
    x, y = torch.randn(2, 300, 1, generator=generator())
    flat = [torch.cat([values, torch.zeros(300, 1)], dim=1) for values in (x, 2 * y + 1)]
    assert exact_w1(*flat) == pytest.approx(exact_w1(x, 2 * y + 1), rel=1e-9)


def test_sets_that_cannot_be_assigned():
    with refused(Code.MISMATCH, "3 and 4"):
        exact_w1(torch.zeros(3, 2), torch.zeros(4, 2))
    with refused(Code.MISMATCH, "1 and of 2"):
        exact_w1(torch.zeros(3, 1), torch.zeros(3, 2))
    assert exact_w1(torch.zeros(3, 1), torch.ones(4, 1)) == 1


def test_two_point_masses():
    for distance in (0.01, 1.0, -5.0):
        assert point_masses(distance) == PointMasses(math.inf, pytest.approx(math.log(2)), abs(distance))
    assert point_masses(0.0) == PointMasses(0, 0, 0)


def test_the_dual_of_a_linear_critic_is_its_slope_times_the_shift():
    critic = nn.Linear(2, 1)
    with torch.no_grad():
        critic.weight.copy_(torch.tensor([[3.0, 4.0]]))
    x = torch.randn(5000, 2, generator=generator())
    found = dual_estimate(critic, x, x - torch.tensor([0.3, 0.4]), generator())
    assert found.value == pytest.approx(2.5, rel=1e-5)
    assert found.steepest == pytest.approx(5)
    assert found.error == pytest.approx(5 * math.sqrt(2 / 5000), rel=0.05)


LINE = gaussian_mixture(torch.tensor([[-2.0], [1.0]]), torch.tensor([0.3, 0.5]), torch.tensor([0.4, 0.6]))
PLANE = gaussian_mixture(torch.tensor([[-1.0, 0.0], [1.0, 1.0]]), torch.tensor([0.3, 0.5]), torch.tensor([0.5, 0.5]))


@pytest.mark.parametrize("penalty", ["gradient_penalty", "lipschitz_penalty"])
@pytest.mark.parametrize("real", [LINE, PLANE], ids=["one dimension", "two dimensions"])
def test_critics_with_a_penalty_estimate_the_distance(real, penalty):
    """Against a wide Gaussian; within 10 % of the exact distance, whose own error is about 2 %.

    With other seeds the two-sided penalty may hold a critic of the wrong sign on the line, see test_penalties.
    """

    def fake(n, random):
        return 1 + torch.randn(n, real.modes.shape[1], generator=random)

    settings = {"penalty": penalty, "strength": 20.0, "steps": 300, "learning_rate": 3e-3}
    critic = train_critic(real.sample, fake, settings, seed=1)
    x, y = real.sample(20_000, generator(5)), fake(20_000, generator(6))
    n = 20_000 if real is LINE else 1000
    exact = exact_w1(x[:n], y[:n])
    assert dual_estimate(critic, x, y, generator()).value == pytest.approx(exact, rel=0.1)
