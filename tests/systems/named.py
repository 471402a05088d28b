"""A system of each family, of any number of qubits."""

from typing import Any

from qtomo.states.library import SYSTEMS
from qtomo.states.system import System


def ghz_circuit(n_sites: int) -> str:
    """A circuit of a GHZ state, with measurements at its end."""
    steps = "".join(f"cx q[{i}],q[{i + 1}]; " for i in range(n_sites - 1))
    head = f'OPENQASM 2.0; include "qelib1.inc"; qreg q[{n_sites}]; creg c[{n_sites}]; '
    return f"{head}h q[0]; {steps}measure q -> c;\n"


def parameters(family: str, n_sites: int) -> dict[str, Any]:
    """Parameters without defaults of a family."""
    ring = tuple((i, (i + 1) % n_sites) for i in range(n_sites))
    return {
        "dicke": {"n_sites": n_sites, "excitations": 2},
        "graph": {"n_sites": n_sites, "edges": ring},
        "circuit": {"qasm": ghz_circuit(n_sites)},
    }.get(family, {"n_sites": n_sites})


def example(family: str, n_sites: int) -> System:
    """One of them."""
    built: System = SYSTEMS[family](**parameters(family, n_sites))
    return built
