"""Named states against QuTiP, closed forms, and a Hamiltonian written out."""

import numpy as np
import pytest
import qutip

from qtomo.errors import Code
from qtomo.measurement.povm import PAULIS
from qtomo.states.born.distribution import BornDistribution
from qtomo.states.library import GHZ, SYSTEMS, Cluster, Dicke, Graph, Product, RandomMPS, W, build_system
from qtomo.states.tfim import TFIM, FreeFermions, ground_state
from qtomo.states.xxz import XXZ
from tests.refusing import refused
from tests.systems import ising
from tests.systems.named import example


def overlap(state, ket: qutip.Qobj) -> float:
    return abs(state.to_qutip().overlap(ket))


@pytest.mark.parametrize("n_sites", [2, 3, 5])
def test_textbook_states_equal_qutip(n_sites):
    assert overlap(GHZ(n_sites).state(), qutip.ghz_state(n_sites)) == pytest.approx(1, abs=1e-12)
    assert overlap(W(n_sites).state(), qutip.w_state(n_sites)) == pytest.approx(1, abs=1e-12)
    vector = (qutip.basis(2, 0) * np.cos(0.35) + np.exp(0.4j) * np.sin(0.35) * qutip.basis(2, 1)).unit()
    product = qutip.tensor([vector] * n_sites)
    assert overlap(Product(n_sites, 0.7, 0.4).state(), product) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(("n_sites", "excitations"), [(1, 0), (1, 1), (3, 1), (4, 2), (5, 3), (5, 5)])
def test_dicke_states_by_enumeration(n_sites, excitations):
    weights = np.array([number.bit_count() for number in range(2**n_sites)])
    expected = (weights == excitations) / np.sqrt((weights == excitations).sum())
    state = Dicke(n_sites, excitations).state()
    assert np.allclose(state.to_statevector(), expected, atol=1e-14)
    assert max(state.bond_dims, default=1) == min(excitations, n_sites - excitations) + 1


def test_dicke_states_of_many_qubits():
    state = Dicke(200, 100).state()
    assert state.expectation({17: PAULIS["Z"]}).real == pytest.approx(0, abs=1e-12)
    assert state.expectation({3: PAULIS["Z"], 180: PAULIS["Z"]}).real == pytest.approx(-1 / 199, abs=1e-12)


def graph_ket(graph: Graph) -> np.ndarray:
    """Amplitudes (-1)**(edges between ones), written out."""
    bits = (np.arange(2**graph.n_sites)[:, None] >> np.arange(graph.n_sites)[::-1]) & 1
    turned = sum((bits[:, i] * bits[:, j] for i, j in graph.edges), np.zeros(len(bits), int))
    return (-1.0) ** turned / np.sqrt(len(bits))


@pytest.mark.parametrize("seed", range(6))
def test_graph_states_by_enumeration(seed):
    rng = np.random.default_rng(seed)
    n = 3 + seed
    graph = Graph(n, tuple((i, j) for i in range(n) for j in range(i) if rng.random() < 0.5))
    state = graph.state()
    assert np.allclose(state.to_statevector(), graph_ket(graph), atol=1e-13)
    assert state.bond_dims == tuple(int(np.sum(s > 1e-10)) for s in state.schmidt_values())
    for word in str(graph.stabilisers()).split():
        assert state.expectation({i: PAULIS[p] for i, p in enumerate(word[1:])}).real == pytest.approx(1, abs=1e-12)


def test_graphs():
    assert Graph(3, ((2, 1), (1, 0))) == Graph(3, [[0, 1], [1, 2]])
    assert abs(Graph(5, tuple((i, i + 1) for i in range(4))).state().overlap(Cluster(5).state())) == pytest.approx(1)
    assert Graph(2, ()).state().bond_dims == (1,)
    with refused(Code.TOO_LARGE, r"bond dimension of 2\^11 between sites 10 and 11, expected at most 1,024"):
        Graph(22, tuple((i, i + 11) for i in range(11))).state()


