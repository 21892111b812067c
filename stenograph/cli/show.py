"""``steno show``: a run's nodes and state, now or as they were."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from stenograph.cli.documents import past_document, run_document
from stenograph.cli.marks import OF_STATUS
from stenograph.cli.only import Only
from stenograph.cli.output import Output
from stenograph.cli.overview import ForkLine, NodeLine, Overview
from stenograph.cli.phrases import sentence
from stenograph.cli.places import ROOT, ending
from stenograph.cli.places import place as place_of
from stenograph.cli.resting import needs
from stenograph.cli.settings import Settings, place_options, settings
from stenograph.cli.sources import Source, find_run, open_source, reading, records
from stenograph.cli.text import count, duration, printable, short, shortened, width
from stenograph.cli.times import local, seconds_between

if TYPE_CHECKING:
    from stenograph.engine import RunView, StateAt

SCOPE_MIN: Final = 12
FORKS_SHOWN: Final = 5
"""Of so many of its forks a run is shown the ids; ``steno runs --origin`` lists them all."""


@click.command(short_help="Show a run's nodes and state, now or as they were.")
@click.argument("run")
@click.option("--at", type=click.IntRange(min=1), help="As it was right after this event.")
@place_options
def show(run: str, at: int | None) -> None:
    """Show a run: its nodes, its state, and who wrote each key last.

    RUN is an id, how one id alone begins, @last, or an exported file.
    """
    asyncio.run(shown(Output(settings()), settings(), run, at))


async def shown(output: Output, place: Settings, name: str, at: int | None) -> None:
    """Write what a run is, or was after event ``at``."""
    place = reading(place, name)
    async with open_source(place) as source:
        run = await source.get(await find_run(source, name))
        then = await source.state(run.id, at=at or run.seq)
        if output.tables:
            await show_run(output, source, place, run, then)
        elif at is None:
            output.document(run_document(run))
        else:
            graph_id, version = await graph_then(source, run.id, then.seq)
            output.document(past_document(run, then, graph_id, version))


async def graph_then(source: Source, run_id: str, seq: int) -> tuple[str, str]:
    """Return the graph that a run was in after an event, and its version."""
    begun_or_migrated = Only(types=("run.created", "run.migrated"))
    found, after = ("", ""), 0
    while page := await source.read(run_id, after=after, only=begun_or_migrated):
        for record in page:
            if record.seq > seq:
                return found
            data = msgspec.json.decode(record.data)
            found = data["graph_id"], data["version"]
        after = page[-1].seq
    return found


async def show_run(
    output: Output, source: Source, place: Settings, run: RunView, then: StateAt
) -> None:
    """Write a run for people."""
    overview = Overview()
    async for record in records(source, run.id, to=then.seq):
        overview.add(record)
    for line in head_lines(output, run, then, overview):
        output.line(line)
    for seq, actor, graph in overview.migrations:
        told = f"went over from {graph} at seq {seq}, asked by {actor}"
        output.line(output.style(printable(told), dim=True))
    forked, _ = await source.runs({"origin": run.id}, None, FORKS_SHOWN + 1)
    if forked:
        output.line(output.style(told_forks([each.id for each in forked]), dim=True))
    if then.seq == run.seq:
        for need in needs(run, overview.parking, place):
            output.line(f"{output.hanging(need.what, 0)}:")
            output.line(f"    {need.command}")
    for fork in overview.forks():
        output.line(printable(told_fork(fork)))
    if lines := overview.nodes():
        output.line()
        show_nodes(output, lines)
    if then.values:
        output.line()
        values = then.values
        rows = [
            (*row, written_by(overview, key))
            for key, row in zip(values, value_rows(values), strict=True)
        ]
        output.table(("key", "value", "last written by"), rows)


def head_lines(output: Output, run: RunView, then: StateAt, overview: Overview) -> Iterator[str]:
    """Yield what a run is as a whole."""
    age = duration(seconds_between(run.created_at, overview.at))
    place = f"at seq {then.seq}" if then.seq == run.seq else f"at seq {then.seq} of {run.seq}"
    mark = output.sign(OF_STATUS[then.status])
    yield f"run {run.id}  {overview.graph}  {mark} {then.status} {place} ({age})"
    if run.imported:
        yield output.style("imported: it is only read here, and forked", dim=True)
    yield output.style(f"started {local(run.created_at)}", dim=True)
    if run.origin is not None:
        yield output.style(f"forked from {run.origin.run_id} at seq {run.origin.seq}", dim=True)
    for name, value in run.tags.items():
        yield output.style(f"{printable(name)}: {printable(value)}", dim=True)
    if then.seq < run.seq:
        yield output.style(f"since then it went on: now it is {run.status}", "yellow")
    elif run.error is not None:
        where = f" in {printable(run.error.node)}" if run.error.node else ""
        told = sentence(f"{run.error.type}: {run.error.message}")
        yield output.style(f"failed{where}: {told}", "red")
    elif run.reason and run.done and (run.status, run.reason) != ("completed", "end"):
        yield f"{run.status}: {sentence(run.reason)}"


def told_forks(run_ids: Sequence[str]) -> str:
    """Tell which runs were forked from this one, the newest first."""
    more = ", …" if len(run_ids) > FORKS_SHOWN else ""
    return f"runs forked from it: {', '.join(run_ids[:FORKS_SHOWN])}{more}"


def told_fork(fork: ForkLine) -> str:
    """Tell how far the branches of a fork are."""
    at = place_of({"scope": fork.scope, "node": fork.node})
    still = fork.count - len(fork.ended)
    return (
        f"{at}: {still:,} of {count(fork.count, 'branch', 'branches')} open, to join at {fork.join}"
    )


def show_nodes(output: Output, lines: Sequence[NodeLine]) -> None:
    """Write a row for each node, with its scope when that is not always the run's own."""
    scoped = any(line.scope != ROOT for line in lines)
    rows = [node_row(output, line) for line in lines]
    head: tuple[str, ...] = ("", "node", "", "visits", "last took")
    if scoped:
        others = sum(max(map(width, column)) + 2 for column in zip(head, *rows, strict=True))
        most = max(SCOPE_MIN, output.columns - others) if output.columns else 0
        scopes = [printable(line.scope) for line in lines]
        shown = [ending(scope, most) if most else scope for scope in scopes]
        rows = [(*row[:2], scope, *row[2:]) for row, scope in zip(rows, shown, strict=True)]
        head = ("", "node", "scope", "", "visits", "last took")
    output.table(head, rows)


def node_row(output: Output, line: NodeLine) -> tuple[str, ...]:
    """Return what became of a node."""
    mark = "again" if line.status == "retrying" else OF_STATUS[line.status]
    attempt = f", try {line.attempt}" if line.attempt > 1 else ""
    took = "" if line.duration_ms is None else duration(line.duration_ms / 1000)
    told = [f"{number:,} {word(status)}" for status, number in line.statuses.items()]
    what = ", ".join(told) or word(line.status)
    return output.sign(mark), printable(line.node), what, f"{line.visits:,}{attempt}", took


def word(status: str) -> str:
    """Return the word for the status of a visit."""
    return "done" if status == "ok" else status


def value_rows(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return a row for each key of a state; what is large is told by its size."""
    return [(shortened(printable(key), 40), short(value, 60)) for key, value in values.items()]


def written_by(overview: Overview, key: str) -> str:
    """Return who wrote a key last, and by which event."""
    node, seq = overview.writers.get(key, ("?", 0))
    return f"{printable(node)} {seq}"
