"""Readout errors that calibration shots tell within their own error, fitted along with the records.

With k of m calibration shots of a state read wrongly, a probability p of that has the likelihood p^k (1 - p)^(m - k);
with the records' own it is largest at values that every test then takes for granted. As they are those of the target, a
test errs to its side alone. Whether they agree with the calibration is a test of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from qtomo.measurement.bases import as_random_bases
from qtomo.measurement.calibration import Calibration
from qtomo.measurement.povm import POVM
from qtomo.states.born.local_likelihoods import pauli_coefficients
from qtomo.verification.checks.base import Test, TestKind
from qtomo.verification.context import Context

__all__ = [
    "ReadoutModel",
    "fitted_readout",
    "moved",
    "readout_at",
    "readout_beside",
    "readout_information",
    "readout_model",
]

Reals = NDArray[np.float64]

_ROUNDS = 8
_SETTLED = 0.01  # nats that a step may still gain
_LARGEST = 0.5
_CHUNK = 4096


class ReadoutModel:
    """A measurement by the probabilities of reading 0 as 1 and 1 as 0: linear in both.

    Args:
        povm: the measurement with the calibration's own.
        calibration: what they were estimated from.
    """

    def __init__(self, povm: POVM, calibration: Calibration) -> None:
        n_sites = calibration.n_sites
        self._name = povm.name
        confusions = calibration.confusion
        clean = []
        for elements, confusion in zip(povm.site_elements(n_sites), confusions, strict=True):
            inverse = np.linalg.inv(confusion)
            if povm.measures_bases:
                pairs = elements.reshape(3, 2, 2, 2)
                bits = np.einsum("as,bsij->baij", inverse, pairs)  # the projectors on each bit, by basis
                labels = np.zeros((3, 2, 6))
                labels[np.arange(3)[:, None], np.arange(2), 2 * np.arange(3)[:, None] + np.arange(2)] = 1.0
                clean.append((bits, labels))
                continue
            bases = as_random_bases(elements)
            if bases is None:
                raise ValueError("a measurement without bits")
            projectors = np.einsum("b,bsi,bsj->bsij", bases.weights, bases.kets, bases.kets.conj())
            # A bit s is read as a, then called by an outcome: what was fitted is the product of both.
            clean.append((projectors, np.einsum("as,bac->bsc", inverse, bases.labels)))
        self._clean = clean

    def elements(self, flips: Reals) -> NDArray[np.complex128]:
        """Complex (n_sites, K, 2, 2) for flips (n_sites, 2)."""
        found = []
        for (projectors, labels), (p0, p1) in zip(self._clean, flips, strict=True):
            read = np.array([[1 - p0, p0], [p1, 1 - p1]])  # (true, read)
            found.append(np.einsum("sr,bro,bsij->oij", read, labels, projectors))
        return np.array(found)

    def povm(self, flips: Reals) -> POVM:
        """The measurement."""
        elements = self.elements(flips)
        return POVM((elements + elements.conj().swapaxes(-1, -2)) / 2, self._name)

    def slopes(self) -> Reals:
        """Change of the Pauli coefficients of the elements with either probability, (2, n_sites, K + 1, 4)."""
        none = np.zeros((len(self._clean), 2))
        found = []
        for which in (0, 1):
            one = none.copy()
            one[:, which] = 1.0
            change = pauli_coefficients(self.elements(one) - self.elements(none))
            found.append(np.concatenate([change, np.zeros_like(change[:, :1])], axis=1))
        return np.array(found)


def fitted_readout(context: Context) -> tuple[Context, list[Test]]:
    """The records under readout errors fitted to them and to the calibration, and the test of their agreement."""
    calibration = context.records.calibration
    readout = readout_model(context)
    if calibration is None or readout is None:
        return context, []
    flips = _likeliest(context, readout, calibration)
    return _read(context, readout, flips), list(_agreement(calibration, flips))


def readout_beside(declared: Context, faulty: Context) -> Context:
    """Records with readout errors fitted to them and to the calibration beside faults.

    Args:
        declared: with the readout error that the calibration says.
        faulty: the same after the faults.

    Returns:
        `declared` with other readout errors; without the faults.
    """
    calibration, readout, beside = declared.records.calibration, readout_model(declared), readout_model(faulty)
    if calibration is None or readout is None or beside is None:
        return declared
    return _read(declared, readout, _likeliest(faulty, beside, calibration))


def readout_model(context: Context) -> ReadoutModel | None:
    """How the measurement depends on readout errors; None where they are not calibrated, or there are no bits."""
    calibration = context.records.calibration
    if calibration is None:
        return None
    try:
        readout = ReadoutModel(context.hypothesis.povm, calibration)
        readout.povm(calibration.smoothed)
    except (ValueError, np.linalg.LinAlgError):
        return None  # no bits to misread
    return readout


def readout_at(declared: Context, flips: Reals) -> Context:
    """Records with their readout errors as `flips` (n_sites, 2) says; as they are where they have no bits."""
    readout = readout_model(declared)
    return declared if readout is None else _read(declared, readout, flips)


def _read(context: Context, readout: ReadoutModel, flips: Reals) -> Context:
    return context.under(context.hypothesis.measured(lambda _povm: readout.povm(flips)))


def _likeliest(context: Context, readout: ReadoutModel, calibration: Calibration) -> Reals:
    """Probabilities of misreading (n_sites, 2) that make records and calibration most likely together."""
    context.options.progress.stage("readout errors, within their calibration")
    flips = calibration.smoothed
    slopes = readout.slopes()
    for _ in range(_ROUNDS):
        gradient, fisher, _ = readout_information(_read(context, readout, flips), slopes)
        gradient += calibration.gradient(flips)
        fisher += np.diag(calibration.information(flips))
        step: Reals = np.linalg.solve(fisher, gradient).astype(np.float64)
        before, flips = flips, moved(flips, step)
        taken = (flips - before).T.ravel()
        if float(taken @ fisher @ taken) < _SETTLED:
            break
    return flips


def moved(flips: Reals, step: Reals) -> Reals:
    """Readout errors (n_sites, 2) after a step (2 n_sites,), by 0 read as 1 first, within what they may be at once."""
    return np.clip(flips + step.reshape(2, -1).T, flips / 4, np.minimum(4 * flips, _LARGEST))


def readout_information(context: Context, slopes: Reals, beside: Reals | None = None) -> tuple[Reals, Reals, Reals]:
    """What records say of readout errors, 0 read as 1 of each qubit, then 1 as 0.

    Args:
        context: the records under some of them.
        slopes: `ReadoutModel.slopes`.
        beside: slopes of ln P of the rows in other numbers, summed over records, (others, rows).

    Returns:
        The gradient of the log-likelihood (2 n_sites,), the Fisher matrix, and that of the others with these, (others,
        2 n_sites).
    """
    n_sites, others = context.records.n_sites, np.zeros((0, len(context.rows))) if beside is None else beside
    gradient, fisher = np.zeros(2 * n_sites), np.zeros((2 * n_sites, 2 * n_sites))
    crossed = np.zeros((len(others), 2 * n_sites))
    likelihoods, sites = context.likelihoods, np.arange(n_sites)
    for first in range(0, len(context.rows), _CHUNK):
        piece = slice(first, first + _CHUNK)
        labels = np.minimum(context.rows[piece], slopes.shape[2] - 1)
        scores = np.einsum("knip,nip->kni", slopes[:, sites, labels], likelihoods.weights[piece])
        chance = likelihoods.chance[piece]
        scores = np.where(chance[:, None] > 0, scores / np.where(chance > 0, chance, 1.0)[:, None], 0.0)
        flat = np.concatenate(list(scores), axis=1)
        weighted = flat * context.counts[piece, None]
        gradient += weighted.sum(axis=0)
        fisher += weighted.T @ flat
        crossed += others[:, piece] @ flat
    return gradient, fisher, crossed


def _agreement(calibration: Calibration, flips: Reals) -> Iterator[Test]:
    """Twice the log-likelihood of the calibration that the fit gives up, chi-squared with two degrees a qubit: that of
    all qubits, or of the worst.
    """
    lost = 2 * (calibration.log_likelihoods(calibration.flips) - calibration.log_likelihoods(flips)).clip(0)
    total = float(lost.sum())
    worst = int(lost.sum(axis=1).argmax())
    p_value = float(stats.chi2.sf(total, lost.size))
    of_worst = len(lost) * float(stats.chi2.sf(lost[worst].sum(), lost.shape[1]))
    p_value = min(1.0, 3 * min(p_value, of_worst))  # two tests, and tails of small counts that are somewhat heavier
    yield Test(TestKind.CALIBRATION, p_value, f"chi² = {total:.1f} of {lost.size}", sites=(worst,))
