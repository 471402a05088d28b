"""The answer to "did we prepare the state?": a verdict, what explains it, its tests and bounds, as tables and as
JSON.
"""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass, field
from html import escape
from typing import Annotated, Literal

from pydantic import Field

from qtomo.observables.certificates.base import GUARANTEES, Certificate
from qtomo.observables.fidelity.base import Fidelity
from qtomo.results import Level, Probability, Result
from qtomo.statistics.estimate import Estimate
from qtomo.table import Table
from qtomo.verification.budget.result import Budget
from qtomo.verification.checks.base import Test
from qtomo.verification.faults.base import Fault, FaultKind
from qtomo.verification.site_map import Batch, HeatMap

__all__ = ["Maps", "Verdict", "Verification"]

_WIDTH = 80
_LONGEST = 34  # characters of a fault in a table
_SHOWN = 8  # rejecting tests

Verdict = Literal["consistent", "consistent in part", "inconsistent", "undecided"]


@dataclass(frozen=True)
class Maps:
    """Where records and target disagree.

    Args:
        fault: whose strength at each qubit is mapped.
        sites: its strength at each qubit, all fitted together, simultaneous intervals.
        heat: each local fault at each qubit alone.
        bonds: <Z_i Z_i+1> minus the target's, simultaneous intervals; empty where not measured.
        outcomes: share less exact probability of each outcome at each site.
        batches: along the shots.

    Raises:
        ValueError: maps of different numbers of qubits.
    """

    fault: FaultKind
    sites: list[Estimate]
    heat: HeatMap
    bonds: list[Estimate]
    outcomes: list[list[Estimate]]
    batches: list[Batch]

    def __post_init__(self) -> None:
        n_sites = len(self.sites)
        columns = self.heat.strengths.shape[1] if self.heat.kinds else n_sites
        if (len(self.outcomes), columns) != (n_sites, n_sites):
            raise ValueError(
                f"{n_sites} sites, {columns} columns of heat, {len(self.outcomes)} sites of outcomes, expected as many "
                "of each"
            )
        if self.bonds and len(self.bonds) != n_sites - 1:
            raise ValueError(f"{len(self.bonds)} bonds, expected none or {n_sites - 1}")
        if len({len(site) for site in self.outcomes}) > 1:
            raise ValueError("outcomes of different lengths, expected as many at each site")


