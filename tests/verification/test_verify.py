"""The whole verification: good records, faulty ones, lost outcomes, settings, and what is refused."""

import json

import numpy as np
import pytest

from qtomo import GHZ, TFIM, Product, Records, simulate
from qtomo.errors import Code
from qtomo.measurement.settings import SettingList
from qtomo.observables.certificates.base import CertificateKind
from qtomo.records.file.state_file import read_state, write_state
from qtomo.states.born.distribution import BornDistribution
from qtomo.states.density import DensityMatrix
from qtomo.verification.checks.base import TestKind
from qtomo.verification.faults.base import FaultKind
from qtomo.verification.pipeline import verification_path, verify
from qtomo.verification.planning import plan
from tests.refusing import refused

MODEL = TFIM(5, 1.0, 1.3)


def test_good_records_are_consistent_and_say_what_that_means(tmp_path):
    path = simulate(MODEL, 6000, tmp_path / "good.h5", seed=1)
    found = verify(path, n_reference=5000)
    assert found.verdict == "consistent"
    assert found.faults == []
    assert len(found.map.sites) == 5
    assert len(found.map.bonds) == 4
    assert all(e.low <= 0 <= e.high for e in [*found.map.sites, *found.map.bonds])
    assert json.loads(verification_path(path).read_text()) == json.loads(json.dumps(found.to_dict()))
    assert "that no test looks for is not excluded" in " ".join(" ".join(found.claims).split())
    assert {"depolarizing, all qubits", "field off", "relabelling of all", "drift along the shots"} <= {
        test.name for test in found.tests
    }
    (learned,) = (test for test in found.tests if test.kind == TestKind.LEARNED)
    assert "k-gram" in learned.statistic


@pytest.mark.slow
def test_a_dead_qubit_is_named_and_mapped(tmp_path):
    path = simulate(MODEL, 3000, tmp_path / "lab.h5", seed=2, noise=["depolarizing:1@3"], declared=False)
    found = verify(path, n_reference=5000, save=False)
    assert found.verdict == "inconsistent"
    (fault,) = found.faults
    assert (fault.kind, fault.sites) == (FaultKind.DEPOLARIZING, (3,))
    assert fault.size.low > 0.9
    assert fault.size.high == 1
    assert [site for site, e in enumerate(found.map.sites) if e.low > 0] == [3]
    assert not verification_path(path).exists()
    assert "depends on the readout" not in str(found)
    assert "INCONSISTENT" in str(found)


@pytest.mark.parametrize(
    ("noise", "words"),
    [
        pytest.param(
            "depolarizing:0.1",
            "Bits misread either way with probability p are depolarizing of 2p",
            marks=pytest.mark.slow,
        ),
        ("readout:0/0.2", "import the records with"),
    ],
)
@pytest.mark.parametrize(
    ("povm", "settings"), [pytest.param("pauli4", None, marks=pytest.mark.slow), ("pauli6", "random")]
)
def test_a_verdict_that_depends_on_the_readout_says_so(tmp_path, noise, words, povm, settings):
    path = simulate(MODEL, 3000, tmp_path / "a.h5", povm=povm, seed=2, noise=[noise], settings=settings, declared=False)
    found = verify(path, n_reference=2000, alternative="none", budget=False)
    assert found.verdict == "inconsistent"
    assert words in " ".join(found.claims)


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param("random", marks=pytest.mark.slow),
        SettingList(np.array([[2] * 5, [0] * 5, [0, 1, 2, 1, 0]], np.uint8), np.array([900, 800, 700])),
    ],
)
@pytest.mark.slow
def test_shots_are_verified_in_their_settings(tmp_path, settings):
    n = 3000 if settings == "random" else None
    good = simulate(MODEL, n, tmp_path / "good.h5", povm="pauli6", seed=3, settings=settings)
    assert verify(good, n_reference=4000).verdict != "inconsistent"
    bad = simulate(
        MODEL,
        n,
        tmp_path / "bad.h5",
        povm="pauli6",
        seed=3,
        noise=["depolarizing:1@2"],
        settings=settings,
        declared=False,
    )
    found = verify(bad, n_reference=4000)
    assert found.verdict == "inconsistent"
    assert found.faults[0].sites == (2,)


def test_declared_noise_and_lost_outcomes_are_no_fault(tmp_path):
    noise = ["readout:0.02/0.1", "depolarizing:0.1@1"]
    path = simulate(MODEL, 4000, tmp_path / "a.h5", povm="pauli4", seed=4, noise=noise, loss=0.05)
    found = verify(path, n_reference=4000)
    assert found.verdict != "inconsistent"
    assert TestKind.LEARNED in {test.kind for test in found.tests}  # an alternative that knows of losses


