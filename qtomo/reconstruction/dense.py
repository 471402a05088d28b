"""From records of a few qubits to their state: linear inversion, projected least squares, maximum likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from qtomo.errors import Code, InputError
from qtomo.observables.paulis import Observable, exact_value
from qtomo.reconstruction.bootstrap import bootstrap, reflected
from qtomo.reconstruction.calibrated import LARGEST_CALIBRATED, calibrated_interval, entropy_range
from qtomo.reconstruction.frequencies import Frequencies, listed
from qtomo.reconstruction.functionals import functionals
from qtomo.reconstruction.maximum_likelihood import Fit, log_likelihood, maximum_likelihood, maximum_likelihood_each
from qtomo.reconstruction.methods import (
    METHODS,
    DenseMethod,
    LinearInversion,
    MaximumLikelihood,
    ProjectedLeastSquares,
)
from qtomo.reconstruction.options import BOUND_BY_VERIFY, UNSAVED_STATE, Options
from qtomo.reconstruction.quantities import (
    FIDELITY,
    Quantity,
    QuantityKind,
    dense_quantities,
    entropy_quantity,
    purity_quantity,
)
from qtomo.reconstruction.shadows import direct_estimates, direct_expectation
from qtomo.records.records import Records
from qtomo.results import Real, Result, Unsaved
from qtomo.seeds import stream
from qtomo.states.density import DensityMatrix
from qtomo.states.lpdo import LPDO
from qtomo.states.mps import MPS
from qtomo.states.quantities import nearest_state
from qtomo.statistics.estimate import Estimate, exact
from qtomo.table import Table

if TYPE_CHECKING:
    import qutip

__all__ = ["FittedState", "Reconstruction", "reconstruct_dense", "reconstruct_frequencies"]

Matrix = NDArray[np.complex128]
Numbers = dict[Quantity, Estimate]

_QUICK = 2e-3  # gap of a bootstrap refit in nats per dimension of the state, far less than its records scatter
_TESTS = "interval by tests of every value on simulated data sets"
_SHOWN = 6  # eigenvalues at each end in a table

_DIRECT = Quantity(QuantityKind.DIRECT_FIDELITY, f"{FIDELITY.name}, direct", 0.0, 1.0)


@dataclass(frozen=True)
class FittedState:
    """One method's state beside the others.

    Args:
        log_likelihood: of all records in nats, -inf where an observed string is impossible.
        eigenvalues: in ascending order.
    """

    log_likelihood: Real
    eigenvalues: list[float]

    @property
    def n_negative(self) -> int:
        """Number of eigenvalues below zero."""
        return sum(value < -1e-12 for value in self.eigenvalues)


@dataclass(frozen=True)
class Reconstruction(Result, format="qtomo-reconstruction", version=1):
    """A density matrix reconstructed from records.

    Args:
        file: where the records came from.
        method: `linear`, `pls` or `mle`.
        n_records: how many; 0 for a model's distribution.
        n_sites: number of qubits.
        povm: the measurement's name.
        target: the state it is compared with, in words; empty where there is none.
        numbers: purity, entropy, negativity and fidelity by name.
        fitted: log-likelihood and eigenvalues by method, those of the linear inversion among them.
        gap: nats by which the log-likelihood of any state may exceed that of `mle`.
        claims: what the records support, in sentences.
        observables: by source (the target, direct estimates from the records, the state), then by name.
        fitted_state: the state, physical whatever the method; a result file does not hold it.

    >>> Reconstruction.format
    'qtomo-reconstruction'
    """

    file: str
    method: str
    n_records: int
    n_sites: int
    povm: str
    target: str
    numbers: dict[str, Estimate]
    fitted: dict[str, FittedState]
    gap: Real
    claims: list[str] = field(default_factory=list)
    observables: dict[str, dict[str, Estimate]] = field(default_factory=dict)
    fitted_state: Unsaved[DensityMatrix] = field(default=None, compare=False)

    @property
    def state(self) -> DensityMatrix:
        """The state.

        Raises:
            InputError: the result was read from its file, which does not hold the state.
        """
        if self.fitted_state is None:
            raise InputError(Code.REQUIRED, f"{self.file}: {UNSAVED_STATE}")
        return self.fitted_state

    def to_qutip(self) -> qutip.Qobj:
        """The state as a QuTiP density matrix."""
        return self.state.to_qutip()

    def tables(self) -> list[Table]:
        """What is printed."""
        best = max(found.log_likelihood for name, found in self.fitted.items() if name != LinearInversion.name)
        rows = []
        for name, found in self.fitted.items():
            below = found.log_likelihood - best
            values = [f"{value:z.4f}" for value in found.eigenvalues]
            shown = values if len(values) <= 2 * _SHOWN else [*values[:_SHOWN], "…", *values[-_SHOWN:]]
            below_text = f"{below:+.2f}" if np.isfinite(below) else "impossible"
            rows.append([METHODS[name].title, below_text, f"{found.n_negative}", " ".join(shown)])
        what = f"{self.n_records:,} records" if self.n_records else "exact distribution"
        title = f"{self.file}: {what} of {self.n_sites} qubits, {self.povm}"
        fits = Table(title, ["state", "ln L − best", "negative", "eigenvalues"], rows)
        if not self.numbers:
            return [fits]
        level = next(iter(self.numbers.values())).level
        rows = [
            [
                name,
                str(estimate),
                estimate.interval() if estimate.n_records else "exact distribution, no sampling error",
            ]
            for name, estimate in self.numbers.items()
        ]
        title = f"{METHODS[self.method].title}" + (f", target {self.target}" if self.target else "")
        tables = [fits, Table(title, ["quantity", "value ± standard error", f"{level:.0%} interval"], rows)]
        if self.observables:
            names = list(next(iter(self.observables.values())))
            rows = [[source, *(str(found[name]) for name in names)] for source, found in self.observables.items()]
            tables.append(Table("Observables", ["source", *names], rows))
        return tables

    def remarks(self) -> list[str]:
        """What the records support."""
        return self.claims


def reconstruct_dense(records: Records, method: DenseMethod, options: Options) -> Reconstruction:
    """The density matrix of up to 10 qubits, with direct estimates of the observables beside.

    Raises:
        InputError: too many qubits, records that do not determine the state (`MaximumLikelihood` takes them), or a
            target of another size.
    """
    frequencies = Frequencies.of_records(records)
    found = reconstruct_frequencies(frequencies, method, options, records.name)
    if not found.observables:
        return found
    observables = _observables(options, records.n_sites)
    direct = direct_estimates(observables, records, options.level, stream(options.seed, "direct"))
    named = {f"records, {estimator}": estimates for estimator, estimates in direct.items()}
    return replace(found, observables={**named, **found.observables})


def reconstruct_frequencies(
    frequencies: Frequencies,
    method: DenseMethod,
    options: Options,
    name: str = "records",
) -> Reconstruction:
    """The density matrix that frequencies of outcomes give; `name` says in messages where they come from.

    Raises:
        InputError: as `reconstruct_dense`.
    """
    target = options.target_state(frequencies.n_sites, name)
    unseen = frequencies.unseen()
    if not isinstance(method, MaximumLikelihood):
        frequencies.check_complete(name)
    options.progress.stage("maximum likelihood")
    fit = maximum_likelihood(frequencies)
    matrices = {MaximumLikelihood.name: fit.matrix}
    if not unseen:
        inverted = frequencies.linear_inversion()
        projected = nearest_state(inverted)
        matrices = {LinearInversion.name: inverted, ProjectedLeastSquares.name: projected, **matrices}
    fitted = {
        kind: FittedState(log_likelihood(frequencies, matrix), np.linalg.eigvalsh(matrix).tolist())
        for kind, matrix in matrices.items()
    }
    physical = not isinstance(method, LinearInversion) or bool(fitted[method.name].eigenvalues[0] >= 0)
    problem = _Problem(
        frequencies,
        method,
        replace(options, observables=_observables(options, frequencies.n_sites)),
        target.to_density() if isinstance(target, LPDO) else target,
        fit,
        physical,
    )
    numbers = problem.numbers(matrices[method.name], determined=not unseen)
    shown = {quantity.name: e for quantity, e in numbers.items() if quantity.kind is not QuantityKind.OBSERVABLE}
    return Reconstruction(
        file=name,
        method=method.name,
        n_records=frequencies.n_records,
        n_sites=frequencies.n_sites,
        povm=frequencies.povm.name + (", shots with settings" if frequencies.has_settings else ""),
        target=options.target.describe() if options.target is not None else "",
        fitted_state=DensityMatrix(matrices[method.name if physical else ProjectedLeastSquares.name]),
        numbers=shown,
        fitted=fitted,
        gap=fit.gap,
        claims=[*_fit_claims(problem, unseen, fitted), *_interval_claims(frequencies, shown)],
        observables=_by_source(problem, numbers),
    )


def _observables(options: Options, n_sites: int) -> tuple[Observable, ...]:
    """Those of the options; by default the mean of X, of Z and of ZZ of neighbours."""
    if options.observables is not None:
        return tuple(options.observables)
    found = [Observable(f"mean {p}", tuple((1 / n_sites, {i: p}) for i in range(n_sites))) for p in "XZ"]
    if n_sites > 1:
        pairs = tuple((1 / (n_sites - 1), {i: "Z", i + 1: "Z"}) for i in range(n_sites - 1))
        found.append(Observable("mean ZZ of neighbours", pairs))
    return tuple(found)


@dataclass(frozen=True)
class _Problem:
    """Frequencies with the method and the target, the likeliest state, and whether the method's matrix is a state."""

    frequencies: Frequencies
    method: DenseMethod
    options: Options
    target: MPS | DensityMatrix | None
    likeliest: Fit
    physical: bool

    def values(self, matrix: Matrix) -> dict[Quantity, float]:
        """The quantities of a state."""
        found = dense_quantities(matrix, self.target, self.physical, self.options.observables or ())
        kinds = self.options.kinds
        return {quantity: value for quantity, value in found.items() if kinds is None or quantity.kind in kinds}

    def numbers(self, matrix: Matrix, determined: bool) -> Numbers:
        """The quantities of the method's matrix with intervals; none where the records do not determine the state."""
        values = self.values(matrix)
        if not self.frequencies.n_records:
            return {quantity: exact(value, "exact distribution") for quantity, value in values.items()}
        if not determined:
            return {}
        self.options.progress.stage(f"bootstrap of {self.options.resamples} data sets")
        found, ends = self.intervals(values), self.calibrated_ends(values)
        found |= {quantity: _with_ends(found[quantity], quantity, *pair) for quantity, pair in ends.items()}
        if isinstance(self.target, DensityMatrix) and self.physical and FIDELITY in found:
            found[FIDELITY] = self.fidelity_with_mixed(found[FIDELITY], self.target)
        if isinstance(self.target, MPS):
            ket = self.target.to_statevector()
            projector = np.asarray(np.outer(ket, ket.conj()), np.complex128)
            direct = direct_expectation(self.frequencies, projector, self.options.level)
            found[_DIRECT] = direct.within(_DIRECT.low, _DIRECT.high)
            if FIDELITY in ends:
                found[_DIRECT] = _with_ends(found[_DIRECT], _DIRECT, *ends[FIDELITY])
        return found

    def intervals(self, values: dict[Quantity, float]) -> Numbers:
        """Intervals from data sets that are drawn from the likeliest state, and of some by tests of other values."""
        truth = self.values(self.likeliest.matrix)
        resampled = bootstrap(self.frequencies, self.likeliest.matrix, self.refits, self.options)
        n = self.frequencies.n_records
        what = f"{self.method.title}, basic parametric bootstrap of {self.options.resamples}"
        return {
            quantity: reflected(
                value,
                resampled[quantity],
                truth[quantity],
                quantity if self.physical else replace(quantity, low=-np.inf, high=np.inf),
                level=self.options.level,
                n_records=n,
                method=what,
            )
            for quantity, value in values.items()
        }

    def calibrated_ends(self, values: dict[Quantity, float]) -> dict[Quantity, tuple[float, float]]:
        """Ends of the calibrated intervals, of those quantities that have one."""
        n_sites, ends = self.frequencies.n_sites, {}
        if not self.physical or n_sites > LARGEST_CALIBRATED:
            return {}
        for functional in functionals(self.frequencies, self.target):
            if functional.quantity in values:
                self.options.progress.stage(f"interval of the {functional.quantity.name}")
                ends[functional.quantity] = calibrated_interval(
                    functional,
                    self.frequencies,
                    self.likeliest.matrix,
                    level=self.options.level,
                    seed=self.options.seed,
                )
        if purity_quantity(n_sites) in ends and entropy_quantity(n_sites) in values:
            ends[entropy_quantity(n_sites)] = entropy_range(*ends[purity_quantity(n_sites)], n_sites)
        return ends

    def refits(self, drawn: Sequence[Frequencies]) -> list[dict[Quantity, float]]:
        """The quantities of other data sets by the same method."""
        if isinstance(self.method, MaximumLikelihood):
            start, gap = self.likeliest.matrix, _QUICK * 2**self.frequencies.n_sites
            matrices = [fit.matrix for fit in maximum_likelihood_each(drawn, start, gap)]
        else:
            matrices = [frequencies.linear_inversion() for frequencies in drawn]
            if isinstance(self.method, ProjectedLeastSquares):
                matrices = [nearest_state(matrix) for matrix in matrices]
        return [self.values(matrix) for matrix in matrices]

    def fidelity_with_mixed(self, found: Estimate, target: DensityMatrix) -> Estimate:
        """Its interval, to 1 where fits to records of the target itself are as far from it as this one."""
        null = bootstrap(self.frequencies, target.matrix, self.refits, self.options)[FIDELITY]
        if found.value < np.quantile(null, 1 - self.options.level):
            return found
        return replace(
            found, high=1.0, method=f"{found.method}; includes 1, as fits to records of the target are as far from it"
        )


