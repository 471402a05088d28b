"""Reconstruction of a few qubits: against QuTiP, against an independent fit, and what cannot be reconstructed."""

import numpy as np
import pytest
import qutip
from scipy import optimize

from qtomo import (
    GHZ,
    BornDistribution,
    DensityMatrix,
    LinearInversion,
    MaximumLikelihood,
    ProjectedLeastSquares,
    Records,
    named_povm,
)
from qtomo.distribution import LOST
from qtomo.errors import Code
from qtomo.measurement.povm import POVM
from qtomo.reconstruction.dense import reconstruct_frequencies
from qtomo.reconstruction.frequencies import Frequencies
from qtomo.reconstruction.maximum_likelihood import log_likelihood, maximum_likelihood
from qtomo.reconstruction.options import Options
from qtomo.records.file.schema import Target
from qtomo.states.quantities import fidelity, nearest_state
from tests.refusing import refused

METHODS = (LinearInversion(), ProjectedLeastSquares(), MaximumLikelihood())
POVMS = ("pauli4", "pauli6", "sic")
Z_ONLY = POVM(np.array([np.diag([1, 0]), np.diag([0, 1])], dtype=complex), "z only")


def noisy_ghz(n_sites: int, noise: float = 0.1) -> DensityMatrix:
    mixed = (1 - noise) * qutip.ghz_state(n_sites).proj().full() + noise * np.eye(2**n_sites) / 2**n_sites
    return DensityMatrix(mixed)


def drawn(state: DensityMatrix, povm: str, n: int, seed: int = 1) -> Frequencies:
    born = BornDistribution(state, povm)
    return Frequencies.of_records(Records(born.sample(n, np.random.default_rng(seed)), born.povm))


def trace_distance(one, other) -> float:
    return float(np.abs(np.linalg.eigvalsh(one - other)).sum() / 2)


@pytest.mark.parametrize("povm", POVMS)
def test_probabilities_are_traces_with_products_of_elements(povm):
    rho = qutip.rand_dm([2, 2], seed=3)
    elements = named_povm(povm).elements
    frequencies = drawn(DensityMatrix.from_qutip(rho), povm, 10)
    wanted = [[(rho * qutip.tensor(qutip.Qobj(a), qutip.Qobj(b))).tr().real for b in elements] for a in elements]
    assert frequencies.probabilities(rho.full()) == pytest.approx(np.array(wanted), abs=1e-13)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("povm", POVMS)
def test_the_exact_distribution_of_a_state_gives_it_back(povm, method):
    state = DensityMatrix.from_qutip(qutip.rand_dm([2, 2, 2], seed=4))
    born = BornDistribution(state, povm)
    found = reconstruct_frequencies(Frequencies.of_distribution(born, born.povm), method, Options())
    assert trace_distance(found.state.matrix, state.matrix) < 1e-5
    assert found.numbers["purity"].n_records == 0
    assert found.to_qutip().dims == [[2, 2, 2]] * 2


def independent_fit(frequencies: Frequencies) -> np.ndarray:
    """Maximum likelihood over T T^dagger / Tr, T complex, with elements multiplied out as matrices."""
    n, elements = frequencies.n_sites, frequencies.povm.elements
    products = elements
    for _ in range(n - 1):
        products = np.einsum("aij,bkl->abikjl", products, elements).reshape(
            -1, 2 * products.shape[1], 2 * products.shape[1]
        )
    counts = frequencies.counts.ravel()
    d = 2**n

    def loss(parameters):
        t = (parameters[: d * d] + 1j * parameters[d * d :]).reshape(d, d)
        norm = np.vdot(t, t).real
        chances = np.einsum("aij,ji->a", products, t @ t.conj().T).real / norm
        slope = np.einsum("a,aij->ij", counts / chances, products) / norm - counts.sum() * np.eye(d) / norm
        gradient = -2 * slope @ t
        return -counts @ np.log(chances), np.concatenate([gradient.real.ravel(), gradient.imag.ravel()])

    start = np.random.default_rng(0).normal(size=2 * d * d)
    options = {"maxiter": 20_000, "maxfun": 20_000, "ftol": 0, "gtol": 1e-9, "maxcor": 50}
    best = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", options=options).x
    t = (best[: d * d] + 1j * best[d * d :]).reshape(d, d)
    return t @ t.conj().T / np.vdot(t, t).real


