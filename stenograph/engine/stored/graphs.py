"""Graphs as they are stored: a stream of versions for each, and the newest at hand."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Final, Protocol, TypeVar

import msgspec
from msgspec import Raw, Struct

from stenograph.engine.bounds import Bounds
from stenograph.engine.clock import Clock
from stenograph.engine.core.edges import compile_graph
from stenograph.engine.core.events import (
    GraphCreated,
    PinnedGraph,
    UnknownEvent,
    decode,
    encode_payload,
)
from stenograph.engine.errors import Fault, GraphInvalid, UnknownGraph
from stenograph.engine.graphs.graph import Graph, as_data, functions_of, subgraphs_of
from stenograph.engine.graphs.parse import ID_PATTERN, ParsedGraph, graph_refs, parse_graph
from stenograph.engine.stored.sizes import check_sizes
from stenograph.engine.times import to_text
from stenograph.engine.tools.tools import Registry
from stenograph.engine.values import outweighs
from stenograph.journal import Journal, NewRecord, run_at_length, run_briefly

T = TypeVar("T")


class Do(Protocol):
    """Does work: at once, or beside the event loop."""

    def __call__(self, work: Callable[[], T]) -> Awaitable[T]:
        """Return what the work returns."""


NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
LARGE_CHARS: Final = 16 * 1024
"""Larger graphs are read beside the event loop: a megabyte of conditions takes more than a second."""
LONG_CHARS: Final = 128 * 1024
"""Larger ones still wait for what else takes seconds, as the difference of two long runs."""
KNOWN_MAX: Final = 64
"""How many graphs are kept at hand; the others are read again when they are asked for."""


class StoredGraph(Struct, frozen=True, kw_only=True):
    """One version of a graph; ``data`` is its canonical JSON, ``version`` the hash of that."""

    graph_id: str
    version: str
    data: bytes
    created_at: str
    created: bool = False
    warnings: tuple[Fault, ...] = ()

    @property
    def graph(self) -> Graph:
        """The graph itself."""
        return compile_graph(self.data).graph


class Graphs:
    """The graphs of a journal. One engine holds a journal, so what is read once stays true."""

    def __init__(self, journal: Journal, registry: Registry, clock: Clock, bounds: Bounds) -> None:
        self._journal, self._registry, self._clock = journal, registry, clock
        self._bounds = bounds
        self._known: OrderedDict[str, list[StoredGraph]] = OrderedDict()
        self._creating = asyncio.Lock()

    async def parse(
        self, graph: Graph | Mapping[str, Any], beside: Mapping[str, StoredGraph] = NOTHING
    ) -> ParsedGraph:
        """Read a graph without storing it; raises GraphInvalid.

        ``beside``: graphs that its nodes may run as if they were stored.
        """
        if isinstance(graph, Graph):
            for function in functions_of(graph):
                self._registry.add(function)
            graph = as_data(graph)
        return await self._parse(graph, beside, _reader(graph))

    async def _parse(
        self, graph: Mapping[str, Any], beside: Mapping[str, StoredGraph], do: Do
    ) -> ParsedGraph:
        refs = await do(partial(graph_refs, graph, self._bounds))
        ids = dict.fromkeys(ref.partition("@")[0] for ref in refs)
        read = partial(
            parse_graph,
            dict(graph),
            tools=self._registry.tools.copy(),
            predicates=self._registry.predicates.copy(),
            graphs=[each for each in ids if each in beside or await self._is_known(each)],
            missing=[each for each in refs if "@" in each and not await self._is_known(each)],
            bounds=self._bounds,
        )
        return await do(read)

    async def _is_known(self, ref: str) -> bool:
        graph_id, _, version = ref.partition("@")
        try:
            await self.get(graph_id, version or None)
        except UnknownGraph:
            return False
        return True

    async def pin(
        self, graph: Graph, beside: Mapping[str, StoredGraph] = NOTHING
    ) -> dict[str, PinnedGraph]:
        """Return the graphs that a graph's nodes run, and theirs, by the names they are called by.

        ``beside`` as in ``parse``. Raises UnknownGraph.
        """
        pinned: dict[str, PinnedGraph] = {}
        waiting = refs_of(graph)
        while waiting:
            ref = waiting.pop()
            if ref not in pinned:
                graph_id, _, version = ref.partition("@")
                stored = beside.get(ref) or await self.get(graph_id, version or None)
                pinned[ref] = PinnedGraph(
                    graph_id=stored.graph_id, version=stored.version, graph=Raw(stored.data)
                )
                waiting += refs_of(stored.graph)
        return pinned

    async def create(
        self, graph: Graph | Mapping[str, Any], *, graph_id: str | None, actor: str
    ) -> StoredGraph:
        """Store a graph under ``graph_id``, its own id, or one made of its content."""
        for inner in subgraphs_of(graph) if isinstance(graph, Graph) else ():
            await self.create(inner, graph_id=None, actor=actor)
        parsed = await self.parse(graph)
        graph_id = graph_id or _id_of(parsed)
        if not ID_PATTERN.fullmatch(graph_id):
            raise GraphInvalid([Fault("/id", f"{graph_id!r} is no id")], [])
        async with self._creating:
            versions = await self._read(graph_id)
            if versions and versions[-1].version == parsed.version:
                return msgspec.structs.replace(versions[-1], warnings=parsed.warnings)
            return await self._append(graph_id, parsed, len(versions), actor)

    async def named(self, graph: Graph | Mapping[str, Any] | str, actor: str) -> StoredGraph:
        """Return a graph that is stored, by its id or as ``id@version``; or store a given one."""
        if isinstance(graph, str):
            graph_id, _, version = graph.partition("@")
            return await self.get(graph_id, version or None)
        return await self.create(graph, graph_id=None, actor=actor)

    async def previewed(
        self, graph: Graph | Mapping[str, Any] | str
    ) -> tuple[StoredGraph, dict[str, PinnedGraph]]:
        """Return a graph as ``named`` and ``pin`` would, and store nothing.

        Raises UnknownGraph or GraphInvalid.
        """
        beside: dict[str, StoredGraph] = {}
        for each in subgraphs_of(graph) if isinstance(graph, Graph) else ():
            inner = _unstored(await self.parse(each, beside))
            beside[inner.graph_id] = inner
        if isinstance(graph, str):
            stored = await self.named(graph, "")
        else:
            stored = _unstored(await self.parse(graph, beside))
            beside[stored.graph_id] = stored  # which may run itself
        return stored, await self.pin(stored.graph, beside)

    async def get(self, graph_id: str, version: str | None) -> StoredGraph:
        """Return the newest version, or the newest whose hash begins with ``version``."""
        for stored in reversed(await self.versions(graph_id)):
            if version is None or stored.version.startswith(version):
                return stored
        raise UnknownGraph(f"{graph_id}@{version}")

    async def versions(self, graph_id: str) -> list[StoredGraph]:
        """Return all versions, oldest first; raises UnknownGraph."""
        versions = await self._read(graph_id) if ID_PATTERN.fullmatch(graph_id) else []
        if not versions:
            raise UnknownGraph(graph_id)
        return versions

    async def _read(self, graph_id: str) -> list[StoredGraph]:
        if graph_id not in self._known:
            versions: list[StoredGraph] = []
            while records := await self._journal.read(_stream(graph_id), after=len(versions)):
                for record in records:
                    created = decode(record).data
                    if not isinstance(created, GraphCreated):
                        raise UnknownEvent(f"{record.run_id}: {record.type} is no graph")
                    versions.append(_stored(created, record.at))
            if not versions:
                return []
            self._known.setdefault(graph_id, versions)  # another may have read, and appended
        self._known.move_to_end(graph_id)
        while len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)
        return self._known[graph_id]

    async def _append(
        self, graph_id: str, parsed: ParsedGraph, seq: int, actor: str
    ) -> StoredGraph:
        event = GraphCreated(
            graph_id=graph_id, version=parsed.version, graph=Raw(parsed.data), actor=actor
        )
        at = to_text(self._clock.now_us())
        record = NewRecord(event.TYPE, encode_payload(event), at)
        check_sizes([record], self._bounds.event_bytes)
        labels = {"kind": "graph"}
        await self._journal.append(_stream(graph_id), [record], expected_seq=seq, labels=labels)
        stored = _stored(event, at)
        known = self._known.get(graph_id)
        if known is not None and len(known) == seq:  # if not, it was read again, or is to be
            known.append(stored)
        return msgspec.structs.replace(stored, created=True, warnings=parsed.warnings)


def _reader(graph: Mapping[str, Any]) -> Do:
    """Return what a graph is read by, as long as it may take."""
    if not outweighs(graph, LARGE_CHARS):  # as nearly all: they are gone through once
        return _at_once
    return run_at_length if outweighs(graph, LONG_CHARS) else run_briefly


async def _at_once(work: Callable[[], T]) -> T:
    return work()


def refs_of(graph: Graph) -> list[str]:
    """Return the names by which a graph's nodes call others."""
    return [node.graph for node in graph.nodes.values() if isinstance(node.graph, str)]


def _id_of(parsed: ParsedGraph) -> str:
    return parsed.id or f"g-{parsed.version[:16]}"


def _unstored(parsed: ParsedGraph) -> StoredGraph:
    return StoredGraph(
        graph_id=_id_of(parsed), version=parsed.version, data=parsed.data, created_at=""
    )


def _stream(graph_id: str) -> str:
    return f"graph/{graph_id}"


def _stored(event: GraphCreated, at: str) -> StoredGraph:
    return StoredGraph(
        graph_id=event.graph_id, version=event.version, data=bytes(event.graph), created_at=at
    )
