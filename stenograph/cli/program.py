"""The program: its commands, and how each of them ends."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
from click.core import ParameterSource

from stenograph.cli.backup import backup
from stenograph.cli.blame import blame
from stenograph.cli.cancel import cancel
from stenograph.cli.check import check
from stenograph.cli.checkpoint import checkpoint
from stenograph.cli.demo import demo
from stenograph.cli.diff import diff
from stenograph.cli.erase import erase
from stenograph.cli.export import export
from stenograph.cli.failures import INTERRUPTED, PIPE_CLOSED, failure_of
from stenograph.cli.fork import fork
from stenograph.cli.import_ import import_
from stenograph.cli.migrate import migrate
from stenograph.cli.pause import pause
from stenograph.cli.pytest_ import pytest_
from stenograph.cli.replay import replay
from stenograph.cli.rerun import rerun
from stenograph.cli.resume import resume, retry
from stenograph.cli.run import run
from stenograph.cli.runs import runs
from stenograph.cli.serve import serve
from stenograph.cli.settings import place_options
from stenograph.cli.show import show
from stenograph.cli.signal import signal
from stenograph.cli.sql import sql
from stenograph.cli.standard import provide, silence
from stenograph.cli.tail import tail
from stenograph.cli.text import printable, redacted
from stenograph.cli.token import token
from stenograph.cli.verify import verify
from stenograph.cli.why import why


class Program(click.Group):
    """The commands in the order that they are learned in; every end has its own exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands, in their order."""
        return list(self.commands)

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the program, even where some of the standard streams are missing."""
        provide()
        return super().main(*args, **options)

    def make_context(self, *args: Any, **options: Any) -> click.Context:
        """Read the command line, of which each word must be text."""
        with telling_how_it_ends():
            return super().make_context(*args, **options)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take the words apart; raises UsageError."""
        for word in args:
            if not is_text(word):
                raise click.UsageError(f"'{printable(word)}' is no text; write it in UTF-8")
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        with telling_how_it_ends():
            return super().invoke(ctx)


@contextmanager
def telling_how_it_ends() -> Iterator[None]:
    """Make one sentence and an exit code of what goes wrong."""
    try:
        yield
    except click.exceptions.Exit:
        raise
    except (KeyboardInterrupt, click.Abort):
        raise click.exceptions.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        silence(sys.stdout)
        raise click.exceptions.Exit(PIPE_CLOSED) from None
    except Exception as error:
        if isinstance(error, OSError):
            silence(sys.stdout)
        failure = error if isinstance(error, click.ClickException) else failure_of(error)
        if failure is None:
            raise
        show_error(failure)
        raise click.exceptions.Exit(failure.exit_code) from error


def show_error(error: click.ClickException) -> None:
    """Show an error on stderr, if it takes it; a word that it quotes may be a token."""
    vars(error)["message"] = redacted(error.message)
    try:
        error.show()
    except OSError:
        silence(sys.stderr)


def is_text(word: str) -> bool:
    """Tell text from bytes that are no UTF-8, which Python smuggles in as surrogates."""
    return not any("\ud800" <= letter <= "\udfff" for letter in word)


def print_version(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    """Print the version, and exit."""
    if wanted and not context.resilient_parsing:
        from stenograph import __version__

        click.echo(f"stenograph {__version__}")
        context.exit()


@click.group("steno", cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@place_options
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=print_version,
    help="Print the version, and exit.",
)
@click.pass_context
def main(context: click.Context) -> None:
    """Run graphs, and read what they did: every run is a journal of events.

    Data goes to stdout, talk to stderr; on a terminal data is a table, in a pipe JSON.
    """
    name = str(context.invoked_subcommand)
    taken = {word for parameter in main.commands[name].params for word in parameter.opts}
    for option in main.params:
        given = context.get_parameter_source(str(option.name)) is ParameterSource.COMMANDLINE
        if given and not taken.intersection(option.opts):
            raise click.UsageError(f"steno {name} takes no {option.opts[-1]}")


for command in (
    serve, demo, run, runs, show, tail, replay, sql, why, blame, diff, signal, pause, resume,
    retry, cancel, fork, migrate, rerun, export, import_, pytest_, erase, verify, checkpoint,
    backup, check, token,
):  # fmt: skip
    main.add_command(command)
