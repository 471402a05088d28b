"""Variational autoencoders: bounds against quadrature, posteriors against autograd, each family's defining term."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from qtomo.distribution import enumerate_outcomes
from qtomo.errors import Code
from qtomo.models.registry import build_model, parse_model
from qtomo.models.vae.penalties import (
    AdversarialPrior,
    AdversarialTotalCorrelation,
    decompose_kl,
    dhsic,
    mmd,
    permute_latents,
)
from qtomo.models.vae.posteriors import POSTERIORS, InverseAutoregressive, Sphere, log_normal, planar_step
from tests.refusing import refused

EVERY = np.concatenate(list(enumerate_outcomes(3, 3)))
RECORDS = torch.from_numpy(EVERY.astype(np.int64))


def build(family: str = "vae", encoder_spread: float = 0.2, **settings):
    """A small model, moved away from its start, at which z hardly matters; its posteriors still cover the prior."""
    torch.manual_seed(5)
    model = build_model({"family": family, "latent_size": 1, "hidden_size": 8, "free_bits": 0, **settings}, 3, 3)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            spread = 0.5 if name.startswith("decoder") else encoder_spread
            weight.add_(spread * torch.randn_like(weight))
    return model


def loss(model, outcomes: Tensor = RECORDS) -> Tensor:
    torch.manual_seed(3)
    return model.loss(outcomes)


def exact_log_prob(model) -> np.ndarray:
    """ln P(a) of all records by quadrature over the one latent: a grid for the line, angles for the circle."""
    if isinstance(model.posterior, Sphere):
        angles = torch.arange(4000) * (2 * math.pi / 4000)
        z, weight = torch.stack([angles.cos(), angles.sin()], dim=1), torch.full((4000,), 1 / 4000)
    else:
        z = torch.linspace(-10, 10, 4001)[:, None]
        weight = torch.exp(log_normal(z[:, 0])) * 20 / 4000
    with torch.no_grad():
        scores = torch.stack([model.decoder.score(record.expand(len(z), -1), z) for record in RECORDS])
    return torch.logsumexp(scores.double() + weight.double().log(), dim=1).numpy()


BOUNDED = [
    {},
    {"decoder": "independent"},
    {"decoder": "autoregressive"},
    {"posterior": "planar"},
    {"posterior": "iaf"},
    {"posterior": "sphere", "latent_size": 2},
    {"family": "wae", "min_scale": 0.3},
]


@pytest.mark.parametrize("settings", BOUNDED, ids=str)
def test_bounds_are_bounds_and_tighten(settings):
    model = build(**settings)
    exact = exact_log_prob(model)
    assert np.exp(exact).sum() == pytest.approx(1, abs=1e-5)
    many = np.repeat(EVERY, 200, axis=0)
    weights = model.by_record(many, lambda rows: model.log_weights(rows, 64))
    means, errors = [], []
    for k in (1, 8, 64):
        bound = (np.logaddexp.reduce(weights.reshape(len(EVERY), -1, k), axis=2) - math.log(k)).mean(axis=1)
        single = np.logaddexp.reduce(weights.reshape(len(EVERY), -1, k), axis=2) - math.log(k)
        error = single.std(axis=1) / math.sqrt(single.shape[1])
        assert (bound < exact + 5.5 * error + 1e-5).all()  # 81 comparisons a case: false alarms below 1e-5 in all
        means.append((exact - bound).mean())
        errors.append(math.sqrt((error**2).sum()) / len(EVERY))
    assert means[0] > means[1] > means[2] - 1e-5
    assert means[0] > 0.01  # the bound is not trivially tight, so its tightening means something
    assert means[2] < 0.3 * means[0] + 5 * errors[2]


@pytest.mark.parametrize("settings", BOUNDED[:3], ids=str)
def test_log_prob_is_the_bound_of_importance_samples(settings):
    model = build(**settings, importance_samples=1000)
    found = model.log_prob(EVERY)
    assert found == pytest.approx(exact_log_prob(model), abs=0.3)
    assert (model.log_prob(EVERY) == found).all()


def test_samples_follow_the_marginal():
    from scipy import stats

    for decoder in ("windowed", "independent", "autoregressive"):
        model = build(decoder=decoder)
        drawn = model.sample(50_000, np.random.default_rng(1))
        counts = np.bincount(np.ravel_multi_index(drawn.T, (3,) * 3), minlength=27)
        expected = np.exp(exact_log_prob(model))
        assert stats.chisquare(counts, 50_000 * expected / expected.sum()).pvalue > 1e-7


def test_a_windowed_decoder_sees_its_window_and_no_more():
    model = build(decoder="windowed", window=1)
    z = torch.zeros(27, 1)
    with torch.no_grad():
        law = model.decoder.score(RECORDS, z).exp().reshape(3, 3, 3)
    assert law.sum().item() == pytest.approx(1, abs=1e-6)
    last = law / law.sum(2, keepdim=True)  # of the last site given both before it
    torch.testing.assert_close(last, last[:1].expand_as(last))
    assert (last[0, 0] - last[0, 1]).abs().max() > 0.01


def test_the_autoregressive_decoder_reads_z():
    model = build(decoder="autoregressive")
    scores = [model.decoder.score(RECORDS, torch.full((27, 1), z)) for z in (-1.0, 1.0)]
    assert (scores[0] - scores[1]).abs().max() > 0.1


def test_beta_weighs_the_kl_and_nothing_else():
    assert parse_model({"family": "beta_vae"})["beta"] > 1
    one, four = build(latent_size=4), build("beta_vae", latent_size=4, beta=4)
    torch.manual_seed(3)
    z, log_q = one.posterior(one.encode(RECORDS), 1)
    kl = (log_q - one.posterior.log_prior(z)).mean()
    assert (loss(four) - loss(one)).item() == pytest.approx(3 * kl.item(), rel=1e-5)
    assert kl > 0.1


@pytest.mark.parametrize(
    ("settings", "prices"),
    [
        ({"warmup": 0.5}, [0, 0.5, 1, 1, 1]),
        ({"warmup": 0}, [1, 1, 1, 1, 1]),
        ({"warmup": 1}, [0, 0.25, 0.5, 0.75, 1]),
        ({"warmup": 0.5, "cycles": 2}, [0, 1, 0, 1, 1]),
    ],
)
def test_the_price_of_z_rises_in_each_cycle(settings, prices):
    model = build(**settings)
    assert model.price == 1  # out of training
    found = []
    for done in (0, 0.25, 0.5, 0.75, 1):
        model.set_progress(done)
        found.append(model.price.item())
    assert found == prices


@pytest.mark.parametrize("family", ["vae", "dhsic_vae", "wae"])
def test_the_price_of_z_scales_all_but_the_reconstruction(family):
    model = build(family, latent_size=2, free_bits=0.5)
    losses = []
    for done in (0.0, 0.1, 0.2):
        model.set_progress(done)
        losses.append(loss(model).item())
    assert losses[1] - losses[0] == pytest.approx((losses[2] - losses[0]) / 2, rel=1e-3)
    assert losses[2] == loss(build(family, latent_size=2, free_bits=0.5)).item()
    assert abs(losses[2] - losses[0]) > 1e-3


def test_the_loss_before_z_has_a_price_is_the_reconstruction():
    model = build(latent_size=2, free_bits=0.5)
    model.set_progress(0.0)
    torch.manual_seed(3)
    z, _ = model.posterior(model.encode(RECORDS), 1)
    assert loss(model).item() == pytest.approx(-model.score(RECORDS, z).mean().item(), rel=1e-5)


@pytest.mark.parametrize("beta", [1.0, 0.5])
def test_free_bits_make_a_latent_s_kl_no_cheaper_than_they_are(beta):
    none, few, many = (build(latent_size=4, beta=beta, free_bits=free) for free in (0, 0.01, 3.0))
    kl = none.posterior.kl(none.encode(RECORDS)).mean(dim=0)
    assert kl.min() > 0.01
    assert loss(few).item() == loss(none).item()
    assert (loss(many) - loss(none)).item() == pytest.approx(beta * (12 - kl.sum()).item(), rel=1e-4)


def test_one_importance_sample_is_the_elbo_and_more_are_a_tighter_loss():
    elbo = loss(build())
    assert loss(build("iwae", training_samples=1)).item() == elbo.item()
    many = RECORDS.repeat(100, 1)
    losses = [loss(build("iwae", training_samples=k), many).item() for k in (1, 8, 64)]
    assert losses[0] > losses[1] + 0.01
    assert losses[1] > losses[2]
    assert losses[2] > -exact_log_prob(build()).mean() - 0.02


@pytest.mark.parametrize("posterior", ["planar", "iaf"])
def test_log_determinants_of_flows_against_autograd(posterior):
    torch.manual_seed(0)
    flow = POSTERIORS[posterior](3, 2, 8, 0.0).double()
    features = 2 * torch.randn(1, flow.n_features, dtype=torch.float64)
    for layer in range(2):
        for _ in range(5):
            z = 2 * torch.randn(1, 1, 3, dtype=torch.float64)
            _, log_det = flow.step(z, features, layer)
            jacobian = torch.autograd.functional.jacobian(
                lambda x, layer=layer: flow.step(x[None, None], features, layer)[0][0, 0], z[0, 0]
            )
            assert log_det.item() == pytest.approx(torch.linalg.slogdet(jacobian)[1].item(), abs=1e-10)
            assert torch.linalg.slogdet(jacobian)[0] > 0  # never folded
    if isinstance(flow, InverseAutoregressive):  # each latent moved by the ones before it, the order turned round
        below, above = (
            torch.autograd.functional.jacobian(lambda x, k=k: flow.step(x[None, None], features, k)[0][0, 0], z[0, 0])
            for k in (0, 1)
        )
        assert above.tril(-1).abs().max() == 0
        assert below.triu(1).abs().max() == 0
        assert min(below.tril(-1).abs().max(), above.triu(1).abs().max()) > 0


def test_planar_maps_stay_invertible_where_their_parameters_would_fold_space():
    z = torch.linspace(-5, 5, 1001)[:, None]
    moved, log_det = planar_step(z, torch.tensor([[-8.0]]), torch.tensor([[1.0]]), torch.tensor([[0.0]]))
    assert (moved.diff(dim=0) > 0).all()
    assert torch.isfinite(log_det).all()
    near, _ = planar_step(z, torch.tensor([[0.5]]), torch.tensor([[1e-4]]), torch.tensor([[1.0]]))
    assert (near - z).abs().max() < 0.5  # and bounded where the direction vanishes


@pytest.mark.parametrize("posterior", ["gaussian", "planar", "iaf"])
def test_flat_posteriors_have_unit_mass(posterior):
    """E_q p(z)/q(z) = 1 for a prior p that q covers."""
    torch.manual_seed(0)
    found = POSTERIORS[posterior](2, 2, 8, 0.9)
    z, log_q = found(0.3 * torch.randn(1, found.n_features), 100_000)
    inside = log_normal(z, scale=0.7).sum(dim=-1)
    ratio = torch.exp(inside - log_q)
    assert abs(ratio.mean().item() - 1) < 5 * ratio.std().item() / math.sqrt(100_000)


def test_a_gaussian_s_kl_per_latent_is_that_of_its_draws():
    model = build(latent_size=3)
    features = model.encode(RECORDS[:1])
    z, log_q = model.posterior(features, 200_000)
    sampled = log_q - model.posterior.log_prior(z)
    assert model.posterior.kl(features).shape == (1, 3)
    error = sampled.std().item() / math.sqrt(200_000)
    assert model.posterior.kl(features).sum().item() == pytest.approx(sampled.mean().item(), abs=5 * error)


@pytest.mark.parametrize("dimension", [2, 3, 5])
def test_the_sphere_against_quadrature(dimension):
    """Draws on the sphere, density of unit mass, mean, and KL to uniform from the integral over t = m.z."""
    torch.manual_seed(0)
    sphere = Sphere(dimension, 1, 8, 0.0)
    features = 2 * torch.randn(1, dimension)
    direction, kappa = (x.double() for x in sphere._shape(features))
    z, log_q = sphere(features, 200_000)
    assert (z.norm(dim=-1) - 1).abs().max() < 1e-5
    # On S^(D-1), t has the weight (1 - t^2)^((D-3)/2) times the area of S^(D-2); t = -cos(x) takes out its poles.
    x = (torch.arange(20_000, dtype=torch.float64) + 0.5) * (math.pi / 20_000)
    half = (dimension - 1) / 2
    slice_area = 2 * math.pi**half / math.gamma(half)
    weight = slice_area * x.sin() ** (dimension - 2) * (math.pi / 20_000)
    unnormalised = (1 - x.cos()) ** kappa[0, 0]
    density = unnormalised / (weight @ unnormalised)
    uniform = 1 / weight.sum()
    kl = (weight * density) @ (density / uniform).log()
    sampled = (log_q - sphere.log_prior(z)).double()
    error = sampled.std().item() / math.sqrt(200_000)
    assert sampled.mean().item() == pytest.approx(kl.item(), abs=5 * error)
    along = (weight * density) @ -x.cos()
    found = (z.double() @ direction[0]).mean().item()
    assert found == pytest.approx(along.item(), abs=5 / math.sqrt(200_000))
    assert (sphere.mean(features)[0].double() @ direction[0]).item() == pytest.approx(along.item(), abs=1e-4)
    assert z.mean(dim=(0, 1)).numpy() == pytest.approx(sphere.mean(features)[0].numpy(), abs=6 / math.sqrt(200_000))
    t = z.double() @ direction[0]
    expected = kappa[0, 0] * torch.log1p(t) - torch.log(weight @ unnormalised)
    assert (log_q - expected)[t > -0.999].abs().max() < 1e-3


def test_hyperspherical_models_live_on_the_sphere():
    model = build("hvae", latent_size=3)
    z, _ = model.posterior(model.encode(RECORDS), 4)
    prior = model.posterior.sample_prior(torch.empty(1000, 3), torch.Generator().manual_seed(0))
    for points in (z, prior):
        assert (points.norm(dim=-1) - 1).abs().max() < 1e-5
    assert prior.mean(dim=0).norm() < 0.2


def test_the_parts_of_the_kl_sum_to_it():
    torch.manual_seed(0)
    mean, scale = torch.randn(300, 4), 0.3 + torch.rand(300, 4)
    draws = [mean + scale * torch.randn(300, 4) for _ in range(20)]
    sums = np.array([sum(decompose_kl(z, mean, scale)).item() for z in draws])
    exact = (0.5 * (mean**2 + scale**2 - 1) - scale.log()).sum(dim=1).mean().item()
    assert sums.mean() == pytest.approx(exact, abs=5 * sums.std() / math.sqrt(20))


def test_total_correlation_is_that_of_a_normal():
    """Means of correlation rho and small noise: q(z) is normal, with TC = -ln(1 - rho^2)/2."""
    torch.manual_seed(0)
    mixing = torch.linalg.cholesky(torch.tensor([[1.0, 0.7], [0.7, 1.0]]) - 0.25 * torch.eye(2))
    mean, scale = torch.randn(3000, 2) @ mixing.T, torch.full((3000, 2), 0.5)
    _, found, _ = decompose_kl(mean + scale * torch.randn(3000, 2), mean, scale)
    assert found.item() == pytest.approx(-0.5 * math.log(1 - 0.49), abs=0.05)


def test_beta_tcvae_penalises_total_correlation():
    settings = {"latent_size": 3, "encoder_spread": 0.6}
    plain, penalised = (build("beta_tcvae", penalty_weight=weight, **settings) for weight in (0.0, 3.0))
    assert loss(plain).item() == loss(build(**settings)).item()
    features = plain.encode(RECORDS)
    torch.manual_seed(3)
    z, _ = plain.posterior(features, 1)
    parts = decompose_kl(z[0], *plain.posterior.moments(features))
    assert (loss(penalised) - loss(plain)).item() == pytest.approx(3 * parts[1].item(), rel=1e-4)
    assert abs(parts[1]) > 0.01


def dependent_latents(n: int = 500) -> Tensor:
    x = torch.randn(n, 1)
    return torch.cat([x, x + 0.3 * torch.randn(n, 1)], dim=1)


def grid(n: int = 12) -> Tensor:
    """A sample whose empirical distribution is an exact product."""
    return torch.cartesian_prod(torch.linspace(-2, 2, n), torch.linspace(-1, 3, n))


def test_factor_vae_learns_the_density_ratio_and_lowers_dependence():
    adversary = AdversarialTotalCorrelation(2, 32)
    optimizer = torch.optim.Adam(adversary.parameters(), 1e-2)
    for _ in range(150):
        optimizer.zero_grad()
        adversary(dependent_latents(), None, None).backward()
        optimizer.step()
    penalty = adversary(dependent_latents(4000), None, None).item()
    exact = -0.5 * math.log(1 - 1 / 1.09)
    assert penalty == pytest.approx(exact, abs=0.4)  # the discriminator's gradient has the right sign
    assert abs(adversary(permute_latents(dependent_latents(4000)), None, None).item()) > 0  # and no trained ratio of 0
    z = dependent_latents(2000).requires_grad_()
    adversary(z, None, None).backward()
    gap = (z[:, 1] - z[:, 0]).detach()
    moved = z.detach() - 200 * z.grad
    assert (moved[:, 1] - moved[:, 0]).square().mean() > gap.square().mean()  # apart: less dependent


def test_an_adversary_and_the_encoder_are_trained_by_their_own_terms():
    for adversary in (AdversarialTotalCorrelation(2, 8), AdversarialPrior(2, 8)):
        posterior = POSTERIORS["gaussian"](2, 1, 8, 0.0)
        z = dependent_latents(64).requires_grad_()
        torch.manual_seed(1)
        value = adversary(z, None, posterior)
        value.backward()
        torch.manual_seed(1)
        reference = adversary.reference(z.detach(), posterior)
        logits, other = adversary.discriminator(z), adversary.discriminator(reference)
        penalty = adversary.penalty(logits)
        assert value.item() == pytest.approx(penalty.item(), abs=1e-6)
        assert torch.allclose(z.grad, torch.autograd.grad(penalty, z, retain_graph=True)[0], atol=1e-7)
        softplus = torch.nn.functional.softplus
        cross_entropy = 0.5 * (softplus(-logits).mean() + softplus(other).mean())
        weights = list(adversary.parameters())
        for weight, gradient in zip(weights, torch.autograd.grad(cross_entropy, weights), strict=True):
            assert torch.allclose(weight.grad, gradient, atol=1e-6)


def test_dhsic_is_zero_for_a_product_and_positive_for_dependence():
    assert dhsic(grid()).item() == pytest.approx(0, abs=1e-6)
    torch.manual_seed(0)
    independent, dependent = dhsic(torch.randn(500, 2)), dhsic(dependent_latents())
    assert 0 <= independent < 0.005
    assert dependent > 10 * independent
    three = torch.cat([dependent_latents(), torch.randn(500, 1)], dim=1)
    assert dhsic(three) > 5 * dhsic(torch.randn(500, 3))


def test_mmd_is_zero_for_equal_samples_and_unbiased():
    torch.manual_seed(0)
    sample = torch.randn(200, 3)
    assert mmd(sample, sample).item() == pytest.approx(0, abs=1e-6)
    same = torch.stack([mmd(torch.randn(100, 3), torch.randn(100, 3)) for _ in range(300)])
    assert abs(same.mean()) < 5 * same.std() / math.sqrt(300)
    shifted = torch.stack([mmd(torch.randn(100, 3) + 1.0, torch.randn(100, 3)) for _ in range(30)])
    assert shifted.min() > same.max()


@pytest.mark.parametrize(("family", "penalty"), [("dhsic_vae", dhsic), ("factor_vae", None), ("mmd_vae", None)])
def test_penalties_enter_the_loss_by_their_weight(family, penalty):
    none, one, two = (build(family, latent_size=2, penalty_weight=weight) for weight in (0.0, 1.0, 2.0))
    first, second = loss(one) - loss(none), loss(two) - loss(none)
    assert second.item() == pytest.approx(2 * first.item(), rel=1e-3, abs=1e-5)
    assert abs(first) > 1e-4
    if penalty is not None:
        torch.manual_seed(3)
        z, _ = none.posterior(none.encode(RECORDS), 1)
        assert first.item() == pytest.approx(penalty(z[0]).item(), rel=1e-2)


def test_an_info_vae_adds_the_discrepancy_of_its_aggregate_to_what_alpha_leaves_of_the_kl():
    model = build("mmd_vae", latent_size=2, beta=0.3, penalty_weight=10.0)
    torch.manual_seed(3)
    z, log_q = model.posterior(model.encode(RECORDS), 1)
    kl = (log_q - model.posterior.log_prior(z)).mean()
    reconstruction = model.decoder.score(RECORDS, z[0]).mean()
    discrepancy = mmd(z[0], model.posterior.sample_prior(z[0]))
    assert loss(model).item() == pytest.approx((0.3 * kl - reconstruction + 10 * discrepancy).item(), rel=1e-5)


@pytest.mark.parametrize("penalty", ["mmd", "adversarial_prior"])
def test_the_wasserstein_autoencoder_has_no_price_for_a_single_posterior(penalty):
    """Without its penalty the loss is reconstruction alone; the KL of the posteriors is in no part of it."""
    model = build("wae", penalty=penalty, penalty_weight=0.0)
    torch.manual_seed(3)
    z, _ = model.posterior(model.encode(RECORDS), 1)
    assert loss(model).item() == pytest.approx(-model.decoder.score(RECORDS, z[0]).mean().item(), rel=1e-5)


def test_the_wasserstein_penalty_sees_the_aggregate_and_not_each_posterior():
    """Narrow posteriors that together make up the prior cost nothing, though each is far from it."""
    posterior = POSTERIORS["gaussian"](2, 1, 8, 0.0)
    penalty = build("wae", latent_size=2).penalty
    narrow, collapsed = [], []
    for _ in range(50):
        means = math.sqrt(1 - 0.1**2) * torch.randn(200, 2)
        narrow.append(penalty(means + 0.1 * torch.randn(200, 2), None, posterior).item())
        collapsed.append(penalty(0.1 * torch.randn(200, 2), None, posterior).item())
    assert abs(np.mean(narrow)) < 5 * np.std(narrow) / math.sqrt(50)
    assert min(collapsed) > max(narrow)


def test_the_noise_of_a_wasserstein_encoder_has_a_floor():
    model = build("wae", latent_size=2, encoder_spread=3.0)
    assert model.posterior.moments(model.encode(RECORDS))[1].min() >= model.config.min_scale > 0.1


def test_free_bits_of_a_posterior_that_does_not_factorise_are_those_of_all_its_latents():
    none, many = (build("hvae", latent_size=3, free_bits=free) for free in (0, 4.0))
    torch.manual_seed(3)
    z, log_q = none.posterior(none.encode(RECORDS), 1)
    kl = (log_q - none.posterior.log_prior(z)).mean()
    assert (loss(many) - loss(none)).item() == pytest.approx((12 - kl).item(), rel=1e-4)


@pytest.mark.parametrize(
    ("settings", "code", "fault"),
    [
        ({"latent_size": 0}, Code.VALUE, "latent_size = 0: input should be greater than or equal to 1"),
        ({"beta": -1}, Code.VALUE, "beta = -1: input should be greater than or equal to 0"),
        ({"training_samples": 0}, Code.VALUE, "training_samples = 0: input should be greater"),
        ({"importance_samples": 0}, Code.VALUE, "importance_samples = 0: input should be greater"),
        ({"penalty_weight": -2}, Code.VALUE, "penalty_weight = -2: input should be greater"),
        ({"min_scale": 1.0}, Code.VALUE, "min_scale = 1.0: input should be less than 1"),
        (
            {"posterior": "spline"},
            Code.VALUE,
            "posterior = 'spline': input should be 'gaussian', 'planar', 'iaf' or 'sphere'",
        ),
        (
            {"decoder": "gru"},
            Code.VALUE,
            "decoder = 'gru': input should be 'windowed', 'independent' or 'autoregressive'",
        ),
        ({"penalty": "tc"}, Code.VALUE, "penalty = 'tc': input should be 'none', 'total_correlation'"),
        (
            {"posterior": "sphere", "latent_size": 1},
            Code.VALUE,
            "posterior = 'sphere': value error, needs a latent_size of 2",
        ),
        (
            {"family": "beta_tcvae", "posterior": "iaf"},
            Code.VALUE,
            "penalty = 'total_correlation': .* needs posterior = 'gaussian'",
        ),
        ({"latent_sise": 3}, Code.UNKNOWN, "unknown option 'latent_sise'; did you mean 'latent_size'"),
    ],
)
def test_wrong_settings_are_refused(settings, code, fault):
    with refused(code, fault):
        parse_model({"family": "vae", **settings})


def test_another_default_keeps_the_range():
    with refused(Code.VALUE, "beta = -1"):
        parse_model({"family": "beta_vae", "beta": -1})
    with refused(Code.VALUE, "training_samples = 0"):
        parse_model({"family": "iwae", "training_samples": 0})
