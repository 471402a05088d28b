"""From records of a few qubits to their state: linear inversion, projected least squares, maximum likelihood."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qtomo.config import near_miss
from qtomo.errors import InputError
from qtomo.observables.paulis import Observable, exact_value
from qtomo.reconstruction.bootstrap import Progress, bootstrap, reflected
from qtomo.reconstruction.frequencies import Frequencies, check_size, listed
from qtomo.reconstruction.maximum_likelihood import log_likelihood, maximum_likelihood, maximum_likelihood_each
from qtomo.reconstruction.quantities import FIDELITY, number_bounds, state_numbers
from qtomo.reconstruction.shadows import direct_estimates, direct_expectation
from qtomo.records.file.reader import RecordFile
from qtomo.records.file.schema import Target
from qtomo.seeds import stream
from qtomo.states.density import DensityMatrix
from qtomo.states.library import System
from qtomo.states.lpdo import LPDO
from qtomo.states.mps import MPS
from qtomo.states.quantities import nearest_state
from qtomo.states.state import State
from qtomo.statistics.estimate import Estimate, exact
from qtomo.table import Table, as_text
from qtomo.training.run import Run

if TYPE_CHECKING:
    import qutip

__all__ = ["DENSE_METHODS", "Reconstruction", "reconstruct", "reconstruct_frequencies"]

Matrix = NDArray[np.complex128]
Say = Callable[[str], None]

_QUICK = 2e-3  # nats left to a refit of the bootstrap by dimension of the state, far less than its records scatter
_SHOWN = 6  # eigenvalues a side in a table

#: Methods that keep the state as a density matrix: what each is called in a table.
DENSE_METHODS = {"linear": "linear inversion", "pls": "projected least squares", "mle": "maximum likelihood"}


@dataclass(frozen=True)
class FittedState:
    """One method's state beside the others.

    Args:
        log_likelihood: of all records in nats, -inf where a string that was seen is impossible.
        eigenvalues: from the smallest on.
    """

    log_likelihood: float
    eigenvalues: NDArray[np.float64]


@dataclass(frozen=True)
class Reconstruction:
    """A state that was made from records.

    Args:
        file: where the records came from.
        method: `linear`, `pls` or `mle`.
        n_records: how many; 0 for a model's law.
        povm: the measurement's name.
        target: what the state is compared with, in words; empty for nothing.
        state: the state, physical whatever the method.
        numbers: purity, entropy, negativity and fidelity by name.
        fitted: ln likelihood and eigenvalues by method, the linear inversion's among them.
        gap: nats by which the likelihood of any state may exceed that of `mle`.
        claims: what the records support, in sentences.
        observables: by where they come from (the target, the records by several ways, the state), then by name.
    """

    file: str
    method: str
    n_records: int
    povm: str
    target: str
    state: DensityMatrix
    numbers: dict[str, Estimate]
    fitted: dict[str, FittedState]
    gap: float
    claims: list[str] = field(default_factory=list)
    observables: dict[str, dict[str, Estimate]] = field(default_factory=dict)

    def to_qutip(self) -> qutip.Qobj:
        """The state as a QuTiP density matrix."""
        return self.state.to_qutip()

    def to_dict(self) -> dict[str, Any]:
        """Everything but the matrix, as plain values for JSON."""
        fitted = {
            name: {
                "log_likelihood": found.log_likelihood if np.isfinite(found.log_likelihood) else None,
                "eigenvalues": found.eigenvalues.tolist(),
            }
            for name, found in self.fitted.items()
        }
        return {
            "file": self.file,
            "method": self.method,
            "n_records": self.n_records,
            "n_sites": self.state.n_sites,
            "povm": self.povm,
            "target": self.target,
            "numbers": {name: estimate.to_dict() for name, estimate in self.numbers.items()},
            "observables": {
                source: {name: estimate.to_dict() for name, estimate in found.items()}
                for source, found in self.observables.items()
            },
            "fitted": fitted,
            "gap": self.gap,
            "claims": self.claims,
        }

    @property
    def tables(self) -> list[Table]:
        """What is printed."""
        best = max(found.log_likelihood for name, found in self.fitted.items() if name != "linear")
        rows = []
        for name, found in self.fitted.items():
            below = found.log_likelihood - best
            values = [f"{value:z.4f}" for value in found.eigenvalues]
            shown = values if len(values) <= 2 * _SHOWN else [*values[:_SHOWN], "…", *values[-_SHOWN:]]
            below_text = f"{below:+.2f}" if np.isfinite(below) else "impossible"
            rows.append([DENSE_METHODS[name], below_text, f"{(found.eigenvalues < -1e-12).sum()}", " ".join(shown)])
        what = f"{self.n_records:,} records" if self.n_records else "the law"
        title = f"{self.file}: {what} of {self.state.n_sites} qubits, {self.povm}"
        fits = Table(title, ["state", "ln L − best", "negative", "eigenvalues"], rows)
        if not self.numbers:
            return [fits]
        level = next(iter(self.numbers.values())).level
        rows = [
            [name, str(estimate), estimate.interval() if estimate.n_records else "of the law, no sampling error"]
            for name, estimate in self.numbers.items()
        ]
        title = f"{DENSE_METHODS[self.method]}" + (f", target {self.target}" if self.target else "")
        tables = [fits, Table(title, ["quantity", "value ± standard error", f"{level:.0%} interval"], rows)]
        if self.observables:
            names = list(next(iter(self.observables.values())))
            rows = [[source, *(str(found[name]) for name in names)] for source, found in self.observables.items()]
            tables.append(Table("Observables", ["source", *names], rows))
        return tables

    def __str__(self) -> str:
        return as_text(self.tables, self.claims)


def reconstruct(
    source: str | os.PathLike[str],
    method: str = "mle",
    target: System | State | None = None,
    level: float = 0.95,
    resamples: int = 200,
    seed: int = 0,
    records: str | os.PathLike[str] | None = None,
    observables: Sequence[Observable] | None = None,
    say: Say | None = None,
    progress: Progress | None = None,
) -> Reconstruction:
    """The state of a record file's qubits, or of a trained model's P(a).

    Args:
        source: a record file of up to 10 qubits, or a run folder of a model with exact likelihood.
        method: `linear` (unphysical as a rule; the state given is the one next to it), `pls` or `mle`.
        target: a state to compare with; the file's own target where not given.
        level: of intervals.
        resamples: data sets of the bootstrap.
        seed: of these.
        records: where a run's record file is now, if it has moved.
        observables: to estimate from the state, beside the direct ways; mean X, mean Z and mean ZZ of neighbours where
            not given.
        say: called with a line about what is being done.
        progress: called as progress(done, total) over the bootstrap.

    Raises:
        InputError: a bad file, too many qubits, a measurement that is not complete (`mle` takes it), a target of
            another size, or options out of range.
    """
    path = Path(source)
    measured = None
    if path.is_dir():
        run = Run(path)
        with run.open_records(records) as file:
            povm, own = file.povm, file.target
        frequencies = Frequencies.of_law(run.model, povm, str(path))
    else:
        with RecordFile(path) as file:
            check_size(file.n_sites, file.n_outcomes, str(path))
            measured = file.records()
        own = measured.target
        frequencies = Frequencies.of_records(measured.labels, measured.povm, measured.has_settings, str(path))
    wanted = Target.of(target) if target is not None else own
    asked = _means(frequencies.n_sites) if observables is None else list(observables)
    found = reconstruct_frequencies(
        frequencies, method, wanted, level, resamples, seed, str(path), asked, say, progress
    )
    if measured is None or not found.observables:
        return found
    ways = direct_estimates(asked, measured, level, stream(seed, "direct"))
    direct = {f"records, {way}": estimates for way, estimates in ways.items()}
    return replace(found, observables={**direct, **found.observables})


def _means(n_sites: int) -> list[Observable]:
    """What one asks first: the mean of X, of Z and of neighbours' ZZ."""
    found = [Observable(f"mean {p}", tuple((1 / n_sites, {i: p}) for i in range(n_sites))) for p in "XZ"]
    if n_sites > 1:
        pairs = tuple((1 / (n_sites - 1), {i: "Z", i + 1: "Z"}) for i in range(n_sites - 1))
        found.append(Observable("mean ZZ of neighbours", pairs))
    return found


