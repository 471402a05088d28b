"""The figure of an error budget: what its bars and intervals say."""

import numpy as np
import pytest

from qtomo.reporting.verification_figures import budget_figure
from qtomo.statistics.estimate import Estimate
from qtomo.verification.budget.result import Budget, Cost
from qtomo.verification.faults.base import FaultKind


def share(value, low, high):
    return Estimate(value, (high - low) / 4, low, high, 0.95, 1000, "made up", "model")


SITES = [share(0.5, 0.4, 0.6), share(0.2, 0.1, 0.35), share(0.3, 0.25, 0.4)]
KINDS = {FaultKind.DEPHASING: share(0.25, 0.1, 0.3), FaultKind.DEPOLARIZING: share(0.75, 0.7, 0.9)}
BUDGET = Budget(
    fidelity=share(0.9, 0.85, 0.95),
    entries=[],
    kinds=[Cost(one.scaled(0.1), one, kind=kind) for kind, one in KINDS.items()],
    sites=[Cost(one.scaled(0.1), one, site=site) for site, one in enumerate(SITES)],
    tied=[],
    tests=[],
    correlations=np.zeros((3, 3)),
    alpha=0.01,
    level=0.95,
    n_records=1000,
)


@pytest.fixture(scope="module")
def panels():
    return budget_figure(BUDGET).axes


def ends(axes, along):
    """Lower and upper ends of the error bars, (bars, 2)."""
    (lines,) = [c for c in axes.collections if len(c.get_segments()) and c.get_segments()[0].shape == (2, 2)]
    return np.array([segment[:, along] for segment in lines.get_segments()])


def test_kinds_are_bars_from_the_largest_on(panels):
    axes = panels[0]
    assert [bar.get_width() for bar in axes.patches] == [0.75, 0.25]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["depolarizing", "dephasing (Z flips)"]
    np.testing.assert_allclose(ends(axes, 0), [[0.7, 0.9], [0.1, 0.3]])
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first on top


def test_qubits_are_bars_in_their_order(panels):
    axes = panels[1]
    assert [bar.get_height() for bar in axes.patches] == [0.5, 0.2, 0.3]
    np.testing.assert_allclose(ends(axes, 1), [[0.4, 0.6], [0.1, 0.35], [0.25, 0.4]])
    assert axes.get_xlabel() == "site"
