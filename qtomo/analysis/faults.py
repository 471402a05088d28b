"""Named faults of a laboratory's state or measurement, and what each record says for or against them.

A local fault of strength t changes the POVM of a site, M_a to M_a(t). With D_a = dM_a/dt at 0 and the local weights w
of `qtomo.states.local`, the score of the fault at site i is s_i(a) = d ln P/dt = sum_p D_ap w_ip(a): its mean is zero
in the target, and the sum over sites is the score of the same fault on every qubit (Rao 1948). Depolarizing, dephasing
and misread bits are linear in t, so that 1 + t s_i(a) is the likelihood ratio itself, at any strength.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qtomo.distribution import LOST, Outcomes, shot_labels
from qtomo.errors import InputError
from qtomo.noise import NOISES, noisy, with_readout_error
from qtomo.povm import POVM
from qtomo.states import LARGEST_DENSITY, LPDO, BornDistribution, State, System
from qtomo.states.local import pauli_coefficients

__all__ = ["LOCAL_FAULTS", "PARAMETERS", "Law", "Scores"]

Reals = NDArray[np.float64]

_STEP = 1e-6  # strength at which the derivative is taken; all but amplitude damping are linear
_SHIFT = 0.01  # relative change of a parameter at which states are compared
_CHUNK = 8192


def _channel(name: str) -> Callable[[POVM, float, int], POVM]:
    return lambda povm, strength, n_sites: noisy(povm, NOISES[name](strength), n_sites)


#: Faults of one qubit by name: the POVM after a fault of some strength. Bits misread both ways are depolarizing of
#: twice the strength, for any measurement of bases: the same law under two names, so it stands here once.
LOCAL_FAULTS: dict[str, Callable[[POVM, float, int], POVM]] = {
    **{name: _channel(name) for name in NOISES},
    "one read as zero": lambda povm, strength, n_sites: with_readout_error(povm, 0.0, strength, n_sites),
}

#: The parameter of a family whose relative error is a fault. Only h/J counts in a TFIM: a field that is off by a
#: share is a coupling off by the other way.
PARAMETERS = {"tfim": "field", "xxz": "anisotropy"}


@dataclass(frozen=True)
class Scores:
    """What a batch of records says of each fault.

    Args:
        log_prob: ln P in the target, (batch,); -inf for a record that it forbids, which scores zero for every fault.
        sites: by local fault, the score at each site, (batch, n_sites).
        shifts: by parameter, the score of its relative error, (batch,).
        moved: by relabelling, the logarithm of the likelihood ratio, (batch, variants).
        variants: by relabelling, what each variant is.
    """

    log_prob: Reals
    sites: dict[str, Reals]
    shifts: dict[str, Reals] = field(default_factory=dict)
    moved: dict[str, Reals] = field(default_factory=dict)
    variants: dict[str, list[str]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.log_prob)

    @classmethod
    def joined(cls, parts: Sequence[Scores]) -> Scores:
        """Those of several batches together; of the relabellings those that all have."""

        def together(name: str) -> dict[str, Reals]:
            groups: list[dict[str, Reals]] = [getattr(part, name) for part in parts]
            return {key: np.concatenate([group[key] for group in groups]) for key in groups[0]}

        log_prob = np.concatenate([part.log_prob for part in parts])
        return cls(log_prob, together("sites"), together("shifts"), together("moved"), parts[0].variants)


class Law:
    """The law of the records in the target: an exact state, seen through a POVM, with settings where they are kept.

    Args:
        state: the target.
        povm: the measurement, readout error and known noise included.
        system: the target's parameters, where known: their errors are faults too.
        tolerance: of ln P, in nats a record.
        device: where to work.

    Raises:
        InputError: a POVM for another number of sites, or a mixed state of more than 12 qubits.
    """

    def __init__(
        self,
        state: State,
        povm: POVM,
        system: System | None = None,
        tolerance: float = 1e-4,
        device: str = "cpu",
    ) -> None:
        if isinstance(state, LPDO):
            if state.n_sites > LARGEST_DENSITY:
                raise InputError(
                    f"the target is a mixed state of {state.n_sites} qubits, expected a pure one, or at most "
                    f"{LARGEST_DENSITY} qubits"
                )
            state = state.to_density()
        self.born = BornDistribution(state, povm, tolerance, device)
        self.system = system
        self.n_sites = state.n_sites
        self._derivatives = {}
        elements = povm.site_elements(self.n_sites)
        for name, fault in LOCAL_FAULTS.items():
            try:
                changed = fault(povm, _STEP, self.n_sites).site_elements(self.n_sites)
            except InputError:
                continue  # a POVM that measures no bits, such as SIC, has none to misread
            slope = pauli_coefficients((changed - elements) / _STEP)
            self._derivatives[name] = np.concatenate([slope, np.zeros((self.n_sites, 1, 4))], axis=1)
        coefficients = pauli_coefficients(elements)
        self._relabelled = {
            name: np.concatenate([coefficients[:, order], np.tile([1.0, 0, 0, 0], (self.n_sites, 1, 1))], axis=1)
            for name, order in _label_faults(povm).items()
        }
        self._shifted = self._neighbouring_states()

    @property
    def local_faults(self) -> list[str]:
        """Names of the local faults that this measurement can have."""
        return list(self._derivatives)

    @property
    def parameters(self) -> list[str]:
        """Names of the parameters whose error is a fault."""
        return list(self._shifted)

    def sample(self, n: int, generator: np.random.Generator) -> Outcomes:
        """Exact records, (n, n_sites)."""
        return self.born.sample(n, generator)

    def sample_like(self, outcomes: Outcomes, settings: Outcomes | None, generator: np.random.Generator) -> Outcomes:
        """As many exact records, each in the settings of one of these and with the same outcomes lost."""
        if settings is None:
            found = self.born.sample(len(outcomes), generator)
        else:
            found = shot_labels(settings, self.born.sample_bits(settings, generator))
        found[outcomes == LOST] = LOST
        return found

    def scores(
        self, outcomes: Outcomes, relabelled: bool = False, progress: Callable[[int], None] | None = None
    ) -> Scores:
        """What records (batch, n_sites) say of every fault; of exchanged and wrongly labelled qubits if asked."""
        parts = []
        for first in range(0, len(outcomes), _CHUNK):
            parts.append(self._scores(outcomes[first : first + _CHUNK], relabelled))
            if progress:
                progress(min(first + _CHUNK, len(outcomes)))
        return Scores.joined(parts)

    def _scores(self, outcomes: Outcomes, relabelled: bool) -> Scores:
        found = self.born.weigh(outcomes, swaps=relabelled)
        labels = np.where(outcomes == LOST, self.born.n_outcomes, outcomes)
        rows = np.arange(self.n_sites)
        sites = {
            name: np.einsum("nip,nip->ni", table[rows, labels], found.weights)
            for name, table in self._derivatives.items()
        }
        shifts = {
            name: np.where(found.doubtful, 0.0, (high.log_prob(outcomes) - low.log_prob(outcomes)) / (2 * _SHIFT))
            for name, (low, high) in self._shifted.items()
        }
        moved: dict[str, Reals] = {}
        variants: dict[str, list[str]] = {}
        if relabelled:
            neighbours = [f"{site} and {site + 1}" for site in range(self.n_sites - 1)]
            moved["neighbours swapped"], variants["neighbours swapped"] = found.swapped, neighbours
            backwards = np.zeros(len(outcomes))  # of a doubtful record, which may be impossible both ways
            np.subtract(self.born.log_prob(outcomes[:, ::-1]), found.log_prob, out=backwards, where=~found.doubtful)
            moved["order reversed"], variants["order reversed"] = backwards[:, None], ["whole chain"]
            with np.errstate(divide="ignore"):
                tables = [
                    np.log(np.einsum("nip,nip->ni", table[rows, labels], found.weights).clip(0))
                    for table in self._relabelled.values()
                ]
            if tables:
                moved["wrong basis"] = np.where(found.doubtful[:, None], 0.0, np.concatenate(tables, axis=1))
                variants["wrong basis"] = [f"{site}, {name}" for name in self._relabelled for site in rows]
        return Scores(found.log_prob, sites, shifts, moved, variants)

    def _neighbouring_states(self) -> dict[str, tuple[BornDistribution, BornDistribution]]:
        """By parameter, the law with it a little smaller and a little larger."""
        if self.system is None or self.system.family not in PARAMETERS:
            return {}
        name = PARAMETERS[self.system.family]
        value = np.asarray(getattr(self.system, name))
        if not value.any():
            return {}
        states = []
        for factor in (1 - _SHIFT, 1 + _SHIFT):
            moved = value * factor
            changed: Any = dataclasses.replace(self.system, **{name: tuple(moved) if moved.ndim else float(moved)})  # type: ignore[type-var]
            states.append(BornDistribution(changed.state(), self.born.povm, self.born.tolerance, self.born.device))
        return {name: (states[0], states[1])}


def _label_faults(povm: POVM) -> dict[str, list[int]]:
    """Two bases of a qubit called by each other's name, as permutations of the outcomes."""
    if povm.measures_bases:
        bases = [[0, 1], [2, 3], [4, 5]]
        pairs = {"X and Y": (0, 1), "X and Z": (0, 2), "Y and Z": (1, 2)}
    elif povm.name.startswith("pauli4"):
        bases = [[0], [1], [2], [3]]  # outcomes of Z, X, Y, and the rest
        pairs = {"X and Y": (1, 2), "X and Z": (0, 1), "Y and Z": (0, 2)}
    else:
        return {}
    found = {}
    for name, (one, other) in pairs.items():
        order = list(range(len(bases)))
        order[one], order[other] = order[other], order[one]
        found[name] = [label for basis in order for label in bases[basis]]
    return found
