"""Judge a trained run: divergences from the exact target, baselines beside it, observables, and claims."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from qtomo.distribution import Outcomes
from qtomo.evaluation.judging import TOLERANCE, Estimates, Evidence, Judging, draw, judge
from qtomo.evaluation.reliability import Calibration, calibrate
from qtomo.measurement.settings import Design
from qtomo.models.base import Model
from qtomo.models.baselines import KGram
from qtomo.models.findings import Finding, Severity, collapse
from qtomo.observables.certificates.base import Certificate, CertificateKind
from qtomo.observables.certificates.energy import energy_witnesses
from qtomo.progress import Progress
from qtomo.records.records import Records
from qtomo.results import Real, Result, Sha256
from qtomo.statistics.estimate import Estimate
from qtomo.statistics.holm import expected_largest
from qtomo.statistics.two_sample import (
    SMALLEST,
    TwoSampleTest,
    classifier_two_sample_test,
    divergence_bounds,
    marginal_total_variation,
)
from qtomo.table import Table
from qtomo.training.run import Run

__all__ = ["Evaluation", "evaluate", "made_from"]

_REFUSED = (
    "KL(target‖model) is not given: {family} has only an estimate of its likelihood. Ask for it with --allow-estimates."
)
_FEW_CARRY = 10  # records that carry half of the variance of a mean, below which its error is not to be trusted


@dataclass(frozen=True)
class Evaluation(Result, format="qtomo-evaluation", version=1):
    """What an evaluation found. Prints as tables; `to_dict` has everything.

    Args:
        run: the run folder.
        target: the exact state, in words; empty where the records name none.
        family: the model's family.
        options: with which it was asked for.
        divergences: by distribution (the exact target, k-grams, the model), by divergence; see
            `compare_by_sampling`. `validation_loss` is the mean negative log-likelihood of the held-out
            records, the same ones for all.
        gain: nats per record by which the model is better than the best k-gram on the same records.
        observables: by source ("exact", "records", "model"), by name.
        claims: what the data support, in sentences.
        two_sample: fresh records of the model against held-out ones; None where there are too few.
        calibration: of the model's conditionals on the held-out records; None for a model that has none.
        certificates: what the training records certify, and what the model's distribution rules out.
        z_scores: (estimate - exact)/standard error, by source and observable; empty without exact values.
        findings: the model's diagnosis on the held-out records; empty where its family has none.
        log_prob_tolerance: largest error of the target's log-probability, in nats per record.

    Raises:
        ValueError: no divergences of the family.

    >>> Evaluation.format
    'qtomo-evaluation'
    """

    run: str
    target: str
    family: str
    options: Judging
    divergences: dict[str, Estimates]
    gain: Annotated[Estimate | None, Field(alias="gain_over_best_baseline")]
    observables: dict[str, Estimates]
    claims: list[str] = field(default_factory=list)
    two_sample: TwoSampleTest | None = None
    calibration: Calibration | None = None
    certificates: list[Certificate] = field(default_factory=list)
    z_scores: dict[str, dict[str, Real]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    log_prob_tolerance: float = TOLERANCE

    def __post_init__(self) -> None:
        if self.family not in self.divergences:
            raise ValueError("divergences: none of the model's family")

    def first_line(self) -> str:
        """That the model has collapsed, where it has."""
        found = collapse(self.findings)
        return f"COLLAPSED: {self.family} is not what its family claims. {found.says}" if found is not None else ""

    def tables(self) -> list[Table]:
        """Divergences, then the main observables."""
        columns = {
            "validation_loss": "validation loss",
            "kl_target_model": "KL(target‖model)",
            "kl_model_target": "KL(model‖target)",
            "classical_fidelity": "F_c [95 % interval]",
            "total_variation": "total variation",
            "total_variation_bound": "total variation ≥",
            "jensen_shannon_bound": "Jensen–Shannon ≥",
            "marginal_total_variation": "TV of pairs of sites",
        }
        shown = [c for c in columns if any(c in row for row in self.divergences.values())]
        rows = []
        for name, found in self.divergences.items():
            cells = [_cell(found.get(c), interval=c == "classical_fidelity") for c in shown]
            rows.append([name, *cells])
        title = f"Target: {self.target}" if self.target else "Records without a target"
        tables = [Table(f"{title}  (nats per record)", ["distribution", *(columns[c] for c in shown)], rows)]
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

    def remarks(self) -> list[str]:
        """The claims, and what the diagnosis says."""
        return [*self.claims, *self.diagnosis()]

    def diagnosis(self) -> list[str]:
        """What the findings say, warnings marked."""
        return [
            f"Warning: {finding.says}" if finding.severity == Severity.WARNING else finding.says
            for finding in self.findings
        ]


def evaluate(
    run: Run | str | os.PathLike[str],
    *,
    records: str | os.PathLike[str] | None = None,
    save: bool = True,
    progress: Progress | None = None,
    **options: Any,
) -> Evaluation:
    """Judge a run against the exact target of its records, with k-gram baselines and observables.

    Divergences use fresh records of the target and of the model (a quarter for a k-gram), or exact
    sums where there are at most 4**10 possible records. Nothing is judged on records that were trained on.

    Args:
        run: a run, or its folder.
        records: where the run's record file is now, if it has moved.
        save: write `evaluation.json` into the run folder.
        progress: told what is being done.
        options: fields of `Judging`: `samples`, `seed`, `level`, `device`, `allow_estimates`.

    Raises:
        InputError: a damaged or unfinished run, other records, or fewer than 100 samples.

    >>> import qtomo
    >>> path = qtomo.simulate(qtomo.GHZ(3), 300, "ghz.h5")
    >>> run = qtomo.train(path, "run", epochs=1, hidden_size=4)
    >>> 0 < evaluate(run, samples=200).divergences["gru"]["classical_fidelity"].value <= 1
    True
    """
    how = Judging.of(options)
    run = run if isinstance(run, Run) else Run(run)
    progress = Progress.of(progress)
    evidence = Evidence.of(run, records)
    progress.stage("counting k-grams")
    family = str(run.config.model["family"])
    grams = evidence.baselines()
    models: dict[str, KGram | Model] = {**grams, family: run.model}
    drawn = {**draw(grams, how.samples // 4, how.seed), **draw({family: run.model}, how.samples, how.seed)}
    born, divergences, gain = judge(evidence, models, dict.fromkeys(models, evidence.held_out), drawn, how, progress)
    mine, held_out, n_outcomes = drawn[family], evidence.held_out, evidence.povm.n_outcomes
    if run.model.likelihood == "none":
        divergences[family] = _without_likelihood(mine, held_out, n_outcomes, how)
    progress.stage("observables and the model's diagnosis")
    observables = evidence.observables({family: mine}, born.state if born is not None else None, how.level)
    evaluation = Evaluation(
        run=str(run.folder.path),
        target=evidence.target.describe() if evidence.target is not None else "",
        family=family,
        options=how,
        divergences=divergences,
        gain=gain,
        observables=observables,
        two_sample=_told_apart(mine, held_out, n_outcomes, how),
        calibration=calibrate(run.model, held_out, how.level),
        certificates=_certificates(evidence, divergences[family].get("classical_fidelity"), how.level),
        z_scores=_z_scores(observables),
        findings=list(run.model.diagnose(held_out, how.level)),
        made_from=made_from(run),
    )
    evaluation.claims.extend(_claims(evaluation))
    if born is not None and run.model.likelihood == "estimate" and not how.allow_estimates:
        evaluation.claims.append(_REFUSED.format(family=family))
    if save:
        evaluation.save(run.folder.evaluation, overwrite=True)
    return evaluation


def _told_apart(drawn: Outcomes, held_out: Outcomes, n_outcomes: int, how: Judging) -> TwoSampleTest | None:
    """The classifier two-sample test; None where too few records are held out."""
    if len(held_out) < SMALLEST:
        return None
    return classifier_two_sample_test(drawn, held_out, n_outcomes, how.seed, how.level)


def _certificates(evidence: Evidence, fidelity: Estimate | None, level: float) -> list[Certificate]:
    """The measured state's fidelity from below, and that of any state of the model's distribution from above."""
    found = []
    system = evidence.target.system if evidence.target is not None else None
    if system is not None:
        design: Design = "random" if evidence.shots else "povm"
        records = Records.from_labels(evidence.training, evidence.povm, design=design)
        found.extend(energy_witnesses(system, records, level)[-1:])
    if fidelity is not None:
        bound = min(1.0, fidelity.high**2)
        found.append(
            Certificate(
                CertificateKind.CLASSICAL_FIDELITY,
                bound,
                level,
                f"F <= F_c² = {bound:.4f}: a state is refuted by a low one and never certified by a high one",
                [
                    "the outcomes of one measurement tell states apart no better than the states themselves differ",
                    f"F_c's interval holds: {fidelity.method}",
                ],
            )
        )
    return found


def made_from(run: Run) -> dict[str, Sha256]:
    """Checksums of a run's records and of its weights."""
    digest = hashlib.sha256()
    for name, value in sorted(run.model.state_dict().items()):
        digest.update(name.encode() + value.cpu().contiguous().numpy().tobytes())
    return {"records": run.config.records.sha256, "weights": digest.hexdigest()}


