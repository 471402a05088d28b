"""The occupation witness of Ising chains: its algebra by enumeration, its estimator by sums over all outcomes, its
coverage by drawing.
"""

import itertools

import numpy as np
import pytest
from scipy import stats

from qtomo import InputError, Records
from qtomo.observables.certificates import occupation
from qtomo.observables.certificates.base import CertificateKind
from qtomo.observables.certificates.occupation import occupation_settings, occupation_witnesses
from qtomo.states.born.distribution import BornDistribution
from qtomo.states.density import DensityMatrix
from qtomo.states.tfim import TFIM
from tests.systems import dense

CHAINS = [
    TFIM(3, 1.0, 0.7), TFIM(4, 1.0, 1.0), TFIM(5, 1.0, 1.3), TFIM(6, 1.0, 1.0), TFIM(4, 1.0, -0.8), TFIM(4, -1.0, 0.3),
    TFIM(5, (1.0, 0.4, -0.7, 1.2), (0.9, -1.1, 0.3, 0.8, 1.0)),
]  # fmt: skip


def string(i, j, n):
    """S_ij as a matrix."""
    if i == j:
        return dense.product({i: "X"}, n)
    first, last, end = min(i, j), max(i, j), "Z" if i < j else "Y"
    letters = dict.fromkeys(range(first + 1, last), "X") | {first: end, last: end}
    return (-1) ** (last - first - 1) * dense.product(letters, n)


def matrices(model):
    """Ground state, G and all strings."""
    n = model.n_sites
    h = sum(-f * dense.product({i: "X"}, n) for i, f in enumerate(model.fields))
    h = h + sum(-j * dense.product({i: "Z", i + 1: "Z"}, n) for i, j in enumerate(model.couplings))
    ground = np.linalg.eigh(h)[1][:, 0]
    field = np.diag(model.fields) + np.diag(model.couplings, 1)
    u, _, vt = np.linalg.svd(field)
    return dense.projector(ground), u, vt, {(i, j): string(i, j, n) for i in range(n) for j in range(n)}


@pytest.mark.parametrize("model", CHAINS, ids=str)
def test_the_witnesses_are_below_the_projector(model):
    """n has eigenvalues 0 ... N, and both witnesses with random weights of 1 or more are operators below |psi><psi|."""
    n, rng = model.n_sites, np.random.default_rng(0)
    ground, u, vt, strings = matrices(model)
    assert np.allclose(model.free_fermions.correlations, u @ vt)
    number = n / 2 * np.eye(2**n) - sum((u @ vt)[e] * s for e, s in strings.items()) / 2
    assert np.allclose(np.linalg.eigvalsh(number), np.round(np.linalg.eigvalsh(number)))
    assert np.trace(ground @ number).real == pytest.approx(0, abs=1e-9)
    parity = dense.product(dict.fromkeys(range(n), "X"), n)
    parity = parity * round(np.trace(parity @ ground).real)
    even = (np.eye(2**n) + parity) / 2
    for weights in (np.ones(n), 1 + rng.random(n), 1 + 5 * rng.random(n)):
        t = (u * weights) @ vt
        number = weights.sum() / 2 * np.eye(2**n) - sum(t[e] * s for e, s in strings.items()) / 2
        low, next_low = np.sort(weights)[:2]
        plain = np.eye(2**n) - number / low
        refined = even - (number - low * (np.eye(2**n) - even)) / (low + next_low)
        for witness in (plain, refined):
            assert np.linalg.eigvalsh(ground - witness)[0] > -1e-9
            assert np.trace(ground @ witness).real == pytest.approx(1)


@pytest.mark.parametrize("n", [3, 4, 5])
def test_what_is_not_told_is_at_most_half_its_singular_values(n):
    """Any sum of strings has a norm of at most the sum of its coefficients' singular values, and reaches it."""
    rest = np.random.default_rng(n).normal(size=(n, n)) * (np.random.default_rng(1).random((n, n)) < 0.6)
    total = sum(rest[i, j] * string(i, j, n) for i, j in itertools.product(range(n), repeat=2))
    assert np.abs(np.linalg.eigvalsh(total)).max() == pytest.approx(np.linalg.svd(rest, compute_uv=False).sum())


