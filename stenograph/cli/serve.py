"""``steno serve``: an engine on a journal's file, and HTTP before it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import click
from click.core import ParameterSource

from stenograph.cli.failures import USAGE, Failure
from stenograph.cli.output import talk
from stenograph.cli.serve_options import (
    Finite,
    ServeCommand,
    given_to,
    misspelt_variables,
    read_file,
    words_of,
)
from stenograph.cli.settings import QUIET, settings
from stenograph.cli.token import beside
from stenograph.cli.tools import load_tools, tools_option

if TYPE_CHECKING:
    from stenograph.http import Settings

OWN = frozenset({"db", "memory", "port", "quiet", "reload", "pid_file"})
"""What a server that is started again is told otherwise, or not at all."""


def host_name(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """Return a host's name; raises BadParameter for what is none."""
    try:
        value.encode("idna")
    except UnicodeError as error:
        raise click.BadParameter(f"{value!r} is no host's name or address") from error
    return value


@click.command(cls=ServeCommand, short_help="Serve graphs and runs over HTTP.")
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
@click.option(
    "--data",
    metavar="FOLDER",
    help="Tools may read the files in this folder, which runs name by a path; nothing outside it.",
)
@tools_option
@click.option(
    "--durability",
    type=click.Choice(["full", "normal"]),
    default="full",
    show_default=True,
    help="full outlives a loss of power, normal only that of the process.",
)
@click.option(
    "--tokens",
    metavar="FILE",
    help="Whose tokens are needed (see steno token).  [default: the journal's, when there are any]",
)
@click.option("--without-tokens", is_flag=True, help="Serve all who come, wherever they come from.")
@click.option("--checkpoints", metavar="FILE", help="Append signed checkpoints to this file.")
@click.option("--checkpoint-key", metavar="FILE", help="The private key that signs them.")
@click.option(
    "--checkpoint-every",
    metavar="S",
    type=Finite(min=0.1),
    default=300,
    show_default=True,
    help="Seconds between two of them; one more at the end.",
)
@click.option(
    "--reload", is_flag=True, help="Start again when a module of --tools changes; for development."
)
@QUIET
@click.option("--pid-file", metavar="FILE", help="Write the process id here while serving.")
@click.option(
    "--config",
    metavar="FILE",
    envvar="STENO_CONFIG",
    is_eager=True,
    callback=read_file,
    help="Read settings from this TOML file; else from $STENO_CONFIG.",
)
@click.option(
    "--settings",
    "only_shows",
    is_flag=True,
    help="Print all settings, limits and timeouts too, as such a file, and exit.",
)
@click.option("--lifeline", type=int, hidden=True, help="End when this pipe does.")
@click.pass_context
def serve(
    context: click.Context,
    /,
    *,
    db: str | None,
    memory: bool,
    host: str,
    port: int,
    data: str | None,
    modules: tuple[str, ...],
    durability: Literal["full", "normal"],
    tokens: str | None,
    without_tokens: bool,
    checkpoints: str | None,
    checkpoint_key: str | None,
    checkpoint_every: float,
    reload: bool,
    pid_file: str | None,
    config: str | None,
    only_shows: bool,
    lifeline: int | None,
    **limits: Any,
) -> None:
    """Serve graphs and runs over HTTP and WebSockets, until Ctrl-C or SIGTERM.

    Unfinished runs in the journal go on. Every setting is a flag, here --body-bytes, a variable,
    STENO_BODY_BYTES, or a key of a file, body_bytes; the first of them that is given holds.
    """
    tell_of_variables(context)
    if only_shows:
        show_settings(context)
    if (checkpoints is None) != (checkpoint_key is None):
        raise click.UsageError("--checkpoints and --checkpoint-key go together")
    if checkpoints is not None and (reload or memory):
        raise click.UsageError("--checkpoints are of a file that lasts: without --reload, --memory")
    db, memory = place_of(context, db, memory=memory)
    if reload:
        watch_and_serve(context, db, memory, host, port, modules, pid_file)
    if tokens and without_tokens:
        raise click.UsageError("--tokens and --without-tokens exclude each other")
    if lifeline is not None:
        from stenograph.cli.lifeline import end_with

        end_with(lifeline)  # before any code of the user's, which might hang or fork
        pid_file = None  # whoever watches has written it
    tools = load_tools(modules)

    from stenograph.cli.checkpointing import Checkpointing
    from stenograph.cli.serving import Serving
    from stenograph.journal import read_key

    path = ":memory:" if memory else db or "steno.db"
    store = None if without_tokens else store_of(tokens, path)
    told = settings_for(context, host, store)
    if store is None and not is_local(host) and not without_tokens:
        raise Failure(open_to_all(host, memory, path), USAGE)
    signing = None
    if checkpoints is not None and checkpoint_key is not None:
        signing = Checkpointing(path, read_key(checkpoint_key), checkpoints, checkpoint_every)
    Serving(
        path=path,
        tools=tools,
        data=data,
        host=host,
        port=port,
        durability=durability,
        pid_file=pid_file,
        quiet=settings().quiet,
        settings=told,
        checkpoints=signing,
        hidden=[each for each in (store, checkpoint_key) if each],
    ).run()


