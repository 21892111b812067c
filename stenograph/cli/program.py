"""The program: its commands, and how each of them ends."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from stenograph.cli.cancel import cancel
from stenograph.cli.check import check
from stenograph.cli.demo import demo
from stenograph.cli.failures import INTERRUPTED, PIPE_CLOSED, failure_of
from stenograph.cli.run import run
from stenograph.cli.runs import runs
from stenograph.cli.serve import serve
from stenograph.cli.settings import place_options
from stenograph.cli.show import show
from stenograph.cli.tail import tail


class Program(click.Group):
    """The commands in the order that they are learned in; every end has its own exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands, in their order."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what goes wrong becomes one sentence and an exit code."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:
            leave_quietly()
            ctx.exit(PIPE_CLOSED)
        except Exception as error:
            failure = failure_of(error)
            if failure is None:
                raise
            raise failure from error


def leave_quietly() -> None:
    """Let nothing more be written to a pipe that nobody reads, not even on the way out."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
def main() -> None:
    """Run graphs, and read what they did: every run is a journal of events.

    Data goes to stdout, talk to stderr; on a terminal data is a table, in a pipe JSON.
    """


for command in (serve, demo, run, runs, show, tail, cancel, check):
    main.add_command(command)
