"""Calibration: a model's own records are as it says, those of another law are not."""

import numpy as np
import pytest

from qtomo.distribution import enumerate_outcomes
from qtomo.evaluation.reliability import Calibration, calibrate, wilson
from qtomo.models.registry import build_model
from qtomo.results import plain
from qtomo.seeds import stream


@pytest.fixture
def model():
    return build_model({"family": "gru", "hidden_size": 8, "order": "from_the_middle"}, 4, 3)


def test_conditionals_multiply_to_the_law(model):
    records = np.concatenate(list(enumerate_outcomes(4, 3)))
    table = model.conditionals(records)
    assert table.shape == (81, 4, 3)
    assert np.allclose(table.sum(axis=2), 1)
    chosen = np.take_along_axis(table, records[..., None].astype(int), axis=2)[..., 0]
    assert np.allclose(np.log(chosen).sum(axis=1), model.log_prob(records), atol=1e-5)


def test_a_model_is_calibrated_on_its_own_records(model):
    """Level 1 - 1e-6 for the twenty bins together and for the sites: false alarms stay below 2e-6."""
    records = model.sample(4000, stream(0, "test"))
    found = calibrate(model, records, level=1 - 1e-6 / 20)
    assert all(e.low <= p <= e.high for p, e in zip(found.predicted, found.observed, strict=True))
    assert all(e.low <= 0 <= e.high for e in found.sites)
    assert found.predicted == sorted(found.predicted)


def test_records_of_another_law_are_seen(model):
    records = model.sample(4000, stream(1, "test"))
    records[:, 2] = 0
    found = calibrate(model, records)
    assert [site for site, e in enumerate(found.sites) if e.low > 0 or e.high < 0] == [2]
    assert any(p < e.low or p > e.high for p, e in zip(found.predicted, found.observed, strict=True))


def test_a_model_without_conditionals_has_none():
    assert calibrate(build_model({"family": "rbm"}, 4, 3), np.zeros((10, 4), np.uint8)) is None


def test_wilson_by_hand():
    found = wilson(8, 10, 0.95)  # (p + z²/2n ± z sqrt(pq/n + z²/4n²))/(1 + z²/n)
    z, n, p = 1.959964, 10, 0.8
    centre, reach = p + z**2 / (2 * n), z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    assert np.allclose([found.low, found.high], (centre + np.array([-reach, reach])) / (1 + z**2 / n), atol=1e-6)
    assert plain(Calibration([0.8], [found], []))["observed"][0]["value"] == 0.8
    with pytest.raises(ValueError, match="1 predicted and 0 observed"):
        Calibration([0.8], [], [])
