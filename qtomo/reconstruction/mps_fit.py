"""Fit a tensor network to records: bonds grown, and real or complex amplitudes chosen, by held-out records.

A tenth of the records is held out. The fit starts at bond dimension 2 from the product state of the one-qubit
frequencies. There the likelihood of sharp measurements has many local maxima, so the first steps take the elements as
if depolarised, less and less, and the best of a few such starts goes on. The next bond dimension starts from the one
before. A larger network, of a larger bond or of complex amplitudes, is taken where it gains more of the held-out
likelihood than a standard error of this gain (the rule of one standard error: Breiman et al. 1984, Classification and
Regression Trees, 3.4.3). Complex amplitudes have to gain as much once more over real ones of the bond chosen. The one
chosen is then fitted to all records: from where it ended, or, where held-out records ended its fit early, from the same
start with the same number of steps, so that the noise of the weakest Schmidt vectors stays out once more.
"""

from __future__ import annotations

import copy
import functools
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from qtomo.distribution import Outcomes
from qtomo.models.registry import build_model
from qtomo.models.tensor_network import TensorNetwork
from qtomo.progress import SILENT, Progress
from qtomo.reconstruction.methods import LocallyPurified, MatrixProduct, TensorNetworkMethod
from qtomo.records.file.reader import split
from qtomo.records.records import Records
from qtomo.results import Real
from qtomo.seeds import stream
from qtomo.states.mps import right_canonical
from qtomo.training.natural import fit_natural

__all__ = ["Stage", "TensorNetworkFit", "fit_tensor_network", "fit_wider", "free_parameters"]

#: The largest bond dimension that held-out records choose.
LARGEST_BOND = 8

_HELD_OUT = 10  # one record in ten
_START = 5_000  # records that starts are made with
_STARTS = 3
_SPREAD = 3.0  # noise of the starts, in units of a new model's own
_SMOOTH = (0.3, 0.1, 0.0)  # depolarising strengths that the elements are taken to have, one after the other
_NOISE = 0.05  # of the entries that a growing bond opens
_STEPS = 60
_LAST_STEPS = 5  # from where a fit has converged, once the held-out records join


@dataclass(frozen=True)
class Stage:
    """One bond dimension that was tried.

    Args:
        bond_dim: D.
        complex_amplitudes: whether amplitudes were complex.
        parameters: free ones.
        validation: mean ln P of the held-out records.
        gain: of `validation` over the best network before; nan for the first.
        gain_error: its standard error.
        steps: of the natural gradient.
    """

    bond_dim: int
    complex_amplitudes: bool
    parameters: int
    validation: float
    gain: Real
    gain_error: Real
    steps: int

    @property
    def is_better(self) -> bool:
        """Whether the gain is more than its standard error."""
        return not self.gain <= self.gain_error


@dataclass(frozen=True)
class TensorNetworkFit:
    """A fitted network and how it was chosen.

    Args:
        model: the network, fitted to all records.
        held_out: the one that has not seen the held-out records.
        stages: what was tried.
        training: row numbers of the records that chose the weights.
        validation: row numbers of the held-out records.
        log_prob: mean ln P of all records.
    """

    model: TensorNetwork
    held_out: TensorNetwork
    stages: list[Stage]
    training: NDArray[np.int64]
    validation: NDArray[np.int64]
    log_prob: float


def fit_tensor_network(
    records: Records,
    method: TensorNetworkMethod,
    *,
    complex_amplitudes: bool | None = None,
    seed: int = 0,
    progress: Progress = SILENT,
) -> TensorNetworkFit:
    """Fit records, none of whose outcomes is lost.

    Args:
        records: of any design.
        method: with the bond dimension, which is chosen by held-out records where it is None.
        complex_amplitudes: chosen by held-out records, at bond dimension 2, where None.
        seed: of the split and of the noise that opens bonds.
        progress: told what is being done.
    """
    search = _Search(records, method, seed, progress)
    best = search.choose(method.bond_dim, complex_amplitudes)
    final, log_prob = search.fit_all(best)
    return TensorNetworkFit(final, best.model, search.stages, search.rows, search.held, log_prob)


