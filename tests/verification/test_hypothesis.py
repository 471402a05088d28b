"""A hypothesis against the density matrix written out: its likelihood, its frequencies and what it draws."""

import itertools

import numpy as np
import pytest
from scipy import stats

from qtomo import Records
from qtomo.errors import Code
from qtomo.measurement.povm import POVM, named_povm
from qtomo.states.density import DensityMatrix
from qtomo.states.lpdo import LPDO
from qtomo.states.tfim import TFIM
from qtomo.verification.checks.targets import log_likelihood, pair_frequencies, site_frequencies
from qtomo.verification.context import Context, Options
from qtomo.verification.hypothesis import Hypothesis
from tests.refusing import refused
from tests.systems import dense, laboratory


def hypothesis(name, povm):
    system, _ = dense.STATES[name]
    return Hypothesis.of(system.state(), named_povm(povm), system)


def test_the_oracle_is_the_trace_with_products_of_matrices():
    elements = [dense.with_lost(dense.pauli4()), dense.pauli6(), dense.sic()]
    rho = dense.sent_through(dense.tfim(3), "amplitude-damping", 0.3, 1)
    expected = [np.trace(dense.kron(*record) @ rho).real for record in itertools.product(*elements)]
    assert dense.chances(rho, elements) == pytest.approx(np.array(expected), abs=1e-15)


@pytest.mark.parametrize("povm", ["pauli6", "pauli4", "sic"])
@pytest.mark.parametrize("name", dense.STATES)
def test_its_likelihood_is_that_of_the_density_matrix(name, povm):
    """Of every record, forbidden ones and those with lost outcomes too."""
    elements = dense.POVMS[povm]()
    rows = dense.all_records(3, len(elements), lost=True)
    exact = dense.log(dense.chances(dense.STATES[name][1], dense.with_lost(elements)))
    found = hypothesis(name, povm)
    assert np.exp(found.log_prob(rows)) == pytest.approx(np.exp(exact), abs=1e-12)
    assert (np.isneginf(found.log_prob(rows)) == np.isneginf(exact)).all()
    likely = exact > -12
    assert found.log_prob(rows)[likely] == pytest.approx(exact[likely], abs=1e-7)
    local = found.likelihoods(rows)
    assert local.log_prob[likely] == pytest.approx(exact[likely], abs=1e-7)


@pytest.mark.parametrize("povm", ["pauli6", "pauli4"])
def test_a_mixture_has_the_mixed_density_matrix(povm):
    """A share of a state with another measurement, and of the maximally mixed one; locally as well."""
    elements = dense.POVMS[povm]()
    rows = dense.all_records(3, len(elements), lost=True)
    target = hypothesis("ghz", povm)
    found = target.mixed(0.2, target.alone(TFIM(3).state())).mixed(0.1, target.alone(None))
    rho = 0.9 * (0.8 * dense.ghz(3) + 0.2 * dense.tfim(3)) + 0.1 * np.eye(8) / 8
    exact = dense.chances(rho, dense.with_lost(elements))
    assert sum(share for share, _ in found.parts) == pytest.approx(1)
    assert found.log_prob(rows) == pytest.approx(np.log(exact), abs=1e-9)
    local = found.likelihoods(rows)
    assert local.log_prob == pytest.approx(np.log(exact), abs=1e-9)
    table = np.concatenate([dense.POVMS[povm]()[1:], dense.POVMS[povm]()[:1], [np.eye(2)]])  # other outcomes at site 1
    moved = [dense.with_lost(elements), table, dense.with_lost(elements)]
    coefficients = np.einsum("aij,pji->ap", table, np.array([dense.PAULI[p] for p in "IXYZ"])).real / 2
    ratio = (coefficients[np.minimum(rows[:, 1], len(elements))] * local.weights[:, 1]).sum(axis=1)
    assert np.exp(local.log_scale) * ratio == pytest.approx(dense.chances(rho, moved), abs=1e-9)
    assert found.plain_sites.all()
    assert not found.mixed(0.5, found.measured(lambda p: POVM(p.elements[::-1]))).plain_sites.any()
    pairs = found.marginals.pairs
    for (i, j), pair in zip(found.marginals.places, pairs, strict=True):
        expected = [[np.trace(rho @ dense.product({i: p, j: q}, 3)).real for q in "IXYZ"] for p in "IXYZ"]
        assert pair == pytest.approx(np.array(expected), abs=1e-9)


