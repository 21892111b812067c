"""Sifting: pages of records through a filter, each with the cursor up to which it was looked."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final, Protocol, TypeAlias

from msgspec import Struct

from stenograph.engine import NO_FILTER, NO_LABELS, Filter, RunView, passes
from stenograph.journal import Record, Stream

RUNS_MAX: Final = 1024
"""Of how many runs it is remembered what they belong to."""
PULSE_S: Final = 15.0
"""Longest silence: proxies close what says nothing for longer, and a client can tell it is there."""


class Part(Struct, frozen=True):
    """What passed of a page, perhaps nothing; ``after`` is the cursor up to which was looked."""

    records: Sequence[Record]
    after: int


Pages: TypeAlias = AsyncGenerator[list[Record] | RunView, None]
Parts: TypeAlias = AsyncGenerator[Part | RunView, None]


class Streams(Protocol):
    """Where the labels of a run are looked up."""

    async def stream(self, run_id: str) -> Stream | None:
        """Return one stream, or None."""


class Belongings:
    """Of which graph the latest runs are and with which tags.

    What was looked up holds for the events that a run had then: a later one may have moved it to
    another graph, or may have erased it. Who does that has the run forgotten here.
    """

    def __init__(self, journal: Streams, runs_max: int = RUNS_MAX) -> None:
        self._journal, self._runs_max = journal, runs_max
        self._known: OrderedDict[str, tuple[int, Mapping[str, str]]] = OrderedDict()

    async def of(self, run_id: str, seq: int) -> Mapping[str, str]:
        """Return the labels ``graph`` and ``tag:…`` of a run that has an event ``seq``.

        Nothing for the stream of a graph.
        """
        head, labels = self._known.get(run_id, (0, NO_LABELS))
        if head < seq:
            stream = await self._journal.stream(run_id)
            found = {} if stream is None else stream.labels
            labels = {k: v for k, v in found.items() if k == "graph" or k.startswith("tag:")}
            self._known[run_id] = (seq if stream is None else stream.head), labels
        self._known.move_to_end(run_id)
        while len(self._known) > self._runs_max:
            self._known.popitem(last=False)
        return labels

    def forget(self, run_id: str) -> None:
        """Look a run up anew, also for the events that it had."""
        self._known.pop(run_id, None)


class Sieve:
    """A filter for the events of a run, by ``seq``, or (``whole``) of all, by ``offset``."""

    def __init__(self, wanted: Filter, belongings: Belongings, *, whole: bool) -> None:
        self.wanted, self.whole = wanted, whole
        self._belongings = belongings

    @property
    def is_open(self) -> bool:
        """Whether everything passes."""
        return self.wanted == NO_FILTER

    def place(self, record: Record) -> int:
        """Return the cursor that a record stands at."""
        return record.offset if self.whole else record.seq

    async def part(self, page: Sequence[Record]) -> Part:
        """Return what passes of a page, which has a record at least."""
        after = self.place(page[-1])
        if self.is_open:
            return Part(page, after)
        passed = [each for each in page if passes(self.wanted, each, await self._labels(each))]
        return Part(passed, after)

    async def parts(self, pages: Pages) -> Parts:
        """Yield a part a page, and last what the pages end with."""
        async with aclosing(pages):
            async for page in pages:
                if isinstance(page, RunView):
                    yield page
                    return
                part = await self.part(page)
                yield part
                if not part.records:
                    await asyncio.sleep(0)  # who passes over a long history gives way to others

    async def _labels(self, record: Record) -> Mapping[str, str]:
        if not self.wanted.asks_for_run:
            return NO_LABELS
        return await self._belongings.of(record.run_id, record.seq)


async def pulsed(
    parts: Parts,
    sieve: Sieve,
    after: int,
    *,
    every_s: float,
    until: asyncio.Future[Any] | None = None,
) -> Parts:
    """Yield what has records; and the bare cursor after each silence, and before the end.

    ``after`` is the cursor at the start. Ends early once ``until`` is done.
    """
    told, loop = after, asyncio.get_running_loop()
    due = loop.time() + every_s
    others: set[asyncio.Future[Any]] = set() if until is None else {until}
    coming: asyncio.Future[Part | RunView | None] = asyncio.ensure_future(anext(parts, None))
    try:
        while not any(each.done() for each in others):
            await asyncio.wait(
                {coming, *others},
                timeout=max(0.0, due - loop.time()),
                return_when=asyncio.FIRST_COMPLETED,
            )
            part = coming.result() if coming.done() else Part([], after)
            if not isinstance(part, Part):
                break
            after = part.after
            if part.records or loop.time() >= due:
                yield part
                told = sieve.place(part.records[-1]) if part.records else after
                due = loop.time() + every_s
            if coming.done():
                coming = asyncio.ensure_future(anext(parts, None))
        else:
            return
        if told != after:
            yield Part([], after)
        if part is not None:
            yield part
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)
        await parts.aclose()
