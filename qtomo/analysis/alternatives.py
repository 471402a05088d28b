"""Alternatives to the target, learned from one half of the records and held against it on the other half."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qtomo.analysis.faults import LOCAL_FAULTS, Law, Scores
from qtomo.config import near_miss
from qtomo.distribution import Distribution, Outcomes
from qtomo.errors import InputError
from qtomo.models import FAMILIES, KGram, build_model
from qtomo.povm import POVM
from qtomo.seeds import stream
from qtomo.states import BornDistribution
from qtomo.training import TrainingConfig
from qtomo.training.feed import in_memory
from qtomo.training.loop import fit
from qtomo.training.run import RunFolder

__all__ = ["KGRAM", "fitted_fault", "half_ratios", "learn"]

KGRAM = "kgram"
_ORDERS = range(5)
_HELD_OUT = 10  # one record in so many chooses the order, or the epoch
_EPOCHS = 4


def half_ratios(
    data: Scores, outcomes: Outcomes, make: Callable[[NDArray[np.intp]], Distribution | None], seed: int
) -> list[NDArray[np.float64]] | None:
    """ln q/P of each half of the records, q made from the other half's row numbers; None where none can be made."""
    order = stream(seed, "halves").permutation(len(outcomes))
    halves = np.sort(order[: len(order) // 2]), np.sort(order[len(order) // 2 :])
    ratios = []
    for learned, held_out in (halves, halves[::-1]):
        alternative = make(learned)
        if alternative is None:
            return None
        ratios.append(alternative.log_prob(outcomes[held_out]) - data.log_prob[held_out])
    return ratios


def learn(family: str, outcomes: Outcomes, povm: POVM, seed: int) -> Distribution:
    """A model of the registry with an exact likelihood, or the best k-gram, trained on records without lost outcomes.

    Raises:
        InputError: an unknown family, or one without an exact likelihood.
    """
    cut = max(1, len(outcomes) // _HELD_OUT)
    held_out, training = outcomes[:cut], outcomes[cut:]
    if family == KGRAM:
        orders = [order for order in _ORDERS if order < outcomes.shape[1]]
        grams = [KGram(training, povm.n_outcomes, order) for order in orders]
        return max(grams, key=lambda gram: float(gram.log_prob(held_out).mean()))
    if family not in FAMILIES:
        raise InputError(f"no alternative is called '{family}'{near_miss(family, [KGRAM, *FAMILIES])}")
    model = build_model({"family": family}, outcomes.shape[1], povm.n_outcomes)
    model.measured_by(povm)
    if model.likelihood != "exact":
        raise InputError(f"alternative '{family}' has no exact likelihood, which a likelihood ratio wants")
    config = TrainingConfig.parse({"seed": seed, "epochs": _EPOCHS, "checkpoint_seconds": 1e9}, "[training]")
    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder(Path(folder))
        run.checkpoint.parent.mkdir()
        fit(model, in_memory(training, config), held_out, config, run)
    return model.eval()


def fitted_fault(law: Law, data: Scores, rows: NDArray[np.intp]) -> BornDistribution | None:
    """The target with the local fault on every qubit that some records favour most, at their strength for it."""
    best, strength, evidence = "", 0.0, 0.0
    for name in law.local_faults:
        scores = data.sites[name][rows].sum(axis=1)
        mean, square = float(scores.mean()), float(np.square(scores).mean())
        if mean > 0 and mean * mean / square > evidence:
            best, strength, evidence = name, min(mean / square, 0.5), mean * mean / square
    if not best:
        return None
    povm = LOCAL_FAULTS[best](law.born.povm, strength, law.n_sites)
    return BornDistribution(law.born.state, povm, law.born.tolerance, law.born.device)
