"""What a page says of one or several run folders."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from qtomo.errors import InputError
from qtomo.evaluation.evaluation import Evaluation
from qtomo.records.facts import record_facts
from qtomo.reporting.figures import (
    Judged,
    calibration_figure,
    correlations_figure,
    divergences_figure,
    misfit_map,
    training_figure,
)
from qtomo.reporting.layout import (
    Block,
    Commands,
    Drawing,
    Facts,
    Page,
    Section,
    Side,
    Verdict,
    Words,
    anchor,
    certificate_blocks,
    draw,
)
from qtomo.statistics.estimate import Estimate
from qtomo.statistics.holm import expected_largest
from qtomo.table import Table
from qtomo.training.run import Run
from qtomo.version import __version__

__all__ = ["run_page"]


def run_page(judged: Judged, records: str | os.PathLike[str] | None = None) -> Page:
    """A page of runs by name, each with its evaluation; `records` is where their record file is, if it has moved."""
    title = ", ".join(judged)
    if len(judged) == 1:  # nothing to be told apart from: figures call the model by its family
        judged = {evaluation.family: (run, evaluation) for run, evaluation in judged.values()}
    targets = sorted({evaluation.target or "no target" for _, evaluation in judged.values()})
    sections = [
        Section("verdict", "Verdict", [_each(judged, _verdict), *([_side_by_side(judged)] if len(judged) > 1 else [])]),
        Section("measured", "What was measured", [_same_or_each(judged, partial(_measured, records))]),
        Section("trained", "What was trained", [_each(judged, _trained)]),
        Section("training", "Training", [_training(judged)]),
        Section("distance", "Distance from the target, baselines beside it", _distance(judged)),
        Section("correlations", "Correlations against distance", [_each(judged, _correlations)]),
        Section("map", "Map of sites and bonds", [_each(judged, _map)]),
        Section("calibration", "Calibration of the conditionals", [_each(judged, _calibration)]),
        Section("two-sample", "Two-sample test", [_each(judged, _two_sample)]),
        Section("certificates", "What is certified, and on which assumptions", [_each(judged, _certificates)]),
        Section("again", "How to run it again", [_each(judged, partial(_again, records))]),
    ]
    return Page(f"Report: {title}", f"Target: {'; '.join(targets)}", sections, f"qtomo {__version__}")


def _each(judged: Judged, say: Callable[[str, Run, Evaluation], list[Block]]) -> Side:
    """What there is to say of each run, side by side, under its name where there are several."""
    return Side([(name if len(judged) > 1 else "", say(name, *pair)) for name, pair in judged.items()])


def _same_or_each(judged: Judged, say: Callable[[str, Run, Evaluation], list[Block]]) -> Side:
    """The same, once where it is the same of all."""
    side = _each(judged, say)
    first = side.parts[0][1]
    return Side([("", first)]) if all(blocks == first for _, blocks in side.parts) else side


def _verdict(name: str, run: Run, evaluation: Evaluation) -> list[Block]:
    gain, tested = evaluation.gain, evaluation.two_sample
    tone: Any = "open"
    if gain is not None:
        tone = "good" if gain.low > 0 else "bad" if gain.high < 0 else "open"
        word = {"good": "Learned more than", "bad": "Worse than", "open": "Not distinguishable from"}[tone]
        headline = f"{word} any k-gram, by {gain} nats per record" if gain.low > 0 else f"{word} the best k-gram"
    elif not evaluation.target:
        headline = "No verdict on the state: the records name none"
    else:
        headline = "No verdict by likelihood: this family has none that could be compared"
    if evaluation.first_line():
        tone, headline = "bad", evaluation.first_line()
    claims = []
    kl = evaluation.divergences[evaluation.family].get("kl_target_model")
    if kl is not None:
        claims.append(f"KL(target‖model) = {kl} nats per record: zero would be the target's own distribution.")
    claims += evaluation.remarks()
    if tested is not None:
        claims.append(_told_apart(evaluation))
    if not run.progress.finished:
        epochs = f"{run.progress.epoch} of {run.config.training.epochs} epochs"
        claims.append(f"The training is unfinished ({epochs}): all of this is of its best weights so far.")
    return [Verdict(tone, headline, claims)]


def _told_apart(evaluation: Evaluation) -> str:
    assert evaluation.two_sample is not None
    p_value = evaluation.two_sample.p_value
    accuracy = evaluation.two_sample.accuracy.interval()
    if p_value < 0.01:
        return f"A classifier tells the model's records from held-out ones: accuracy {accuracy}, p = {p_value:.2g}."
    return (
        f"A classifier does not tell the model's records from held-out ones: accuracy {accuracy}, p = {p_value:.2g}. "
        "That refutes nothing and proves nothing."
    )


def _side_by_side(judged: Judged) -> Table:
    rows = []
    for name, (run, evaluation) in judged.items():
        found = evaluation.divergences[evaluation.family]
        scores = [abs(z) for z in evaluation.z_scores.get(evaluation.family, {}).values()]
        tested = evaluation.two_sample
        rows.append(
            [
                name,
                evaluation.family,
                f"{run.model.n_parameters:,}",
                f"{run.progress.epoch}",
                f"{run.progress.seconds:.0f} s",
                _cell(found.get("kl_target_model")),
                _cell(found.get("classical_fidelity")),
                _cell(evaluation.gain),
                f"{max(scores):.1f}" if scores else "–",
                tested.accuracy.interval() if tested else "–",
            ]
        )
    headings = ["run", "family", "parameters", "epochs", "time", "KL(target‖model)", "F_c", "gain over k-grams"]
    return Table("Side by side (nats per record)", [*headings, "worst |z|", "classifier's accuracy"], rows)


def _cell(estimate: Estimate | None) -> str:
    return "–" if estimate is None else str(estimate)


def _measured(records: str | os.PathLike[str] | None, name: str, run: Run, evaluation: Evaluation) -> list[Block]:
    config = run.config.records
    place = os.path.normpath(records or run.folder.path / config.file)
    try:
        with run.open_records(records) as file:
            return [Facts([("file", place), *record_facts(file).items()])]
    except InputError as error:
        facts = [
            ("file", place),
            ("records", f"{config.n_records:,} of {config.n_sites} qubits, {config.n_outcomes} outcomes each"),
            ("state meant", evaluation.target or "none named"),
            ("SHA-256", config.sha256),
        ]
        return [Facts(facts), Words([f"More is not known, because the file cannot be read now: {error}"])]


def _trained(name: str, run: Run, evaluation: Evaluation) -> list[Block]:
    progress, config = run.progress, run.config
    held_out = config.training.n_validation(config.records.n_records)
    likelihood = {
        "exact": "exact", "lower_bound": "a lower bound", "estimate": "an estimate", "none": "none"
    }[run.model.likelihood]  # fmt: skip
    facts = [
        ("family", evaluation.family),
        ("parameters", f"{run.model.n_parameters:,}"),
        ("likelihood", likelihood),
        ("training records", f"{config.records.n_records - held_out:,}, and {held_out:,} held out"),
        ("epochs", f"{progress.epoch} of {config.training.epochs}, {progress.step:,} steps, {progress.seconds:.0f} s"),
        ("best epoch", f"{progress.best_epoch}, held-out loss {progress.best_loss:.4f} {run.model.validation_unit}"),
        ("seed", str(config.training.seed)),
        ("model settings", _settings(config.model)),
        ("training settings", _settings(config.training.model_dump())),
    ]
    return [Facts(facts)]


def _settings(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in values.items() if name not in ("family", "seed"))


def _training(judged: Judged) -> Drawing:
    likely = [run.model.likelihood != "none" for run, _ in judged.values()]
    caption = "Held-out loss after each epoch, 95 % intervals"
    if any(likely) and all(evaluation.target for _, evaluation in judged.values()):
        caption += (
            ", less the exact loss of the same records: an estimate of KL(target‖model). Where it is below zero, which "
            "chance can make it, there is no point"
        )
    caption += ". Dotted: the best k-gram on the same records." if any(likely) else "; the loss is not a likelihood's."
    if any(likely) and not all(likely):
        caption += " Left out: families without a likelihood, whose loss is another quantity."
    return draw("training-curve", caption, lambda: training_figure(judged))


def _distance(judged: Judged) -> list[Block]:
    evaluations = {name: evaluation for name, (_, evaluation) in judged.items()}
    blocks: list[Block] = [_each(judged, lambda _name, _run, evaluation: [evaluation.tables()[0]])]
    if any("kl_target_model" in e.divergences[e.family] for e in evaluations.values()):
        caption = (
            "Both directions of the Kullback–Leibler divergence, and the classical infidelity 1 − F_c, with intervals; "
            "further left is nearer to the target. k-grams of the training records in grey. KL(target‖model) punishes "
            "what the model misses, KL(model‖target) what it invents."
        )
        blocks.append(draw("divergences", caption, lambda: divergences_figure(evaluations)))
    else:
        blocks.append(Words(["No divergence from a target: none is named, or the model has no likelihood for it."]))
    return blocks


def _correlations(name: str, run: Run, evaluation: Evaluation) -> list[Block]:
    if not evaluation.observables:
        return [Words(["The measurement is not informationally complete: it estimates no observables."])]
    caption = (
        "⟨Z_m Z_j⟩ of mid-chain site m and site j to its right: exact where the target is known, in the training "
        "records, and in fresh records of the model. The points are shifted sideways a little to be seen."
    )
    figure = draw(f"correlations-{anchor(name)}", caption, lambda: correlations_figure(evaluation))
    return [figure, *evaluation.tables()[1:]]


def _map(name: str, run: Run, evaluation: Evaluation) -> list[Block]:
    if not evaluation.observables:
        return [Words(["The measurement is not informationally complete: it estimates no observables."])]
    less = "the exact value" if evaluation.target else "that of the records"
    caption = (
        f"⟨X⟩ of each site and ⟨ZZ⟩ of each pair of neighbours, less {less}. Intervals hold for all places of a panel "
        "together: one that leaves the line at zero is off."
    )
    blocks: list[Block] = [draw(f"map-{anchor(name)}", caption, lambda: misfit_map(evaluation))]
    scores = evaluation.z_scores.get(evaluation.family, {})
    if scores:
        worst = sorted(scores.items(), key=lambda item: -abs(item[1]))[:5]
        truth, found = evaluation.observables["exact"], evaluation.observables[evaluation.family]
        rows = [[key, str(truth[key]), str(found[key]), f"{z:+.1f}"] for key, z in worst]
        title = (
            f"Furthest from exact, of {len(scores)} observables (largest |z| about {expected_largest(len(scores)):.1f} "
            "where all are right)"
        )
        blocks.append(Table(title, ["observable", "exact", "model", "z"], rows))
    return blocks


def _calibration(name: str, run: Run, evaluation: Evaluation) -> list[Block]:
    found = evaluation.calibration
    if found is None:
        return [
            Words(
                [f"Not judged for {evaluation.family}: only autoregressive families have conditionals to look at here."]
            )
        ]
    off = [f"{site}" for site, e in enumerate(found.sites) if e.low > 0 or e.high < 0]
    caption = (
        "Held-out records. Above: how often an outcome came that was predicted with some probability, less that "
        "probability, with Wilson's 95 % intervals: one in twenty misses the line by chance. Below: −ln Q of what "
        "came, less what the model expected that to be; above zero it was too sure. These intervals hold for all sites "
        "together."
    )
    words = (
        f"Sites whose conditionals are off: {', '.join(off)}." if off else "No site's conditionals are seen to be off."
    )
    return [draw(f"calibration-{anchor(name)}", caption, lambda: calibration_figure(found)), Words([words])]


def _two_sample(name: str, run: Run, evaluation: Evaluation) -> list[Block]:
    if evaluation.two_sample is None:
        return [Words(["Too few held-out records to tell anything apart by."])]
    accuracy = evaluation.two_sample.accuracy
    rows = [["classifier", accuracy.interval(), f"{evaluation.two_sample.p_value:.2g}", f"{accuracy.n_records:,}"]]
    headings = ["test", "accuracy [interval]", "p", "records it was tested on"]
    return [
        Table("Fresh records of the model against held-out ones; chance is 0.5", headings, rows),
        Words([_told_apart(evaluation)]),
    ]


def _certificates(name: str, run: Run, evaluation: Evaluation) -> list[Block]:
    return certificate_blocks(evaluation.certificates)


def _again(moved: str | os.PathLike[str] | None, name: str, run: Run, evaluation: Evaluation) -> list[Block]:
    folder = str(run.folder.path)
    records = os.path.normpath(moved or run.folder.path / run.config.records.file)
    lines = []
    try:
        with run.open_records(moved) as file:
            if file.command:
                lines.append(f"{file.command} --output {shlex.quote(records)}")
    except InputError:
        pass
    again = shlex.quote(f"{Path(folder)}-again")
    made = evaluation.options
    options = f"--samples {made.samples} --seed {made.seed} --level {made.level}"
    lines += [
        f"qtomo train {shlex.quote(records)} --config {shlex.quote(str(run.folder.config))} --output {again}",
        f"qtomo evaluate {again} {options}{' --allow-estimates' if made.allow_estimates else ''}",
        f"qtomo report {again} --output report.html",
    ]
    return [Commands(lines)]