def reconstruct_frequencies(
    frequencies: Frequencies,
    method: str = "mle",
    target: Target | None = None,
    level: float = 0.95,
    resamples: int = 200,
    seed: int = 0,
    source: str = "records",
    observables: Sequence[Observable] = (),
    say: Say | None = None,
    progress: Progress | None = None,
) -> Reconstruction:
    """As `reconstruct`, of frequencies in memory.

    Raises:
        InputError: as `reconstruct`.
    """
    if method not in DENSE_METHODS:
        raise InputError(f"no dense method is called '{method}'{near_miss(method, list(DENSE_METHODS))}")
    if not 0.5 <= level < 1 or resamples < 20:
        raise InputError(f"level {level:g} and {resamples} resamples, expected 0.5 to 1 and at least 20")
    meant = target.state() if target is not None else None
    if meant is not None and meant.n_sites != frequencies.n_sites:
        raise InputError(f"{source}: of {frequencies.n_sites} qubits, the target has {meant.n_sites}")
    if isinstance(meant, LPDO):
        meant = meant.to_density()
    unseen = frequencies.unseen()
    if method != "mle":
        frequencies.check_complete(source)
    say = say or (lambda _line: None)
    matrices: dict[str, Matrix] = {}
    if not unseen:
        matrices["linear"] = frequencies.linear_inversion()
        matrices["pls"] = nearest_state(matrices["linear"])
    say("maximum likelihood")
    fit = maximum_likelihood(frequencies)
    matrices["mle"] = fit.matrix
    fitted = {
        name: FittedState(log_likelihood(frequencies, matrix), np.asarray(np.linalg.eigvalsh(matrix), np.float64))
        for name, matrix in matrices.items()
    }
    physical = method != "linear" or bool(fitted["linear"].eigenvalues[0] >= 0)
    chosen = matrices[method]
    numbers: dict[str, Estimate] = {}
    values = state_numbers(chosen, meant, physical, observables)
    if not frequencies.n_records:
        numbers = {name: exact(value, "of the law") for name, value in values.items()}
    elif not unseen:
        say(f"bootstrap of {resamples} data sets")

        def refitted(drawn: Sequence[Frequencies]) -> list[dict[str, float]]:
            if method == "mle":
                again = [refit.matrix for refit in maximum_likelihood_each(drawn, fit.matrix, _QUICK * len(fit.matrix))]
            else:
                again = [sets.linear_inversion() for sets in drawn]
                again = [nearest_state(matrix) for matrix in again] if method == "pls" else again
            return [state_numbers(matrix, meant, physical, observables) for matrix in again]

        truth = state_numbers(fit.matrix, meant, True, observables)
        found = bootstrap(frequencies, fit.matrix, refitted, resamples, seed, progress)
        for name, value in values.items():
            bounds = number_bounds(name, frequencies.n_sites, observables) if physical else (-np.inf, np.inf)
            what = DENSE_METHODS[method]
            n = frequencies.n_records
            numbers[name] = reflected(value, truth[name], found[name], level, n, bounds, what)
        if isinstance(meant, DensityMatrix) and physical:
            null = bootstrap(frequencies, meant.matrix, refitted, resamples, seed, progress)[FIDELITY]
            if values[FIDELITY] >= np.quantile(null, 1 - level):
                method_text = (
                    f"{numbers[FIDELITY].method}; 1 belongs to it, as fits to records of the target are as far"
                )
                numbers[FIDELITY] = replace(numbers[FIDELITY], high=1.0, method=method_text)
        if isinstance(meant, MPS):
            numbers[f"{FIDELITY}, direct"] = direct_expectation(frequencies, _projector(meant), level).within(0.0, 1.0)
    asked = {observable.name for observable in observables}
    of_state = {name: estimate for name, estimate in numbers.items() if name in asked}
    numbers = {name: estimate for name, estimate in numbers.items() if name not in asked}
    expected = {f"state, {DENSE_METHODS[method]}": of_state} if of_state else {}
    if expected and meant is not None:
        expected["target, exact"] = {o.name: exact(exact_value(o, meant)) for o in observables}
    return Reconstruction(
        file=source,
        method=method,
        n_records=frequencies.n_records,
        povm=frequencies.povm.name + (", shots with settings" if frequencies.given_settings else ""),
        target=target.describe() if target is not None else "",
        state=DensityMatrix(chosen if physical else matrices["pls"]),
        numbers=numbers,
        fitted=fitted,
        gap=fit.gap,
        claims=_claims(frequencies, method, physical, unseen, fitted, fit.gap, numbers),
        observables=expected,
    )


