"""The front door: from records, or a trained model, to the state of the qubits by any method."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from qtomo.errors import Code, InputError
from qtomo.observables.paulis import Observable
from qtomo.progress import Progress
from qtomo.reconstruction.dense import Reconstruction, reconstruct_dense, reconstruct_frequencies
from qtomo.reconstruction.frequencies import Frequencies, check_size
from qtomo.reconstruction.matrix_product import TensorNetworkReconstruction, reconstruct_tensor_network
from qtomo.reconstruction.methods import DenseMethod, MaximumLikelihood, Method, TensorNetworkMethod, as_method
from qtomo.reconstruction.options import Options
from qtomo.records.file.reader import RecordFile
from qtomo.records.file.schema import Target, TargetLike
from qtomo.records.records import Records, checked_records
from qtomo.training.run import Run

__all__ = ["reconstruct"]

_LIKELIEST = MaximumLikelihood()


def reconstruct(
    source: str | os.PathLike[str] | Records,
    method: Method | str = _LIKELIEST,
    *,
    target: TargetLike | None = None,
    level: float = 0.95,
    resamples: int = 200,
    seed: int = 0,
    records: str | os.PathLike[str] | None = None,
    observables: Sequence[Observable] | None = None,
    progress: Progress | None = None,
) -> Reconstruction | TensorNetworkReconstruction:
    """The state of the qubits from records of any design, or of a trained model's distribution P(a).

    Shots with settings count given their settings, however many shots each setting has. Lost outcomes are taken by the
    methods of a density matrix: such a record counts for its other qubits.

    Args:
        source: a record file, `Records`, or the run folder of a model with exact likelihood.
        method: `LinearInversion()`, `ProjectedLeastSquares()` or `MaximumLikelihood()` for a density matrix of up to
            10 qubits; `MatrixProduct(bond_dim)` or `LocallyPurified(bond_dim)` for a tensor network of any number; or a
            name: "linear", "pls", "mle", "mps", "lpdo".
        target: a state to compare with; the target of the records where None.
        level: confidence of the intervals, 0.5 to 1.
        resamples: data sets of the bootstrap, or draws of a tensor network, at least 20.
        seed: of all that is drawn.
        records: where the record file of a run is now, if it has moved.
        observables: expectation values to estimate; by default the means of X, Z and ZZ of neighbours. A tensor network
            gives <X_i> and <Z_i Z_j> besides.
        progress: told what is being done.

    Returns:
        The `state`, its `numbers` with intervals by name (entropies in nats), and `claims`; it prints itself.

    Raises:
        InputError: an unknown method, a bad file, too many qubits, records that do not determine the state (`linear`,
            `pls`), lost outcomes or a model for a tensor network, a target of another size, options out of range.

    >>> import numpy as np
    >>> from qtomo import GHZ, BornDistribution
    >>> outcomes = BornDistribution(GHZ(2).state(), "pauli4").sample(4000, np.random.default_rng(0))
    >>> found = reconstruct(Records(outcomes, "pauli4"), target=GHZ(2), resamples=20)
    >>> found.numbers["fidelity with the target"].high
    1.0
    """
    chosen = as_method(method)
    options = Options(None, level, resamples, seed, observables, Progress.of(progress))
    if isinstance(source, str | os.PathLike) and Path(source).is_dir():
        return _of_model(Path(source), chosen, options, target, records)
    if records is not None:
        raise InputError(Code.CONFLICT, f"records {os.fspath(records)}: expected beside a run folder only")
    measured = _read(source, chosen)
    options = _aimed(options, target, measured.target, measured.n_sites)
    if isinstance(chosen, TensorNetworkMethod):
        return replace(reconstruct_tensor_network(measured, chosen, options), made_from={"records": measured.sha256})
    return replace(reconstruct_dense(measured, chosen, options), made_from={"records": measured.sha256})


def _aimed(options: Options, target: TargetLike | None, own: Target | None, n_sites: int) -> Options:
    """The options with the target that was asked for, else that of the records."""
    return replace(options, target=own if target is None else Target.of(target, n_sites=n_sites))


def _read(source: object, method: Method) -> Records:
    """Records in memory as they are, those of a file once it is sure that the method has memory for them."""
    if not isinstance(source, str | os.PathLike):
        return checked_records(source, "reconstruct")
    with RecordFile(source) as file:
        if isinstance(method, DenseMethod):
            check_size(file.n_sites, file.n_outcomes, str(file.path))
        return file.records()


def _of_model(
    folder: Path, method: Method, options: Options, target: TargetLike | None, records: str | os.PathLike[str] | None
) -> Reconstruction:
    """The state of a model's distribution; what it was trained on says the POVM and the target."""
    if isinstance(method, TensorNetworkMethod):
        raise InputError(
            Code.KIND,
            f"{folder}: a run folder; method {method.name} is fitted to records: give the record file, or train one "
            f"with qtomo train --model {method.name}",
        )
    run = Run(folder)
    with run.open_records(records) as file:
        povm, own, n_sites = file.povm, file.target, file.n_sites
    frequencies = Frequencies.of_distribution(run.model, povm, str(folder))
    found = reconstruct_frequencies(frequencies, method, _aimed(options, target, own, n_sites), str(folder))
    return replace(found, made_from={"records": run.config.records.sha256})
