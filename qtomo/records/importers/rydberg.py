"""Shots of neutral atoms through Amazon Braket: Aquila's own JSON, and results of analog simulations.

In an image after the pulse 1 is an atom that is there, the ground state, and 0 one that is gone, the Rydberg state. An
atom that was not loaded, 0 in the image before, is a lost outcome.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from qtomo.distribution import LOST, Outcomes
from qtomo.errors import Code, InputError
from qtomo.measurement.povm import named_povm
from qtomo.records.file.writer import Block
from qtomo.records.importers.base import Imported, fixed_basis, load_json
from qtomo.records.importers.recognition import Claim, Head, Sure, first_of, keys, recognised_by

__all__ = ["read_rydberg"]

_WHAT = "JSON of shots with an image before and after (pre_sequence, post_sequence)"
_SHOTS = ("shot_outputs", "measurements")
_MOST_DEPTH = 8


@dataclass(frozen=True)
class _Task:
    """The shots of one experiment, as the file has them."""

    place: str
    shots: list[Any]


def _claim(head: Head) -> Claim | None:
    if head.json is None or not (tasks := list(_tasks("", head.json, 0))):
        return None
    if _images(tasks[0].shots[0]) is None:
        return None
    more = f", {len(tasks)} tasks" if len(tasks) > 1 else ""
    return Claim(Sure.CERTAIN, f"shots of neutral atoms with images before and after{more}")


@recognised_by(_claim)
def read_rydberg(
    path: Path,
    *,
    task: Annotated[int | None, "The task of a file of several, from 0; all of them with --task -1."] = None,
) -> Imported:
    """Images of neutral atoms in Z: Rydberg is 1, the ground state 0, an atom that was never loaded is lost.

    Raises:
        InputError: names the task and the shot, what was found and what was expected.
    """
    tasks = list(_tasks(f"{path}", load_json(path, _WHAT), 0))
    if not tasks:
        raise InputError(Code.TOO_FEW, f"{path}: no shots, expected {_WHAT}")
    if len(tasks) > 1 and task is None:
        raise InputError(
            Code.REQUIRED,
            f"{path}: {len(tasks)} tasks, expected --task with one of 0 to {len(tasks) - 1}, or -1 for all",
        )
    if task is not None and not -1 <= task < len(tasks):
        raise InputError(Code.VALUE, f"{path}: --task {task}, expected 0 to {len(tasks) - 1}, or -1 for all")
    chosen = tasks if task is None or task == -1 else [tasks[task]]
    rows: list[list[int]] = []
    failed = 0
    for one in chosen:
        for number, shot in enumerate(one.shots):
            images = _images(shot)
            if images is None:
                raise InputError(Code.KIND, f"{one.place}, shot {number}: expected an image before and one after")
            if not images.success:
                failed += 1
                continue
            rows.append(_row(images, f"{one.place}, shot {number}", len(rows[0]) if rows else None))
    if not rows:
        raise InputError(Code.TOO_FEW, f"{path}: none of {failed} shots succeeded, expected some")
    outcomes: Outcomes = np.array(rows, np.uint8)
    bases = fixed_basis("Z", outcomes.shape[1])

    def blocks() -> Iterator[Block]:
        yield np.tile(bases, (len(outcomes), 1)), outcomes

    notes = [f"{len(chosen)} of {len(tasks)} tasks, images in Z: 1 is Rydberg or gone, 0 the ground state"]
    notes += [f"{failed:,} shots that did not succeed are left out"] if failed else []
    return Imported(path, outcomes.shape[1], named_povm("pauli6"), True, blocks, notes=tuple(notes))


@dataclass(frozen=True)
class _Images:
    before: Any
    after: Any
    success: bool


def _images(shot: Any) -> _Images | None:
    """The two images of a shot, in the words of Aquila or of Braket."""
    shot = keys(shot)
    result = keys(shot.get("shotResult")) or shot
    status = keys(shot.get("shotMetadata")).get("shotStatus", shot.get("shot_status", "Success"))
    before = result.get("preSequence", result.get("pre_sequence"))
    after = result.get("postSequence", result.get("post_sequence"))
    if not isinstance(before, list) or not isinstance(after, list):
        return None
    return _Images(before, after, str(status).lower() == "success")


def _row(images: _Images, place: str, n_sites: int | None) -> list[int]:
    if len(images.before) != len(images.after) or len(images.after) != (n_sites or len(images.after)):
        found = f"{len(images.before)} atoms before and {len(images.after)} after"
        raise InputError(Code.SHAPE, f"{place}: {found}, expected {n_sites or 'as many'} of both")
    for site, value in enumerate([*images.before, *images.after]):
        if value not in (0, 1) or isinstance(value, bool):
            raise InputError(
                Code.VALUE, f"{place}, atom {site % len(images.after)}: {str(value)[:40]}, expected 0 or 1"
            )
    return [LOST if not before else 1 - after for before, after in zip(images.before, images.after, strict=True)]


def _tasks(place: str, content: Any, depth: int) -> Iterator[_Task]:
    """Every list of shots, however deep it stands."""
    if depth > _MOST_DEPTH:
        return
    if isinstance(content, list):
        for number, one in enumerate(content):
            yield from _tasks(f"{place}, {number}", one, depth + 1)
    for name, one in keys(content).items():
        if name in _SHOTS and isinstance(one, list) and isinstance(first_of(one), dict):
            yield _Task(f"{place}, {name}", one)
        elif isinstance(one, dict | list):
            yield from _tasks(f"{place}, {name}", one, depth + 1)
