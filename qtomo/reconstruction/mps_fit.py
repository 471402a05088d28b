"""Fit a tensor network to records: bonds grown, and real or complex amplitudes chosen, by held-out records.

A tenth of the records is held out. The fit starts at bond dimension 2 from the product state of the one-qubit
frequencies. There the likelihood of sharp measurements has many local maxima, so the first steps take the elements as
if depolarised, less and less, and the best of a few such starts goes on. The next bond dimension starts from the one
before. A larger network, of a larger bond or of complex
amplitudes, is taken where it gains more of the held-out likelihood than a standard error of this gain (the rule of
one standard error: Breiman et al. 1984, Classification and Regression Trees, 3.4.3). Complex amplitudes have to gain as
much once more over real ones of the bond chosen. The one chosen is then fitted to
all records: from where it ended, or, where held-out records ended its fit early, from the same start with the same
number of steps, so that the noise of the weakest Schmidt vectors stays out once more.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from qtomo.distribution import Outcomes
from qtomo.measurement.povm import POVM
from qtomo.models.registry import build_model
from qtomo.models.tensor_network import TensorNetwork
from qtomo.records.file.reader import split
from qtomo.seeds import stream
from qtomo.states.mps import right_canonical
from qtomo.training.natural import Step, fit_natural

__all__ = ["ChainFit", "Stage", "fit_chain", "fit_wider", "free_parameters"]

#: Chosen by held-out records, at most, where no bond dimension is asked for.
LARGEST_BOND = 8

_HELD_OUT = 10  # one record in so many
_START = 5_000  # records that starts are made with
_STARTS = 3
_SPREAD = 3.0  # of their noise, in that which a model is made with
_SMOOTH = (0.3, 0.1, 0.0)  # strengths of the depolarising that the elements are taken to have, one after the other
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
        gain: of `validation` over the network that was held to be best before; nan for the first.
        gain_error: its standard error.
        steps: of the natural gradient.
    """

    bond_dim: int
    complex_amplitudes: bool
    parameters: int
    validation: float
    gain: float
    gain_error: float
    steps: int

    @property
    def is_better(self) -> bool:
        """Whether the gain is more than its standard error."""
        return not self.gain <= self.gain_error


@dataclass(frozen=True)
class ChainFit:
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