@pytest.mark.parametrize("n_sites", [1, 2, 3, 6])
def test_the_cluster_state_is_fixed_by_its_stabilisers(n_sites):
    state = Cluster(n_sites).state()
    for site in range(n_sites):
        neighbours = {j: PAULIS["Z"] for j in (site - 1, site + 1) if 0 <= j < n_sites}
        assert state.expectation({site: PAULIS["X"], **neighbours}).real == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("system", [GHZ, W, Cluster])
def test_one_qubit(system):
    assert system(1).state().n_sites == 1


def test_a_hundred_qubits():
    """GHZ and W correlators of a hundred qubits, exact and from records."""
    ghz, w = GHZ(100).state(), W(100).state()
    pair = {3: PAULIS["Z"], 96: PAULIS["Z"]}
    assert ghz.expectation(pair).real == pytest.approx(1, abs=1e-12)
    assert w.expectation(pair).real == pytest.approx(1 - 4 / 100, abs=1e-12)
    hop = {3: PAULIS["X"], 96: PAULIS["X"]}
    assert w.expectation(hop).real == pytest.approx(2 / 100, abs=1e-12)
    assert ghz.expectation(hop).real == pytest.approx(0, abs=1e-12)
    from qtomo.observables.estimates import estimate_observables
    from qtomo.observables.paulis import pauli
    from qtomo.records.records import Records

    for state, expected in ((ghz, {"Z3 Z96": 1, "Z50": 0}), (w, {"Z3 Z96": 0.96, "Z50": 0.98})):
        born = BornDistribution(state, "pauli4")
        records = born.sample(20_000, np.random.default_rng(5))
        found = estimate_observables([pauli(text) for text in expected], Records(records, born.povm))
        assert all(abs(found[text].z_score(value)) < 4.5 for text, value in expected.items())


def test_random_states_are_reproducible_and_as_wide_as_asked():
    one, same, other = (RandomMPS(9, 4, seed).state() for seed in (1, 1, 2))
    assert one.overlap(same) == pytest.approx(1)
    assert abs(one.overlap(other)) < 0.9
    assert one.bond_dims == (2, 4, 4, 4, 4, 4, 4, 2)


@pytest.mark.parametrize(("n_sites", "anisotropy"), [(2, 1.0), (4, 1.0), (6, 0.3), (8, 2.0)])
def test_xxz_against_qutip(n_sites, anisotropy):
    system = XXZ(n_sites, 0.7, anisotropy)
    hamiltonian = sum(
        (c * ising.pauli_product(" ".join(f"{p}{i}" for i, p in term.items()), n_sites) for c, term in system.terms()),
        0 * ising.pauli_product("Z0", n_sites),
    )
    energy, ket = hamiltonian.groundstate()
    state = system.state()
    assert overlap(state, ket) == pytest.approx(1, abs=1e-8)
    found = (state.to_qutip().dag() * hamiltonian * state.to_qutip()).real
    assert found == pytest.approx(energy, abs=1e-9)


DISORDERED = TFIM(7, (1.0, -0.5, 0.8, 1.2, 0.3, 0.9), (0.4, -1.1, 0.7, 0.9, 1.3, 0.2, 0.6))


@pytest.mark.parametrize("sector", [1, -1])
def test_disorder_against_qutip(sector):
    energy, ket = ising.lowest_state(DISORDERED, sector)
    assert FreeFermions(DISORDERED, sector).energy == pytest.approx(energy, abs=1e-9)
    assert overlap(ground_state(DISORDERED, sector), ket) == pytest.approx(1, abs=1e-8)


