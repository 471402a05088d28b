"""What every model family is: a distribution over records that learns from a loss.

A new family is one file with a `Config` and a `Model`, and one line in `registry.py`; CONTRIBUTING.md
walks through it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from qtomo.config import Config
from qtomo.distribution import Likelihood, Outcomes
from qtomo.errors import Code, InputError
from qtomo.measurement.povm import POVM
from qtomo.models.findings import Finding
from qtomo.seeds import torch_generator

__all__ = ["Model"]

_CHUNK = 4096  # records scored or drawn at once


class Model(nn.Module, ABC):
    """A trainable distribution over (n_sites,) outcomes below `n_outcomes`.

    A family gives `Config`, `likelihood`, `loss`, `_sample` and, where it has a likelihood, `_log_prob`.
    It draws all randomness of training from torch's global generator, which the training loop seeds.

    Args:
        n_sites: N, the number of qubits.
        n_outcomes: K, the number of outcomes of one qubit.
        config: the family's settings.
    """

    Config: ClassVar[type[Config]]
    likelihood: Likelihood = "exact"
    #: Settings of the training loop that suit the family: its preset has them.
    preset: ClassVar[Mapping[str, Any]] = {}
    #: What `validation_loss` is counted in.
    validation_unit: ClassVar[str] = "nats per record"
    #: Whether a step may call `loss` several times, with parts of its batch.
    accumulates: ClassVar[bool] = True

    def __init__(self, n_sites: int, n_outcomes: int, config: Any) -> None:
        super().__init__()
        self.n_sites = n_sites
        self.n_outcomes = n_outcomes
        self.config = config

    @property
    def device(self) -> torch.device:
        """Where the weights live."""
        return next(self.parameters()).device

    @property
    def n_parameters(self) -> int:
        """Number of trained numbers."""
        return sum(p.numel() for p in self.parameters())

    @property
    def log_prob_error(self) -> float:
        """Standard error in nats that all log-probabilities share, where they have an estimated normalisation."""
        return 0.0

    @abstractmethod
    def loss(self, outcomes: Tensor) -> Tensor:
        """What training minimises, for int64 outcomes (batch, n_sites): a scalar in nats per record."""

    def start_from(self, outcomes: Tensor) -> None:
        """Take from the first batch, int64 (batch, n_sites), what a family wants of it before its first step.

        A family that does so calls this in `loss`. Of several processes, each of which sees a share of the batch,
        the loop calls it with the whole.
        """

    def learning_rate_scale(self, _name: str) -> float:
        """What a trained number, named as in `named_parameters`, has its learning rate multiplied by."""
        return 1.0

    def set_progress(self, done: float) -> None:
        """Take note, before each step, of which share of all steps is done, from 0 to 1.

        For a loss that changes along the training. It is a function of the step alone, so a resumed run goes on as it
        would have. A model that is not in training is at 1.
        """

    def measured_by(self, povm: POVM) -> None:
        """Take note of the measurement that the records come from, before training; part of the checkpoint."""

    def validation_loss(self, outcomes: Tensor) -> Tensor:
        """What the best epoch makes smallest, for int64 outcomes (batch, n_sites) unseen in training: a scalar."""
        return self.loss(outcomes)

    def diagnose(self, outcomes: Outcomes, level: float = 0.95) -> tuple[Finding, ...]:
        """Whether the trained model is what its family claims to be, on records (n, n_sites) unseen in training.

        A family measures what it stands for (an autoencoder its latents, a flow its maps) and marks a finding with
        `Severity.COLLAPSED` where the model does without. `evaluate`, `compare` and the report show what is found. By
        default nothing.

        Raises:
            InputError: records that do not fit the model, or too few.
        """
        return ()

    @abstractmethod
    def _sample(self, n: int, generator: torch.Generator) -> Tensor:
        """`n` records as integers (n, n_sites), all randomness from the generator."""

    def _log_prob(self, outcomes: Tensor) -> Tensor:
        """What `log_prob` returns, for int64 outcomes: (batch, n_sites) to (batch,)."""
        raise InputError(Code.UNSUPPORTED, f"a {type(self).__name__} has no likelihood: it can only be sampled")

    def log_prob(self, outcomes: Outcomes) -> NDArray[np.float64]:
        """Natural log-probability, as `likelihood` says, of each record: (batch, n_sites) to (batch,).

        Raises:
            InputError: records of another shape or range, or a family without likelihood.
        """
        return self.by_record(outcomes, self._log_prob)

    def by_record(self, outcomes: Outcomes, function: Callable[[Tensor], Tensor]) -> NDArray[np.float64]:
        """A function of int64 outcomes (batch, n_sites) with a row per record, taken in chunks without gradients.

        Raises:
            InputError: records of another shape or range.
        """
        self.check_outcomes(outcomes)
        was_training = self.training
        self.eval()
        found = []
        with torch.no_grad(), torch.random.fork_rng():
            torch.manual_seed(0)  # a bound or an estimate draws: the same records get the same numbers
            for first in range(0, max(len(outcomes), 1), _CHUNK):
                rows = torch.as_tensor(outcomes[first : first + _CHUNK].astype(np.int64), device=self.device)
                found.append(function(rows).double().cpu().numpy())
        self.train(was_training)
        return np.concatenate(found)

    def sample(self, n: int, generator: np.random.Generator) -> Outcomes:
        """`n` independent records, uint8 (n, n_sites)."""
        was_training = self.training
        self.eval()
        out = np.empty((n, self.n_sites), dtype=np.uint8)
        with torch.no_grad():
            for first in range(0, n, _CHUNK):
                rows = min(_CHUNK, n - first)
                drawn = self._sample(rows, torch_generator(generator, self.device))
                out[first : first + rows] = drawn.to(torch.uint8).cpu().numpy()
        self.train(was_training)
        return out

    def check_outcomes(self, outcomes: Outcomes) -> None:
        """Make sure that records fit this model.

        Raises:
            InputError: another number of sites, or an outcome that the model does not have.
        """
        if outcomes.ndim != 2 or outcomes.shape[1] != self.n_sites:
            raise InputError(Code.SHAPE, f"records have shape {outcomes.shape}, expected (batch, {self.n_sites})")
        if outcomes.size and int(outcomes.max()) >= self.n_outcomes:
            raise InputError(Code.VALUE, f"outcome {outcomes.max()} given to a model of {self.n_outcomes} outcomes")
