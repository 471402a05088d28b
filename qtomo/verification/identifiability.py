"""What the settings could see at all: which listed faults they exclude, and which would not show in them however large.

A fault is excluded at some strength if the records are unlikely under it: P_0/P_t of all records together is at most
1 on average if the fault is there, so that it reaches 1/alpha with probability at most alpha (Markov), at any number
of records. A fault that changes the state but no probability in the settings measured is unseen.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from qtomo.measurement.povm import PAULIS, POVM, named_povm
from qtomo.seeds import stream
from qtomo.states.mps import MPS
from qtomo.verification.context import Context
from qtomo.verification.faults.base import FaultKind
from qtomo.verification.faults.local import LOCAL_KINDS, LocalKind, applied

__all__ = ["Exclusion", "exclusions"]

_FIRST = 1000  # records that are tried first
_COMPARED = 200  # exact records that tell whether a fault shows at all
_NOTHING = 1e-6  # nats by which its likelihood then differs
_UNCHANGED = 1e-9  # loss of fidelity


@dataclass(frozen=True)
class Exclusion:
    """Whether the records exclude a fault of every qubit at some strength.

    Args:
        kind: of the fault.
        strength: at which.
        status: `excluded`, `open`, `unseen` (it changes the state, but nothing that these settings measure), or
            `harmless` (it changes nothing).
        records_needed: about how many would exclude it, where it is open.
    """

    kind: FaultKind
    strength: float
    status: str
    records_needed: int | None = None


def exclusions(context: Context) -> list[Exclusion]:
    """For each local fault of every qubit, whether the records exclude it at the resolution of the options."""
    return list(_exclusions(context))


def _exclusions(context: Context) -> Iterator[Exclusion]:
    resolution = context.options.resolution
    part = context.part(_COMPARED, "exclusion")
    exact = context.of(context.hypothesis.sample_like(part.records, stream(context.options.seed, "exclusion")))
    for local in LOCAL_KINDS.values():
        if local.parameter == "angle":
            # As large a loss of fidelity per qubit as depolarizing of that strength: sin^2(angle/2) = 3/4 of it.
            angle = 2 * math.asin(math.sqrt(0.75 * resolution))
            strengths = [angle, -angle]
        else:
            strengths = [resolution]
        for strength in strengths:
            found = _excluded(context, exact, local, strength)
            if found is not None:
                yield found


def _excluded(context: Context, exact: Context, local: LocalKind, strength: float) -> Exclusion | None:
    """Whether records exclude a fault, which exact ones of the target tell to show or not."""
    kind = local.kind
    try:
        moved = applied(context.hypothesis, kind, strength, None)
    except ValueError:
        return None  # a measurement that has no such fault
    seen = np.abs(moved.log_prob(exact.rows) - exact.log_prob_rows).max() > _NOTHING
    if not seen:
        return Exclusion(kind, strength, "unseen" if _changes_state(context, local, strength) else "harmless")
    threshold = math.log(1 / context.options.alpha)
    size = _FIRST
    while True:
        part = context.part(size, "exclusions")
        against = part.counts @ (part.log_prob_rows - moved.log_prob(part.rows))
        if against >= threshold:
            return Exclusion(kind, strength, "excluded")
        if len(part.records) == len(context.records):
            n = len(part.records)
            needed = math.ceil(n * threshold / against) if against > 0 else None
            return Exclusion(kind, strength, "open", needed)
        size *= 4


def _changes_state(context: Context, local: LocalKind, strength: float) -> bool:
    """Whether a fault of every qubit changes the target itself.

    A pure state is changed by a unitary if it is no eigenvector, and by a channel if some qubit alone loses fidelity:
    1 - sum_k |<K_k>|^2. A mixed one is looked at as a complete measurement would show it.
    """
    if local.kraus is None:
        return False
    operators, state = local.kraus(strength), context.hypothesis.first.state
    if len(context.hypothesis.parts) > 1 or not isinstance(state, MPS):
        return _shows_change(context, local, strength)
    if len(operators) == 1:
        moved = MPS([np.einsum("st,ltr->lsr", operators[0], tensor) for tensor in state.tensors])
        return 1 - abs(state.overlap(moved)) > _UNCHANGED
    bloch = context.hypothesis.marginals.sites
    coefficients = np.einsum("kij,pji->kp", operators, np.stack([PAULIS[p] for p in "IXYZ"])) / 2
    kept = (np.abs(np.einsum("kp,np->kn", coefficients, bloch)) ** 2).sum(axis=0)
    return bool((1 - kept).max() > _UNCHANGED)


def _shows_change(context: Context, local: LocalKind, strength: float) -> bool:
    """Whether a channel changes probabilities of a complete measurement."""

    def complete(_povm: POVM) -> POVM:
        return named_povm("pauli6")

    clean = context.hypothesis.measured(complete)
    part = clean.first.born.sample(_COMPARED, stream(context.options.seed, "harmless"))
    moved = applied(clean, local.kind, strength, None)
    return bool(np.abs(moved.log_prob(part) - clean.log_prob(part)).max() > _NOTHING)
