"""A journal's file, read as a server would tell of it: without a server, and without its lock."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

from stenograph.cli.sources import PAGE
from stenograph.engine import Engine, UnknownRun
from stenograph.http import DONE, RunItem
from stenograph.journal import Journal, ReadableJournal, Record, Stream, open_journal_readonly


@asynccontextmanager
async def open_file(path: str) -> AsyncIterator[FileSource]:
    """Open a journal's file for reading, whoever writes it; raises CannotOpen."""
    async with (
        open_journal_readonly(path) as journal,
        # An engine that takes nothing up only folds; it never comes to append.
        Engine(cast(Journal, journal), recover=False) as engine,
    ):
        yield FileSource(journal, engine)


class FileSource:
    """The runs in a journal's file."""

    def __init__(self, journal: ReadableJournal, engine: Engine) -> None:
        self.get, self.state, self.follow = engine.get, engine.state, engine.follow
        self._journal, self._engine = journal, engine

    async def read(self, run_id: str, *, after: int = 0, limit: int = PAGE) -> list[Record]:
        """Return a page of a run's records; raises UnknownRun."""
        is_graph = "/" in run_id  # a stream, but of a graph's versions
        page = [] if is_graph else await self._journal.read(run_id, after=after, limit=limit)
        if not page and (is_graph or not await self._journal.head(run_id)):
            raise UnknownRun(run_id)
        return page

    async def read_all(self, *, after: int = 0, limit: int = PAGE) -> list[Record]:
        """Return a page of the whole journal's records."""
        return await self._journal.read_all(after=after, limit=limit)

    def follow_all(self, *, after: int) -> AsyncGenerator[list[Record], None]:
        """Yield pages of the whole journal's records, then live."""
        return self._journal.tail_all(after=after)

    async def runs(
        self, labels: Mapping[str, str], before: str | None, limit: int
    ) -> tuple[list[RunItem], str | None]:
        """Return a page of runs, and the cursor of the next one."""
        number = None if before is None else int(before)
        streams = await self._engine.runs(labels, before=number, limit=limit)
        following = str(streams[-1].number) if len(streams) == limit else None
        return list(map(item_of, streams)), following


def item_of(stream: Stream) -> RunItem:
    """Return a stream as the list of runs shows it."""
    status: Any = stream.labels["status"]
    tags = {name[4:]: text for name, text in stream.labels.items() if name.startswith("tag:")}
    return RunItem(
        id=stream.run_id,
        run_id=stream.run_id,
        graph_id=stream.labels["graph"],
        status=status,
        done=status in DONE,
        seq=stream.head,
        tags=tags,
        created_at=stream.created_at,
        updated_at=stream.updated_at,
    )