def _projector(state: MPS) -> Matrix:
    ket = state.to_statevector()
    return np.asarray(np.outer(ket, ket.conj()), np.complex128)


def _claims(
    frequencies: Frequencies,
    method: str,
    physical: bool,
    unseen: list[str],
    fitted: dict[str, FittedState],
    gap: float,
    numbers: dict[str, Estimate],
) -> list[str]:
    claims = []
    if unseen:
        claims.append(
            f"The records do not tell {listed(unseen)}: the state is one of many that fit as well, so no "
            "number of it is given."
        )
    else:
        negative = int((fitted["linear"].eigenvalues < -1e-12).sum())
        if negative:
            claims.append(
                f"The linear inversion has {negative} negative eigenvalues, down to "
                f"{fitted['linear'].eigenvalues[0]:.3g}: it is no state"
                + (
                    "."
                    if physical
                    else ", and its numbers "
                    "are those of an operator; the state kept is the one next to it (projected least squares)."
                )
            )
    n, unknown = frequencies.n_records, 4**frequencies.n_sites - 1
    if numbers and 0 < n < unknown:
        claims.append(
            f"{n:,} records are fewer than the {unknown:,} numbers of a state: do not believe the intervals, the "
            "direct ones aside."
        )
    if method == "mle":
        claims.append(f"No state has a likelihood higher by more than {gap:.1g} nats over all records.")
    off = [name for name, e in numbers.items() if e.n_records and not e.low <= e.value <= e.high]
    if off:
        claims.append(
            f"The fit is biased at this number of records, which the intervals undo: outside its own lies the fit's "
            f"{', '.join(off)}."
        )
    if numbers and not frequencies.n_records:
        claims.append("The numbers are those of the model's law: how far it is from the truth they do not say.")
    elif numbers:
        claims.append("Intervals take the file's POVM as right: a readout error that is not in it is not covered.")
        claims.append(
            "Those of the entropy, the negativity and the fidelity with a mixed target hold the truth less often than "
            "they say, where eigenvalues are too small for this number of records to resolve."
        )
    return claims