def fit_chain(
    family: str,
    outcomes: Outcomes,
    povm: POVM,
    bond_dim: int | None = None,
    complex_amplitudes: bool | None = None,
    seed: int = 0,
    say: Callable[[str], None] | None = None,
    **settings: int,
) -> ChainFit:
    """Fit records (n, n_sites), none of whose outcomes is lost.

    Args:
        family: `mps` or `lpdo`.
        outcomes: the records; shots as outcomes 2 * basis + bit.
        povm: the measurement.
        bond_dim: D; chosen by held-out records where not given.
        complex_amplitudes: chosen by held-out records, at bond dimension 2, where not given.
        seed: of the split and of the noise that opens bonds.
        say: called with a line about what is being done.
        settings: others of the family.
    """
    say = say or (lambda _line: None)
    n_sites = outcomes.shape[1]
    rows, held = split(len(outcomes), max(1, len(outcomes) // _HELD_OUT), seed)
    training, validation = outcomes[rows], outcomes[held]
    generator = stream(seed, "chain fit")
    training = training[generator.permutation(len(training))]
    stages: list[Stage] = []

    def grown(bond: int, complex_: bool, start: TensorNetwork | None, kind: str = family) -> TensorNetwork:
        with torch.random.fork_rng():
            torch.manual_seed(int(generator.integers(2**63)))
            own = settings if kind == family else {}
            chosen = {"family": kind, "bond_dim": bond, "complex_amplitudes": complex_, **own}
            model = build_model(chosen, n_sites, povm.n_outcomes)
            assert isinstance(model, TensorNetwork)
            model.measured_by(povm)
            if start is None:
                with torch.no_grad():
                    for tensor in model.tensors:
                        tensor.mul_(_SPREAD)
                model.start_from(torch.from_numpy(training[:_START].astype(np.int64)))
            else:
                model.take(right_canonical(start.arrays())[0], _NOISE)
        return model

    def tried(model: TensorNetwork, before: NDArray[np.float64] | None) -> _Tried:
        config, weights = model.config, copy.deepcopy(model.state_dict())

        def follow(step: Step) -> None:
            say(f"bond {config.bond_dim}: ln P {step.log_prob:.5f} a record, held out {step.validation:.5f}")

        fit = fit_natural(model, training, validation, _STEPS, tolerance=0.1, report=follow)
        log_prob = model.log_prob(validation)
        gains = log_prob - before if before is not None else np.full(len(log_prob), np.nan)
        stage = Stage(
            config.bond_dim,
            config.complex_amplitudes,
            free_parameters(model),
            float(log_prob.mean()),
            float(gains.mean()),
            float(gains.std() / np.sqrt(len(gains))),
            len(fit.steps),
        )
        stages.append(stage)
        if fit.best_step == len(fit.steps) < _STEPS:
            return _Tried(stage, model, log_prob, copy.deepcopy(model.state_dict()), _LAST_STEPS)
        return _Tried(stage, model, log_prob, weights, max(1, fit.best_step))

    def started(bond: int, complex_: bool) -> TensorNetwork:
        few, models, values = training[:_START], [], []
        for index in range(_STARTS):
            # A mixed state comes to coherence that few records show more surely from a pure one: all starts but one.
            pure = family == "lpdo" and index > 0
            model = grown(bond, complex_, None, "mps" if pure else family)
            for strength in _SMOOTH:
                model.measured_by(povm.changed(functools.partial(_smoothed, strength=strength)))
                value = fit_natural(model, few, None, _STEPS // len(_SMOOTH), tolerance=1.0).log_prob
            if pure:
                model = grown(bond, complex_, model)
                value = fit_natural(model, few, None, _STEPS // len(_SMOOTH), tolerance=1.0).log_prob
            say(f"bond {bond}: start {index + 1} of {_STARTS}, ln P {value:.4f} a record")
            models.append(model)
            values.append(value)
        return models[int(np.argmax(values))]

    first = min(2, bond_dim or 2)
    start = started(first, bool(complex_amplitudes))
    best = tried(start, None)
    real = best if complex_amplitudes is None else None
    if real:
        found = tried(started(first, True), best.log_prob)
        best = found if found.stage.is_better else best
    for bond in range(first + 1, (LARGEST_BOND if bond_dim is None else bond_dim) + 1):
        larger = grown(bond, best.stage.complex_amplitudes, best.model)
        if larger.n_parameters == best.model.n_parameters:
            break  # the chain has no room for larger bonds
        found = tried(larger, best.log_prob)
        if bond_dim is None and not found.stage.is_better:
            break
        best = found
    if real and best.stage.complex_amplitudes and best.stage.bond_dim > first:
        # Where bonds are too small, complex amplitudes gain by being more; at the bond chosen, half as many may do.
        for bond in range(first + 1, best.stage.bond_dim + 1):
            real = tried(grown(bond, False, real.model), best.log_prob)
        if real.stage.gain > -real.stage.gain_error:
            best = real
    say(f"bond {best.stage.bond_dim}, {'complex' if best.stage.complex_amplitudes else 'real'} amplitudes: all records")
    model = copy.deepcopy(best.model)
    model.load_state_dict(best.start)
    final = fit_natural(
        model,
        outcomes[generator.permutation(len(outcomes))],
        None,
        best.steps,
        report=lambda step: say(f"all records: ln P {step.log_prob:.5f} a record"),
    )
    return ChainFit(model, best.model, stages, rows, held, final.log_prob)


def fit_wider(
    model: TensorNetwork, outcomes: Outcomes, seed: int = 0, say: Callable[[str], None] | None = None
) -> TensorNetwork | None:
    """The next larger bond dimension, fitted to all records (n, n_sites) to the end from where a model stands.

    None where the chain has no room for it.
    """
    say = say or (lambda _line: None)
    config = model.config.model_copy(update={"bond_dim": model.config.bond_dim + 1})
    with torch.random.fork_rng():
        torch.manual_seed(int(stream(seed, "wider chain").integers(2**63)))
        wider = type(model)(model.n_sites, model.n_outcomes, config)
        if wider.n_parameters == model.n_parameters:
            return None
        wider.effects.copy_(model.effects)
        wider.take(right_canonical(model.arrays())[0], _NOISE)
    fit_natural(
        wider,
        outcomes,
        None,
        _STEPS,
        report=lambda step: say(f"bond {config.bond_dim}, for the intervals: ln P {step.log_prob:.5f} a record"),
    )
    return wider


@dataclass(frozen=True)
class _Tried:
    """A stage with its network, ln P of the held-out records, and how to go on: from which weights, how many steps."""

    stage: Stage
    model: TensorNetwork
    log_prob: NDArray[np.float64]
    start: dict[str, torch.Tensor]
    steps: int


def _smoothed(elements: NDArray[np.complex128], strength: float) -> NDArray[np.complex128]:
    """Elements (..., 2, 2) after depolarising."""
    traces = np.einsum("...ii->...", elements)[..., None, None]
    mixed: NDArray[np.complex128] = (1 - strength) * elements + strength * traces * np.eye(2) / 2
    return mixed


def free_parameters(model: TensorNetwork) -> int:
    """Real numbers that the law depends on: those of the tensors less the gauges of the bonds and the norm."""
    parts = 2 if model.config.complex_amplitudes else 1
    gauges = sum(parts * int(tensor.shape[-1]) ** 2 for tensor in list(model.tensors)[:-1])
    return model.n_parameters - gauges - parts
