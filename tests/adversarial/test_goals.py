"""What the recipes reach on the toys, at full length; benchmarks/toy_gans.py and critics.py give more seeds."""

import numpy as np
import pytest
import torch

from qtomo.adversarial.critics import study_critic
from qtomo.adversarial.gan import RECIPES, train_gan
from qtomo.adversarial.judging import mode_coverage, two_sample
from qtomo.adversarial.toys import find_toy

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

GOOD = ["non_saturating, R1", "wasserstein, gradient penalty"]


def made(toy: str, recipe: str, seed: int = 0) -> torch.Tensor:
    gan = train_gan(find_toy(toy).sample, RECIPES[recipe], seed)
    assert gan.stopped_at is None
    return gan.sample(10_000, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("recipe", GOOD)
@pytest.mark.parametrize("seed", range(5))
def test_eight_gaussians(recipe, seed):
    found = mode_coverage(made("eight_gaussians", recipe, seed), find_toy("eight_gaussians"))
    assert found.covered == 8
    assert found.near > 0.9


@pytest.mark.parametrize("recipe", GOOD)
def test_twenty_five_gaussians(recipe):
    toy = "twenty_five_gaussians"
    assert mode_coverage(made(toy, recipe), find_toy(toy)).covered >= 24


def test_swiss_roll():
    real = find_toy("swiss_roll").sample(10_000, torch.Generator().manual_seed(7))
    assert two_sample(real, made("swiss_roll", "non_saturating, R1, large batch")).accuracy <= 0.6


def test_the_original_loss_loses_modes_once_its_critic_runs_ahead():
    covered = {
        recipe: mode_coverage(made("eight_gaussians", recipe), find_toy("eight_gaussians")).covered
        for recipe in ("saturating, 5 critic steps", "non_saturating, R1, 5 critic steps")
    }
    assert covered["saturating, 5 critic steps"] <= 4
    assert covered["non_saturating, R1, 5 critic steps"] == 8


@pytest.mark.parametrize("toy", ["eight_gaussians", "twenty_five_gaussians", "swiss_roll"])
def test_deep_critics(toy):
    deep = {"hidden_layers": 12, "steps": 400}
    ways = {"clipping": {**deep, "penalty": "clipping", "strength": 0.1}, "penalty": {**deep, "strength": 10.0}}
    studies = {
        way: [study_critic(find_toy(toy).sample, settings, seed, n_exact=500) for seed in range(2)]
        for way, settings in ways.items()
    }
    assert min(study.at_bounds for study in studies["clipping"]) > 0.8
    assert min(study.decades for study in studies["clipping"]) > 3
    assert max(study.decades for study in studies["penalty"]) < 1
    captured = {way: np.mean([study.captured for study in runs]) for way, runs in studies.items()}
    assert captured["penalty"] > 2 * captured["clipping"]
