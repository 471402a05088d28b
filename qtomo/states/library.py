"""States by name: textbook states in closed form, random matrix-product states, and chains solved by DMRG."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np

from qtomo.config import near_miss
from qtomo.errors import Code, InputError
from qtomo.seeds import stream
from qtomo.states.circuit import Circuit
from qtomo.states.dmrg import Terms
from qtomo.states.graph import Graph
from qtomo.states.mps import MPS
from qtomo.states.stabilisers import Stabilisers
from qtomo.states.system import Qubits, System, system_fields
from qtomo.states.tfim import TFIM
from qtomo.states.xxz import XXZ

__all__ = ["GHZ", "SYSTEMS", "Cluster", "Dicke", "Product", "RandomMPS", "System", "W", "build_system"]


_LARGEST_BOND = 1024


class _Textbook:
    n_sites: Qubits

    def __post_init__(self) -> None:
        if self.n_sites < 1:
            raise InputError(Code.VALUE, f"number of qubits is {self.n_sites}, expected at least 1")

    def terms(self) -> Terms:
        """No Hamiltonian."""
        return ()


@dataclass(frozen=True)
class GHZ(_Textbook):
    """(|0...0> + |1...1>)/sqrt(2).

    >>> GHZ(3).state().bond_dims
    (2, 2)
    """

    family: ClassVar[str] = "ghz"
    n_sites: Qubits

    def state(self) -> MPS:
        """Bond dimension 2."""
        if self.n_sites == 1:
            return MPS.product([np.ones(2)])
        copy = np.zeros((2, 2, 2))
        copy[0, 0, 0] = copy[1, 1, 1] = 1
        return MPS([copy.sum(axis=0)[None], *[copy] * (self.n_sites - 2), copy.sum(axis=2)[:, :, None]])

    def stabilisers(self) -> Stabilisers:
        """X of all qubits, and Z of neighbours."""
        n = self.n_sites
        pairs = ["I" * i + "ZZ" + "I" * (n - i - 2) for i in range(n - 1)]
        return Stabilisers.from_products(["X" * n, *pairs])


@dataclass(frozen=True)
class W(_Textbook):
    """(|10...0> + |01...0> + ... + |0...01>)/sqrt(N).

    >>> W(3).state().bond_dims
    (2, 2)
    """

    family: ClassVar[str] = "w"
    n_sites: Qubits

    def state(self) -> MPS:
        """Bond dimension 2: the bond says whether the one has been placed."""
        tensor = np.zeros((2, 2, 2))
        tensor[0, 0, 0] = tensor[1, 0, 1] = tensor[0, 1, 1] = 1
        if self.n_sites == 1:
            return MPS([tensor[:1, :, 1:]])
        return MPS([tensor[:1], *[tensor] * (self.n_sites - 2), tensor[:, :, 1:]])


@dataclass(frozen=True)
class Dicke(_Textbook):
    """All qubits but K in |0>, K in |1>, in equal superposition of all orders (Dicke 1954).

    Args:
        n_sites: N.
        excitations: K.

    >>> Dicke(4, 2).state().bond_dims
    (2, 3, 2)
    """

    family: ClassVar[str] = "dicke"
    n_sites: Qubits
    excitations: Annotated[int, "Number K of qubits in |1>."]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.excitations <= self.n_sites:
            raise InputError(Code.VALUE, f"excitations is {self.excitations}, expected 0 to {self.n_sites}")
        bond = min(self.excitations, self.n_sites - self.excitations) + 1
        if bond > _LARGEST_BOND:
            raise InputError(
                Code.TOO_LARGE, f"a Dicke state of bond dimension {bond:,}, expected at most {_LARGEST_BOND:,}"
            )

    def state(self) -> MPS:
        """Bond dimension at most min(K, N - K) + 1: the bond counts the ones so far.

        A site's amplitudes are roots of the probability of a one given that count, (K - count) / (sites left).
        """
        n, k = self.n_sites, self.excitations
        counts = [range(max(0, k - n + i), min(i, k) + 1) for i in range(n + 1)]
        tensors = []
        for site in range(n):
            tensor = np.zeros((len(counts[site]), 2, len(counts[site + 1])))
            for row, count in enumerate(counts[site]):
                for bit, share in ((0, n - site - (k - count)), (1, k - count)):
                    if share:
                        tensor[row, bit, count + bit - counts[site + 1].start] = math.sqrt(share / (n - site))
            tensors.append(tensor)
        return MPS(tensors)


@dataclass(frozen=True)
class Cluster(_Textbook):
    """The linear cluster state: controlled phases between neighbours of |+...+> (Briegel, Raussendorf 2001).

    >>> Cluster(4).state().n_sites
    4
    """

    family: ClassVar[str] = "cluster"
    n_sites: Qubits

    def state(self) -> MPS:
        """Bond dimension 2: the bond carries the qubit to its left."""
        tensor = np.zeros((2, 2, 2))
        for left in (0, 1):
            for s in (0, 1):
                tensor[left, s, s] = (-1) ** (left * s)
        if self.n_sites == 1:
            return MPS.product([np.ones(2)])
        return MPS([tensor[:1], *[tensor] * (self.n_sites - 2), tensor.sum(axis=2)[:, :, None]])

    def stabilisers(self) -> Stabilisers:
        """X of a qubit with Z of its neighbours."""
        n = self.n_sites
        words = ("".join({0: "X", 1: "Z"}.get(abs(i - j), "I") for j in range(n)) for i in range(n))
        return Stabilisers.from_products(list(words))


@dataclass(frozen=True)
class Product(_Textbook):
    """Every qubit at the same point of the Bloch sphere.

    Args:
        n_sites: N.
        theta: angle from |0> towards |1>, in radians.
        phi: azimuth, in radians.

    >>> Product(3, theta=0.0).state().bond_dims
    (1, 1)
    """

    family: ClassVar[str] = "product"
    n_sites: Qubits
    theta: Annotated[float, "Angle from |0> to |1>, in radians."] = math.pi / 2
    phi: Annotated[float, "Azimuth, in radians."] = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("theta", "phi"):
            if not math.isfinite(getattr(self, name)):
                raise InputError(Code.VALUE, f"{name} is {getattr(self, name)}, expected a finite number")

    def state(self) -> MPS:
        """Bond dimension 1."""
        vector = np.array([math.cos(self.theta / 2), math.sin(self.theta / 2) * np.exp(1j * self.phi)])
        return MPS.product([vector] * self.n_sites)


@dataclass(frozen=True)
class RandomMPS(_Textbook):
    """A matrix-product state of independent complex Gaussian tensors.

    Args:
        n_sites: N.
        bond_dim: largest bond dimension.
        state_seed: of the tensors.

    >>> RandomMPS(4, bond_dim=2).state().bond_dims
    (2, 2, 2)
    """

    family: ClassVar[str] = "random"
    n_sites: Qubits
    bond_dim: Annotated[int, "Largest bond dimension."] = 8
    state_seed: Annotated[int, "Seed of the state (--seed is that of the records)."] = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.bond_dim <= _LARGEST_BOND:
            raise InputError(Code.VALUE, f"bond dimension is {self.bond_dim}, expected 1 to {_LARGEST_BOND}")
        if self.state_seed < 0:
            raise InputError(Code.VALUE, f"state_seed is {self.state_seed}, expected 0 or more")

    def state(self) -> MPS:
        """Bonds as large as asked for, where the ends of the chain allow."""
        rng = stream(self.state_seed, "random state")
        cuts = [min(c, self.n_sites - c, 30) for c in range(self.n_sites + 1)]
        bonds = [min(self.bond_dim, 2**c) for c in cuts]
        shapes = [(left, 2, right) for left, right in itertools.pairwise(bonds)]
        return MPS([rng.normal(size=shape) + 1j * rng.normal(size=shape) for shape in shapes])


#: Every system by name: the only list there is.
SYSTEMS: dict[str, type[Any]] = {
    "tfim": TFIM,
    "xxz": XXZ,
    "ghz": GHZ,
    "w": W,
    "dicke": Dicke,
    "cluster": Cluster,
    "graph": Graph,
    "product": Product,
    "random": RandomMPS,
    "circuit": Circuit,
}


#: Parameters of a target that say something of its state, and of the system only where it has such a field.
_ABOUT = ("n_sites", "truncation")


def build_system(parameters: Mapping[str, Any]) -> System | None:
    """The system that a target's parameters name; None for a state that is known by its tensors alone.

    Raises:
        InputError: a parameter missing or unknown, or one out of range.
    """
    values = dict(parameters)
    system = SYSTEMS.get(values.pop("family", ""))
    if system is None:
        return None
    if values.pop("boundary", "open") != "open":
        raise InputError(Code.VALUE, f"boundary is '{parameters['boundary']}', expected 'open'")
    known = {field.name: field for field in system_fields(system)}
    for name in _ABOUT:
        if name not in known:
            values.pop(name, None)
    for name in values:
        if name not in known:
            raise InputError(Code.UNKNOWN, f"unknown parameter '{name}'{near_miss(name, list(known))}")
    for name, field in known.items():
        if field.is_required and name not in values:
            raise InputError(Code.REQUIRED, f"no parameter '{name}'")
        field.check(values.get(name, field.default))
    built: System = system(**values)
    return built
