"""Options and output that commands share."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import rich_click as click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from qtomo.parallel import world

__all__ = [
    "command_line",
    "device_option",
    "estimates_option",
    "json_option",
    "judging_options",
    "level_option",
    "overwrite_option",
    "print_json",
    "progress_bar",
    "records_option",
    "samples_option",
    "say",
    "seed_option",
    "shots_option",
]


class Update(Protocol):
    """Say how far a work is."""

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """`done` of `total`, with a few words."""


_ELSEWHERE = ("--output", "-o", "--figure", "--shard", "--device")  # options that change where, not what
_LINE_SECONDS = 10.0  # between plain progress lines where there is no terminal

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
overwrite_option = click.option("--overwrite", is_flag=True, help="Replace what is there under that name.")
seed_option = click.option(
    "--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, help="Seed of every random number."
)
records_option = click.option(
    "--records", "records_file", type=click.Path(), help="Where the run's record file is now, if it has moved."
)
samples_option = click.option(
    "--samples", type=int, default=20_000, show_default=True, help="Fresh records of target and model."
)
level_option = click.option(
    "--level", type=click.FloatRange(0.5, 0.9999), default=0.95, show_default=True, help="Level of intervals."
)
device_option = click.option(
    "--device", default="cpu", show_default=True, help="Where exact states are drawn and scored: cpu, cuda or auto."
)
estimates_option = click.option(
    "--allow-estimates", is_flag=True, help="Give KL also where a model's likelihood is only estimated."
)


def judging_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options of whatever judges a run with fresh records."""
    options = (records_option, samples_option, level_option, device_option, estimates_option, seed_option)
    for option in reversed(options):
        command = option(command)
    return command


def shots_option(help: str, default: int | None = None) -> Callable[[Any], Any]:
    """`--shots N`, and what to say to somebody who writes `--records N`: that is the path of a file everywhere."""

    def refuse(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
        if value is not None:
            raise click.UsageError(f"--records {value}: the number of shots is given by --shots N", ctx)

    def decorate(command: Any) -> Any:
        command = click.option("--records", callback=refuse, expose_value=False, hidden=True)(command)
        return click.option("--shots", type=int, default=default, show_default=default is not None, help=help)(command)

    return decorate


def command_line() -> str:
    """What was typed, without what does not change the records: how to make the file again."""
    kept, skip = [], False
    for word in sys.argv[1:]:
        option = word.partition("=")[0]
        if option in ("--overwrite", "--json"):
            continue
        if not skip and option not in _ELSEWHERE:
            kept.append(word)
        skip = not skip and option in _ELSEWHERE and "=" not in word
    return shlex.join(["qtomo", *kept])


def print_json(value: dict[str, Any]) -> None:
    """One JSON object on standard output."""
    click.echo(json.dumps(value))


def say(line: str) -> None:
    """A line of log, on standard error."""
    click.echo(line, err=True)


@contextmanager
def progress_bar(label: str) -> Iterator[Update]:
    """Progress on standard error: a bar on a terminal, a plain line every few seconds elsewhere.

    Gives a function update(done, total, note). Of several processes only rank 0 shows it.
    """
    if world().rank:
        yield lambda done, total, note="": None
        return
    if sys.stderr.isatty():
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, TextColumn("{task.fields[note]}"), console=Console(stderr=True)) as bar:
            task = bar.add_task(label, note="")

            def draw(done: int, total: int, note: str = "") -> None:
                bar.update(task, completed=done, total=total, note=note)

            yield draw
        return
    last = time.monotonic()

    def line(done: int, total: int, note: str = "") -> None:
        nonlocal last
        if done == total or time.monotonic() - last > _LINE_SECONDS:
            last = time.monotonic()
            say(f"{label}: {done:,} of {total:,} {note}".rstrip())

    yield line
