"""Did the laboratory prepare the state? Records against an exact target: a verdict, and no more than they support."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from qtomo.analysis import hypothesis
from qtomo.analysis.alternatives import KGRAM, fitted_fault, half_ratios, learn
from qtomo.analysis.certificates import energy_witness, kl_lower_bound
from qtomo.analysis.estimate import Estimate
from qtomo.analysis.faults import Law, Scores
from qtomo.analysis.hypothesis import Test
from qtomo.analysis.maps import batch_map, outcome_map
from qtomo.analysis.observables import estimate_observables, exact_value, pauli
from qtomo.analysis.two_sample import classifier_two_sample_test
from qtomo.analysis.verdict import Verdict, Verification
from qtomo.distribution import LOST, Outcomes
from qtomo.errors import InputError
from qtomo.files import write_atomic
from qtomo.records import RecordFile, Target
from qtomo.records.facts import record_facts
from qtomo.seeds import stream
from qtomo.states import State, System

__all__ = ["verification_path", "verify", "verify_records"]

Say = Callable[[str], None]
Progress = Callable[[int, int], None]

_RELABELLED = 10_000  # records that are enough to see qubits exchanged
_LARGE = 10_000  # records from which a network is learned as the alternative
_SHOTS_TO_DRIFT = 200
_RESOLUTION = 0.05
_READOUT = "one read as zero"


def verification_path(records: str | os.PathLike[str]) -> Path:
    """Where the verdict on a record file is written: beside it."""
    path = Path(records)
    return path.with_name(f"{path.stem}.verification.json")


def verify(
    records: str | os.PathLike[str],
    target: System | State | None = None,
    level: float = 0.01,
    alternative: str = "auto",
    certificate_level: float = 0.95,
    resolution: float = _RESOLUTION,
    parity_records: str | os.PathLike[str] | None = None,
    n_reference: int = 20_000,
    seed: int = 0,
    device: str = "cpu",
    save: bool = True,
    output: str | os.PathLike[str] | None = None,
    command: str = "",
    say: Say | None = None,
    progress: Progress | None = None,
) -> Verification:
    """Ask whether the records of a file are of a target state, and write the answer beside them.

    Args:
        records: a record file.
        target: what was meant to be prepared; the file's own target where not given.
        level: of all tests together: probability that records of the target are called inconsistent.
        alternative: what is learned from half of the records for the split likelihood ratio: `kgram`, a family of
            the registry with exact likelihood, `none`, or `auto` (a GRU from 10,000 records on).
        certificate_level: confidence of the bounds.
        resolution: strength of depolarizing of every qubit that a consistent verdict must exclude.
        parity_records: a file of shots of all qubits in basis X, which refine the fidelity bound.
        n_reference: exact records that the tests are calibrated with.
        seed: of all randomness.
        device: `cpu`, `cuda` or `auto`.
        save: write the answer as JSON.
        output: where, `NAME.verification.json` beside the records if not given.
        command: how to ask again, kept with the answer.
        say: called with a line about what is being done.
        progress: called as progress(done, total) over the scoring.

    Raises:
        InputError: a bad file, no target, a target of other size, or options out of range.
    """
    with RecordFile(records) as file:
        outcomes = file.load(lost=True)
        wanted = Target.of(target) if target is not None else file.target
        if wanted is None:
            raise InputError(f"{file.path}: names no target: say which state was meant to be prepared (--target)")
        settings = file.settings() if file.design is not None else None
        columns, facts = file.columns(), record_facts(file)
        povm, path, design = file.povm, file.path, file.design
    state = wanted.state()
    if state.n_sites != outcomes.shape[1]:
        raise InputError(f"{path}: records of {outcomes.shape[1]} qubits, the target has {state.n_sites}")
    found = verify_records(
        outcomes,
        Law(state, povm, wanted.system, device=device),
        settings=settings,
        learnable=design != "fixed",
        columns=columns,
        level=level,
        alternative=alternative,
        certificate_level=certificate_level,
        resolution=resolution,
        parity_bits=_parity_bits(parity_records, outcomes.shape[1], outcomes, settings),
        n_reference=n_reference,
        seed=seed,
        names=(str(path), wanted.describe()),
        say=say,
        progress=progress,
    )
    found = replace(found, measured=facts, command=command)
    if save:
        write_atomic(
            Path(output) if output is not None else verification_path(path),
            json.dumps(found.to_dict(), indent=1) + "\n",
        )
    return found


def verify_records(
    outcomes: Outcomes,
    law: Law,
    settings: Outcomes | None = None,
    learnable: bool = True,
    columns: dict[str, Any] | None = None,
    level: float = 0.01,
    alternative: str = "auto",
    certificate_level: float = 0.95,
    resolution: float = _RESOLUTION,
    parity_bits: Outcomes | None = None,
    reference: Scores | None = None,
    n_reference: int = 20_000,
    n_classified: int = 20_000,
    seed: int = 0,
    names: tuple[str, str] = ("records", "the target"),
    say: Say | None = None,
    progress: Progress | None = None,
) -> Verification:
    """As `verify`, of outcomes in memory (n, n_sites), 255 where lost, against a law.

    `n_classified` records at most of each set train and test the classifier; `reference` are scores of exact records
    of the same law and settings, where they are at hand; `learnable` says whether a model of all outcomes may be the
    alternative, which a fixed list of settings does not allow.

    Raises:
        InputError: fewer than 50 records, or options out of range.
    """
    if len(outcomes) < 50:
        raise InputError(f"{names[0]}: {len(outcomes)} records, expected at least 50 to say anything")
    for name, value in (("level", level), ("1 - certificate level", 1 - certificate_level), ("resolution", resolution)):
        if not 0 < value <= 0.5:
            raise InputError(f"{name} is {value:g}, expected more than 0 and at most 0.5")
    if n_reference < 1000:
        raise InputError(f"{n_reference} exact records to calibrate with, expected at least 1000")
    say = say or (lambda _line: None)
    lost = outcomes == LOST
    total = len(outcomes) + (0 if reference is not None else n_reference)

    def tell(before: int) -> Callable[[int], None]:
        return lambda done: progress(before + done, total) if progress else None

    first = min(len(outcomes), _RELABELLED)
    gross = law.scores(outcomes[:first], relabelled=True, progress=tell(0))
    parts = [Scores(gross.log_prob, gross.sites, gross.shifts)]
    if first < len(outcomes):
        parts.append(law.scores(outcomes[first:], progress=tell(first)))
    data = Scores.joined(parts)
    if reference is None:
        rng = stream(seed, "verify reference")
        like = rng.integers(0, len(outcomes), n_reference)
        exact = law.sample_like(outcomes[like], settings[like] if settings is not None else None, rng)
        reference = law.scores(exact, progress=tell(len(outcomes)))
    tests = [hypothesis.forbidden(data), hypothesis.goodness_of_fit(data, reference)]
    for name in law.local_faults:
        tests.append(hypothesis.fault_everywhere(name, data, reference, certificate_level))
        tests.append(hypothesis.fault_at_a_site(name, data, reference, certificate_level))
    tests += [hypothesis.shifted_parameter(name, data, reference, certificate_level) for name in law.parameters]
    tests += [hypothesis.relabelled(name, gross) for name in gross.moved]
    say("drift along the shots")
    possible = np.isfinite(data.log_prob)
    features = {"ln P": np.where(possible, data.log_prob, data.log_prob[possible].min(initial=0.0))}
    features |= {f"{name} everywhere": found.sum(axis=1) for name, found in data.sites.items()}
    features |= {f"depolarizing of qubit {i}": column for i, column in enumerate(data.sites["depolarizing"].T)}
    order = np.argsort(columns["time"], kind="stable") if columns and "time" in columns else np.arange(len(outcomes))
    rng = stream(seed, "verify drift")
    if settings is None or learnable:
        tests.append(hypothesis.drift(features, outcomes, order, rng))
    else:
        tests.append(_drift_within_settings(features, outcomes, order, settings, rng))
    say("classifier against exact records")
    tests.append(_classifier_test(outcomes, lost, law, settings, n_classified, seed))
    ratios, notes = {}, []
    fitted = half_ratios(data, outcomes, lambda rows: fitted_fault(law, data, rows), seed)
    if fitted is not None:
        ratios["the fitted fault"] = fitted
    family = ("gru" if len(outcomes) >= _LARGE else KGRAM) if alternative == "auto" else alternative
    if family != "none" and (lost.any() or not learnable):
        notes.append(f"No {family} was learned: it needs whole records in uniformly random bases.")
    elif family != "none":
        say(f"learning a {family} from each half of the records")
        learned = half_ratios(data, outcomes, lambda rows: learn(family, outcomes[rows], law.born.povm, seed), seed)
        assert learned is not None
        ratios[f"a {family}"] = learned
    tests += [hypothesis.split_likelihood_ratio(found, name) for name, found in ratios.items()]
    tests = hypothesis.holm(tests)
    certificates = [kl_lower_bound({name: found[0] for name, found in ratios.items()}, certificate_level)]
    if law.system is not None:
        try:
            witness = energy_witness(
                law.system, outcomes, law.born.povm, certificate_level, settings is not None, parity_bits
            )
        except InputError as error:
            witness = None
            notes.append(f"No bound on the fidelity: {error}.")
        certificates = [*([witness] if witness else []), *certificates]
    rejected = [test for test in tests if test.adjusted <= level]
    named = max((test for test in rejected if test.fault), key=lambda test: test.evidence, default=None)
    everywhere = next(test for test in tests if test.name == "depolarizing on every qubit")
    assert everywhere.size is not None
    limit = everywhere.size.value + float(stats.norm.ppf(1 - level)) * everywhere.size.standard_error
    verdict: Verdict = "inconsistent" if rejected else "consistent" if limit < resolution else "undecided"
    return Verification(
        file=names[0],
        target=names[1],
        verdict=verdict,
        first_fault=named,
        level=level,
        resolution=resolution,
        n_records=len(outcomes),
        tests=tests,
        certificates=certificates,
        sites=_site_map(data, reference, certificate_level),
        bonds=_bond_map(outcomes, law, certificate_level, settings is not None),
        claims=[*_claims(verdict, named, rejected, limit, level, law, len(outcomes)), *notes],
        readout=_site_map(data, reference, certificate_level, _READOUT) if _READOUT in data.sites else [],
        outcomes=outcome_map(outcomes, law, certificate_level, settings is not None),
        batches=batch_map(data, reference, order, columns, certificate_level, not learnable),
        lost=float(lost.mean()),
    )


def _drift_within_settings(
    features: dict[str, Any], outcomes: Outcomes, order: Any, settings: Outcomes, generator: np.random.Generator
) -> Test:
    """The drift test in each setting that has enough shots, the smallest p-value of all (Bonferroni)."""
    _, group = np.unique(settings, axis=0, return_inverse=True)
    found = []
    for index in np.flatnonzero(np.bincount(group) >= _SHOTS_TO_DRIFT):
        found.append(hypothesis.drift(features, outcomes, order[group[order] == index], generator))
    if not found:
        return Test("drift along the shots", 1.0, 0.0, f"no setting has {_SHOTS_TO_DRIFT} shots")
    best = min(found, key=lambda test: test.p_value)
    evidence = best.evidence - float(np.log(len(found)))
    return replace(best, p_value=min(1.0, len(found) * best.p_value), evidence=evidence)


def _parity_bits(
    path: str | os.PathLike[str] | None, n_sites: int, outcomes: Outcomes, settings: Outcomes | None
) -> Outcomes | None:
    """Bits of shots of all qubits in basis X: of a file of their own, or those among the records."""
    if path is None:
        if settings is None:
            return None
        rows = (settings == 0).all(axis=1)
        return np.where(outcomes[rows] == LOST, LOST, outcomes[rows] % 2).astype(np.uint8) if rows.sum() > 30 else None
    with RecordFile(path) as file:
        if file.n_sites != n_sites or file.design is None:
            raise InputError(f"{file.path}: expected shots with settings of {n_sites} qubits, all in basis X")
        labels, bases = file.load(lost=True), file.settings()
        wrong = np.argwhere(bases != 0)
        if len(wrong):
            raise InputError(
                f"{file.path}: /settings, row {wrong[0][0]}, site {wrong[0][1]}: expected basis X throughout"
            )
        return np.where(labels == LOST, LOST, labels % 2).astype(np.uint8)


def _classifier_test(outcomes: Outcomes, lost: Any, law: Law, settings: Outcomes | None, most: int, seed: int) -> Test:
    """Two-sample test between records and as many exact ones, with the same outcomes lost."""
    rng = stream(seed, "verify classifier")
    rows = rng.permutation(len(outcomes))
    if settings is None and not lost.any():
        rows = like = rows[:most]
    else:  # no exact record in the settings of a record that it is told from: the classifier would learn these
        size = min(most, len(rows) // 2)
        rows, like = rows[:size], rows[size : 2 * size]
    exact = law.sample_like(outcomes[like], settings[like] if settings is not None else None, rng)
    k = law.born.n_outcomes
    mine = np.where(lost[rows], k, outcomes[rows]).astype(np.uint8)
    theirs = np.where(lost[like], k, exact).astype(np.uint8)
    found = classifier_two_sample_test(mine, theirs, k + bool(lost.any()), seed)
    text = f"accuracy {found.accuracy}"
    return Test("what a classifier sees", found.p_value, 0.0, text, size=None, fault=False)


def _site_map(data: Scores, reference: Scores, level: float, fault: str = "depolarizing") -> list[Estimate]:
    """A fault at each qubit, all fitted together by one Newton step; intervals that hold together (Bonferroni).

    For a fault of one qubit its likelihood is linear in the strength, so that the step is right at any strength.
    """
    scores, exact = data.sites[fault], reference.sites[fault]
    n, n_sites = scores.shape
    inverse = np.linalg.pinv(np.cov(exact, rowvar=False).reshape(n_sites, n_sites), rcond=1e-10, hermitian=True)
    values = inverse @ scores.mean(axis=0)
    errors = np.sqrt(np.where(np.diag(inverse) > 0, np.diag(inverse), np.inf) / n)
    reach = float(stats.norm.ppf(1 - (1 - level) / (2 * n_sites)))
    method = "maximum likelihood of all qubits together by one step, simultaneous Fisher intervals"
    return [
        Estimate(value, error, value - reach * error, value + reach * error, level, n, method)
        for value, error in zip(values.tolist(), errors.tolist(), strict=True)
    ]


def _bond_map(outcomes: Outcomes, law: Law, level: float, given_settings: bool) -> list[Estimate]:
    """<Z_i Z_i+1> of the records minus the target's, with intervals that hold together (Bonferroni)."""
    wanted = [pauli(f"Z{i} Z{i + 1}") for i in range(law.n_sites - 1)]
    if not wanted or not (law.born.povm.is_complete or given_settings):
        return []
    try:
        each = 1 - (1 - level) / len(wanted)
        found = estimate_observables(wanted, outcomes, law.born.povm, each, given_settings)
    except InputError:
        return []  # some pair was never measured together
    shifts = [exact_value(observable, law.born.state) for observable in wanted]
    return [
        replace(e, value=e.value - x, low=e.low - x, high=e.high - x, level=level, method=f"{e.method}, simultaneous")
        for e, x in zip((found[observable.name] for observable in wanted), shifts, strict=True)
    ]


