"""Where runs are read from: a server, or the journal's file without one. Both answer alike."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Protocol

import click
from msgspec.structs import replace

from stenograph.cli.failures import NO_SUCH_RUN, USAGE, Failure
from stenograph.cli.only import ALL, Only
from stenograph.cli.places import ROOT
from stenograph.cli.settings import Settings

if TYPE_CHECKING:
    from stenograph.engine import BlameAt, Reason, RunDiff, RunView, StateAt
    from stenograph.http import Client, RunItem
    from stenograph.journal import Record

PAGE: Final = 1000
SHOWN_MAX: Final = 5
EXPORT_ENDINGS: Final = (".ndjson", ".ndjson.gz")


class Source(Protocol):
    """What the reading commands ask. ``files`` are the runs by the exports that they are read from.

    Then nothing more ever comes.
    """

    files: dict[str, str]

    async def get(self, run_id: str) -> RunView:
        """Return a run as it is now; raises UnknownRun."""

    async def state(self, run_id: str, at: int | None = None) -> StateAt:
        """Return a run's state, now or after an event; raises UnknownRun or SeqNotReached."""

    async def why(self, run_id: str, seq: int) -> Reason:
        """Return why an event happened; raises UnknownRun or SeqNotReached."""

    async def blame(
        self, run_id: str, path: str = "", *, at: int | None = None, scope: str = ROOT
    ) -> BlameAt:
        """Return who wrote each part of a state; raises what the engine does."""

    async def diff(
        self, run_id: str, other: str, *, at: int | None = None, other_at: int | None = None
    ) -> RunDiff:
        """Return how two runs differ; raises UnknownRun or SeqNotReached."""

    def export(self, run_id: str) -> AsyncGenerator[bytes, None]:
        """Yield a run as a file; raises UnknownRun, RunGone or JournalUnreadable."""

    async def read(
        self, run_id: str, *, after: int = 0, limit: int = PAGE, only: Only = ALL
    ) -> list[Record]:
        """Return a page of a run's records; raises UnknownRun."""

    async def read_all(
        self, *, after: int = 0, limit: int = PAGE, only: Only = ALL
    ) -> list[Record]:
        """Return a page of the whole journal's records."""

    def follow(
        self, run_id: str, *, after: int, only: Only = ALL
    ) -> AsyncGenerator[list[Record], None]:
        """Yield pages of a run's records, then live, up to its end."""

    def follow_all(self, *, after: int, only: Only = ALL) -> AsyncGenerator[list[Record], None]:
        """Yield pages of the whole journal's records, then live."""

    async def runs(
        self, labels: Mapping[str, str], before: str | None, limit: int
    ) -> tuple[list[RunItem], str | None]:
        """Return a page of runs, newest first, and the cursor of the next one."""


@asynccontextmanager
async def open_source(
    settings: Settings,
    *,
    reconnect: bool = True,
    on_lost: Callable[[int], None] | None = None,
) -> AsyncIterator[Source]:
    """Open what the settings name: the file's journal, read-only and without its lock, or a server."""
    if settings.db is None:
        async with open_client(settings, reconnect=reconnect, on_lost=on_lost) as client:
            yield ServerSource(client)
    elif is_export(settings.db):
        from stenograph.cli.export_source import open_exports

        async with open_exports([settings.db, *settings.more]) as source:
            yield source
    else:
        from stenograph.cli.file_source import open_file

        async with open_file(settings.db) as source:
            yield source


def reading(place: Settings, *names: str) -> Settings:
    """Return where to read: in the files of exported runs, where runs are named by them."""
    files = [name for name in names if place.db is None and place.url is None and is_named(name)]
    if not files:
        return place
    if len(files) < len(names):
        raise Failure("one is a file, the other is not: import it first, steno import FILE", USAGE)
    return replace(place, db=files[0], more=tuple(files[1:]))


def is_named(name: str) -> bool:
    """Tell whether a run is named by the file that it was exported to."""
    return name.endswith(EXPORT_ENDINGS)


def is_export(path: str) -> bool:
    """Tell an exported run from a journal, by its name or its first bytes."""
    try:
        with open(path, "rb") as file:
            return is_named(path) or file.read(2) in (b'{"', b"\x1f\x8b")
    except OSError:  # what cannot be read is neither
        return is_named(path)


