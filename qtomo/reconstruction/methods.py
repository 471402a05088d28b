"""The methods of reconstruction: one object each, which carries its own options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from qtomo.config import near_miss
from qtomo.errors import Code, InputError

__all__ = [
    "METHODS",
    "DenseMethod",
    "LinearInversion",
    "LocallyPurified",
    "MatrixProduct",
    "MaximumLikelihood",
    "Method",
    "ProjectedLeastSquares",
    "TensorNetworkMethod",
    "as_method",
]

_LARGEST_BOND_DIM = 64


@dataclass(frozen=True)
class LinearInversion:
    """The operator whose Pauli products have the measured means; not a physical state as a rule.

    rho = 2**-N sum_P <P> P. It is unbiased. The state that comes with it is the nearest physical one.

    >>> LinearInversion().name
    'linear'
    """

    name: ClassVar[str] = "linear"
    title: ClassVar[str] = "linear inversion"


@dataclass(frozen=True)
class ProjectedLeastSquares:
    """The state nearest to the linear inversion in Frobenius norm (Guta et al. 2020, arXiv 1809.11162).

    >>> ProjectedLeastSquares().name
    'pls'
    """

    name: ClassVar[str] = "pls"
    title: ClassVar[str] = "projected least squares"


@dataclass(frozen=True)
class MaximumLikelihood:
    """The density matrix that makes the records most likely (Hradil 1997, Phys. Rev. A 55, R1561).

    >>> MaximumLikelihood().name
    'mle'
    """

    name: ClassVar[str] = "mle"
    title: ClassVar[str] = "maximum likelihood"


@dataclass(frozen=True)
class MatrixProduct:
    """The pure matrix-product state that makes the records most likely, of any number of qubits.

    Args:
        bond_dim: 1 to 64; chosen by held-out records where None.

    Raises:
        InputError: a bond dimension out of range.

    >>> MatrixProduct(bond_dim=4)
    MatrixProduct(bond_dim=4)
    """

    bond_dim: int | None = None

    name: ClassVar[str] = "mps"
    title: ClassVar[str] = "matrix-product state"

    def __post_init__(self) -> None:
        _check_bond_dim(self.bond_dim)


@dataclass(frozen=True)
class LocallyPurified:
    """The locally purified (mixed) state that makes the records most likely (Werner et al. 2016, arXiv 1412.5746).

    Args:
        bond_dim: 1 to 64; chosen by held-out records where None.

    Raises:
        InputError: a bond dimension out of range.

    >>> LocallyPurified(bond_dim=4)
    LocallyPurified(bond_dim=4)
    """

    bond_dim: int | None = None

    name: ClassVar[str] = "lpdo"
    title: ClassVar[str] = "locally purified density operator"

    def __post_init__(self) -> None:
        _check_bond_dim(self.bond_dim)


#: Methods that keep the state as a density matrix, of up to 10 qubits.
DenseMethod = LinearInversion | ProjectedLeastSquares | MaximumLikelihood
#: Methods that keep the state as a tensor network.
TensorNetworkMethod = MatrixProduct | LocallyPurified
Method = DenseMethod | TensorNetworkMethod

#: Methods by the name they have on the command line and in results.
METHODS: dict[str, type[Method]] = {
    kind.name: kind
    for kind in (LinearInversion, ProjectedLeastSquares, MaximumLikelihood, MatrixProduct, LocallyPurified)
}


def as_method(method: Method | str) -> Method:
    """A method object, of which a name may be given instead.

    Raises:
        InputError: an unknown name, or something else.

    >>> as_method("mps")
    MatrixProduct(bond_dim=None)
    """
    if isinstance(method, Method):
        return method
    if not isinstance(method, str):
        raise InputError(
            Code.KIND,
            f"method is {method!r}, expected an object such as MaximumLikelihood(), or one of {', '.join(METHODS)}",
        )
    if method not in METHODS:
        raise InputError(
            Code.UNKNOWN, f"no reconstruction method is called '{method}'{near_miss(method, list(METHODS))}"
        )
    return METHODS[method]()


def _check_bond_dim(bond_dim: int | None) -> None:
    if bond_dim is not None and not 1 <= bond_dim <= _LARGEST_BOND_DIM:
        raise InputError(Code.VALUE, f"bond dimension is {bond_dim}, expected 1 to {_LARGEST_BOND_DIM}")
