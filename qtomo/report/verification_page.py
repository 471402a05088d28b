"""What a page says of a verification."""

from __future__ import annotations

import shlex
from typing import Any

from qtomo import __version__
from qtomo.analysis.estimate import Estimate
from qtomo.analysis.table import Table
from qtomo.analysis.verdict import Verification
from qtomo.report.layout import Block, Commands, Facts, Page, Section, Verdict, Words, certificate_blocks, draw
from qtomo.report.verification_figures import batch_figure, fault_map, outcome_figure, readout_figure

__all__ = ["verification_page"]

_HEADLINES = {
    "consistent": ("good", "Consistent: no test tells the records from the target"),
    "inconsistent": ("bad", "Inconsistent: the records are not of the target"),
    "undecided": ("open", "Undecided: too few records to tell"),
}


def verification_page(found: Verification) -> Page:
    """A page of one verification."""
    sections = [
        Section("verdict", "Verdict", [_verdict(found)]),
        Section("measured", "What was measured", [_measured(found)]),
        Section("tests", "Tests", [found.tables()[0], Words(_READING)]),
        Section("map", "Which qubits and bonds disagree", _map(found)),
        Section("outcomes", "Which outcomes disagree", _outcomes(found)),
        Section("drift", "Drift along the shots", _drift(found)),
        Section("readout", "Readout", _readout(found)),
        Section("certificates", "What is certified, and on which assumptions", certificate_blocks(found.certificates)),
        Section("again", "How to run it again", _again(found)),
    ]
    title = f"Verification: {found.file}"
    return Page(title, f"Target: {found.target}", sections, f"qtomo {__version__}")


_READING = [
    "A small p (Holm) rejects the target: it is corrected for all tests of the table together.",
    "One fault may be seen by the tests of several; the verdict names the one that explains most.",
    "ln E is the logarithm of a likelihood ratio, fault to target: above zero it speaks for the fault.",
]


def _verdict(found: Verification) -> Verdict:
    tone: Any
    tone, headline = _HEADLINES[found.verdict]
    first = found.first_fault
    if first is not None:
        headline += f". First named: {first.name}{f', {first.place}' if first.place else ''}"
    return Verdict(tone, headline, found.claims)


def _measured(found: Verification) -> Facts:
    rows = [("file", found.file), *found.measured.items()]
    if not found.measured:
        rows.append(("records", f"{found.n_records:,} of {len(found.sites)} qubits"))
    rows.append(("state asked for", found.target))
    rows.append(("lost outcomes", f"{100 * found.lost:.3g} %"))
    return Facts(rows)


def _map(found: Verification) -> list[Block]:
    level = f"{100 * found.sites[0].level:g} %" if found.sites else ""
    caption = (
        f"Above, the strength of depolarizing at each qubit, all fitted together; below, ⟨ZZ⟩ of neighbours in the "
        f"records less the target's. {level} intervals hold for all places of a panel together: one that leaves the "
        "line at zero is off. A fault of another kind shows here too, at its qubit and beside it."
    )
    bonds = Words(["⟨ZZ⟩ of neighbours is not mapped: no shots measure it."])
    return [
        draw("fault-map", caption, lambda: fault_map(found)),
        *([] if found.bonds or len(found.sites) < 2 else [bonds]),
        _off("Qubits whose depolarizing is off", "qubit", "strength [interval]", found.sites),
        _off("Bonds whose ⟨ZZ⟩ is off", "between", "records − target [interval]", found.bonds, pairs=True),
    ]


def _off(title: str, place: str, quantity: str, estimates: list[Estimate], pairs: bool = False) -> Block:
    off = [(i, e) for i, e in enumerate(estimates) if e.low > 0 or e.high < 0]
    if not off:
        return Words([f"{title}: none is seen to be."])
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
         for site, estimates in enumerate(found.outcomes) for outcome, e in enumerate(estimates)
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
        "Strength of depolarizing on every qubit, and the mean ln P less that of exact records, batch by batch. "
        "Intervals hold for all batches of a panel together. A drift that leaves both as they are does not show here; "
        "the test below looks at every outcome of every qubit too."
    )
    return [draw("batches", caption, lambda: batch_figure(found.batches)), _tests(found, "drift")]


def _readout(found: Verification) -> list[Block]:
    if not found.readout:
        return [Words(["This measurement has no bits to misread: its elements are not those of bases."])]
    caption = (
        "Probability that a one is read as zero, beyond what the file's POVM says, at each qubit, all fitted together; "
        "intervals hold for all qubits together. Bits misread either way with probability p are depolarizing of 2p: "
        "the same law, which the map above shows. A fault of another kind shows here too, at its qubit and beside it."
    )
    return [
        draw("readout-map", caption, lambda: readout_figure(found)),
        _tests(found, "one read as zero"),
        Words([claim for claim in found.claims if "readout" in claim.lower()]),
    ]


def _tests(found: Verification, start: str) -> Table:
    rows = [
        [t.name, f"{t.adjusted:.2g}", t.statistic, t.place or "–", t.size.interval() if t.size else "–"]
        for t in found.tests
        if t.name.startswith(start)
    ]
    return Table("Its tests", ["test for", "p (Holm)", "statistic", "where", "size [95 %]"], rows)


def _again(found: Verification) -> list[Block]:
    lines = []
    simulated = found.measured.get("command", "")
    if simulated and simulated != "unknown":
        lines.append(f"{simulated} --output {shlex.quote(found.file)}")
    if found.command:
        lines.append(found.command)
    if lines:
        return [Commands(lines)]
    return [Words(["Verified from Python: qtomo.analysis.verification.verify, with the file and target above."])]
