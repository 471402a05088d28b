"""Options and output that commands share."""

from __future__ import annotations

import json
import logging
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import rich_click as click
from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from qtomo.parallel import world
from qtomo.progress import SILENT, Progress

__all__ = [
    "command_line",
    "device_option",
    "estimates_option",
    "json_option",
    "judging_options",
    "level_option",
    "overwrite_option",
    "print_json",
    "records_option",
    "samples_option",
    "say",
    "seed_option",
    "shots_option",
    "show_messages",
    "shown_progress",
]


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


def plain(text: str) -> str:
    """Text that leaves a terminal as it is: a question mark in place of each control character."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


class _Lines(Progress):
    """A line of log for each stage, and every few seconds for how far it is: where there is no terminal."""

    def __init__(self) -> None:
        self._stage = self._last = ""
        self._told = time.monotonic()

    def stage(self, text: str) -> None:
        self._stage, self._told = plain(text), time.monotonic()
        say(self._stage)

    def update(self, done: int, total: int, note: str = "") -> None:
        line = f"{self._stage}: {done:,} of {total:,} {plain(note)}".rstrip()
        if line != self._last and (done == total or time.monotonic() - self._told > _LINE_SECONDS):
            self._last, self._told = line, time.monotonic()
            say(line)


class _Counted(ProgressColumn):
    """A column that is empty while nothing is counted."""

    def __init__(self, column: ProgressColumn) -> None:
        super().__init__()
        self._column = column

    def render(self, task: Task) -> RenderableType:
        """The column, once the stage has told how far it is."""
        return self._column(task) if task.total is not None else ""


class _Bars(Progress):
    """A line for each stage on a terminal, which becomes a bar where the stage tells how far it is."""

    def __init__(self) -> None:
        self._shown: Bars | None = None

    def stage(self, text: str) -> None:
        self.close()
        columns = map(_Counted, (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()))
        words = (TextColumn(f"{{task.{name}}}", markup=False) for name in ("description", "fields[note]"))
        self._shown = Bars(next(words), *columns, next(words), console=Console(stderr=True))
        self._shown.add_task(plain(text), total=None, note="")
        self._shown.start()

    def update(self, done: int, total: int, note: str = "") -> None:
        if self._shown is None:
            self.stage("")
        assert self._shown is not None
        (task,) = self._shown.tasks
        if done < task.completed:  # counted anew
            self._shown.reset(task.id)
        self._shown.update(task.id, completed=done, total=total, note=plain(note))

    def close(self) -> None:
        """Leave what is shown as it is."""
        if self._shown is not None:
            self._shown.stop()


@contextmanager
def shown_progress() -> Iterator[Progress]:
    """Progress on standard error: bars on a terminal, plain lines elsewhere.

    Of several processes only rank 0 shows it.
    """
    if world().rank:
        yield SILENT
    elif sys.stderr.isatty():
        bars = _Bars()
        try:
            yield bars
        finally:
            bars.close()
    else:
        yield _Lines()


class _Messages(logging.Handler):
    """Warnings of the library, as lines on standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        """Of several processes only rank 0 shows it."""
        if not world().rank:
            say(plain(f"{record.levelname.lower()}: {record.getMessage()}"))


_MESSAGES = _Messages(logging.WARNING)


def show_messages() -> None:
    """Show the library's warnings."""
    logging.getLogger("qtomo").addHandler(_MESSAGES)
