"""From tests, faults and what the settings can see to a verdict in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain

from qtomo.measurement.bases import as_random_bases
from qtomo.records.coverage import Coverage, coverage
from qtomo.verification.checks.base import Test, TestKind
from qtomo.verification.context import Context
from qtomo.verification.diagnosis import Diagnosis
from qtomo.verification.faults.base import Fault, FaultKind
from qtomo.verification.identifiability import Exclusion, exclusions
from qtomo.verification.result import Verdict

__all__ = ["Findings", "answer"]

_READOUT = (FaultKind.READOUT_0_TO_1, FaultKind.READOUT_1_TO_0)
_MOST_NAMED = 5  # kinds of fault alike, from which a headline counts them
_DEAD = 0.5  # depolarizing from which a quarter of the bits would be misread
_PHASES = (FaultKind.DEPHASING, FaultKind.ROTATION_Z)


@dataclass(frozen=True, eq=False)
class Findings:
    """What a verification found, before it is put into words.

    Args:
        context: the records that were looked at, under the target.
        whole: all of them.
        tests: with Holm's correction.
        diagnosis: where a test rejects.
    """

    context: Context
    whole: Context
    tests: list[Test]
    diagnosis: Diagnosis | None


def answer(found: Findings) -> tuple[Verdict, str, list[str]]:
    """The verdict, its headline, and what the data support in sentences."""
    if found.diagnosis is not None:
        return "inconsistent", _blamed(found, found.diagnosis), [*_inconsistent(found, found.diagnosis), *_rests(found)]
    seen, excluded = coverage(found.context.records), exclusions(found.context)
    unseen = [one for one in excluded if one.status == "unseen"]
    still_open = [one for one in excluded if one.status == "open"]
    smallest = f"smallest adjusted p = {found.tests[0].adjusted:.2g}" if found.tests else "no test could be made"
    claims = [f"No test rejects the target at α = {found.context.options.alpha:g} over all ({smallest})."]
    claims += _exclusion_claims(found, excluded)
    if still_open or not excluded:
        headline = "too few records to call them consistent"
        return "undecided", headline, [*claims, *_needed(found, still_open), *_rests(found)]
    if not seen.complete or unseen:
        return "consistent in part", _in_part(seen, unseen), [*claims, *_unseen(unseen), *_rests(found)]
    limit = found.context.options.resolution
    headline = f"no test rejects the target, and every listed fault of all qubits above {limit:g} is excluded"
    return "consistent", headline, [*claims, *_rests(found)]


def _blamed(found: Findings, diagnosis: Diagnosis) -> str:
    """The headline of an inconsistent verdict: the faults, or that none explains the records."""
    p_value = f"p {_p(found.tests[0].adjusted)}"
    if not diagnosis.faults:
        return f"none of the listed faults explains these records ({p_value})"
    if not diagnosis.explains:
        nearest = diagnosis.faults[0]
        share = f", explains {diagnosis.share:.0%} of what a learned model sees" if diagnosis.share is not None else ""
        place = f" on {nearest.where}" if nearest.where else ""
        return (
            f"none of the listed faults explains these records ({p_value}); the nearest, {nearest.what}{place}{share}"
        )
    alike = {fault.kind for others in diagnosis.tied for fault in others} - {fault.kind for fault in diagnosis.faults}
    if len(alike) >= _MOST_NAMED:
        words = " and ".join(replace(fault, size=None).describe() for fault in diagnosis.faults)
        return (
            f"{words}, or one of {len(alike)} other kinds of fault that these records do not tell from it ({p_value})"
        )
    beside = ", or {}" if len(diagnosis.faults) == 1 else " (or {})"
    named = [
        fault.describe() + (beside.format(_listed(others)) if others else "")
        for fault, others in zip(diagnosis.faults, diagnosis.tied, strict=True)
    ]
    return f"{' and '.join(named)} ({p_value})"


def _inconsistent(found: Findings, diagnosis: Diagnosis) -> Iterator[str]:
    alpha = found.context.options.alpha
    rejecting = [test for test in found.tests if test.rejects(alpha)]
    count = "1 test rejects" if len(rejecting) == 1 else f"{len(rejecting)} tests reject"
    yield f"The records are inconsistent with the target: {count} (family-wise α = {alpha:g})."
    if diagnosis.explains:
        yield "The records do not reject these faults in their turn: no test does of the fitted distribution."
        for fault, others in zip(diagnosis.faults, diagnosis.tied, strict=True):
            if others:
                words = replace(fault, size=None).describe()
                yield f"The records do not tell {words} from {_listed(others)}."
    elif diagnosis.faults:
        worst = diagnosis.rejecting[0]
        yield (
            f"The fitted faults are rejected in their turn ({worst.name}, p {_p(worst.adjusted)}), so no size is "
            "given: something else is wrong, or more than can be told."
        )
    if diagnosis.explains and all(fault.kind in _READOUT for fault in diagnosis.faults):
        yield "The verdict depends on the readout calibration: import the records with --calibration or --confusion."
    elif _reads_bits(found.context) and any(map(_may_be_misread, chain(diagnosis.faults, *diagnosis.tied))):
        yield (
            "Bits misread either way with probability p are depolarizing of 2p: the verdict depends on the readout "
            "calibration."
        )


def _may_be_misread(fault: Fault) -> bool:
    """Whether bits that are misread look like it: not a qubit that is all but dead."""
    return fault.kind == FaultKind.DEPOLARIZING and (fault.size is None or fault.size.low < _DEAD)


def _reads_bits(context: Context) -> bool:
    """Whether outcomes are bits of bases, which may be misread."""
    elements = context.records.povm.site_elements(context.records.n_sites)
    return context.records.has_settings or as_random_bases(elements[0]) is not None


def _listed(faults: list[Fault]) -> str:
    """Other faults in words, those of one kind at several qubits together."""
    by_kind: dict[str, list[Fault]] = {}
    for fault in faults:
        by_kind.setdefault(fault.what, []).append(fault)
    words = []
    for what, members in by_kind.items():
        everywhere = any(fault.sites is None for fault in members)
        sites = sorted({fault.sites[0] for fault in members if fault.sites and len(fault.sites) == 1})
        places = [_one_of(sites)] if sites else []
        places += [fault.where for fault in members if fault.sites and len(fault.sites) > 1]
        if everywhere and members[0].where:
            places.append("every qubit")
        words.append(f"{what} on {' or on '.join(places)}" if places else what)
    return "; ".join(words)


def _one_of(sites: list[int]) -> str:
    """One of some qubits, in order; several that follow each other by their ends."""
    if len(sites) == 1:
        return f"qubit {sites[0]}"
    if len(sites) > 3 and sites[-1] - sites[0] == len(sites) - 1:
        return f"one of qubits {sites[0]} to {sites[-1]}"
    return f"one of qubits {', '.join(map(str, sites))}"


def _exclusion_claims(found: Findings, excluded: list[Exclusion]) -> Iterator[str]:
    partly = {one.kind for one in excluded if one.status in ("open", "unseen")}  # as an angle of one sign
    out = list(dict.fromkeys(x.kind.words for x in excluded if x.status == "excluded" and x.kind not in partly))
    if out:
        limit = found.context.options.resolution
        yield (
            f"Excluded on every qubit alike at {1 - found.context.options.alpha:.0%} (guaranteed), from a strength of "
            f"{limit:g} on: {', '.join(out)}."
        )


def _needed(found: Findings, still_open: list[Exclusion]) -> Iterator[str]:
    names = ", ".join(dict.fromkeys(one.kind.words for one in still_open))
    if names:
        needed = max((one.records_needed or 0 for one in still_open), default=0)
        more = f" About {needed:,} records would tell." if needed else ""
        yield f"Not excluded at a strength of {found.context.options.resolution:g}: {names}.{more}"


def _in_part(seen: Coverage, unseen: list[Exclusion]) -> str:
    where = f"in {seen.words}" if seen.words else "in the settings measured alone"
    kinds = {one.kind for one in unseen}
    if kinds & set(_PHASES):
        return f"no test rejects the target, {where}: phases were not seen"
    if kinds:
        names = ", ".join(sorted(kind.words for kind in kinds))
        return f"no test rejects the target, {where}: {names} would not be seen"
    return f"no test rejects the target, {where}"


def _unseen(unseen: list[Exclusion]) -> Iterator[str]:
    if unseen:
        names = ", ".join(dict.fromkeys(one.kind.words for one in unseen))
        yield f"Not seen in these settings, however large: {names}. Measure in more bases to call the state consistent."


def _rests(found: Findings) -> Iterator[str]:
    """What all of it rests on, and what was left out."""
    records, looked = found.whole.records, found.context.records
    if len(looked) < len(records):
        yield f"{len(looked):,} of the {len(records):,} records were looked at, drawn at random, to fit into memory."
    if records.looks_sorted:
        yield "The rows are sorted, as counts are: nothing is said of their order in time."
    elif not records.ordered and "time" not in records.columns:
        yield "The order of the shots is not known: nothing is said of a drift."
    if records.lost.any():
        yield "Assumed: an outcome is lost whatever it would have been."
    skipped = "" if any(test.kind == TestKind.LEARNED for test in found.tests) else " No alternative was learned."
    yield (
        "Assumed: shots independent and identically distributed, each qubit measured as the file's POVM says. A fault "
        f"that no test looks for is not excluded.{skipped}"
    )


def _p(value: float) -> str:
    return f"= {value:.2g}" if value >= 1e-99 else "< 1e-99"
