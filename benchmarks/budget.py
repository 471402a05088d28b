"""How often do the intervals of an error budget hold the truth, and does its test of fit keep its level?

    python benchmarks/budget.py tfim10 --sets 100 --output tfim10.jsonl
    python benchmarks/budget.py tfim20 --sets 30 --output tfim20.jsonl
    python benchmarks/budget.py tfim50 --sets 1 --output tfim50.jsonl
    python benchmarks/budget.py width50 --sets 1 --output width50.jsonl
    python benchmarks/budget.py ghz10 --sets 50 --output ghz10.jsonl
    python benchmarks/budget.py w10 --sets 50 --output w10.jsonl
    python benchmarks/budget.py crosstalk10 --sets 50 --output crosstalk10.jsonl

Shots in random bases of a state with errors of four kinds, one kind per qubit in turn (depolarizing, dephasing,
amplitude damping, readout), at ten rates from 0.005 to 0.03; 10,000 calibration shots of |0...0> and as many of
|1...1>. `crosstalk` adds an error that two neighbours make together, a product of two Paulis drawn at random, with
probability 0.03. `width50` predicts the half-width of F from the information of 4,000 shots. Runs, resumes and writes
as every study does (`benchmarks/studies.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from studies import Result, Studies, command, rate
from verification import ALPHA, LEVEL, target

from qtomo.measurement.calibration import Calibration
from qtomo.measurement.povm import PAULIS, POVM, named_povm
from qtomo.measurement.readout import with_bit_confusion
from qtomo.records.records import Records
from qtomo.seeds import stream
from qtomo.states.mps import MPS
from qtomo.verification.budget.budget import KINDS, error_budget
from qtomo.verification.budget.costs import Costs
from qtomo.verification.budget.fidelity import Fidelity
from qtomo.verification.budget.fitting import evaluated
from qtomo.verification.budget.model import READOUT, ErrorModel
from qtomo.verification.budget.reading import Reading
from qtomo.verification.context import Context, Options
from qtomo.verification.faults.base import FaultKind
from qtomo.verification.hypothesis import Hypothesis

TURNS = (FaultKind.DEPOLARIZING, FaultKind.DEPHASING, FaultKind.AMPLITUDE_DAMPING, FaultKind.READOUT_0_TO_1)
RATES = np.linspace(0.005, 0.03, 10)
CALIBRATION = 10_000
PAIR_ERROR = 0.03


def _model(hypothesis: Hypothesis) -> ErrorModel:
    n = hypothesis.n_sites
    empty = Records(np.zeros((1, n), np.uint8), "pauli6", settings=np.zeros((1, n), np.uint8))
    return ErrorModel.of(Context(empty, hypothesis), KINDS)


def _truth(model: ErrorModel) -> np.ndarray:
    """Strengths of all errors: a kind per qubit in turn; a bit is misread either way."""
    whole = np.zeros(model.n_parameters)
    theta = model.local(whole)
    for site in range(model.n_sites):
        kind = TURNS[site % len(TURNS)]
        for one in READOUT if kind in READOUT else (kind,):
            theta[model.kinds.index(one), site] = RATES[(3 * site) % len(RATES)]
    return whole


def _with_pair_error(hypothesis: Hypothesis, rng: np.random.Generator) -> tuple[Hypothesis, list[Any]]:
    """Two neighbours that are hit together by two Paulis in a share of the shots."""
    first = int(rng.integers(hypothesis.n_sites - 1))
    letters = str(rng.choice(list("XYZ"))) + str(rng.choice(list("XYZ")))

    def change(povm: POVM) -> POVM:
        elements = np.array(povm.site_elements(hypothesis.n_sites))
        for site, letter in zip((first, first + 1), letters, strict=True):
            elements[site] = PAULIS[letter] @ elements[site] @ PAULIS[letter]
        return POVM(elements, povm.name)

    return hypothesis.mixed(PAIR_ERROR, hypothesis.measured(change)), [letters, first]


def _laboratory(
    model: ErrorModel,
    theta: np.ndarray,
    shots: int,
    rng: np.random.Generator,
    change: Callable[[Hypothesis], Hypothesis] = lambda law: law,
) -> Records:
    """Shots in random bases with errors of the model, and others, with calibration shots of the readout errors."""
    n_sites = model.n_sites
    settings = rng.integers(0, 3, (shots, n_sites), dtype=np.uint8)
    law = change(model.under(theta))
    drawn = law.sample_like(Records(np.zeros_like(settings), "pauli6", settings=settings), rng)
    flips = model.local(theta)[-2:].T
    calibration = Calibration(rng.binomial(CALIBRATION, flips), np.full(flips.shape, CALIBRATION))
    povm = with_bit_confusion(named_povm("pauli6"), calibration.confusion, n_sites)
    return Records(drawn.outcomes, povm, settings=settings, design="random", calibration=calibration)


def width(index: int, n_sites: int, shots: int, scored: int) -> Result:
    """The half-width of F that so many shots would give: from the information of fewer, at the true strengths."""
    rng = stream(index, f"width {n_sites}")
    state, system = target("tfim 1", n_sites)
    assert isinstance(state, MPS)
    started = time.monotonic()
    model = _model(Hypothesis.of(state, named_povm("pauli6"), system))
    theta = _truth(model)
    records = _laboratory(model, theta, scored, rng)
    context = Context(records, Hypothesis.of(state, records.povm, system), Options(ALPHA, LEVEL, seed=index))
    model = ErrorModel.of(context, KINDS)
    fit = evaluated(context, model, theta)
    prior = np.diag(model.prior(theta)[2])
    information = prior + (fit.information - prior) * shots / scored
    there = replace(fit, information=information, gradient=np.zeros_like(fit.gradient))
    costs = Costs(Reading(model, there, LEVEL), state)
    return {
        "N": n_sites,
        "shots": shots,
        "F": _held(costs.fidelity(), Fidelity(state)(model.transfer(theta))),
        "kinds": {
            cost.kind.value: _held(cost.infidelity, cost.infidelity.value) for cost in costs.by_kind() if cost.kind
        },
        "seconds": time.monotonic() - started,
    }


def report_width(found: list[Result]) -> None:
    """Half-widths."""
    for r in found:
        for name, (value, _, low, high, _) in {"F": r["F"], **r["kinds"]}.items():
            print(f"  {name:20} {value:.4f}, half-width {(high - low) / 2:.4f}")


def budget(index: int, name: str, n_sites: int, shots: int, crosstalk: bool = False) -> Result:
    """One data set: what is estimated beside what is true."""
    rng = stream(index, f"budget {name} {n_sites} {crosstalk}")
    state, system = target(name, n_sites)
    assert isinstance(state, MPS)
    model = _model(Hypothesis.of(state, named_povm("pauli6"), system))
    theta = _truth(model)
    pair: list[Any] = []

    def hit(law: Hypothesis) -> Hypothesis:
        law, pair[:] = _with_pair_error(law, rng)
        return law

    records = _laboratory(model, theta, shots, rng, hit if crosstalk else lambda law: law)
    context = Context(records, Hypothesis.of(state, records.povm, system), Options(ALPHA, LEVEL, seed=index))
    started = time.monotonic()
    found = error_budget(context)
    seconds = time.monotonic() - started
    assert found is not None
    fidelity = Fidelity(state)

    def alone(kind: FaultKind) -> float:
        return 1 - fidelity(model.transfer(model.only(theta, [kind])))

    strengths = [entry.strength for entry in found.entries]
    covered = [one.low <= true <= one.high for one, true in zip(strengths, theta, strict=True)]
    return {
        "N": n_sites,
        "shots": shots,
        "F": _held(found.fidelity, fidelity(model.transfer(theta))),
        "kinds": {cost.kind.value: _held(cost.infidelity, alone(cost.kind)) for cost in found.kinds if cost.kind},
        "entries": [int(sum(covered)), len(covered)],
        "p": {test.kind.value: float(f"{test.p_value:.3g}") for test in found.tests},
        "rejected": not found.fits,
        "pair": pair,
        "crosstalk": list(found.crosstalk),
        "tied": [tied.description for tied in found.tied],
        "seconds": seconds,
    }


def _held(estimate: Any, true: float) -> list[float]:
    """Value, standard error, interval, truth, all rounded."""
    values = (estimate.value, estimate.standard_error, estimate.low, estimate.high, true)
    return [float(f"{value:.6g}") for value in values]


def report(found: list[Result]) -> None:
    """How often intervals hold the truth, and the test rejects."""

    def line(name: str, held: list[list[float]]) -> None:
        values, _, lows, highs, true = np.array(held).T
        hits = int(((lows <= true + 1e-9) & (true - 1e-9 <= highs)).sum())
        bias, scatter = (values - true).mean(), (values - true).std()
        width = (highs - lows).mean() / 2
        print(
            f"  {name:20} {rate(hits, len(held))}; true {true.mean():.4f}, bias {bias:+.4f}, scatter {scatter:.4f}, "
            f"half-width {width:.4f}"
        )

    line("F", [r["F"] for r in found])
    for kind in found[0]["kinds"]:
        line(kind, [r["kinds"][kind] for r in found])
    print(f"  each strength        {rate(sum(r['entries'][0] for r in found), sum(r['entries'][1] for r in found))}")
    print(f"  fit rejected         {rate(sum(r['rejected'] for r in found), len(found))} at α = {ALPHA}")
    for kind in found[0]["p"]:
        small = sum(r["p"].get(kind, 1.0) <= 0.05 for r in found)
        print(f"    {kind}, p <= 0.05: {rate(small, len(found))}")
    if found[0]["pair"]:
        named = sum(r["rejected"] and r["crosstalk"][:2] == [r["pair"][1], r["pair"][1] + 1] for r in found)
        print(f"  and the pair named   {rate(named, len(found))}")
        for letters in sorted({r["pair"][0] for r in found}):
            some = [r for r in found if r["pair"][0] == letters]
            print(f"    {letters}: {rate(sum(r['rejected'] for r in some), len(some))}")


def _study(name: str, n_sites: int, shots: int, crosstalk: bool = False) -> Callable[[int], Result]:
    return partial(budget, name=name, n_sites=n_sites, shots=shots, crosstalk=crosstalk)


STUDIES: Studies = {
    "tfim10": (_study("tfim 1", 10, 20_000), report),
    "tfim20": (_study("tfim 1", 20, 40_000), report),
    "tfim50": (_study("tfim 1", 50, 100_000), report),
    "width50": (partial(width, n_sites=50, shots=100_000, scored=4_000), report_width),
    "ghz10": (_study("ghz", 10, 20_000), report),
    "w10": (_study("w", 10, 20_000), report),
    "crosstalk10": (_study("tfim 1", 10, 40_000, True), report),
    "crosstalk20": (_study("tfim 1", 20, 40_000, True), report),
}


if __name__ == "__main__":
    command(STUDIES)()
