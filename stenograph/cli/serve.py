"""``steno serve``: an engine on a journal's file, and HTTP before it."""

from __future__ import annotations

from typing import Literal

import click

from stenograph.cli.settings import QUIET, settings
from stenograph.cli.tools import load_tools, tools_option


def host_name(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """Return a host's name; raises BadParameter for what is none."""
    try:
        value.encode("idna")
    except UnicodeError as error:
        raise click.BadParameter(f"{value!r} is no host's name or address") from error
    return value


@click.command(short_help="Serve graphs and runs over HTTP.")
@click.option("--db", metavar="FILE", help="The journal's file.  [default: steno.db]")
@click.option("--memory", is_flag=True, help="Keep the journal in memory; it goes with the server.")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    callback=host_name,
    help="The address to listen on.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="The port; 0 takes a free one.",
)
@tools_option
@click.option(
    "--durability",
    type=click.Choice(["full", "normal"]),
    default="full",
    show_default=True,
    help="full outlives a loss of power, normal only that of the process.",
)
@QUIET
@click.option("--pid-file", metavar="FILE", help="Write the process id here while serving.")
def serve(
    *,
    db: str | None,
    memory: bool,
    host: str,
    port: int,
    modules: tuple[str, ...],
    durability: Literal["full", "normal"],
    pid_file: str | None,
) -> None:
    """Serve graphs and runs over HTTP and WebSockets, until Ctrl-C or SIGTERM.

    Unfinished runs in the journal go on.
    """
    db = db or settings().db
    if memory and db:
        raise click.UsageError("--memory and --db exclude each other")
    tools = load_tools(modules)

    from stenograph.cli.serving import Serving

    Serving(
        path=":memory:" if memory else db or "steno.db",
        tools=tools,
        host=host,
        port=port,
        durability=durability,
        pid_file=pid_file,
        quiet=settings().quiet,
    ).run()