def expected_terms(model, rho, settings, shots, flips=None, **more):
    """The mean of the witness over all outcomes in each setting, with everything else as for these shots."""
    n = model.n_sites
    index = np.repeat(np.arange(len(settings)), shots)
    drawn = Records(np.zeros((len(index), n), np.uint8), settings=settings, setting_index=index, design="listed")
    chosen = occupation._choose(model, [occupation._Source(drawn, n)])
    outcomes = dense.all_records(n, 2)
    mean = -chosen.loss
    for setting, count in zip(settings, shots, strict=True):
        all_bits = Records(outcomes, settings=np.tile(setting, (2**n, 1)), design="listed")
        source = occupation._Source(all_bits, n)
        parities = int((settings == 0).all(axis=1) @ shots)
        source.all_x  # noqa: B018
        terms = _terms_as_of(model, chosen, source, parities)
        elements = [np.array([dense.projector(ket) for ket in dense.BASES[basis]]) for basis in setting]
        chances = dense.chances(rho, elements)
        mean += count * float(chances @ terms)
    return 1 + mean, chosen


def _terms_as_of(model, chosen, source, parities):
    """The terms of these shots where so many tell the parity."""
    scale = parities / max(int(source.all_x.sum()), 1)
    changed = occupation._Chosen(
        chosen.coefficients, chosen.precision, chosen.parity / max(scale, 1e-300), chosen.loss, chosen.spread
    )
    return occupation._witness(model, changed if parities else chosen, [source]).terms.values


@pytest.mark.parametrize("model", CHAINS[:5], ids=str)
@pytest.mark.parametrize("design", ["planned", "some"])
def test_the_mean_of_the_terms_is_below_the_fidelity(model, design):
    """Summed over all outcomes of planned settings, and of settings that leave strings out, for random mixed states."""
    n, rng = model.n_sites, np.random.default_rng(3)
    ground = matrices(model)[0]
    settings, shots = occupation_settings(model, 2000)
    if design == "some":
        settings = np.vstack([np.zeros(n), np.full(n, 2), rng.integers(0, 3, (6, n))]).astype(np.uint8)
        settings = np.unique(settings, axis=0)
        shots = rng.integers(100, 300, len(settings))
    value, chosen = expected_terms(model, ground, settings, shots)
    assert value == pytest.approx(1 - chosen.loss)
    if design == "planned":
        assert chosen.loss < 0.02
        assert chosen.parity == pytest.approx(0.5)
    for weight in (0.0, 0.5, 0.9):
        ket = rng.normal(size=2**n) + 1j * rng.normal(size=2**n)
        rho = weight * ground + (1 - weight) * dense.projector(ket / np.linalg.norm(ket))
        value, _ = expected_terms(model, rho, settings, shots)
        assert value <= np.trace(ground @ rho).real + 1e-9


def mixture(model, share):
    """The ground state with a share of the lowest state of the other parity, for which the witness is tight."""
    ground, u, vt, strings = matrices(model)
    number = model.n_sites / 2 * np.eye(2**model.n_sites) - sum((u @ vt)[e] * s for e, s in strings.items()) / 2
    excited = np.linalg.eigh(number)[1][:, 1]
    return (1 - share) * ground + share * dense.projector(excited)


@pytest.mark.parametrize(
    ("design", "n_shots"),
    [
        pytest.param("planned", 200, marks=pytest.mark.slow),
        pytest.param("planned", 8000, marks=pytest.mark.slow),
        ("random", 500),
        pytest.param("sic", 4000, marks=pytest.mark.slow),
    ],
)
def test_bounds_are_above_the_truth_no_more_often_than_they_say(design, n_shots):
    """300 data sets of a state for which the witness is tight: as few above as 5 % allow, at 1e-6."""
    model, share = TFIM(4, 1.0, 1.0), 0.1
    born = BornDistribution(DensityMatrix(mixture(model, share)), "sic" if design == "sic" else "pauli6")
    rng, above, values = np.random.default_rng(n_shots), {}, {}
    for _ in range(300):
        if design == "sic":
            records = Records(born.sample(n_shots, rng), "sic")
        else:
            settings = rng.integers(0, 3, (n_shots, 4)).astype(np.uint8)
            if design == "planned":
                settings = np.repeat(*occupation_settings(model, n_shots), axis=0)
            records = Records(born.sample_bits(settings, rng), settings=settings, design="listed")
        for found in occupation_witnesses(model, records):
            above[found.guarantee] = above.get(found.guarantee, 0) + (found.value > 1 - share)
            values.setdefault(found.guarantee, []).append(found.value)
    assert all(count <= stats.binom.isf(1e-6, 300, 0.05) for count in above.values())
    assert np.mean(values["finite-sample"]) < 1 - share
    if n_shots == 8000 and design == "planned":
        assert np.mean(values["finite-sample"]) > 0.75
        assert np.mean(values["asymptotic"]) > np.mean(values["finite-sample"])


