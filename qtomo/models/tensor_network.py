"""Tensor networks as models of records: the distribution of a pure or mixed state of a chain, fitted by its likelihood.

P(a) = Tr(rho M_{a_0} x ... x M_{a_N-1})/Tr rho of a matrix-product state, or of a locally purified density operator
(Werner et al. 2016, arXiv 1412.5746), is a product of matrices between environments L, Hermitian in the bond. A
Hermitian L = R + iI (R symmetric, I antisymmetric) is carried as the real matrix K = R + I, which has the same D**2
numbers and the same inner products; outcome a of a site is then one real (D**2, D**2) matrix, whatever the tensors,
the measurement and the purification: its *transfer*.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from qtomo.config import Config
from qtomo.errors import Code, InputError
from qtomo.measurement.povm import PAULIS, POVM, named_povm
from qtomo.models.base import Model
from qtomo.states.born.local_likelihoods import pauli_coefficients
from qtomo.states.lpdo import LPDO
from qtomo.states.mps import MPS

__all__ = ["LPDOConfig", "LPDOModel", "MPSConfig", "MPSModel", "TensorNetwork"]

_LARGEST_BOND = 64
_START_NOISE = 0.1


class MPSConfig(Config):
    """Settings of a matrix-product state."""

    #: Largest bond dimension, D.
    bond_dim: int = Field(4, ge=1, le=_LARGEST_BOND)
    #: Whether amplitudes are complex; real ones are half as many, and right for states such as the Ising chain's.
    complex_amplitudes: bool = True


class LPDOConfig(MPSConfig):
    """Settings of a locally purified density operator."""

    #: Purification dimension a site, a power of 2; 1 is a pure state, 4 holds any noise of single qubits, which has at
    #: most four Kraus operators.
    purification_dim: int = Field(4, ge=1, le=16)


class TensorNetwork(Model):
    """What the two families share: tensors (2, purification, left, right) a site, transfers, likelihood, samples.

    The measurement is part of the model (`measured_by`), and of its checkpoint.

    Args:
        n_sites: N, the number of qubits.
        n_outcomes: K, the number of outcomes of one qubit.
        config: the settings.

    Raises:
        InputError: a purification dimension that is not a power of 2.
    """

    preset: ClassVar = {"learning_rate": 1e-2}

    config: MPSConfig
    effects: Tensor
    started: Tensor
    #: Dimension of the purification of one site.
    purification: int = 1

    def __init__(self, n_sites: int, n_outcomes: int, config: MPSConfig) -> None:
        super().__init__(n_sites, n_outcomes, config)
        self.purification = getattr(config, "purification_dim", 1)
        if self.purification & (self.purification - 1):
            raise InputError(Code.VALUE, f"model.purification_dim = {self.purification}, expected a power of 2")
        elements = _usual_povm(n_outcomes).site_elements(n_sites)
        self.register_buffer("effects", torch.from_numpy(pauli_coefficients(elements)))  # (n_sites, K, 4)
        self.register_buffer("started", torch.tensor(False))
        bonds = bond_dims(n_sites, config.bond_dim, 2 * self.purification)
        parts = 2 if config.complex_amplitudes else 1
        #: (real and imaginary part, 2, purification, left, right) a site, float64
        self.tensors = nn.ParameterList(
            nn.Parameter(_noise((parts, 2, self.purification, bonds[i], bonds[i + 1]))) for i in range(n_sites)
        )
        with torch.no_grad():
            for tensor in self.tensors:
                tensor[0, 0, 0, 0, 0] += 1

    def measured_by(self, povm: POVM) -> None:
        """Take on the measurement that the records come from."""
        elements = povm.site_elements(self.n_sites)
        if elements.shape[1] != self.n_outcomes:
            raise InputError(
                Code.MISMATCH, f"POVM '{povm.name}' of {elements.shape[1]} outcomes, the model has {self.n_outcomes}"
            )
        self.effects.copy_(torch.from_numpy(pauli_coefficients(elements)))

    def start_from(self, outcomes: Tensor) -> None:
        """Put the product of one-qubit states that fits the first batch's frequencies into the first bond."""
        start = torch.from_numpy(self._product_start(outcomes.cpu().numpy())).to(self.device)
        with torch.no_grad():
            for vectors, tensor in zip(start, self.tensors, strict=True):
                tensor[:, :, :, 0, 0] = torch.view_as_real(vectors).permute(2, 0, 1)[: len(tensor)]
            self.started.fill_(True)

    def _product_start(self, outcomes: NDArray[np.integer]) -> NDArray[np.complex128]:
        """Square roots X of the one-qubit states, X X^dagger, of linear inversion: (n_sites, 2, purification)."""
        effects = self.effects.cpu().numpy()
        out = np.zeros((self.n_sites, 2, self.purification), dtype=np.complex128)
        for site, effect in enumerate(effects):
            counts = np.bincount(outcomes[:, site], minlength=self.n_outcomes) / len(outcomes)
            bloch = np.linalg.lstsq(effect, counts, rcond=1e-9)[0]  # (1, x, y, z), 0 where nothing is seen
            rho = sum(b * PAULIS[p] for b, p in zip([1.0, *bloch[1:]], "IXYZ", strict=True)) / 2
            values, kets = np.linalg.eigh(rho)
            roots = np.sqrt(np.clip(values, 1e-3, None))[::-1] * _real_phase(kets[:, ::-1])
            out[site, :, : min(2, self.purification)] = roots[:, : self.purification]
        return out

    def loss(self, outcomes: Tensor) -> Tensor:
        """Mean negative log-likelihood a record."""
        if self.training and not self.started:
            self.start_from(outcomes)
        return -self._log_prob(outcomes).mean()

    def transfers(self) -> list[Tensor]:
        """A real (K, left**2, right**2) matrix an outcome and a site, which takes K of the left to that of the right.

        Flattened K = R + I of the environment L = R + iI, rows the bra's bond.
        """
        return [transfer(tensor, element) for tensor, element in zip(self.tensors, self.elements(), strict=True)]

    def elements(self) -> Tensor:
        """The measurement, complex128 (n_sites, K, 2, 2)."""
        paulis = torch.from_numpy(np.stack([PAULIS[p] for p in "IXYZ"])).to(self.device)
        return torch.einsum("nap,pts->nats", self.effects.to(paulis.dtype), paulis)

    def _log_prob(self, outcomes: Tensor) -> Tensor:
        transfers = self.transfers()
        rows = torch.arange(len(outcomes), device=outcomes.device)
        state, total = transfers[0].new_ones(len(outcomes), 1), transfers[0].new_zeros(len(outcomes))
        for site, matrices in enumerate(transfers):
            k, left, right = matrices.shape
            every = state @ matrices.permute(1, 0, 2).reshape(left, k * right)
            state = every.view(-1, k, right)[rows, outcomes[:, site]]
            scale = torch.linalg.vector_norm(state, dim=1).clamp_min(1e-300)
            state = state / scale[:, None]
            total = total + torch.log(scale)
        return total + torch.log(state[:, 0].clamp_min(1e-300)) - log_norm(transfers)

    def _sample(self, n: int, generator: torch.Generator) -> Tensor:
        transfers = self.transfers()
        ahead = [transfers[0].new_ones(1)]
        for matrices in reversed(transfers):
            vector = matrices.sum(0) @ ahead[-1]
            ahead.append(vector / vector.norm())
        ahead.reverse()
        state, drawn = transfers[0].new_ones(n, 1), []
        rows = torch.arange(n, device=self.device)
        for matrices, after in zip(transfers, ahead[1:], strict=True):
            k, left, right = matrices.shape
            every = (state @ matrices.permute(1, 0, 2).reshape(left, k * right)).view(n, k, right)
            chosen = torch.multinomial((every @ after).clamp_min(0), 1, generator=generator)[:, 0]
            state = every[rows, chosen]
            state = state / torch.linalg.vector_norm(state, dim=1, keepdim=True)
            drawn.append(chosen)
        return torch.stack(drawn, dim=1)

    def arrays(self) -> list[NDArray[Any]]:
        """The tensors as (left, 2, purification, right) arrays, complex128 or float64."""
        found = []
        for tensor in self.tensors:
            parts = tensor.detach().cpu().numpy().transpose(0, 3, 1, 2, 4)
            found.append(parts[0] + 1j * parts[1] if len(parts) == 2 else parts[0].copy())
        return found

    def take(self, arrays: Sequence[NDArray[Any]], noise: float = 0.0) -> None:
        """Take tensors (left, 2, purification, right) of the model's or smaller bonds and purification.

        What they leave open is filled with normal noise of size `noise` from torch's global generator.
        """
        with torch.no_grad():
            for tensor, array in zip(self.tensors, arrays, strict=True):
                given = [array] if np.isrealobj(array) else [array.real, array.imag]
                parts = np.stack(given[: len(tensor)]).transpose(0, 2, 3, 1, 4)
                tensor.copy_(noise * torch.randn_like(tensor))
                count, _, kappa, left, right = parts.shape
                tensor[:count, :, :kappa, :left, :right] = torch.from_numpy(parts.copy()).to(tensor)
            self.started.fill_(True)


