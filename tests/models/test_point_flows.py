"""Flows of points of the plane: densities of integral one, samples, and what they learn of a ring of Gaussians."""

import pytest
import torch

from qtomo.adversarial.toys import eight_gaussians
from qtomo.errors import Code
from qtomo.models.flows.points import POINT_FLOWS, PointFlow, fit_points
from tests.refusing import refused

SETTINGS = {"cnf": {"tolerance": 1e-4, "hidden_size": 16}, "nsf": {"channels": 8}}


def moved(name):
    torch.manual_seed(0)
    flow = PointFlow(name, **SETTINGS.get(name, {}))
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return flow.eval()


@pytest.mark.parametrize("name", POINT_FLOWS)
def test_densities_integrate_to_one(name):
    line = torch.linspace(-25, 25, 201)
    with torch.no_grad():
        total = (
            moved(name).log_density(torch.cartesian_prod(line, line)).double().exp().sum() * (line[1] - line[0]) ** 2
        )
    assert total == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("name", POINT_FLOWS)
def test_samples_have_the_density(name):
    flow = moved(name)
    points = flow.sample(4000, torch.Generator().manual_seed(1))
    line = torch.linspace(-20, 20, 201)
    grid = torch.cartesian_prod(line, line)
    with torch.no_grad():
        density = flow.log_density(grid).double().exp() * (line[1] - line[0]) ** 2
    inside = (grid.norm(dim=1) < 2).double()
    expected = float((density * inside).sum())
    share = float((points.norm(dim=1) < 2).double().mean())
    assert abs(share - expected) < 6 * (expected * (1 - expected) / 4000) ** 0.5 + 0.01


@pytest.mark.parametrize(
    "name", ["nsf", pytest.param("realnvp", marks=pytest.mark.slow), pytest.param("glow", marks=pytest.mark.slow)]
)
def test_it_learns_a_ring_of_gaussians(name):
    toy, generator = eight_gaussians(0.3), torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    flow = PointFlow(name, **SETTINGS.get(name, {}))
    points = toy.sample(4000, torch.Generator().manual_seed(1))
    gaussian = torch.distributions.MultivariateNormal(points.mean(dim=0), points.T.cov())
    fit_points(flow, toy.sample, generator, steps=200, learning_rate=5e-3)
    with torch.no_grad():
        gain = flow.log_density(points) - gaussian.log_prob(points)
    assert gain.mean() > 5 * gain.std() / len(gain) ** 0.5  # better than the best Gaussian


def test_unknown_flows_are_refused():
    with refused(Code.UNKNOWN, "realnvp"):
        PointFlow("realnpv")
