"""Shadow overlap, parent Hamiltonians and entanglement: by enumeration, and by coverage of what is planned."""

import itertools

import numpy as np
import pytest
from scipy import stats

from qtomo import GHZ, TFIM, XXZ, Cluster, InputError, RandomMPS, Records, W
from qtomo.measurement.povm import named_povm
from qtomo.observables.certificates.base import Certificate, CertificateKind
from qtomo.observables.certificates.entanglement import entanglement, largest_schmidt_weight
from qtomo.observables.certificates.parent import parent_of, parent_settings, parent_witnesses
from qtomo.observables.certificates.pieces import pieces_witness
from qtomo.observables.certificates.shadow_overlap import (
    _blocks,
    overlap_gap,
    overlap_settings,
    overlap_witnesses,
)
from qtomo.observables.fidelity.base import Aim, Asked
from qtomo.observables.ways import WAYS
from qtomo.seeds import stream
from qtomo.states.born.distribution import BornDistribution
from qtomo.states.density import DensityMatrix
from tests.systems import dense

TARGETS = [TFIM(3, 1.0, 0.7), RandomMPS(4, 4, 3), XXZ(4, 1.0, 0.5), RandomMPS(5, 2, 1), TFIM(6)]


def overlap_matrix(psi, n, width):
    """sum_b (1 - Q_b), entry by entry."""
    found = np.zeros((2**n, 2**n), complex)
    for first in range(n - width + 1):
        q = np.zeros_like(found)
        others = [site for site in range(n) if not first <= site < first + width]
        for z in itertools.product((0, 1), repeat=len(others)):
            places = []
            for inner in itertools.product((0, 1), repeat=width):
                bits = dict(zip(others, z, strict=True)) | {first + i: b for i, b in enumerate(inner)}
                places.append(int("".join(str(bits[site]) for site in range(n)), 2))
            block = psi[places]
            if np.linalg.norm(block) > 1e-9:
                q[np.ix_(places, places)] += dense.projector(block / np.linalg.norm(block))
        found += np.eye(2**n) - q
    return found


@pytest.mark.parametrize("width", [1, 2, 3])
@pytest.mark.parametrize("system", TARGETS, ids=str)
def test_the_gap_of_the_shadow_overlap(system, width):
    psi, n = system.state().to_statevector(), system.n_sites
    energies = np.linalg.eigvalsh(overlap_matrix(psi, n, width))
    assert energies[0] == pytest.approx(0, abs=1e-9)
    found = overlap_gap(system.state(), width)
    assert found.value == pytest.approx(energies[1], abs=1e-4)
    assert found.residual < 1e-3
    if width == 1 and isinstance(system, XXZ):  # single flips do not conserve the number of ones
        assert energies[1] == pytest.approx(0, abs=1e-9)


def test_the_gap_of_the_critical_chain_is_that_of_its_markov_chain():
    """tau = N/gap as computed elsewhere for N = 4 to 7, from the generator of the chain: 13.7, 21.1, 30.0, 40.5."""
    taus = [n / overlap_gap(TFIM(n).state(), 1).value for n in (4, 5, 6, 7)]
    assert taus == pytest.approx([13.7, 21.1, 30.0, 40.5], abs=0.06)


def mixed(system, weight, seed):
    rng, n = np.random.default_rng(seed), system.n_sites
    ground = dense.projector(system.state().to_statevector())
    ket = rng.normal(size=2**n) + 1j * rng.normal(size=2**n)
    return weight * ground + (1 - weight) * dense.projector(ket / np.linalg.norm(ket))


def exact_mean(pieces, settings, rho):
    """constant + the sum of the pieces' means, over all outcomes, each from the last setting that tells it."""
    n = settings.shape[1]
    bits, means = dense.all_records(n, 2), np.full(pieces.count, np.nan)
    for setting in settings:
        elements = [np.array([dense.projector(ket) for ket in dense.BASES[basis]]) for basis in setting]
        values = pieces.values(setting, bits, named_povm("pauli6"))
        told = pieces.told(setting)
        fresh = dense.chances(rho, elements) @ values
        again = ~np.isnan(means[told])
        assert np.allclose(means[told][again], fresh[again])  # all settings that tell a piece agree
        means[told] = fresh
        reach = pieces.reach(setting, np.ones(len(told)), named_povm("pauli6"))
        assert np.abs(values.sum(axis=1)).max() <= reach + 1e-9
    assert not np.isnan(means).any()
    return pieces.constant + means.sum()


