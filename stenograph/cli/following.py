"""Following runs: events as they come, an exit code from how a run ends, a word on where to go on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Final, TypeAlias

from stenograph.cli.failures import NEEDS_A_PERSON, OK, RUN_FAILED, UNREACHABLE, Failure
from stenograph.cli.hints import steno
from stenograph.cli.only import ALL, Only
from stenograph.cli.output import Output
from stenograph.cli.printing import JournalPrinter, RunPrinter
from stenograph.cli.resting import needs, rests
from stenograph.cli.settings import Settings
from stenograph.cli.sources import Source

if TYPE_CHECKING:
    from stenograph.engine import RunView
    from stenograph.journal import Record

Pages: TypeAlias = AsyncGenerator[list["Record"], None]
Printer: TypeAlias = RunPrinter | JournalPrinter

Pace: TypeAlias = Callable[[Pages], Pages]


def as_they_come(pages: Pages) -> Pages:
    """Leave pages as they are."""
    return pages


ENDS: Final = frozenset({"run.completed", "run.failed", "run.cancelled"})
GOING: Final = ENDS | {"node.entered", "log"}
"""What is never the last event of a run that rests."""


async def follow_run(
    output: Output,
    source: Source,
    place: Settings,
    run_id: str,
    after: int,
    only: Only = ALL,
    *,
    rest: bool = False,
    pace: Pace = as_they_come,
    command: str = "tail",
) -> int:
    """Print a run's events to its end, with ``rest`` to where it needs a person; return the exit code."""
    printer = await run_printer(output, source, run_id, after, only)
    with telling_where_it_stopped(output, printer, steno(place, command, run_id, *only.words)):
        run = await print_run_to_end(source, printer, run_id, only, rest=rest, pace=pace)
    look = steno(place, "show", run_id)
    output.talk(f"-- {run_id} {run.status} at {run.seq}; look at it: {look}")
    for need in needs(run, printer.parking, place):
        output.talk(f"-- {need.what}: {need.command}")
    if not run.done:
        return NEEDS_A_PERSON
    return OK if run.status == "completed" else RUN_FAILED


async def print_run_to_end(
    source: Source,
    printer: RunPrinter,
    run_id: str,
    only: Only = ALL,
    *,
    rest: bool,
    pace: Pace = as_they_come,
) -> RunView:
    """Print what comes until the run has ended, or with ``rest`` rests; return what it is then.

    To one that was imported nothing more ever comes.
    """
    still = (await source.get(run_id)).imported

    def read(cursor: int) -> Awaitable[list[Record]]:
        return source.read(run_id, after=cursor, only=only)

    while True:
        live = source.follow(run_id, after=printer.after, only=only)
        coming = what_is_there(read, printer) if still else live
        async with aclosing(pace(coming)) as pages:
            async for page in pages:
                printer.page(page)
                if rest and printer.last_type not in GOING:
                    run = await source.get(run_id)
                    if rests(run) and run.seq == printer.after:
                        return run
        run = await source.get(run_id)
        if run.done or still or source.files:
            return run  # else somebody has reopened it since


async def print_run(
    output: Output, source: Source, place: Settings, run_id: str, after: int, only: Only = ALL
) -> None:
    """Print the events that a run has by now."""
    printer = await run_printer(output, source, run_id, after, only)
    command = steno(place, "tail", run_id, *only.words)

    def read(cursor: int) -> Awaitable[list[Record]]:
        return source.read(run_id, after=cursor, only=only)

    with telling_where_it_stopped(output, printer, command):
        await print_pages(what_is_there(read, printer), printer)
    run = await source.get(run_id) if printer.last_type in ENDS else None
    if run is not None and run.done and run.seq == printer.after:
        output.talk(f"-- {run_id} {run.status} at {run.seq}; that is its end")
    else:
        tell_where(output, printer, command)


async def follow_all(
    output: Output, source: Source, place: Settings, after: int, only: Only = ALL, *, live: bool
) -> None:
    """Print the whole journal's events, with ``live`` those to come, too."""
    printer = JournalPrinter(output, after=after, some=only != ALL)
    command = steno(place, "tail", "--all", *only.words)

    def read(cursor: int) -> Awaitable[list[Record]]:
        return source.read_all(after=cursor, only=only)

    with telling_where_it_stopped(output, printer, command):
        pages = source.follow_all(after=after, only=only) if live else what_is_there(read, printer)
        await print_pages(pages, printer)
    tell_where(output, printer, command)


async def run_printer(
    output: Output, source: Source, run_id: str, after: int, only: Only = ALL
) -> RunPrinter:
    """Return a printer that knows what a reader of the events up to ``after`` would know."""
    some = only != ALL
    if not output.tables or not (after or some):
        return RunPrinter(output, after=after, some=some)
    run = await source.get(run_id)
    if some:
        return RunPrinter(output, after=after, created_at=run.created_at, some=True)
    known = await source.state(run_id, at=min(after, run.seq))
    return RunPrinter(output, after=after, created_at=run.created_at, state=known.values)


async def print_pages(pages: Pages, printer: Printer) -> None:
    """Print pages as they come, to their end."""
    async with aclosing(pages):
        async for page in pages:
            printer.page(page)


async def what_is_there(read: Callable[[int], Awaitable[list[Record]]], printer: Printer) -> Pages:
    """Yield page after page from where the printer stands, until there is no more."""
    while page := await read(printer.after):
        yield page


@contextmanager
def telling_where_it_stopped(output: Output, printer: Printer, command: str) -> Iterator[None]:
    """Say how to go on when following is broken off, by whomever."""
    from stenograph.http import StreamLost

    try:
        yield
    except StreamLost as error:
        again = f"{command} --after {printer.after}"
        sentence = f"the stream broke off: {error.why}; go on: {again}"
        raise Failure(sentence, UNREACHABLE) from error
    except asyncio.CancelledError:  # Ctrl-C
        tell_where(output, printer, command)
        raise
    finally:
        output.end()


def tell_where(output: Output, printer: Printer, command: str) -> None:
    """Say up to where the events are printed, and how to go on from there."""
    output.talk(f"-- stopped after {printer.after}; go on: {command} --after {printer.after}")
