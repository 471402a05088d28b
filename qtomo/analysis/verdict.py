"""The answer to "did we prepare the state?": a verdict, its tests and bounds, as tables and as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from typing import Any, Literal

from qtomo import __version__
from qtomo.analysis.certificates import Certificate
from qtomo.analysis.estimate import Estimate
from qtomo.analysis.hypothesis import Test
from qtomo.analysis.maps import Batch
from qtomo.analysis.table import Table

__all__ = ["Verdict", "Verification"]

Verdict = Literal["consistent", "inconsistent", "undecided"]


@dataclass(frozen=True)
class Verification:
    """What a verification found. Prints as tables; `to_dict` has everything.

    Args:
        file: the records.
        target: the target, in words.
        verdict: `inconsistent` where a test rejects at the overall level; `consistent` where none does and the records
            exclude depolarizing of every qubit at `resolution`; else `undecided`.
        first_fault: the named fault of most evidence, where inconsistent.
        level: of all tests together.
        resolution: strength of depolarizing of every qubit that a consistent verdict excludes.
        n_records: how many.
        tests: by p-value, with Holm's correction.
        certificates: bounds on fidelity and misfit.
        sites: strength of depolarizing at each qubit, intervals that hold together.
        bonds: <Z_i Z_i+1> minus the target's, intervals that hold together; empty where not measured.
        claims: what the data support, in sentences.
        readout: strength of "one read as zero" at each qubit, intervals that hold together; empty where the measurement
            has no bits to misread.
        outcomes: share less exact probability of each outcome at each site; see `qtomo.analysis.maps`.
        batches: along the shots.
        lost: share of outcomes that were lost.
        measured: what the record file says of itself, by name.
        command: how to verify again, where known.
    """

    file: str
    target: str
    verdict: Verdict
    first_fault: Test | None
    level: float
    resolution: float
    n_records: int
    tests: list[Test]
    certificates: list[Certificate]
    sites: list[Estimate]
    bonds: list[Estimate]
    claims: list[str]
    readout: list[Estimate] = field(default_factory=list)
    outcomes: list[list[Estimate]] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)
    lost: float = 0.0
    measured: dict[str, str] = field(default_factory=dict)
    command: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain values for JSON."""
        return {
            "creator": f"qtomo {__version__}",
            "file": self.file,
            "target": self.target,
            "verdict": self.verdict,
            "rejected": self.verdict == "inconsistent",
            "undecided": self.verdict == "undecided",
            "first_fault": self.first_fault.to_dict() if self.first_fault else None,
            "level": self.level,
            "resolution": self.resolution,
            "n_records": self.n_records,
            "tests": [test.to_dict() for test in self.tests],
            "certificates": [certificate.to_dict() for certificate in self.certificates],
            "map": {
                "quantity": "strength of depolarizing at each qubit; <ZZ> of neighbours minus the target's",
                "sites": [estimate.to_dict() for estimate in self.sites],
                "bonds": [estimate.to_dict() for estimate in self.bonds],
                "readout": [estimate.to_dict() for estimate in self.readout],
                "outcomes": [[estimate.to_dict() for estimate in site] for site in self.outcomes],
                "batches": [batch.to_dict() for batch in self.batches],
            },
            "lost_share": self.lost,
            "measured": self.measured,
            "command": self.command,
            "claims": self.claims,
        }

    def tables(self) -> list[Table]:
        """The tests, then the certificates."""
        rows = [
            [
                test.name,
                "rejects" if test.adjusted <= self.level else "–",
                _p(test.adjusted),
                _p(test.p_value),
                test.statistic,
                test.place or "–",
                test.size.interval() if test.size else "–",
            ]
            for test in self.tests
        ]
        columns = ["test for", f"at {self.level:g}", "p (Holm)", "p alone", "statistic", "where", "size [95 %]"]
        bounds = [[c.name, f"{c.level:.0%}", c.says] for c in self.certificates]
        return [
            Table(f"{self.file}: {self.n_records:,} records against {self.target}", columns, rows),
            Table("What the records certify", ["bound", "confidence", "says"], bounds),
        ]

    def __str__(self) -> str:
        claims = "\n".join(f"• {claim}" for claim in self.claims)
        return "\n\n".join([f"Verdict: {self.verdict.upper()}", *(str(table) for table in self.tables()), claims])

    def _repr_html_(self) -> str:
        items = "".join(f"<li>{escape(claim)}</li>" for claim in self.claims)
        tables = "".join(table._repr_html_() for table in self.tables())
        return f"<p>Verdict: <b>{self.verdict}</b></p>{tables}<ul>{items}</ul>"


def _p(value: float) -> str:
    return f"{value:.2g}" if value >= 1e-99 else "< 1e-99"
