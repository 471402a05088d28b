"""From records of many qubits to their state: maximum likelihood over matrix-product or locally purified states."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qtomo.config import near_miss
from qtomo.distribution import Outcomes
from qtomo.errors import InputError
from qtomo.measurement.povm import BASES
from qtomo.models.baselines import KGram
from qtomo.models.tensor_network import LPDOModel, MPSModel
from qtomo.reconstruction.bootstrap import Progress
from qtomo.reconstruction.mps_fit import ChainFit, Stage, fit_chain, free_parameters
from qtomo.reconstruction.mps_intervals import FIDELITY, chain_estimates, chain_numbers
from qtomo.records.coverage import Coverage, coverage
from qtomo.records.file.reader import RecordFile
from qtomo.records.file.schema import Target
from qtomo.states.library import System
from qtomo.states.lpdo import LPDO
from qtomo.states.mps import MPS
from qtomo.states.state import State
from qtomo.statistics.estimate import Estimate, sample_mean
from qtomo.table import Table, as_text

__all__ = ["CHAIN_METHODS", "ChainReconstruction", "reconstruct_chain", "records_wanted"]

#: Methods that keep the state as a tensor network: what each is called in a table.
CHAIN_METHODS = {"mps": "matrix-product state", "lpdo": "locally purified density operator"}

_ORDERS = range(5)  # of the k-grams beside
_RECORDS_A_PARAMETER = 10  # below, the noise of a fit is no small number


@dataclass(frozen=True)
class ChainReconstruction:
    """A tensor network that was made from records.

    Args:
        file: where the records came from.
        method: `mps` or `lpdo`.
        n_records: how many.
        povm: the measurement's name.
        target: what the state is compared with, in words; empty for nothing.
        state: the state, fitted to all records.
        numbers: fidelity, energy, correlators, entropies by name.
        stages: the networks that were tried on the way.
        held_out: mean ln P of held-out records: the network's and the k-grams', by name.
        gain: of the network over the best k-gram, in nats a held-out record.
        parameters: free ones of the network.
        claims: what the records support, in sentences.
    """

    file: str
    method: str
    n_records: int
    povm: str
    target: str
    state: MPS | LPDO
    numbers: dict[str, Estimate]
    stages: list[Stage]
    held_out: dict[str, Estimate]
    gain: Estimate
    parameters: int
    claims: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the tensors, as plain values for JSON."""
        return {
            "file": self.file,
            "method": self.method,
            "n_records": self.n_records,
            "n_sites": self.state.n_sites,
            "povm": self.povm,
            "target": self.target,
            "bond_dims": list(self.state.bond_dims),
            "parameters": self.parameters,
            "numbers": {name: estimate.to_dict() for name, estimate in self.numbers.items()},
            "stages": [
                {name: None if value != value else value for name, value in vars(stage).items()}
                for stage in self.stages
            ],
            "held_out": {name: estimate.to_dict() for name, estimate in self.held_out.items()},
            "gain": self.gain.to_dict(),
            "claims": self.claims,
        }

    @property
    def tables(self) -> list[Table]:
        """What is printed: the fits, the numbers of the whole chain, and those of each site."""
        title = f"{self.file}: {self.n_records:,} records of {self.state.n_sites} qubits, {self.povm}"
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
            title, [self.method, "free parameters", "held-out ln P a record", "gain over the best before"], rows
        )
        whole = [name for name in self.numbers if name.split()[0] in ("fidelity", "purity", "energy")]
        level = next(iter(self.numbers.values())).level
        rows = [[name, str(self.numbers[name]), self.numbers[name].interval()] for name in whole]
        title = f"{self.state}" + (f", target {self.target}" if self.target else "")
        found = Table(title, ["quantity", "value ± standard error", f"{level:.0%} interval"], rows)
        n, middle = self.state.n_sites, self.state.n_sites // 2

        def cell(name: str) -> str:
            return str(self.numbers[name]) if name in self.numbers else "–"

        rows = [
            [str(i), cell(f"X{i}"), cell(f"Z{min(i, middle)} Z{max(i, middle)}"), cell(f"entropy of bond {i}")]
            for i in range(n)
        ]
        columns = ["site", "<X>", f"<Z Z{middle}>", "entropy of the bond to its right"]
        sites = Table("Site by site (entropies in nats)", columns, rows)
        return [tried, *([found] if whole else []), sites]

    def __str__(self) -> str:
        return as_text(self.tables, self.claims)