def _claims(
    verdict: Verdict, named: Test | None, rejected: list[Test], limit: float, level: float, law: Law, n: int
) -> list[str]:
    claims = []
    if verdict == "inconsistent":
        claims.append(
            f"The {n:,} records are not of the target in this measurement: {len(rejected)} tests say so at "
            f"{level:g} for all together."
        )
        if named is not None:
            size = f", of strength {named.size.interval()}" if named.size else ""
            place = f" ({named.place})" if named.place else ""
            claims.append(f"The fault that explains most: {named.name}{place}{size}.")
            if named.name == "depolarizing on every qubit" and named.size is not None and _READOUT in law.local_faults:
                claims.append(
                    f"The verdict hangs on the readout: bits misread either way with probability "
                    f"{named.size.value / 2:.3g} are the same law. Calibrate it before the state is blamed."
                )
            elif named.name.startswith(_READOUT):
                claims.append(
                    "The verdict hangs on the readout, which may be all that is wrong: import the records with its "
                    "confusion."
                )
    else:
        claims.append(f"No test rejects the target at {level:g} for all together.")
        claims.append(
            f"Depolarizing of every qubit by more than {limit:.3g} is excluded at {1 - level:.0%}; a fault that no "
            "test here looks for is not."
        )
        if verdict == "undecided":
            claims.append("That is too little to call the records consistent: more are needed.")
    claims.append("All of it rests on the file's POVM: a readout error that is not in it counts as a fault.")
    return claims
