"""The page of a verification: faulty records, and files that are not verifications."""

import json

import numpy as np
import pytest

from qtomo import TFIM, InputError, RecordFile, simulate, write_records
from qtomo.reporting.layout import render
from qtomo.reporting.page import page_of
from qtomo.reporting.results import read_verification
from qtomo.verification.faults.base import FaultKind
from qtomo.verification.pipeline import verification_path, verify
from tests.reporting.test_page import HOSTILE, Tags

SECTIONS = ["verdict", "measured", "map", "tests", "outcomes", "drift", "certificates", "again"]


@pytest.fixture(scope="module")
def verified(tmp_path_factory):
    """Shots of a chain whose qubit 1 depolarizes, and the verdict's file."""
    path = tmp_path_factory.mktemp("lab") / "lab.h5"
    simulate(
        TFIM(5), 4000, path, povm="pauli6", seed=1, noise=["depolarizing:0.3@1"], declared=False, settings="random"
    )
    found = verify(path, alternative="none", n_reference=5000, command="qtomo verify lab.h5")
    return found, verification_path(path)


def test_what_is_read_is_what_was_written(verified):
    found, path = verified
    again = read_verification(path)
    assert again.to_dict() == json.loads(json.dumps(found.to_dict()))
    assert (again.faults, again.tied, again.tests) == (found.faults, found.tied, found.tests)
    assert (again.heat.gains == found.heat.gains).all()
    assert read_verification(path).to_dict() == json.loads(path.read_text())


def test_all_sections_and_the_fault_in_its_place(verified):
    found, path = verified
    page = page_of([path])
    assert [section.key for section in page.sections] == SECTIONS
    assert [drawing.name for drawing in page.drawings()] == ["fault-map", "heat-map", "outcome-map", "batches"]
    assert not [drawing.failure for drawing in page.drawings() if drawing.failure]
    text = render(page)
    words = Tags(text).words
    assert words.index("Inconsistent: depolarizing on qubit 1, probability 0.")
    assert all(claim in words for claim in found.claims)
    assert all(assumption in words for c in found.certificates for assumption in c.assumptions)
    assert "qtomo verify lab.h5" in words
    assert "bases drawn at random" in words
    assert "script" not in Tags(text).names


def test_the_maps_show_the_qubit(verified):
    """At 95 % for all cells together, of which qubit 1 is twenty standard errors off; the seed is fixed."""
    found, _ = verified
    off = {site for site, cells in enumerate(found.outcomes) for e in cells if e.low > 0 or e.high < 0}
    assert off == {1}
    x_shots = found.outcomes[1][0]
    assert np.isclose(found.outcomes[1][0].value, -found.outcomes[1][1].value)
    assert abs(x_shots.n_records - 4000 / 3) < 150
    assert len(found.batches) == 20
    assert sum(batch.strength.n_records for batch in found.batches) == 4000
    assert [site for site, e in enumerate(found.sites) if e.low > 0] == [1]
    row, site = np.unravel_index(found.heat.gains.argmax(), found.heat.gains.shape)
    assert (found.heat.kinds[row], site) == (FaultKind.DEPOLARIZING, 1)


def test_outcome_shares_against_the_exact_law(tmp_path):
    """Pauli-4 of few qubits by enumeration: the exact shares are those of the law's marginals."""
    path = simulate(TFIM(3), 500, tmp_path / "a.h5", seed=5)
    found = verify(path, alternative="none", n_reference=2000, save=False)
    from qtomo import BornDistribution
    from qtomo.distribution import enumerate_outcomes

    records = np.concatenate(list(enumerate_outcomes(3, 4)))
    law = np.exp(BornDistribution(TFIM(3).state(), "pauli4").log_prob(records))
    with RecordFile(path) as file:
        outcomes = file.load()
    for site in range(3):
        exact = np.bincount(records[:, site], law, 4)
        share = np.bincount(outcomes[:, site], minlength=4) / 500
        assert np.allclose([e.value for e in found.outcomes[site]], share - exact, atol=1e-9)
        assert all(e.low <= e.value <= e.high for e in found.outcomes[site])


