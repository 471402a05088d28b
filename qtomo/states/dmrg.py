"""Ground states by two-site DMRG (White 1992), through TeNPy; a chain too short for it by diagonalisation."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qtomo.states.mps import MPS

__all__ = ["DIAGONALISED", "Terms", "lowest_state", "lowest_vector", "run_dmrg"]

#: Largest chain that is diagonalised, which is faster there; DMRG wants at least three sites.
DIAGONALISED = 12

#: A sum of coefficients times products of Paulis, {site: letter} each.
Terms = Sequence[tuple[float, Mapping[int, str]]]


def lowest_vector(terms: Terms, n_sites: int) -> MPS:
    """The lowest state of a Hamiltonian of at most `DIAGONALISED` qubits, by Lanczos."""
    from scipy import sparse
    from scipy.sparse.linalg import eigsh

    dimension = 2**n_sites
    places = np.arange(dimension)
    hamiltonian = sparse.csr_matrix((dimension, dimension), dtype=np.complex128)
    for coefficient, product in terms:
        flips, values = 0, np.full(dimension, coefficient, dtype=np.complex128)
        for site, letter in product.items():
            mask = 1 << (n_sites - 1 - site)
            sign = np.where(places & mask, -1.0, 1.0)  # of |1>, by column
            flips ^= mask if letter in "XY" else 0
            values *= {"X": 1.0, "Y": 1j * sign, "Z": sign}[letter]
        hamiltonian = hamiltonian + sparse.csr_matrix((values, (places ^ flips, places)), shape=(dimension, dimension))
    if not hamiltonian.data.imag.any():
        hamiltonian = hamiltonian.real
    if dimension <= 8:
        return MPS.from_statevector(np.linalg.eigh(hamiltonian.toarray())[1][:, 0])
    start = np.random.default_rng(0).normal(size=dimension)
    return MPS.from_statevector(eigsh(hamiltonian, k=1, which="SA", v0=start)[1][:, 0])


def run_dmrg(model: Any, options: dict[str, Any], start: list[str], rotation: NDArray[np.float64]) -> MPS:
    """The lowest state of a TeNPy chain in the symmetry sector of a product state.

    Args:
        model: TeNPy's class of the chain.
        options: its parameters; open ends and finite are added.
        start: TeNPy's name of each site's state.
        rotation: (2, 2), from TeNPy's basis (up, down) to |0>, |1>.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tenpy.algorithms.dmrg import TwoSiteDMRGEngine
        from tenpy.networks.mps import MPS as TenpyMPS

        logging.getLogger("tenpy").setLevel(logging.ERROR)
        chain = model({**options, "bc_MPS": "finite"})
        psi = TenpyMPS.from_product_state(chain.lat.mps_sites(), start, bc="finite")
        settings = {
            "trunc_params": {"chi_max": 200, "svd_min": 1e-8},
            "mixer": True,
            "mixer_params": {"amplitude": 1e-4, "decay": 2.0, "disable_after": 4},
            "max_E_err": 1e-12,
            "max_S_err": 1e-7,
            "max_sweeps": 60,
        }
        TwoSiteDMRGEngine(psi, chain, settings).run()
    tensors = []
    for index, site in enumerate(psi.sites):
        array = psi.get_B(index, form="B").itranspose(["vL", "p", "vR"]).to_ndarray()
        ordered = array[:, [site.state_index("up"), site.state_index("down")], :]
        tensors.append(np.einsum("st,atb->asb", rotation, ordered))
    return MPS(tensors)


def lowest_state(terms: Terms, n_sites: int) -> MPS:
    """The lowest state of a chain of Ising form, -J Z Z, X and Z of single sites, without use of its symmetries.

    Up to twelve qubits by Lanczos, beyond by DMRG of TeNPy's spin chain.

    Raises:
        ValueError: other terms, in a chain of more than twelve qubits.
    """
    if n_sites <= DIAGONALISED:
        return lowest_vector(terms, n_sites).truncate(weight=1e-13)[0]
    from tenpy.models.spins import SpinChain

    fields = {letter: np.zeros(n_sites) for letter in "XZ"}
    couplings = np.zeros(n_sites - 1)
    for coefficient, product in terms:
        sites = sorted(product)
        if len(sites) == 1 and product[sites[0]] in fields:
            fields[product[sites[0]]][sites[0]] += coefficient
        elif sites == [sites[0], sites[0] + 1] and all(product[site] == "Z" for site in sites):
            couplings[sites[0]] += coefficient
        else:
            raise ValueError(f"a term {dict(product)} that a chain of Ising form does not have")
    # TeNPy's spins are half the Pauli matrices, and its fields have a minus.
    options = {
        "L": n_sites,
        "S": 0.5,
        "conserve": None,
        "Jx": 0.0,
        "Jy": 0.0,
        "Jz": 4 * couplings,
        "hx": -2 * fields["X"],
        "hz": -2 * fields["Z"],
    }
    start = ["up" if field <= 0 else "down" for field in fields["Z"]]
    return run_dmrg(SpinChain, options, start, np.eye(2)).truncate(weight=1e-13)[0]
