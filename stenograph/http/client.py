"""The client: the engine's calls over HTTP, with the same words, shapes and errors."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, suppress
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

import msgspec

from stenograph.engine import (
    Event,
    Fault,
    Graph,
    GraphInvalid,
    Limits,
    NotJson,
    RunView,
    SeqNotReached,
    StateAt,
    StoredGraph,
    UnknownGraph,
    Visit,
    as_data,
    canonical,
    decode,
)
from stenograph.http.refusals import RequestRefused
from stenograph.http.streams import Stream, record_of
from stenograph.http.transport import About, Transport, run_id_of, run_path
from stenograph.http.wire import (
    ID_PATTERN,
    LIMIT_MAX,
    CancelRequest,
    EventsPage,
    GraphAnswer,
    RunAnswer,
    RunList,
    StartRequest,
    StateAnswer,
    VisitList,
)
from stenograph.journal import Record

URL: Final = "http://127.0.0.1:8000"
WAIT_S: Final = 60.0
CREATED: Final = 201


class Client:
    """Runs graphs on a server and tells of them; an async context manager.

    Every call raises ServerUnreachable when no server answers, and RequestRefused for a problem
    that is no error of the engine. ``tail`` and ``follow`` take a broken stream up again by
    themselves, unless ``reconnect`` is false; ``on_lost`` is called with the cursor each time.
    """

    def __init__(
        self,
        url: str = URL,
        *,
        reconnect: bool = True,
        on_lost: Callable[[int], None] | None = None,
    ) -> None:
        self._server = Transport(url)
        self.reconnect, self.on_lost = reconnect, on_lost

    @property
    def url(self) -> str:
        """Where the server is."""
        return self._server.url

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
        await self._server.close()

    async def create_graph(
        self, graph: Graph | Mapping[str, Any], *, graph_id: str | None = None
    ) -> StoredGraph:
        """Store a graph, or a new version of it; the same content again changes nothing.

        Tools and predicates go by their names: the server must know them. Raises GraphInvalid.
        """
        data = dict(as_data(graph) if isinstance(graph, Graph) else graph)
        if graph_id is not None:
            data["id"] = graph_id
        try:
            body, _ = canonical(data, "")
        except NotJson as error:
            raise GraphInvalid([Fault(error.path, error.reason)], []) from None
        status, answer = await self._server.post("/graphs", GraphAnswer, body)
        return _stored(answer, created=status == CREATED)

    async def graph(self, graph_id: str, version: str | None = None) -> StoredGraph:
        """Return a graph's newest version, or the one whose hash begins so; raises UnknownGraph."""
        name = graph_id if version is None else f"{graph_id}@{version}"
        if not re.fullmatch(ID_PATTERN, graph_id):
            raise UnknownGraph(name)
        path = f"/graphs/{quote(name)}"
        return _stored(await self._server.get(path, GraphAnswer, about=About(graph_id=name)))

    async def start(
        self,
        graph: Graph | Mapping[str, Any] | str,
        state: Mapping[str, Any] | None = None,
        *,
        run_id: str | None = None,
        limits: Limits | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> RunView:
        """Begin a run and return at once, as soon as its beginning is durable.

        ``graph`` is a graph, or the id of one that is stored (``id@version`` for an older one).
        Raises UnknownGraph, GraphInvalid, RunExists, NotJson or StateTooLarge, and ValueError for a
        ``run_id`` that cannot be one.
        """
        if run_id is not None:
            run_id_of(run_id)
        if not isinstance(graph, str):
            stored = await self.create_graph(graph)
            graph = f"{stored.graph_id}@{stored.version}"
        _, values = canonical(dict(state or {}), "")
        asked = StartRequest(
            graph=graph, state=values, id=run_id, tags=dict(tags or {}), limits=limits
        )
        about = About(run_id=run_id or "", graph_id=graph)
        _, begun = await self._server.post("/runs", RunAnswer, msgspec.json.encode(asked), about)
        return await self._with_state(begun)

    async def run(
        self,
        graph: Graph | Mapping[str, Any] | str,
        state: Mapping[str, Any] | None = None,
        *,
        wait_s: float = WAIT_S,
        **options: Any,
    ) -> RunView:
        """Begin a run and return when it ends or parks, or after ``wait_s`` seconds.

        Options and errors are those of ``start``. Who stops waiting does not stop the run.
        """
        begun = await self.start(graph, state, **options)
        return await self.wait(begun.id, wait_s)

    async def wait(self, run_id: str, wait_s: float = WAIT_S) -> RunView:
        """Return when a run has ended or parked, or after ``wait_s`` seconds; raises UnknownRun."""
        run = await self._run(run_id)
        if not run.done and run.status != "parked":
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
        found = await self._server.get(run_path(run_id, "/state"), StateAnswer, query, about)
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
            page = await self._server.get(path, VisitList, query, About(run_id=run_id))
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
        return await self._server.get("/runs", RunList, query)

    async def cancel(self, run_id: str, *, reason: str = "") -> RunView:
        """Ask a run to stop, and return once that is durable; asking twice is as asking once.

        Raises UnknownRun, or RunFinished when it ended otherwise.
        """
        body = msgspec.json.encode(CancelRequest(reason=reason))
        path = run_path(run_id, "/cancel")
        _, run = await self._server.post(path, RunAnswer, body, About(run_id=run_id))
        return await self._with_state(run)

    async def tail(self, run_id: str, *, after: int = 0) -> AsyncGenerator[Event, None]:
        """Yield every event of a run with ``seq > after`` once, then live, up to its end.

        Raises UnknownRun or CursorUnknown.
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
        page = await self._server.get(run_path(run_id, "/events"), EventsPage, query, about)
        return list(map(record_of, page.events))

    async def read_all(self, *, after: int = 0, limit: int = LIMIT_MAX) -> list[Record]:
        """Return up to ``limit`` records of the whole journal with ``offset > after``."""
        query = {"after": after, "limit": limit}
        page = await self._server.get("/journal", EventsPage, query, About(after=after))
        return list(map(record_of, page.events))

    async def _follow(self, run_id: str | None, after: int) -> AsyncGenerator[list[Record], None]:
        stream = Stream(
            self.url,
            run_id,
            after,
            proxy=self._server.proxy,
            on_lost=self.on_lost,
            reconnect=self.reconnect,
        )
        try:
            async with aclosing(stream.pages()) as pages:
                async for page in pages:
                    yield page
        except RequestRefused as refused:
            about = About(run_id=run_id or "", after=stream.after)
            raise await self._server.error(refused.problem, about) from None

    async def _rest(self, run_id: str, after: int) -> None:
        """Return once a run has ended or parked."""
        async with aclosing(self.follow(run_id, after=after)) as pages:
            async for page in pages:
                if any(record.type == "run.parked" for record in page):
                    return

    async def _run(self, run_id: str) -> RunAnswer:
        return await self._server.get(run_path(run_id), RunAnswer, about=About(run_id=run_id))

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
            tags=run.tags,
            error=run.error,
            reason=run.reason,
            created_at=run.created_at,
            updated_at=run.updated_at,
            finished_at=run.finished_at,
            state_json=state.json,
        )


def _stored(answer: GraphAnswer, *, created: bool = False) -> StoredGraph:
    return StoredGraph(
        graph_id=answer.graph_id,
        version=answer.version,
        data=bytes(answer.graph),
        created_at=answer.created_at,
        created=created,
        warnings=tuple(answer.warnings),
    )