class MPSModel(TensorNetwork):
    """The distribution of a pure matrix-product state of bond dimension D: maximum likelihood over pure states."""

    Config: ClassVar[type[Config]] = MPSConfig

    def to_state(self) -> MPS:
        """The state."""
        return MPS([array[:, :, 0] for array in self.arrays()])


class LPDOModel(TensorNetwork):
    """The distribution of a locally purified density operator: maximum likelihood over mixed states, positive by
    construction.

    rho = sum over k of |A_k><A_k|, one purification index a site (arXiv 1412.5746, eq. 4).
    """

    Config: ClassVar[type[Config]] = LPDOConfig

    def to_state(self) -> LPDO:
        """The state."""
        return LPDO.from_tensors(self.arrays())


def transfer(tensor: Tensor, elements: Tensor) -> Tensor:
    """The matrices of one site, real (K, left**2, right**2).

    With the complex T[(b, c), (d, e)] = sum M_ts conj(A_t[b, d]) A_s[c, e], which takes L to L', the matrix that takes
    K to K' is Re T + Im T with b and c exchanged, as follows from T being real between Hermitian matrices.

    Args:
        tensor: real and imaginary part, (1 or 2, 2, purification, left, right).
        elements: complex (K, 2, 2).
    """
    a = _complex(tensor)
    t = torch.einsum("tkbd,atkce->abcde", a.conj(), torch.einsum("ats,skce->atkce", elements, a))
    return (t.real + t.imag.transpose(1, 2)).flatten(3, 4).flatten(1, 2)


