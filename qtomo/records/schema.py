"""The record file, version 1: names, limits and the target it may carry. See docs/record-format.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qtomo.errors import InputError
from qtomo.states import MPS, TFIM, ground_state

__all__ = ["FORMAT", "LOST", "VERSION", "Target"]

FORMAT = "qtomo-records"
VERSION = 1
#: The outcome of a qubit whose measurement was lost.
LOST = 255


@dataclass(frozen=True)
class Target:
    """The state that records are of, or should be of.

    Args:
        parameters: plain numbers and strings; `family` says what they mean, e.g.
            {"family": "tfim", "n_sites": 50, "coupling": 1.0, "field": 1.0, "boundary": "open"}.
        tensors: the exact state's MPS tensors, where known.
    """

    parameters: dict[str, str | int | float]
    tensors: tuple[NDArray[Any], ...] | None = None

    @classmethod
    def tfim(cls, model: TFIM, state: MPS | None = None) -> Target:
        """A transverse-field Ising ground state, with its tensors where they were computed."""
        parameters: dict[str, str | int | float] = {
            "family": "tfim",
            "n_sites": model.n_sites,
            "coupling": float(model.coupling),
            "field": float(model.field),
            "boundary": "open",
        }
        return cls(parameters, state.tensors if state else None)

    @property
    def model(self) -> TFIM | None:
        """The Hamiltonian, where the target is a transverse-field Ising chain."""
        p = self.parameters
        if p.get("family") != "tfim":
            return None
        if p.get("boundary", "open") != "open":
            raise InputError(f"target: boundary is '{p['boundary']}', expected 'open'")
        try:
            return TFIM(int(p["n_sites"]), float(p["coupling"]), float(p["field"]))
        except KeyError as error:
            raise InputError(f"target: a TFIM target needs {error}, found only {sorted(p)}") from None

    def state(self) -> MPS:
        """The exact state: the stored tensors, or the ground state computed anew.

        Raises:
            InputError: the target has neither tensors nor parameters of a known family.
        """
        if self.tensors is not None:
            return MPS(self.tensors)
        if self.model is not None:
            return ground_state(self.model)
        raise InputError(f"target of family '{self.parameters.get('family')}' carries no state: no tensors stored")

    def describe(self) -> str:
        """One line for tables and `info`."""
        p = dict(self.parameters)
        family = p.pop("family", "state")
        return f"{family}: " + ", ".join(
            f"{k} {np.format_float_positional(v, trim='0') if isinstance(v, float) else v}" for k, v in p.items()
        )
