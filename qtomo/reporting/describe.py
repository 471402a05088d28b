"""What a qtomo file holds, at a glance, and what to do with it next."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from qtomo.distribution import LOST
from qtomo.errors import Code, InputError
from qtomo.records.file.hdf5 import text
from qtomo.records.file.reader import RecordFile
from qtomo.records.file.schema import FORMAT
from qtomo.records.file.state_file import STATE_FORMAT, read_state
from qtomo.results import Result, read_result
from qtomo.states.density import LARGEST_DENSITY, DensityMatrix
from qtomo.states.mps import MPS
from qtomo.statistics.estimate import Estimate
from qtomo.training.sweep.folder import PLAN, TRIALS, is_sweep

if TYPE_CHECKING:
    from qtomo.evaluation.evaluation import Evaluation
    from qtomo.training.sweep.trials import Trials
    from qtomo.verification.result import Verification

__all__ = ["Summary", "info", "sparkline"]

_BARS = "▁▂▃▄▅▆▇█"
_WIDEST = 60  # columns of a drawing
_DRAWN_ROWS = 100_000
_DRAWN_OUTCOMES = 8


@dataclass(frozen=True)
class Summary:
    """What a file holds. Prints as lines; `to_dict` has everything but the drawing.

    Args:
        kind: what the file is, in words.
        facts: by name.
        drawing: lines of text.
        uses: commands that can use the file, complete but for names in capitals.
    """

    kind: str
    facts: dict[str, Any]
    drawing: list[str] = field(default_factory=list)
    uses: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Kind, facts and uses, as plain values for JSON."""
        return {"kind": self.kind, **self.facts, "uses": self.uses}

    def __str__(self) -> str:
        width = max(map(len, self.facts))
        facts = [f"{name.ljust(width)}  {value}" for name, value in self.facts.items()]
        parts = [facts, self.drawing, ["Next steps:", *(f"  {use}" for use in self.uses)] if self.uses else []]
        return "\n\n".join("\n".join(part) for part in parts if part)


def info(path: str | os.PathLike[str]) -> Summary:
    """Look a qtomo file or folder through.

    Record file, state file, .npy state, run folder, sweep folder, or a result of any kind (`read_result`). Of a
    record file every outcome is read and compared with the checksum.

    Raises:
        InputError: damaged, or none of these.

    >>> import qtomo
    >>> info(qtomo.simulate(qtomo.GHZ(3), 100, "ghz.h5")).kind
    'record file'
    """
    path = Path(path)
    if not path.exists():
        raise InputError(Code.ABSENT, f"{path}: no such file, expected one of qtomo's files or a run folder")
    if path.is_dir():
        return _sweep(path) if is_sweep(path) else _run(path)
    if path.suffix == ".npy":
        return _state(path)
    if h5py.is_hdf5(path):
        return _hdf5(path)
    if path.suffix == ".json":
        return _result(path)
    known = "a record file, a state (HDF5 or .npy), a run or sweep folder, or a JSON file of qtomo"
    raise InputError(
        Code.KIND,
        f"{path}: none of qtomo's files, expected {known}; if it holds a laboratory's records, look at it with "
        f"qtomo import FORMAT {shlex.quote(str(path))} --dry-run (formats: qtomo import --help)",
    )


def sparkline(values: Sequence[float], low: float | None = None, high: float | None = None) -> str:
    """A bar a value, on one line; neighbours are averaged where there are more than fit.

    Args:
        values: what to draw; one that is not finite leaves a gap.
        low: value of the lowest bar, the least by default.
        high: value of the highest bar, the largest by default.
    """
    shown = np.array([part.mean() for part in np.array_split(np.asarray(values, float), min(len(values), _WIDEST))])
    finite = shown[np.isfinite(shown)]
    if not finite.size:
        return " " * len(shown)
    low = float(finite.min()) if low is None else low
    high = float(finite.max()) if high is None else high
    span = high - low if high > low else 1.0
    steps = np.clip(np.nan_to_num((shown - low) / span) * (len(_BARS) - 1) + 0.5, 0, len(_BARS) - 1).astype(int)
    return "".join(_BARS[step] if np.isfinite(value) else " " for step, value in zip(steps, shown, strict=True))


def _hdf5(path: Path) -> Summary:
    try:
        with h5py.File(path, "r") as file:
            found = text(file.attrs.get("format"))
    except OSError:
        found = FORMAT  # the reader says what is damaged
    if found == STATE_FORMAT:
        return _state(path)
    if found != FORMAT:
        name = f"format '{found}'" if found else "no attribute 'format'"
        raise InputError(
            Code.KIND,
            f"{path}: HDF5 file of another program ({name}), expected '{FORMAT}' or '{STATE_FORMAT}'; read its records "
            f"with qtomo import hdf5 {shlex.quote(str(path))} --outcomes /DATASET --dry-run",
        )
    return _records(path)


