"""Adversarial networks: whose gradient moves what, what passes through a draw, and what they learn."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from qtomo.errors import Code
from qtomo.models.findings import Severity
from qtomo.models.registry import build_model, parse_model
from tests.refusing import refused

PLAIN = {"family": "gan", "loss": "wasserstein", "penalty": "none", "hidden_size": 8, "latent_size": 3}


def records(n: int = 64) -> torch.Tensor:
    return torch.randint(0, 3, (n, 4))


def gradients(model, part: str) -> list[torch.Tensor]:
    return [weight.grad for name, weight in model.named_parameters() if name.startswith(part)]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_the_generator_moves_every_n_critic_th_step_and_the_critic_at_each():
    model = build_model({**PLAIN, "n_critic": 3}, 4, 3).train()
    moved = []
    for _ in range(7):
        model.zero_grad(set_to_none=True)
        model.loss(records()).backward()
        assert all(gradient is not None for gradient in gradients(model, "discriminator"))
        moved.append(gradients(model, "generator")[0] is not None)
    assert moved == [True, False, False, True, False, False, True]


@pytest.mark.parametrize("loss", ["wasserstein", "non_saturating", "saturating"])
def test_the_critics_gradient_is_that_of_its_own_loss(loss):
    """The generator's term, which sees the critic held, adds nothing to it."""
    model = build_model({**PLAIN, "loss": loss, "generator": "perceptron"}, 4, 3).train()
    batch = records()
    torch.manual_seed(1)
    model.loss(batch).backward()
    found = gradients(model, "discriminator")
    model.zero_grad(set_to_none=True)
    torch.manual_seed(1)
    fake = model.generator(model._noise(len(batch)), None)[0].flatten(1).detach()
    real = functional.one_hot(batch, 3).flatten(1).float()
    model.game.critic(model.discriminator(real), model.discriminator(fake)).backward()
    for one, other in zip(found, gradients(model, "discriminator"), strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_the_penalty_reaches_the_critic():
    batch, norms = records(), []
    for strength in (1e-6, 100.0):
        torch.manual_seed(2)
        model = build_model({**PLAIN, "penalty": "r1", "penalty_strength": strength}, 4, 3).train()
        model.loss(batch).backward()
        norms.append(torch.stack([g.norm() for g in gradients(model, "discriminator")]).norm())
    assert norms[1] > 2 * norms[0]


def test_clipped_weights_stay_within_their_bound():
    model = build_model({**PLAIN, "penalty": "clipping", "penalty_strength": 0.05}, 4, 3).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=10.0)
    model.loss(records()).backward()
    optimizer.step()
    assert max(weight.abs().max() for weight in model.discriminator.parameters()) > 0.05
    model.loss(records())  # brings back what the last step moved
    assert max(weight.abs().max() for weight in model.discriminator.parameters()) <= 0.05


def test_softened_outcomes_give_the_gradient_of_finite_differences():
    model = build_model({**PLAIN, "relaxation": "gumbel", "generator": "perceptron"}, 4, 3).double().eval()
    batch = records(256)

    def value() -> torch.Tensor:
        torch.manual_seed(3)
        return model.loss(batch)

    value().backward()
    weight = model.generator.layers[-1].bias
    expected = weight.grad[0].item()
    with torch.no_grad():
        weight[0] += 1e-5
        above = value().item()
        weight[0] -= 2e-5
        below = value().item()
    assert expected == pytest.approx((above - below) / 2e-5, rel=1e-4)


def test_the_score_function_follows_the_mean_loss_over_draws():
    """The derivative of E f(outcome) by enumeration: one site, so that its three outcomes can be listed."""
    settings = {**PLAIN, "relaxation": "score", "generator": "perceptron", "critic": "perceptron"}
    model = build_model(settings, 1, 3).eval()
    with torch.no_grad():
        for weight in model.generator.parameters():
            weight.zero_()  # every record of one law, whatever the noise
    logits = model.generator.layers[-1].bias
    mean = torch.zeros(3)
    for _ in range(40):
        model.zero_grad(set_to_none=True)
        model.loss(torch.zeros(5000, 1, dtype=torch.int64)).backward()
        mean += logits.grad / 40
    losses = -model.discriminator(torch.eye(3)).detach()[:, 0]
    probabilities = torch.full((3,), 1 / 3)
    exact = probabilities * (losses - probabilities @ losses)
    assert torch.allclose(mean, exact, atol=6e-3 * losses.std().item() + 1e-6)


def test_straight_through_shows_the_critic_whole_outcomes_and_gumbel_softened_ones():
    for relaxation, whole in (("straight_through", True), ("score", True), ("gumbel", False)):
        model = build_model({**PLAIN, "relaxation": relaxation}, 4, 3)
        drawn, _ = model.generator(model._noise(20), None)
        assert torch.allclose(drawn.sum(dim=2), torch.ones(20, 4))
        assert bool(((drawn - drawn.round()).abs() < 1e-6).all()) == whole


def test_records_are_drawn_with_the_mean_of_the_weights():
    model = build_model({**PLAIN, "averaging": 0.0}, 4, 3).train()
    model.loss(records())
    before = model.sample(200, np.random.default_rng(1))
    with torch.no_grad():
        model.generator.head.bias += 50 * torch.eye(3)[0]
    assert (model.sample(200, np.random.default_rng(1)) == before).all()
    model.loss(records())  # with no averaging, the mean is the last step's weights
    assert (model.sample(200, np.random.default_rng(1)) == 0).all()