def tell_of_variables(context: click.Context) -> None:
    """Warn of variables that are likely misspelt: a limit that nobody meant to lift would not hold."""
    if not settings().quiet:
        for name, near in misspelt_variables(context):
            talk(f"Warning: ${name} is the variable of no setting; did you mean ${near}?")


def store_of(tokens: str | None, path: str) -> str | None:
    """Return the file of tokens: as asked for, else the one beside a journal, if there is one."""
    own = beside(path)
    return tokens or (own if os.path.lexists(own) else None)


def open_to_all(host: str, memory: bool, path: str) -> str:
    """Return why nobody is served, when anybody could come."""
    where = "--tokens FILE" if memory else f"--db {path}"
    return (
        f"others than this machine reach {host}: make a token first (steno token create NAME "
        f"--scope read {where}), or say --without-tokens"
    )


def show_settings(context: click.Context) -> NoReturn:
    """Print every setting, and exit."""
    from stenograph.cli.settings_page import page

    click.echo("\n".join(page(context)), nl=False)
    context.exit()


def place_of(context: click.Context, db: str | None, *, memory: bool) -> tuple[str | None, bool]:
    """Return the journal's file, or that it is in memory: what was given in the stronger way."""
    ranks = list(ParameterSource)
    file_rank = ranks.index(context.get_parameter_source("db") or ParameterSource.DEFAULT)
    if settings().db and file_rank > ranks.index(ParameterSource.COMMANDLINE):
        db, file_rank = settings().db, ranks.index(ParameterSource.COMMANDLINE)
    memory_rank = ranks.index(context.get_parameter_source("memory") or ParameterSource.DEFAULT)
    if memory and db and file_rank == memory_rank:
        raise click.UsageError("--memory and --db exclude each other")
    if memory and (not db or memory_rank < file_rank):
        return None, True
    return db, False


def is_local(host: str) -> bool:
    """Tell whether nobody but this machine reaches a server there."""
    from stenograph.http import hosts_at

    return hosts_at(host) is not None


def settings_for(context: click.Context, host: str, tokens: str | None) -> Settings:
    """Return the settings of a server on ``host``, whose process may open files for them."""
    from stenograph.cli.open_files import connections_within, raise_limit
    from stenograph.engine import Bounds
    from stenograph.http import Settings, hosts_at

    given = given_to(context, Settings)
    own = hosts_at(host)
    if own is not None:
        given["hosts"] = own | given.get("hosts", frozenset())
    connections = connections_within(raise_limit(), given.get("connections"))
    usual: Mapping[str, Any] = {
        "sql": own is not None or tokens is not None,
        "subscribers": max(1, min(10_000, connections * 9 // 10)),
    }
    told = {**usual, **given, "connections": connections, "tokens": tokens}
    try:
        return Settings(**told, bounds=Bounds(**given_to(context, Bounds)))
    except ValueError as error:
        raise Failure(str(error), USAGE) from None


def watch_and_serve(
    context: click.Context,
    db: str | None,
    memory: bool,
    host: str,
    port: int,
    modules: tuple[str, ...],
    pid_file: str | None,
) -> NoReturn:
    """Serve in another process, which starts again when a module changes, and exit as it does."""
    from stenograph.cli.reloading import Reloading, check_library, folders_of, free_port

    if memory:
        raise click.UsageError("--reload starts again and again: --memory would lose all runs")
    if not modules:
        raise click.UsageError("--reload watches the modules of --tools; name one")
    check_library()
    words = words_of(context, but=OWN)
    # One port for all of them, also a free one.
    words += [f"--db={db or 'steno.db'}", f"--port={port or free_port(host)}"]
    words += ["--quiet"] * settings().quiet
    reloading = Reloading(words, folders_of(modules), pid_file, settings().quiet)
    raise click.exceptions.Exit(reloading.run())