def _z_scores(observables: Mapping[str, Estimates]) -> dict[str, dict[str, float]]:
    """By source and observable; empty without exact values."""
    truth = observables.get("exact", {})
    return {
        source: {name: e.z_score(truth[name].value) for name, e in found.items()}
        for source, found in observables.items()
        if source != "exact" and truth
    }


def _without_likelihood(drawn: Outcomes, held_out: Outcomes, n_outcomes: int, how: Judging) -> Estimates:
    """What can be said from records alone: of held-out ones against drawn ones."""
    bounds = divergence_bounds(held_out, drawn, n_outcomes, ("total_variation", "jensen_shannon"), how.seed, how.level)
    found = {f"{name}_bound": bound for name, bound in bounds.items()}
    if drawn.shape[1] > 1:
        found["marginal_total_variation"] = marginal_total_variation(held_out, drawn, n_outcomes, how.seed, how.level)
    return found


def _claims(evaluation: Evaluation) -> list[str]:
    claims = []
    found = evaluation.divergences[evaluation.family]
    fidelity, gain = found.get("classical_fidelity"), evaluation.gain
    if "total_variation_bound" in found:
        claims.append(
            f"{evaluation.family} has no likelihood: no KL and no fidelity can be given, and a lower bound near zero "
            "does not say that its distribution is near. Rare records that it never makes would not show."
        )
    if gain is not None:
        verdict = "better than" if gain.low > 0 else "worse than" if gain.high < 0 else "not distinguishable from"
        claims.append(f"{evaluation.family} is {verdict} the best k-gram: gain {gain} nats per record.")
    if fidelity is not None:
        claims.append(
            f"Classical fidelity of target and {evaluation.family}: {_cell(fidelity, interval=True)}. It refutes a "
            f"state and never certifies one: it allows a quantum fidelity up to F_c² = {fidelity.high**2:.4f} and any "
            "below."
        )
    divergence = found.get("kl_target_model")
    if divergence is not None and divergence.carried_by is not None and divergence.carried_by < _FEW_CARRY:
        claims.append(
            f"KL(target‖{evaluation.family}) depends on few records: {divergence.carried_by} of "
            f"{divergence.n_records:,} carry half of its variance, so its interval is too narrow."
        )
    for source, scores in evaluation.z_scores.items():
        values = np.abs(list(scores.values()))
        if len(values):
            claims.append(
                f"Observables from {source}: largest |z| = {_z(values.max())} over {len(values)} of them "
                f"(about {expected_largest(len(values)):.1f} expected where all are right)."
            )
    return claims


def _z(value: float) -> str:
    return f"{value:.1f}" if math.isfinite(value) else "∞"


def _cell(estimate: Estimate | None, interval: bool = False) -> str:
    if estimate is None:
        return "–"
    return estimate.interval() if interval and estimate.n_records else str(estimate)