@pytest.mark.slow
def test_disordered_correlators_against_free_fermions():
    rng = np.random.default_rng(3)
    model = TFIM(40, tuple(rng.uniform(0.5, 1.5, 39)), tuple(rng.uniform(0.8, 2, 40)))
    state, oracle = model.state(), model.free_fermions
    for i in range(0, 39, 3):
        assert state.expectation({i: PAULIS["X"]}).real == pytest.approx(oracle.x(i), abs=1e-6)
        assert state.expectation({i: PAULIS["Z"], 39: PAULIS["Z"]}).real == pytest.approx(oracle.zz(i, 39), abs=1e-6)


@pytest.mark.parametrize("family", SYSTEMS)
def test_every_system_comes_back_from_its_parameters(family):
    import dataclasses

    system = example(family, 6)
    assert system.family == family
    assert build_system({"family": family, **dataclasses.asdict(system)}) == system
    assert system.state().n_sites == 6
    terms = system.terms()
    if terms:
        energy = sum(c * system.state().expectation({i: PAULIS[p] for i, p in t.items()}).real for c, t in terms)
        assert energy < -5


def test_parameters_that_name_no_system():
    assert build_system({"family": "cat"}) is None
    for parameters, code, fault in (
        ({"family": "ghz"}, Code.REQUIRED, "no parameter 'n_sites'"),
        (
            {"family": "ghz", "n_sites": 3, "n_site": 3},
            Code.UNKNOWN,
            "unknown parameter 'n_site'; did you mean 'n_sites'",
        ),
        (
            {"family": "tfim", "n_sites": 3, "boundary": "periodic"},
            Code.VALUE,
            "boundary is 'periodic', expected 'open'",
        ),
        ({"family": "tfim", "n_sites": "3"}, Code.VALUE, "n_sites is '3', expected a number"),
        ({"family": "xxz", "n_sites": 5}, Code.VALUE, "number of qubits is 5, expected an even number"),
        ({"family": "tfim", "n_sites": 5, "coupling": [1, 2]}, Code.SHAPE, "coupling has 2 values, expected one, or 4"),
        (
            {"family": "tfim", "n_sites": 3, "field": [1, np.nan, 2]},
            Code.VALUE,
            "field 1 is nan, expected a finite number",
        ),
        ({"family": "random", "n_sites": 3, "bond_dim": 0}, Code.VALUE, "bond dimension is 0, expected 1 to 1024"),
        ({"family": "product", "n_sites": 3, "theta": np.inf}, Code.VALUE, "theta is inf"),
        ({"family": "dicke", "n_sites": 3}, Code.REQUIRED, "no parameter 'excitations'"),
        ({"family": "dicke", "n_sites": 3, "excitations": 4}, Code.VALUE, "excitations is 4, expected 0 to 3"),
        ({"family": "dicke", "n_sites": 3000, "excitations": 1500}, Code.TOO_LARGE, "bond dimension 1,501"),
        ({"family": "dicke", "n_sites": 3, "excitations": 1.5}, Code.VALUE, "excitations is 1.5, expected a whole"),
        ({"family": "graph", "n_sites": 3, "edges": ((0, 3),)}, Code.VALUE, "edge 0-3 of a graph of 3 qubits"),
        ({"family": "graph", "n_sites": 3, "edges": ((1, 1),)}, Code.VALUE, "edge 1-1 joins a qubit to itself"),
        ({"family": "graph", "n_sites": 3, "edges": ((0, 1), (1, 0))}, Code.CONFLICT, "edge 1-0 is there twice"),
        ({"family": "graph", "n_sites": 3, "edges": (0.0, 1.0)}, Code.VALUE, "edges is .*, expected pairs of sites"),
        ({"family": "graph", "n_sites": 3, "edges": "0-1"}, Code.VALUE, "edges is '0-1', expected pairs of sites"),
        ({"family": "tfim", "n_sites": 3, "field": ((0, 1),)}, Code.VALUE, "field is .*, expected a number"),
        ({"family": "circuit", "qasm": 3}, Code.VALUE, "qasm is 3, expected text"),
    ):
        with refused(code, fault):
            build_system(parameters)
