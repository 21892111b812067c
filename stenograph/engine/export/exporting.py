"""Exporting: a run is read page by page, and told as the lines of a file."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from functools import partial

from stenograph.engine.errors import RunGone, UnknownRun
from stenograph.engine.executor.world import World
from stenograph.engine.export.exported import FORMAT, ExportHeader, ExportWriter
from stenograph.engine.export.used import Used
from stenograph.engine.times import to_text
from stenograph.journal import (
    GENESIS,
    PAGE_MAX,
    Journal,
    JournalUnreadable,
    Record,
    are_few,
    chain_hash,
    is_erased,
    run_at_length,
)


async def export(world: World, run_id: str) -> AsyncGenerator[bytes, None]:
    """Yield a run as a file, up to its last event now; a page of it is in memory.

    It is read twice: the first line tells of all that follow. Raises UnknownRun or RunGone, and
    JournalUnreadable where a hash does not hold, before anything is yielded; RunGone later when it
    is erased meanwhile, and then the file lacks its last line.
    """
    header = await header_of(world, run_id)
    writer = ExportWriter()
    yield writer.begin(header)
    async with aclosing(pages(world.journal, run_id, header.head)) as all_pages:
        async for page in all_pages:
            yield await run_at_length(partial(writer.add, page), at_once=are_few(page))
    yield writer.end()


async def header_of(world: World, run_id: str) -> ExportHeader:
    """Return the first line of a run's file; raises UnknownRun, RunGone, JournalUnreadable."""
    head = 0 if run_id.startswith("graph/") else await world.journal.head(run_id)
    if not head:
        raise UnknownRun(run_id)
    previous, used = GENESIS, Used()
    async for page in pages(world.journal, run_id, head):
        looking = partial(_looked_at, page, previous, used)
        previous = await run_at_length(looking, at_once=are_few(page))
    return ExportHeader(
        stenograph=FORMAT,
        run_id=run_id,
        journal=world.journal.id,
        head=head,
        hash=previous,
        graphs=used.graphs,
        tools=used.tools,
        exported_at=to_text(world.clock.now_us()),
    )


def _looked_at(page: Iterable[Record], previous: str, used: Used) -> str:
    for record in page:
        previous = checked(record, previous)
        used.note(record)
    return previous


async def pages(journal: Journal, run_id: str, head: int) -> AsyncGenerator[list[Record], None]:
    """Yield a run's records up to a seq, page by page; raises RunGone."""
    after = 0
    while after < head:
        page = await journal.read(run_id, after=after, limit=min(PAGE_MAX, head - after))
        if not page or is_erased(page[0]) or is_erased(page[-1]):
            raise RunGone(run_id)
        yield page
        after = page[-1].seq


def checked(record: Record, previous: str) -> str:
    """Return the hash of a record that is what its hash says; raises JournalUnreadable."""
    at = (record.run_id, record.seq, previous, record.at, record.type, record.data)
    if chain_hash(*at) != record.hash:
        where = f"run {record.run_id} does not verify at seq {record.seq}"
        raise JournalUnreadable(f"{where}, so it is not exported: steno verify {record.run_id}")
    return record.hash