class _Search:
    """The search for the network that predicts held-out records best; each step is a method."""

    def __init__(self, records: Records, method: TensorNetworkMethod, seed: int, progress: Progress) -> None:
        self.outcomes, self.povm, self.method, self.progress = records.labels, records.povm, method, progress
        n = len(records)
        self.rows, self.held = split(n, max(1, n // _HELD_OUT), seed)
        self.generator = stream(seed, "chain fit")
        shuffled = self.rows[self.generator.permutation(len(self.rows))]
        self.training, self.validation = self.outcomes[shuffled], self.outcomes[self.held]
        self.stages: list[Stage] = []

    def choose(self, bond_dim: int | None, complex_amplitudes: bool | None) -> _Candidate:
        """The best by held-out records: amplitudes at the first bond dimension, then larger ones while they gain."""
        first = min(2, bond_dim or 2)
        real = best = self.fit(self.start(first, bool(complex_amplitudes)))
        if complex_amplitudes is None:
            found = self.fit(self.start(first, True), best)
            best = found if found.stage.is_better else best
        best = self.grow(best, bond_dim)
        if complex_amplitudes is None and best.stage.complex_amplitudes and best.stage.bond_dim > first:
            best = self.reconsider_real(real, best)
        return best

    def grow(self, best: _Candidate, bond_dim: int | None) -> _Candidate:
        """Larger bond dimensions: up to one that is given, else while held-out records gain."""
        last = LARGEST_BOND if bond_dim is None else bond_dim
        for bond in range(best.stage.bond_dim + 1, last + 1):
            larger = self.network(bond, best.stage.complex_amplitudes, best.model)
            if larger.n_parameters == best.model.n_parameters:
                break  # so few qubits have no room for larger bonds
            found = self.fit(larger, best)
            if bond_dim is None and not found.stage.is_better:
                break
            best = found
        return best

    def reconsider_real(self, real: _Candidate, best: _Candidate) -> _Candidate:
        """Real amplitudes at the bond dimension of complex ones, if they are level.

        Where bonds are too small, complex amplitudes gain by being more; at the bond chosen, half as many may do.
        """
        for bond in range(real.stage.bond_dim + 1, best.stage.bond_dim + 1):
            real = self.fit(self.network(bond, False, real.model), best)
        return real if real.stage.gain > -real.stage.gain_error else best

    def start(self, bond: int, complex_amplitudes: bool) -> TensorNetwork:
        """The best of a few starts on a part of the records, whose measurement is taken as depolarised at first."""
        self.progress.stage(f"bond {bond}, {_kind(complex_amplitudes)} amplitudes: starts")
        models, values = [], []
        for index in range(_STARTS):
            # A mixed state comes to coherence that few records show more surely from a pure one: all starts but one.
            pure = isinstance(self.method, LocallyPurified) and index > 0
            model = self.network(bond, complex_amplitudes, None, MatrixProduct() if pure else self.method)
            for strength in _SMOOTH:
                model.measured_by(self.povm.changed(functools.partial(_smoothed, strength=strength)))
                value = self.climb(model)
            if pure:
                model = self.network(bond, complex_amplitudes, model)
                value = self.climb(model)
            self.progress.update(index + 1, _STARTS, f"ln P {value:.4f} per record")
            models.append(model)
            values.append(value)
        return models[int(np.argmax(values))]

    def climb(self, model: TensorNetwork) -> float:
        """Some steps on a part of the records; mean ln P that they reach."""
        return fit_natural(model, self.training[:_START], None, _STEPS // len(_SMOOTH), tolerance=1.0).log_prob

    def network(
        self,
        bond: int,
        complex_amplitudes: bool,
        start: TensorNetwork | None,
        method: TensorNetworkMethod | None = None,
    ) -> TensorNetwork:
        """A network that starts at a smaller one, or at the product state of the one-qubit frequencies."""
        family = (method or self.method).name  # the model family has the method's name
        with torch.random.fork_rng():
            torch.manual_seed(int(self.generator.integers(2**63)))
            chosen = {"family": family, "bond_dim": bond, "complex_amplitudes": complex_amplitudes}
            model = build_model(chosen, self.outcomes.shape[1], self.povm.n_outcomes)
            assert isinstance(model, TensorNetwork)
            model.measured_by(self.povm)
            if start is None:
                with torch.no_grad():
                    for tensor in model.tensors:
                        tensor.mul_(_SPREAD)
                model.start_from(torch.from_numpy(self.training[:_START].astype(np.int64)))
            else:
                model.take(right_canonical(start.arrays())[0], _NOISE)
        return model

    def fit(self, model: TensorNetwork, best: _Candidate | None = None) -> _Candidate:
        """Fit the training records until the held-out ones stop gaining; the gain is that over the best before."""
        config, weights = model.config, copy.deepcopy(model.state_dict())

        self.progress.stage(f"bond {config.bond_dim}, {_kind(config.complex_amplitudes)} amplitudes")
        fit = fit_natural(model, self.training, self.validation, _STEPS, tolerance=0.1, progress=self.progress)
        log_prob = model.log_prob(self.validation)
        gains = log_prob - best.log_prob if best is not None else np.full(len(log_prob), np.nan)
        stage = Stage(
            config.bond_dim,
            config.complex_amplitudes,
            free_parameters(model),
            float(log_prob.mean()),
            float(gains.mean()),
            float(gains.std() / np.sqrt(len(gains))),
            len(fit.steps),
        )
        self.stages.append(stage)
        if fit.best_step == len(fit.steps) < _STEPS:
            return _Candidate(stage, model, log_prob, copy.deepcopy(model.state_dict()), _LAST_STEPS)
        return _Candidate(stage, model, log_prob, weights, max(1, fit.best_step))

    def fit_all(self, best: _Candidate) -> tuple[TensorNetwork, float]:
        """The chosen network fitted to all records, and their mean ln P."""
        amplitudes = _kind(best.stage.complex_amplitudes)
        self.progress.stage(f"bond {best.stage.bond_dim}, {amplitudes} amplitudes: all records")
        model = copy.deepcopy(best.model)
        model.load_state_dict(best.start)
        final = fit_natural(
            model,
            self.outcomes[self.generator.permutation(len(self.outcomes))],
            None,
            best.steps,
            progress=self.progress,
        )
        return model, final.log_prob


def fit_wider(
    model: TensorNetwork, outcomes: Outcomes, seed: int = 0, progress: Progress = SILENT
) -> TensorNetwork | None:
    """The next larger bond dimension, fitted to all records (n, n_sites) to the end from where a model stands.

    None where so few qubits have no room for it.
    """
    config = model.config.model_copy(update={"bond_dim": model.config.bond_dim + 1})
    with torch.random.fork_rng():
        torch.manual_seed(int(stream(seed, "wider chain").integers(2**63)))
        wider = type(model)(model.n_sites, model.n_outcomes, config)
        if wider.n_parameters == model.n_parameters:
            return None
        wider.effects.copy_(model.effects)
        wider.take(right_canonical(model.arrays())[0], _NOISE)
    progress.stage(f"bond {config.bond_dim}, for the intervals")
    fit_natural(wider, outcomes, None, _STEPS, progress=progress)
    return wider


@dataclass(frozen=True)
class _Candidate:
    """A stage with its network, ln P of each held-out record, and how to fit all: weights to start at, and steps."""

    stage: Stage
    model: TensorNetwork
    log_prob: NDArray[np.float64]
    start: dict[str, torch.Tensor]
    steps: int


def _kind(complex_amplitudes: bool) -> str:
    return "complex" if complex_amplitudes else "real"


def _smoothed(elements: NDArray[np.complex128], strength: float) -> NDArray[np.complex128]:
    """Elements (..., 2, 2) after depolarising."""
    traces = np.einsum("...ii->...", elements)[..., None, None]
    mixed: NDArray[np.complex128] = (1 - strength) * elements + strength * traces * np.eye(2) / 2
    return mixed


def free_parameters(model: TensorNetwork) -> int:
    """Real numbers that the distribution depends on: those of the tensors less the gauges of the bonds and the norm."""
    parts = 2 if model.config.complex_amplitudes else 1
    gauges = sum(parts * int(tensor.shape[-1]) ** 2 for tensor in list(model.tensors)[:-1])
    return model.n_parameters - gauges - parts
