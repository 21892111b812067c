"""Tracing: spans of requests, by Litestar's plugin, and of runs and attempts, by their events.

OpenTelemetry is imported when a server is to trace, and never else. How spans are exported, sampled
and named after a service is said by its own environment, ``OTEL_…``. Nothing global is touched.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from litestar.middleware import ASGIMiddleware
from litestar.plugins import PluginProtocol
from litestar.plugins.opentelemetry import OpenTelemetryConfig, OpenTelemetryPlugin
from litestar.types import ASGIApp, Receive, Scope, Send
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import Span, get_current_span

from stenograph.engine import Engine
from stenograph.http.asked import ASKED
from stenograph.http.door.tokens import masked
from stenograph.http.watch.observing import METHODS
from stenograph.http.watch.run_spans import RunSpans
from stenograph.journal import run_apart

UNTRACED: Final = ["^/healthz$", "^/readyz$", "^/metrics$"]
"""Asked again and again by machines; no run ever comes of it."""
LOG: Final = logging.getLogger("stenograph.http")
WHOLE: Final = frozenset({"http.url", "http.target", "url.full", "url.path"})
"""Attributes of requests in which a path stands, or a query, by the older names and the newer ones."""
FLUSH_S: Final = 3.0
"""How long the last spans may take to leave: who stops does not wait for a collector that is gone."""


class Ids(RandomIdGenerator):
    """Random ids, but where one is due to a span that has been named already."""

    def __init__(self) -> None:
        self.due: tuple[int, int] | None = None

    def generate_trace_id(self) -> int:
        """Return the id of a trace that begins."""
        return self.due[0] if self.due else super().generate_trace_id()

    def generate_span_id(self) -> int:
        """Return the id of a span."""
        due, self.due = self.due, None
        return due[1] if due else super().generate_span_id()


class Tracing:
    """What makes spans, and sends them off; to ``exporter``, else by OTLP over HTTP."""

    def __init__(self, exporter: SpanExporter | None = None) -> None:
        self.ids = Ids()
        self.exporter = exporter or otlp()
        self.provider = TracerProvider(
            resource=service(), id_generator=self.ids, shutdown_on_exit=False
        )
        self.provider.add_span_processor(BatchSpanProcessor(self.exporter))

    @property
    def naming(self) -> ASGIMiddleware:
        """What names the spans of requests, behind the routing."""
        return NameSpans()

    @property
    def plugin(self) -> PluginProtocol:
        """What makes a span of each request."""
        return OpenTelemetryPlugin(
            OpenTelemetryConfig(
                tracer_provider=self.provider,
                scope_span_details_extractor=begun,
                server_request_hook_handler=take_down,
                exclude=UNTRACED,
                exclude_spans=["receive", "send"],
            )
        )

    @asynccontextmanager
    async def of_runs(self, engine: Engine) -> AsyncIterator[None]:
        """Make spans of what happens in runs, until the end of the block; then send off the last."""
        after = engine.opened_after
        if after is None:  # it does not know that it is traced: what was taken up is left out
            after = await engine.journal.end()
        spans = RunSpans(engine.journal, self.provider, self.ids)
        task = asyncio.create_task(spans.follow(after), name="run spans")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})
            await self._shut_down(spans)

    async def _shut_down(self, spans: RunSpans) -> None:
        """Make and send off what is left; what takes too long is given up."""
        try:
            async with asyncio.timeout(FLUSH_S):
                await spans.catch_up()
                await run_apart(self.provider.shutdown)
        except TimeoutError:
            LOG.warning("the last spans were not sent: the collector does not take them")
            self.exporter.shutdown()  # which ends its tries


class NameSpans(ASGIMiddleware):
    """Names the span of a request after the path that its handler takes."""

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Name it, now that it is known."""
        span = get_current_span()
        route = scope["path_template"]
        span.update_name(f"{scope.get('method', 'WEBSOCKET')} {route}")
        span.set_attribute("http.route", route)
        await next_app(scope, receive, send)


def service() -> Resource:
    """Return what the environment says of the service, which is ``stenograph`` if it does not."""
    found = Resource.create()
    is_named = not str(found.attributes["service.name"]).startswith("unknown_service")
    return found if is_named else found.merge(Resource({"service.name": "stenograph"}))


def otlp() -> SpanExporter:
    """Return what sends spans to a collector, as the environment says: ``OTEL_EXPORTER_OTLP_…``."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter()


def begun(scope: Any) -> tuple[str, dict[str, Any]]:
    """Return the name of a span whose path nobody has looked at yet.

    A method that nobody knows names none (OpenTelemetry's rule): names are to be few.
    """
    method = scope.get("method", "WEBSOCKET")
    return method if method in {*METHODS, "WEBSOCKET"} else "HTTP", {}


def take_down(span: Span, scope: dict[str, Any]) -> None:
    """Have the runs that a request begins belong to its span, which tells nothing of its query."""
    hide_query(span)
    asked, context = ASKED.get(), span.get_span_context()
    if asked is not None and context.is_valid:
        traceparent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
        asked.traceparent = traceparent.encode()


def hide_query(span: Span) -> None:
    """Take the query out of what a span says, where somebody may have put a token, as in the path."""
    for name, value in dict(getattr(span, "attributes", None) or {}).items():
        if name == "url.query":
            span.set_attribute(name, "")
        elif name in WHOLE:
            span.set_attribute(name, masked(value.partition("?")[0]))
