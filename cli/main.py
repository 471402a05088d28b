"""The command group, and what every command shares: errors as one line, exit codes, Ctrl-C, many processes."""

from __future__ import annotations

import importlib
import os
import sys
import time
from typing import cast

import rich_click as click
from click.shell_completion import CompletionItem

from qtomo.errors import InputError, ProcessLost
from qtomo.version import __version__

from .common import show_messages

__all__ = ["main"]

#: Subcommands by name: the module that holds `command`, loaded when it is asked for, and what it does.
COMMANDS = {
    "simulate": ("simulate", "Simulate measurement records of an exact state."),
    "import": ("import_", "Import records of a laboratory or of another program."),
    "join": ("join", "Join shards of records into one record file."),
    "info": ("info", "Say what a file holds and which command can use it."),
    "train": ("train", "Train a model on a record file, or go on with a run."),
    "sample": ("sample", "Draw records from a trained model."),
    "evaluate": ("evaluate", "Judge a run against the exact target."),
    "compare": ("compare", "Compare runs side by side, or record files."),
    "reconstruct": ("reconstruct", "Reconstruct the state from records."),
    "verify": ("verify", "Test records against a target: was it prepared, and what is wrong?"),
    "plan": ("plan", "Plan an experiment: which settings, how many shots?"),
    "report": ("report", "Write one HTML file of what is known."),
    "demo": ("demo", "Fifty qubits end to end: simulate, learn, judge."),
    "doctor": ("doctor", "Check the installation."),
}

_WELCOME = """\
Which state are the qubits in? Measurement records in, a verdict with error bars out.

Look at it work:
  qtomo simulate tfim --qubits 10 --shots 5000 --output tfim.h5   records of a known state
  qtomo verify tfim.h5                                              are they of that state?
  qtomo demo                          fifty qubits: simulate, learn, judge, in minutes

Your own data, if they are CSV (or see qtomo import --help):
  qtomo import csv lab.csv --output lab.h5
  qtomo verify lab.h5 --target ghz

qtomo info FILE says what a file is and what to do with it, qtomo doctor whether all is installed,
qtomo --help which commands there are, and qtomo COMMAND --help how each is called."""

BAD_INPUT = 2
INTERRUPTED = 130

_OTHERS_SECONDS = 10.0  # in which rank 0 tells an error that all processes have, and torchrun ends the others


_LISTING = f"{__name__}.listing"


class _Commands(click.RichGroup):
    """Loads a command's module, and with it torch, only when that command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, summary = COMMANDS[name]
        if ctx.meta.get(_LISTING):
            return click.Command(name, short_help=summary)
        command: click.Command = importlib.import_module(f".{module}", __package__).command
        return command

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The help of the group, for which no command is loaded."""
        ctx.meta[_LISTING] = True
        super().format_help(cast(click.RichContext, ctx), cast(click.RichHelpFormatter, formatter))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Names of commands, without loading them: a shell asks at each press of the key."""
        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        return [CompletionItem(name) for name in COMMANDS if name.startswith(incomplete)]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        from qtomo.config import near_miss

        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"no command '{args[0]}'{near_miss(args[0], list(COMMANDS))}")
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="qtomo")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Quantum state tomography of many qubits: simulate records, learn them, judge the state.

    Example: qtomo simulate tfim --qubits 50 --shots 100000 --output tfim.h5
    """
    if ctx.invoked_subcommand is None:
        click.echo(_WELCOME)


def main() -> None:
    """Run the command; a user's mistake is one line on standard error and exit code 2."""
    # Before torch is loaded: threads that spin while they wait make it 30 times slower beside another program's.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    show_messages()
    try:
        result = cli(standalone_mode=False)
        if isinstance(result, int) and result:
            sys.exit(result)
    except ProcessLost as error:
        _fail(str(error), INTERRUPTED)
    except InputError as error:
        _fail_once(str(error))
    except click.ClickException as error:
        hint = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "qtomo"
        _fail_once(f"{error.format_message()} (see {hint} --help)")
    except (KeyboardInterrupt, click.Abort) as error:
        if _rank():
            sys.exit(INTERRUPTED)
        why = error.__cause__ or error  # click keeps what was said in the cause
        _fail(str(why) or "interrupted; nothing half written is left", INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(INTERRUPTED)


def _fail(message: str, code: int) -> None:
    click.echo(f"qtomo: {' '.join(message.split())}", err=True)
    sys.exit(code)


def _fail_once(message: str) -> None:
    """End with bad input, which all processes have: rank 0 tells it, and another only where it outlives that."""
    if _rank():
        time.sleep(_OTHERS_SECONDS)
        message = f"process {_rank()}: {message}"
    _fail(message, BAD_INPUT)


def _rank() -> str:
    """The rank of this process among those of torchrun; nothing for rank 0 and for one alone."""
    return os.environ.get("RANK", "").lstrip("0")