@asynccontextmanager
async def open_client(
    settings: Settings,
    *,
    reconnect: bool = True,
    on_lost: Callable[[int], None] | None = None,
) -> AsyncIterator[Client]:
    """Open a client of the server, which alone can write; raises Failure for a file."""
    from stenograph.http import Client

    if settings.db is not None:
        raise Failure("a file is only read: start steno serve on it, and name its --url", USAGE)
    try:
        client = Client(settings.server, token=settings.key, reconnect=reconnect, on_lost=on_lost)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    async with client:
        yield client


class ServerSource:
    """A server's runs, as its client reads them."""

    def __init__(self, client: Client) -> None:
        self.get, self.state = client.get, client.state
        self.why, self.blame, self.diff = client.why, client.blame, client.diff
        self.export = client.export
        self.files: dict[str, str] = {}
        self._client = client

    async def read(
        self, run_id: str, *, after: int = 0, limit: int = PAGE, only: Only = ALL
    ) -> list[Record]:
        """Return a page of a run's records; raises UnknownRun."""
        return await self._client.read(
            run_id, after=after, limit=limit, types=only.types, nodes=only.nodes
        )

    async def read_all(
        self, *, after: int = 0, limit: int = PAGE, only: Only = ALL
    ) -> list[Record]:
        """Return a page of the whole journal's records."""
        return await self._client.read_all(
            after=after,
            limit=limit,
            types=only.types,
            nodes=only.nodes,
            graphs=only.graphs,
            tags=dict(only.tags),
        )

    def follow(
        self, run_id: str, *, after: int, only: Only = ALL
    ) -> AsyncGenerator[list[Record], None]:
        """Yield pages of a run's records, then live, up to its end."""
        return self._client.follow(run_id, after=after, types=only.types, nodes=only.nodes)

    def follow_all(self, *, after: int, only: Only = ALL) -> AsyncGenerator[list[Record], None]:
        """Yield pages of the whole journal's records, then live."""
        return self._client.follow_all(
            after=after,
            types=only.types,
            nodes=only.nodes,
            graphs=only.graphs,
            tags=dict(only.tags),
        )

    async def runs(
        self, labels: Mapping[str, str], before: str | None, limit: int
    ) -> tuple[list[RunItem], str | None]:
        """Return a page of runs, and the cursor of the next one."""
        page = await self._client.runs(labels, before=before, limit=limit)
        return page.items, page.next


async def records(source: Source, run_id: str, to: int | None = None) -> AsyncIterator[Record]:
    """Yield what a run has by now, up to event ``to``; raises UnknownRun."""
    after = 0
    while page := await source.read(run_id, after=after):
        for record in page:
            if to is not None and record.seq > to:
                return
            yield record
        after = page[-1].seq


async def find_run(source: Source, name: str) -> str:
    """Return the id of the run that is meant: an id, ``@last``, or how one id alone begins.

    Raises Failure, UsageError.
    """
    from stenograph.engine import UnknownRun

    if not name:
        raise click.UsageError("RUN is empty; write an id, how one id alone begins, or @last")
    if name in source.files:
        return source.files[name]
    if name == "@last":
        newest, _ = await source.runs({}, None, 1)
        if not newest:
            raise Failure("there is no run yet; start one: steno run GRAPH", NO_SUCH_RUN)
        return newest[0].id
    try:
        await source.read(name, limit=1)
    except UnknownRun:
        return await only_run(source, name)
    return name


async def only_run(source: Source, prefix: str) -> str:
    """Return the one run whose id begins so; raises Failure when there is none, or more."""
    found = [run.id async for run in all_runs(source) if run.id.startswith(prefix)]
    if not found and is_named(prefix):
        raise Failure(f"{prefix} is no run that is here: import it first, steno import FILE", USAGE)
    if not found:
        raise Failure(f"there is no run {prefix}; steno runs lists what there is", NO_SUCH_RUN)
    if len(found) > 1:
        some = ", ".join(found[:SHOWN_MAX]) + (", …" if len(found) > SHOWN_MAX else "")
        raise Failure(f"{len(found)} runs begin with {prefix}: {some}; write more of the id", USAGE)
    return found[0]


async def all_runs(
    source: Source, labels: Mapping[str, str] | None = None, *, page: int = PAGE
) -> AsyncIterator[RunItem]:
    """Yield all runs that carry the labels, newest first, asked for by the page."""
    items, cursor = await source.runs(labels or {}, None, page)
    while items:
        for item in items:
            yield item
        if cursor is None:
            return
        items, cursor = await source.runs(labels or {}, cursor, page)
