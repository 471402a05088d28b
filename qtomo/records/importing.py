"""Import records of a laboratory or of another program: read a foreign file, look it through, write a record file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qtomo.distribution import LOST, shot_labels
from qtomo.errors import Code, InputError
from qtomo.files import check_absent
from qtomo.measurement.bases import in_kets
from qtomo.measurement.calibration import Calibration
from qtomo.measurement.povm import BASES, POVM
from qtomo.measurement.readout import checked_confusion, with_bit_confusion
from qtomo.measurement.settings import Design
from qtomo.records.file.reader import RecordFile
from qtomo.records.file.schema import Target, TargetLike
from qtomo.records.file.writer import Block, write_records
from qtomo.records.importers.base import Imported, Run
from qtomo.records.importers.readout import read_calibration, read_confusion
from qtomo.records.importers.registry import read_format
from qtomo.records.records import Records
from qtomo.records.survey import Coarsening, Survey, coarsened, survey
from qtomo.records.uniformity import Uniformity

__all__ = ["Check", "ImportedRecords", "import_records", "write_imported"]

_IN_KETS = 8  # qubits of a row that is shown in kets
_TRIED = 1000  # records that are held against the target

#: What is asked of some of the records and their target: a note for a person, or None where there is nothing to say.
Check = Callable[[Records, Target], str | None]

#: A file's path, as Python takes it.
PathLike = str | os.PathLike[str]


@dataclass(frozen=True, eq=False)
class ImportedRecords:
    """What was understood of a foreign file, and where its records are now.

    Args:
        file: the record file; None where nothing was written.
        n_records: shots, or records.
        n_sites: N, the number of qubits.
        povm: what the outcomes mean.
        design: how settings were chosen; `povm` where there are none.
        lost: lost outcomes.
        columns: names of the numbers per record.
        settings: the test whether settings were drawn uniformly and independently; None where there are none.
        confusion: p(read a | true b) of each qubit, (n_sites, 2, 2), where the POVM contains a readout error.
        calibration: the shots it was estimated from; None where it was given.
        notes: how the file was understood, for a person to check.
        target: the state the records should be of.
        first: the first rows as understood, outcomes or (settings, bits), uint8 (rows, n_sites), site 0 leftmost.
        sha256: checksum of the outcomes written.

    >>> with open("lab.csv", "w") as file:
    ...     _ = file.write("bases,bits\\nZZ,00\\nXX,11\\n")
    >>> import_records("lab.csv", dry_run=True).file is None
    True
    """

    file: Path | None
    n_records: int
    n_sites: int
    povm: POVM
    design: Design
    lost: int
    columns: tuple[str, ...]
    settings: Uniformity | None
    confusion: NDArray[np.float64] | None
    calibration: Calibration | None
    notes: tuple[str, ...]
    target: Target | None
    first: Block
    sha256: str | None

    def first_rows(self) -> list[str]:
        """The first rows in letters and digits, site 0 leftmost: bases and bits such as "XZ 0?", or outcomes."""
        bits = self.first[1] if isinstance(self.first, tuple) else self.first
        gap = "" if bits[bits != LOST].max(initial=0) < 10 else " "
        words = [gap.join("?" if bit == LOST else str(bit) for bit in row) for row in bits]
        if not isinstance(self.first, tuple):
            return words
        letters = np.array(list(BASES))
        return [f"{''.join(letters[row])} {word}" for row, word in zip(self.first[0], words, strict=True)]

    def _rows_in_kets(self) -> list[str]:
        """The first rows, those of a few qubits also as what each outcome is of the state."""
        rows = self.first_rows()
        if self.n_sites > _IN_KETS:
            return rows
        names = [in_kets(elements) for elements in self.povm.site_elements(self.n_sites)]
        labels = shot_labels(*self.first) if isinstance(self.first, tuple) else self.first
        kets = ["".join("?" if a == LOST else names[site][a] for site, a in enumerate(row)) for row in labels]
        return [f"{row}  {ket}" for row, ket in zip(rows, kets, strict=True)]

    def __str__(self) -> str:
        what, design = ("records", "") if self.design == "povm" else ("shots", f", design {self.design}")
        head = self.file or "nothing written (--dry-run)"
        lost = f", {self.lost:,} outcomes lost" if self.lost else ""
        lines = [f"{head}: {self.n_records:,} {what} of {self.n_sites} qubits, {self.povm.name}{design}{lost}"]
        if self.settings is not None:
            lines.append(f"settings: {self.settings.describe()}")
        lines += [f"note: {note}" for note in self.notes]
        if self.columns:
            lines.append(f"columns: {', '.join(self.columns)}")
        if self.target is not None:
            lines.append(f"target: {self.target.describe()}")
        if self.file is None:
            lines += ["first rows, site 0 leftmost:", *(f"  {row}" for row in self._rows_in_kets())]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"

    def to_dict(self) -> dict[str, Any]:
        """The same in plain numbers and strings, as `qtomo import --json` prints it."""
        found: dict[str, Any] = {"file": str(self.file)} if self.file is not None else {}
        if self.confusion is not None:
            found["readout"] = {"confusion": self.confusion.tolist()}
        if self.calibration is not None:
            found["readout"]["standard_errors"] = self.calibration.errors.tolist()
        found |= {
            "n_records": self.n_records,
            "n_sites": self.n_sites,
            "povm": self.povm.name,
            "lost": self.lost,
            "design": None if self.design == "povm" else self.design,
            "columns": list(self.columns),
        }
        if self.settings is not None:
            test = self.settings
            found["settings"] = {"distinct": test.n_settings, "p_value": test.p_value, "said": test.describe()}
        found["notes"] = list(self.notes)
        found |= {"first": self.first_rows()} if self.file is None else {"sha256": self.sha256}
        return found | ({} if self.target is None else {"target": self.target.describe()})


def import_records(
    source: PathLike | Sequence[PathLike],
    format: str | None = None,
    *,
    output: PathLike | None = None,
    dry_run: bool = False,
    confusion: ArrayLike | PathLike | None = None,
    calibration: Calibration | tuple[PathLike, PathLike] | None = None,
    design: Literal["random", "listed"] | None = None,
    coarsen: Coarsening | None = None,
    target: TargetLike | None = None,
    check: Check | None = None,
    overwrite: bool = False,
    command: str = "",
    **options: Any,
) -> ImportedRecords:
    """Read records that a laboratory or another program wrote, and write them as a record file.

    Args:
        source: the foreign file, or several over which an experiment is spread, read one after the other.
        format: such as "csv" or "qiskit" (`qtomo.records.importers`); recognised by the contents if not given.
        output: the record file to write.
        dry_run: look the file through, and write nothing.
        confusion: readout confusion p(read a | true b), (2, 2) or (N, 2, 2), or the file of it; taken as exact.
        calibration: shots that tell the confusion: counts, or the files of |0...0> and of |1...1>.
        design: how bases were chosen; tested if not given.
        coarsen: "pauli4" keeps shots as Pauli-4 outcomes, where bases were random.
        target: the state the records should be of, or a function of the number of qubits that gives it, such as `GHZ`.
        check: asked for a note on the records and their target, as `qtomo.labelling_note`, which the command asks.
        overwrite: replace an existing file.
        command: how to make the file again.
        options: those of the format, such as `lost="?"`, as `qtomo import FORMAT --help` lists them.

    Raises:
        InputError: names the file, the place, what was found and what was expected; nothing is written then.

    >>> with open("lab.csv", "w") as file:
    ...     _ = file.write("bases,bits\\nZZ,00\\nZZ,11\\nXX,00\\n")
    >>> found = import_records("lab.csv", output="lab.h5")
    >>> found.n_records, found.n_sites
    (3, 2)
    """
    if output is not None and not dry_run:
        check_absent(output, overwrite)
    elif not dry_run:
        raise InputError(Code.REQUIRED, "no --output FILE, expected one, or --dry-run")
    sources = [source] if isinstance(source, str | os.PathLike) else list(source)
    read = _joined([read_format(one, format, options) for one in sources])
    readout = _readout(read.n_sites, confusion, calibration, options)
    measured, meant = readout.applied(read), _target(target, read)
    found = survey(measured)
    kept = coarsened(measured, found) if coarsen else measured
    if design is not None and not read.has_settings:
        raise InputError(Code.MISMATCH, f"--design {design}: the records have no settings")
    notes = (*kept.notes, *readout.notes, _labels_in_words(read), *_checked(check, kept, found, meant))
    understood = _understood(kept, found, design, readout, notes, meant)
    if output is None or dry_run:
        return understood
    about: dict[str, Any] = {"target": meant, "design": design if kept.has_settings else None, "command": command}
    file = write_imported(kept, found, output, calibration=readout.calibration, overwrite=overwrite, **about)
    with RecordFile(file) as written:
        return replace(understood, file=file, sha256=written.sha256)


def _joined(parts: list[Imported]) -> Imported:
    """Several files of one experiment as one.

    Raises:
        InputError: none, or files of another number of qubits, another measurement or other columns than the first.
    """
    if not parts:
        raise InputError(Code.REQUIRED, "no file to import, expected at least one")
    first = parts[0]
    if len(parts) == 1:
        return first
    for one in parts[1:]:
        for what, found, expected in (
            ("qubits", one.n_sites, first.n_sites),
            ("outcomes", one.povm.name, first.povm.name),
            ("settings", one.has_settings, first.has_settings),
            ("columns", sorted(one.columns()), sorted(first.columns())),
        ):
            if found != expected:
                raise InputError(
                    Code.MISMATCH, f"{one.path}: {what} {found}, expected {expected} as in {first.path}, to be joined"
                )

    def blocks() -> Iterator[Block]:
        for one in parts:
            yield from one.blocks()

    def runs() -> Iterator[Run]:
        for one in parts:
            yield from one.runs()

    def columns() -> Mapping[str, NDArray[Any]]:
        return {name: np.concatenate([one.columns()[name] for one in parts]) for name in first.columns()}

    said = (f"{len(parts)} files, one after the other", *dict.fromkeys(note for one in parts for note in one.notes))
    ordered = all(one.ordered for one in parts)
    return replace(first, blocks=blocks, columns=columns, notes=said, ordered=ordered, counted=runs)


@dataclass(frozen=True, eq=False)
class _Readout:
    """A readout error, how it is known, and what is to be said of it."""

    confusion: NDArray[np.float64] | None = None
    calibration: Calibration | None = None
    notes: tuple[str, ...] = ()

    def applied(self, source: Imported) -> Imported:
        """The same file with the readout error in its POVM."""
        if self.confusion is None:
            return source
        return replace(source, povm=with_bit_confusion(source.povm, self.confusion, source.n_sites))


def _readout(
    n_sites: int,
    confusion: ArrayLike | PathLike | None,
    calibration: Calibration | tuple[PathLike, PathLike] | None,
    options: Mapping[str, Any],
) -> _Readout:
    if calibration is not None:
        if confusion is not None:
            raise InputError(Code.CONFLICT, "--confusion and --calibration: expected one of the two")
        if not isinstance(calibration, Calibration):
            calibration = read_calibration(*calibration, n_sites, options)
        if calibration.n_sites != n_sites:
            raise InputError(Code.MISMATCH, f"a calibration of {calibration.n_sites} qubits, expected {n_sites}")
        shots = calibration.shots.max(axis=0)
        notes = (f"readout of {shots[0]:,} + {shots[1]:,} shots", *calibration.describe())
        return _Readout(calibration.confusion, calibration, notes)
    if confusion is None:
        return _Readout()
    if isinstance(confusion, str | os.PathLike):
        matrices = read_confusion(confusion, n_sites)
        return _Readout(matrices, None, (f"readout confusion of {os.fspath(confusion)}, in the POVM elements",))
    return _Readout(checked_confusion(confusion, n_sites), None, ("readout confusion as given, in the POVM elements",))


def _target(target: TargetLike | None, source: Imported) -> Target | None:
    """The state that was meant, of as many qubits as the file has."""
    if target is None:
        return None
    meant = Target.of(target, n_sites=source.n_sites)
    if meant.n_sites != source.n_sites:
        raise InputError(
            Code.MISMATCH, f"{source.path}: records of {source.n_sites} qubits, the target has {meant.n_sites}"
        )
    return meant


def _labels_in_words(source: Imported) -> str:
    """What each label means, as kets."""
    kets = in_kets(source.povm.site_elements(source.n_sites)[0])
    if source.has_settings:
        zeros, ones = (
            ", ".join(f"{ket} in {basis}" for ket, basis in zip(kets[bit::2], BASES, strict=True)) for bit in (0, 1)
        )
        return f"bit 0 is {zeros}; bit 1 is {ones}"
    return "; ".join(f"outcome {outcome} is {ket}" for outcome, ket in enumerate(kets))


def _checked(check: Check | None, source: Imported, found: Survey, target: Target | None) -> list[str]:
    """What the check says of about a thousand records and their target."""
    if check is None or target is None:
        return []
    step = max(1, found.n_records // _TRIED)
    parts, first = [], 0
    for block, times in source.runs():
        labels = shot_labels(*block) if isinstance(block, tuple) else block
        ends = np.cumsum(np.ones(len(labels), np.int64) if times is None else times)
        last = int(ends[-1]) if len(ends) else 0
        parts.append(labels[np.searchsorted(ends, np.arange(-first % step, last, step), side="right")])
        first += last
    design: Design = "random" if source.has_settings else "povm"
    note = check(Records.from_labels(np.concatenate(parts), source.povm, design=design), target)
    return [] if note is None else [note]


def _understood(
    source: Imported,
    found: Survey,
    design: Design | None,
    readout: _Readout,
    notes: tuple[str, ...],
    target: Target | None,
) -> ImportedRecords:
    """What was understood, before anything is written."""
    return ImportedRecords(
        file=None,
        n_records=found.n_records,
        n_sites=source.n_sites,
        povm=source.povm,
        design=(design or found.design) if source.has_settings else "povm",
        lost=found.n_lost,
        columns=tuple(sorted(found.columns)),
        settings=found.uniformity,
        confusion=readout.confusion,
        calibration=readout.calibration,
        notes=notes,
        target=target,
        first=found.first,
        sha256=None,
    )


def write_imported(
    source: Imported,
    found: Survey,
    output: str | os.PathLike[str],
    *,
    target: Target | None = None,
    design: Design | None = None,
    calibration: Calibration | None = None,
    command: str = "",
    overwrite: bool = False,
) -> Path:
    """Write a foreign file, as understood and surveyed, as a record file.

    Args:
        source: the file.
        found: its survey.
        output: the record file to write.
        target: the state the records should be of.
        design: how the settings were chosen, where that is known better than the survey can tell.
        calibration: shots that the readout error in its POVM was estimated from.
        command: how to make it again.
        overwrite: replace an existing file.

    Raises:
        InputError: as `write_records`; or a design for outcomes without settings.
    """
    if design is not None and not source.has_settings:
        raise InputError(Code.MISMATCH, f"--design {design}: the records have no settings")
    return write_records(
        output,
        source.blocks(),
        source.n_sites,
        source.povm,
        design=(design or found.design) if source.has_settings else "povm",
        target=target,
        columns=found.columns,
        ordered=source.ordered,
        calibration=calibration,
        command=command,
        overwrite=overwrite,
    )
