"""One test for every registered family: the contract of `Model`."""

import copy

import numpy as np
import pytest
import torch
from scipy import stats

from qtomo.distribution import Distribution, enumerate_outcomes
from qtomo.errors import Code
from qtomo.models.registry import FAMILIES, build_model, parse_model
from tests.refusing import refused

VARIANTS = [({"family": name}, name) for name in FAMILIES] + [
    ({"family": "gru", "layers": 2, "dropout": 0.3, "learned_start": False}, "gru stacked"),
    ({"family": "gru", "latent_size": 5, "site_size": 0}, "gru latent"),
    ({"family": "gru", "order": "from_the_middle", "reflection": True}, "gru from the middle, reflected"),
    ({"family": "gru", "relabelling": [1, 2, 0], "reflection": True}, "gru relabelled, reflected"),
    ({"family": "lstm", "order": [2, 0, 3, 1]}, "lstm in an order"),
    ({"family": "cnn", "site_size": 0, "kernel_size": 3, "reflection": True}, "cnn shared weights, reflected"),
    ({"family": "cnn", "dilations": [2, 1], "order": "from_the_middle"}, "cnn dilations from the middle"),
    ({"family": "transformer", "positions": "rotary", "order": [3, 1, 0, 2]}, "transformer rotary in an order"),
    ({"family": "transformer", "dropout": 0.2, "reflection": True}, "transformer dropout, reflected"),
    ({"family": "vae", "decoder": "autoregressive"}, "vae autoregressive"),
    ({"family": "vae", "decoder": "independent"}, "vae independent"),
    ({"family": "vae", "posterior": "planar"}, "vae planar"),
    ({"family": "iwae", "posterior": "iaf"}, "iwae iaf"),
    ({"family": "wae", "penalty": "adversarial_prior"}, "wae adversarial"),
    ({"family": "realnvp", "embedding": "uniform"}, "realnvp uniform"),
    ({"family": "glow", "embedding": "variational"}, "glow variational"),
    ({"family": "maf", "embedding": "argmax", "transforms": 2, "conditioner": "smooth"}, "maf argmax smooth"),
    ({"family": "cnf", "trace": "exact"}, "cnf exact trace"),
    ({"family": "gan", "loss": "non_saturating", "penalty": "r1", "generator": "perceptron"}, "gan perceptron"),
    ({"family": "gan", "generator": "convolutional", "critic": "perceptron", "penalty": "spectral"}, "gan spectral"),
    ({"family": "gan", "relaxation": "score", "penalty": "clipping", "penalty_strength": 0.5}, "gan score"),
]


EXACT, BOUNDS = (
    [variant for variant in VARIANTS if FAMILIES[variant[0]["family"]].likelihood == likelihood]
    for likelihood in ("exact", "lower_bound")
)


@pytest.fixture(params=VARIANTS, ids=[label for _, label in VARIANTS])
def model(request):
    return small_model(request.param[0])


@pytest.fixture(params=EXACT, ids=[label for _, label in EXACT])
def exact_model(request):
    return small_model(request.param[0])


@pytest.fixture(params=BOUNDS, ids=[label for _, label in BOUNDS])
def bound_model(request):
    return small_model(request.param[0])


def small_model(settings):
    settings = dict(settings)
    if "hidden_size" in FAMILIES[settings["family"]].Config.model_fields:
        settings["hidden_size"] = 8
    built = build_model(settings, 4, 3)
    with torch.no_grad():  # away from the flat start
        for parameter in built.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return built


def records(n: int = 64) -> torch.Tensor:
    return torch.randint(0, 3, (n, 4))


def test_it_is_a_distribution(model):
    assert isinstance(model, Distribution)
    assert (model.n_sites, model.n_outcomes) == (4, 3)
    assert model.n_parameters > 0


def test_gradients_reach_every_parameter(model):
    model.train()
    loss = model.loss(records())
    assert loss.shape == ()
    loss.backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert parameter.grad.abs().sum() > 0, name


def test_the_loss_of_a_single_record_is_finite(model):
    """The last batch of an epoch may be one record."""
    assert torch.isfinite(model.loss(records(1)))


def test_shapes_and_types(model):
    drawn = model.sample(100, np.random.default_rng(0))
    assert drawn.shape == (100, 4)
    assert drawn.dtype == np.uint8
    assert drawn.max() < 3
    if model.likelihood != "none":
        scores = model.log_prob(drawn)
        assert scores.shape == (100,)
        assert scores.dtype == np.float64


