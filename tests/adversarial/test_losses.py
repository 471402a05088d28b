"""Losses against closed forms: values, slopes, the f-divergence they are a case of."""

import math

import pytest
import torch

from qtomo.adversarial.losses import LOSSES, find_loss
from qtomo.errors import Code
from tests.refusing import refused

REAL = torch.tensor([[0.5], [-1.0], [3.0]], dtype=torch.float64)
FAKE = torch.tensor([[-2.0], [0.25]], dtype=torch.float64)


def slope(function, *scores, at: int = 0):
    """d(function)/d(scores[at])."""
    scores = [score.clone().requires_grad_(True) for score in scores]
    return torch.autograd.grad(function(*scores), scores[at])[0]


def test_the_discriminator_pays_the_cross_entropy_of_real_against_fake():
    d_real, d_fake = torch.sigmoid(REAL), torch.sigmoid(FAKE)
    expected = -(d_real.log().mean() + (1 - d_fake).log().mean())
    for name in ("saturating", "non_saturating"):
        assert LOSSES[name].critic(REAL, FAKE).item() == pytest.approx(expected.item(), rel=1e-12)
        assert LOSSES[name].critic(0 * REAL, 0 * FAKE).item() == pytest.approx(math.log(4))


def test_the_saturating_slope_vanishes_on_a_sure_fake_and_the_other_does_not():
    d = torch.sigmoid(FAKE)
    assert torch.allclose(slope(LOSSES["saturating"].generator, FAKE), -d / len(FAKE))
    assert torch.allclose(slope(LOSSES["non_saturating"].generator, FAKE), (d - 1) / len(FAKE))
    sure = torch.tensor([[-20.0]])
    assert abs(slope(LOSSES["saturating"].generator, sure).item()) < 1e-8
    assert slope(LOSSES["non_saturating"].generator, sure).item() == pytest.approx(-1)


def test_the_wasserstein_losses_are_differences_of_means():
    loss = LOSSES["wasserstein"]
    assert loss.critic(REAL, FAKE).item() == pytest.approx(-0.875 - 2.5 / 3)
    assert loss.generator(FAKE).item() == pytest.approx(0.875)
    assert torch.equal(slope(loss.critic, REAL, FAKE), torch.full_like(REAL, -1 / 3))
    assert torch.equal(slope(loss.critic, REAL, FAKE, at=1), torch.full_like(FAKE, 1 / 2))


def test_the_gan_divergence_is_the_saturating_game():
    made = find_loss("gan")
    assert made.critic(REAL, FAKE).item() == pytest.approx(LOSSES["saturating"].critic(REAL, FAKE).item())
    assert made.generator(FAKE).item() == pytest.approx(LOSSES["saturating"].generator(FAKE).item())


def test_the_bound_of_a_divergence_is_tight_at_its_best_critic():
    """KL of two biased coins: T = 1 + ln(p/q), with each side of a coin as often as it falls."""
    p, q = [3, 1], [1, 1]
    best = [1 + math.log((p[i] / 4) / (q[i] / 2)) for i in (0, 1)]
    real, fake = (torch.tensor([[best[i]] for i in (0, 1) for _ in range(c[i])]).double() for c in (p, q))
    kl = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert find_loss("kl").critic(real, fake).item() == pytest.approx(-kl)
    assert find_loss("kl").critic(real + 0.1, fake + 0.1) > -kl
    assert find_loss("kl").critic(real - 0.1, fake - 0.1) > -kl


def test_an_unknown_loss_lists_the_known_ones():
    with refused(Code.UNKNOWN, "'hinge'; known: saturating, non_saturating, wasserstein"):
        find_loss("hinge")
