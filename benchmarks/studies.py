"""What studies of many data sets share: a line of JSON per data set, going on where one stopped, rates by axis.

A study is a function from the number of a data set, which is its seed, to what was found of it. Its results are lines
of JSON in one file; files of several runs are merged by `cat`.
"""

from __future__ import annotations

import json
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import click
import torch
from scipy import stats

__all__ = ["Result", "Studies", "by", "command", "rate"]

Result = dict[str, Any]
#: By name: what is done with a data set, and what is printed of all results.
Studies = dict[str, tuple[Callable[[int], Result], Callable[[list[Result]], None]]]


def rate(hits: int, n: int, level: float = 0.95) -> str:
    """A share with its Clopper-Pearson interval."""
    if not n:
        return "0/0"
    interval = stats.binomtest(hits, n).proportion_ci(level, method="exact")
    return f"{hits}/{n} = {hits / n:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def by(found: Iterable[Result], axes: Iterable[str], of: Callable[[list[Result]], str]) -> None:
    """A line for each value of each axis."""
    found = list(found)
    print(f"  {'all':32} {of(found)}")
    for axis in axes:
        groups = defaultdict(list)
        for result in found:
            groups[result[axis]].append(result)
        for value in sorted(groups, key=str):
            print(f"  {f'{axis} {value}':32} {of(groups[value])}")


def _one(job: tuple[Callable[[int], Result], int]) -> tuple[int, Result]:
    torch.set_num_threads(1)
    return job[1], job[0](job[1])


def _read(path: Path) -> dict[int, Result]:
    """The lines of a study so far; a last one that was cut short is left out."""
    found = {}
    if path.exists():
        for line in path.read_text().splitlines():
            try:
                result = json.loads(line)
            except ValueError:
                continue
            found[int(result["index"])] = result
    return found


def command(studies: Studies) -> click.Command:
    """The command line of some studies."""

    @click.command()
    @click.argument("study", type=click.Choice(list(studies)))
    @click.option("--sets", default=100, show_default=True, help="Data sets, numbers 0 to this.")
    @click.option("--workers", default=2, show_default=True)
    @click.option(
        "--output", type=click.Path(path_type=Path), required=True, help="Lines of JSON, read again if there."
    )
    def main(study: str, sets: int, workers: int, output: Path) -> None:
        """Run a study, or go on with it, and say what it found."""
        _run(studies, study, sets, workers, output)

    return main


def _run(studies: Studies, study: str, sets: int, workers: int, output: Path) -> None:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    done = _read(output)
    left = [index for index in range(sets) if index not in done]
    started = time.monotonic()
    with output.open("a") as file, ProcessPoolExecutor(workers) as pool:
        for number, (index, result) in enumerate(pool.map(_one, [(studies[study][0], i) for i in left]), start=1):
            file.write(json.dumps({"index": index, **result}) + "\n")
            file.flush()
            done[index] = result
            if number % 50 == 0:
                spent = time.monotonic() - started
                print(
                    f"{number} of {len(left)}, {spent:.0f} s, {spent / number * (len(left) - number):.0f} s to go",
                    flush=True,
                )
    found = [result for index, result in sorted(done.items()) if index < sets]
    spent = sum(r.get("seconds", 0.0) for r in found)
    print(f"## {study}: {len(found)} data sets, {time.monotonic() - started:.0f} s now", end="")
    print(f", {spent:.0f} s of one core in all" if spent else "")
    studies[study][1](found)
