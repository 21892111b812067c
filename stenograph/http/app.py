"""The application: one engine, opened and closed with it, and the handlers of every path."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from litestar import Litestar, Router
from litestar.config.app import AppConfig
from litestar.config.cors import CORSConfig
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.plugins import PluginProtocol

from stenograph.engine import Engine
from stenograph.http.door.access import Access, secured
from stenograph.http.door.guard import LARGE_AT_ONCE, Guard
from stenograph.http.door.known_tokens import KnownTokens
from stenograph.http.door.request import JsonRequest
from stenograph.http.door.turnstile import Turnstile
from stenograph.http.errors import respond
from stenograph.http.operations import (
    audit,
    classic,
    control,
    docs,
    evidence,
    exporting,
    forking,
    graphs,
    migrating,
    pages,
    rerunning,
    runs,
    sockets,
    sql,
    tools,
)
from stenograph.http.operations.exporting import Imports
from stenograph.http.operations.sql import Queries
from stenograph.http.settings import DEFAULTS, CannotTrace, Settings
from stenograph.http.stopping import Stopping
from stenograph.http.streaming.frames import Frames
from stenograph.http.streaming.sifting import Belongings
from stenograph.http.streaming.subscribers import Subscribers
from stenograph.http.watch import health, metrics
from stenograph.http.watch.loop_lag import LoopLag
from stenograph.http.watch.observing import Observer

if TYPE_CHECKING:
    from stenograph.http.watch.tracing import Tracing

HANDLERS = (
    *classic.HANDLERS,
    *graphs.HANDLERS,
    *tools.HANDLERS,
    *runs.HANDLERS,
    *audit.HANDLERS,
    *control.HANDLERS,
    *forking.HANDLERS,
    *migrating.HANDLERS,
    *rerunning.HANDLERS,
    *pages.HANDLERS,
    *evidence.HANDLERS,
    *exporting.HANDLERS,
    *sql.HANDLERS,
    *sockets.HANDLERS,
)
"""What stands under both ``/`` and ``/api``."""
ON_TOP = (*health.HANDLERS, *metrics.HANDLERS)
"""What stands under ``/`` alone."""


ASKED_HEADERS = (
    "Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match",
    "Last-Event-ID", "Prefer", "traceparent", "X-Request-Id",
)  # fmt: skip
TOLD_HEADERS = (
    "ETag", "Idempotency-Replayed", "Location", "Preference-Applied", "RateLimit",
    "RateLimit-Policy", "Retry-After", "Stenograph-Head", "Stenograph-Journal",
    "Stenograph-Truncated", "traceparent", "WWW-Authenticate", "X-Request-Id",
)  # fmt: skip
"""What pages of other sites may send, and see, besides what browsers always let them."""


class Application(Litestar):
    """An application that speaks in msgspec's structs alone, and takes down what is asked of it."""

    def __init__(self, *, observer: Observer, **options: Any) -> None:
        self.observer = observer
        super().__init__(**options)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Have a request answered; before all middleware, so that what no handler takes counts, too."""
        match scope["type"]:
            case "http":
                await self.observer.http(super().__call__, scope, receive, send)
            case "websocket":
                await self.observer.socket(super().__call__, scope, receive, send)
            case _:
                await super().__call__(scope, receive, send)

    @staticmethod
    def _patch_opentelemetry_middleware(config: AppConfig) -> AppConfig:
        """Leave OpenTelemetry alone, which is imported otherwise wherever it is installed."""
        return config

    @staticmethod
    def _get_default_plugins(plugins: list[PluginProtocol]) -> list[PluginProtocol]:
        """Leave out what is for other kinds: pydantic alone takes as long to import as the engine."""
        return plugins


def create_app(
    open_engine: Callable[[], AbstractAsyncContextManager[Engine]],
    settings: Settings = DEFAULTS,
    *,
    exporter: Any = None,
) -> Litestar:
    """Return the application over the engine that ``open_engine`` gives when it starts.

    ``create_app(lambda: st.open("steno.db", tools=[…]))``. The engine is closed with it. ``exporter``
    is where spans go when the settings have tracing on (else by OTLP over HTTP): one of
    OpenTelemetry's. Raises TokensRefused for a file of tokens that is not as it should be, and
    CannotTrace without the extra ``tracing``.
    """
    tokens = None if settings.tokens is None else KnownTokens(settings.tokens)
    tracing = open_tracing(exporter) if settings.tracing else None

    lag, subscribers = LoopLag(), Subscribers(settings.subscribers)
    opened: dict[str, Any] = {"lag": lag, "observer": Observer(), "subscribers": subscribers}

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        async with open_engine() as engine:
            opened.update(
                engine=engine,
                stopping=Stopping(),
                large=Turnstile(LARGE_AT_ONCE),
                frames=Frames(),
                belongings=Belongings(engine.journal),
                queries=Queries(engine.journal, enabled=settings.sql),
                imports=Imports(),
            )
            app.state.update(opened)
            with lag.measured():
                async with nullcontext() if tracing is None else tracing.of_runs(engine):
                    yield

    told = [secured(each, by_token=tokens is not None) for each in (*HANDLERS, *ON_TOP)]
    return Application(
        observer=opened["observer"],
        route_handlers=[
            *told,
            Router("/api", route_handlers=list(HANDLERS), include_in_schema=False),
            *docs.HANDLERS,
        ],
        dependencies={
            name: Provide(_provider(opened, name))
            for name in (
                *opened,
                "engine",
                "stopping",
                "frames",
                "belongings",
                "queries",
                "imports",
            )
        },
        lifespan=[lifespan],
        middleware=[
            *([] if tracing is None else [tracing.naming]),
            Access(tokens, settings),
            Guard(settings),
        ],
        exception_handlers={HTTPException: respond, Exception: respond},
        openapi_config=docs.openapi_config(),
        plugins=[docs.RawSchemas(), *([] if tracing is None else [tracing.plugin])],
        request_class=JsonRequest,
        request_max_body_size=settings.body_bytes,
        logging_config=None,
        cors_config=cors_of(settings.origins),
        state=State({"settings": settings, "tokens": tokens, "subscribers": subscribers}),
        signature_types=[
            *(Belongings, Engine, Frames, Imports),
            *(LoopLag, Observer, Queries, Subscribers),
        ],
    )


def cors_of(origins: Collection[str]) -> CORSConfig | None:
    """Return what lets pages of other sites ask, if there are any; never with what a browser keeps."""
    if not origins:
        return None
    return CORSConfig(
        allow_origins=sorted(origins),
        allow_methods=["GET", "HEAD", "POST"],
        allow_headers=list(ASKED_HEADERS),
        expose_headers=list(TOLD_HEADERS),
        allow_credentials=False,
    )


def open_tracing(exporter: Any) -> Tracing:
    """Return what makes spans; raises CannotTrace."""
    try:
        from stenograph.http.watch.tracing import Tracing
    except ImportError as error:
        raise CannotTrace(
            f"tracing needs OpenTelemetry ({error}): install the extra, stenograph[tracing]"
        ) from error
    return Tracing(exporter)


def _provider(opened: Mapping[str, Any], name: str) -> Callable[[], Awaitable[Any]]:
    """Return what gives a handler what it asks for; without parameters, which would be validated."""

    async def provide() -> Any:
        return opened[name]

    return provide