@dataclass(frozen=True)
class Verification(Result, format="qtomo-verification", version=1):
    """What a verification found. Prints as tables; `to_dict` has everything.

    Args:
        file: the records.
        target: the target, in words.
        verdict: `inconsistent` where a test rejects at the overall error rate; `consistent` where none does and every
            listed fault of all qubits at `resolution` is excluded; `consistent in part` where the settings measured
            exclude all that they can see and cannot see all; else `undecided`.
        headline: the answer in one sentence.
        alpha: error rate of all tests together.
        level: confidence of intervals and bounds.
        resolution: strength of a fault of every qubit that a consistent verdict excludes.
        n_records: how many.
        faults: what explains the records, where they are inconsistent; with intervals if `explains`.
        tied: for each of them, others that the records do not tell from it.
        explains: whether the records do not reject these faults in their turn.
        share: of what the learned alternative sees that the faults explain, where that can be told.
        tests: by p-value, with Holm's correction.
        certificates: bounds on fidelity and misfit.
        budget: all local errors of all qubits fitted together, and what each costs; None where it was not fitted.
        fidelities: estimates of the fidelity with a pure target, that of the smallest standard error first.
        map: where records and target disagree.
        claims: what the data support, in sentences.
        lost: share of outcomes that were lost.
        measured: what the record file says of itself, by name.
        command: how to verify again, where known.

    Raises:
        ValueError: not one list of ties per fault.

    >>> Verification.format
    'qtomo-verification'
    """

    file: str
    target: str
    verdict: Verdict
    headline: str
    alpha: Level
    level: Level
    resolution: float
    n_records: int
    faults: list[Fault]
    tied: list[list[Fault]]
    explains: bool
    share: Annotated[float | None, Field(alias="explained_share")]
    tests: list[Test]
    certificates: list[Certificate]
    map: Maps
    claims: list[str]
    lost: Annotated[Probability, Field(alias="lost_share")] = 0.0
    measured: dict[str, str] = field(default_factory=dict)
    command: str = ""
    fidelities: list[Fidelity] = field(default_factory=list)
    budget: Budget | None = None

    def __post_init__(self) -> None:
        if len(self.tied) != len(self.faults):
            raise ValueError(f"tied has {len(self.tied)} lists, expected one per fault, {len(self.faults)}")

    @property
    def rejecting(self) -> list[Test]:
        """The tests that reject."""
        return [test for test in self.tests if test.rejects(self.alpha)]

    @property
    def fidelity(self) -> Fidelity | None:
        """The best estimate: model-free where there is one."""
        return min(self.fidelities, key=lambda one: (not one.is_model_free, one.estimate.standard_error), default=None)

    @property
    def fidelity_bound(self) -> Certificate | None:
        """The best bound of the fidelity from below: guaranteed where there is one that says anything."""
        told = [one for one in self.certificates if one.bounds_fidelity and one.informative]
        return max(told, key=lambda one: (one.guarantee == "finite-sample", one.value), default=None)

    def how_near(self) -> list[str]:
        """The best estimate of the fidelity and the best bound, in words."""
        words, found, bound = [], self.fidelity, self.fidelity_bound
        if found is not None:
            how = "model-free" if found.is_model_free else "of a model"
            words.append(f"F = {found.estimate} ({how}: {found.name})")
        if bound is not None:
            value = math.floor(1000 * bound.value) / 1000
            words.append(f"F ≥ {value:.3f} at {self.level:.0%} ({GUARANTEES[bound.guarantee]}: {bound.name})")
        lost = self.budget.lost_to() if self.budget is not None else ""
        return [*words, f"Lost to, if errors are local: {lost}"] if lost else words

    def tables(self, everything: bool = False) -> list[Table]:
        """The faults found, and the tests that reject or all."""
        tables = []
        if self.faults:
            rows = [
                [_short(fault), fault.where or "–", fault.size.interval() if fault.size and self.explains else "–"]
                for fault in self.faults
            ]
            title = "What explains the records" if self.explains else "The nearest of the listed faults"
            tables.append(Table(title, ["fault", "where", f"size [{self.level:.0%}]"], rows))
        rejecting = self.rejecting
        shown = self.tests if everything else rejecting[:_SHOWN]
        rows = [[test.name, _p(test.adjusted), test.statistic, test.where or "–"] for test in shown]
        others = len(self.tests) - len(rejecting)
        some = f"{len(shown)} of {len(rejecting)}; {others} do not; --all" if len(shown) < len(rejecting) else ""
        title = "Tests" if everything else f"Tests that reject ({some or f'{others} others do not'})"
        if rows:
            tables.append(Table(title, ["test", "p (Holm)", "found", "where"], rows))
        return tables

    def bounds(self) -> list[str]:
        """What the certificates say."""
        return [f"{certificate.name}: {certificate.says}" for certificate in self.certificates]

    def __str__(self) -> str:
        return self.text()

    def text(self, everything: bool = False) -> str:
        """The verdict, what explains it, and what supports it."""
        claims = "\n".join(_wrapped(f"• {claim}", "  ") for claim in self.claims)
        head = _wrapped(f"{self.verdict.upper()}: {self.headline}")
        subject = _wrapped(f"{self.file}: {self.n_records:,} records against {self.target}")
        tables = (str(table) for table in self.tables(everything))
        bounds = "\n".join(_wrapped(f"• {bound}", "  ") for bound in self.bounds())
        near = "\n".join(_wrapped(line, "  ") for line in self.how_near())
        return "\n\n".join(
            [head, *([near] if near else []), subject, *tables, *([f"Certified:\n{bounds}"] if bounds else []), claims]
        )

    def _repr_html_(self) -> str:
        items = "".join(f"<li>{escape(claim)}</li>" for claim in [*self.how_near(), *self.bounds(), *self.claims])
        tables = "".join(table._repr_html_() for table in self.tables())
        return f"<p><b>{self.verdict}</b>: {escape(self.headline)}</p>{tables}<ul>{items}</ul>"


def _short(fault: Fault) -> str:
    """What it is, without a variant that would break the line."""
    return fault.what if len(fault.what) <= _LONGEST else fault.kind.words


def _wrapped(text: str, indent: str = "") -> str:
    return "\n".join(textwrap.wrap(text, _WIDTH, subsequent_indent=indent, break_long_words=False))


def _p(value: float) -> str:
    return f"{value:.2g}" if value >= 1e-99 else "< 1e-99"
