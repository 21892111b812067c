"""The half of the client that only reads: runs, their events and states, now and as they come."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, suppress
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

from stenograph.engine import (
    Event,
    RunView,
    SeqNotReached,
    StateAt,
    StoredGraph,
    UnknownGraph,
    Visit,
    decode,
)
from stenograph.http.refusals import About, RequestRefused
from stenograph.http.streams import Stream, record_of
from stenograph.http.transport import Transport, run_path
from stenograph.http.wire import (
    GOING,
    ID_PATTERN,
    LIMIT_MAX,
    EventsPage,
    GraphAnswer,
    GraphList,
    GraphVersionItem,
    GraphVersionList,
    RunAnswer,
    RunList,
    StateAnswer,
    ToolList,
    VisitList,
)
from stenograph.journal import Record

URL: Final = "http://127.0.0.1:8000"
WAIT_S: Final = 60.0
RESTING: Final = frozenset({"branch.ended", "run.parked", "run.paused", "wait.opened"})
"""Events after which a run may have nothing more to do by itself."""


class Reading:
    """Connections to a server, and what can be asked of it without changing anything."""

    def __init__(
        self,
        url: str = URL,
        *,
        reconnect: bool = True,
        on_lost: Callable[[int], None] | None = None,
    ) -> None:
        self.server = Transport(url)
        self.reconnect, self.on_lost = reconnect, on_lost

    @property
    def url(self) -> str:
        """Where the server is."""
        return self.server.url

    async def __aenter__(self) -> Self:
        """Begin; nothing is asked of the server yet."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections; what runs on the server goes on."""
        await self.server.close()

    async def graph(self, graph_id: str, version: str | None = None) -> StoredGraph:
        """Return a graph's newest version, or the one whose hash begins so; raises UnknownGraph."""
        name = graph_id if version is None else f"{graph_id}@{version}"
        path = graph_path(graph_id, version)
        return stored_graph(await self.server.get(path, GraphAnswer, about=About(graph_id=name)))

    async def graphs(self, *, before: str | None = None, limit: int = 50) -> GraphList:
        """Return a page of the graphs, newest first.

        ``before`` is the ``next`` of the page before this one.
        """
        query = {"limit": limit} if before is None else {"limit": limit, "cursor": before}
        return await self.server.get("/graphs", GraphList, query)

    async def graph_versions(self, graph_id: str) -> list[GraphVersionItem]:
        """Return the versions of a graph, oldest first; raises UnknownGraph."""
        path = graph_path(graph_id, rest="/versions")
        return (await self.server.get(path, GraphVersionList, about=About(graph_id=graph_id))).items

    async def tools(self) -> ToolList:
        """Return the tools that nodes may call, and the predicates that edges may ask."""
        return await self.server.get("/tools", ToolList)

    async def wait(self, run_id: str, wait_s: float = WAIT_S) -> RunView:
        """Return when a run ends, waits, pauses or parks, or after ``wait_s`` seconds.

        Raises UnknownRun.
        """
        run = await self._run(run_id)
        if run.status in GOING:
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._rest(run_id, run.seq)
        return await self.get(run_id)

    async def get(self, run_id: str) -> RunView:
        """Return a run as it is now; raises UnknownRun."""
        return await self._with_state(await self._run(run_id))

    async def state(self, run_id: str, at: int | None = None) -> StateAt:
        """Return a run's state, now or after event ``at``; raises UnknownRun or SeqNotReached."""
        if at is not None and at < 1:
            raise SeqNotReached(run_id, asked=at, head=(await self._run(run_id)).seq)
        query = {} if at is None else {"at": at}
        about = About(run_id=run_id, at=at or 0)
        found = await self.server.get(run_path(run_id, "/state"), StateAnswer, query, about)
        return StateAt(
            run_id=found.run_id, seq=found.seq, status=found.status, json=bytes(found.state)
        )

    async def visits(self, run_id: str) -> list[Visit]:
        """Return the visits of a run, in the order of their entry; raises UnknownRun."""
        visits: list[Visit] = []
        cursor: str | None = "0"
        while cursor is not None:
            query = {"cursor": cursor, "limit": LIMIT_MAX}
            path = run_path(run_id, "/visits")
            page = await self.server.get(path, VisitList, query, About(run_id=run_id))
            visits += page.items
            cursor = page.next
        return visits

    async def runs(
        self,
        labels: Mapping[str, str] | None = None,
        *,
        before: str | None = None,
        limit: int = 50,
    ) -> RunList:
        """Return a page of the runs that carry ``labels`` (``status``, ``graph``, ``tag:…``).

        Newest first. ``before`` is the ``next`` of the page before this one.
        """
        query: dict[str, Any] = {"limit": limit}
        if before is not None:
            query["cursor"] = before
        for name, value in (labels or {}).items():
            if name.startswith("tag:"):
                query.setdefault("tag", []).append(f"{name.removeprefix('tag:')}:{value}")
            else:
                query[name] = value
        return await self.server.get("/runs", RunList, query)

    async def tail(self, run_id: str, *, after: int = 0) -> AsyncGenerator[Event, None]:
        """Yield every event of a run with ``seq > after`` once, then live, up to its end.

        A stream that breaks off is taken up again by itself. Raises UnknownRun, CursorUnknown,
        OutOfSequence when the server leaves an event out or repeats one, and StreamLost.
        """
        async with aclosing(self.follow(run_id, after=after)) as pages:
            async for page in pages:
                for record in page:
                    yield decode(record)

    async def follow(self, run_id: str, *, after: int = 0) -> AsyncGenerator[list[Record], None]:
        """As ``tail``, but in pages of records as they are stored."""
        run_path(run_id)  # raises UnknownRun before a socket is opened in vain
        async with aclosing(self._follow(run_id, after)) as pages:
            async for page in pages:
                yield page

    def follow_all(self, *, after: int = 0) -> AsyncGenerator[list[Record], None]:
        """Yield every record of the journal with ``offset > after`` once, then live, for ever."""
        return self._follow(None, after)

    async def read(self, run_id: str, *, after: int = 0, limit: int = LIMIT_MAX) -> list[Record]:
        """Return up to ``limit`` records of a run with ``seq > after``; raises UnknownRun."""
        query = {"after": after, "limit": limit}
        about = About(run_id=run_id, after=after)
        page = await self.server.get(run_path(run_id, "/events"), EventsPage, query, about)
        return list(map(record_of, page.events))

    async def read_all(self, *, after: int = 0, limit: int = LIMIT_MAX) -> list[Record]:
        """Return up to ``limit`` records of the whole journal with ``offset > after``."""
        query = {"after": after, "limit": limit}
        page = await self.server.get("/journal", EventsPage, query, About(after=after))
        return list(map(record_of, page.events))

    async def _follow(self, run_id: str | None, after: int) -> AsyncGenerator[list[Record], None]:
        stream = Stream(
            self.url,
            run_id,
            after,
            proxy=self.server.proxy,
            on_lost=self.on_lost,
            reconnect=self.reconnect,
        )
        try:
            async with aclosing(stream.pages()) as pages:
                async for page in pages:
                    yield page
        except RequestRefused as refused:
            about = About(run_id=run_id or "", after=stream.after)
            raise await self.server.error(refused.problem, about) from None

    async def _rest(self, run_id: str, after: int) -> None:
        """Return once a run has ended, or has nothing to do by itself."""
        async with aclosing(self.follow(run_id, after=after)) as pages:
            async for page in pages:
                if not any(record.type in RESTING for record in page):
                    continue
                run = await self._run(run_id)
                if run.status not in GOING:
                    return

    async def _run(self, run_id: str) -> RunAnswer:
        return await self.server.get(run_path(run_id), RunAnswer, about=About(run_id=run_id))

    async def _with_state(self, run: RunAnswer) -> RunView:
        """Return a run together with its state at the same moment."""
        state = await self.state(run.id, at=run.seq)
        return RunView(
            id=run.id,
            graph_id=run.graph_id,
            version=run.version,
            status=run.status,
            seq=run.seq,
            steps=run.steps,
            current=tuple(run.current),
            waits=tuple(run.waits),
            tags=run.tags,
            error=run.error,
            reason=run.reason,
            created_at=run.created_at,
            updated_at=run.updated_at,
            finished_at=run.finished_at,
            state_json=state.json,
            parked=run.parked,
            replayed=run.replayed,
        )


def graph_path(graph_id: str, version: str | None = None, *, rest: str = "") -> str:
    """Return the path of a graph; raises UnknownGraph for what is no graph's id."""
    name = graph_id if version is None else f"{graph_id}@{version}"
    if not re.fullmatch(ID_PATTERN, graph_id):
        raise UnknownGraph(name)
    return f"/graphs/{quote(name)}{rest}"


def stored_graph(answer: GraphAnswer, *, created: bool = False) -> StoredGraph:
    """Return a graph of the wire as the engine shows it."""
    return StoredGraph(
        graph_id=answer.graph_id,
        version=answer.version,
        data=bytes(answer.graph),
        created_at=answer.created_at,
        created=created,
        warnings=tuple(answer.warnings),
    )
