"""Did the laboratory prepare the state? Records against an exact target: a verdict, and no more than they support."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from qtomo.distribution import Outcomes
from qtomo.errors import Code, InputError
from qtomo.observables.fidelity.base import SHOTS_ALIKE, Fidelity, FidelityKind
from qtomo.observables.fidelity.registry import fidelities
from qtomo.progress import Progress
from qtomo.records.facts import record_facts
from qtomo.records.file.reader import RecordFile
from qtomo.records.file.schema import Target, TargetLike
from qtomo.records.records import Records, checked_records
from qtomo.states.state import State
from qtomo.verification.budget.budget import error_budget, no_budget
from qtomo.verification.certificates import Certifying, certificates
from qtomo.verification.checks.base import Test, adjusted
from qtomo.verification.checks.registry import CHECKS
from qtomo.verification.checks.targets import learned as learned_check
from qtomo.verification.context import Context, Options
from qtomo.verification.diagnosis import Diagnosis, diagnose
from qtomo.verification.faults import relabellings
from qtomo.verification.faults.base import Fault, FaultKind
from qtomo.verification.faults.local import LOCAL_KINDS
from qtomo.verification.fidelity import disagreement, fidelity_asked
from qtomo.verification.hypothesis import Hypothesis
from qtomo.verification.learned import Learned, check_alternative, learned_ratios
from qtomo.verification.readout import fitted_readout
from qtomo.verification.result import Maps, Verification
from qtomo.verification.site_map import batch_map, bond_map, heat_map, outcome_map, site_map
from qtomo.verification.verdict import Findings, answer

__all__ = ["better_labelling", "labelling_note", "tested", "verification_path", "verify"]

_BUDGET = 2_000_000  # outcomes, up to which a budget is fitted unasked
_LOCAL = ["errors are of one qubit each, and of the kinds that the budget fits"]
_WEIGHTS = 2**29  # bytes of local likelihoods that are held at once


def verification_path(records: str | os.PathLike[str]) -> Path:
    """Where the verdict on a record file is written: beside it."""
    path = Path(records)
    return path.with_name(f"{path.stem}.verification.json")


def verify(
    records: Records | str | os.PathLike[str],
    target: TargetLike | None = None,
    *,
    alpha: float = 0.01,
    level: float = 0.95,
    alternative: str = "auto",
    resolution: float = 0.05,
    parity_run: str | os.PathLike[str] | None = None,
    n_reference: int = 20_000,
    seed: int = 0,
    device: str = "cpu",
    save: bool | None = None,
    output: str | os.PathLike[str] | None = None,
    command: str = "",
    budget: bool | None = None,
    progress: Progress | None = None,
) -> Verification:
    """Ask whether records are of a target state; of a file, write the answer beside it.

    Args:
        records: a record file, or `Records`.
        target: what was meant to be prepared; the records' own target where not given.
        alpha: probability that records of the target are called inconsistent, over all tests together.
        level: confidence of intervals and bounds.
        alternative: what is learned from half of the records for the likelihood ratio on the other half: `auto` (the
            best of k-grams, and from 10,000 whole records on a GRU), `kgram`, a family of the registry with exact
            likelihood, or `none`.
        resolution: strength of a fault of every qubit that a consistent verdict must exclude.
        parity_run: a file of shots of all qubits in basis X, which refine the fidelity bound.
        n_reference: exact records that are drawn for comparison.
        seed: of all randomness.
        device: `cpu`, `cuda` or `auto`.
        save: write the answer as JSON; by default where the records are a file.
        output: where, `NAME.verification.json` beside the records if not given.
        budget: fit an error budget; if not given, where there are records enough and it takes little time.
        command: how to ask again, kept with the answer.
        progress: told what is being done.

    Raises:
        InputError: a bad file, no target, a target of other size, or options out of range.

    >>> import numpy as np
    >>> bits = np.random.default_rng(0).integers(0, 2, (300, 1))
    >>> shots = Records(np.repeat(bits, 2, axis=1), settings=np.full((300, 2), 2))
    >>> from qtomo import GHZ
    >>> verify(shots, GHZ(2)).headline
    'no test rejects the target, in Z alone: phases were not seen'
    """
    told = Progress.of(progress)
    options = _checked(Options(alpha, level, resolution, alternative, n_reference, seed, device, budget, told))
    given, facts = _given(records)
    meant, state = _meant(given, target)
    context = Context(given, Hypothesis.of(state, given.povm, meant.system, device), options)
    parity_bits, checksums = _parity_bits(parity_run, given)
    found = _verified(context, parity_bits)
    made_from = {"records": given.sha256, **checksums}
    found = replace(found, target=meant.describe(), measured=facts, command=command, made_from=made_from)
    if save if save is not None else not isinstance(records, Records):
        found.save(Path(output) if output is not None else verification_path(given.name), overwrite=True)
    return found


def _meant(records: Records, target: TargetLike | None) -> tuple[Target, State]:
    """The target of records and its state, once sure that they can be held against it."""
    meant = Target.of(target, n_sites=records.n_sites) if target is not None else records.target
    if meant is None:
        raise InputError(
            Code.REQUIRED, f"{records.name}: names no target: say which state was meant to be prepared (--target)"
        )
    if not len(records):
        raise InputError(Code.TOO_FEW, f"{records.name}: no records, expected at least one")
    if records.lost.all():
        raise InputError(Code.UNMEASURED, f"{records.name}: every outcome is lost, so that nothing was measured")
    state = meant.state()
    if state.n_sites != records.n_sites:
        raise InputError(
            Code.MISMATCH, f"{records.name}: records of {records.n_sites} qubits, the target has {state.n_sites}"
        )
    return meant, state


def better_labelling(records: Records, target: Target) -> Fault | None:
    """A relabelling of all records, as of the order of their bits, that fits the target far better than they do as
    they are; None where there is none, or the target has another number of qubits.

    Their order in time is not looked at.
    """
    state = target.state()
    if state.n_sites != records.n_sites:
        return None
    return relabellings.better_labelling(Context(records, Hypothesis.of(state, records.povm, target.system)))


def labelling_note(records: Records, target: Target) -> str | None:
    """What to tell a person whose records fit their target far better under another labelling; None where none does.

    `import_records(..., check=labelling_note)` asks it, as `qtomo import` does.

    >>> import numpy as np
    >>> from qtomo import GHZ, BornDistribution
    >>> drawn = BornDistribution(GHZ(3).state(), "pauli4").sample(200, np.random.default_rng(0))
    >>> labelling_note(Records(drawn), Target.of(GHZ(3))) is None
    True
    """
    better = better_labelling(records, target)
    if better is None:
        return None
    return f"another labelling fits the target far better: {better.describe()}; check before you rely"


def _checked(options: Options) -> Options:
    for name, value in (("alpha", options.alpha), ("resolution", options.resolution)):
        if not 0 < value <= 0.5:
            raise InputError(Code.VALUE, f"{name} is {value:g}, expected more than 0 and at most 0.5")
    if not 0.5 <= options.level < 1:
        raise InputError(Code.VALUE, f"level is {options.level:g}, expected a confidence from 0.5 to less than 1")
    if options.n_reference < 1000:
        raise InputError(Code.VALUE, f"{options.n_reference} exact records to compare with, expected at least 1000")
    check_alternative(options.alternative)
    return options


def _given(records: Records | str | os.PathLike[str]) -> tuple[Records, dict[str, str]]:
    """The records, and what their file says of itself."""
    if isinstance(records, Records | np.ndarray):
        return checked_records(records, "verify"), {}
    with RecordFile(records) as file:
        return file.records(), record_facts(file)


def _verified(context: Context, parity_bits: Outcomes | None) -> Verification:
    """The whole verification of records in memory."""
    whole, options = context, context.options
    declared = _bounded(context)
    context, tests, learned = tested(declared)
    rejecting = [test for test in tests if test.rejects(options.alpha)]
    diagnosis = diagnose(context, learned, declared) if rejecting else None
    options.progress.stage("fidelity")
    asked = fidelity_asked(context)
    everything = whole.records.measured_by(context.hypothesis.povm)
    found = fidelities(replace(asked, records=everything)) if asked is not None else []
    budget = error_budget(context) if _budgeted(context) else None
    if budget is not None and budget.is_informative:
        found.append(Fidelity(FidelityKind.BUDGET, budget.fidelity, [SHOTS_ALIKE, *_LOCAL]))
    options.progress.stage("maps and bounds")
    mapped = _mapped(diagnosis)
    findings = Findings(context, whole, tests, diagnosis)
    verdict, headline, claims = answer(findings)
    claims += disagreement(found)
    return Verification(
        file=context.records.name,
        target="",
        verdict=verdict,
        headline=headline,
        alpha=options.alpha,
        level=options.level,
        resolution=options.resolution,
        n_records=len(whole.records),
        faults=diagnosis.faults if diagnosis else [],
        tied=diagnosis.tied if diagnosis else [],
        explains=bool(diagnosis and diagnosis.explains),
        share=diagnosis.share if diagnosis else None,
        tests=tests,
        fidelities=found,
        budget=budget,
        certificates=certificates(Certifying(context, asked, learned, parity_bits)),
        map=Maps(
            mapped,
            site_map(context, mapped),
            heat_map(context),
            bond_map(context),
            outcome_map(context),
            batch_map(context, mapped),
        ),
        claims=claims,
        lost=float(whole.records.lost.mean()),
    )


def _budgeted(context: Context) -> bool:
    """Whether an error budget is fitted."""
    asked, n_outcomes = context.options.budget, len(context.records) * context.records.n_sites
    if asked is None:
        asked = n_outcomes <= _BUDGET
    return asked and no_budget(context) is None


def tested(context: Context) -> tuple[Context, list[Test], Learned | None]:
    """The records under the target with its readout as fitted, all tests with Holm's correction, and what was
    learned.
    """
    stage = context.options.progress.stage
    context, tests = fitted_readout(context)
    for what, checks in CHECKS.items():
        stage(what)
        for check in checks:
            tests += check(context)
    stage("an alternative learned from each half of the records")
    learned = learned_ratios(context)
    tests += learned_check(context, learned)
    return context, adjusted(tests), learned


def _bounded(context: Context) -> Context:
    """As many records, drawn at random, as local likelihoods fit into memory for."""
    most = _WEIGHTS // (16 * context.records.n_sites)
    if len(context.rows) <= most:
        return context
    return context.part(most, "within memory")


def _mapped(diagnosis: Diagnosis | None) -> FaultKind:
    """The kind of the first fault that has a strength at each qubit; depolarizing where there is none."""
    for fault in diagnosis.faults if diagnosis else ():
        if fault.kind in LOCAL_KINDS:
            return fault.kind
    return FaultKind.DEPOLARIZING


def _parity_bits(path: str | os.PathLike[str] | None, records: Records) -> tuple[Outcomes | None, dict[str, str]]:
    """Bits of shots of all qubits in basis X, of a file of their own or those among the records; its checksum."""
    if path is None:
        if not records.has_settings:
            return None, {}
        rows = (records.shot_settings == 0).all(axis=1)
        return (records.outcomes[rows] if rows.sum() > 30 else None), {}
    with RecordFile(path) as file:
        if file.n_sites != records.n_sites or not file.has_settings:
            raise InputError(
                Code.MISMATCH, f"{file.path}: expected shots with settings of {records.n_sites} qubits, all in basis X"
            )
        shots = file.records()
        wrong = np.argwhere(shots.shot_settings != 0)
        if len(wrong):
            raise InputError(
                Code.VALUE,
                f"{file.path}: /settings, row {wrong[0][0]}, site {wrong[0][1]}: expected basis X throughout",
            )
        return shots.outcomes, {"parity_run": shots.sha256}