def test_planned_settings_tell_all_strings_that_matter():
    model = TFIM(30, 1.0, 1.3)
    settings, shots = occupation_settings(model, 50_000)
    assert settings.dtype == np.uint8
    assert shots.sum() == 50_000
    assert shots.min() >= 1
    assert (settings[0] == 0).all()
    assert len(np.unique(settings, axis=0)) == len(settings)
    settings, shots = occupation_settings(TFIM(30, 1.0, 20.0), 1000)
    assert len(settings) <= 11  # strings of two or three sites only
    with pytest.raises(InputError, match="total_shots is 20, expected at least 100"):
        occupation_settings(model, 20)


def test_readout_error_and_loss_are_taken_into_account():
    """Bits that are flipped with a declared probability, one in twenty lost: the estimate stays at the truth."""
    from qtomo.measurement.povm import named_povm
    from qtomo.measurement.readout import with_bit_confusion

    model, rng = TFIM(4, 1.0, 1.0), np.random.default_rng(0)
    povm = with_bit_confusion(named_povm("pauli6"), np.tile([[0.97, 0.05], [0.03, 0.95]], (4, 1, 1)), 4)
    born = BornDistribution(DensityMatrix(mixture(model, 0.1)), povm)
    settings = np.repeat(*occupation_settings(model, 40_000), axis=0)
    bits = born.sample_bits(settings, rng)
    bits[rng.random(bits.shape) < 0.05] = dense.LOST
    (source,) = sources = [occupation._Source(Records(bits, povm, settings=settings, design="listed"), 4)]
    chosen = occupation._choose(model, sources)
    witness = occupation._witness(model, chosen, sources)
    assert source.counts.sum() > 0
    assert witness.value == pytest.approx(0.9, abs=5 * witness.error)
    assert witness.error < 0.02
    assert witness.terms.low < witness.terms.values.min()
    assert witness.terms.values.max() < witness.terms.high


def test_what_it_says_and_refuses():
    model = TFIM(4, 1.0, 1.1)
    born, rng = BornDistribution(model.state(), "pauli6"), np.random.default_rng(0)
    settings = np.repeat(*occupation_settings(model, 20_000), axis=0)
    records = Records(born.sample_bits(settings, rng), settings=settings, design="listed")
    guaranteed, asymptotic = occupation_witnesses(model, records)
    assert guaranteed.kind == CertificateKind.OCCUPATION_AND_PARITY
    assert 0.9 < guaranteed.value < asymptotic.value < 1
    assert guaranteed.says == f"F ≥ {guaranteed.value:.4f} at 95% (guaranteed)"
    assert any("16 of 16 strings are measured" in line for line in guaranteed.assumptions)
    bases = rng.integers(0, 3, (300, 4)).astype(np.uint8)
    few = Records(born.sample_bits(bases, rng), settings=bases, design="random")
    bound = occupation_witnesses(model, few)[0]
    assert bound.kind == CertificateKind.OCCUPATION
    extra = occupation_witnesses(model, few, parity_bits=born.sample_bits(np.zeros((1000, 4), np.uint8), rng))[0]
    assert extra.kind == CertificateKind.OCCUPATION_AND_PARITY
    assert extra.value > bound.value
    with pytest.raises(InputError, match="records of 4 qubits, expected 5"):
        occupation_witnesses(TFIM(5), records)