@pytest.mark.parametrize(("n_sites", "povm"), [(1, "sic"), (2, "pauli4"), (2, "pauli6"), (3, "pauli4")])
def test_maximum_likelihood_agrees_with_an_independent_fit(n_sites, povm):
    frequencies = drawn(noisy_ghz(n_sites) if n_sites > 1 else DensityMatrix(np.diag([0.9, 0.1])), povm, 3_000)
    fit = maximum_likelihood(frequencies)
    other = independent_fit(frequencies)
    assert abs(fit.log_likelihood - log_likelihood(frequencies, other)) < 1e-6
    assert trace_distance(fit.matrix, other) < 1e-6


@pytest.mark.parametrize("povm", POVMS)
@pytest.mark.parametrize("n_sites", [1, 3, 4])
def test_maximum_likelihood_is_physical_and_the_likeliest(povm, n_sites):
    state = DensityMatrix.from_qutip(qutip.rand_dm([2] * n_sites, rank=2, seed=n_sites))
    frequencies = drawn(state, povm, 2_000)
    fit = maximum_likelihood(frequencies)
    assert np.linalg.eigvalsh(fit.matrix)[0] > -1e-12
    assert np.trace(fit.matrix).real == pytest.approx(1, abs=1e-12)
    assert np.abs(fit.matrix - fit.matrix.conj().T).max() < 1e-12
    assert fit.gap < 1e-4
    assert fit.log_likelihood == pytest.approx(log_likelihood(frequencies, fit.matrix), abs=1e-9)
    rng = np.random.default_rng(2)
    others = [state.matrix, nearest_state(frequencies.linear_inversion())]
    for _ in range(20):
        kick = rng.normal(size=fit.matrix.shape) + 1j * rng.normal(size=fit.matrix.shape)
        others.append(nearest_state(fit.matrix + 10.0 ** -rng.integers(1, 5) * (kick + kick.conj().T)))
    assert all(log_likelihood(frequencies, other) <= fit.log_likelihood + fit.gap for other in others)


def test_infidelity_falls_as_one_over_records():
    means = []
    for n in (1_000, 100_000):
        off = []
        for seed in range(20):
            state = DensityMatrix(0.8 * qutip.rand_dm(2, seed=seed).full() + 0.1 * np.eye(2))
            off.append(1 - fidelity(maximum_likelihood(drawn(state, "pauli6", n, seed)).matrix, state))
        means.append(np.mean(off))
    assert 40 < means[0] / means[1] < 250


def test_shots_with_settings_are_averaged_in_their_bases():
    state = noisy_ghz(2)
    settings = np.repeat(np.array([[b, c] for b in range(3) for c in range(3)], np.uint8), 400, axis=0)
    settings = np.concatenate([settings, np.full((5_000, 2), 2, np.uint8)])  # far from uniform
    born = BornDistribution(state, "pauli6")
    bits = born.sample_bits(settings, np.random.default_rng(5))
    frequencies = Frequencies.of_records(Records(bits, born.povm, settings=settings, design="listed"))
    inverted = frequencies.linear_inversion()
    zz = (1 - 2.0 * bits)[(settings == 2).all(axis=1)].prod(axis=1).mean()
    assert np.trace(inverted @ np.diag([1, -1, -1, 1])).real == pytest.approx(zz, abs=1e-12)
    assert trace_distance(maximum_likelihood(frequencies).matrix, state.matrix) < 0.05


