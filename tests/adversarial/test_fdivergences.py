"""f-divergences: textbook sums, Fenchel duality, high-precision values at large ratios, closed forms of normals."""

import math

import mpmath
import numpy as np
import pytest
import torch
from scipy import optimize, special, stats

from qtomo.adversarial.fdivergences import (
    DIVERGENCES,
    bound_with_error,
    divergence,
    exact_divergence,
    variational_bound,
)
from qtomo.errors import Code
from tests.refusing import refused

PARAMETERS = ["weighted_jensen_shannon(0.3)", "weighted_jensen_shannon(0.9)"]
ALPHAS = ["alpha(-1)", "alpha(0.5)", "alpha(1.5)", "alpha(3)"]
NAMES = [*DIVERGENCES, *PARAMETERS, *ALPHAS]
every = pytest.mark.parametrize("name", NAMES)

P = np.array([0.5, 0.2, 0.2, 0.1])
Q = np.array([0.1, 0.3, 0.2, 0.4])
M = (P + Q) / 2


def weighted(pi: float) -> float:
    middle = pi * P + (1 - pi) * Q
    return pi * stats.entropy(P, middle) + (1 - pi) * stats.entropy(Q, middle)


#: D(P||Q) of the two, each as its textbook has it.
SUMS = {
    "total_variation": np.clip(P - Q, 0, None).sum(),
    "kl": stats.entropy(P, Q),
    "reverse_kl": stats.entropy(Q, P),
    "pearson": ((P - Q) ** 2 / Q).sum(),
    "neyman": ((P - Q) ** 2 / P).sum(),
    "squared_hellinger": 2 - 2 * np.sqrt(P * Q).sum(),
    "jeffrey": stats.entropy(P, Q) + stats.entropy(Q, P),
    "jensen_shannon": stats.entropy(P, M) + stats.entropy(Q, M),
    "gan": (P * np.log(P / (P + Q))).sum() + (Q * np.log(Q / (P + Q))).sum(),
    "weighted_jensen_shannon(0.3)": weighted(0.3),
    "weighted_jensen_shannon(0.9)": weighted(0.9),
    "alpha(-1)": ((P - Q) ** 2 / P).sum() / 2,
    "alpha(0.5)": 4 - 4 * np.sqrt(P * Q).sum(),
    "alpha(1.5)": 4 / 3 * ((P**1.5 * Q**-0.5).sum() - 1),
    "alpha(3)": ((P**3 * Q**-2).sum() - 1) / 6,
}


def exact_weighted(pi: float):
    return lambda u: pi * u * mpmath.log(u) - (1 - mpmath.mpf(pi) + pi * u) * mpmath.log(1 - mpmath.mpf(pi) + pi * u)


def exact_alpha(a: float):
    return lambda u: (u**a - 1 - a * (u - 1)) / (a * (a - 1))


#: f(u) in any precision, for `mpmath`.
GENERATORS = {
    "total_variation": lambda u: abs(u - 1) / 2,
    "kl": lambda u: u * mpmath.log(u),
    "reverse_kl": lambda u: -mpmath.log(u),
    "pearson": lambda u: (u - 1) ** 2,
    "neyman": lambda u: (u - 1) ** 2 / u,
    "squared_hellinger": lambda u: (mpmath.sqrt(u) - 1) ** 2,
    "jeffrey": lambda u: (u - 1) * mpmath.log(u),
    "jensen_shannon": lambda u: u * mpmath.log(u) - (u + 1) * mpmath.log((u + 1) / 2),
    "gan": lambda u: u * mpmath.log(u) - (u + 1) * mpmath.log(u + 1),
    **{f"weighted_jensen_shannon({pi})": exact_weighted(pi) for pi in (0.3, 0.9)},
    **{f"alpha({a})": exact_alpha(a) for a in (-1, 0.5, 1.5, 3)},
}


def discrete(name: str) -> float:
    """E_Q f(p/q) of the two."""
    return float((torch.from_numpy(Q) * divergence(name).generator(torch.from_numpy(P / Q))).sum())


def grid(low: float, high: float, n: int = 49) -> torch.Tensor:
    return torch.linspace(low, high, n, dtype=torch.float64)


def gradient(function, at: torch.Tensor) -> torch.Tensor:
    at = at.clone().requires_grad_()
    return torch.autograd.grad(function(at).sum(), at)[0]


