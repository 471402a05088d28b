"""Ground states by two-site DMRG (White 1992), through TeNPy; a chain too short for it by diagonalisation."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qtomo.povm import PAULIS
from qtomo.states.mps import MPS

__all__ = ["SMALLEST", "Terms", "lowest_vector", "run_dmrg"]

#: Largest chain that is diagonalised: DMRG wants at least three sites.
SMALLEST = 2

#: A sum of coefficients times products of Paulis, {site: letter} each.
Terms = Sequence[tuple[float, Mapping[int, str]]]


def lowest_vector(terms: Terms, n_sites: int) -> MPS:
    """The lowest state of a Hamiltonian of a few qubits."""
    hamiltonian = np.zeros((2**n_sites, 2**n_sites), dtype=np.complex128)
    for coefficient, product in terms:
        letters = [product.get(site, "I") for site in range(n_sites)]
        matrix: NDArray[Any] = np.ones((1, 1))
        for letter in letters:
            matrix = np.kron(matrix, PAULIS[letter])
        hamiltonian += coefficient * matrix
    return MPS.from_statevector(np.linalg.eigh(hamiltonian)[1][:, 0])


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
