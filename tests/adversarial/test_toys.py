"""Toy distributions: their moments, and how samples of them are judged."""

import math

import pytest
import torch

from qtomo.adversarial.judging import mode_coverage, two_sample
from qtomo.adversarial.toys import TOYS, eight_gaussians, find_toy, mixture_1d, rings, swiss_roll, twenty_five_gaussians
from qtomo.errors import Code
from tests.refusing import refused


def generator(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_mixture_has_its_moments():
    toy = mixture_1d([-1.0, 2.0], [0.5, 1.0], [0.25, 0.75])
    samples = toy.sample(200_000, generator())
    assert samples.shape == (200_000, 1)
    mean = -0.25 + 1.5
    variance = 0.25 * (0.25 + 1) + 0.75 * (1 + 4) - mean**2
    assert samples.mean().item() == pytest.approx(mean, abs=5.5 * math.sqrt(variance / 200_000))
    assert samples.var().item() == pytest.approx(variance, rel=0.03)


@pytest.mark.parametrize(("toy", "n_modes"), [(eight_gaussians(), 8), (twenty_five_gaussians(), 25)])
def test_true_samples_cover_every_mode(toy, n_modes):
    """All modes, 98.9 % near: the Rayleigh distribution beyond 3 is exp(-4.5)."""
    found = mode_coverage(toy.sample(20_000, generator()), toy)
    assert (found.covered, found.n_modes) == (n_modes, n_modes)
    assert found.covered_error < 1e-3
    assert abs(found.near - (1 - math.exp(-4.5))) < 5.5 * found.near_error  # false alarms 4e-8
    assert sum(found.shares) == pytest.approx(found.near)


def test_dropped_and_thin_modes_are_not_covered():
    toy = eight_gaussians()
    counts = torch.tensor([25, 24, 0, 200, 200, 200, 200, 151])  # of 1,000, 125 due to each, 25 needed
    found = mode_coverage(toy.modes.repeat_interleave(counts, dim=0), toy)
    assert found.covered == 6
    assert 0.6 < found.covered_error < 0.8  # two modes at the edge, each a coin toss
    assert found.near == 1
    moved = mode_coverage(toy.modes.repeat_interleave(counts, dim=0) + 3.1 * 0.05 / math.sqrt(2), toy)
    assert (moved.near, moved.covered) == (0, 0)


def test_coverage_needs_modes():
    with refused(Code.UNSUPPORTED):
        mode_coverage(torch.zeros(10, 2), swiss_roll())


def test_rings_and_rolls_lie_where_they_should():
    radius = rings(noise=1e-6).sample(3000, generator()).norm(dim=1)
    assert {round(r, 3) for r in radius.tolist()} == {0.5, 1.0, 1.5}
    roll = 7.5 * swiss_roll(noise=0).sample(3000, generator())
    angle = roll.norm(dim=1)
    assert angle.min() > 1.5 * math.pi - 1e-4
    assert angle.max() < 4.5 * math.pi + 1e-4
    assert torch.allclose(roll, angle[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1), atol=1e-3)


def test_the_two_sample_test_has_level_and_power():
    toy = swiss_roll()
    real, same = toy.sample(10_000, generator(1)), toy.sample(10_000, generator(2))
    equal = two_sample(real, same)
    assert abs(equal.accuracy - 0.5) < 5.5 * equal.error
    assert two_sample(real, swiss_roll(noise=0.5).sample(10_000, generator(3))).accuracy > 0.6
    assert two_sample(real, same + 0.05).accuracy > 0.7
    assert two_sample(real, same + 10).accuracy == 1


def test_every_toy_draws_the_same_from_the_same_generator():
    for name in TOYS:
        toy = find_toy(name)
        samples = toy.sample(100, generator())
        assert samples.dtype == torch.float32
        assert torch.equal(samples, toy.sample(100, generator()))
        assert not torch.equal(samples, toy.sample(100, generator(2)))


def test_bad_mixtures_and_names():
    with refused(Code.MISMATCH):
        mixture_1d([0.0, 1.0], [1.0], [0.5, 0.5])
    with refused(Code.VALUE, "weights"):
        mixture_1d([0.0, 1.0], [1.0, 1.0], [0.5, 0.6])
    with refused(Code.UNKNOWN, "'moons'; known: two_gaussians_1d"):
        find_toy("moons")