def close(found: torch.Tensor, expected: torch.Tensor, tolerance: float) -> bool:
    """Within the tolerance, relative where the expected is above one."""
    return bool(((found - expected).abs() <= tolerance * (1 + expected.abs())).all())


@every
def test_generator_gives_the_textbook_sum(name):
    assert discrete(name) == pytest.approx(SUMS[name], abs=1e-12)


@every
def test_derivative_is_that_of_the_generator(name):
    entry, u = divergence(name), grid(-5, 5, 30).exp()
    assert close(entry.derivative(u), gradient(entry.generator, u), 1e-12)


@every
def test_conjugate_is_the_supremum(name):
    entry = divergence(name)
    low, high = max(entry.domain[0], -4), min(entry.domain[1], 3)
    for t in np.linspace(low, high, 9)[:-1]:

        def loss(log_u: float, t=t) -> float:
            u = torch.tensor(math.exp(log_u), dtype=torch.float64)
            return float(entry.generator(u) - t * u)

        best = optimize.minimize_scalar(loss, bounds=(-40, 12), options={"xatol": 1e-10})
        # A supremum at u = 0, where f has a slope, is approached at the end of the interval.
        assert float(entry.conjugate(torch.tensor(t))) == pytest.approx(-best.fun, abs=1e-8)


@every
def test_conjugate_is_infinite_above_its_domain(name):
    entry = divergence(name)
    if math.isfinite(entry.domain[1]):
        above = entry.conjugate(torch.tensor([entry.domain[1] + 1e-6, entry.domain[1] + 5], dtype=torch.float64))
        assert (above == math.inf).all()


@every
def test_fenchel_equality_at_the_derivative(name):
    entry, u = divergence(name), grid(-7, 7).exp()
    t = entry.derivative(u)
    assert close(entry.generator(u) + entry.conjugate(t), u * t, 1e-10)


@every
def test_fenchel_young_inequality(name):
    entry = divergence(name)
    u, t = grid(-7, 7)[:, None].exp(), entry.activation(grid(-8, 8))
    assert (entry.generator(u) + entry.conjugate(t) >= u * t - 1e-9 * (1 + (u * t).abs())).all()


# The f' of total variation has two values only, at which f* has corners.
@pytest.mark.parametrize("name", [name for name in NAMES if name != "total_variation"])
def test_gradient_of_the_conjugate_is_the_ratio(name):
    entry, u = divergence(name), grid(-6, 6).exp()
    assert close(gradient(entry.conjugate, entry.derivative(u)) / u, torch.ones_like(u), 1e-6)


@every
def test_from_log_ratio_is_right_at_large_ratios(name):
    entry, v = divergence(name), grid(-30, 30, 61)[torch.arange(61) != 30]
    with mpmath.workdps(80):
        generator = GENERATORS[name]
        ratios = [mpmath.exp(mpmath.mpf(float(x))) for x in v]
        slopes = [mpmath.diff(generator, u, h=u * mpmath.mpf(10) ** -30) for u in ratios]
        critic = torch.tensor([float(slope) for slope in slopes], dtype=torch.float64)
        pairs = zip(ratios, slopes, strict=True)
        conjugate = torch.tensor([float(u * slope - generator(u)) for u, slope in pairs], dtype=torch.float64)
    assert close(entry.from_log_ratio(v), critic, 1e-12)
    assert close(entry.conjugate_from_log_ratio(v), conjugate, 1e-12)


def test_activations_are_the_published_ones():
    """At v = 0.7, from tables 2 and 6 of arXiv 1606.00709; those of alpha depend on its side of 1."""
    softplus = math.log1p(math.exp(-0.7))
    published = {
        "total_variation": math.tanh(0.7) / 2,
        "kl": 0.7,
        "reverse_kl": -math.exp(-0.7),
        "pearson": 0.7,
        "neyman": 1 - math.exp(-0.7),
        "squared_hellinger": 1 - math.exp(-0.7),
        "jeffrey": 0.7,
        "jensen_shannon": math.log(2) - softplus,
        "gan": -softplus,
        "weighted_jensen_shannon(0.3)": -0.3 * math.log(0.3) - softplus,
        "alpha(0.5)": 2 - softplus,
        "alpha(-1)": 0.5 - softplus,
        "alpha(3)": 0.7,
    }
    for name, value in published.items():
        v = torch.tensor(0.7, dtype=torch.float64)
        assert float(divergence(name).activation(v)) == pytest.approx(value, abs=1e-14), name


