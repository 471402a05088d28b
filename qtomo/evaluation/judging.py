"""How models are judged: the records they learned from, fresh ones, and divergences from the exact target."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from qtomo.config import near_miss
from qtomo.distribution import Distribution, Outcomes
from qtomo.errors import Code, InputError
from qtomo.measurement.povm import POVM
from qtomo.models.base import Model
from qtomo.models.baselines import KGram
from qtomo.observables.estimates import estimate_observables
from qtomo.observables.paulis import chain_observables, exact_value
from qtomo.parallel import pick_device
from qtomo.progress import Progress
from qtomo.records.file.reader import split
from qtomo.records.file.schema import Target
from qtomo.records.records import Records
from qtomo.results import Level
from qtomo.seeds import stream
from qtomo.states.born.distribution import BornDistribution
from qtomo.states.state import State
from qtomo.statistics.divergences import (
    LARGEST_LIST,
    compare_by_enumeration,
    compare_by_sampling,
    kl_divergence,
    log_prob_table,
)
from qtomo.statistics.estimate import Estimate, exact, sample_mean
from qtomo.training.run import Run

__all__ = ["BASELINES", "TOLERANCE", "Estimates", "Evidence", "Judging", "draw", "judge"]

#: The k-grams that stand beside every model: their orders by name.
BASELINES = {f"{order}-gram": order for order in range(5)}
#: Largest error of the target's log-probability, in nats per record.
TOLERANCE = 1e-4

Estimates = dict[str, Estimate]


@dataclass(frozen=True)
class Judging:
    """How models are judged with fresh records.

    Args:
        samples: fresh records drawn from each distribution.
        seed: of all sampling; streams differ from those of training and simulation.
        level: confidence of intervals.
        device: where the exact target is sampled and scored: `cpu`, `cuda` or `auto`.
        allow_estimates: give KL(target||model) also where a model's likelihood is only estimated.

    Raises:
        InputError: fewer than 100 samples.
    """

    samples: Annotated[int, Field(ge=100)] = 20_000
    seed: int = 0
    level: Level = 0.95
    device: str = "cpu"
    allow_estimates: bool = False

    def __post_init__(self) -> None:
        if self.samples < 100:
            raise InputError(Code.VALUE, f"number of samples is {self.samples}, expected at least 100")

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Judging:
        """From options by name.

        Raises:
            InputError: an option that there is not, or as the class.
        """
        known = [one.name for one in fields(cls)]
        for name in options:
            if name not in known:
                raise InputError(Code.UNKNOWN, f"no option '{name}'{near_miss(name, known)}")
        return cls(**options)


@dataclass(frozen=True)
class Evidence:
    """What a run is judged by: its records as it split them, and what the file says of them.

    Args:
        training: records that the run learned from.
        held_out: records that it did not.
        povm: their measurement.
        target: the state they are of, where it is known.
        shots: whether they are shots in known bases.
    """

    training: Outcomes
    held_out: Outcomes
    povm: POVM
    target: Target | None
    shots: bool

    @classmethod
    def of(cls, run: Run, records: str | os.PathLike[str] | None = None) -> Evidence:
        """The evidence of a run.

        Raises:
            InputError: the records are missing, damaged or other ones.
        """
        with run.open_records(records) as file:
            outcomes, povm, target, shots = file.load(), file.povm, file.target, file.has_settings
        config = run.config.training
        training, held_out = split(len(outcomes), config.n_validation(len(outcomes)), config.seed)
        return cls(outcomes[training], outcomes[held_out], povm, target, shots)

    @property
    def n_sites(self) -> int:
        """Number of qubits."""
        return int(self.training.shape[1])

    def baselines(self) -> dict[str, KGram]:
        """k-grams of the training records, by name, with the strength that the held-out records choose."""
        orders = {name: order for name, order in BASELINES.items() if order < self.n_sites}
        return {
            name: KGram.fitted(self.training, self.held_out, self.povm.n_outcomes, order)
            for name, order in orders.items()
        }

    def observables(self, drawn: Mapping[str, Outcomes], state: State | None, level: float) -> dict[str, Estimates]:
        """Observables in the state, in the training records and in records drawn from models, by source.

        Empty where the POVM is not informationally complete.
        """
        if not self.povm.is_complete:
            return {}
        system = self.target.system if self.target is not None else None
        wanted = chain_observables(self.n_sites, system.terms() if system is not None else ())
        found = (
            {"exact": {o.name: exact(round(exact_value(o, state), 12) + 0.0) for o in wanted}}
            if state is not None
            else {}
        )
        for name, labels in {"records": self.training, **drawn}.items():
            records = Records.from_labels(labels, self.povm, design="random" if self.shots else "povm", name=name)
            found[name] = estimate_observables(wanted, records, level=level)
        return found


def draw(models: Mapping[str, Distribution], n_samples: int, seed: int) -> dict[str, Outcomes]:
    """Fresh records of each model by name."""
    return {name: model.sample(n_samples, stream(seed, f"evaluate {name}")) for name, model in models.items()}


def judge(
    evidence: Evidence,
    models: Mapping[str, Distribution],
    held_out: Mapping[str, Outcomes],
    drawn: Mapping[str, Outcomes],
    how: Judging,
    progress: Progress,
) -> tuple[BornDistribution | None, dict[str, Estimates], Estimate | None]:
    """The exact target where there is one, divergences of models by name, and the last model's gain over k-grams.

    Args:
        evidence: the records, of which the models learned.
        models: by name, baselines first.
        held_out: records that each model has not seen.
        drawn: fresh records of each model.
        how: seed, level, device, and whether an estimated likelihood may give a divergence.
        progress: told what is being done.
    """
    divergences: dict[str, Estimates] = {name: {} for name in models}
    for name, model in models.items():
        if model.likelihood != "none":
            loss = sample_mean(
                -model.log_prob(held_out[name]), how.level, f"mean over held-out records{_caveat(model)}"
            )
            divergences[name]["validation_loss"] = loss.widened(_shared_error(model))
    if evidence.target is None:
        return None, divergences, None
    progress.stage("the exact target")
    born = BornDistribution(evidence.target.state(), evidence.povm, tolerance=TOLERANCE, device=pick_device(how.device))
    at_target = sample_mean(-born.log_prob(evidence.held_out), how.level, "mean over held-out records")
    allowed = ("exact", "lower_bound", "estimate") if how.allow_estimates else ("exact", "lower_bound")
    scored = {name: model for name, model in models.items() if model.likelihood in allowed}
    found, gain = _compare(born, scored, drawn, how, progress)
    for name, estimates in found.items():
        divergences[name].update(estimates)
    return born, {"exact": {"validation_loss": at_target}, **divergences}, gain


def _compare(
    target: BornDistribution,
    models: Mapping[str, Distribution],
    drawn: Mapping[str, Outcomes],
    how: Judging,
    progress: Progress,
) -> tuple[dict[str, Estimates], Estimate | None]:
    """Divergences from the target of models with a likelihood, and the last one's gain over the best k-gram."""
    found: dict[str, Estimates] = {}
    if target.n_outcomes**target.n_sites <= LARGEST_LIST:
        table = log_prob_table(BornDistribution(target.state, target.povm))
        for name, model in models.items():
            if model.likelihood == "exact":
                progress.stage(f"{name} against the target, by enumeration")
                found[name] = compare_by_enumeration(table, log_prob_table(model))
    fresh = target.sample(max(map(len, drawn.values())), stream(how.seed, "evaluate target"))
    progress.stage(f"scoring {len(fresh):,} records of the target")
    target_at_target = target.log_prob(fresh)
    scores = {}
    for done, (name, model) in enumerate(models.items()):
        scores[name] = model.log_prob(fresh)
        progress.update(done + 1, len(models), "models")
    for name, model in models.items():
        if name in found:
            continue
        if model.likelihood != "exact":
            divergence = kl_divergence(
                target_at_target, scores[name], model.likelihood, how.level, _shared_error(model)
            )
            found[name] = {"kl_target_model": divergence}
            continue
        progress.stage(f"scoring {len(drawn[name]):,} records of {name}")
        found[name] = compare_by_sampling(
            target_at_target, scores[name], target.log_prob(drawn[name]), model.log_prob(drawn[name]), how.level
        )
    grams = [name for name, model in models.items() if isinstance(model, KGram)]
    *_, (last, model) = models.items()
    if last in grams or not grams:
        return found, None
    best = max(grams, key=lambda name: float(np.mean(scores[name])))
    caveat = {"lower_bound": ", a lower bound", "estimate": ", an estimate"}.get(model.likelihood, "")
    method = f"mean of ln Q({last})/Q({best}) over target records, Student interval{caveat}"
    return found, sample_mean(scores[last] - scores[best], how.level, method).widened(_shared_error(model))


def _shared_error(model: Distribution) -> float:
    return model.log_prob_error if isinstance(model, Model) else 0.0


def _caveat(model: Distribution) -> str:
    return {"exact": "", "lower_bound": ", an upper bound", "estimate": ", an estimate"}.get(model.likelihood, "")