def _records(path: Path) -> Summary:
    with RecordFile(path) as file:
        n_lost = file.check()
        facts = {
            "file": str(path),
            "records": file.n_records,
            "lost outcomes": n_lost,
            "qubits": file.n_sites,
            "outcomes": file.n_outcomes,
            **({"settings": f"recorded per shot, {file.design}"} if file.has_settings else {}),
            "povm": file.povm.name + ("" if file.povm.is_complete else " (not informationally complete)"),
            "target": file.target.describe() if file.target else "none",
            "seed": file.seed if file.seed is not None else "unknown",
            "creator": file.creator,
            "command": file.command,
            "sha256": f"{file.sha256} (holds)",
        }
        n_drawn = min(file.n_records, _DRAWN_ROWS)
        drawn = file.rows(0, n_drawn)
        name, which = shlex.quote(str(path)), "" if file.target else " --target TARGET"
        uses = [f"qtomo verify {name}{which}", f"qtomo train {name} --output RUN", f"qtomo compare {name} OTHER.h5"]
        if file.n_sites <= LARGEST_DENSITY:
            uses.append(f"qtomo reconstruct {name} --output STATE.h5")
        if file.target:
            uses.append(f"qtomo simulate state --file {name} --output NEW.h5")
        return Summary("record file", facts, _shares(drawn, file.n_outcomes), uses)


def _shares(outcomes: Any, n_outcomes: int) -> list[str]:
    """How often each outcome came at each qubit, a line an outcome."""
    valid = np.maximum(1, (outcomes != LOST).sum(axis=0))
    n_shown = min(n_outcomes, _DRAWN_OUTCOMES)
    shares = np.array([(outcomes == outcome).sum(axis=0) / valid for outcome in range(n_shown)])
    top = float(shares.max())
    of = f" of the first {len(outcomes):,} records" if len(outcomes) == _DRAWN_ROWS else ""
    lines = [f"How often each outcome came, qubit 0 leftmost, bars from 0 to {top:.2f}{of}:"]
    for outcome, row in enumerate(shares):
        lines.append(f"  {outcome}  {sparkline(row, 0.0, top)}  {row.min():.3f} to {row.max():.3f}")
    if n_shown < n_outcomes:
        lines.append(f"  … {n_outcomes - n_shown} more outcomes")
    return lines


def _state(path: Path) -> Summary:
    state = read_state(path)
    facts: dict[str, Any] = {"file": str(path), "qubits": state.n_sites}
    drawing = []
    if isinstance(state, DensityMatrix):
        facts["state"] = "density matrix"
        facts["purity"] = float(np.real(np.vdot(state.matrix, state.matrix)))
    else:
        bonds = state.bond_dims
        mixed = "mixed, a locally purified density operator"
        facts["state"] = "pure, a matrix-product state" if isinstance(state, MPS) else mixed
        facts["bond dimension"] = max(bonds, default=1)
        if bonds:
            drawing = ["Bond dimensions, from left to right:", f"  {sparkline(bonds, 0)}"]
    name = shlex.quote(str(path))
    uses = [f"qtomo simulate state --file {name} --output records.h5", f"qtomo verify RECORDS.h5 --target {name}"]
    return Summary("state", facts, drawing, uses)


def _run(path: Path) -> Summary:
    from qtomo.training.run import Run  # and with it torch, which other files do not need

    run = Run(path)
    progress = run.progress
    name = shlex.quote(str(path))
    facts = {
        "run": str(path),
        "family": run.config.model["family"],
        "likelihood": run.model.likelihood,
        "parameters": run.model.n_parameters,
        "qubits": run.config.records.n_sites,
        "outcomes": run.config.records.n_outcomes,
        "records": run.config.records.file,
        "epochs": f"{progress.epoch} of {run.config.training.epochs}",
        "finished": progress.finished,
        "evaluated": run.folder.evaluation.is_file(),
        "best validation loss": f"{progress.best_loss:.6g} {run.model.validation_unit} (epoch {progress.best_epoch})",
    }
    losses = [float(entry.get("validation_loss", np.nan)) for entry in progress.history]
    drawing = []
    if losses:
        drawing = ["Validation loss, epoch by epoch:", f"  {sparkline(losses)}  {losses[0]:.6g} to {losses[-1]:.6g}"]
    if not progress.finished:
        return Summary("run folder", facts, drawing, [f"qtomo train --resume {name}"])
    uses = [
        f"qtomo evaluate {name}",
        f"qtomo report {name} --output report.html",
        f"qtomo sample {name} --output learned.h5",
        f"qtomo compare {name} OTHER",
    ]
    return Summary("run folder", facts, drawing, uses)


