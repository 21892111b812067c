"""``steno serve``: an engine on a journal's file, and HTTP before it."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, NoReturn

import click

from stenograph.cli.failures import USAGE, Failure
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
    type=click.FloatRange(min=0.1),
    default=300,
    show_default=True,
    help="Seconds between two of them; one more at the end.",
)
@click.option(
    "--reload", is_flag=True, help="Start again when a module of --tools changes; for development."
)
@QUIET
@click.option("--pid-file", metavar="FILE", help="Write the process id here while serving.")
@click.option("--lifeline", type=int, hidden=True, help="End when this pipe does.")
def serve(
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
    lifeline: int | None,
) -> None:
    """Serve graphs and runs over HTTP and WebSockets, until Ctrl-C or SIGTERM.

    Unfinished runs in the journal go on.
    """
    if (checkpoints is None) != (checkpoint_key is None):
        raise click.UsageError("--checkpoints and --checkpoint-key go together")
    if checkpoints is not None and (reload or memory):
        raise click.UsageError("--checkpoints are of a file that lasts: without --reload, --memory")
    if reload:
        access = ["--without-tokens"] * without_tokens + [f"--tokens={tokens}"] * bool(tokens)
        watch_and_serve(db, memory, host, port, data, modules, durability, pid_file, access)
    if tokens and without_tokens:
        raise click.UsageError("--tokens and --without-tokens exclude each other")
    db = db or settings().db
    if memory and db:
        raise click.UsageError("--memory and --db exclude each other")
    if lifeline is not None:
        from stenograph.cli.lifeline import end_with

        end_with(lifeline)  # before any code of the user's, which might hang or fork
    with collecting_no_garbage():
        tools = load_tools(modules)

        from stenograph.cli.checkpointing import Checkpointing
        from stenograph.cli.serving import Serving
        from stenograph.http import Settings, hosts_at
        from stenograph.journal import read_key

        path = ":memory:" if memory else db or "steno.db"
        signing = None
        if checkpoints is not None and checkpoint_key is not None:
            signing = Checkpointing(path, read_key(checkpoint_key), checkpoints, checkpoint_every)
        hosts = hosts_at(host)
        store = None if without_tokens else store_of(tokens, path)
        if store is None and hosts is None and not without_tokens:
            raise Failure(open_to_all(host, memory, path), USAGE)
        Serving(
            path=path,
            tools=tools,
            data=data,
            host=host,
            port=port,
            durability=durability,
            pid_file=pid_file,
            quiet=settings().quiet,
            settings=Settings(
                hosts=hosts, tokens=store, sql=hosts is not None or store is not None
            ),
            checkpoints=signing,
        ).run()


def store_of(tokens: str | None, path: str) -> str | None:
    """Return the file of tokens: as asked for, else the one beside a journal, if there is one."""
    beside = f"{path}.tokens"
    return tokens or (beside if os.path.lexists(beside) else None)


def open_to_all(host: str, memory: bool, path: str) -> str:
    """Return why nobody is served, when anybody could come."""
    where = "--tokens FILE" if memory else f"--db {path}"
    return (
        f"others than this machine reach {host}: make a token first (steno token create NAME "
        f"--scope read {where}), or say --without-tokens"
    )


@contextmanager
def collecting_no_garbage() -> Iterator[None]:
    """Let alone what a start makes, which stays: to look through it is a good part of a start.

    A server that is up collects garbage again (``Serving.started``), and so does what failed.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def watch_and_serve(
    db: str | None,
    memory: bool,
    host: str,
    port: int,
    data: str | None,
    modules: tuple[str, ...],
    durability: str,
    pid_file: str | None,
    access: Sequence[str],
) -> NoReturn:
    """Serve in another process, which starts again when a module changes, and exit as it does."""
    from stenograph.cli.reloading import Reloading, check_library, folders_of, free_port

    if memory:
        raise click.UsageError("--reload starts again and again: --memory would lose all runs")
    if not modules:
        raise click.UsageError("--reload watches the modules of --tools; name one")
    check_library()
    words = [f"--db={db or settings().db or 'steno.db'}", f"--host={host}"]
    # One port for all of them, also a free one.
    words += [f"--port={port or free_port(host)}", f"--durability={durability}"]
    words += [] if data is None else [f"--data={data}"]
    words += [f"--tools={name}" for name in modules] + ["--quiet"] * settings().quiet
    words += access
    reloading = Reloading(words, folders_of(modules), pid_file, settings().quiet)
    raise click.exceptions.Exit(reloading.run())
