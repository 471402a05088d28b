"""The page of a verification: faulty records, and files that are not verifications."""

import json

import numpy as np
import pytest

from qtomo import TFIM, RecordFile, simulate, write_records
from qtomo.errors import Code
from qtomo.reporting.layout import render
from qtomo.reporting.page import page_of
from qtomo.verification.faults.base import FaultKind
from qtomo.verification.pipeline import verification_path, verify
from qtomo.verification.result import Verification
from tests.refusing import refused
from tests.reporting.test_page import HOSTILE, Tags

SECTIONS = ["verdict", "fidelity", "measured", "map", "tests", "outcomes", "drift", "certificates", "again"]


@pytest.fixture(scope="module")
def verified(tmp_path_factory):
    """Shots of a chain whose qubit 1 depolarizes, and the verdict's file."""
    path = tmp_path_factory.mktemp("lab") / "lab.h5"
    simulate(
        TFIM(5), 4000, path, povm="pauli6", seed=1, noise=["depolarizing:0.3@1"], declared=False, settings="random"
    )
    found = verify(path, alternative="none", n_reference=1000, command="qtomo verify lab.h5")
    return found, verification_path(path)


def test_what_is_read_is_what_was_written(verified):
    found, path = verified
    again = Verification.load(path)
    assert again == found
    assert again.to_dict() == json.loads(path.read_text())


def test_all_sections_and_the_fault_in_its_place(verified):
    found, path = verified
    page = page_of([path])
    assert [section.key for section in page.sections] == SECTIONS
    figures = [drawing.name for drawing in page.drawings()]
    assert figures == ["budget", "fault-map", "heat-map", "outcome-map", "batches"]
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
    off = {site for site, cells in enumerate(found.map.outcomes) for e in cells if e.low > 0 or e.high < 0}
    assert off == {1}
    x_shots = found.map.outcomes[1][0]
    assert np.isclose(found.map.outcomes[1][0].value, -found.map.outcomes[1][1].value)
    assert abs(x_shots.n_records - 4000 / 3) < 150
    assert len(found.map.batches) == 20
    assert sum(batch.strength.n_records for batch in found.map.batches) == 4000
    assert [site for site, e in enumerate(found.map.sites) if e.low > 0] == [1]
    row, site = np.unravel_index(found.map.heat.gains.argmax(), found.map.heat.gains.shape)
    assert (found.map.heat.kinds[row], site) == (FaultKind.DEPOLARIZING, 1)


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
        assert np.allclose([e.value for e in found.map.outcomes[site]], share - exact, atol=1e-9)
        assert all(e.low <= e.value <= e.high for e in found.map.outcomes[site])


def test_batches_by_name_show_the_bad_one(tmp_path):
    good, bad = (tmp_path / name for name in ("good.h5", "bad.h5"))
    simulate(TFIM(3), 800, good, seed=1)
    simulate(TFIM(3), 200, bad, seed=2, noise=["depolarizing:0.5"], declared=False)
    blocks = []
    for path in (good, bad):
        with RecordFile(path) as file:
            blocks.append(file.load())
            povm, target = file.povm, file.target
    columns = {"batch": np.repeat([1, 2, 3, 4, 9], 200)}
    path = write_records(tmp_path / "lab.h5", blocks, 3, povm, target=target, columns=columns)
    found = verify(path, alternative="none", n_reference=1000)
    assert [batch.label for batch in found.map.batches if batch.strength.low > 0] == ["batch 9"]
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
    (tmp_path / "a.json").write_text(json.dumps(found))
    page = page_of([tmp_path / "a.json"])
    text = render(page)
    assert "script" not in Tags(text).names
    assert Tags(text).words.count(HOSTILE) >= 9
    assert not [drawing.failure for drawing in page.drawings() if drawing.failure]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda found: found.update(verdict="fine"), "verdict: found 'fine', expected 'consistent', "),
        (lambda found: found.pop("map"), "map: missing"),
        (lambda found: found["map"]["outcomes"].pop(), "map: 5 sites, 5 columns of heat, 4 sites of outcomes"),
        (lambda found: found["map"]["outcomes"][0].pop(), "map: outcomes of different lengths"),
        (lambda found: found["map"]["bonds"].pop(), "map: 3 bonds, expected none or 4"),
        (
            lambda found: found["tests"][0].update(p_value="small"),
            r"tests\[0\].p_value: found 'small', expected a valid num",
        ),
        (
            lambda found: found["tests"][0].update(p_value=1.5),
            r"tests\[0\].p_value: found 1.5, expected a number from 0",
        ),
        (lambda found: found.update(level=10**400), "level: found a whole number above"),
        (lambda found: found.update(level=1.0), "level: found 1.0, expected less than 1"),
        (lambda found: found["map"]["sites"][0].update(value=9.0), r"map.sites\[0\]: value 9 outside its interval"),
        (lambda found: found["map"]["sites"][0].update(value=10**400), r"map.sites\[0\].value: found a whole number"),
        (
            lambda found: found["map"]["sites"][0].update(value=float("nan")),
            r"sites\[0\].value: found nan, expected a numb",
        ),
        (lambda found: found["certificates"][0].update(records_needed=1.5), "found 1.5, expected a valid integer"),
        (lambda found: found.update(format="qtomo-plan"), "power: missing; damaged: run qtomo plan again"),
        (
            lambda found: found["tests"][0].update(kind="x"),
            r"tests\[0\].kind: found 'x', expected 'forbidden-outcomes', ",
        ),
        (
            lambda found: found["faults"][0].update(sites=[0.5]),
            r"faults\[0\].sites\[0\]: found 0.5, expected a valid integer",
        ),
        (lambda found: found["map"]["heat"]["gains_nats"].pop(), "map.heat: .* expected one row per kind"),
        (lambda found: found["map"]["heat"]["gains_nats"][0].pop(), "gains_nats: rows of different lengths"),
        (lambda found: found["tied"].pop(), "tied has 0 lists, expected one per fault, 1"),
        (lambda found: found["made_from"].update(records="ab"), "made_from.records: found 'ab', expected 64 hex"),
        (lambda found: found["claims"].append("\ud800 half a letter"), "Invalid JSON"),
    ],
)
def test_a_damaged_verification_is_told_in_a_line(verified, tmp_path, change, words):
    found = json.loads(verified[1].read_text())
    change(found)
    (tmp_path / "a.json").write_text(json.dumps(found))
    with refused(Code.DAMAGED, words):
        page_of([tmp_path / "a.json"])


def test_odd_numbers_leave_a_page(verified, tmp_path):
    found = json.loads(verified[1].read_text())
    found["certificates"][0].update(name="", says="")
    found["map"]["sites"][0].update(value="NaN")
    found["map"]["outcomes"][0][0].update(value=0, standard_error="Infinity", low="-Infinity", high="Infinity")
    found["map"]["bonds"] = []
    found["map"]["batches"] = []
    (tmp_path / "a.json").write_text(json.dumps(found))
    page = page_of([tmp_path / "a.json"])
    assert [drawing.failure for drawing in page.drawings() if drawing.failure] == []
    assert "The order of the shots is not known" in render(page)


def test_what_is_no_verification(verified, tmp_path):
    records = verified[1].with_name("lab.h5")
    with refused(Code.KIND):
        page_of([records])
    with refused(Code.CONFLICT):
        page_of([verified[1], tmp_path])