def test_batches_by_name_show_the_bad_one(tmp_path):
    good, bad = (tmp_path / name for name in ("good.h5", "bad.h5"))
    simulate(TFIM(4), 2000, good, seed=1)
    simulate(TFIM(4), 500, bad, seed=2, noise=["depolarizing:0.5"], declared=False)
    blocks = []
    for path in (good, bad):
        with RecordFile(path) as file:
            blocks.append(file.load())
            povm, target = file.povm, file.target
    columns = {"batch": np.repeat([1, 2, 3, 4, 9], 500)}
    path = write_records(tmp_path / "lab.h5", blocks, 4, povm, target=target, columns=columns)
    found = verify(path, alternative="none", n_reference=5000)
    assert [batch.label for batch in found.batches if batch.strength.low > 0] == ["batch 9"]
    assert "batch" in Tags(render(page_of([verification_path(path)]))).words


def test_hostile_texts_stay_text(verified, tmp_path):
    _, path = verified
    found = json.loads(path.read_text())
    for place in ("file", "target", "command"):
        found[place] = HOSTILE
    found["measured"][f"{HOSTILE} name"] = f'"{HOSTILE}'
    found["claims"].append(f"$\\frac{{{HOSTILE}")
    found["tests"][0].update(place=HOSTILE, statistic=HOSTILE)
    found["headline"] += f" {HOSTILE}"
    found["faults"][0].update(detail=HOSTILE)
    found["certificates"][0]["assumptions"].append(HOSTILE)
    found["map"]["batches"][0]["label"] = f"{HOSTILE} $"
    (tmp_path / "a.json").write_text(json.dumps(found))
    page = page_of([tmp_path / "a.json"])
    text = render(page)
    assert "script" not in Tags(text).names
    assert Tags(text).words.count(HOSTILE) >= 9
    assert not [drawing.failure for drawing in page.drawings() if drawing.failure]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda found: found.update(verdict="fine"), "verdict 'fine', expected consistent"),
        (lambda found: found.pop("map"), "no map, expected a verification that this qtomo wrote"),
        (lambda found: found["map"]["outcomes"].pop(), "expected as many of each quantity"),
        (lambda found: found["map"]["outcomes"][0].pop(), "expected as many outcomes of each"),
        (lambda found: found["tests"][0].update(p_value="small"), "p_value: found str, expected a number"),
        (lambda found: found.update(level=10**400), "expected a smaller one"),
        (lambda found: found["map"]["sites"][0].update(value=10**400), "expected a value of type float"),
        (lambda found: found["certificates"][0].update(records_needed=1.5), "expected a whole number"),
        (lambda found: found.update(format="qtomo-plan"), "format 'qtomo-plan', expected 'qtomo-verification'"),
        (lambda found: found["tests"][0].update(kind="x"), "kind: 'x', expected one of forbidden-outcomes"),
        (lambda found: found["faults"][0].update(sites=[0.5]), "sites, all, 0: found float, expected a whole number"),
        (lambda found: found["map"]["heat"]["gains_nats"].pop(), "rows of different lengths, expected one per kind"),
    ],
)
def test_a_damaged_verification_is_told_in_a_line(verified, tmp_path, change, words):
    found = json.loads(verified[1].read_text())
    change(found)
    (tmp_path / "a.json").write_text(json.dumps(found))
    with pytest.raises(InputError, match=words):
        page_of([tmp_path / "a.json"])


def test_odd_numbers_and_letters_leave_a_page(verified, tmp_path):
    found = json.loads(verified[1].read_text())
    found["claims"].append("\ud800 half a letter")
    found["certificates"][0].update(name="", says="")
    found["map"]["sites"][0].update(value=float("nan"))
    found["map"]["outcomes"][0][0].update(value=None, standard_error=None, low=None, high=None)
    found["map"]["bonds"] = []
    found["map"]["batches"] = []
    (tmp_path / "a.json").write_text(json.dumps(found))
    page = page_of([tmp_path / "a.json"])
    assert [drawing.failure for drawing in page.drawings() if drawing.failure] == []
    assert "The order of the shots is not known" in render(page)
    assert "? half a letter" in render(page)


def test_what_is_no_verification(verified, tmp_path):
    records = verified[1].with_name("lab.h5")
    with pytest.raises(InputError, match="verify records first"):
        page_of([records])
    with pytest.raises(InputError, match="one file alone"):
        page_of([verified[1], tmp_path])
