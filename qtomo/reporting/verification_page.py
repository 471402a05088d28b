"""What a page says of a verification."""

from __future__ import annotations

import shlex

from qtomo.reporting.layout import Block, Commands, Facts, Page, Section, Tone, Words, certificate_blocks, draw
from qtomo.reporting.layout import Verdict as VerdictBlock
from qtomo.reporting.verification_figures import batch_figure, budget_figure, fault_map, heat_figure, outcome_figure
from qtomo.statistics.estimate import Estimate
from qtomo.table import Table
from qtomo.verification.checks.base import TestKind
from qtomo.verification.result import Verification
from qtomo.version import __version__

__all__ = ["verification_page"]

_TONES: dict[str, Tone] = {
    "consistent": "good",
    "inconsistent": "bad",
    "undecided": "open",
    "consistent in part": "open",
}


def verification_page(found: Verification) -> Page:
    """A page of one verification."""
    sections = [
        Section("verdict", "Verdict", [_verdict(found)]),
        Section("fidelity", "How near the state is", _near(found)),
        Section("measured", "What was measured", [_measured(found)]),
        Section("map", "Which qubits and bonds disagree", _map(found)),
        Section("tests", "Tests", [*found.tables(everything=True), Words(_READING)]),
        Section("outcomes", "Which outcomes disagree", _outcomes(found)),
        Section("drift", "Drift along the shots", _drift(found)),
        Section("certificates", "What is certified, and on which assumptions", certificate_blocks(found.certificates)),
        Section("again", "How to run it again", _again(found)),
    ]
    title = f"Verification: {found.file}"
    return Page(title, f"Target: {found.target}", sections, f"qtomo {__version__}")


_READING = [
    "A small p (Holm) rejects the target: it is corrected for all tests of the table together.",
    "One fault may be seen by the tests of several; the verdict names those that explain the records.",
    "ln E is the logarithm of a likelihood ratio to the target: above zero it speaks against the target.",
]


def _verdict(found: Verification) -> VerdictBlock:
    return VerdictBlock(
        _TONES[found.verdict], f"{found.verdict.capitalize()}: {found.headline}", [*found.how_near(), *found.claims]
    )


def _measured(found: Verification) -> Facts:
    rows = [("file", found.file), *found.measured.items()]
    if not found.measured:
        rows.append(("records", f"{found.n_records:,} of {len(found.map.sites)} qubits"))
    rows.append(("state asked for", found.target))
    rows.append(("lost outcomes", f"{100 * found.lost:.3g} %"))
    return Facts(rows)


def _near(found: Verification) -> list[Block]:
    rows = [[one.name, one.estimate.interval(), "; ".join(one.assumptions)] for one in found.fidelities]
    table = Table("Fidelity with the target", ["from", f"F [{found.level:.0%}]", "if"], rows)
    blocks: list[Block] = [
        table if rows else Words(["No estimate of the fidelity: the target is mixed, or the settings do not tell it."])
    ]
    budget = found.budget
    if budget is None:
        return blocks
    caption = (
        "Share of the infidelity that each kind of error and each qubit costs, all fitted together, if errors are "
        f"local; bars are {budget.level:.0%} intervals."
    )
    return [*blocks, draw("budget", caption, lambda: budget_figure(budget)), Words(budget.remarks()), *budget.tables()]


def _map(found: Verification) -> list[Block]:
    level = f"{100 * found.map.sites[0].level:g} %" if found.map.sites else ""
    what = found.map.fault.words
    caption = (
        f"Above, the strength of {what} at each qubit, all fitted together; below, ⟨ZZ⟩ of neighbours in the "
        f"records less the target's. {level} intervals hold for all places of a panel together: one that leaves the "
        "line at zero is off."
    )
    heat = (
        "Evidence of each listed fault at each qubit alone, in nats of its log-likelihood ratio to the target, on a "
        "logarithmic scale. A fault of another kind or of several qubits shows here too."
    )
    bonds = Words(["⟨ZZ⟩ of neighbours is not mapped: no shots measure it."])
    return [
        draw("fault-map", caption, lambda: fault_map(found)),
        *([] if found.map.bonds or len(found.map.sites) < 2 else [bonds]),
        draw("heat-map", heat, lambda: heat_figure(found)),
        _off(f"Qubits where {what} is off", "qubit", "strength [interval]", found.map.sites),
        _off("Bonds whose ⟨ZZ⟩ is off", "between", "records − target [interval]", found.map.bonds, pairs=True),
    ]


def _off(title: str, place: str, quantity: str, estimates: list[Estimate], pairs: bool = False) -> Block:
    off = [(i, e) for i, e in enumerate(estimates) if e.low > 0 or e.high < 0]
    if not off:
        return Words([f"{title}: none."])
    off = sorted(off, key=lambda item: -abs(item[1].value / max(item[1].standard_error, 1e-300)))[:10]
    return Table(title, [place, quantity], [[f"{i} and {i + 1}" if pairs else f"{i}", e.interval()] for i, e in off])


def _outcomes(found: Verification) -> list[Block]:
    caption = (
        "Share of each outcome at each site less its exact probability, in standard errors. Purple is too few and "
        "orange too many; + and − mark what leaves an interval that holds for all cells together. Single outcomes may "
        "be right where pairs are wrong. Of shots whose settings are kept, outcome 2b + v is bit v in basis b (X, Y, "
        "Z), and its share is that of the shots in this basis."
    )
    off = sorted(
        ((abs(e.value) / max(e.standard_error, 1e-300), site, outcome, e)
         for site, estimates in enumerate(found.map.outcomes) for outcome, e in enumerate(estimates)
         if e.low > 0 or e.high < 0),
        key=lambda item: -item[0],
    )[:10]  # fmt: skip
    rows = [[f"{site}", f"{outcome}", e.interval()] for _, site, outcome, e in off]
    table = Table("Outcomes that are off, furthest first", ["site", "outcome", "share − exact [interval]"], rows)
    return [
        draw("outcome-map", caption, lambda: outcome_figure(found)),
        table if rows else Words(["Outcomes that are off: none is seen to be."]),
    ]


def _drift(found: Verification) -> list[Block]:
    caption = (
        f"Strength of {found.map.fault.words} on every qubit, and the mean ln P less that of exact records, batch by "
        "batch. Intervals hold for all batches of a panel together. A drift that leaves both as they are does not show "
        "here; the tests below look at every outcome of every qubit too."
    )
    if not found.map.batches:
        return [
            Words(["The order of the shots is not known, so that nothing is said of a drift."]),
            _order_tests(found),
        ]
    return [draw("batches", caption, lambda: batch_figure(found)), _order_tests(found)]


def _order_tests(found: Verification) -> Table:
    kinds = (TestKind.DRIFT, TestKind.FAULT_SETS_IN, TestKind.MEMORY, TestKind.DUPLICATES)
    rows = [[t.name, f"{t.adjusted:.2g}", t.statistic, t.where or "–"] for t in found.tests if t.kind in kinds]
    return Table("Its tests", ["test", "p (Holm)", "found", "where"], rows)


def _again(found: Verification) -> list[Block]:
    lines = []
    simulated = found.measured.get("command", "")
    if simulated and simulated != "unknown":
        lines.append(f"{simulated} --output {shlex.quote(found.file)}")
    if found.command:
        lines.append(found.command)
    if lines:
        return [Commands(lines)]
    return [Words(["Verified from Python: qtomo.verify, with the file and target above."])]
