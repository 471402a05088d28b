"""Runs of any family on the same records, and k-grams, in one table."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from qtomo.distribution import Likelihood
from qtomo.errors import Code, InputError
from qtomo.evaluation.evaluation import made_from
from qtomo.evaluation.judging import BASELINES, TOLERANCE, Evidence, Judging, draw, judge
from qtomo.models.base import Model
from qtomo.models.baselines import KGram
from qtomo.models.findings import Finding, FindingKind, collapse
from qtomo.progress import Progress
from qtomo.results import Real, Result, Sha256, stating
from qtomo.statistics.estimate import Estimate
from qtomo.statistics.holm import expected_largest
from qtomo.statistics.two_sample import TwoSampleTest, classifier_two_sample_test
from qtomo.table import Table
from qtomo.training.run import Run

__all__ = ["Comparison", "Entry", "compare_runs"]

#: What stands before a number that is not the quantity itself.
MARKS: dict[Likelihood, str] = {"exact": "", "lower_bound": "≤ ", "estimate": "≈ ", "none": ""}
#: Findings that have a column, where any entry has them.
_COLUMNS = (FindingKind.LATENTS_IN_USE, FindingKind.GAIN_OVER_DECODER)


@dataclass(frozen=True)
class Entry:
    """What a comparison says of one distribution.

    Args:
        family: the model's family.
        likelihood: what its likelihood is: a lower bound makes upper bounds of its loss and divergence.
        divergences: as `Evaluation.divergences` has them, by name.
        z_scores: (estimate - exact)/standard error of each observable; empty without a target.
        two_sample: fresh records of it against held-out ones.
        n_parameters: trained or counted numbers.
        seconds: time of training; None for a k-gram.
        findings: the model's diagnosis on the records that it held out; empty where its family has none.
    """

    family: str
    likelihood: Likelihood
    divergences: dict[str, Estimate]
    z_scores: dict[str, Real]
    two_sample: TwoSampleTest
    n_parameters: int
    seconds: float | None
    findings: list[Finding] = field(default_factory=list)

    _stated = stating("worst_z")

    @property
    def worst_z(self) -> float | None:
        """Largest |z| of the observables."""
        return max(map(abs, self.z_scores.values()), default=None)


@dataclass(frozen=True)
class Comparison(Result, format="qtomo-comparison", version=1):
    """Distributions side by side. Prints as a table; `to_dict` has everything.

    Args:
        target: the exact state, in words; empty where the records name none.
        entries: by name, the k-grams first.
        notes: what a reader of the table must know.
        log_prob_tolerance: largest error of the target's log-probability, in nats per record.

    Raises:
        ValueError: no entries.

    >>> Comparison.format
    'qtomo-comparison'
    """

    target: str
    entries: dict[str, Entry]
    notes: list[str]
    log_prob_tolerance: float = TOLERANCE

    def __post_init__(self) -> None:
        if not self.entries:
            raise ValueError("entries: none, expected at least one")

    @property
    def measure(self) -> str:
        """The divergence that the table shows first: KL where there is a target, the held-out loss otherwise."""
        return "kl_target_model" if self.target else "validation_loss"

    def first_line(self) -> str:
        """Which models have collapsed, where any has."""
        collapsed = [name for name, entry in self.entries.items() if collapse(entry.findings) is not None]
        return f"COLLAPSED, and not what their family claims: {', '.join(collapsed)}." if collapsed else ""

    def table(self) -> Table:
        """One row a distribution."""
        first = "KL(target‖model)" if self.target else "held-out loss"
        headings = [
            "distribution",
            first,
            "F_c [interval]",
            "worst |z|",
            "C2ST accuracy [interval]",
            "time",
            "parameters",
        ]
        diagnosed = [kind for kind in _COLUMNS if any(_found(entry, kind) for entry in self.entries.values())]
        rows = []
        for name, entry in self.entries.items():
            divergence, fidelity = entry.divergences.get(self.measure), entry.divergences.get("classical_fidelity")
            rows.append(
                [
                    name if entry.family == name else f"{name} ({entry.family})",
                    "–" if divergence is None else f"{MARKS[entry.likelihood]}{divergence}",
                    "–" if fidelity is None else fidelity.interval() if fidelity.n_records else str(fidelity),
                    "–" if entry.worst_z is None else f"{entry.worst_z:.1f}",
                    entry.two_sample.accuracy.interval(),
                    "–" if entry.seconds is None else f"{entry.seconds:.0f} s",
                    f"{entry.n_parameters:,}",
                    *(str(_found(entry, kind) or "–") for kind in diagnosed),
                ]
            )
        title = f"Target: {self.target}" if self.target else "Records without a target"
        return Table(f"{title}  (nats per record)", [*headings, *(kind.words for kind in diagnosed)], rows)

    def tables(self) -> list[Table]:
        """The table of `table`."""
        return [self.table()]

    def remarks(self) -> list[str]:
        """The notes."""
        return self.notes


def compare_runs(
    runs: Sequence[Run | str | os.PathLike[str]],
    *,
    records: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Comparison:
    """Judge runs that were trained on the same records, with k-grams of these records beside them.

    Every run is judged as `evaluate` does, on the same fresh records of the target; what a run has held out, it is
    tested on. The k-grams learn from the training records of the first run.

    Args:
        runs: runs, or their folders.
        records: where the record file is now, if it has moved.
        progress: told what is being done.
        options: fields of `Judging`: `samples` (a quarter is scored of a k-gram's), `seed`, `level`, `device`,
            `allow_estimates`.

    Raises:
        InputError: no run, one given twice, damaged ones, runs of other records, or fewer than 100 samples.
    """
    how = Judging.of(options)
    progress = Progress.of(progress)
    by_name = _named([run if isinstance(run, Run) else Run(run) for run in runs])
    evidence = Evidence.of(next(iter(by_name.values())), records)
    held_out = {name: Evidence.of(run, records).held_out for name, run in by_name.items()}
    progress.stage("counting k-grams")
    grams = evidence.baselines()
    models: dict[str, KGram | Model] = {**grams, **{name: run.model for name, run in by_name.items()}}
    held_out = {name: held_out.get(name, evidence.held_out) for name in models}
    progress.stage("drawing records of every model")
    drawn = draw(models, how.samples, how.seed)
    scored = {**drawn, **draw(grams, how.samples // 4, how.seed)}
    born, divergences, _ = judge(evidence, models, held_out, scored, how, progress)
    progress.stage("observables")
    observables = evidence.observables(drawn, born.state if born is not None else None, how.level)
    truth = observables.get("exact", {})
    entries = {}
    for name, model in models.items():
        progress.stage(f"classifier two-sample test of {name} and held-out records")
        run = by_name.get(name)
        found = observables.get(name, {})
        entries[name] = Entry(
            family=str(run.config.model["family"]) if run else name,
            likelihood=model.likelihood,
            divergences=divergences[name],
            z_scores={key: found[key].z_score(e.value) for key, e in truth.items()},
            two_sample=classifier_two_sample_test(drawn[name], held_out[name], model.n_outcomes, how.seed, how.level),
            n_parameters=model.n_parameters,
            seconds=run.progress.seconds if run else None,
            findings=list(run.model.diagnose(held_out[name], how.level)) if run else [],
        )
    target = evidence.target.describe() if evidence.target is not None else ""
    return Comparison(target, entries, _notes(entries, bool(target), len(truth), how), made_from=_checksums(by_name))


def _found(entry: Entry, kind: FindingKind) -> Finding | None:
    return next((finding for finding in entry.findings if finding.kind == kind), None)


def _checksums(runs: Mapping[str, Run]) -> dict[str, Sha256]:
    """Of the records, and of each run's weights."""
    found = {name: made_from(run) for name, run in runs.items()}
    weights = {f"weights of {name}": checksums["weights"] for name, checksums in found.items()}
    return {"records": next(iter(found.values()))["records"], **weights}


def _named(runs: list[Run]) -> dict[str, Run]:
    """Runs by the name of their folder, or by its path where that name is taken."""
    if not runs:
        raise InputError(Code.TOO_FEW, "no run to compare, expected at least one")
    paths = [run.folder.path.absolute() for run in runs]
    named: dict[str, Run] = {}
    for run, path in zip(runs, paths, strict=True):
        if paths.count(path) > 1:
            raise InputError(Code.CONFLICT, f"{run.folder.path}: given twice")
        of_run, of_first = run.config.records, runs[0].config.records
        if of_run.sha256 != of_first.sha256:
            raise InputError(
                Code.MISMATCH,
                f"{run.folder.path}: trained on other records ({of_run.file}, SHA-256 {of_run.sha256[:12]}…) than "
                f"{runs[0].folder.path} ({of_first.file}, {of_first.sha256[:12]}…), expected runs of the same records",
            )
        reserved = path.name in ("exact", "records", *BASELINES)
        taken = reserved or [other.name for other in paths].count(path.name) > 1
        named[str(run.folder.path) if taken else path.name] = run
    return named


def _notes(entries: dict[str, Entry], with_target: bool, n_observables: int, how: Judging) -> list[str]:
    kinds = {entry.likelihood for entry in entries.values()}
    notes = [
        f"Intervals at {100 * how.level:g} %. C2ST: accuracy of a classifier of fresh and held-out ones; 0.5 is chance."
    ]
    if n_observables:
        expected = expected_largest(n_observables)
        notes.append(f"Largest |z| of {n_observables} observables: about {expected:.1f} expected where all are right.")
    if "lower_bound" in kinds:
        notes.append("≤: an upper bound, from a lower bound on the likelihood.")
    estimated = [name for name, entry in entries.items() if entry.likelihood == "estimate"]
    if estimated and (how.allow_estimates or not with_target):
        notes.append("≈: from an estimated likelihood, whose normalisation is part of the error.")
    elif estimated:
        notes.append(
            f"KL(target‖model) is refused for {', '.join(estimated)}: only an estimate of the likelihood stands. "
            "Ask for it with --allow-estimates."
        )
    without = [name for name, entry in entries.items() if entry.likelihood == "none"]
    if without:
        notes.append(f"No likelihood, and so no divergence: {', '.join(without)}.")
    return notes
