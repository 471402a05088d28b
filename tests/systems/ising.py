"""The transverse-field Ising chain written out as matrices by QuTiP: the oracle for small N."""

import functools
import itertools

import numpy as np
import qutip

from qtomo.states.tfim import TFIM


def operator(letters: dict[int, qutip.Qobj], n_sites: int) -> qutip.Qobj:
    return qutip.tensor([letters.get(site, qutip.qeye(2)) for site in range(n_sites)])


def hamiltonian(model: TFIM) -> qutip.Qobj:
    n = model.n_sites
    terms = [-h * operator({i: qutip.sigmax()}, n) for i, h in enumerate(model.fields)]
    terms += [-j * operator({i: qutip.sigmaz(), i + 1: qutip.sigmaz()}, n) for i, j in enumerate(model.couplings)]
    return sum(terms[1:], terms[0])


def pauli_product(text: str, n_sites: int) -> qutip.Qobj:
    """Such as "Z0 Z4"."""
    matrices = {"X": qutip.sigmax(), "Y": qutip.sigmay(), "Z": qutip.sigmaz()}
    return operator({int(word[1:]): matrices[word[0]] for word in text.split()}, n_sites)


def parity(n_sites: int) -> qutip.Qobj:
    return operator(dict.fromkeys(range(n_sites), qutip.sigmax()), n_sites)


def lowest_state(model: TFIM, sector: int) -> tuple[float, qutip.Qobj]:
    """Energy and ket of the lowest state with prod X = sector, the other sector being lifted out of reach."""
    lifted = hamiltonian(model) - sector * 100.0 * parity(model.n_sites)
    energy, ket = lifted.groundstate()
    return energy + 100.0, ket


def outcome_probabilities(rho: qutip.Qobj, elements: np.ndarray) -> np.ndarray:
    """Tr(M_a rho) of every record in lexicographic order, from the full matrices."""
    n_sites = len(rho.dims[0])
    matrix = rho.full()
    products = itertools.product(elements, repeat=n_sites)
    return np.array([np.trace(functools.reduce(np.kron, product) @ matrix).real for product in products])
