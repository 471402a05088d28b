"""From records of many qubits to their state: maximum likelihood over matrix-product or locally purified states."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from qtomo.errors import Code, InputError
from qtomo.measurement.povm import BASES
from qtomo.models.baselines import KGram
from qtomo.models.tensor_network import LPDOModel, MPSModel
from qtomo.reconstruction.methods import METHODS, LocallyPurified, MatrixProduct, TensorNetworkMethod
from qtomo.reconstruction.mps_fit import Stage, TensorNetworkFit, fit_tensor_network, free_parameters
from qtomo.reconstruction.mps_intervals import network_estimates, network_quantities
from qtomo.reconstruction.options import BOUND_BY_VERIFY, UNSAVED_STATE, Options
from qtomo.reconstruction.pure_fit import PureFitTest, pure_fit_test
from qtomo.reconstruction.quantities import FIDELITY, REJECTED_FIDELITY, Quantity
from qtomo.records.coverage import Coverage, coverage
from qtomo.records.records import Records
from qtomo.results import Result, Unsaved
from qtomo.states.lpdo import LPDO
from qtomo.states.mps import MPS
from qtomo.statistics.estimate import Estimate, sample_mean
from qtomo.table import Table

if TYPE_CHECKING:
    import qutip

__all__ = ["TensorNetworkReconstruction", "reconstruct_tensor_network"]

_FEWEST_RECORDS = 20
_ORDERS = range(5)  # of the k-grams to compare with
_RECORDS_PER_PARAMETER = 10  # with fewer the fit is mostly noise


@dataclass(frozen=True)
class TensorNetworkReconstruction(Result, format="qtomo-tensor-network", version=1):
    """A tensor network reconstructed from records.

    Args:
        file: where the records came from.
        method: `mps` or `lpdo`.
        n_records: how many.
        n_sites: number of qubits.
        povm: the measurement's name.
        target: the state it is compared with, in words; empty where there is none.
        bond_dims: of the network.
        numbers: fidelity, energy, correlators, entropies by name.
        stages: the networks that were tried.
        held_out: mean ln P of held-out records by name: the network's and the k-grams'.
        gain: of the network over the best k-gram, in nats per held-out record.
        parameters: free ones of the network.
        claims: what the records support, in sentences.
        pure_fit: whether the records reject a pure fit; of `mps` alone.
        fitted_state: the state, fitted to all records; a result file does not hold it.

    >>> TensorNetworkReconstruction.format
    'qtomo-tensor-network'
    """

    file: str
    method: str
    n_records: int
    n_sites: int
    povm: str
    target: str
    bond_dims: list[int]
    numbers: dict[str, Estimate]
    stages: list[Stage]
    held_out: dict[str, Estimate]
    gain: Estimate
    parameters: int
    claims: list[str] = field(default_factory=list)
    pure_fit: PureFitTest | None = None
    fitted_state: Unsaved[MPS | LPDO] = field(default=None, compare=False)

    @property
    def state(self) -> MPS | LPDO:
        """The state.

        Raises:
            InputError: the result was read from its file, which does not hold the state.
        """
        if self.fitted_state is None:
            raise InputError(Code.REQUIRED, f"{self.file}: {UNSAVED_STATE}")
        return self.fitted_state

    def to_qutip(self) -> qutip.Qobj:
        """The state as a QuTiP object: a ket of up to 20 qubits, or a density matrix of up to 12.

        Raises:
            InputError: more qubits.
        """
        state = self.state.to_density() if isinstance(self.state, LPDO) else self.state
        return state.to_qutip()

    def tables(self) -> list[Table]:
        """What is printed: the fits, the numbers of the whole state, and those of each site."""
        title = f"{self.file}: {self.n_records:,} records of {self.n_sites} qubits, {self.povm}"
        rows = [
            [
                f"bond {s.bond_dim}, {'complex' if s.complex_amplitudes else 'real'}",
                f"{s.parameters:,}",
                f"{s.validation:.5f}",
                f"{s.gain:+.5f} ± {s.gain_error:.5f}" if s.gain == s.gain else "–",
            ]
            for s in self.stages
        ]
        rows += [[name, "", f"{e.value:.5f}", ""] for name, e in self.held_out.items() if name != self.method]
        tried = Table(
            title, [self.method, "free parameters", "held-out ln P per record", "gain over the best before"], rows
        )
        n, middle = self.n_sites, self.n_sites // 2
        names = [(f"X{i}", f"Z{min(i, middle)} Z{max(i, middle)}", f"entropy of bond {i}") for i in range(n)]
        by_site = {name for row in names for name in row}
        whole = [name for name in self.numbers if name not in by_site]
        level = next(iter(self.numbers.values())).level
        rows = [[name, str(self.numbers[name]), self.numbers[name].interval()] for name in whole]
        title = f"{METHODS[self.method].title}, bond dimension {max(self.bond_dims, default=1)}"
        title += f", target {self.target}" if self.target else ""
        found = Table(title, ["quantity", "value ± standard error", f"{level:.0%} interval"], rows)
        rows = [
            [str(i), *(str(self.numbers[name]) if name in self.numbers else "–" for name in row)]
            for i, row in enumerate(names)
        ]
        columns = ["site", "<X>", f"<Z Z{middle}>", "entropy of the bond to its right"]
        sites = Table("Site by site (entropies in nats)", columns, rows)
        return [tried, *([found] if whole else []), sites]

    def remarks(self) -> list[str]:
        """What the records support."""
        return self.claims


def reconstruct_tensor_network(
    records: Records, method: TensorNetworkMethod, options: Options
) -> TensorNetworkReconstruction:
    """The tensor network of maximum likelihood; shots are used as they are, given their settings.

    Raises:
        InputError: too few records, lost outcomes, or a target of another size.
    """
    _check(records)
    n_sites, seen = records.n_sites, coverage(records)
    target = options.target_state(n_sites, records.name)
    fit = fit_tensor_network(records, method, seed=options.seed, progress=options.progress)
    assert isinstance(fit.model, MPSModel | LPDOModel)
    system = options.target.system if options.target is not None else None
    quantities = network_quantities(
        n_sites,
        system.terms() if system is not None else (),
        target if seen.complete else None,  # of a state that the settings do not determine, no fidelity is known
        options.observables or (),
    )
    numbers = network_estimates(fit, records, quantities, options)
    pure_fit = pure_fit_test(fit.model, records, options.seed) if isinstance(method, MatrixProduct) else None
    if pure_fit is not None and pure_fit.rejected:
        numbers = {REJECTED_FIDELITY if quantity == FIDELITY else quantity: e for quantity, e in numbers.items()}
    held_out, gain = _held_out(fit, method, records, options.level)
    state = fit.model.to_state()
    return TensorNetworkReconstruction(
        file=records.name,
        method=method.name,
        n_records=len(records),
        n_sites=records.n_sites,
        povm=records.povm.name + (", shots with settings" if records.has_settings else ""),
        target=options.target.describe() if options.target is not None else "",
        bond_dims=list(state.bond_dims),
        fitted_state=state,
        numbers={quantity.name: estimate for quantity, estimate in numbers.items()},
        stages=fit.stages,
        held_out=held_out,
        gain=gain,
        parameters=free_parameters(fit.model),
        claims=[
            *_fit_claims(method, len(records), free_parameters(fit.model), gain, seen),
            *_number_claims(method, numbers, pure_fit),
        ],
        pure_fit=pure_fit,
    )


def _check(records: Records) -> None:
    n, lost = len(records), int(records.lost.any(axis=1).sum())
    if n < _FEWEST_RECORDS:
        raise InputError(Code.TOO_FEW, f"{records.name}: {n} records, expected at least {_FEWEST_RECORDS}")
    if lost:
        raise InputError(
            Code.UNSUPPORTED,
            f"{records.name}: {lost:,} of {n:,} records lost an outcome, which a tensor network does not take; the "
            "method mle does, up to 10 qubits; else fit the whole ones, Records.whole()",
        )


def _held_out(
    fit: TensorNetworkFit, method: TensorNetworkMethod, records: Records, level: float
) -> tuple[dict[str, Estimate], Estimate]:
    """Held-out ln P of the network and of k-grams, all from the other records, and the gain over the best k-gram."""
    outcomes, n_outcomes = records.labels, records.povm.n_outcomes
    n_bases = len(BASES) if records.has_settings else 1
    held = outcomes[fit.validation]
    grams: dict[str, NDArray[np.float64]] = {}
    for order in _ORDERS:
        if order < outcomes.shape[1]:
            name = f"{order}-gram" if order else "0-gram (product)"
            gram = KGram(outcomes[fit.training], n_outcomes, order, n_bases=n_bases)
            grams[name] = gram.log_prob(held) - held.shape[1] * math.log(n_bases)
    network = fit.held_out.log_prob(held)
    best = max(grams, key=lambda name: float(grams[name].mean()))
    gain = sample_mean(network - grams[best], level, f"over the {best}, held-out records")
    return {name: sample_mean(values, level) for name, values in {method.name: network, **grams}.items()}, gain


def _fit_claims(
    method: TensorNetworkMethod, n_records: int, parameters: int, gain: Estimate, seen: Coverage
) -> list[str]:
    """What the fit itself says."""
    claims = []
    enough = _RECORDS_PER_PARAMETER * parameters
    if n_records < enough:
        claims.append(
            f"Too few records for this bond dimension: {n_records:,} for {parameters:,} free parameters; {enough:,} or "
            "more are needed for numbers that are not mostly noise."
        )
    better = "better than" if gain.low > 0 else "no better than"
    claims.append(f"On held-out records the {method.name} is {better} the best k-gram: gain {gain} nats per record.")
    if not seen.complete:
        claims.append(
            f"Measured in {seen.words}, which does not determine the state: other states fit these records equally "
            f"well, and no fidelity is given. {BOUND_BY_VERIFY}"
        )
    return claims


def _number_claims(
    method: TensorNetworkMethod, numbers: dict[Quantity, Estimate], pure_fit: PureFitTest | None
) -> list[str]:
    """How far the numbers can be trusted."""
    claims = []
    if isinstance(method, LocallyPurified):
        claims.append("Noise of the records fills the purification: the purity of a mixed state is underestimated.")
    elif pure_fit is not None and pure_fit.rejected:
        claims.append(
            f"The records reject the pure fit: with {pure_fit.noise.words} of {pure_fit.strength:.2g} they are more "
            f"likely (p = {pure_fit.p_value:.1g}). Its numbers are not those of the state: fit a mixed one "
            "(--method lpdo, or mle up to 10 qubits)."
        )
    elif FIDELITY in numbers:
        claims.append(
            "The fidelity is that of the best pure state of this bond dimension: noise that makes the state mixed is "
            "not included (--method lpdo includes it)."
        )
    outside = [quantity.name for quantity, e in numbers.items() if not e.low <= e.value <= e.high]
    if outside:
        named = ", ".join(outside[:3]) + (f" and {len(outside) - 3} more" if len(outside) > 3 else "")
        claims.append(
            "The fit is biased at this number of records, which the intervals correct: outside its interval is the "
            f"fitted {named}."
        )
    return [
        *claims,
        "Intervals take the file's POVM as exact, and the true state as one of about this bond dimension.",
    ]
