"""What one asks of a fitted chain, and how far each number may be off: draws of the fit from its Fisher matrix.

A maximum-likelihood fit of n records scatters around the truth with covariance F^-1/n. The draws are theta + d with
d = (F + c/n)^-1 F^(1/2) xi/sqrt(n), xi normal, in canonical tensors, whose entries are of order 1: that covariance
where records say something, at most 1/(2 sqrt c) in directions of which they say little, and nothing along the gauges
of the bonds, where F is zero.

What a bond dimension leaves out is no noise, and no draw of it shows it; nor does one show what is lost where held-out
records end a fit early. So an interval spans that of the chosen bond dimension and that of the next larger one, fitted
to the end; of a mixed state it spans the percentile interval as well, and is wide. How often intervals hold the truth
is measured by `benchmarks/chains.py coverage`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from qtomo.distribution import Outcomes
from qtomo.models.tensor_network import LPDOModel, MPSModel, TensorNetwork
from qtomo.observables.paulis import Observable, exact_value, pauli
from qtomo.reconstruction.bootstrap import reflected
from qtomo.reconstruction.mps_fit import ChainFit, fit_wider
from qtomo.seeds import stream
from qtomo.states.dmrg import Terms
from qtomo.states.fidelity import fidelity
from qtomo.states.lpdo import LPDO
from qtomo.states.mps import MPS, right_canonical
from qtomo.states.state import State
from qtomo.statistics.estimate import Estimate
from qtomo.training.natural import fisher_matrix

__all__ = ["chain_estimates", "chain_numbers", "drawn_states", "number_bounds"]

FIDELITY = "fidelity with the target"

_RIDGE = 10.0  # the c above: no direction moves by more than 0.16
_JITTER = 1e-5


def drawn_states(model: TensorNetwork, outcomes: Outcomes, draws: int, seed: int) -> Iterator[MPS | LPDO]:
    """States as fits of other records as many as these would find them; the model comes back as it was, canonical."""
    assert isinstance(model, MPSModel | LPDOModel)
    model.take(right_canonical(model.arrays())[0])
    n = len(outcomes)
    fisher = fisher_matrix(model, outcomes[: max(20_000, 25 * model.n_parameters)])
    scale = torch.diag(fisher.diagonal() + 1e-3 * fisher.diagonal().mean())
    root = torch.linalg.cholesky(fisher + _JITTER * scale)
    solver = torch.linalg.cholesky(fisher + _RIDGE / n * torch.eye(len(fisher), dtype=fisher.dtype))
    parameters = list(model.parameters())
    kept = [p.detach().clone() for p in parameters]
    for index in range(draws):
        normal = torch.from_numpy(stream(seed, "fisher draws", index).standard_normal(len(fisher)))
        move = torch.cholesky_solve((root @ normal)[:, None], solver)[:, 0] / n**0.5
        first = 0
        with torch.no_grad():
            for parameter, old in zip(parameters, kept, strict=True):
                parameter.copy_(old + move[first : first + old.numel()].view_as(old))
                first += old.numel()
        yield model.to_state()
    with torch.no_grad():
        for parameter, old in zip(parameters, kept, strict=True):
            parameter.copy_(old)


def chain_estimates(
    fit: ChainFit,
    outcomes: Outcomes,
    numbers: Callable[[MPS | LPDO], dict[str, float]],
    level: float = 0.95,
    draws: int = 200,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> dict[str, Estimate]:
    """Numbers of a fit to records (n, n_sites) by name, with intervals."""
    found: dict[str, Estimate] = {}
    wider = fit_wider(fit.model, outcomes, seed, say)
    models: list[TensorNetwork] = [fit.model] if wider is None else [fit.model, wider]
    for index, model in enumerate(models):
        assert isinstance(model, MPSModel | LPDOModel)
        values, rows = numbers(model.to_state()), []
        for done, state in enumerate(drawn_states(model, outcomes, draws, seed)):
            rows.append(numbers(state))
            if progress:
                progress(index * draws + done + 1, len(models) * draws)
        for name, value in values.items():
            drawn = np.array([row[name] for row in rows])
            here = reflected(value, value, drawn, level, len(outcomes), number_bounds(name), "")
            if isinstance(model, LPDOModel):  # draws leave the edge of pure states one way only: take both intervals
                low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
                here = replace(here, low=min(here.low, float(low)), high=max(here.high, float(high)))
            before = found.get(name, here)
            found[name] = Estimate(
                before.value,
                max(before.standard_error, here.standard_error),
                min(before.low, here.low),
                max(before.high, here.high),
                level,
                len(outcomes),
                f"maximum likelihood, {draws} draws of the Fisher matrix at {len(models)} bond dimensions",
            )
    return found


def chain_numbers(n_sites: int, terms: Terms, target: State | None) -> Callable[[MPS | LPDO], dict[str, float]]:
    """A function from a state to its numbers by name.

    Fidelity with the target (two bounds where both are mixed and long), purity of a mixed state, energy per site where
    `terms` give a Hamiltonian, <X_i>, <Z_i Z_j> from mid-chain to every site, and the entanglement entropy of each bond
    of a pure state, in nats.
    """
    middle = n_sites // 2
    observables = [pauli(f"X{i}") for i in range(n_sites)]
    observables += [pauli(f"Z{min(i, middle)} Z{max(i, middle)}") for i in range(n_sites) if i != middle]
    if terms:
        observables.append(Observable("energy per site", tuple((c / n_sites, product) for c, product in terms)))

    def numbers(state: MPS | LPDO) -> dict[str, float]:
        found: dict[str, float] = {}
        if target is not None:
            low, high = fidelity(state, target)
            found |= {FIDELITY: low} if low == high else {f"{FIDELITY}, at least": low, f"{FIDELITY}, at most": high}
        if isinstance(state, LPDO):
            found["purity"] = state.purity()
        found |= {observable.name: exact_value(observable, state) for observable in reversed(observables)}
        if isinstance(state, MPS):
            for bond, values in enumerate(state.schmidt_values()):
                found[f"entropy of bond {bond}"] = _entropy(values)
        return found

    return numbers


def number_bounds(name: str) -> tuple[float, float]:
    """Smallest and largest value that a number can have."""
    if name.startswith((FIDELITY, "purity")):
        return 0.0, 1.0
    if name.startswith(("X", "Z")):
        return -1.0, 1.0
    return (0.0, np.inf) if name.startswith("entropy") else (-np.inf, np.inf)


def _entropy(schmidt: NDArray[np.float64]) -> float:
    weights = schmidt[schmidt > 0] ** 2
    weights = weights / weights.sum()
    return float(-(weights * np.log(weights)).sum())
