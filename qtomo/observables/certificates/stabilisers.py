"""The fidelity with a stabiliser state, from below, at any number of shots."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from qtomo.observables.certificates.base import Certificate, CertificateKind
from qtomo.observables.fidelity.base import AS_THE_FILE_SAYS, SHOTS_ALIKE, Asked
from qtomo.observables.fidelity.stabilisers import drawn_limit, union_limit

__all__ = ["stabiliser_witnesses"]


def stabiliser_witnesses(asked: Asked) -> Iterator[Certificate]:
    """From settings drawn for stabilisers, and from a few settings that measure generators of the whole group.

    Both hold together with the confidence asked for (Bonferroni), as far as the settings allow both.
    """
    found = list(_each(asked))
    yield from found if len(found) < 2 else _each(replace(asked, level=1 - (1 - asked.level) / 2), asked.level)


def _each(asked: Asked, said: float | None = None) -> Iterator[Certificate]:
    level = said or asked.level
    drawn = drawn_limit(asked)
    if drawn is not None:
        yield _certificate(CertificateKind.DRAWN_STABILISERS, drawn[0], level, drawn[1].assumptions)
    union = union_limit(asked)
    if union is not None:
        words = (
            f"generators of all stabilisers are measured in {union[1]} settings (Clopper-Pearson or bets, Bonferroni)"
        )
        yield _certificate(
            CertificateKind.STABILISER_GENERATORS, union[0], level, [SHOTS_ALIKE, words, AS_THE_FILE_SAYS]
        )


def _certificate(kind: CertificateKind, value: float, level: float, assumptions: list[str]) -> Certificate:
    says = f"F ≥ {value:.4f} at {level:.0%} (guaranteed)" if value > 0 else "no bound: too few shots or too many errors"
    return Certificate(kind, value, level, says, assumptions, "finite-sample", value > 0)
