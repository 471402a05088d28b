"""Figures of adversarial training are drawn."""

from dataclasses import replace

import numpy as np
import torch

from qtomo.adversarial.critics import study_critic
from qtomo.adversarial.toys import eight_gaussians
from qtomo.reporting.adversarial_figures import critic_figure, samples_figure, surface_figure
from qtomo.reporting.style import save_figure
from tests.reporting.test_figures import ink

QUICK = {"steps": 3, "hidden_size": 8, "hidden_layers": 3, "batch_size": 16}


def test_samples_are_drawn(tmp_path):
    toy, random = eight_gaussians(), torch.Generator().manual_seed(0)
    real = toy.sample(500, random)
    save_figure(samples_figure({"real": real, "made": real + 1, "other": -real}), tmp_path / "wide.png")
    save_figure(samples_figure({"real": real}), tmp_path / "one.png")
    assert 0.01 < ink(tmp_path / "wide.png") < 0.3
    assert 0.01 < ink(tmp_path / "one.png") < 0.3


def test_critics_are_drawn(tmp_path):
    toy = eight_gaussians()
    studies = {
        way: [study_critic(toy.sample, {**QUICK, "penalty": way, "strength": 0.5}, seed, n_exact=20) for seed in (0, 1)]
        for way in ("clipping", "gradient_penalty")
    }
    save_figure(critic_figure(studies), tmp_path / "both.png")
    save_figure(critic_figure({way: runs[:1] for way, runs in studies.items()}), tmp_path / "single.png")
    real = {"eight Gaussians": toy.sample(100, torch.Generator().manual_seed(0))}
    studies["flat"] = [replace(studies["clipping"][0], surface=np.zeros((101, 101)))]
    surfaces = surface_figure({way: {"eight Gaussians": runs[0]} for way, runs in studies.items()}, real)
    save_figure(surfaces, tmp_path / "surfaces.png")
    pictures = [tmp_path / name for name in ("both.png", "single.png", "surfaces.png")]
    assert all(0.01 < ink(picture) < 0.9 for picture in pictures)
    assert not np.array_equal(*(picture.read_bytes() for picture in pictures[:2]))
