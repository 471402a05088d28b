"""What a trained model's diagnosis says of it: typed measures, each with its error, and whether the family works."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from qtomo.statistics.estimate import Estimate
from qtomo.worded import Worded

__all__ = ["Finding", "FindingKind", "Severity", "collapse"]


class FindingKind(Worded):
    """What is measured; a family adds what only it has."""

    LATENTS_IN_USE = "latents-in-use", "latents in use"
    ACTIVE_UNITS = "active-units", "active units"
    POSTERIOR_KL = "posterior-kl", "KL(q(z|a)‖p(z))"
    MUTUAL_INFORMATION = "mutual-information", "mutual information of record and latents"
    TOTAL_CORRELATION = "total-correlation", "total correlation of the latents"
    DIMENSION_WISE_KL = "dimension-wise-kl", "KL of each latent's distribution from its prior, summed"
    INFERENCE_GAIN = "inference-gain", "gain of inferred noise over another record's"
    GAIN_OVER_DECODER = "gain-over-decoder", "gain over the decoder with z unused"
    GAIN_OVER_WINDOW = "gain-over-window", "gain over the window alone"
    MIXING = "mixing", "largest off-diagonal entry of a mixing matrix"


class Severity(Worded):
    """What a finding means for the family."""

    OK = "ok"
    WARNING = "warning"
    #: The model is not what its family claims to be.
    COLLAPSED = "collapsed"


@dataclass(frozen=True)
class Finding:
    """One measure of a trained model.

    Args:
        kind: what is measured.
        estimate: its value with its error.
        says: what that means, in one sentence.
        severity: whether the model is what its family claims to be.
        out_of: the largest value there can be, such as the number of latents; None where there is none.

    >>> from qtomo.statistics.estimate import exact
    >>> str(Finding(FindingKind.LATENTS_IN_USE, exact(3), "3 of 8 latents are in use.", out_of=8))
    '3 of 8'
    """

    kind: FindingKind
    estimate: Estimate
    says: str
    severity: Severity = Severity.OK
    out_of: Annotated[int, Field(ge=1)] | None = None

    def __str__(self) -> str:
        return f"{self.estimate.value:.0f} of {self.out_of}" if self.out_of is not None else str(self.estimate)


def collapse(findings: Iterable[Finding]) -> Finding | None:
    """The first finding that says that the model has collapsed; None where none does."""
    return next((finding for finding in findings if finding.severity == Severity.COLLAPSED), None)