def _with_ends(found: Estimate, quantity: Quantity, low: float, high: float) -> Estimate:
    """The estimate with an interval by tests; a biased value may lie outside, and the interval is widened to it."""
    value = found.value
    widened = replace(
        found, low=min(low, value), high=max(high, value), method=f"{found.method.split(',')[0]}, {_TESTS}"
    )
    return widened.within(quantity.low, quantity.high)


def _by_source(problem: _Problem, numbers: Numbers) -> dict[str, dict[str, Estimate]]:
    """Observables of the state, and of the target beside; empty where there are none."""
    of_state = {quantity.name: e for quantity, e in numbers.items() if quantity.kind is QuantityKind.OBSERVABLE}
    if not of_state:
        return {}
    found = {f"state, {problem.method.title}": of_state}
    if problem.target is not None:
        target, observables = problem.target, problem.options.observables or ()
        found["target, exact"] = {o.name: exact(exact_value(o, target)) for o in observables}
    return found


def _fit_claims(problem: _Problem, unseen: list[str], fitted: dict[str, FittedState]) -> list[str]:
    """What the fit itself says."""
    claims = []
    if unseen:
        claims.append(
            f"The records do not determine {listed(unseen)}: the state is one of many that fit equally well, so no "
            f"numbers are given. {BOUND_BY_VERIFY}"
        )
    else:
        eigenvalues = fitted[LinearInversion.name].eigenvalues
        negative = fitted[LinearInversion.name].n_negative
        if negative:
            claims.append(
                f"The linear inversion is not a physical state: {negative} negative eigenvalues, the lowest "
                f"{eigenvalues[0]:.3g}."
            )
        if not problem.physical:
            claims.append(
                "The numbers are those of that operator; the state given is the nearest physical one (projected least "
                "squares)."
            )
    if isinstance(problem.method, MaximumLikelihood):
        claims.append(
            f"No state has a log-likelihood higher by more than {problem.likeliest.gap:.1g} nats over all records."
        )
    return claims