def test_the_validation_loss_is_the_distance_of_pair_marginals():
    """Records all alike against a generator of one other record: known in closed form."""
    model = build_model(PLAIN, 4, 3).train()
    with torch.no_grad():
        model.generator.head.bias += 1e4 * torch.eye(3)[0]
    model.loss(records())
    model.eval()
    found = model.validation_loss(torch.tensor([[0, 0, 1, 2]] * 30))
    assert found.item() == pytest.approx(1 + 1 - 2 * (2 / 4) ** 2)
    assert model.validation_loss(torch.zeros(30, 4, dtype=torch.int64)).item() == pytest.approx(0, abs=1e-6)


def test_noise_of_every_site_is_inferred():
    model = build_model({"family": "bigan", "generator": "recurrent", "latent_size": 2, "hidden_size": 8}, 4, 3)
    assert model.encode(records()).shape == (64, 4 * 2)
    assert model.inference_gain(records()).shape == (64,)


def test_the_encoder_of_pairs_is_pulled_to_the_generated_side():
    model = build_model({"family": "bigan", "penalty": "none", "hidden_size": 8, "loss": "wasserstein"}, 4, 3).train()
    batch = records()
    model.loss(batch).backward()
    found = gradients(model, "encoder")
    model.zero_grad(set_to_none=True)
    real = functional.one_hot(batch, 3).flatten(1).float()
    model.discriminator(torch.cat([real, model.encoder(real)], dim=1)).mean().backward()  # wants a low score
    for one, other in zip(found, gradients(model, "encoder"), strict=True):
        assert torch.allclose(one, other, atol=1e-6)
    assert model.encode(batch).shape == (64, 8)
    assert model.features(batch).shape == (64, 8)


@pytest.mark.parametrize("kind", ["perceptron", "convolutional", "recurrent"])
def test_probabilities_given_the_noise_sum_to_one(kind):
    generator = build_model(PLAIN | {"generator": kind}, 3, 3).generator
    every = torch.cartesian_prod(*[torch.arange(3)] * 3)
    noise = torch.randn(1, *generator.noise_shape).expand(27, *generator.noise_shape)
    scores = generator.score(noise, functional.one_hot(every, 3).float())
    assert scores.exp().sum().item() == pytest.approx(1, abs=1e-5)
    assert scores.std() > 0
    drawn, log_prob = generator(noise, None)
    assert torch.allclose(generator.score(noise, drawn.detach()), log_prob, atol=1e-4)


def test_inference_gains_where_the_noise_says_the_record():
    """A generator that shows the sign of its noise, and an encoder that returns it."""
    settings = {"family": "bigan", "generator": "perceptron", "latent_size": 2, "hidden_size": 4}
    model = build_model(settings, 2, 2)
    batch = torch.randint(0, 2, (400, 2), generator=torch.Generator().manual_seed(0))
    assert abs(model.inference_gain(batch).mean()) < 0.2
    model.generator.layers = torch.nn.Linear(2, 4, bias=False)
    model.encoder = torch.nn.Linear(4, 2, bias=False)
    with torch.no_grad():
        model.generator.layers.weight[:] = torch.tensor([[-3.0, 0.0], [3.0, 0.0], [0.0, -3.0], [0.0, 3.0]])
        model.encoder.weight[:] = torch.tensor([[-1.0, 1.0, 0.0, 0.0], [0.0, 0.0, -1.0, 1.0]])
    assert model.inference_gain(batch).mean().item() == pytest.approx(
        6, abs=1
    )  # 6 nats an outcome that differs, half do
    (found,) = model.diagnose(batch.numpy().astype("uint8"))
    assert found.severity == Severity.OK
    with torch.no_grad():
        model.encoder.weight[:] = 0
    (found,) = model.diagnose(batch.numpy().astype("uint8"))
    assert found.severity == Severity.COLLAPSED


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings", [{"generator": "recurrent"}, {"loss": "jensen_shannon", "generator": "perceptron"}]
)
def test_it_learns_a_correlation(settings):
    """Two sites that agree, the third free."""
    model = build_model({"family": "gan", "penalty": "r1", "n_critic": 1, "hidden_size": 32, **settings}, 3, 3).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, betas=(0.0, 0.99))
    for _ in range(3000):
        batch = torch.randint(0, 3, (200, 3))
        batch[:, 1] = batch[:, 0]
        optimizer.zero_grad(set_to_none=True)
        model.loss(batch).backward()
        optimizer.step()
    drawn = model.sample(4000, np.random.default_rng(1))
    assert (drawn[:, 0] == drawn[:, 1]).mean() > 0.9
    assert 0.25 < (drawn[:, 0] == drawn[:, 2]).mean() < 0.42
    assert np.bincount(drawn[:, 0], minlength=3).min() > 800


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"family": "gan", "loss": "wassersteen"}, "loss = 'wassersteen'.*wasserstein"),
        ({"family": "gan", "loss": "alpha(1)"}, "alpha.*'kl'"),
        ({"family": "gan", "n_critic": 0}, "n_critic = 0"),
        ({"family": "gan", "penalty": "clipping", "penalty_strength": 0}, "penalty_strength = 0"),
        ({"family": "gan", "penalty": "clip"}, "penalty = 'clip'.*clipping"),
        ({"family": "bigan", "loss": "kl"}, "loss = 'kl'"),
    ],
)
def test_wrong_settings(settings, fault):
    with refused(Code.VALUE, fault):
        parse_model(settings)


def test_a_likelihood_is_refused():
    with refused(Code.UNSUPPORTED):
        build_model(PLAIN, 4, 3).log_prob(np.zeros((2, 4), np.uint8))
