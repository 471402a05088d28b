"""The law of the records under local errors of every qubit, by their strengths.

A qubit is first rotated, then damped, then hit by Paulis, then depolarized, then misread. Its POVM elements are
m = (C_0 + r_0 C_1 + r_1 C_2) T_K ... T_1 in the basis of Paulis: T_k the transfer matrices of the channels, a sum of a
few functions of the strength each, and C what the bits that are read mean. All slopes follow. A parameter of the
target's Hamiltonian may be a little off, which makes another state of it (`shift.py`).

Strengths theta are a row of numbers: by kind, then by qubit, then the parameter's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from qtomo.distribution import Outcomes
from qtomo.measurement.calibration import Calibration
from qtomo.measurement.povm import PAULIS, POVM
from qtomo.states.born.local_likelihoods import pauli_coefficients
from qtomo.verification.budget.shift import Shift
from qtomo.verification.context import Context
from qtomo.verification.faults.base import FaultKind
from qtomo.verification.faults.local import LOCAL_KINDS
from qtomo.verification.hypothesis import Hypothesis
from qtomo.verification.readout import ReadoutModel

__all__ = ["CHANNELS", "READOUT", "SHIFT_STEP", "ErrorModel"]

Reals = NDArray[np.float64]

#: Errors of the state, in the order in which they act on it.
CHANNELS = (
    FaultKind.ROTATION_X,
    FaultKind.ROTATION_Y,
    FaultKind.ROTATION_Z,
    FaultKind.AMPLITUDE_DAMPING,
    FaultKind.BIT_FLIP,
    FaultKind.BIT_PHASE_FLIP,
    FaultKind.DEPHASING,
    FaultKind.DEPOLARIZING,
)
#: Errors of the measurement alone, which cost the state nothing.
READOUT = (FaultKind.READOUT_0_TO_1, FaultKind.READOUT_1_TO_0)

_STEP = 1e-5  # of a strength, in a difference of functions that are smooth beyond their bounds
_STACK = np.stack([PAULIS[p] for p in "IXYZ"])
SHIFT_STEP = 0.01  # of a parameter of the target, in a difference
_START = {"probability": 0.01, "angle": 0.0}
_START_READOUT = 0.005
_LARGEST_READOUT = 0.5


@dataclass(frozen=True, eq=False)
class ErrorModel:
    """Errors of some kinds at every qubit, with strengths theta, (n_parameters,).

    Args:
        hypothesis: the target as it would be measured without them.
        kinds: which, those of the state in the order of `CHANNELS`, then those of `READOUT` if bits can be misread.
        readout: elements by readout error; None for a measurement without bits.
        calibration: shots that tell the readout error; None where there are none.
        shift: states of the target with a parameter a little off; None where it has none.
    """

    hypothesis: Hypothesis
    kinds: tuple[FaultKind, ...]
    readout: ReadoutModel | None
    calibration: Calibration | None
    shift: Shift | None = None

    @classmethod
    def of(cls, context: Context, kinds: Sequence[FaultKind]) -> ErrorModel:
        """The model of some kinds for the records of a context; readout is left out where no bit is measured.

        Where there is a calibration, the readout error is fitted anew from what it says, whatever the hypothesis has.
        """
        hypothesis, calibration = context.hypothesis, context.records.calibration
        if calibration is not None:
            hypothesis = hypothesis.measured(lambda _povm: context.records.povm)
        n = hypothesis.n_sites
        none = Calibration(np.zeros((n, 2), dtype=np.int64), np.ones((n, 2), dtype=np.int64))
        readout: ReadoutModel | None = None
        try:
            readout = ReadoutModel(hypothesis.povm, calibration or none)
        except (ValueError, np.linalg.LinAlgError):
            calibration = None
        known = (*CHANNELS, *(READOUT if readout is not None else ()))
        shift = Shift.of(hypothesis, kinds)
        return cls(hypothesis, tuple(kind for kind in known if kind in kinds), readout, calibration, shift)

    @property
    def n_sites(self) -> int:
        """N, the number of qubits."""
        return self.hypothesis.n_sites

    @property
    def n_local(self) -> int:
        """Kinds times qubits."""
        return len(self.kinds) * self.n_sites

    @property
    def n_parameters(self) -> int:
        """The number of strengths."""
        return self.n_local + (self.shift is not None)

    @cached_property
    def places(self) -> list[tuple[FaultKind, int | None]]:
        """Kind and qubit of each strength; no qubit for the parameter of the target."""
        local: list[tuple[FaultKind, int | None]] = [
            (kind, site) for kind in self.kinds for site in range(self.n_sites)
        ]
        return [*local, *([(self.shift.parameter.kind, None)] if self.shift is not None else [])]

    def local(self, theta: Reals) -> Reals:
        """The strengths of errors of qubits, (kinds, n_sites)."""
        return theta[: self.n_local].reshape(len(self.kinds), self.n_sites)

    def only(self, theta: Reals, kinds: Sequence[FaultKind]) -> Reals:
        """The strengths with those of other kinds at 0."""
        return np.asarray(theta * np.array([kind in kinds for kind, _ in self.places]))

    @property
    def channels(self) -> tuple[FaultKind, ...]:
        """The kinds that change the state."""
        return tuple(kind for kind in self.kinds if kind not in READOUT)

    def index(self, kind: FaultKind) -> slice:
        """Where the strengths of a kind stand among all in a row, (n_parameters,)."""
        place = self.kinds.index(kind)
        return slice(place * self.n_sites, (place + 1) * self.n_sites)

    @cached_property
    def bounds(self) -> tuple[Reals, Reals]:
        """Lowest and highest strengths, (n_parameters,) each."""
        ends = [LOCAL_KINDS[kind].bounds if kind not in READOUT else (0.0, _LARGEST_READOUT) for kind in self.kinds]
        whole = np.repeat(np.array(ends).reshape(-1, 2), self.n_sites, axis=0)
        if self.shift is not None:
            whole = np.concatenate([whole, [[-self.shift.largest, self.shift.largest]]])
        low, high = whole.T
        return low, high

    def start(self) -> Reals:
        """Strengths to begin a fit with, inside the bounds."""
        whole = np.zeros(self.n_parameters)
        theta = self.local(whole)
        for place, kind in enumerate(self.kinds):
            if kind not in READOUT:
                theta[place] = _START[LOCAL_KINDS[kind].parameter]
            elif self.calibration is not None:
                theta[place] = self._smooth[0][:, READOUT.index(kind)]
            else:
                theta[place] = _START_READOUT
        return whole

    # Elements

    @cached_property
    def _clean(self) -> Reals:
        """Coefficients of the elements at no readout error, and what either probability adds, (3, n_sites, K, 4)."""
        if self.readout is None:
            plain = pauli_coefficients(self.hypothesis.povm.site_elements(self.n_sites))
            return np.stack([plain, np.zeros_like(plain), np.zeros_like(plain)])
        flips = np.zeros((3, self.n_sites, 2))
        if self.kinds[-2:] != READOUT:  # not fitted: as the measurement says
            flips[:] = self.calibration.flips if self.calibration is not None else 0.0
        else:
            flips[1, :, 0] = flips[2, :, 1] = 1.0
        none, first, second = (pauli_coefficients(self.readout.elements(each)) for each in flips)
        return np.stack([none, first - none, second - none])

    @cached_property
    def _parts(self) -> dict[FaultKind, Reals]:
        """Transfer matrices by function of the strength, (terms, 4, 4)."""
        found = {}
        for kind in self.channels:
            local = LOCAL_KINDS[kind]
            assert local.kraus is not None
            at_nodes = np.stack([_transfer(local.kraus(node)) for node in local.nodes])
            inverse = np.linalg.inv(local.functions(np.array(local.nodes)).T)
            found[kind] = np.einsum("ks,spq->kpq", inverse, at_nodes)
        return found

    def _each(self, theta: Reals) -> tuple[Reals, Reals]:
        """Transfer matrices of each channel at each site and their slopes, (channels, n_sites, 4, 4) each."""
        values, slopes = [], []
        for kind, strengths in zip(self.channels, self.local(theta), strict=False):
            functions, parts = LOCAL_KINDS[kind].functions, self._parts[kind]
            values.append(np.einsum("kn,kpq->npq", functions(strengths), parts))
            # Below 1, beyond which amplitude damping has no root.
            near = np.minimum(strengths, 1 - 2 * _STEP) if LOCAL_KINDS[kind].bounds[1] == 1 else strengths
            change = (functions(near + _STEP) - functions(near - _STEP)) / (2 * _STEP)
            slopes.append(np.einsum("kn,kpq->npq", change, parts))
        shape = (len(self.channels), self.n_sites, 4, 4)
        return np.array(values).reshape(shape), np.array(slopes).reshape(shape)

    def transfer(self, theta: Reals) -> Reals:
        """What all channels together do to each qubit: T_pq = Tr(sigma_p E(sigma_q))/2, (n_sites, 4, 4)."""
        return _products(self._each(theta)[0])

    def transfer_slopes(self, theta: Reals) -> Reals:
        """Its slope in the strength of each channel, (channels, n_sites, 4, 4)."""
        values, slopes = self._each(theta)
        found = []
        for place, slope in enumerate(slopes):
            changed = values.copy()
            changed[place] = slope
            found.append(_products(changed))
        return np.array(found).reshape(values.shape)

    def _read(self, theta: Reals) -> Reals:
        """Coefficients of the elements with their readout error, (n_sites, K, 4)."""
        if self.kinds[-2:] != READOUT:
            return np.asarray(self._clean[0])
        found: Reals = self._clean[0] + np.einsum("kn,knap->nap", self.local(theta)[-2:], self._clean[1:])
        return found

    def coefficients(self, theta: Reals) -> Reals:
        """Coefficients of I, X, Y, Z in the elements, (n_sites, K, 4)."""
        return np.asarray(self._read(theta) @ self.transfer(theta))

    def slopes(self, theta: Reals) -> Reals:
        """Their slopes in each strength, the last element being that of a lost outcome: (kinds, n_sites, K + 1, 4)."""
        found = self._read(theta) @ self.transfer_slopes(theta)
        if self.kinds[-2:] == READOUT:
            found = np.concatenate([found, self._clean[1:] @ self.transfer(theta)])
        return np.concatenate([found, np.zeros_like(found[:, :, :1])], axis=2)

    def prepared(self, theta: Reals) -> Hypothesis:
        """The hypothesis with the state that was prepared, before all errors of qubits."""
        if self.shift is None or not theta[-1]:
            return self.hypothesis
        return self.hypothesis.prepared(self.shift.state(float(theta[-1])), self.hypothesis.system)

    def shift_scores(self, theta: Reals, rows: Outcomes) -> Reals | None:
        """Slope of ln P of records in the parameter of the target, (rows,); None where there is none."""
        if self.shift is None:
            return None
        found = []
        for step in (-SHIFT_STEP, SHIFT_STEP):
            moved = theta.copy()
            moved[-1] += step
            found.append(self.under(moved).log_prob(rows))
        possible = np.isfinite(found[0]) & np.isfinite(found[1])
        low, high = (np.where(possible, one, 0.0) for one in found)
        return np.asarray((high - low) / (2 * SHIFT_STEP))

    def under(self, theta: Reals) -> Hypothesis:
        """The hypothesis with these errors."""
        prepared = self.prepared(theta)
        elements = np.einsum("nap,pij->naij", self.coefficients(theta), _STACK)
        elements = (elements + elements.conj().swapaxes(-1, -2)) / 2
        return prepared.measured(lambda povm: POVM(elements, povm.name))

    # The calibration, as a prior

    @property
    def _smooth(self) -> tuple[Reals, Reals]:
        """Probabilities that the calibration says, never 0, and the shots behind them, (n_sites, 2) each."""
        assert self.calibration is not None
        shots = self.calibration.shots + 1.0
        return np.asarray((self.calibration.wrong + 0.5) / shots), np.asarray(shots)

    def prior(self, theta: Reals) -> tuple[float, Reals, Reals]:
        """ln of the calibration's likelihood up to a constant, its gradient, and the diagonal of its information.

        Of k of m shots read wrongly: of k + 1/2 of m + 1, so that no probability is ruled out.
        """
        gradient, information = np.zeros(self.n_parameters), np.zeros(self.n_parameters)
        if self.calibration is None or self.kinds[-2:] != READOUT:
            return 0.0, gradient, information
        seen, shots = (array.T for array in self._smooth)
        flips = self.local(theta)[-2:].clip(1e-9, 1 - 1e-9)
        logs = float((shots * (seen * np.log(flips) + (1 - seen) * np.log1p(-flips))).sum())
        gradient[self.n_local - 2 * self.n_sites : self.n_local] = (
            shots * (seen - flips) / (flips * (1 - flips))
        ).ravel()
        information[self.n_local - 2 * self.n_sites : self.n_local] = (shots / (seen * (1 - seen))).ravel()
        return logs, gradient, information


def _transfer(kraus: NDArray[np.complex128]) -> Reals:
    """T_pq = Tr(sigma_p E(sigma_q))/2."""
    found: Reals = np.einsum("pij,kjl,qlm,kim->pq", _STACK, kraus, _STACK, kraus.conj()).real / 2
    return found


def _products(matrices: Reals) -> Reals:
    """Of (channels, n_sites, 4, 4), the first acting first: (n_sites, 4, 4)."""
    found = np.broadcast_to(np.eye(4), matrices.shape[1:])
    for one in matrices:
        found = one @ found
    return np.asarray(found)