def _sweep(path: Path) -> Summary:
    from qtomo.training.sweep.trials import SweepPlan, Trials

    plan = SweepPlan.load(path / PLAN)
    found = Trials.load(path / TRIALS) if (path / TRIALS).is_file() else None
    trials, best = (found.trials, found.best) if found else ([], None)
    losses = [np.nan if trial.loss is None else trial.loss for trial in trials]
    facts = {
        "sweep": str(path),
        "family": plan.model["family"],
        "varied": ", ".join(plan.space),
        "trials": f"{len(trials)} of {plan.sweep.trials}",
        "failed": sum(trial.failure is not None for trial in trials),
        "best validation loss": "none" if best is None else f"{losses[best]:.6g}, trial {best:04d}",
    }
    drawing = ["Best validation loss of each trial:", f"  {sparkline(losses)}"] if losses else []
    name = shlex.quote(str(path))
    if len(trials) < plan.sweep.trials or best is None:
        return Summary("sweep folder", facts, drawing, [f"qtomo train --resume {name}"])
    uses = [
        f"qtomo evaluate {shlex.quote(str(path / 'trials' / f'{best:04d}'))}",
        f"qtomo train RECORDS.h5 --config {shlex.quote(str(path / 'best.toml'))} --output RUN",
    ]
    return Summary("sweep folder", facts, drawing, uses)


def _result(path: Path) -> Summary:
    found = read_result(path)
    summary = _SUMMARIES.get(found.format, _any_result)(path, found)
    made_from = {f"made from {name}": f"sha256 {checksum[:12]}…" for name, checksum in found.made_from.items()}
    return replace(summary, facts={"file": str(path), **summary.facts, **made_from, "qtomo": found.qtomo})


def _any_result(path: Path, found: Result) -> Summary:
    """A kind of which no more is known than what it prints."""
    return Summary(found.format.removeprefix("qtomo-").replace("-", " "), {}, str(found).splitlines())


def _verification(path: Path, found: Verification) -> Summary:
    strengths = [estimate.value for estimate in found.map.sites]
    facts = {
        "verdict": found.verdict,
        "headline": found.headline,
        "faults": "; ".join(fault.describe() for fault in found.faults if found.explains) or "none named",
        "of": found.file,
        "records": found.n_records,
        "target": found.target,
        "alpha": found.alpha,
    }
    drawing = []
    if np.isfinite(strengths).any():
        drawing = [
            f"Strength of {found.map.fault.words}, qubit 0 leftmost, bars from 0 to {np.nanmax(strengths):.2g}:",
            f"  {sparkline(strengths, 0.0)}  largest at qubit {int(np.nanargmax(strengths))}",
        ]
    drawing += [f"  • {claim}" for claim in found.claims]
    uses = [
        f"qtomo report {shlex.quote(str(path))} --output report.html",
        f"qtomo verify {shlex.quote(found.file)} --figure map.png",
    ]
    return Summary("verification", facts, drawing, uses)


def _evaluation(path: Path, found: Evaluation) -> Summary:
    facts: dict[str, Any] = {"of": found.run, "family": found.family, "target": found.target or "none"}
    if found.gain:
        facts["gain over k-grams"] = f"{found.gain} nats per record"
    drawing: list[str] = []
    for key, label in (("kl_target_model", "KL(target‖model)"), ("validation_loss", "validation loss")):
        rows = {name: each[key] for name, each in found.divergences.items() if key in each}
        if rows:
            drawing = [f"{label}, nats per record:", *_bars(rows)]
            break
    drawing += [f"  • {claim}" for claim in found.claims]
    return Summary("evaluation", facts, drawing, [f"qtomo report {shlex.quote(found.run)} --output report.html"])


def _bars(rows: dict[str, Estimate]) -> list[str]:
    """A line per estimate, its bar in proportion to the largest."""
    top = max((row.value for row in rows.values() if np.isfinite(row.value)), default=0.0)
    lines = []
    for name, row in rows.items():
        share = min(row.value / top, 1.0) if top > 0 and row.value > 0 else 0.0
        said = f"{row} (exact sum)" if row.n_records == 0 else str(row)
        lines.append(f"  {name:10} {'█' * round(30 * share) or '▏'} {said}")
    return lines


def _sweep_result(path: Path, _found: Trials) -> Summary:
    return _sweep(path.parent) if is_sweep(path.parent) else _any_result(path, _found)


#: By format; of other kinds the tables are shown.
_SUMMARIES: dict[str, Callable[[Path, Any], Summary]] = {
    "qtomo-verification": _verification,
    "qtomo-evaluation": _evaluation,
    "qtomo-sweep": _sweep_result,
}
