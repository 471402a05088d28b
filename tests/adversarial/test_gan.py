"""Training: what it learns, what it repeats, how it stops."""

import math

import pytest
import torch

from qtomo.adversarial.gan import GanSettings, mlp, train_gan
from qtomo.adversarial.toys import mixture_1d
from qtomo.adversarial.wasserstein import exact_w1
from qtomo.errors import Code
from tests.refusing import refused

LINE = mixture_1d([-1.0, 1.0], [0.3, 0.3], [0.5, 0.5])
QUICK = {"steps": 5, "hidden_size": 16, "hidden_layers": 1, "batch_size": 32}


def weights(gan) -> torch.Tensor:
    return torch.nn.utils.parameters_to_vector([*gan.generator.parameters(), *gan.critic.parameters()])


def test_the_same_seed_gives_the_same_networks_and_leaves_the_global_generator():
    state = torch.random.get_rng_state()
    first = train_gan(LINE.sample, QUICK, seed=3)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.rand(5)
    assert torch.equal(weights(first), weights(train_gan(LINE.sample, QUICK, seed=3)))
    assert not torch.equal(weights(first), weights(train_gan(LINE.sample, QUICK, seed=4)))
    assert first.stopped_at is None
    assert len(first.critic_losses) == len(first.generator_losses) == 5


@pytest.mark.parametrize(
    ("loss", "penalty"),
    [
        ("saturating", "none"),
        ("non_saturating", "r1"),
        ("non_saturating", "spectral"),
        ("wasserstein", "clipping"),
        ("wasserstein", "gradient_penalty"),
    ],
)
def test_every_penalty_runs_with_its_losses(loss, penalty):
    gan = train_gan(LINE.sample, {**QUICK, "loss": loss, "penalty": penalty, "n_critic": 2}, seed=0)
    assert gan.stopped_at is None
    assert gan.sample(7, torch.Generator().manual_seed(0)).shape == (7, 1)
    if penalty == "clipping":
        assert max(weight.abs().max() for weight in gan.critic.parameters()) < gan.settings.strength + 1e-6


def test_watching_sees_every_step_and_changes_none():
    seen = []
    watched = train_gan(
        LINE.sample, QUICK, seed=3, watch=lambda step, g: seen.append((step, g(torch.ones(1, 2)).item()))
    )
    assert [step for step, _ in seen] == [1, 2, 3, 4, 5]
    assert len({value for _, value in seen}) == 5
    assert seen[-1][1] == watched.generator(torch.ones(1, 2)).item()
    assert torch.equal(weights(watched), weights(train_gan(LINE.sample, QUICK, seed=3)))


def test_watching_ends_with_the_last_finite_step():
    seen = []
    bad = train_gan(breaks_after(3), QUICK, seed=3, watch=lambda step, _: seen.append(step))
    assert bad.stopped_at == 4
    assert seen == [1, 2, 3]


def test_two_modes_on_a_line_are_learned():
    settings = {"steps": 500, "hidden_size": 32, "hidden_layers": 2, "learning_rate": 4e-3, "strength": 0.02}
    gan = train_gan(LINE.sample, {**settings, "averaging": 0.9}, seed=1)
    made, real = gan.sample(20_000, torch.Generator().manual_seed(2)), LINE.sample(20_000, torch.Generator())
    assert exact_w1(made, real) < 0.15  # a standard normal is 0.36 away, one mode 1.0


def breaks_after(batches: int):
    """A sampler whose data turn into NaN; the first call asks for the dimension."""
    calls = []

    def sample(n, generator):
        calls.append(n)
        return LINE.sample(n, generator) * (math.nan if len(calls) > batches + 1 else 1)

    return sample


def test_nan_stops_with_the_last_good_weights():
    bad = train_gan(breaks_after(6), {**QUICK, "n_critic": 2, "decay_from": 1.0}, seed=3)
    assert bad.stopped_at == 4  # batches 7 and 8
    assert len(bad.critic_losses) == 3
    # Good weights are those with which step 3 began, the last step that was finite throughout.
    good = train_gan(LINE.sample, {**QUICK, "n_critic": 2, "steps": 2, "decay_from": 1.0}, seed=3)
    assert torch.equal(weights(bad), weights(good))
    assert torch.isfinite(bad.sample(10, torch.Generator())).all()


def test_nan_at_once_leaves_the_first_weights():
    bad = train_gan(breaks_after(0), QUICK, seed=3)
    assert bad.stopped_at == 1
    assert bad.critic_losses == []
    assert torch.isfinite(weights(bad)).all()


def test_diverging_weights_stop_too():
    settings = {**QUICK, "loss": "wasserstein", "penalty": "none", "learning_rate": 1e9, "steps": 200}
    bad = train_gan(LINE.sample, settings, seed=0)
    assert bad.stopped_at is not None
    assert torch.isfinite(weights(bad)).all()


def test_the_generator_is_an_average_of_its_past():
    """One step from equal weights: the average has moved by 1 - averaging of it."""
    runs = [train_gan(LINE.sample, {**QUICK, "steps": 1, "averaging": a}, seed=3).generator for a in (0.0, 0.75)]
    last, mean = (torch.nn.utils.parameters_to_vector(run.parameters()) for run in runs)
    bad = train_gan(breaks_after(0), {**QUICK, "averaging": 0.0}, seed=3)
    first = torch.nn.utils.parameters_to_vector(bad.generator.parameters())
    assert torch.allclose(mean - first, 0.25 * (last - first), atol=1e-6)
    assert (last - first).abs().max() > 1e-4


def test_the_rate_goes_to_zero():
    fixed, decayed = (
        train_gan(LINE.sample, {**QUICK, "steps": 100, "averaging": 0.0, "decay_from": start}, seed=3)
        for start in (1.0, 0.0)
    )
    shorter = [
        train_gan(breaks_after(98), {**QUICK, "steps": 100, "averaging": 0.0, "decay_from": start}, seed=3)
        for start in (1.0, 0.0)
    ]
    last_moves = [(weights(a) - weights(b)).abs().max() for a, b in zip((fixed, decayed), shorter, strict=True)]
    assert last_moves[1] < 0.05 * last_moves[0]


def test_networks_keep_their_scale_with_depth():
    torch.manual_seed(0)
    for leak in (0.0, 0.2):
        values = mlp(2, 1, 256, 12, leak)[:-1](torch.randn(500, 2))
        assert 0.1 < values.square().mean().sqrt() < 10


@pytest.mark.parametrize(
    ("bad", "code", "message"),
    [
        ({"n_critic": 0}, Code.VALUE, "gan: n_critic = 0: input should be greater than or equal to 1"),
        ({"n_critics": 2}, Code.UNKNOWN, "unknown option 'n_critics'; did you mean 'n_critic'"),
        ({"penalty": "clipping", "strength": 0}, Code.VALUE, "strength = 0: must be positive"),
        ({"loss": "hinge"}, Code.UNKNOWN, "unknown loss 'hinge'; known"),
        ({"penalty": "r2"}, Code.UNKNOWN, "unknown penalty 'r2'; known"),
        ({"averaging": 1.0}, Code.VALUE, "averaging = 1.0"),
    ],
)
def test_bad_settings(bad, code, message):
    with refused(code, message):
        train_gan(LINE.sample, bad, seed=0)


def test_defaults_are_settings():
    assert GanSettings().n_critic == 1