def _interval_claims(frequencies: Frequencies, numbers: dict[str, Estimate]) -> list[str]:
    """How far the numbers can be trusted."""
    if not numbers:
        return []
    if not frequencies.n_records:
        return ["The numbers are those of the model's distribution; how far it is from the truth is not included."]
    claims = []
    n, unknown = frequencies.n_records, 4**frequencies.n_sites - 1
    if n < unknown:
        claims.append(
            f"Too few records: {n:,} for the {unknown:,} real parameters of a state. Do not trust the intervals, "
            "except the direct ones."
        )
    biased = [name for name, e in numbers.items() if e.value in (e.low, e.high) and e.value not in (0.0, 1.0)]
    if biased:
        claims.append(
            "The fit is biased at this number of records, which the intervals correct, not always enough: at an end of "
            f"its interval is the fitted {', '.join(biased)}. Trust the direct estimates first."
        )
    return [
        *claims,
        "Intervals take the file's POVM as exact: a readout error that is not part of it is not covered.",
        *_doubts(frequencies),
    ]


def _doubts(frequencies: Frequencies) -> list[str]:
    """Which intervals are not calibrated."""
    unresolved = "where eigenvalues are too small for this number of records to resolve."
    if frequencies.n_sites > LARGEST_CALIBRATED:
        return [
            "Intervals are of the bootstrap: near pure states those of fidelity and purity, and anywhere those of the "
            f"entropy, the negativity and the fidelity with a mixed target, cover less often than stated {unresolved}"
        ]
    return [
        "The interval of the entropy holds every entropy that a state of such a purity can have. Intervals of the "
        f"negativity and of the fidelity with a mixed target cover less often than stated {unresolved}"
    ]
