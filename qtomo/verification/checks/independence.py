"""Are shots independent: no copies, and no bit that stays that of the shot before?"""

from __future__ import annotations

from collections.abc import Iterator

from qtomo.statistics.evidence import log_mean_exp, p_of_log_e
from qtomo.verification.checks.base import Test, TestKind
from qtomo.verification.context import Context
from qtomo.verification.faults.shots import duplicates, memory, repeats, segments

__all__ = ["duplicated", "stays"]

_LAGS = (1, 2, 3, 4, 5, 10)  # shots back


def duplicated(context: Context) -> Iterator[Test]:
    """Copies of earlier shots among them, wherever these stand; or more shots equal to one just before than chance
    has.
    """
    if len(context.records) < 2 or context.n_impossible:
        return
    log_e = context.once(duplicates).log_e()
    p_values = [p_of_log_e(log_e)]
    text = f"ln E = {log_e:.1f}"
    if context.records.order is not None:
        lags = {lag for lag in (*_LAGS, len(context.records) // 2) if 0 < lag < len(context.records)}
        p_values.append(min(1.0, len(lags) * min(repeats(context, lag) for lag in lags)))
    yield Test(TestKind.DUPLICATES, min(1.0, len(p_values) * min(p_values)), text)


def stays(context: Context) -> Iterator[Test]:
    """A bit that is that of the shot before, against the target and against faults that do not depend on it."""
    if context.records.order is None or len(context.records) < 2 or context.n_impossible:
        return
    sites, anywhere = memory(context)
    constant = context.once(segments).constant() - context.log_likelihood
    found = log_mean_exp([log_mean_exp(sites), log_mean_exp(anywhere)]) - constant
    where = int(sites.max(axis=0).argmax())
    yield Test(TestKind.MEMORY, p_of_log_e(found), f"ln E = {found:.1f}", sites=(where,))
