"""The critic study: its measures in closed form, and what clipping and penalties do to deep critics."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from qtomo.adversarial.critics import (
    layer_gradient_norms,
    noisy,
    sample_slopes,
    share_at_bounds,
    study_critic,
    train_critic,
    value_surface,
)
from qtomo.adversarial.losses import find_loss
from qtomo.adversarial.toys import eight_gaussians, swiss_roll
from qtomo.errors import Code
from tests.refusing import refused

QUICK = {"steps": 5, "hidden_size": 8, "hidden_layers": 2, "batch_size": 32}


def chain(*factors: float) -> nn.Sequential:
    """A network of one unit a layer that multiplies by a factor at each; inputs are kept positive."""
    layers: list[nn.Module] = []
    for factor in factors:
        layer = nn.Linear(1, 1)
        with torch.no_grad():
            layer.weight.fill_(factor)
            layer.bias.zero_()
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def test_gradient_norms_of_a_chain_are_products_of_what_follows():
    real, fake = torch.rand(2, 50, 1, generator=torch.Generator().manual_seed(1)) + 0.1
    found = layer_gradient_norms(chain(7.0, 2.0, 3.0, 0.5), find_loss("wasserstein"), real, fake)
    assert found == pytest.approx([3.0, 1.5, 0.5])
    halves = layer_gradient_norms(chain(7.0, 1e-9), find_loss("non_saturating"), real, fake)
    assert halves == pytest.approx([0.5e-9])  # the slope of the cross-entropy at a score of 0


def test_slopes_of_samples_are_those_of_the_loss_times_those_of_the_critic():
    critic, fake = chain(3.0), torch.tensor([[-2.0], [0.1]])
    d = torch.sigmoid(3 * fake[:, 0])
    assert torch.allclose(sample_slopes(critic, find_loss("saturating"), fake), 3 * d)
    assert torch.allclose(sample_slopes(critic, find_loss("non_saturating"), fake), 3 * (1 - d))
    assert torch.allclose(sample_slopes(critic, find_loss("wasserstein"), fake), torch.full((2,), 3.0))


def test_a_good_discriminator_leaves_the_original_loss_no_slope():
    real = eight_gaussians().sample

    def fake(n, generator):
        return 0.1 * torch.randn(n, 2, generator=generator)

    slopes = {}
    for steps in (10, 100):
        critic = train_critic(real, fake, {"loss": "saturating", "penalty": "none", "steps": steps}, seed=0)
        points = fake(500, torch.Generator().manual_seed(1))
        for name in ("saturating", "non_saturating"):
            slopes[name, steps] = sample_slopes(critic, find_loss(name), points).mean().item()
    assert slopes["saturating", 100] < 0.1 * slopes["saturating", 10]
    assert slopes["non_saturating", 100] > slopes["non_saturating", 10]


def test_share_at_bounds_counts_matrices_alone():
    critic = chain(0.1, -0.095, 0.05, 0.0)
    with torch.no_grad():
        critic[0].bias.fill_(0.1)
    assert share_at_bounds(critic, 0.1) == 0.5


def test_the_fixed_generator_adds_unit_noise():
    toy = swiss_roll()
    clean = toy.sample(1, torch.Generator().manual_seed(1))
    assert not torch.equal(clean, noisy(toy.sample)(1, torch.Generator().manual_seed(1)))
    points = noisy(lambda n, generator: torch.zeros(n, 2))(100_000, torch.Generator().manual_seed(1))
    assert points.std(dim=0).tolist() == pytest.approx([1, 1], abs=0.0125)  # 5.5 standard errors


def test_surfaces_are_centred_with_rows_in_y():
    critic = nn.Linear(2, 1)
    with torch.no_grad():
        critic.weight.copy_(torch.tensor([[1.0, 10.0]]))
    surface = value_surface(critic, extent=2.0, points=5)
    assert surface[0] == pytest.approx(np.array([-22, -21, -20, -19, -18]), abs=1e-5)
    assert surface[:, 0] == pytest.approx(np.array([-22, -12, -2, 8, 18]), abs=1e-5)


def test_a_critic_repeats_itself():
    first, again, other = (study_critic(swiss_roll().sample, QUICK, seed=seed, n_exact=50) for seed in (1, 1, 2))
    assert (first.weights == again.weights).all()
    assert first.dual == again.dual
    assert not (first.weights == other.weights).all()


def test_bad_settings_and_divergence():
    toy = swiss_roll()
    with refused(Code.VALUE, "critic: steps = 0"):
        train_critic(toy.sample, noisy(toy.sample), {"steps": 0}, seed=0)
    with refused(Code.VALUE, "strength = 0"):
        train_critic(toy.sample, noisy(toy.sample), {"penalty": "clipping", "strength": 0}, seed=0)
    with refused(Code.DIVERGED, "step 1"):
        train_critic(lambda n, _: torch.full((n, 2), math.nan), toy.sample, QUICK, seed=0)


def test_clipping_drives_weights_to_the_bounds_and_gradients_apart():
    """A quick view of the study: 12 layers, narrow and few steps; the penalty keeps both in order."""
    deep = {"hidden_layers": 12, "hidden_size": 32, "batch_size": 64, "steps": 200}
    toy = eight_gaussians()
    clipped = study_critic(
        toy.sample, {**deep, "penalty": "clipping", "strength": 0.2, "learning_rate": 3e-3}, seed=0, n_exact=200
    )
    kept = study_critic(toy.sample, {**deep, "strength": 10.0}, seed=0, n_exact=200)
    assert clipped.at_bounds_before < 0.15
    assert clipped.at_bounds > 0.8
    assert clipped.decades > 3
    assert kept.decades < 1
    assert kept.at_bounds < 0.2