def test_probabilities_sum_to_one_and_samples_follow_them(exact_model):
    model = exact_model
    every = np.concatenate(list(enumerate_outcomes(4, 3)))
    probabilities = np.exp(model.log_prob(every))
    assert probabilities.sum() == pytest.approx(1, abs=1e-5)
    drawn = model.sample(100_000, np.random.default_rng(1))
    counts = np.bincount(np.ravel_multi_index(drawn.T, (3,) * 4), minlength=81)
    assert stats.chisquare(counts, 100_000 * probabilities / probabilities.sum()).pvalue > 1e-7


def test_bounds_lie_below_the_frequencies_of_samples(bound_model):
    model, copies, n = bound_model, 20, 50_000
    every = np.concatenate(list(enumerate_outcomes(4, 3)))
    bounds = model.log_prob(np.repeat(every, copies, axis=0)).reshape(-1, copies)
    mean, error = bounds.mean(axis=1), bounds.std(axis=1) / np.sqrt(copies)
    counts = np.bincount(np.ravel_multi_index(model.sample(n, np.random.default_rng(1)).T, (3,) * 4), minlength=81)
    highest = (counts + 6 * np.sqrt(counts) + 36) / n  # of ln P, at a false alarm of 1e-8 a record
    assert (mean - 6 * error < np.log(highest)).all()
    # exp(bound) is on average at most P, and P sums to one.
    estimates = np.exp(bounds).sum(axis=0)
    assert estimates.mean() < 1 + 6 * estimates.std() / np.sqrt(copies)


def test_the_loss_of_a_bound_is_no_better_than_its_scores(bound_model):
    model = bound_model.eval()
    batch = records(2000)
    scores = model.log_prob(batch.numpy().astype(np.uint8))
    with torch.no_grad():
        losses = torch.stack([model.loss(part) for part in batch.split(100)])
    errors = losses.std() / np.sqrt(len(losses)) + scores.std() / np.sqrt(len(scores))
    assert losses.mean() > -scores.mean() - 6 * errors


def test_the_loss_is_the_negative_log_likelihood(exact_model):
    model = exact_model.eval()
    batch = records()
    assert model.loss(batch).item() == pytest.approx(-model.log_prob(batch.numpy()).mean(), rel=1e-5)


def test_a_step_down_the_gradient_lowers_the_loss(model):
    if model.likelihood == "none":  # a game has no loss that goes down: tests/models/gan/test_gan.py
        return
    model.eval()
    batch = records(256)
    # A discriminator's own steps go uphill for the rest.
    trained = [weight for name, weight in model.named_parameters() if "discriminator" not in name]
    optimizer = torch.optim.SGD(trained, lr=1e-4)
    torch.manual_seed(1)
    before = model.loss(batch)
    before.backward()
    optimizer.step()
    torch.manual_seed(1)  # a loss that draws draws the same
    assert model.loss(batch).item() < before.item()


def test_same_generator_same_records_and_mode_is_kept(model):
    model.train()
    first, second = (model.sample(50, np.random.default_rng(3)) for _ in range(2))
    assert (first == second).all()
    assert model.training


def test_saved_and_loaded_it_gives_the_same_numbers(model):
    drawn = model.sample(50, np.random.default_rng(4))
    other = build_model({"family": family_of(model), **model.config.model_dump()}, 4, 3)
    other.load_state_dict(copy.deepcopy(model.state_dict()))
    assert (other.sample(50, np.random.default_rng(4)) == drawn).all()
    if model.likelihood != "none":
        assert (other.log_prob(drawn) == model.log_prob(drawn)).all()


def family_of(model) -> str:
    return next(name for name, family in FAMILIES.items() if type(model) is family)


def test_records_that_do_not_fit_are_refused(model):
    with refused(Code.SHAPE):
        model.log_prob(np.zeros((2, 5), np.uint8))
    with refused(Code.VALUE, "outcome 3"):
        model.log_prob(np.full((2, 4), 3, np.uint8))


@pytest.mark.parametrize(
    ("settings", "code", "fault"),
    [
        ({"family": "gruu"}, Code.UNKNOWN, "unknown family 'gruu'; did you mean 'gru'"),
        ({"family": "gru", "hidden_sise": 3}, Code.UNKNOWN, "unknown option 'hidden_sise'; did you mean 'hidden_size'"),
        (
            {"family": "gru", "hidden_size": 0},
            Code.VALUE,
            "hidden_size = 0: input should be greater than or equal to 1",
        ),
        ({"family": "gru", "dropout": float("nan")}, Code.VALUE, "dropout = nan"),
    ],
)
def test_wrong_settings_name_the_near_miss(settings, code, fault):
    with refused(code, fault):
        parse_model(settings)


def test_the_recipe_of_2018_has_its_size():
    from qtomo.training.presets import PRESETS

    model = build_model(PRESETS["carrasquilla2018"]["model"], 50, 4)
    # 192,704 with the dense layer after the latent (10,100) and one bias a gate where torch has two (900).
    assert model.n_parameters + 10_100 - 900 == 192_704