def transfer_derivatives(tensor: Tensor, elements: Tensor) -> Tensor:
    """By each number of the tensor, in its order: real (K, left**2 * right**2, parameters)."""
    a = _complex(tensor)
    unit = torch.eye(tensor.numel(), dtype=tensor.dtype).view(-1, *tensor.shape)
    turned = torch.complex(unit[:, 0], unit[:, 1] if len(tensor) == 2 else torch.zeros_like(unit[:, 0]))
    bras = torch.einsum("ptkbd,atkce->abcdep", turned.conj(), torch.einsum("ats,skce->atkce", elements, a))
    kets = torch.einsum("atkbd,ptkce->abcdep", torch.einsum("ats,tkbd->askbd", elements, a.conj()), turned)
    t = bras + kets
    return (t.real + t.imag.transpose(1, 2)).flatten(1, 4)


def _complex(tensor: Tensor) -> Tensor:
    return torch.complex(tensor[0], tensor[1] if len(tensor) == 2 else torch.zeros_like(tensor[0]))


def log_norm(transfers: Sequence[Tensor]) -> Tensor:
    """ln Tr rho of unnormalised tensors, as a scalar."""
    vector, total = transfers[0].new_ones(1), transfers[0].new_zeros(())
    for matrices in transfers:
        vector = vector @ matrices.sum(0)
        scale = torch.linalg.vector_norm(vector)
        vector = vector / scale
        total = total + torch.log(scale)
    return total + torch.log(vector[0])


def bond_dims(n_sites: int, bond_dim: int, site_dim: int) -> list[int]:
    """The N + 1 bonds: `bond_dim`, less where the ends of the chain need less."""
    cuts = [min(c, n_sites - c, 20) for c in range(n_sites + 1)]
    return [min(bond_dim, site_dim**c) for c in cuts]


def _noise(shape: tuple[int, ...]) -> Tensor:
    return _START_NOISE * torch.randn(shape, dtype=torch.float64)


def _real_phase(kets: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Columns turned so that their largest entries are positive."""
    largest = kets[np.abs(kets).argmax(axis=0), np.arange(kets.shape[1])]
    turned: NDArray[np.complex128] = kets * (np.abs(largest) / largest)
    return turned


def _usual_povm(n_outcomes: int) -> POVM:
    """A measurement of K outcomes to hold the place until the records tell theirs."""
    usual = {4: "pauli4", 6: "pauli6"}
    if n_outcomes in usual:
        return named_povm(usual[n_outcomes])
    angles = 2 * np.pi * np.arange(n_outcomes) / max(n_outcomes, 1)
    rays = [PAULIS["I"] + np.sin(angle) * PAULIS["X"] + np.cos(angle) * PAULIS["Z"] for angle in angles]
    return POVM(np.stack(rays) / n_outcomes, "rays")
