"""A model of records of every design beside the enumeration of its distribution and the target's, at three qubits."""

import numpy as np
import pytest

from qtomo import GHZ, TFIM, RecordFile, Target, evaluate, train, write_records
from qtomo.errors import Code
from tests.refusing import refused
from tests.systems import dense, laboratory

SETTINGS = {"model": {"family": "gru", "hidden_size": 8}, "training": {"epochs": 1, "batch_size": 100, "seed": 1}}
SYSTEMS = {"ghz": GHZ(3), "tfim": TFIM(3)}
STATES = {"ghz": dense.ghz(3), "tfim": dense.tfim(3)}


def written(path, name, design, loss=0.0):
    records = laboratory.draw(STATES[name], design, 2000, seed=5, loss=loss)
    block = (records.shot_settings, records.outcomes) if records.has_settings else records.outcomes
    written_design = {"design": design} if records.has_settings else {}
    return write_records(path, [block], 3, records.povm, target=Target.of(SYSTEMS[name]), **written_design)


def joint(name, design):
    """P of every record: of shots in random bases, of bases and bits together."""
    rho = STATES[name]
    elements = dense.pauli6() if design == "random" else dense.POVMS[design]()
    return dense.chances(rho, elements)


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("design", ["random", "pauli4", "sic"])
def test_divergences_are_those_of_the_enumeration(name, design, tmp_path):
    run = train(written(tmp_path / "records.h5", name, design), tmp_path / "run", SETTINGS)
    found = evaluate(run, samples=200).divergences["gru"]
    p = joint(name, design)
    q = np.exp(run.model.log_prob(dense.all_records(3, 6 if design == "random" else 4)))
    seen = p > 1e-12
    assert q.sum() == pytest.approx(1)
    assert found["kl_target_model"].value == pytest.approx(np.sum(p[seen] * np.log(p[seen] / q[seen])), rel=1e-5)
    assert found["classical_fidelity"].value == pytest.approx(np.sqrt(p.clip(0) * q).sum(), rel=1e-5)
    assert found["total_variation"].value == pytest.approx(np.abs(p - q).sum() / 2, rel=1e-5)


def test_listed_settings_are_refused_in_words(tmp_path):
    with refused(Code.UNSUPPORTED, "/settings"):
        train(written(tmp_path / "records.h5", "tfim", "listed"), tmp_path / "run", SETTINGS)


@pytest.mark.parametrize("design", ["random", "pauli4"])
def test_lost_outcomes_are_refused_in_words(design, tmp_path):
    path = written(tmp_path / "records.h5", "tfim", design, loss=0.1)
    with RecordFile(path) as file:
        assert (file.records().outcomes == dense.LOST).any()
    with refused(Code.UNSUPPORTED, "lost"):
        train(path, tmp_path / "run", SETTINGS)
