"""The fidelity with a stabiliser state, from below, at any number of shots."""

from __future__ import annotations

from collections.abc import Iterator

from qtomo.observables.certificates.base import Certificate, CertificateKind
from qtomo.observables.fidelity.base import AS_THE_FILE_SAYS, SHOTS_ALIKE, Asked
from qtomo.observables.fidelity.stabilisers import drawn, union

__all__ = ["stabiliser_witnesses"]


def stabiliser_witnesses(asked: Asked) -> Iterator[Certificate]:
    """From settings drawn for stabilisers, and from a few settings that measure generators of the whole group.

    Both hold together with the confidence asked for (Bonferroni), as far as the settings allow both.
    """
    by_draw, by_union = drawn(asked), union(asked)
    if by_draw is not None and by_draw.is_raw:
        by_draw = None
    tried = [one for one in (by_draw, by_union) if one is not None]
    level = 1 - (1 - asked.level) / max(1, len(tried))
    if by_draw is not None:
        limit = by_draw.lower_limit(level, asked.seed)
        yield _certificate(CertificateKind.DRAWN_STABILISERS, limit, asked.level, by_draw.assumptions)
    if by_union is not None:
        n_settings = len(by_union.values)
        words = f"generators of all stabilisers are measured in {n_settings} settings, with Bonferroni over them"
        limit = by_union.lower_limit(level, asked.seed)
        kind = CertificateKind.STABILISER_GENERATORS
        yield _certificate(kind, limit, asked.level, [SHOTS_ALIKE, words, AS_THE_FILE_SAYS])


def _certificate(kind: CertificateKind, value: float, level: float, assumptions: list[str]) -> Certificate:
    says = f"F ≥ {value:.4f} at {level:.0%} (guaranteed)" if value > 0 else "no bound: too few shots or too many errors"
    return Certificate(kind, value, level, says, assumptions, "finite-sample", value > 0)
