"""Judge a trained run: divergences from the exact target, baselines beside it, observables, and claims."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np
from scipy import stats

from qtomo import __version__
from qtomo.analysis.divergences import (
    LARGEST_LIST,
    compare_by_enumeration,
    compare_by_sampling,
    kl_divergence,
    log_prob_table,
)
from qtomo.analysis.estimate import Estimate, exact, sample_mean
from qtomo.analysis.observables import chain_observables, estimate_observables, exact_value
from qtomo.analysis.table import Table
from qtomo.distribution import Distribution, Outcomes
from qtomo.errors import InputError
from qtomo.files import write_atomic
from qtomo.models import KGram
from qtomo.parallel import pick_device
from qtomo.records import split
from qtomo.seeds import stream
from qtomo.states import BornDistribution
from qtomo.training import Run

__all__ = ["Evaluation", "evaluate"]

#: Orders of the k-grams that stand beside every model.
BASELINE_ORDERS = (0, 1, 2, 3, 4)
#: Largest error of the target's log-probability, in nats a record.
TOLERANCE = 1e-4

Say = Callable[[str], None]
Estimates = dict[str, Estimate]


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found. Prints as tables; `to_dict` has everything.

    Args:
        run: the run folder.
        target: the exact state, in words; empty where the records name none.
        family: the model's family.
        divergences: by distribution (the exact target, k-grams, the model), by divergence; see
            `compare_by_sampling`. `validation_loss` is the mean negative log-likelihood of the held-out
            records, the same ones for all.
        gain: nats a record by which the model is better than the best k-gram on the same records.
        observables: by source ("exact", "records", "model"), by name.
        claims: what the data support, in sentences.
    """

    run: str
    target: str
    family: str
    divergences: dict[str, Estimates]
    gain: Estimate | None
    observables: dict[str, Estimates]
    claims: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain values for JSON."""
        nested = {
            key: {a: {b: estimate.to_dict() for b, estimate in inner.items()} for a, inner in outer.items()}
            for key, outer in (("divergences", self.divergences), ("observables", self.observables))
        }
        return {
            "creator": f"qtomo {__version__}",
            "run": self.run,
            "target": self.target,
            "family": self.family,
            "log_prob_tolerance": TOLERANCE,
            "gain_over_best_baseline": self.gain.to_dict() if self.gain else None,
            **nested,
            "z_scores": self.z_scores(),
            "claims": self.claims,
        }

    def z_scores(self) -> dict[str, dict[str, float]]:
        """(estimate - exact)/standard error, by source and observable; empty without exact values."""
        truth = self.observables.get("exact", {})
        return {
            source: {name: e.z_score(truth[name].value) for name, e in found.items() if e.standard_error > 0}
            for source, found in self.observables.items()
            if source != "exact" and truth
        }

    def tables(self) -> list[Table]:
        """Divergences, then the main observables."""
        columns = {
            "validation_loss": "validation loss",
            "kl_target_model": "KL(target‖model)",
            "kl_model_target": "KL(model‖target)",
            "classical_fidelity": "F_c [95 % interval]",
            "total_variation": "total variation",
        }
        shown = [c for c in columns if any(c in row for row in self.divergences.values())]
        rows = []
        for name, found in self.divergences.items():
            cells = [_cell(found.get(c), interval=c == "classical_fidelity") for c in shown]
            rows.append([name, *cells])
        title = f"Target: {self.target}" if self.target else "Records without a target"
        tables = [Table(f"{title}  (nats a record)", ["distribution", *(columns[c] for c in shown)], rows)]
        main = self.main_observables()
        if main:
            rows = [[source, *(_cell(found.get(name)) for name in main)] for source, found in self.observables.items()]
            tables.append(Table("Observables", ["source", *main], rows))
        return tables

    def main_observables(self) -> list[str]:
        """Energy per site, mid-chain <X> and mid-chain <ZZ> of neighbours, as far as they were evaluated."""
        names = list(self.observables.get("records", {}))
        sites = [int(name[1:]) for name in names if name[0] == "X" and name[1:].isdigit()]
        middle = (max(sites) + 1) // 2 if sites else 0
        wanted = ["energy per site", "mean X", f"X{middle}", f"Z{middle} Z{middle + 1}", f"Z{middle - 1} Z{middle}"]
        return [name for name in wanted if name in names][:4]

    def __str__(self) -> str:
        return "\n\n".join([*(str(table) for table in self.tables()), "\n".join(f"• {c}" for c in self.claims)])

    def _repr_html_(self) -> str:
        items = "".join(f"<li>{escape(claim)}</li>" for claim in self.claims)
        return "".join(table._repr_html_() for table in self.tables()) + f"<ul>{items}</ul>"


def evaluate(
    run: Run | str | os.PathLike[str],
    records: str | os.PathLike[str] | None = None,
    n_samples: int = 20_000,
    seed: int = 0,
    level: float = 0.95,
    save: bool = True,
    say: Say | None = None,
    device: str = "cpu",
) -> Evaluation:
    """Judge a run against the exact target of its records, with k-gram baselines and observables.

    Divergences use `n_samples` fresh records of the target and of the model (a quarter for a k-gram), or exact
    sums where there are at most 4**10 possible records. Nothing is judged on records that were trained on.

    Args:
        run: a run, or its folder.
        records: where the run's record file is now, if it has moved.
        n_samples: fresh records drawn from each distribution.
        seed: of all sampling; streams differ from those of training and simulation.
        level: confidence level of intervals.
        save: write `evaluation.json` into the run folder.
        say: called with a line about what is being done.
        device: where the exact target is sampled and scored: `cpu`, `cuda` or `auto`.

    Raises:
        InputError: a damaged or unfinished run, other records, or fewer than 100 samples.
    """
    if n_samples < 100:
        raise InputError(f"number of samples is {n_samples}, expected at least 100")
    run = run if isinstance(run, Run) else Run(run)
    say = say or (lambda _line: None)
    with run.open_records(records) as file:
        outcomes, povm, target, shots = file.load(), file.povm, file.target, file.design is not None
    config = run.config.training
    for_training, for_validation = split(len(outcomes), config.n_validation(len(outcomes)), config.seed)
    training, validation = outcomes[for_training], outcomes[for_validation]
    say("counting k-grams")
    family = str(run.config.model["family"])
    models: dict[str, Distribution] = {
        f"{order}-gram": KGram(training, povm.n_outcomes, order) for order in BASELINE_ORDERS if order < file.n_sites
    }
    models[family] = run.model
    drawn = {
        name: model.sample(n_samples if name == family else n_samples // 4, stream(seed, f"evaluate {name}"))
        for name, model in models.items()
    }
    losses = {
        name: sample_mean(-model.log_prob(validation), level, f"mean over held-out records{_caveat(model)}")
        for name, model in models.items()
        if model.likelihood != "none"
    }
    divergences: dict[str, Estimates] = {
        name: {"validation_loss": losses[name]} if name in losses else {} for name in models
    }
    gain = None
    if target is not None:
        say("the exact target")
        born = BornDistribution(target.state(), povm, tolerance=TOLERANCE, device=pick_device(device))
        at_target = sample_mean(-born.log_prob(validation), level, "mean over held-out records")
        divergences = {"exact": {"validation_loss": at_target}, **divergences}
        found, gain = _compare(born, models, drawn, seed, level, say)
        for name, estimates in found.items():
            divergences[name].update(estimates)
    observables: dict[str, Estimates] = {}
    if povm.is_complete:
        say("observables")
        system = target.system if target is not None else None
        wanted = chain_observables(file.n_sites, system.terms() if system is not None else ())
        if target is not None:
            observables["exact"] = {o.name: exact(exact_value(o, born.state)) for o in wanted}
        observables["records"] = estimate_observables(wanted, training, povm, level, shots)
        observables[family] = estimate_observables(wanted, drawn[family], povm, level, shots)
    evaluation = Evaluation(
        run=str(run.folder.path),
        target=target.describe() if target is not None else "",
        family=family,
        divergences=divergences,
        gain=gain,
        observables=observables,
    )
    evaluation.claims.extend(_claims(evaluation))
    if save:
        write_atomic(run.folder.evaluation, json.dumps(evaluation.to_dict(), indent=1) + "\n")
    return evaluation


def _compare(
    target: BornDistribution,
    models: dict[str, Distribution],
    drawn: dict[str, Outcomes],
    seed: int,
    level: float,
    say: Say,
) -> tuple[dict[str, Estimates], Estimate | None]:
    """Divergences of each model from the target, and the last model's gain over the best of the others."""
    found: dict[str, Estimates] = {}
    *baselines, last = models
    if target.n_outcomes**target.n_sites <= LARGEST_LIST:
        table = log_prob_table(BornDistribution(target.state, target.povm))
        for name, model in models.items():
            if model.likelihood == "exact":
                say(f"{name} against the target, by enumeration")
                found[name] = compare_by_enumeration(table, log_prob_table(model))
    fresh = target.sample(len(drawn[last]), stream(seed, "evaluate target"))
    say(f"scoring {len(fresh):,} records of the target")
    target_at_target = target.log_prob(fresh)
    scores = {name: model.log_prob(fresh) for name, model in models.items() if model.likelihood != "none"}
    for name, model in models.items():
        if name in found or name not in scores:
            continue
        if model.likelihood != "exact":
            found[name] = {"kl_target_model": kl_divergence(target_at_target, scores[name], model.likelihood, level)}
            continue
        say(f"scoring {len(drawn[name]):,} records of {name}")
        found[name] = compare_by_sampling(
            target_at_target, scores[name], target.log_prob(drawn[name]), model.log_prob(drawn[name]), level
        )
    if last not in scores or not baselines:
        return found, None
    best = max(baselines, key=lambda name: float(np.mean(scores[name])))
    method = f"mean of ln Q({last})/Q({best}) over target records, Student interval"
    return found, sample_mean(scores[last] - scores[best], level, method)


