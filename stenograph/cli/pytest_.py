"""``steno pytest``: a recorded run as a test of its graph."""

from __future__ import annotations

import asyncio
import gzip
import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from stenograph.cli.export import new_file
from stenograph.cli.failures import USAGE, Failure
from stenograph.cli.graph_files import fault_lines, graph_within, read_graph
from stenograph.cli.output import Output
from stenograph.cli.replay_tests import name_of, source_of
from stenograph.cli.settings import Settings, place_options, settings
from stenograph.cli.sources import find_run, open_source, reading
from stenograph.cli.standard import write
from stenograph.cli.text import count

if TYPE_CHECKING:
    from stenograph.engine import ExportedRun
    from stenograph.testing import RecordedRun


@click.command("pytest", short_help="Write a test that plays a run again.")
@click.argument("run")
@click.option("--out", metavar="FILE", help="The test's file; else it goes to stdout.")
@click.option("--graph", metavar="FILE", help="Test the graph in this JSON file, as it then is.")
@click.option("--force", is_flag=True, help="Write FILE even if it is there already.")
@place_options
def pytest_(run: str, out: str | None, graph: str | None, force: bool) -> None:
    """Write a test with what the tools of a run returned, its path and its last state.

    The test needs no tools, no server and no time. A run of more than 64 KiB goes into a file beside
    the test. RUN is an id, how one id alone begins, @last, or an exported file.
    """
    asyncio.run(written(Output(settings()), settings(), run, out, graph, force=force))


async def written(
    output: Output, place: Settings, name: str, out: str | None, graph: str | None, *, force: bool
) -> None:
    """Write the test of a run, up to its last event now."""
    exported, data = await _read(place, name)
    recorded = _recorded(exported)
    run_id = exported.header.run_id
    path = Path(out) if out is not None else Path(f"{name_of(run_id)}.py")
    beside = path.with_suffix(".ndjson.gz")
    own = None if graph is None else _from(path, graph)
    text, is_big = source_of(recorded, run_id, _graph_id(exported), own, beside.name)
    told = "" if graph is None else _today(recorded, graph)
    if out is None:
        if is_big:
            raise Failure("the run is too large to stand in the test: write it with --out", USAGE)
        write(text.encode())
    else:
        files = {path: text.encode()}
        if is_big:
            files[beside] = gzip.compress(data, mtime=0)
        _put(files, force=force)
        output.talk(f"-- {', '.join(map(str, files))}: {count(len(recorded.path), 'step')}")
    if told:
        output.talk(f"-- the test fails with {graph} as it is now: {told}")


def _from(test: Path, graph: str) -> str:
    """Return the path of a graph's file from that of the test."""
    return os.path.relpath(graph, test.parent).replace(os.sep, "/")


async def _read(place: Settings, name: str) -> tuple[ExportedRun, bytes]:
    """Return a run, verified, and the bytes of its file."""
    from stenograph.engine import read_export

    place = reading(place, name)
    async with open_source(place) as source:
        run_id = await find_run(source, name)
        data = b"".join([piece async for piece in source.export(run_id)])
    return read_export([data]), data


def _recorded(exported: ExportedRun) -> RecordedRun:
    from stenograph.engine import decode, record_run

    return record_run(map(decode, exported.records))


def _graph_id(exported: ExportedRun) -> str:
    return str(msgspec.json.decode(exported.records[0].data)["graph_id"])


def _today(recorded: RecordedRun, name: str) -> str:
    """Return how a run goes in the graph of a file as it is now, if otherwise; raises Failure."""
    from stenograph.engine import Fault, GraphInvalid, differences, play

    whole, faults = read_graph(name)
    graph, at = graph_within(whole)
    try:
        return differences(recorded, play(recorded, graph))
    except GraphInvalid as error:
        found = faults + [Fault(at + each.pointer, each.detail) for each in error.faults]
        raise Failure("\n".join(fault_lines(name, found)), USAGE) from error


def _put(files: Mapping[Path, bytes], *, force: bool) -> None:
    """Write all files, or none of them where one is there already."""
    for path in files:
        if not force and os.path.lexists(path):
            raise Failure(f"{path} is there already: name another file, or say --force", USAGE)
    with ExitStack() as opened:  # each is there, by its name, once all of them are written
        for path, data in files.items():
            file = opened.enter_context(new_file(path, over=force))
            file.write(data)
            file.flush()