@pytest.mark.slow
def test_a_network_is_learned_where_asked(tmp_path):
    path = simulate(TFIM(3, 1.0, 0.3), 4000, tmp_path / "a.h5", seed=1)
    found = verify(path, TFIM(3, 1.0, 2.0), alternative="gru", n_reference=2000)
    (learned,) = (test for test in found.tests if test.kind == TestKind.LEARNED)
    assert learned.p_value < 1e-6
    assert "a gru" in learned.statistic
    assert found.certificates[-1].value > 0
    with refused(Code.UNKNOWN, "'gro'; did you mean 'gru'"):
        verify(path, alternative="gro", n_reference=2000)
    with refused(Code.UNSUPPORTED, "'vae'"):
        verify(path, alternative="vae", n_reference=2000)


@pytest.mark.slow
def test_the_parity_run_refines_the_bound(tmp_path):
    path = simulate(MODEL, 20_000, tmp_path / "a.h5", povm="pauli6", seed=1, settings="random")
    shots = simulate(
        MODEL,
        None,
        tmp_path / "x.h5",
        povm="pauli6",
        settings=SettingList(np.zeros((1, 5), np.uint8), np.array([3000])),
    )
    plain = verify(path, alternative="none", budget=False, n_reference=2000)
    refined = verify(path, alternative="none", budget=False, parity_run=shots, n_reference=2000)
    by = CertificateKind.ENERGY, CertificateKind.ENERGY_AND_PARITY  # some of the shots are in X by chance
    by_energy = next(one for one in plain.certificates if one.kind in by)
    with_parity = next(one for one in refined.certificates if one.kind == CertificateKind.ENERGY_AND_PARITY)
    assert with_parity.value > by_energy.value
    with refused(Code.VALUE, r"a\.h5: /settings, row \d+, site \d"):
        verify(path, alternative="none", budget=False, parity_run=path, n_reference=2000)


@pytest.mark.parametrize("system", [GHZ(4), Product(4, 0.7, 0.3)])
def test_targets_without_a_hamiltonian(tmp_path, system):
    path = simulate(system, 2000, tmp_path / "a.h5", seed=1)
    found = verify(path, n_reference=2000)
    assert found.verdict != "inconsistent"
    kinds = {one.kind for one in found.certificates}
    assert {CertificateKind.DUALS, CertificateKind.MISFIT} <= kinds
    assert not kinds & {CertificateKind.ENERGY, CertificateKind.OCCUPATION}
    assert found.fidelity.estimate.high > 0.99
    assert found.fidelity_bound.value < 1


def test_too_few_records_are_undecided():
    outcomes = BornDistribution(MODEL.state()).sample(200, np.random.default_rng(0))
    found = verify(Records(outcomes, "pauli4"), MODEL, n_reference=2000)
    assert found.verdict == "undecided"
    assert found.headline == "too few records to call them consistent"
    (needed,) = (claim for claim in found.claims if claim.startswith("Not excluded at a strength of 0.05"))
    assert "records would tell" in needed


def test_what_cannot_be_verified(tmp_path):
    path = simulate(MODEL, 300, tmp_path / "a.h5", seed=1)
    with refused(Code.MISMATCH, r"a\.h5"):
        verify(path, TFIM(6))
    with refused(Code.MISMATCH):
        verify(path, DensityMatrix(np.eye(16) / 16))
    with refused(Code.VALUE, "alpha"):
        verify(path, alpha=0.0)
    with refused(Code.VALUE, "level"):
        verify(path, level=0.01)
    with refused(Code.VALUE, "resolution"):
        verify(path, resolution=2.0)
    with refused(Code.VALUE, "exact records"):
        verify(path, n_reference=12)
    with refused(Code.KIND, r"Records\("):
        verify(np.zeros((100, 5), np.uint8), MODEL)
    with refused(Code.REQUIRED):
        verify(Records(np.zeros((100, 5), np.uint8)))


def test_a_target_from_a_state_file(tmp_path):
    path = simulate(MODEL, 2000, tmp_path / "a.h5", seed=1)
    state = read_state(write_state(tmp_path / "s.h5", MODEL.state()))
    assert verify(path, state, n_reference=2000).verdict != "inconsistent"


def test_a_mixed_target(tmp_path):
    """Records of a mixed state are consistent with it, and not with the pure state that it should have been."""
    mixed = DensityMatrix(0.9 * GHZ(3).state().to_qutip().proj().full() + 0.1 * np.eye(8) / 8)
    path = simulate(mixed, 4000, tmp_path / "a.h5", seed=3)
    found = verify(path, alternative="kgram", n_reference=4000)
    assert found.verdict != "inconsistent"
    assert verify(path, GHZ(3), alternative="kgram", n_reference=4000).verdict == "inconsistent"
    off = simulate(mixed, 4000, tmp_path / "b.h5", noise=["depolarizing:0.4@1"], declared=False, seed=3)
    found = verify(off, mixed, alternative="kgram", n_reference=4000)
    assert found.verdict == "inconsistent"
    assert plan(mixed, ["dephasing:0.1"], n_exact=1000).needed["dephasing:0.1"]