@pytest.mark.parametrize("system", TARGETS, ids=str)
@pytest.mark.parametrize("way", ["overlap", "parent"])
def test_the_mean_of_what_is_measured_is_one_less_the_energy_over_the_gap(system, way):
    """Summed over all outcomes of the planned settings: 1 for the target, and below the fidelity of mixed states."""
    aim, state = Aim.of(system.state(), system), system.state()
    if way == "overlap":
        settings, shots = overlap_settings(state, 5000)
        pieces = _blocks(state, None)
    else:
        aim = Aim.of(state, system)
        settings, shots = parent_settings(aim, 5000)
        pieces = parent_of(aim)
    assert shots.sum() == 5000
    assert shots.min() >= 1
    ground = dense.projector(state.to_statevector())
    assert exact_mean(pieces, settings, ground) == pytest.approx(1, abs=1e-3)
    for seed, weight in enumerate((0.0, 0.6, 0.95)):
        rho = mixed(system, weight, seed)
        value = exact_mean(pieces, settings, rho)
        assert value <= np.trace(ground @ rho).real + 1e-6
        if way == "overlap":
            energy = np.trace(overlap_matrix(state.to_statevector(), system.n_sites, pieces.width) @ rho).real
            assert value == pytest.approx(1 - energy / pieces.gap.lower, abs=1e-6)


def test_a_parent_hamiltonian_leaves_the_target_alone():
    """Of a random matrix-product state and of a cluster state, written out: energy 0, then the gap."""
    for system in (RandomMPS(6, 2, 5), Cluster(5)):
        aim = Aim.of(system.state())
        parent, n = parent_of(aim), system.n_sites
        matrix = parent.identity * np.eye(2**n, dtype=complex)
        for (first, letters), coefficient in parent.terms.items():
            matrix += coefficient * dense.product({first + i: p for i, p in enumerate(letters)}, n)
        energies, vectors = np.linalg.eigh(matrix)
        assert energies[0] == pytest.approx(0, abs=1e-9)
        assert energies[1] == pytest.approx(parent.gap.value, abs=1e-4)
        assert abs(np.vdot(vectors[:, 0], system.state().to_statevector())) == pytest.approx(1)
        assert parent.width == 3


@pytest.mark.parametrize("system", [GHZ(7), Cluster(7), XXZ(8), TFIM(7, 1.0, 1.3)], ids=str)
def test_lanczos_finds_the_gap_that_the_matrix_has(system, monkeypatch):
    """Degenerate spectra too, where Krylov spaces end early: the GHZ state's parent has no gap, and is not given."""
    dense_way = parent_of(Aim.of(system.state(), system)), overlap_gap(system.state(), 2)
    monkeypatch.setattr("qtomo.observables.certificates.spectrum._DENSE", 2)
    lanczos = parent_of(Aim.of(system.state(), system)), overlap_gap(system.state(), 2)
    assert (dense_way[0] is None) == (lanczos[0] is None) == isinstance(system, GHZ)
    assert lanczos[1].value == pytest.approx(dense_way[1].value, abs=1e-4)
    if lanczos[0] is not None:
        assert lanczos[0].gap.value == pytest.approx(dense_way[0].gap.value, abs=1e-4)


def test_no_parent_where_the_target_is_not_alone():
    assert parent_of(Aim.of(GHZ(5).state())) is None or parent_of(Aim.of(GHZ(5).state())).width == 5
    assert parent_of(Aim.of(GHZ(8).state())) is None
    assert parent_of(Aim.of(RandomMPS(21, 2, 0).state())) is None
    assert overlap_settings(RandomMPS(21, 2, 0).state(), 1000) is None
    assert overlap_settings(GHZ(5).state(), 1000) is None  # three neighbours cannot turn all ones into zeros


@pytest.mark.parametrize(("way", "system"), [
    ("overlap", RandomMPS(4, 4, 3)), ("parent", XXZ(4)), pytest.param("overlap", TFIM(6), marks=pytest.mark.slow),
    pytest.param("parent", RandomMPS(6, 2, 5), marks=pytest.mark.slow),
])  # fmt: skip
@pytest.mark.parametrize("n_shots", [200, pytest.param(5000, marks=pytest.mark.slow)])
def test_bounds_are_above_the_truth_no_more_often_than_they_say(way, system, n_shots):
    """100 data sets of the target with its closest excitation, for which the bound is tight; 5 %, at 1e-6."""
    state, aim = system.state(), Aim.of(system.state(), system)
    psi, n = state.to_statevector(), system.n_sites
    if way == "overlap":
        settings, shots = overlap_settings(state, n_shots)
        matrix = overlap_matrix(psi, n, _blocks(state, None).width)
    else:
        settings, shots = parent_settings(aim, n_shots)
        parent = parent_of(aim)
        matrix = sum(c * dense.product({f + i: p for i, p in enumerate(q)}, n) for (f, q), c in parent.terms.items())
    excited = np.linalg.eigh(matrix)[1][:, 1]
    rho = 0.85 * dense.projector(psi) + 0.15 * dense.projector(excited)
    born, rng, above = BornDistribution(DensityMatrix(rho), "pauli6"), np.random.default_rng(n_shots), {}
    index = np.repeat(np.arange(len(settings)), shots)
    for _ in range(100):
        bits = born.sample_bits(settings[index], rng)
        records = Records(bits, settings=settings, setting_index=index, design="listed")
        found = overlap_witnesses(state, records) if way == "overlap" else parent_witnesses(aim, records)
        for one in found:
            above[one.guarantee] = above.get(one.guarantee, 0) + (one.value > 0.85)
    assert "finite-sample" in above
    assert all(count <= stats.binom.isf(1e-6, 100, 0.05) for count in above.values())