def test_lost_outcomes_bias_nothing():
    state = noisy_ghz(3)
    born = BornDistribution(state, "pauli6")
    records = born.sample(40_000, np.random.default_rng(6))
    records[np.random.default_rng(7).random(records.shape) < 0.2] = LOST
    frequencies = Frequencies.of_records(Records(records, born.povm))
    assert trace_distance(maximum_likelihood(frequencies).matrix, state.matrix) < 0.06
    again = frequencies.resampler()(frequencies.probabilities(state.matrix), np.random.default_rng(8))
    assert again.counts[-1].sum() == frequencies.counts[-1].sum()
    assert again.counts.sum() == 40_000


def test_what_is_not_seen_is_said():
    records = np.random.default_rng(9).integers(0, 2, (500, 3)).astype(np.uint8)
    frequencies = Frequencies.of_records(Records(records, Z_ONLY))
    assert frequencies.unseen() == ["X on every site", "Y on every site"]
    with refused(Code.UNMEASURED, r"does not see X on every site, Y on every site, .* mle finds a state"):
        reconstruct_frequencies(frequencies, LinearInversion(), Options())
    found = reconstruct_frequencies(frequencies, MaximumLikelihood(), Options())
    assert not found.numbers
    assert "one of many" in found.claims[0]


def test_settings_that_never_meet_are_named():
    settings = np.repeat(np.array([[0, 0], [1, 1], [2, 2]], np.uint8), 100, axis=0)
    bits = BornDistribution(GHZ(2).state(), "pauli6").sample_bits(settings, np.random.default_rng(1))
    frequencies = Frequencies.of_records(Records(bits, settings=settings, design="listed"))
    with refused(Code.UNMEASURED, "X0 Y1, X0 Z1, Y0 X1, Y0 Z1, Z0 X1, Z0 Y1,"):
        reconstruct_frequencies(frequencies, ProjectedLeastSquares(), Options())


def test_products_that_losses_leave_to_no_record_are_named():
    records = np.random.default_rng(1).integers(0, 4, (50, 2)).astype(np.uint8)
    records[::2, 0], records[1::2, 1] = LOST, LOST
    frequencies = Frequencies.of_records(Records(records, "pauli4"))
    with refused(Code.UNMEASURED, "X0 X1, X0 Y1,"):
        reconstruct_frequencies(frequencies, LinearInversion(), Options())
    assert not reconstruct_frequencies(frequencies, MaximumLikelihood(), Options()).numbers


def test_one_record_is_enough_to_say_that_nothing_is_known():
    frequencies = Frequencies.of_records(Records(np.zeros((1, 2), np.uint8), "pauli4"))
    found = reconstruct_frequencies(frequencies, MaximumLikelihood(), Options(Target.of(GHZ(2)), resamples=20))
    assert found.numbers["fidelity with the target, direct"].standard_error == np.inf
    assert any("1 for the 15 real parameters" in claim for claim in found.claims)
    assert np.trace(found.state.matrix).real == pytest.approx(1)


def test_too_many_qubits_are_refused_with_the_memory():
    with refused(Code.TOO_LARGE, r"12 qubits .* GiB .*at most 10 qubits .*--method mps or lpdo"):
        Frequencies.of_records(Records(np.zeros((5, 12), np.uint8), "pauli4"))


def test_intervals_are_the_same_for_the_same_seed():
    state, target = noisy_ghz(3), Target.of(GHZ(3))
    frequencies = drawn(state, "pauli6", 1_000)
    found = [
        reconstruct_frequencies(frequencies, MaximumLikelihood(), Options(target, resamples=20, seed=seed))
        for seed in (1, 1, 2)
    ]
    fidelities = [f.numbers["fidelity with the target"] for f in found]
    assert fidelities[0] == fidelities[1] != fidelities[2]
    assert 0 < fidelities[0].low < fidelities[0].value < fidelities[0].high < 1
