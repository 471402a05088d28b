"""The distribution of outcomes of a density matrix.

Everything is real: rho is held as its 4**N expectations of Pauli products, an element as the 4 of its own, and a
probability is their product. The chain is cut in two halves, so that scoring is one matrix product.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from qtomo.distribution import LOST, Outcomes
from qtomo.measurement.povm import PAULIS
from qtomo.states.born.local_likelihoods import LocalLikelihoods
from qtomo.states.born.scoring import ZERO
from qtomo.states.density import DensityMatrix

__all__ = ["DenseEngine"]

_BYTES = 2**24  # of half-chain products at once

Reals = NDArray[np.float64]


class DenseEngine:
    """Scores and samples a density matrix measured by any elements, complex (n_sites, K, 2, 2)."""

    #: There is no bond to cut.
    scored_bond_dim, cut_weight = 1, 0.0

    def __init__(
        self, state: DensityMatrix, elements: NDArray[np.complex128], device: torch.device, _tolerance: float = 0.0
    ) -> None:
        effects = np.concatenate([elements, elements.sum(axis=1, keepdims=True)], axis=1)
        coefficients = np.einsum("naij,pji->nap", effects, np.stack([PAULIS[p] for p in "IXYZ"])).real / 2
        self._effects = torch.tensor(coefficients, device=device)  # (site, K + 1, 4), the last for a lost outcome
        self._half = state.n_sites // 2
        self._state = torch.tensor(state.pauli_values, device=device).reshape(4**self._half, -1)
        self._device = device

    def log_prob(self, outcomes: Outcomes) -> Reals:
        """(batch, n_sites) outcomes, 255 where lost, to (batch,)."""
        n_outcomes = self._effects.shape[1] - 1
        out = np.empty(len(outcomes))
        for part in self._chunks(len(outcomes)):
            labels = torch.as_tensor(np.where(outcomes[part] == LOST, n_outcomes, outcomes[part]).astype(np.int64))
            labels = labels.to(self._device)
            left = self._products(labels[:, : self._half], 0)
            right = self._products(labels[:, self._half :], self._half)
            out[part] = torch.einsum("bp,bp->b", left @ self._state, right).cpu().numpy()
        zero = out <= ZERO * self._sizes(outcomes)
        return np.where(zero, -np.inf, np.log(np.where(zero, 1.0, out)))

    def likelihoods(self, outcomes: Outcomes) -> LocalLikelihoods:
        """Local likelihoods of records (batch, n_sites), 255 where lost: see `qtomo.states.born.local_likelihoods`."""
        n, n_sites = outcomes.shape
        n_outcomes = self._effects.shape[1] - 1
        traces = np.empty((n, n_sites, 4))
        for part in self._chunks(n):
            labels = torch.as_tensor(np.where(outcomes[part] == LOST, n_outcomes, outcomes[part]).astype(np.int64))
            labels = labels.to(self._device)
            left, right = labels[:, : self._half], labels[:, self._half :]
            halves = [
                self._replaced(self._products(right, self._half) @ self._state.T, left, 0),
                self._replaced(self._products(left, 0) @ self._state, right, self._half),
            ]
            traces[part] = torch.cat(halves, dim=1).cpu().numpy()
        log_prob = self.log_prob(outcomes)
        impossible = np.isneginf(log_prob)
        traces[np.abs(traces) < ZERO * self._sizes(outcomes)[:, None, None]] = 0.0
        return LocalLikelihoods.from_traces(log_prob, impossible, traces, np.zeros((n, n_sites)))

    def _sizes(self, outcomes: Outcomes) -> Reals:
        """What a record's probability would be in the maximally mixed state, (batch,): rounding is a share of it."""
        n_outcomes = self._effects.shape[1] - 1
        chances = self._effects[:, :, 0].cpu().numpy()
        labels = np.where(outcomes == LOST, n_outcomes, outcomes)
        return np.asarray(chances[np.arange(outcomes.shape[1]), labels].prod(axis=1))

    def sample(self, n: int, generator: np.random.Generator, bases: Outcomes | None = None) -> Outcomes:
        """`n` records, uint8 (n, n_sites); given `bases` (n, n_sites), only outcomes 2b and 2b + 1 of each."""
        n_sites = len(self._effects)
        out = np.empty((n, n_sites), dtype=np.uint8)
        for part in self._chunks(n):
            rows = len(range(*part.indices(n)))
            uniforms = torch.from_numpy(generator.random((n_sites, rows))).to(self._device)
            given = None if bases is None else torch.from_numpy(bases[part]).to(self._device)
            alone = self._state[:, 0].expand(rows, -1)  # the left half with the right one traced out
            left = self._draw(alone, uniforms, 0, self._half, given)
            rest = self._products(left, 0) @ self._state
            right = self._draw(rest, uniforms, self._half, n_sites, given)
            out[part] = torch.cat([left, right], dim=1).to(torch.uint8).cpu().numpy()
        return out

    def sample_bits(self, settings: Outcomes, generator: np.random.Generator) -> Outcomes:
        """A bit per qubit measured in given bases, (n, n_sites) to (n, n_sites)."""
        return self.sample(len(settings), generator, settings) % 2

    def _chunks(self, n: int) -> list[slice]:
        rows = max(16, _BYTES // (8 * self._state.shape[1]))
        return [slice(first, min(n, first + rows)) for first in range(0, n, rows)]

    def _products(self, labels: torch.Tensor, first: int) -> torch.Tensor:
        """Pauli coefficients of the product of effects of some sites: (batch, sites) to (batch, 4**sites)."""
        product = torch.ones((len(labels), 1), dtype=torch.float64, device=self._device)
        for site in range(labels.shape[1]):
            effect = self._effects[first + site][labels[:, site]]
            product = (product[:, :, None] * effect[:, None, :]).flatten(1)
        return product

    def _replaced(self, values: torch.Tensor, labels: torch.Tensor, first: int) -> torch.Tensor:
        """Traces with I, X, Y, Z in place of each site's effect in turn, (batch, sites, 4), of Pauli values
        (batch, 4**sites) of those sites.
        """
        rows, sites = labels.shape
        found = []
        for site in range(sites):
            rest = self._products(labels[:, site + 1 :], first + site + 1)
            split = values.reshape(rows, 4, -1)
            found.append(torch.einsum("bpr,br->bp", split, rest))
            values = torch.einsum("bp,bpr->br", self._effects[first + site][labels[:, site]], split)
        return torch.stack(found, dim=1) if found else values.new_empty((rows, 0, 4))

    def _draw(
        self, values: torch.Tensor, uniforms: torch.Tensor, first: int, last: int, bases: torch.Tensor | None
    ) -> torch.Tensor:
        """Outcomes of sites `first` to `last`, one after another, of states given as Pauli values (batch, 4**sites)."""
        labels = torch.empty((len(values), last - first), dtype=torch.int64, device=self._device)
        for site in range(first, last):
            split = values.reshape(len(values), 4, -1)
            effects = self._effects[site]
            probabilities = (split[:, :, 0] @ effects[:-1].T).clamp_min(0)
            if bases is not None:
                of_label = torch.arange(len(effects) - 1, device=self._device) // 2
                probabilities = torch.where(bases[:, site, None] == of_label, probabilities, 0.0)
            cumulative = probabilities.cumsum(1)
            label = (uniforms[site][:, None] * cumulative[:, -1:] >= cumulative).sum(1).clamp_max(len(effects) - 2)
            values = torch.einsum("bp,bpr->br", effects[label], split)
            labels[:, site - first] = label
        return labels
