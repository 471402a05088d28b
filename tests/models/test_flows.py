"""Flows: inverses and determinants, what defines each, embeddings, and bounds against sums over all records."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import stats
from torch.nn.functional import logsigmoid
from zuko.transforms import LULinearTransform

from qtomo.distribution import enumerate_outcomes
from qtomo.errors import Code
from qtomo.models.embeddings import Embedding
from qtomo.models.findings import FindingKind, Severity
from qtomo.models.flows.conditioners import Convolutions
from qtomo.models.registry import build_model, parse_model
from tests.refusing import refused

FLOWS = ("nice", "realnvp", "glow", "maf", "iaf", "nsf", "cnf")
EMBEDDINGS = ("uniform", "variational", "argmax", "binary")
N, K = 3, 4
F = 6  # coordinates of three sites in two bits


def small_flow(family, n_sites=N, n_outcomes=K, spread=0.3, **settings):
    """A flow with random weights, away from its start by about `spread`."""
    torch.manual_seed(1)
    if family != "cnf":
        settings = {"transforms": 2, "conditioner": "smooth", **settings}
    model = build_model({"family": family, "hidden_size": 8, **settings}, n_sites, n_outcomes).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(spread * torch.randn_like(parameter))
    return model


def double_transform(family, **settings):
    settings = {"tolerance": 1e-11, "score_tolerance": 1e-11, **settings} if family == "cnf" else settings
    return small_flow(family, **settings).double().transform()


def points(n=20):
    return torch.randn(n, F, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def jacobians(transform, x):
    return torch.stack([torch.autograd.functional.jacobian(lambda u: transform(u[None])[0], row) for row in x])


def every_record(n_sites=N, n_outcomes=K, copies=1):
    records = np.concatenate(list(enumerate_outcomes(n_sites, n_outcomes)))
    return torch.from_numpy(records.astype(np.int64)).repeat_interleave(copies, dim=0)


@torch.no_grad()
def weights(model, copies, n_outcomes=K):
    """ln p(u)/q(u|a), for each record `copies` times: (records, copies)."""
    torch.manual_seed(3)
    return model._log_weights(every_record(model.n_sites, n_outcomes, copies)).double().reshape(-1, copies)


def mean_and_error(values):
    return values.mean(dim=-1), values.std(dim=-1) / math.sqrt(values.shape[-1])


@pytest.mark.parametrize(
    "family", [family for family in FLOWS if family != "cnf"] + [pytest.param("cnf", marks=pytest.mark.slow)]
)
def test_inverse(family):
    transform = double_transform(family)
    x = points()
    assert (transform.inv(transform(x)) - x).abs().max() < 1e-5
    assert (transform(transform.inv(x)) - x).abs().max() < 1e-5


@pytest.mark.parametrize("family", FLOWS)
def test_log_determinant_is_that_of_autograd_s_jacobian(family):
    transform = double_transform(family)
    x = points(2)
    _, found = transform.call_and_ladj(x)
    assert (found - jacobians(transform, x).slogdet().logabsdet).abs().max() < 1e-5


def test_nice_keeps_volume_and_realnvp_does_not():
    x = points()
    assert (double_transform("nice").call_and_ladj(x)[1] == 0).all()
    assert double_transform("realnvp").call_and_ladj(x)[1].abs().min() > 1e-3
    assert (double_transform("nice")(x) - x).abs().max() > 0.1


def test_each_step_of_glow_mixes_and_counts_its_determinant():
    model = small_flow("glow").double()
    x = start = points()
    parts = {True: torch.zeros(len(x)), False: torch.zeros(len(x))}  # by whether the layer mixes
    mixing = 0
    for layer in model.transform.transforms:
        mixes = layer()
        is_mixing = isinstance(mixes, LULinearTransform)
        mixing += is_mixing
        if is_mixing:
            assert jacobians(mixes, x[:1])[0].abs().min() > 0  # every coordinate to every other
        x, ladj = mixes.call_and_ladj(x)
        parts[is_mixing] = parts[is_mixing] + ladj
    assert mixing == model.config.transforms
    assert parts[True].abs().min() > 1e-2
    assert torch.allclose(model.transform().call_and_ladj(start)[1], parts[True] + parts[False])


def test_actnorm_standardises_the_first_batch_and_only_that():
    torch.manual_seed(0)
    model = build_model({"family": "glow", "hidden_size": 8, "embedding": "uniform"}, N, K).train()
    batch = torch.randint(0, 2, (500, N))
    torch.manual_seed(5)
    start, _ = model.embedding(batch)
    torch.manual_seed(5)
    model.loss(batch)
    window, first = model.transform.transforms[:2]
    normal = first()(window()(start))
    assert normal.mean(dim=0).abs().max() < 1e-4
    assert (normal.std(dim=0, correction=0) - 1).abs().max() < 1e-4
    kept = first.shift.clone()
    model.loss(torch.randint(2, 4, (500, N)))
    assert (first.shift == kept).all()


def test_the_window_shifts_by_the_signs_of_near_coordinates_and_no_others():
    window = small_flow("nice", window=1).double().transform.transforms[0]  # 3 coordinates back: a site and a bit
    x = points(50)
    with torch.no_grad():
        moved = window()(x) - x
        for i in range(F):
            turned = x.clone()
            turned[:, i] *= -1
            changed = (window()(turned) - turned - moved).abs().amax(dim=0) > 1e-9
            assert changed.nonzero().flatten().tolist() == list(range(i + 1, min(i + 4, F)))
            scaled = x.clone()
            scaled[:, i] *= 3
            assert (window()(scaled) - scaled - moved).abs().max() < 1e-12


def test_a_window_and_no_more_is_a_markov_chain_of_bits():
    model = small_flow("nice", window=2)
    model.transform.transforms = model.transform.transforms[:1]
    records = every_record()
    with torch.no_grad():
        u, _ = model.embedding(records)
        wall = model.transform()(torch.where(u > 0, 1e-30, -1e-30))
        exact = logsigmoid(-u.sign() * wall).sum(dim=-1).double()
    assert exact.exp().sum() == pytest.approx(1, abs=1e-5)
    drawn = model.sample(50_000, np.random.default_rng(0))
    counts = np.bincount(np.ravel_multi_index(drawn.T, (K,) * N), minlength=K**N)
    law = exact.exp().numpy()
    assert stats.chisquare(counts, len(drawn) * law / law.sum()).pvalue > 1e-7


def test_maf_is_triangular_and_affine_in_each_coordinate():
    transform = double_transform("maf", transforms=1)
    x = points(5)
    jacobian = jacobians(transform, x)
    assert jacobian.triu(diagonal=1).abs().max() == 0
    assert jacobian.tril(diagonal=-1).abs().amax(dim=0)[1:, :-1].tril().count_nonzero() == F * (F - 1) // 2
    assert curvature(transform, x).abs().max() < 1e-9


def test_nsf_bends_each_coordinate():
    assert curvature(double_transform("nsf", transforms=1), points(5)).abs().max() > 1e-2


def curvature(transform, x):
    """Second difference of z in the last coordinate of u."""
    step = torch.zeros(F, dtype=x.dtype)
    step[-1] = 0.5
    return (transform(x + step) - 2 * transform(x) + transform(x - step))[:, -1]


@pytest.mark.parametrize(("family", "density_passes", "sampling_passes"), [("maf", 1, F), ("iaf", F, 1)])
def test_the_fast_direction(family, density_passes, sampling_passes):
    model = small_flow(family, transforms=1)
    (network,) = [m for m in model.transform.modules() if isinstance(m, Convolutions)]
    calls = []
    network.register_forward_hook(lambda *_: calls.append(1))
    transform = model.transform()
    transform(torch.randn(7, F))
    assert len(calls) == density_passes
    calls.clear()
    transform.inv(torch.randn(7, F))
    assert len(calls) == sampling_passes


def test_iaf_inverts_a_triangular_map():
    inverse = double_transform("iaf", transforms=1).inv
    jacobian = jacobians(inverse, points(5))
    assert jacobian.triu(diagonal=1).abs().max() == 0
    assert jacobian.tril(diagonal=-1).abs().max() > 1e-3
    assert curvature(inverse, points(5)).abs().max() < 1e-9


def test_hutchinson_s_trace_is_unbiased_and_left_out_where_p_is_averaged():
    model = small_flow("cnf", trace="hutchinson", importance_samples=2, tolerance=1e-5, score_tolerance=1e-5)
    x = points(1).float()
    exact = model.log_density(x)
    assert model.log_density(x) == exact
    scored_once = small_flow("cnf", trace="hutchinson", importance_samples=1, tolerance=1e-5, score_tolerance=1e-5)
    for estimating in (model.train(), scored_once.eval()):
        with torch.no_grad():
            values = torch.stack([estimating.log_density(x.expand(500, -1)) for _ in range(4)]).flatten()
        mean, error = mean_and_error(values)
        assert error > 1e-4
        assert abs(mean - exact) < 5 * error
    exact_trace = small_flow("cnf", trace="exact", tolerance=1e-5, score_tolerance=1e-5).train()
    assert abs(exact_trace.log_density(x) - exact) < 1e-3


@pytest.mark.parametrize("name", EMBEDDINGS)
@pytest.mark.parametrize("n_outcomes", [3, 4, 6])
def test_points_lie_in_the_cell_of_their_record(name, n_outcomes):
    torch.manual_seed(0)
    embedding = Embedding(5, n_outcomes, name, [8])
    outcomes = torch.randint(0, n_outcomes, (10_000, 5))
    embedded, log_q = embedding(outcomes)
    assert (embedding.read(embedded) == outcomes).all()
    assert log_q.isfinite().all()


@pytest.mark.parametrize("name", EMBEDDINGS)
@pytest.mark.parametrize("n_outcomes", [3, 4])
def test_noise_has_the_density_it_says(name, n_outcomes):
    """Under the identity p is uniform in the cube, so that weights average to the volume of the cell."""
    model = small_flow("nice", n_sites=2, n_outcomes=n_outcomes, embedding=name)
    model.log_density = lambda u: (logsigmoid(u) + logsigmoid(-u)).sum(dim=-1)
    mean, error = mean_and_error(weights(model, 20_000, n_outcomes).exp())
    cells = 4 if name == "binary" else n_outcomes
    assert ((mean - cells**-2.0).abs() < 5.5 * error + 1e-5).all()


@pytest.mark.parametrize(
    ("family", "embedding"), [(f, "binary") for f in FLOWS] + [("realnvp", e) for e in EMBEDDINGS[:3]]
)
def test_bounds_samples_and_sums_agree(family, embedding):
    model = small_flow(family, embedding=embedding, spread=0.02)
    with torch.no_grad():  # noise near the uniform one has weights of few extremes
        for parameter in model.embedding.parameters():
            parameter.mul_(0.3)
    ratio = weights(model, 1000)
    probability, error = mean_and_error(ratio.exp())
    assert abs(probability.sum() - 1) < 5.5 * error.square().sum().sqrt()
    # A bound: on average below ln P, for each record and as scored.
    bound, spread = mean_and_error(ratio)
    slack = 6 * (spread + error / probability)
    assert (bound < probability.log() + slack).all()
    score = model.log_prob(every_record(copies=10).numpy().astype(np.uint8)).reshape(-1, 10)
    assert (bound.numpy() - slack.numpy()).mean() < score.mean() < (probability.log() + slack).mean()
    # Samples fall into cells as the integral of the density says.
    n = 10_000
    drawn = model.sample(n, np.random.default_rng(0))
    counts = np.bincount(np.ravel_multi_index(drawn.T, (K,) * N), minlength=K**N)
    deviation = (probability * (1 - probability) / n + error**2).sqrt()
    assert ((torch.from_numpy(counts) / n - probability).abs() < 6 * deviation).all()


def test_one_transform_that_reads_signs_has_a_product_of_conditionals():
    model = small_flow("maf", transforms=1, conditioner="sign", channels=4, spread=0.2)
    records = every_record()
    with torch.no_grad():
        u, _ = model.embedding(records)
        wall = model.transform()(torch.where(u > 0, 1e-30, -1e-30))  # z where each coordinate changes its cell
        exact = logsigmoid(-u.sign() * wall).sum(dim=-1).double()
    assert model.likelihood == "exact"
    assert model.log_prob(records.numpy().astype(np.uint8)) == pytest.approx(exact.numpy(), abs=1e-5)
    assert exact.exp().sum() == pytest.approx(1, abs=1e-5)
    probability, error = mean_and_error(weights(model, 2000).exp())
    assert ((probability - exact.exp()).abs() < 5.5 * error).all()
    drawn = model.sample(50_000, np.random.default_rng(0))
    counts = np.bincount(np.ravel_multi_index(drawn.T, (K,) * N), minlength=K**N)
    law = exact.exp().numpy()
    assert stats.chisquare(counts, len(drawn) * law / law.sum()).pvalue > 1e-7


def test_more_importance_samples_tighten_the_bound():
    ratio = weights(small_flow("realnvp"), 4096)
    exact, error = mean_and_error(ratio.exp())
    gaps = []
    for samples in (1, 4, 16, 64):
        groups = ratio.reshape(len(ratio), -1, samples)
        bound, spread = mean_and_error(groups.logsumexp(dim=-1) - math.log(samples))
        gaps.append(((exact.log() - bound).mean(), ((spread**2 + (error / exact) ** 2).sum().sqrt() / len(ratio))))
    for (wide, noise), (narrow, more) in pairwise(gaps):
        assert narrow < wide + 5 * (noise + more)
        assert narrow > -5 * more
    assert gaps[-1][0] < 0.5 * gaps[0][0]


def test_learned_noise_is_tighter_than_uniform():
    law = np.random.default_rng(0).dirichlet(np.full(16, 0.3))
    index = np.random.default_rng(1).choice(16, size=2000, p=law)
    records = torch.from_numpy(np.stack([index // 4, index % 4], axis=1))
    bounds = {}
    for name in ("uniform", "variational"):
        torch.manual_seed(0)
        model = build_model({"family": "realnvp", "embedding": name, "hidden_size": 16}, 2, 4)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        for step in range(100):
            optimizer.zero_grad()
            model.loss(records[step % 10 :: 10]).backward()
            optimizer.step()
        with torch.no_grad():
            bounds[name] = model._log_weights(records.repeat(5, 1)).mean().item()
    assert bounds["variational"] > bounds["uniform"]


@pytest.mark.parametrize(
    ("settings", "code", "fault"),
    [
        (
            {"embedding": "argmin"},
            Code.VALUE,
            r"\[model\]: embedding = 'argmin': input should be 'uniform', 'variational'",
        ),
        ({"importance_samples": 0}, Code.VALUE, "importance_samples = 0: input should be greater than or equal to 1"),
        ({"transforms": -1}, Code.VALUE, "transforms = -1: input should be greater than or equal to 0"),
        ({"transforms": 0, "window": 0}, Code.VALUE, "expected 1 or more where transforms is 0"),
        ({"conditioner": "signs"}, Code.VALUE, "conditioner = 'signs': input should be 'smooth' or 'sign'"),
        ({"bins": 8}, Code.UNKNOWN, "unknown option 'bins'"),
    ],
)
def test_wrong_settings(settings, code, fault):
    with refused(code, fault):
        parse_model({"family": "realnvp", **settings})


@pytest.mark.parametrize("family", FLOWS)
@pytest.mark.parametrize("embedding", ["uniform", "binary"])
def test_a_single_qubit(family, embedding):
    model = build_model({"family": family, "embedding": embedding, "hidden_size": 8}, 1, 4)
    drawn = model.sample(50, np.random.default_rng(0))
    assert np.isfinite(model.log_prob(drawn)).all()


def test_a_flow_that_adds_nothing_to_its_window_is_said_to():
    torch.manual_seed(0)
    model = build_model({"family": "glow", "hidden_size": 8}, N, K)  # its couplings start as the identity
    records = np.random.default_rng(0).integers(0, K, (400, N), dtype=np.uint8)
    gain, mixing = model.diagnose(records)
    assert (gain.kind, gain.severity) == (FindingKind.GAIN_OVER_WINDOW, Severity.COLLAPSED)
    assert (mixing.kind, mixing.estimate.value) == (FindingKind.MIXING, 0)
    with torch.no_grad():
        model.transform.transforms[2].steps.fill_(0.5)
    assert model.diagnose(records)[1].estimate.value > 0.1


def test_a_new_coupling_flow_is_its_window_and_its_bound_is_tight():
    torch.manual_seed(0)
    model = build_model({"family": "realnvp", "hidden_size": 8, "importance_samples": 1}, N, K)
    records = every_record().numpy().astype(np.uint8)
    exact = model.by_record(records, model.window_log_prob)
    assert np.exp(exact).sum() == pytest.approx(1, abs=1e-5)
    assert model.log_prob(records) == pytest.approx(exact, abs=1e-4)


def test_the_window_learns_from_its_own_likelihood_alone():
    gradients = {}
    for transforms in (0, 2):
        model = small_flow("nice", window=1, spread=0.0, transforms=transforms).train()
        with torch.no_grad():
            torch.manual_seed(4)
            for name, parameter in model.named_parameters():
                if "transforms.0." in name:
                    parameter.copy_(torch.randn_like(parameter))
                elif transforms:
                    parameter.add_(0.3)
        model.loss(every_record()).backward()
        gradients[transforms] = model.transform.transforms[0].network[0].weight.grad
    assert torch.allclose(gradients[0], gradients[2], atol=1e-6)
    assert gradients[0].abs().max() > 1e-3


def test_a_window_alone_and_one_signed_autoregression_are_exact_and_no_others():
    settings = [{"family": "nice", "transforms": 0}, {"family": "maf"}, {"family": "nsf", "conditioner": "sign"}]
    assert [build_model(one, N, K).likelihood for one in settings] == ["exact"] * 3
    others = [{"transforms": 2}, {"conditioner": "smooth"}, {"embedding": "uniform"}]
    assert {build_model({"family": "maf", **one}, N, K).likelihood for one in others} == {"lower_bound"}
    assert build_model({"family": "maf"}, N, 3).likelihood == "lower_bound"  # a code that is no outcome


def test_validation_takes_as_many_samples_as_scores():
    model = small_flow("realnvp", importance_samples=3).eval()
    records = every_record()
    with torch.no_grad():
        torch.manual_seed(0)
        validated = model.validation_loss(records).item()
    assert validated == pytest.approx(-model.log_prob(records.numpy().astype(np.uint8)).mean(), abs=1e-6)
