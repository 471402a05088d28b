"""Record files against one another: differences that are there, ones that are not, and what cannot be compared."""

import numpy as np
import pytest

from qtomo import TFIM, compare_records, named_povm, simulate, write_records
from qtomo.distribution import LOST
from qtomo.errors import Code
from qtomo.verification.difference_tests import DifferenceKind
from tests.refusing import refused


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drift")
    for name, field, seed in (("monday", 1.0, 1), ("tuesday", 1.0, 2), ("wednesday", 1.8, 3)):
        simulate(TFIM(6, field=field), 8000, folder / f"{name}.h5", seed=seed)
    return folder


def save(path, outcomes, povm="pauli4"):
    write_records(path, [outcomes], outcomes.shape[1], named_povm(povm))


def test_a_shifted_field_is_found_and_equal_fields_are_not(files):
    found = compare_records([files / "monday.h5", files / "tuesday.h5", files / "wednesday.h5"], alpha=0.01)
    same, other = found.drifts.values()
    assert not same.differs
    assert other.differs
    assert "No difference found between" in found.verdicts()[0]
    assert "wednesday.h5 differs from" in found.verdicts()[1]
    assert abs(same.observables["mean X"].z) < 5
    assert other.observables["mean X"].z > 3.5
    assert other.bounds["total_variation"].low > 0 > same.bounds["total_variation"].low
    assert found.to_dict()["files"][str(files / "wednesday.h5")]["differs"] is True
    assert "Lower bounds" in str(found)


def test_a_site_that_reads_zero_too_often_is_named(tmp_path):
    random = np.random.default_rng(5)
    good, bad = random.integers(0, 4, (2, 5000, 5), dtype=np.uint8)
    bad[:, 3] = np.where(random.random(5000) < 0.15, 0, bad[:, 3])
    for name, outcomes in (("good", good), ("bad", bad)):
        save(tmp_path / f"{name}.h5", outcomes)
    drift = compare_records([tmp_path / "good.h5", tmp_path / "bad.h5"]).drifts[str(tmp_path / "bad.h5")]
    by_kind = {test.kind: test for test in drift.tests}
    assert by_kind[DifferenceKind.SITES].place == "qubit 3, outcome 0"
    assert all(test.adjusted < 1e-3 for test in drift.tests)


def test_records_with_a_lost_outcome_are_compared_where_they_have_one(tmp_path):
    """A quarter of the second file's have none at site 1, and are not taken for another outcome there."""
    a, b = np.random.default_rng(6).integers(0, 4, (2, 400, 3), dtype=np.uint8)
    b[::4, 1] = LOST
    for name, outcomes in (("a", a), ("b", b)):
        save(tmp_path / f"{name}.h5", outcomes)
    drift = compare_records([tmp_path / "a.h5", tmp_path / "b.h5"], alpha=0.01).drifts[str(tmp_path / "b.h5")]
    assert drift.n_records == (400, 400)
    assert not drift.differs


def test_what_cannot_be_compared(files, tmp_path):
    records = np.random.default_rng(7).integers(0, 4, (50, 6), dtype=np.uint8)
    save(tmp_path / "sic.h5", records, "sic")
    save(tmp_path / "short.h5", records[:, :5])
    with refused(Code.TOO_FEW):
        compare_records([files / "monday.h5"])
    with refused(Code.MISMATCH, r"short\.h5: .*monday\.h5"):
        compare_records([files / "monday.h5", tmp_path / "short.h5"])
    with refused(Code.MISMATCH, r"sic\.h5"):
        compare_records([files / "monday.h5", tmp_path / "sic.h5"])
