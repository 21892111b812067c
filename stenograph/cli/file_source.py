"""A journal's file, read as a server would tell of it: without a server, and without its lock."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import cast

from stenograph.cli.only import ALL, Only
from stenograph.cli.sources import PAGE
from stenograph.engine import Engine, RunView, UnknownRun, filter_of
from stenograph.http import Belongings, RunItem, Sieve, run_item
from stenograph.journal import (
    CursorUnknown,
    Journal,
    Record,
    open_journal_readonly,
)


@asynccontextmanager
async def open_file(path: str) -> AsyncIterator[FileSource]:
    """Open a journal's file for reading, whoever writes it; raises CannotOpen."""
    async with (
        open_journal_readonly(path) as journal,
        # An engine that takes nothing up only folds; it never comes to append.
        Engine(cast(Journal, journal), recover=False) as engine,
    ):
        yield FileSource(engine)


class FileSource:
    """The runs in a journal's file."""

    def __init__(self, engine: Engine) -> None:
        self.why, self.blame, self.diff = engine.why, engine.blame, engine.diff
        self.state = engine.state
        self.export, self.files = engine.export, dict[str, str]()
        self._journal, self._engine = engine.journal, engine
        self._belongings = Belongings(engine.journal)

    async def get(self, run_id: str) -> RunView:
        """Return a run as it is now; raises UnknownRun."""
        return await self._engine.get(run_id)

    async def read(
        self, run_id: str, *, after: int = 0, limit: int = PAGE, only: Only = ALL
    ) -> list[Record]:
        """Return a page of a run's records; raises UnknownRun, CursorUnknown, FilterInvalid."""
        is_graph = "/" in run_id  # a stream, but of a graph's versions
        head = 0 if is_graph else await self._journal.head(run_id)
        if not head:
            raise UnknownRun(run_id)
        check_cursor(after, head)

        async def read(cursor: int) -> list[Record]:
            return await self._journal.read(run_id, after=cursor, limit=limit)

        return await first_that_passes(read, self._sieve(only, whole=False), after)

    async def read_all(
        self, *, after: int = 0, limit: int = PAGE, only: Only = ALL
    ) -> list[Record]:
        """Return a page of the whole journal's records."""
        check_cursor(after, await self._journal.end())

        async def read(cursor: int) -> list[Record]:
            return await self._journal.read_all(after=cursor, limit=limit)

        return await first_that_passes(read, self._sieve(only, whole=True), after)

    def follow(
        self, run_id: str, *, after: int, only: Only = ALL
    ) -> AsyncGenerator[list[Record], None]:
        """Yield pages of a run's records, then live, up to its end."""
        return what_passes(self._engine.follow(run_id, after=after), self._sieve(only, whole=False))

    def follow_all(self, *, after: int, only: Only = ALL) -> AsyncGenerator[list[Record], None]:
        """Yield pages of the whole journal's records, then live."""
        return what_passes(self._journal.tail_all(after=after), self._sieve(only, whole=True))

    def _sieve(self, only: Only, *, whole: bool) -> Sieve:
        tags = [f"{name}:{value}" for name, value in only.tags]
        wanted = filter_of(only.types, only.nodes, only.graphs, tags)
        return Sieve(wanted, self._belongings, whole=whole)

    async def runs(
        self, labels: Mapping[str, str], before: str | None, limit: int
    ) -> tuple[list[RunItem], str | None]:
        """Return a page of runs, and the cursor of the next one."""
        number = None if before is None else int(before)
        streams = await self._engine.runs(labels, before=number, limit=limit)
        following = str(streams[-1].number) if len(streams) == limit else None
        return list(map(run_item, streams)), following


async def what_passes(
    pages: AsyncGenerator[list[Record], None], sieve: Sieve
) -> AsyncGenerator[list[Record], None]:
    """Yield what passes of each page, where anything does."""
    async with aclosing(pages):
        async for page in pages:
            if passed := (await sieve.part(page)).records:
                yield list(passed)


async def first_that_passes(
    read: Callable[[int], Awaitable[list[Record]]], sieve: Sieve, after: int
) -> list[Record]:
    """Return what passes of the first page after a cursor where anything does, or nothing."""
    while page := await read(after):
        part = await sieve.part(page)
        if part.records:
            return list(part.records)
        after = part.after
    return []


def check_cursor(after: int, head: int) -> None:
    """Raise CursorUnknown for one that lies beyond the head."""
    if after > head:
        raise CursorUnknown(after=after, head=head)
