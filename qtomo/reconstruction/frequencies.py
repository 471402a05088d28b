"""How often each string of outcomes was observed: what a state of a few qubits is reconstructed from.

A string of N outcomes is one cell of a table of K**N. Shots with settings are the same table with K = 6, label
2 * basis + bit, of which a setting fills 2**N cells; every estimate is conditional on the settings, so that these may
have any numbers of shots. A lost outcome is one label more, whose element is the identity.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qtomo.distribution import LOST, Distribution, enumerate_outcomes
from qtomo.errors import Code, InputError
from qtomo.measurement.povm import BASES, POVM
from qtomo.observables.duals import bit_values, dual_values
from qtomo.records.records import Records
from qtomo.states.born.local_likelihoods import pauli_coefficients
from qtomo.states.pauli import along_sites, from_paulis, to_paulis

__all__ = ["LARGEST_DENSE", "Frequencies", "check_size", "listed"]

#: Qubits of a dense reconstruction at most.
LARGEST_DENSE = 10

_MOST_BYTES = 4 * 2**30
_SPAN = 1e-7  # of a Pauli matrix that the elements leave over, below which they span it
_NAMED = 6  # operators that a message names
_SUM = 1e-6  # how far the sum of a distribution's probabilities may be from 1

Reals = NDArray[np.float64]


def check_size(n_sites: int, n_outcomes: int, source: str = "records") -> None:
    """Refuse what a dense reconstruction has no memory for.

    Raises:
        InputError: more than 10 qubits, or tables of more than 4 GiB; says the memory and what to do.
    """
    needed = 4 * 8 * n_outcomes**n_sites + 6 * 16 * 4**n_sites
    if n_sites > LARGEST_DENSE or needed > _MOST_BYTES:
        raise InputError(
            Code.TOO_LARGE,
            f"{source}: {n_sites} qubits with {n_outcomes} outcomes each take {needed / 2**30:,.3g} GiB as density "
            f"matrices and tables of all outcome strings, at most {LARGEST_DENSE} qubits and {_MOST_BYTES // 2**30} "
            "GiB; use --method mps or lpdo, which keep the state as a tensor network",
        )


@dataclass(frozen=True, eq=False)
class Frequencies:
    """Counts of all outcome strings.

    Args:
        counts: (L,) * N, where L is the POVM's K, or K + 1 where outcomes were lost, the last label.
        povm: of each qubit.
        n_records: how many; 0 for an exact distribution, whose counts are probabilities.
        has_settings: whether the outcomes are shots in known bases, so that what counts is the bit given its basis.
    """

    counts: Reals
    povm: POVM
    n_records: int
    has_settings: bool = False

    @classmethod
    def of_records(cls, records: Records) -> Frequencies:
        """Of records of any design.

        A shot with a lost bit counts for the other qubits, whatever its settings were.

        Raises:
            InputError: too many qubits, or no records.
        """
        if not len(records):
            raise InputError(Code.TOO_FEW, f"{records.name}: no records, expected at least one")
        n_sites, povm, lost = records.n_sites, records.povm, records.lost
        n_labels = povm.n_outcomes + bool(lost.any())
        check_size(n_sites, n_labels, records.name)
        labels = np.where(lost, povm.n_outcomes, records.labels)
        place = n_labels ** np.arange(n_sites - 1, -1, -1, dtype=np.int64)
        counts = np.bincount(labels @ place, minlength=n_labels**n_sites).astype(np.float64)
        return cls(counts.reshape((n_labels,) * n_sites), povm, len(records), records.has_settings)

    @classmethod
    def of_distribution(cls, distribution: Distribution, povm: POVM, name: str = "the distribution") -> Frequencies:
        """The probabilities that a distribution, such as a model, gives to all outcome strings.

        Raises:
            InputError: too many qubits, no exact likelihood, or probabilities that do not sum to 1.
        """
        if distribution.likelihood != "exact":
            raise InputError(
                Code.UNSUPPORTED,
                f"{name}: its likelihood is '{distribution.likelihood}', expected an exact one; draw records from it "
                "(qtomo sample) and reconstruct from these",
            )
        n_sites, n_outcomes = distribution.n_sites, distribution.n_outcomes
        check_size(n_sites, n_outcomes, name)
        parts = [np.exp(distribution.log_prob(block)) for block in enumerate_outcomes(n_sites, n_outcomes)]
        counts = np.concatenate(parts)
        if not abs(counts.sum() - 1) < _SUM:
            raise InputError(
                Code.UNPHYSICAL, f"{name}: probabilities of all outcome strings sum to {counts.sum():.9g}, expected 1"
            )
        return cls(counts.reshape((n_outcomes,) * n_sites) / counts.sum(), povm, 0)

    @property
    def n_sites(self) -> int:
        """N, the number of qubits."""
        return self.counts.ndim

    @cached_property
    def effects(self) -> list[Reals]:
        """Tr(M_a P)/2 of each site's labels and P = I, X, Y, Z, the identity where an outcome was lost: (L, 4) each."""
        elements = self.povm.site_elements(self.n_sites)
        whole = elements.sum(axis=1, keepdims=True)
        labels = np.concatenate([elements, whole], axis=1)[:, : self.counts.shape[0]]
        return list(pauli_coefficients(labels))

    def probabilities(self, matrix: NDArray[np.complex128]) -> Reals:
        """Tr(A M_a) of every outcome string for operators (..., 2**N, 2**N): (...,) and then as `counts`.

        With settings they are those of the six-outcome POVM, 3**-N of what the shots in a setting have.
        """
        return along_sites(to_paulis(matrix), self.effects)

    def pauli_sums(self) -> tuple[list[Reals], list[Reals], Reals, Reals]:
        """Of each Pauli product, its values over the records that measure it.

        Returns the tables (4, L) per site of the value that a label gives to I, X, Y and Z, and of whether it gives
        any; and, of each product, the sum of its values over the records that have one, and their number, (4,) * N.

        Raises:
            InputError: a POVM that is not complete, or a basis that does not measure its Pauli.
        """
        lookup, there = (bit_values if self.has_settings else dual_values)(self.povm, self.n_sites)
        labels = [*range(self.povm.n_outcomes), LOST][: self.counts.shape[0]]
        ones = np.ones(len(labels))
        values, says = (
            [np.stack([ones, *(table[letter][site, labels] for letter in BASES)]) for site in range(self.n_sites)]
            for table in (lookup, there)
        )
        return values, says, along_sites(self.counts, values), along_sites(self.counts, says)

    def unseen(self) -> list[str]:
        """The Pauli operators that the records do not determine, such as "Y on every site" or "X0 Y1"; empty if none.

        Of a POVM those of one qubit outside the span of its elements; of shots, and where outcomes were lost, the
        products that no record measures.
        """
        if self.has_settings or self.povm.is_complete:
            numbers = np.argwhere(self.pauli_sums()[3] == 0)
            return [" ".join(f"{'IXYZ'[p]}{i}" for i, p in enumerate(row) if p) for row in numbers]
        blind = [_outside(elements) for elements in self.povm.site_elements(self.n_sites)]
        everywhere = [letter for letter in BASES if all(letter in letters for letters in blind)]
        found = [f"{letter} on every site" for letter in everywhere]
        return found + [
            f"{letter} on site {site}"
            for site, letters in enumerate(blind)
            for letter in sorted(letters - set(everywhere))
        ]

    def check_complete(self, source: str = "records") -> None:
        """Refuse records that do not determine every state.

        Raises:
            InputError: names the operators that they do not determine, and the method that fits a state nevertheless.
        """
        unseen = self.unseen()
        if unseen:
            blind = not (self.has_settings or self.povm.is_complete)
            what = f"POVM '{self.povm.name}' does not see" if blind else "no record measures"
            raise InputError(
                Code.UNMEASURED,
                f"{source}: {what} {listed(unseen)}, expected an informationally complete measurement to invert; the "
                "method mle finds a state that fits, one of many; qtomo verify may bound the fidelity with a target",
            )

    def linear_inversion(self) -> NDArray[np.complex128]:
        """The operator whose Pauli products have the measured means, complex (2**N, 2**N).

        Hermitian, of trace 1, without bias, and as a rule not positive. For a POVM the products' canonical dual values
        are averaged, which is least squares; for shots with settings the signs of the bits, over shots in the bases.

        Raises:
            InputError: a measurement that is not complete.
        """
        self.check_complete()
        *_, sums, numbers = self.pauli_sums()
        return from_paulis(sums / numbers / 2**self.n_sites)

    def resampler(self) -> Callable[[Reals, np.random.Generator], Frequencies]:
        """A data set like this one, drawn from probabilities of the outcome strings: as many records in each setting,
        with the same outcomes lost.
        """
        draw = self.tables_drawn()

        def one(probabilities: Reals, generator: np.random.Generator) -> Frequencies:
            return replace(self, counts=draw(probabilities, generator, 1)[0])

        return one

    def tables_drawn(self) -> Callable[[Reals, np.random.Generator, int], Reals]:
        """Counts (size, ...) of several data sets as of `resampler`, drawn together."""
        cells = np.argwhere(self.counts > 0)
        kinds = np.where(cells == self.povm.n_outcomes, -1, cells // 2 if self.has_settings else 0)
        groups, group = np.unique(kinds, axis=0, return_inverse=True)
        totals = np.bincount(group.ravel(), weights=self.counts[tuple(cells.T)]).astype(np.int64)
        blocks = [np.ix_(*(self._labels(kind) for kind in row)) for row in groups.tolist()]

        def draw(probabilities: Reals, generator: np.random.Generator, size: int) -> Reals:
            counts = np.zeros((size, *self.counts.shape))
            for block, total in zip(blocks, totals, strict=True):
                weights = probabilities[block].clip(0)
                drawn = generator.multinomial(total, (weights / weights.sum()).ravel(), size)
                place: tuple[Any, ...] = (slice(None), *block)
                counts[place] = drawn.reshape(size, *weights.shape)
            return counts

        return draw

    def _labels(self, kind: int) -> list[int]:
        if kind < 0:
            return [self.povm.n_outcomes]
        return [2 * kind, 2 * kind + 1] if self.has_settings else list(range(self.povm.n_outcomes))


def listed(operators: list[str]) -> str:
    """Some operators in words, the rest as a number."""
    named = ", ".join(operators[:_NAMED])
    rest = len(operators) - _NAMED
    return f"{named} and {rest:,} more" if rest > 0 else named


def _outside(elements: NDArray[Any]) -> set[str]:
    """Letters of the Pauli matrices outside the span of one site's elements (K, 2, 2)."""
    frame = pauli_coefficients(elements)
    span = np.linalg.pinv(frame, rcond=_SPAN) @ frame
    return {letter for p, letter in enumerate(BASES, start=1) if span[p, p] < 1 - _SPAN}