def test_a_purified_state_is_its_density_matrix():
    rng = np.random.default_rng(0)
    state = LPDO.from_tensors([rng.normal(size=s) for s in ((1, 2, 2, 3), (3, 2, 2, 2), (2, 2, 2, 1))])
    rows = dense.all_records(3, 4, lost=True)
    exact = dense.log(dense.chances(state.to_density().matrix, dense.with_lost(dense.pauli4())))
    found = Hypothesis.of(state, named_povm("pauli4"))
    assert found.log_prob(rows) == pytest.approx(exact, abs=1e-9)
    assert found.likelihoods(rows).log_prob == pytest.approx(exact, abs=1e-9)
    other = found.prepared(DensityMatrix(dense.ghz(3)))
    assert np.exp(other.log_prob(rows)) == pytest.approx(
        dense.chances(dense.ghz(3), dense.with_lost(dense.pauli4())), abs=1e-10
    )


def test_a_measurement_of_other_qubits_is_refused():
    with refused(Code.MISMATCH):
        Hypothesis.of(TFIM(3).state(), POVM(np.stack([dense.pauli4()] * 2)))


@pytest.mark.parametrize("loss", [0.0, 0.3])
@pytest.mark.parametrize("design", laboratory.DESIGNS)
def test_it_draws_in_the_settings_of_the_records_and_loses_what_they_lost(design, loss):
    """Chi-square of all outcomes in all settings: false alarm 1e-8 for each of eight."""
    records = laboratory.draw(dense.tfim(3), design, 20_000, seed=1, loss=loss)
    target = hypothesis("w", "pauli6" if records.has_settings else design)
    drawn = target.sample_like(records, np.random.default_rng(2))
    assert (drawn.lost == records.lost).all()
    if records.has_settings:
        assert (drawn.shot_settings == records.shot_settings).all()
    whole = drawn.whole()
    k = target.povm.n_outcomes
    rho = dense.w(3)
    counts = np.bincount(np.ravel_multi_index(whole.labels.T, (k,) * 3), minlength=k**3).astype(float)
    chances = dense.chances(rho, dense.POVMS["pauli6" if records.has_settings else design]()).clip(0)
    if records.has_settings:
        settings = np.ravel_multi_index(whole.shot_settings.T, (3, 3, 3))
        shots = np.bincount(settings, minlength=27)
        cells = dense.all_records(3, 6)
        chances = 27 * chances * shots[np.ravel_multi_index((cells // 2).T, (3, 3, 3))]
    else:
        chances = chances * len(whole)
    assert counts[chances < 1e-9].sum() == 0
    common = chances > 5
    chi2 = ((counts - chances)[common] ** 2 / chances[common]).sum()
    assert stats.chi2.sf(chi2, common.sum()) > 1e-8


def frequencies(records, chances_of):
    """Two-sided binomial p-value of each cell that was measured: (count, total, chance) to p."""
    found = []
    for count, total, chance in chances_of(records):
        if total:
            tails = stats.binom.cdf(count, total, chance), stats.binom.sf(count - 1, total, chance)
            found.append(min(1.0, 2 * min(tails)))
    return min(1.0, min(found) * len(found))


def one_site(rho, bases):
    def cells(records):
        for site in range(3):
            seen = records.outcomes[:, site] != dense.LOST
            for basis in range(3) if bases else range(4):
                if bases:
                    chosen = seen & (records.shot_settings[:, site] == basis)
                    operator = dense.on(dense.projector(dense.BASES[basis][1]), site, 3)
                    yield records.outcomes[chosen, site].sum(), chosen.sum(), np.trace(rho @ operator).real
                else:
                    operator = dense.on(dense.POVMS[bases or records.povm.name]()[basis], site, 3)
                    yield (records.outcomes[seen, site] == basis).sum(), seen.sum(), np.trace(rho @ operator).real

    return cells


def two_sites(rho, bases):
    def cells(records):
        for i, j in itertools.combinations(range(3), 2):
            seen = (records.outcomes[:, [i, j]] != dense.LOST).all(axis=1)
            a, b = records.outcomes[seen, i], records.outcomes[seen, j]
            for p, q in itertools.product(range(3 if bases else 4), repeat=2):
                if bases:
                    settings = records.shot_settings[seen]
                    chosen = (settings[:, i] == p) & (settings[:, j] == q)
                    value = np.trace(rho @ dense.product({i: "XYZ"[p], j: "XYZ"[q]}, 3)).real
                    yield (a == b)[chosen].sum(), chosen.sum(), np.clip((1 + value) / 2, 0, 1)
                else:
                    elements = dense.POVMS[records.povm.name]()
                    operator = dense.on(elements[p], i, 3) @ dense.on(elements[q], j, 3)
                    yield ((a == p) & (b == q)).sum(), seen.sum(), np.trace(rho @ operator).real

    return cells


@pytest.mark.parametrize("loss", [0.0, 0.2])
@pytest.mark.parametrize("design", laboratory.DESIGNS)
def test_frequencies_are_held_against_those_of_the_density_matrix(design, loss):
    """The p-value of the worst cell times their number, by counting; of right records and of wrong ones."""
    target = hypothesis("tilted", "pauli6" if design in ("listed", "random") else design)
    for truth, seed in (("tilted", 1), ("tfim", 2)):
        records = laboratory.draw(dense.STATES[truth][1], design, 2500, seed, loss)
        context = Context(records, target, Options())
        for check, cells in ((site_frequencies, one_site), (pair_frequencies, two_sites)):
            (found,) = check(context)
            expected = frequencies(records, cells(dense.STATES["tilted"][1], records.has_settings))
            assert found.p_value == pytest.approx(expected, rel=1e-6, abs=1e-300)
            assert found.p_value < 1e-6 or truth == "tilted"


@pytest.mark.parametrize("design", laboratory.DESIGNS)
def test_the_likelihood_is_held_against_that_of_exact_records_in_the_same_settings(design):
    """Its difference from the mean over exact records is the mean of ln P less the expectation, by enumeration."""
    records = laboratory.draw(dense.tfim(3), design, 3000, seed=3)
    target = hypothesis("tilted", "pauli6" if records.has_settings else design)
    context = Context(records, target, Options(n_reference=200_000))
    rows, reference = context.reference
    assert (rows == np.arange(3000)).all()
    assert reference.shape == (3000, 50)
    rho = dense.STATES["tilted"][1]
    elements = dense.POVMS["pauli6" if records.has_settings else design]()
    chances = dense.chances(rho, elements)
    entropy = chances * np.log(chances)
    cells = dense.all_records(3, len(elements))
    if records.has_settings:
        setting = np.ravel_multi_index((cells // 2).T, (3, 3, 3))
        mean = 27 * np.bincount(setting, entropy)[np.ravel_multi_index(records.shot_settings.T, (3, 3, 3))]
    else:
        mean = np.full(3000, entropy.sum())
    error = reference.std() / np.sqrt(reference.size)
    assert reference.mean() == pytest.approx(mean.mean(), abs=6 * error)
    (found,) = log_likelihood(context)
    assert found.p_value < 1e-6
    assert float(found.statistic.split()[0]) == pytest.approx(
        target.log_prob(records.labels).mean() - mean.mean(), abs=6 * error + 1e-4
    )


def test_only_records_that_hold_together_are_counted_once():
    rows = np.array([[0, 1, 2], [0, 1, 2], [3, 3, 3]], np.uint8)
    context = Context(Records(rows, "pauli4"), hypothesis("tfim", "pauli4"))
    assert sorted(context.counts) == [1, 2]
    assert (context.rows[context.inverse] == rows).all()
    assert context.log_likelihood == pytest.approx(hypothesis("tfim", "pauli4").log_prob(rows).sum())
    assert context.part(2, "few").records.n_sites == 3
    assert len(context.part(2, "few").records) == 2
    assert (context.part(2, "few").records.outcomes == context.part(2, "few").records.outcomes).all()
