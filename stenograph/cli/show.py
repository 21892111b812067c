"""``steno show``: a run's nodes and state, now or as they were."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from stenograph.cli.documents import past_document, run_document
from stenograph.cli.marks import OF_STATUS
from stenograph.cli.output import Output
from stenograph.cli.overview import Overview
from stenograph.cli.rows import sentence
from stenograph.cli.settings import Settings, place_options, settings
from stenograph.cli.sources import Source, find_run, open_source, records
from stenograph.cli.text import duration, printable, short, shortened
from stenograph.cli.times import local, seconds_between

if TYPE_CHECKING:
    from stenograph.engine import RunView, StateAt


@click.command(short_help="Show a run's nodes and state, now or as they were.")
@click.argument("run")
@click.option("--at", type=click.IntRange(min=1), help="As it was right after this event.")
@place_options
def show(run: str, at: int | None) -> None:
    """Show a run: its nodes, its state, and who wrote each key last.

    RUN is an id, how one id alone begins, or @last.
    """
    asyncio.run(shown(Output(settings()), settings(), run, at))


async def shown(output: Output, place: Settings, name: str, at: int | None) -> None:
    """Write what a run is, or was after event ``at``."""
    async with open_source(place) as source:
        run = await source.get(await find_run(source, name))
        then = await source.state(run.id, at=at or run.seq)
        if output.tables:
            await show_run(output, source, run, then)
        elif at is None:
            output.document(run_document(run))
        else:
            output.document(past_document(run, then))


async def show_run(output: Output, source: Source, run: RunView, then: StateAt) -> None:
    """Write a run for people."""
    overview = Overview()
    async for record in records(source, run.id, to=then.seq):
        overview.add(record)
    for line in head_lines(output, run, then, overview.at):
        output.line(line)
    if overview.nodes:
        output.line()
        output.table(("", "node", "", "visits", "last took"), list(node_rows(output, overview)))
    if then.values:
        output.line()
        values = then.values
        rows = [
            (*row, written_by(overview, key))
            for key, row in zip(values, value_rows(values), strict=True)
        ]
        output.table(("key", "value", "last written by"), rows)


def head_lines(output: Output, run: RunView, then: StateAt, at: str) -> Iterator[str]:
    """Yield what a run is as a whole."""
    age = duration(seconds_between(run.created_at, at))
    place = f"at seq {then.seq}" if then.seq == run.seq else f"at seq {then.seq} of {run.seq}"
    mark = output.sign(OF_STATUS[then.status])
    yield f"run {run.id}  {run.graph_id}@{run.version[:8]}  {mark} {then.status} {place} ({age})"
    yield output.style(f"started {local(run.created_at)}", dim=True)
    for name, value in run.tags.items():
        yield output.style(f"{printable(name)}: {printable(value)}", dim=True)
    if then.seq < run.seq:
        yield output.style(f"since then it went on: now it is {run.status}", "yellow")
    elif run.error is not None:
        where = f" in {printable(run.error.node)}" if run.error.node else ""
        told = sentence(f"{run.error.type}: {run.error.message}")
        yield output.style(f"failed{where}: {told}", "red")
    elif run.reason and (run.status, run.reason) != ("completed", "end"):
        yield f"{run.status}: {sentence(run.reason)}"


def node_rows(output: Output, overview: Overview) -> Iterator[tuple[str, ...]]:
    """Yield a row for each node, in the order of their first entry."""
    for name, node in overview.nodes.items():
        mark = "again" if node.status == "retrying" else OF_STATUS[node.status]
        attempt = f", try {node.attempt}" if node.attempt > 1 else ""
        took = "" if node.duration_ms is None else duration(node.duration_ms / 1000)
        word = "done" if node.status == "ok" else node.status
        yield output.sign(mark), printable(name), word, f"{node.visits}{attempt}", took


def value_rows(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return a row for each key of a state; what is large is told by its size."""
    return [(shortened(printable(key), 40), short(value, 60)) for key, value in values.items()]


def written_by(overview: Overview, key: str) -> str:
    """Return who wrote a key last, and by which event."""
    node, seq = overview.writers.get(key, ("?", 0))
    return f"{printable(node)} {seq}"