@every
def test_activation_fills_the_domain(name):
    entry, v = divergence(name), grid(-30, 30, 400)
    t = entry.activation(v)
    high = entry.domain[1]
    assert (t.diff() >= 0).all()
    assert (t[100:300].diff() > 0).all()
    assert (t <= high).all()
    assert float(t[-1]) == pytest.approx(high, abs=1e-8) if math.isfinite(high) else t[-1] >= 30
    assert t[0] < -20 or name == "total_variation"


@every
def test_conjugate_of_activation_is_that_composition(name):
    entry, v = divergence(name), grid(-8, 8)
    assert close(entry.conjugate_of_activation(v), entry.conjugate(entry.activation(v)), 1e-9)


BEYOND_SINGLE = ("alpha(3)", "alpha(1.5)")  # they take e^90 and e^45


@pytest.mark.parametrize(
    ("name", "dtype"),
    [(name, torch.float64) for name in NAMES] + [(name, torch.float32) for name in NAMES if name not in BEYOND_SINGLE],
)
def test_gradients_are_finite_at_large_ratios(name, dtype):
    entry, v = divergence(name), grid(-30, 30, 121).to(dtype)
    for form in ("activation", "log_ratio"):
        on_p, on_q = v.clone().requires_grad_(), v.clone().requires_grad_()
        bound = variational_bound(entry, on_p, on_q, form)
        bound.backward()
        assert bound.isfinite()
        assert bound.dtype == dtype
        assert on_p.grad.isfinite().all()
        assert on_q.grad.isfinite().all()
        if (name, form) != ("total_variation", "log_ratio"):
            assert (on_p.grad >= 0).all()
            assert (on_p.grad[50:70] > 0).all()
            assert (on_q.grad <= 0).all()


def test_jeffrey_conjugate_is_lambert_w_at_any_size():
    t = torch.cat([-torch.logspace(6, -3, 40, dtype=torch.float64), torch.logspace(-3, math.log10(600), 40).double()])
    w = special.wrightomega(1 - t.numpy())
    expected = torch.from_numpy(1 / w - 1 - np.log(w))
    assert close(divergence("jeffrey").conjugate(t), expected, 1e-11)
    assert close(gradient(divergence("jeffrey").conjugate, t), torch.from_numpy(1 / w), 1e-11)
    assert torch.autograd.gradgradcheck(divergence("jeffrey").conjugate, grid(-4, 4, 9).requires_grad_())


@pytest.mark.parametrize(
    ("name", "other", "factor", "constant"),
    [
        ("alpha(2)", "pearson", 0.5, 0),
        ("alpha(-1)", "neyman", 0.5, 0),
        ("alpha(0.5)", "squared_hellinger", 2, 0),
        ("weighted_jensen_shannon(0.5)", "jensen_shannon", 0.5, 0),
        ("gan", "jensen_shannon", 1, -math.log(4)),
        ("alpha(0.9999999)", "kl", 1, 0),
        ("alpha(1.0000001)", "kl", 1, 0),
        ("alpha(0.0000001)", "reverse_kl", 1, 0),
        ("alpha(-0.0000001)", "reverse_kl", 1, 0),
    ],
)
def test_names_for_the_same_thing_agree(name, other, factor, constant):
    u, q = torch.from_numpy(P / Q), torch.from_numpy(Q)
    value = (q * divergence(name).generator(u)).sum()
    assert float(value) == pytest.approx(
        factor * float((q * divergence(other).generator(u)).sum()) + constant, abs=1e-6
    )


#: D(N(0, 1)||N(1, 1)); Pearson e - 1 and the like, Jensen-Shannon by SciPy's quadrature.
SHIFTED = {
    "total_variation": 2 * stats.norm.cdf(0.5) - 1,
    "kl": 0.5,
    "reverse_kl": 0.5,
    "pearson": math.e - 1,
    "neyman": math.e - 1,
    "squared_hellinger": 2 - 2 * math.exp(-1 / 8),
    "jeffrey": 1.0,
    "alpha(3)": (math.exp(3) - 1) / 6,
}


@pytest.mark.parametrize("name", SHIFTED)
def test_exact_divergence_of_normals(name):
    tolerance = 1e-4 if name == "total_variation" else 1e-10  # |u - 1| has a corner inside a panel
    assert shifted(name) == pytest.approx(SHIFTED[name], abs=tolerance)


def shifted(name: str) -> float:
    return exact_divergence(divergence(name), normal(0, 1).log_prob, normal(1, 1).log_prob, -14, 15)


