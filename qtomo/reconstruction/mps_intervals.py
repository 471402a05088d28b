"""Quantities of a fitted tensor network with intervals: draws of the fit from its Fisher matrix.

A maximum-likelihood fit of n records scatters around the truth with covariance F^-1/n. The draws are theta + d with
d = (F + c/n)^-1 F^(1/2) xi/sqrt(n), xi normal, in canonical tensors, whose entries are of order 1: that covariance
where the records are informative, at most 1/(2 sqrt c) in directions where they are not, and nothing along the gauges
of the bonds, where F is zero.

What a bond dimension leaves out is not noise, and its draws do not show it; nor do they show what is lost where
held-out records end a fit early. So an interval spans that of the chosen bond dimension and that of the next larger
one, fitted to the end; of a mixed state it spans the percentile interval as well, and is wide. How often intervals hold
the truth is measured by `benchmarks/chains.py coverage`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from qtomo.distribution import Outcomes
from qtomo.models.tensor_network import LPDOModel, MPSModel, TensorNetwork
from qtomo.observables.paulis import Observable, exact_value, pauli
from qtomo.reconstruction.bootstrap import reflected
from qtomo.reconstruction.mps_fit import TensorNetworkFit, fit_wider
from qtomo.reconstruction.options import Options
from qtomo.reconstruction.quantities import FIDELITY, Quantity, QuantityKind, observable_quantity
from qtomo.records.records import Records
from qtomo.seeds import stream
from qtomo.states.dmrg import Terms
from qtomo.states.fidelity import fidelity
from qtomo.states.lpdo import LPDO
from qtomo.states.mps import MPS, right_canonical
from qtomo.states.state import State
from qtomo.statistics.estimate import Estimate
from qtomo.training.natural import fisher_matrix

__all__ = ["drawn_states", "network_estimates", "network_quantities"]

QuantitiesOf = Callable[[MPS | LPDO], dict[Quantity, float]]

_RIDGE = 10.0  # the c above: no direction moves by more than 0.16
_JITTER = 1e-5


def drawn_states(model: TensorNetwork, outcomes: Outcomes, draws: int, seed: int) -> Iterator[MPS | LPDO]:
    """States as fits of as many other records would give them; the model comes back as it was, canonical."""
    assert isinstance(model, MPSModel | LPDOModel)
    model.take(right_canonical(model.arrays())[0])
    n = len(outcomes)
    fisher = fisher_matrix(model, outcomes[: max(20_000, 25 * model.n_parameters)])
    root = _root(fisher, _JITTER)
    solver = _root(fisher + _RIDGE / n * torch.eye(len(fisher), dtype=fisher.dtype))
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


def _root(matrix: torch.Tensor, jitter: float = 0.0) -> torch.Tensor:
    """L with L L^T the matrix and a share `jitter` of its diagonal, larger where it is not positive by rounding."""
    root: torch.Tensor
    scale = torch.diag(matrix.diagonal() + 1e-3 * matrix.diagonal().mean())
    root, failed = torch.linalg.cholesky_ex(matrix + jitter * scale)
    while failed:  # rounding of products in float32
        jitter = max(10 * jitter, _JITTER)
        root, failed = torch.linalg.cholesky_ex(matrix + jitter * scale)
    return root


def network_estimates(
    fit: TensorNetworkFit,
    records: Records,
    quantities: QuantitiesOf,
    options: Options,
) -> dict[Quantity, Estimate]:
    """Quantities of a fit to records, with intervals."""
    outcomes = _exchangeable(records, options.seed)
    wider = fit_wider(fit.model, outcomes, options.seed, options.progress)
    models: list[TensorNetwork] = [fit.model] if wider is None else [fit.model, wider]
    draws = options.resamples
    method = f"maximum likelihood, {draws} draws of the Fisher matrix at {len(models)} bond dimensions"
    options.progress.stage(f"{draws} draws of the Fisher matrix at each bond dimension")
    found: dict[Quantity, Estimate] = {}
    for index, model in enumerate(models):
        assert isinstance(model, MPSModel | LPDOModel)
        values, rows = quantities(model.to_state()), []
        for done, state in enumerate(drawn_states(model, outcomes, draws, options.seed)):
            rows.append(quantities(state))
            options.progress.update(index * draws + done + 1, len(models) * draws)
        for quantity, value in values.items():
            drawn = np.array([row[quantity] for row in rows])
            here = reflected(value, drawn, value, quantity, level=options.level, n_records=len(records), method=method)
            if isinstance(model, LPDOModel):  # draws leave the edge of pure states one way only: take both intervals
                low, high = np.quantile(drawn, [(1 - options.level) / 2, (1 + options.level) / 2])
                here = replace(here, low=min(here.low, float(low)), high=max(here.high, float(high)))
            found[quantity] = _spanned(found.get(quantity, here), here)
    return found


def _exchangeable(records: Records, seed: int) -> Outcomes:
    """Outcomes (n, n_sites) of which the first rows stand for all: rows by setting, or sorted, are put in random order.

    The Fisher matrix is the mean over the first records of many.
    """
    if records.design != "listed" and records.order is not None:
        return records.labels
    return records.labels[stream(seed, "order of records").permutation(len(records))]


def _spanned(before: Estimate, here: Estimate) -> Estimate:
    """The first value, with the larger error and an interval that holds both."""
    return replace(
        before,
        standard_error=max(before.standard_error, here.standard_error),
        low=min(before.low, here.low),
        high=max(before.high, here.high),
    )


def network_quantities(
    n_sites: int, terms: Terms, target: State | None, observables: Sequence[Observable] = ()
) -> QuantitiesOf:
    """A function from a state to its quantities.

    Fidelity with the target (two bounds where both are mixed and long), purity of a mixed state, energy per site where
    `terms` give a Hamiltonian, <X_i>, <Z_i Z_j> from mid-chain to every site, other observables, and the entanglement
    entropy of each bond of a pure state, in nats.
    """
    middle = n_sites // 2
    wanted = [pauli(f"X{i}") for i in range(n_sites)]
    wanted += [pauli(f"Z{min(i, middle)} Z{max(i, middle)}") for i in range(n_sites) if i != middle]
    if terms:
        wanted.append(Observable("energy per site", tuple((c / n_sites, product) for c, product in terms)))
    known = {observable_quantity(observable): observable for observable in [*reversed(wanted), *observables]}

    def quantities(state: MPS | LPDO) -> dict[Quantity, float]:
        found: dict[Quantity, float] = {}
        if target is not None:
            low, high = fidelity(state, target)
            ends = {"": low} if low == high else {", at least": low, ", at most": high}
            found |= {replace(FIDELITY, name=FIDELITY.name + end): value for end, value in ends.items()}
        if isinstance(state, LPDO):
            found[Quantity(QuantityKind.PURITY, "purity", 0.0, 1.0)] = state.purity()
        found |= {quantity: exact_value(observable, state) for quantity, observable in known.items()}
        if isinstance(state, MPS):
            for bond, values in enumerate(state.schmidt_values()):
                found[Quantity(QuantityKind.ENTROPY, f"entropy of bond {bond}", 0.0)] = _entropy(values)
        return found

    return quantities


def _entropy(schmidt: NDArray[np.float64]) -> float:
    weights = schmidt[schmidt > 0] ** 2
    weights = weights / weights.sum()
    return float(-(weights * np.log(weights)).sum())