def _claims(evaluation: Evaluation) -> list[str]:
    claims = []
    found = evaluation.divergences[evaluation.family]
    fidelity, gain = found.get("classical_fidelity"), evaluation.gain
    if gain is not None:
        verdict = "better than" if gain.low > 0 else "worse than" if gain.high < 0 else "not distinguishable from"
        claims.append(f"{evaluation.family} is {verdict} the best k-gram: gain {gain} nats a record.")
    if fidelity is not None:
        claims.append(
            f"Classical fidelity of target and {evaluation.family}: {fidelity.interval()}. It refutes a state and "
            f"never certifies one: it allows a quantum fidelity up to F_c² = {fidelity.high**2:.4f} and any below."
        )
    for source, scores in evaluation.z_scores().items():
        values = np.abs(list(scores.values()))
        if len(values):
            claims.append(
                f"Observables from {source}: largest |z| = {values.max():.1f} over {len(values)} of them "
                f"(about {_expected_largest(len(values)):.1f} expected where all are right)."
            )
    return claims


def _expected_largest(n: int) -> float:
    """Median of the largest |z| among n independent standard normal ones."""
    return float(stats.norm.ppf((1 + 0.5 ** (1 / n)) / 2))


def _caveat(model: Distribution) -> str:
    return {"exact": "", "lower_bound": ", an upper bound", "estimate": ", an estimate"}.get(model.likelihood, "")


def _cell(estimate: Estimate | None, interval: bool = False) -> str:
    if estimate is None:
        return "–"
    return estimate.interval() if interval and estimate.n_records else str(estimate)
