"""Following on a server: connections to it, and events as they come, or page by page."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import aclosing
from types import TracebackType
from typing import Final, Self

from stenograph.engine import Event, Filter, decode, words_of
from stenograph.http.client.streams import Stream, record_of
from stenograph.http.client.transport import Transport, run_path
from stenograph.http.shapes.messages import EventsPage
from stenograph.http.shapes.refusals import About, RequestRefused
from stenograph.http.shapes.wire import LIMIT_MAX
from stenograph.journal import Record

URL: Final = "http://127.0.0.1:8000"


class Following:
    """Connections to a server, and the events that it tells."""

    def __init__(
        self,
        url: str = URL,
        *,
        token: str | None = None,
        reconnect: bool = True,
        on_lost: Callable[[int], None] | None = None,
    ) -> None:
        self.server = Transport(url, token)
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

    async def tail(
        self,
        run_id: str,
        *,
        after: int = 0,
        types: Iterable[str] = (),
        nodes: Iterable[str] = (),
    ) -> AsyncGenerator[Event, None]:
        """Yield every event of a run with ``seq > after`` once, then live, up to its end.

        With ``types`` (``node.*`` for all that begin so) or ``nodes`` only those. A stream that
        breaks off is taken up again by itself. Raises UnknownRun, CursorUnknown,
        OutOfSequence when the server leaves an event out or repeats one, and StreamLost.
        """
        pages = self.follow(run_id, after=after, types=types, nodes=nodes)
        async with aclosing(pages):
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
        run_path(run_id)  # raises UnknownRun before a socket is opened in vain
        wanted = Filter(words_of(types), words_of(nodes))
        async with aclosing(self._follow(run_id, after, wanted)) as pages:
            async for page in pages:
                yield page

    def follow_all(
        self,
        *,
        after: int = 0,
        types: Iterable[str] = (),
        nodes: Iterable[str] = (),
        graphs: Iterable[str] = (),
        tags: Mapping[str, str] | None = None,
    ) -> AsyncGenerator[list[Record], None]:
        """Yield every record of the journal with ``offset > after`` once, then live, for ever.

        With ``graphs`` or ``tags`` only those in a run of one of the graphs, that has all the tags.
        """
        return self._follow(None, after, _filter_of_all(types, nodes, graphs, tags))

    async def read(
        self,
        run_id: str,
        *,
        after: int = 0,
        limit: int = LIMIT_MAX,
        types: Iterable[str] = (),
        nodes: Iterable[str] = (),
    ) -> list[Record]:
        """Return up to ``limit`` records of a run with ``seq > after``; raises UnknownRun.

        None come only when nothing more follows now that is of the ``types`` and ``nodes``.
        """
        wanted = Filter(words_of(types), words_of(nodes))
        about = About(run_id=run_id, after=after)
        return await self._read(run_path(run_id, "/events"), after, limit, wanted, about)

    async def read_all(
        self,
        *,
        after: int = 0,
        limit: int = LIMIT_MAX,
        types: Iterable[str] = (),
        nodes: Iterable[str] = (),
        graphs: Iterable[str] = (),
        tags: Mapping[str, str] | None = None,
    ) -> list[Record]:
        """Return up to ``limit`` records of the whole journal with ``offset > after``."""
        wanted = _filter_of_all(types, nodes, graphs, tags)
        return await self._read("/journal", after, limit, wanted, About(after=after))

    async def _read(
        self, path: str, after: int, limit: int, wanted: Filter, about: About
    ) -> list[Record]:
        while True:
            query = [("after", str(after)), ("limit", str(limit)), *wanted.query]
            page = await self.server.get(path, EventsPage, query, about)
            if page.events or page.after >= page.head:
                return list(map(record_of, page.events))
            after = page.after

    async def _follow(
        self, run_id: str | None, after: int, wanted: Filter
    ) -> AsyncGenerator[list[Record], None]:
        stream = Stream(
            self.url,
            run_id,
            after,
            wanted=wanted,
            headers=self.server.headers,
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


def _filter_of_all(
    types: Iterable[str],
    nodes: Iterable[str],
    graphs: Iterable[str],
    tags: Mapping[str, str] | None,
) -> Filter:
    pairs = tuple((tags or {}).items())
    return Filter(words_of(types), words_of(nodes), words_of(graphs), pairs)
