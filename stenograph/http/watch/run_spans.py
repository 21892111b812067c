"""Spans of runs: made from events once they are committed, by one who follows the journal.

A span is called what its run, or its attempt, is called from the first (``trace_of``), whoever makes
it. So what began before a restart is told after it, and hangs together.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol, TypeAlias

from msgspec import Struct
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import (
    INVALID_SPAN_CONTEXT,
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from stenograph.engine import (
    IMPORTED,
    EngineError,
    ErrorInfo,
    Event,
    NodeAttemptFailed,
    NodeEntered,
    NodeExited,
    RunCreated,
    Trace,
    attempt_span_id,
    decode,
    run_span_id,
    trace_of,
)
from stenograph.journal import Journal, Record

LOG: Final = logging.getLogger("stenograph.http")
RUNS_MAX: Final = 10_000
"""How many runs are kept in mind; of another one, what it has come to is read again."""
ENDS: Final = frozenset({"run.completed", "run.failed", "run.cancelled", "run.erased"})
TOLD: Final = ENDS | {
    "run.created", "run.retried", "node.entered", "node.exited", "node.attempt_failed",
}  # fmt: skip
"""The types of events that something is to be told of."""
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Place: TypeAlias = tuple[str, str, int, int]


class Entry(Struct, frozen=True):
    """An attempt that has begun: when, and with which tool or graph."""

    at: str
    what: str | None


class Traced(Struct):
    """A run, as far as its spans need it."""

    id: str
    graph_id: str
    trace: Trace
    span_id: str
    began_at: str
    links: tuple[str, ...]
    """The runs that it goes on from, or is made anew from."""
    is_retried: bool = False
    is_imported: bool = False
    """Whether it happened elsewhere, and was told there."""
    under_way: dict[Place, Entry] = {}


class Due(Protocol):
    """What gives out ids: the next span is called what is due."""

    due: tuple[int, int] | None


class RunSpans:
    """Follows a journal, and makes a span of each run that ends and of each attempt."""

    def __init__(self, journal: Journal, provider: TracerProvider, ids: Due) -> None:
        self._journal, self._ids = journal, ids
        self._tracer, self._sampler = provider.get_tracer("stenograph"), provider.sampler
        self._runs: OrderedDict[str, Traced] = OrderedDict()
        self._after = 0

    async def follow(self, after: int) -> None:
        """Tell of what happens after an offset."""
        self._after = after
        try:
            async with aclosing(self._journal.tail_all(after=after)) as pages:
                async for page in pages:
                    await self._take(page)
        except Exception:
            LOG.exception("no spans of runs are made any more")

    async def catch_up(self) -> None:
        """Tell of what was committed last, before all stops."""
        try:
            while page := await self._journal.read_all(after=self._after):
                await self._take(page)
        except Exception:
            LOG.exception("the last spans of runs were not made")

    async def _take(self, page: Sequence[Record]) -> None:
        for record in page:
            if record.offset > self._after and record.type in TOLD:
                await self._see_quietly(record)
            self._after = max(self._after, record.offset)

    async def _see_quietly(self, record: Record) -> None:
        """Make a span where there is one to make: an event that makes none spoils no others."""
        try:
            await self._see(record)
        except Exception:
            LOG.exception("no span was made of event %d of run %s", record.seq, record.run_id)

    async def _see(self, record: Record) -> None:
        run = self._runs.get(record.run_id)
        if run is None and record.type != "run.created":
            run = await self._known(record.run_id, record.seq)
        await self._tell(run, record)

    async def _known(self, run_id: str, before: int) -> Traced | None:
        """Return a run that nobody has in mind, as it was before an event."""
        run: Traced | None = None
        after = 0
        while after < before - 1 and (page := await self._journal.read(run_id, after=after)):
            for record in page:
                if record.seq < before and record.type in TOLD:
                    run = await self._tell(run, record, aloud=False)
            after = page[-1].seq
        return run

    async def _tell(
        self, run: Traced | None, record: Record, *, aloud: bool = True
    ) -> Traced | None:
        """Take in an event of a run, and make the span that ends with it, if ``aloud``."""
        try:
            event = decode(record)
        except EngineError:
            return run  # erased, or of a later version: nothing can be told
        match event.data:
            case RunCreated() as created:
                run = await self._begun(event, created)
                self._keep(run)
            case NodeEntered() as entered if run is not None:
                what = entered.tool or entered.graph
                run.under_way[place_of(entered)] = Entry(event.at, what)
            case NodeExited() | NodeAttemptFailed() as ended if run is not None:
                entry = run.under_way.pop(place_of(ended), None)
                if aloud and not run.is_imported:
                    self._attempt(run, event, ended, entry)
            case _ if run is not None and event.type == "run.retried":
                run.span_id = run_span_id(run.id, event.seq)
                run.began_at, run.is_retried = event.at, True
                self._keep(run)
            case _ if run is not None and event.type in ENDS:
                if aloud and not run.is_imported:
                    await self._end(run, event)
                self._runs.pop(run.id, None)
        return run

    def _keep(self, run: Traced) -> None:
        self._runs[run.id] = run
        if len(self._runs) > RUNS_MAX:
            self._runs.popitem(last=False)

    async def _begun(self, event: Event, created: RunCreated) -> Traced:
        sources = (created.origin, created.rerun)
        stream = await self._journal.stream(event.run_id)
        return Traced(
            id=event.run_id,
            graph_id=created.graph_id,
            trace=trace_of(event.run_id, created.traceparent),
            span_id=run_span_id(event.run_id),
            began_at=event.at,
            links=tuple(each.run_id for each in sources if each is not None),
            is_imported=stream is not None and IMPORTED in stream.labels,
        )

    def _attempt(
        self, run: Traced, event: Event, ended: NodeExited | NodeAttemptFailed, entry: Entry | None
    ) -> None:
        outcome = ended.outcome if isinstance(ended, NodeExited) else "error"
        attributes: dict[str, str | int] = {
            "stenograph.run_id": run.id,
            "stenograph.scope": ended.scope,
            "stenograph.node": ended.node,
            "stenograph.visit": ended.visit,
            "stenograph.attempt": ended.attempt,
            "stenograph.outcome": outcome,
        }
        if entry is not None and entry.what is not None:
            attributes["stenograph.tool"] = entry.what
        end_ns = nanoseconds(event.at)
        start_ns = end_ns - round(ended.duration_ms * 1e6)
        self._make(
            ended.node,
            attempt_span_id(run.id, *place_of(ended)),
            self._parent(run, run.span_id),
            (start_ns if entry is None else nanoseconds(entry.at), end_ns),
            attributes,
            ended.error,
        )

    async def _end(self, run: Traced, event: Event) -> None:
        error: ErrorInfo | None = getattr(event.data, "error", None)
        attributes: dict[str, str | int] = {
            "stenograph.run_id": run.id,
            "stenograph.graph_id": run.graph_id,
            "stenograph.status": event.type.partition(".")[2],
            "stenograph.retried": run.is_retried,
        }
        links = [link for each in run.links if (link := await self._link(each)) is not None]
        self._make(
            f"run {run.graph_id}",
            run.span_id,
            None if run.trace.parent_id is None else self._parent(run, run.trace.parent_id),
            (nanoseconds(run.began_at), nanoseconds(event.at)),
            attributes,
            error,
            links,
            trace_id=run.trace.trace_id,
        )

    async def _link(self, run_id: str) -> Link | None:
        """Return a link to the span of another run, if it is here."""
        for record in await self._journal.read(run_id, limit=1):
            try:
                created = decode(record).data
            except EngineError:
                return None
            if isinstance(created, RunCreated):
                trace = trace_of(run_id, created.traceparent)
                return Link(context_of(trace.trace_id, run_span_id(run_id), trace.flags))
        return None

    def _parent(self, run: Traced, span_id: str) -> SpanContext:
        """Return the context of a span in a run's trace; one of its own is sampled as the run will be."""
        flags = run.trace.flags
        if run.trace.parent_id is None:
            number = int(run.trace.trace_id, 16)
            result = self._sampler.should_sample(None, number, f"run {run.graph_id}")
            flags = "01" if result.decision is Decision.RECORD_AND_SAMPLE else "00"
        return context_of(run.trace.trace_id, span_id, flags)

    def _make(
        self,
        name: str,
        span_id: str,
        parent: SpanContext | None,
        times_ns: tuple[int, int],
        attributes: dict[str, str | int],
        error: ErrorInfo | None,
        links: Sequence[Link] = (),
        *,
        trace_id: str = "0",
    ) -> None:
        """Make a span of what is over, called as it was named from the first."""
        start_ns, end_ns = times_ns
        self._ids.due = (int(trace_id, 16), int(span_id, 16))
        try:
            span = self._tracer.start_span(
                name,
                # Never the one that the task of whoever calls is in: an empty context has none.
                context=set_span_in_context(
                    NonRecordingSpan(parent or INVALID_SPAN_CONTEXT), Context()
                ),
                kind=SpanKind.INTERNAL,
                attributes=attributes,
                links=links,
                start_time=min(start_ns, end_ns),
            )
        finally:
            self._ids.due = None
        if error is not None:
            span.set_attribute("error.type", error.type)
            span.set_status(Status(StatusCode.ERROR, f"{error.type}: {error.message}"))
        span.end(end_ns)


def place_of(data: NodeEntered | NodeExited | NodeAttemptFailed) -> Place:
    """Return where an attempt stands."""
    return data.scope, data.node, data.visit, data.attempt


def context_of(trace_id: str, span_id: str, flags: str) -> SpanContext:
    """Return how others refer to a span."""
    return SpanContext(
        int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16))
    )


def nanoseconds(at: str) -> int:
    """Return a time of an event as nanoseconds since 1970."""
    return (datetime.fromisoformat(at) - EPOCH) // timedelta(microseconds=1) * 1000