def reconstruct_chain(
    source: str | os.PathLike[str],
    method: str = "mps",
    target: System | State | None = None,
    bond_dim: int | None = None,
    level: float = 0.95,
    resamples: int = 200,
    seed: int = 0,
    records: str | os.PathLike[str] | None = None,
    say: Callable[[str], None] | None = None,
    progress: Progress | None = None,
) -> ChainReconstruction:
    """The state of a record file's qubits as a tensor network of maximum likelihood.

    Args:
        source: a record file; shots in bases drawn at random are used as they are.
        method: `mps`, a pure state, or `lpdo`, a mixed one.
        target: a state to compare with; the file's own target where not given.
        bond_dim: D; chosen by held-out records where not given.
        level: of intervals.
        resamples: draws of the fit from its Fisher matrix.
        seed: of all that is drawn.
        records: refused: a tensor network is fitted to records, not to a model's law.
        say: called with a line about what is being done.
        progress: called as progress(done, total) over the draws.

    Raises:
        InputError: a bad file, lost outcomes, a target of another size, or options out of range.
    """
    path = Path(source)
    if method not in CHAIN_METHODS:
        raise InputError(f"no tensor network is called '{method}'{near_miss(method, list(CHAIN_METHODS))}")
    if not 0.5 <= level < 1 or resamples < 20:
        raise InputError(f"level {level:g} and {resamples} resamples, expected 0.5 to 1 and at least 20")
    if bond_dim is not None and not 1 <= bond_dim <= 64:
        raise InputError(f"bond dimension is {bond_dim}, expected 1 to 64")
    if path.is_dir() or records is not None:
        raise InputError(
            f"{path}: a run folder; method {method} is fitted to records: give the record file, or train one with "
            f"qtomo train --model {method}"
        )
    with RecordFile(path) as file:
        if file.n_records < 20:
            raise InputError(f"{path}: {file.n_records} records, expected at least 20")
        measured = file.records(lost=False)
    own, povm, n_sites, outcomes = measured.target, measured.povm, measured.n_sites, measured.labels
    seen = coverage(measured)
    wanted = Target.of(target) if target is not None else own
    meant = wanted.state() if wanted is not None else None
    if meant is not None and meant.n_sites != n_sites:
        raise InputError(f"{path}: of {n_sites} qubits, the target has {meant.n_sites}")
    fit = fit_chain(method, outcomes, povm, bond_dim, None, seed, say)
    model = fit.model
    assert isinstance(model, MPSModel | LPDOModel)
    state = model.to_state()
    system = wanted.system if wanted is not None else None
    # A fit that the settings do not determine has no fidelity: another state fits these records as well.
    numbers_of = chain_numbers(n_sites, system.terms() if system is not None else (), meant if seen.complete else None)
    numbers = chain_estimates(fit, outcomes, numbers_of, level, resamples, seed, progress, say)
    n = len(outcomes)
    held_out, gain = _beside(fit, method, outcomes, povm.n_outcomes, len(BASES) if measured.has_settings else 1, level)
    parameters = free_parameters(model)
    return ChainReconstruction(
        file=str(path),
        method=method,
        n_records=n,
        povm=povm.name + (", shots with settings" if measured.has_settings else ""),
        target=wanted.describe() if wanted is not None else "",
        state=state,
        numbers=numbers,
        stages=fit.stages,
        held_out=held_out,
        gain=gain,
        parameters=parameters,
        claims=_claims(method, n, parameters, numbers, gain, seen),
    )


def records_wanted(parameters: int) -> int:
    """Records below which a network of so many free parameters is mostly noise."""
    return _RECORDS_A_PARAMETER * parameters


def _beside(
    fit: ChainFit, method: str, outcomes: Outcomes, n_outcomes: int, n_bases: int, level: float
) -> tuple[dict[str, Estimate], Estimate]:
    """Held-out ln P of the network and of k-grams, all from the other records, and the gain over the best k-gram."""
    held = outcomes[fit.validation]
    scores = {method: fit.held_out.log_prob(held)}
    for order in _ORDERS:
        if order < outcomes.shape[1]:
            name = f"{order}-gram" if order else "0-gram (product)"
            gram = KGram(outcomes[fit.training], n_outcomes, order, n_bases=n_bases)
            scores[name] = gram.log_prob(held) - held.shape[1] * math.log(n_bases)
    best = max((name for name in scores if name != method), key=lambda name: float(scores[name].mean()))
    gain = sample_mean(scores[method] - scores[best], level, f"over the {best}, held-out records")
    return {name: sample_mean(values, level) for name, values in scores.items()}, gain


def _claims(
    method: str,
    n_records: int,
    parameters: int,
    numbers: dict[str, Estimate],
    gain: Estimate,
    seen: Coverage,
) -> list[str]:
    claims = []
    if n_records < records_wanted(parameters):
        claims.append(
            f"Too few records for this bond dimension: {n_records:,} for {parameters:,} free parameters, of which "
            f"{records_wanted(parameters):,} records or more would be wanted; the numbers may be mostly noise."
        )
    better = "better than" if gain.low > 0 else "no better than"
    claims.append(f"On held-out records the {method} is {better} the best k-gram: gain {gain} nats a record.")
    if not seen.complete:
        claims.append(
            f"Measured in {seen.words}, which does not determine the state: others fit these records as well, and no "
            "fidelity is given."
        )
    if any(name.startswith(FIDELITY) for name in numbers) and method == "mps":
        claims.append(
            "The fidelity is that of the best pure state of this bond dimension: noise that makes the state mixed is "
            "not seen (--method lpdo sees it)."
        )
    if method == "lpdo":
        claims.append("Noise of the records fills the purification: the purity of a mixed fit comes out too low.")
    off = [name for name, e in numbers.items() if not e.low <= e.value <= e.high]
    if off:
        named = ", ".join(off[:3]) + (f" and {len(off) - 3} more" if len(off) > 3 else "")
        claims.append(
            f"The fit is biased at this number of records: outside its interval, which undoes that, is {named}."
        )
    claims.append("Intervals take the file's POVM as right, and the true state as one of about this bond dimension.")
    return claims