def test_parents_from_random_bases_and_povms():
    """The estimate lies at the truth within five standard errors, from each shot's dual values."""
    aim = Aim.of(XXZ(4).state(), XXZ(4))
    rng, rho = np.random.default_rng(0), DensityMatrix(mixed(XXZ(4), 0.95, 0))
    ground = dense.projector(XXZ(4).state().to_statevector())
    from qtomo.observables.certificates.parent import _by_duals

    for povm in ("pauli6", "pauli4"):
        design = "random" if povm == "pauli6" else "povm"
        records = Records.from_labels(BornDistribution(rho, povm).sample(40_000, rng), povm, design=design)
        witness, parent = _by_duals(parent_of(aim), records), parent_of(aim)
        matrix = sum(c * dense.product({f + i: p for i, p in enumerate(q)}, 4) for (f, q), c in parent.terms.items())
        truth = 1 - (np.trace(matrix @ rho.matrix).real - np.trace(matrix @ ground).real) / parent.gap.lower
        assert witness.value == pytest.approx(truth, abs=5 * witness.error)
        assert len(parent_witnesses(aim, records)) == 2


def test_what_they_refuse():
    state, aim = RandomMPS(4, 4, 3).state(), Aim.of(RandomMPS(4, 4, 3).state())
    zeros = Records(np.zeros((50, 4), np.uint8), settings=np.full((50, 4), 2), design="listed")
    assert overlap_witnesses(state, zeros) == []  # nothing in X
    assert parent_witnesses(aim, zeros) == []
    assert pieces_witness(parent_of(aim), state, zeros) is None
    assert overlap_witnesses(state, Records(np.zeros((50, 4), np.uint8), "pauli4")) == []
    with pytest.raises(InputError, match="records of 4 qubits, expected 5"):
        overlap_witnesses(RandomMPS(5, 2, 1).state(), zeros)
    with pytest.raises(InputError, match="records of 4 qubits, expected 5"):
        parent_witnesses(Aim.of(RandomMPS(5, 2, 1).state()), zeros)


@pytest.mark.parametrize(("key", "system"), [
    ("fidelity-by-occupation-and-parity", TFIM(5, 1.0, 1.3)), ("fidelity-by-parent-hamiltonian", XXZ(4)),
    ("fidelity-by-shadow-overlap", RandomMPS(4, 4, 3)),
])  # fmt: skip
def test_each_way_certifies_what_it_planned(key, system):
    (way,) = (one for one in WAYS if one.key == key)
    aim = Aim.of(system.state(), system)
    listed = way.settings(aim, 20_000, stream(0, "settings"))
    settings = listed.rows(0, listed.n_records)
    bits = BornDistribution(system.state(), "pauli6").sample_bits(settings, stream(1, "bits"))
    bound, _ = way.judge(Asked(Records(bits, settings=settings, design="listed"), aim))
    assert 0.8 < bound <= 1
    other = Aim.of(GHZ(system.n_sites).state(), GHZ(system.n_sites))  # which has closer ones
    assert way.settings(other, 1000, stream(0, "settings")) is None
    assert way.judge(Asked(Records(bits, settings=settings, design="listed"), other))[0] == -np.inf


def test_the_largest_schmidt_weight_over_all_cuts():
    """GHZ 1/2 at any size, W 1 - 1/N; a pair of Bell pairs 1, though the cut in the middle of neighbours is not."""
    assert largest_schmidt_weight(GHZ(40).state(), GHZ(40)) == 0.5
    assert largest_schmidt_weight(GHZ(5).state()) == pytest.approx(0.5)
    assert largest_schmidt_weight(W(5).state()) == pytest.approx(0.8)
    assert largest_schmidt_weight(RandomMPS(13, 2, 0).state()) is None
    bell = np.zeros((2, 2, 2, 2))
    for a, b in itertools.product((0, 1), repeat=2):
        bell[a, b, a, b] = 0.5  # sites 0 and 2, and 1 and 3
    from qtomo import MPS

    state = MPS.from_statevector(bell.reshape(-1))
    assert largest_schmidt_weight(state) == pytest.approx(1)
    assert max(float(s[0] ** 2) for s in state.schmidt_values()) == pytest.approx(0.5)


def test_entanglement_follows_from_a_fidelity_above_it():
    def bound(value, kind=CertificateKind.STABILISER_GENERATORS):
        return Certificate(kind, value, 0.95, "", ["shots"], "finite-sample", True)

    ghz, w = GHZ(20), W(5)
    (found,) = entanglement([bound(0.62), bound(0.4), bound(0.9, CertificateKind.FORBIDDEN)], ghz.state(), ghz)
    assert found.says == "all 20 qubits are entangled together: F ≥ 0.6200 > 0.5000 at 95% (guaranteed)"
    assert found.kind == CertificateKind.ENTANGLEMENT
    assert list(entanglement([bound(0.79)], w.state(), w)) == []
    assert len(list(entanglement([bound(0.81)], w.state(), w))) == 1
