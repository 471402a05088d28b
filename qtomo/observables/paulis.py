"""Observables as sums of Pauli products, and their exact values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qtomo.errors import Code, InputError
from qtomo.measurement.povm import PAULIS
from qtomo.states.dmrg import Terms
from qtomo.states.state import State

__all__ = ["Observable", "chain_observables", "exact_value", "pauli"]


@dataclass(frozen=True)
class Observable:
    """A sum of coefficients times products of Paulis.

    Args:
        name: how tables call it.
        terms: (coefficient, {site: "X", "Y" or "Z"}) each.

    >>> Observable("energy of a bond", ((-1.0, {0: "Z", 1: "Z"}), (-0.5, {0: "X"}))).name
    'energy of a bond'
    """

    name: str
    terms: tuple[tuple[float, Mapping[int, str]], ...]

    def __post_init__(self) -> None:
        for _, product in self.terms:
            for site, letter in product.items():
                if letter not in ("X", "Y", "Z") or site < 0:
                    raise InputError(
                        Code.VALUE, f"observable {self.name}: '{letter}' on site {site}, expected X, Y or Z on a site"
                    )


def pauli(text: str) -> Observable:
    """A product of Paulis by letter and site, such as "Z3 Z7".

    Raises:
        InputError: not letters with site numbers, or a site named twice.

    >>> pauli("Z3 Z7").terms
    ((1.0, {3: 'Z', 7: 'Z'}),)
    """
    product: dict[int, str] = {}
    for word in text.split():
        letter, digits = word[0], word[1:]
        if letter not in "XYZ" or not digits.isdigit() or int(digits) in product:
            raise InputError(
                Code.SYNTAX, f"'{text}' is not a product of Paulis, expected letters with sites, such as 'Z3 Z7'"
            )
        product[int(digits)] = letter
    if not product:
        raise InputError(Code.SYNTAX, "an empty product of Paulis, expected letters with sites, such as 'Z3 Z7'")
    return Observable(text, ((1.0, product),))


def chain_observables(n_sites: int, terms: Terms = ()) -> list[Observable]:
    """What one asks of a chain, in the order: energy per site (where `terms` give the Hamiltonian), mean <X>,
    every <X_i>, <Z_i Z_j> of neighbours and from mid-chain to every site, and mean <Z>.
    """
    middle = n_sites // 2
    pairs = [(i, i + 1) for i in range(n_sites - 1)] + [
        (min(middle, j), max(middle, j)) for j in range(n_sites) if abs(j - middle) > 1
    ]
    energy = [Observable("energy per site", tuple((c / n_sites, product) for c, product in terms))] if terms else []
    return [
        *energy,
        Observable("mean X", tuple((1 / n_sites, {i: "X"}) for i in range(n_sites))),
        *(pauli(f"X{i}") for i in range(n_sites)),
        *(pauli(f"Z{i} Z{j}") for i, j in pairs),
        Observable("mean Z", tuple((1 / n_sites, {i: "Z"}) for i in range(n_sites))),
    ]


def exact_value(observable: Observable, state: State) -> float:
    """The expectation in a state.

    Raises:
        InputError: a site outside the chain.
    """
    return sum(
        coefficient * state.expectation({site: PAULIS[letter] for site, letter in product.items()}).real
        for coefficient, product in observable.terms
    )
