"""The demonstration: what ``make demo`` shows, from the first request to the last score."""

from __future__ import annotations

import asyncio
import importlib.util
import signal
import sys
import tokenize
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

import stenograph as st
from stenograph.cli.failures import OK, RUN_FAILED, USAGE, Failure
from stenograph.cli.following import print_pages
from stenograph.cli.hints import steno
from stenograph.cli.output import Output, talk
from stenograph.cli.printing import RunPrinter
from stenograph.cli.server_process import ServerProcess, server_process
from stenograph.cli.settings import Settings
from stenograph.cli.show import value_rows
from stenograph.cli.text import count, duration, printable
from stenograph.cli.times import seconds_between
from stenograph.engine import RunView
from stenograph.http import Client, RequestRefused
from stenograph.workflows import code_review

DEFAULT_MODULE: Final = "argparse"
BAR_WIDTH: Final = 40


class Source(Struct, frozen=True):
    """What is reviewed: its name, its text, and where it comes from."""

    name: str
    code: str
    origin: str


async def demonstrate(settings: Settings, file: str | None, db: str) -> int:
    """Review a source on a server of our own, and tell of all of it; return the exit code."""
    source = read_source(file)
    output = Output(msgspec.structs.replace(settings, output="table"))
    lines = count(len(source.code.splitlines()), "line")
    output.line(f"Stenograph {st.__version__} reviews {source.name}: {lines}{source.origin}")
    stop_on_sigterm()
    async with server_process(db, tools=[code_review.__name__]) as server:
        with telling_how_to_go_on(settings, db):
            output.line(output.style(f"serving on {server.url}, journal {db} (kept)", dim=True))
            async with Client(server.url) as client:
                run = await review(output, client, server, source)
    tell(output, run)
    look_again(output, msgspec.structs.replace(settings, db=db, url=None), run)
    return OK if run.status == "completed" else RUN_FAILED


def read_source(file: str | None) -> Source:
    """Return the source in a file, or a large one of Python's own; raises Failure."""
    if file is None:
        spec = importlib.util.find_spec(DEFAULT_MODULE)
        assert spec is not None
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        path, origin = Path(str(spec.origin)), f", out of Python {version}'s own library"
    else:
        path, origin = Path(file), ""
    try:
        with tokenize.open(path) as source:
            return Source(printable(path.name), source.read(), origin)
    except OSError as error:
        raise Failure(f"{path}: cannot be read: {error.strerror or error}", USAGE) from error
    except (SyntaxError, UnicodeDecodeError) as error:
        why = "it is not in UTF-8, nor in an encoding that its first lines name"
        raise Failure(f"{path}: no Python source: {why}", USAGE) from error


async def review(output: Output, client: Client, server: ServerProcess, source: Source) -> RunView:
    """Create the graph, run it, and print its events as they come."""
    graph = await client.create_graph(code_review.GRAPH)
    asked(output, "POST /graphs", f"{graph.graph_id}@{graph.version[:8]}")
    name = f"{graph.graph_id}@{graph.version}"
    try:
        run = await client.start(name, {"code": source.code, "path": source.name})
    except RequestRefused as refused:
        raise Failure(f"{source.name} cannot be reviewed: {refused}", USAGE) from refused
    asked(output, "POST /runs", run.id)
    asked(output, f"WS   /ws/{run.id}", "its events, as they are committed")
    output.line()
    following = print_pages(client.follow(run.id), RunPrinter(output))
    await server.meanwhile(following)
    return await client.get(run.id)


def asked(output: Output, request: str, answer: str) -> None:
    """Say what was asked of the server, and what came of it."""
    output.line(f"{output.style(f'{request:<28}', 'cyan')}  {answer}")


@contextmanager
def telling_how_to_go_on(settings: Settings, db: str) -> Iterator[None]:
    """Say where the review stands when somebody stops it."""
    try:
        yield
    except asyncio.CancelledError:  # Ctrl-C, SIGTERM
        here = msgspec.structs.replace(settings, db=None, url=None)
        again = steno(here, "serve", "--db", db)
        talk(f"-- stopped; the journal {db} is kept, and served again it goes on: {again}")
        raise


def tell(output: Output, run: RunView) -> None:
    """Say what came of the run: its state, and the score a pass."""
    state = run.state
    took = duration(seconds_between(run.created_at, run.updated_at))
    output.line()
    output.line(f"run {run.id} {run.status} at seq {run.seq} ({took}). Its state:")
    output.line()
    output.table(("key", "value"), value_rows(state))
    if scores := state.get("scores"):
        output.line()
        output.line("score a pass")
        for line in score_lines(scores):
            output.line(line)
    if report := state.get("report"):
        output.line()
        output.line(printable(report["summary"]))
    if run.error is not None:
        output.line()
        output.line(output.style(f"{run.error.type}: {printable(run.error.message)}", "red"))


def score_lines(scores: Sequence[float]) -> Iterator[str]:
    """Yield a line a pass, with a bar; 100 is the best."""
    for number, score in enumerate(scores, 1):
        yield f"{number:>4}  {score:>6.2f}  {'█' * round(score * BAR_WIDTH / 100)}"


def look_again(output: Output, place: Settings, run: RunView) -> None:
    """Say how to look at the run again: the journal is still there."""
    middle = max(1, run.seq // 2)
    here = msgspec.structs.replace(place, db=None)
    ways: list[tuple[str, Any]] = [
        (steno(place, "show", "@last"), "the run as it is"),
        (steno(place, "show", "@last", "--at", str(middle)), f"as it was after event {middle}"),
        (steno(place, "tail", "@last"), "its events, from the first"),
        (steno(here, "serve", "--db", str(place.db)), "serve the journal again"),
    ]
    output.line()
    output.line("Look at it again:")
    width = max(len(command) for command, _ in ways)
    for command, what in ways:
        output.line(f"  {command:<{width}}  {output.style(what, dim=True)}")


def stop_on_sigterm() -> None:
    """Let SIGTERM end this task as Ctrl-C does, so that the server ends with it."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