def test_exact_divergence_keeps_its_direction():
    ours = exact_divergence(divergence("kl"), normal(0, 1).log_prob, normal(1, 2).log_prob, -30, 30)
    assert ours == pytest.approx(math.log(2) + 2 / 8 - 0.5, abs=1e-12)


def test_exact_divergence_where_a_density_underflows():
    wide, narrow = normal(0, 1).log_prob, normal(0, 0.1).log_prob
    expected = math.log(10) + 0.01 / 2 - 0.5
    assert exact_divergence(divergence("reverse_kl"), wide, narrow, -20, 20) == pytest.approx(expected, abs=1e-12)
    assert exact_divergence(divergence("kl"), narrow, wide, -20, 20) == pytest.approx(expected, abs=1e-12)
    chi_square = 1 / (0.1 * math.sqrt(2 - 0.1**2)) - 1
    assert exact_divergence(divergence("pearson"), narrow, wide, -20, 20) == pytest.approx(chi_square, abs=1e-10)
    assert exact_divergence(divergence("neyman"), wide, narrow, -20, 20) == pytest.approx(chi_square, abs=1e-10)
    assert exact_divergence(divergence("pearson"), wide, narrow, -20, 20) > 1e100


def normal(mean: float, scale: float) -> torch.distributions.Normal:
    return torch.distributions.Normal(torch.tensor(mean, dtype=torch.float64), scale)


@every
def test_bound_is_tight_at_the_ratio_and_below_elsewhere(name):
    """Critics off the ratio by a shift, a factor or noise lose; five errors of one sample are 3e-7."""
    entry, exact = divergence(name), shifted(name)
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(2, 200_000, dtype=torch.float64, generator=generator)
    on_p, on_q = 0.5 - x[0], 0.5 - (x[1] + 1)  # log p/q = 1/2 - x
    value, error = bound_with_error(entry, on_p, on_q, "log_ratio")
    assert abs(value - exact) < 5 * error
    assert value == pytest.approx(float(variational_bound(entry, on_p, on_q, "log_ratio")), abs=1e-12)
    by_critic = variational_bound(entry, entry.from_log_ratio(on_p), entry.from_log_ratio(on_q))
    assert float(by_critic) == pytest.approx(value, abs=1e-8)
    for changed_p, changed_q in [(on_p + 0.7, on_q + 0.7), (-0.5 * on_p, -0.5 * on_q)]:
        assert float(variational_bound(entry, changed_p, changed_q, "log_ratio")) < value
    plain, _ = bound_with_error(entry, entry.activation(on_p), entry.activation(on_q))
    assert plain == pytest.approx(bound_with_error(entry, on_p, on_q, "activation")[0], abs=1e-8)


def test_error_of_the_bound_is_that_of_two_means():
    on_p, on_q = torch.tensor([0.0, 2.0]), torch.tensor([1.0, 3.0, 8.0])
    value, error = bound_with_error(divergence("reverse_kl"), -on_p - 1, -on_q)
    conjugate = -1 - np.log([1.0, 3.0, 8.0])
    assert value == pytest.approx(-2 - conjugate.mean(), rel=1e-6)
    assert error == pytest.approx(math.sqrt(2 / 2 + conjugate.var(ddof=1) / 3), rel=1e-6)


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("pearsn", Code.UNKNOWN, "did you mean 'pearson'"),
        ("wasserstein", Code.UNKNOWN, "known: total_variation, kl, .*, alpha, weighted_jensen_shannon"),
        ("kl(2)", Code.SYNTAX, "kl takes no parameter"),
        ("alpha", Code.SYNTAX, r"needs a number, as in 'alpha\(0.3\)'"),
        ("alpha(__import__)", Code.SYNTAX, "needs a number"),
        ("alpha(nan)", Code.SYNTAX, "needs a number"),
        ("alpha(1)", Code.VALUE, "'kl'"),
        ("alpha(0.0)", Code.VALUE, "'reverse_kl'"),
        ("weighted_jensen_shannon(1)", Code.VALUE, "strictly between 0 and 1"),
        ("weighted_jensen_shannon(-0.1)", Code.VALUE, "strictly between 0 and 1"),
        ("kl)", Code.UNKNOWN, "unknown"),
        ("", Code.UNKNOWN, "unknown"),
    ],
)
def test_bad_names_are_errors_that_help(name, code, message):
    with refused(code, message):
        divergence(name)


@every
def test_name_finds_the_divergence_again(name):
    entry = divergence(name)
    assert divergence(str(entry)).name == entry.name
