"""What an engine tells of all that was written; nothing here changes it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from functools import partial

from msgspec.structs import replace

from stenograph.engine.audit.audit import Audit
from stenograph.engine.audit.blame_view import BlameAt
from stenograph.engine.audit.diff import RunDiff
from stenograph.engine.audit.lineage import line_of, note_all
from stenograph.engine.audit.reasons import Reason
from stenograph.engine.core.events import Event, decode
from stenograph.engine.core.run import Run
from stenograph.engine.core.scopes import ROOT
from stenograph.engine.core.views import RunView, StateAt, Visit, Visits, view
from stenograph.engine.errors import SeqNotReached, UnknownRun
from stenograph.engine.executor.actors import Actors
from stenograph.engine.executor.world import World
from stenograph.engine.export.exporting import export
from stenograph.engine.runs.erasing import left_of
from stenograph.engine.stored.filters import NO_FILTER, filter_of, passes, words_of
from stenograph.engine.stored.follow import follow
from stenograph.engine.stored.graphs import Graphs, StoredGraph
from stenograph.engine.stored.histories import Histories
from stenograph.engine.stored.imported import is_imported
from stenograph.journal import PAGE_MAX, Record, Stream, run_at_length


class Past:
    """Graphs and runs, as they are and as they were; what ``Engine`` and its users read."""

    def __init__(self, world: World, graphs: Graphs, histories: Histories, actors: Actors) -> None:
        self.journal = world.journal
        self._world, self._graphs = world, graphs
        self._histories, self._actors = histories, actors
        self._audit = Audit(actors, histories)

    async def graph(self, graph_id: str, version: str | None = None) -> StoredGraph:
        """Return a graph's newest version, or the one whose hash begins so; raises UnknownGraph."""
        return await self._graphs.get(graph_id, version)

    async def graph_versions(self, graph_id: str) -> list[StoredGraph]:
        """Return all versions of a graph, oldest first; raises UnknownGraph."""
        return await self._graphs.versions(graph_id)

    async def graphs(self, *, before: int | None = None, limit: int = 50) -> list[Stream]:
        """Return the streams of graphs, newest first; ``before`` is the last number of a page."""
        return await self.journal.streams({"kind": "graph"}, before=before, limit=limit)

    async def runs(
        self, labels: Mapping[str, str] | None = None, *, before: int | None = None, limit: int = 50
    ) -> list[Stream]:
        """Return the runs that carry ``labels`` (``status``, ``graph``, ``tag:…``), newest first."""
        wanted = {"kind": "run", **(labels or {})}
        return await self.journal.streams(wanted, before=before, limit=limit)

    async def get(self, run_id: str) -> RunView:
        """Return a run as it is now; raises UnknownRun."""
        return await self._view(await self._actors.load(run_id))

    async def _view(self, run: Run) -> RunView:
        """Return a run as the outside sees it; an active one was begun here."""
        active = run.id in self._actors.active
        imported = not active and await is_imported(self.journal, run.id)
        return replace(view(run), imported=True) if imported else view(run)

    async def state(self, run_id: str, at: int | None = None) -> StateAt:
        """Return a run's state, now or after event ``at``; raises UnknownRun or SeqNotReached."""
        run = await self._actors.load(run_id)
        if at is None or at == run.seq:
            return StateAt(run_id=run_id, seq=run.seq, status=run.status, json=run.state.to_json())
        if not 1 <= at < run.seq:
            raise SeqNotReached(run_id, asked=at, head=run.seq)
        then = await self._histories.at(run_id, at)
        return StateAt(run_id=run_id, seq=then.seq, status=then.status, json=then.state.to_json())

    async def visits(self, run_id: str) -> list[Visit]:
        """Return the visits of a run, in the order of their entry; raises UnknownRun."""
        run = await self._actors.load(run_id)
        line = await line_of(self._histories, run_id, run.seq)
        found, ended = Visits(), run.ended
        await note_all(self._histories, line, found.note)
        return await run_at_length(partial(found.rows, ended=ended), at_once=run.seq <= PAGE_MAX)

    async def why(self, run_id: str, seq: int) -> Reason:
        """Return why event ``seq`` of a run happened; raises UnknownRun or SeqNotReached."""
        return await self._audit.why(run_id, seq)

    async def blame(
        self, run_id: str, path: str = "", *, at: int | None = None, scope: str = ROOT
    ) -> BlameAt:
        """Return who last wrote each part of a state, now or after event ``at``.

        ``path`` is a JSON pointer into it; ``scope`` one that was open then. Raises UnknownRun,
        SeqNotReached, PathNotFound or ScopeNotFound.
        """
        return await self._audit.blame(run_id, path, at, scope)

    async def diff(
        self, run_id: str, other: str, *, at: int | None = None, other_at: int | None = None
    ) -> RunDiff:
        """Return how two runs differ, now or each after an event; also one run at two points.

        Raises UnknownRun or SeqNotReached.
        """
        return await self._audit.diff(run_id, other, at, other_at)

    async def tail(
        self,
        run_id: str,
        *,
        after: int = 0,
        types: Iterable[str] = (),
        nodes: Iterable[str] = (),
    ) -> AsyncGenerator[Event, None]:
        """Yield every event of a run with ``seq > after``, then live, up to its end.

        With ``types`` (``node.*`` for all that begin so) or ``nodes`` only those. Raises UnknownRun,
        CursorUnknown, or FilterInvalid for a filter that no event could pass.
        """
        found = self.follow(run_id, after=after, types=types, nodes=nodes)
        async with aclosing(found) as pages:
            async for page in pages:
                for record in page:
                    yield decode(record)

    async def follow(
        self,
        run_id: str,
        *,
        after: int = 0,
        types: Iterable[str] = (),
        nodes: Iterable[str] = (),
    ) -> AsyncGenerator[list[Record], None]:
        """As ``tail``, but in pages of records as they are stored."""
        wanted = filter_of(words_of(types), words_of(nodes))
        after = max(0, after)
        if run_id.startswith("graph/") or not await self.journal.head(run_id):
            raise UnknownRun(run_id)
        async with aclosing(follow(self.journal, run_id, after=after)) as pages:
            async for page in pages:
                if wanted == NO_FILTER:
                    yield page
                elif passed := [each for each in page if passes(wanted, each)]:
                    yield passed
                else:
                    await asyncio.sleep(0)  # who passes over a long history gives way to others

    async def export(self, run_id: str) -> AsyncGenerator[bytes, None]:
        """Yield a run as one file, up to its last event now, a page of lines at a time.

        Raises UnknownRun or RunGone at the first step, JournalUnreadable for one whose hashes do not
        hold. It has no secrets, but what stands for them.
        """
        async with aclosing(export(self._world, run_id)) as pieces:
            async for piece in pieces:
                yield piece

    async def left_of(self, run_id: str) -> RunView:
        """Return what is left of a run that was erased; raises UnknownRun."""
        return await left_of(self._world, run_id)
