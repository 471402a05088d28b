"""The exact distribution of measurement outcomes of a state: sample it, score it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from qtomo.distribution import LOST, Outcomes
from qtomo.errors import Code, InputError
from qtomo.measurement.povm import POVM, named_povm
from qtomo.states.born.chain import ChainEngine, PurifiedEngine
from qtomo.states.born.dense import DenseEngine
from qtomo.states.born.local_likelihoods import LocalLikelihoods
from qtomo.states.density import DensityMatrix
from qtomo.states.lpdo import LPDO
from qtomo.states.mps import MPS
from qtomo.states.state import State

__all__ = ["BornDistribution"]


class Engine(Protocol):
    """What draws and scores outcomes of one kind of state, made of the state, elements, a device and a tolerance."""

    cut_weight: float

    @property
    def scored_bond_dim(self) -> int:
        """Bond dimension that scores are taken with; 1 where there is none."""

    def sample(self, n: int, generator: np.random.Generator) -> Outcomes:
        """`n` records, uint8 (n, n_sites)."""

    def sample_bits(self, settings: Outcomes, generator: np.random.Generator) -> Outcomes:
        """A bit per qubit measured in given bases, (n, n_sites) to (n, n_sites)."""

    def log_prob(self, outcomes: Outcomes) -> NDArray[np.float64]:
        """(batch, n_sites) outcomes, 255 where lost, to (batch,)."""

    def likelihoods(self, outcomes: Outcomes) -> LocalLikelihoods:
        """Local likelihoods of records (batch, n_sites), 255 where lost."""


#: The engine of each kind of state.
ENGINES: dict[type[State], Callable[..., Engine]] = {MPS: ChainEngine, LPDO: PurifiedEngine, DensityMatrix: DenseEngine}


class BornDistribution:
    """P(a) = Tr(rho M_{a_0} x ... x M_{a_N-1}), the outcome distribution of a state.

    Args:
        state: a matrix-product state, a locally purified density operator, or a density matrix of up to 12 qubits.
        povm: the measurement of each qubit, or the name of one.
        tolerance: largest error of `log_prob` worth its time, in nats per record. At 0 scores are exact to
            float64; at 1e-4 the scorer drops Schmidt weight up to (tolerance/2)**2 in all, whose root
            bounds the error (checked in the tests). Samples are always of the full state, drawn in
            float32: probabilities are right to about 1e-6.
        device: where tensors live.

    Raises:
        InputError: a POVM given for another number of sites.

    >>> import numpy as np
    >>> from qtomo import GHZ
    >>> born = BornDistribution(GHZ(2).state(), "pauli6")
    >>> born.sample(5, np.random.default_rng(0)).shape
    (5, 2)
    >>> np.exp(born.log_prob(np.array([[4, 4], [4, 5]], np.uint8))).round(4).tolist()  # Z Z: 00 and 01
    [0.0556, 0.0]
    """

    likelihood: Literal["exact"] = "exact"

    def __init__(
        self,
        state: State,
        povm: POVM | str = "pauli4",
        tolerance: float = 0.0,
        device: str | torch.device = "cpu",
    ) -> None:
        self.state = state
        self.povm = named_povm(povm) if isinstance(povm, str) else povm
        self.tolerance = tolerance
        self.device = torch.device(device)
        self._elements = np.array(self.povm.site_elements(state.n_sites))

    @property
    def n_sites(self) -> int:
        """N, the number of qubits."""
        return self.state.n_sites

    @property
    def n_outcomes(self) -> int:
        """K, the number of outcomes of one qubit."""
        return self.povm.n_outcomes

    def __repr__(self) -> str:
        return f"BornDistribution({self.state!r}, POVM '{self.povm.name}')"

    @cached_property
    def _engine(self) -> Engine:
        return ENGINES[type(self.state)](self.state, self._elements, self.device, self.tolerance)

    def sample(self, n: int, generator: np.random.Generator) -> Outcomes:
        """`n` exact records, uint8 (n, n_sites)."""
        return self._engine.sample(n, generator)

    def sample_bits(self, settings: Outcomes, generator: np.random.Generator) -> Outcomes:
        """A bit a qubit measured in given bases (0 X, 1 Y, 2 Z): uint8 (n, n_sites) to uint8 (n, n_sites).

        Raises:
            InputError: the POVM is not one of three bases, as Pauli-6 is, or settings of another shape or range.
        """
        if not self.povm.measures_bases:
            raise InputError(
                Code.UNSUPPORTED, f"POVM '{self.povm.name}' has no settings, expected one of bases X, Y and Z as pauli6"
            )
        if settings.ndim != 2 or settings.shape[1] != self.n_sites or settings.max(initial=0) > 2:
            found = f"settings of shape {settings.shape}, up to {settings.max(initial=0)}"
            raise InputError(Code.SHAPE, f"{found}, expected (n, {self.n_sites}) of 0 (X), 1 (Y), 2 (Z)")
        return self._engine.sample_bits(settings, generator)

    def log_prob(self, outcomes: Outcomes) -> NDArray[np.float64]:
        """ln P of each record, (batch, n_sites) to (batch,); -inf where P = 0.

        An outcome that was lost, 255, is summed over exactly: P is that of the outcomes that are there.

        Raises:
            InputError: another number of sites, or an outcome that the POVM does not have.
        """
        outcomes = np.asarray(outcomes)
        self._check(outcomes)
        return self._engine.log_prob(outcomes)

    def _check(self, outcomes: Outcomes) -> None:
        if outcomes.ndim != 2 or outcomes.shape[1] != self.n_sites:
            raise InputError(Code.SHAPE, f"records have shape {outcomes.shape}, expected (batch, {self.n_sites})")
        wrong = (outcomes >= self.n_outcomes) & (outcomes != LOST)
        if wrong.any():
            raise InputError(
                Code.VALUE, f"outcome {outcomes[wrong][0]} in records of a POVM with {self.n_outcomes} outcomes"
            )

    def local_likelihoods(self, outcomes: Outcomes) -> LocalLikelihoods:
        """Likelihoods of records (batch, n_sites) with one site measured otherwise; see `local_likelihoods.py`.

        Raises:
            InputError: as `log_prob`.
        """
        outcomes = np.asarray(outcomes)
        self._check(outcomes)
        return self._engine.likelihoods(outcomes)

    @property
    def cut_weight(self) -> float:
        """Schmidt weight a cut that scores leave out."""
        return self._engine.cut_weight

    @property
    def scored_bond_dim(self) -> int:
        """Bond dimension that scores are taken with; 1 for a density matrix, which has none."""
        return self._engine.scored_bond_dim
