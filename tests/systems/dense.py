"""A few measured qubits written out as matrices in plain NumPy: states, measurements, faults. The oracle for N = 3.

Nothing here is taken from qtomo but the order of its conventions (site 0 leftmost, bases X, Y, Z as 0, 1, 2).
"""

import functools
import itertools

import numpy as np
from scipy.linalg import expm

from qtomo import GHZ, TFIM, Product, W

I2, X, Y, Z = np.eye(2), np.array([[0, 1], [1, 0]]), np.array([[0, -1j], [1j, 0]]), np.diag([1.0, -1.0])
PAULI = {"I": I2, "X": X, "Y": Y, "Z": Z}
LOST = 255

#: Kets of the basis states: BASES[basis][bit].
BASES = [
    [np.array([1, 1]) / 2**0.5, np.array([1, -1]) / 2**0.5],
    [np.array([1, 1j]) / 2**0.5, np.array([1, -1j]) / 2**0.5],
    [np.array([1, 0]), np.array([0, 1])],
]


def projector(ket):
    return np.outer(ket, np.conj(ket))


def kron(*matrices):
    return functools.reduce(np.kron, matrices)


def on(matrix, site, n):
    """A matrix of one qubit on the register."""
    return kron(*(matrix if i == site else I2 for i in range(n)))


def product(letters, n):
    """A product of Paulis by site."""
    return kron(*(PAULI[letters.get(i, "I")] for i in range(n)))


def hamiltonian(n, coupling, field):
    bonds = (-coupling * on(Z, i, n) @ on(Z, i + 1, n) for i in range(n - 1))
    return sum(bonds, start=sum(-field * on(X, i, n) for i in range(n)))


def ghz(n):
    ket = np.zeros(2**n)
    ket[[0, -1]] = 2**-0.5
    return projector(ket)


def w(n):
    ket = np.zeros(2**n)
    ket[2 ** np.arange(n)] = n**-0.5
    return projector(ket)


def tfim(n, coupling=1.0, field=1.0):
    return projector(np.linalg.eigh(hamiltonian(n, coupling, field))[1][:, 0])


def spins(n, theta, phi):
    """All spins along one direction."""
    return kron(*[projector(np.array([np.cos(theta / 2), np.exp(1j * phi) * np.sin(theta / 2)]))] * n)


#: The same states as qtomo makes them and as density matrices.
STATES = {
    "ghz": (GHZ(3), ghz(3)),
    "w": (W(3), w(3)),
    "tfim": (TFIM(3, 1.0, 0.7), tfim(3, 1.0, 0.7)),
    "product": (Product(3, 0.0), spins(3, 0.0, 0.0)),
    "tilted": (Product(3, 0.7, 0.3), spins(3, 0.7, 0.3)),
}


def pauli6():
    return np.array([projector(ket) / 3 for basis in BASES for ket in basis])


def pauli4():
    first = [projector(BASES[basis][0]) / 3 for basis in (2, 0, 1)]
    return np.array([*first, np.eye(2) - sum(first)])


def sic():
    """A tetrahedron with one corner at |0>."""
    corners = [np.array([0, 0, 1.0])]
    corners += [
        np.array([np.cos(a), np.sin(a), 0]) * 8**0.5 / 3 - np.array([0, 0, 1 / 3])
        for a in (0, 2 * np.pi / 3, -2 * np.pi / 3)
    ]
    return np.array([(I2 + x * X + y * Y + z * Z) / 4 for x, y, z in corners])


POVMS = {"pauli4": pauli4, "pauli6": pauli6, "sic": sic}


def chances(rho, elements):
    """Tr(rho M) of every record in lexicographic order; `elements` of all sites alike, or a list of each site's."""
    n = int(np.log2(len(rho)))
    by_site = [elements] * n if isinstance(elements, np.ndarray) else elements
    found = np.reshape(
        rho, (1, *(2,) * (2 * n))
    )  # the records so far, then rows and columns of the sites that are left
    for site, mine in enumerate(by_site):
        left = n - site
        found = np.tensordot(np.asarray(mine), found, axes=([2, 1], [1, 1 + left]))  # Tr of M rho
        found = np.moveaxis(found, 0, 1)
        found = found.reshape(-1, *found.shape[2:])
    return found.real


def with_lost(elements):
    """The elements, and that of an outcome that was lost: the identity."""
    return np.concatenate([elements, [np.eye(2)]])


def all_records(n, k, lost=False):
    """Every record, uint8; with `lost` outcome k stands for 255."""
    rows = np.array(list(itertools.product(range(k + lost), repeat=n)), dtype=np.uint8)
    return np.where(rows == k, LOST, rows).astype(np.uint8) if lost else rows


def log(probabilities):
    """ln of probabilities, those that are zero but for rounding as -inf."""
    with np.errstate(divide="ignore"):
        return np.where(probabilities > 1e-13, np.log(np.maximum(probabilities, 1e-300)), -np.inf)


def kraus(name, strength):
    """Operators of a channel, by the name that qtomo has for it."""
    t = strength
    if name.startswith("rotation"):
        return [expm(-0.5j * t * PAULI[name[-1].upper()])]
    if name == "depolarizing":  # to the maximally mixed state: all Paulis alike
        return [np.sqrt(1 - t) * I2, *(np.sqrt(t) / 2 * pauli for pauli in PAULI.values())]
    if name == "amplitude-damping":
        return [np.diag([1, np.sqrt(1 - t)]), np.sqrt(t) * np.array([[0, 1], [0, 0]])]
    letter = {"dephasing": Z, "bit-flip": X, "bit-phase-flip": Y}[name]
    return [np.sqrt(1 - t) * I2, np.sqrt(t) * letter]


def sent_through(rho, name, strength, site):
    n = int(np.log2(len(rho)))
    operators = [on(k, site, n) for k in kraus(name, strength)]
    return sum(k @ rho @ k.conj().T for k in operators)


def misread(povm, zero_as_one, one_as_zero):
    """Elements with the bit read wrongly: of bases 2 * basis + bit, or of pauli4, whose last outcome is a one."""
    flips = np.array([[1 - zero_as_one, one_as_zero], [zero_as_one, 1 - one_as_zero]])  # (read, true)
    bits = np.array([[projector(ket) / 3 for ket in basis] for basis in BASES])
    read = np.einsum("rt,btij->brij", flips, bits)
    if povm == "pauli6":
        return read.reshape(6, 2, 2)
    return np.array([read[2, 0], read[0, 0], read[1, 0], read[:, 1].sum(axis=0)])


def faulty(rho, povm, name, strength, sites):
    """ln-able probabilities of every record with lost outcomes, after a fault of some sites."""
    n = int(np.log2(len(rho)))
    elements = [POVMS[povm]()] * n
    for site in sites:
        if name.startswith("readout"):
            zero, one = (strength, 0) if name == "readout-0-to-1" else (0, strength)
            elements[site] = misread(povm, zero, one)
        else:
            rho = sent_through(rho, name, strength, site)
    return chances(rho, [with_lost(one) for one in elements])
