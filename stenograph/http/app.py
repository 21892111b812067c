"""The application: one engine, opened and closed with it, and the handlers of every path."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.plugins import PluginProtocol

from stenograph.engine import Engine
from stenograph.http import (
    audit,
    classic,
    control,
    docs,
    evidence,
    exporting,
    forking,
    graphs,
    health,
    migrating,
    pages,
    rerunning,
    runs,
    sockets,
    sql,
    tools,
)
from stenograph.http.errors import respond
from stenograph.http.exporting import Imports
from stenograph.http.frames import Frames
from stenograph.http.guard import Guard
from stenograph.http.settings import DEFAULTS, Settings
from stenograph.http.sifting import Belongings
from stenograph.http.sql import Queries
from stenograph.http.waiting import Stopping

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


class Application(Litestar):
    """An application that speaks in msgspec's structs alone."""

    @staticmethod
    def _get_default_plugins(plugins: list[PluginProtocol]) -> list[PluginProtocol]:
        """Leave out what is for other kinds: pydantic alone takes as long to import as the engine."""
        return plugins


def create_app(
    open_engine: Callable[[], AbstractAsyncContextManager[Engine]],
    settings: Settings = DEFAULTS,
) -> Litestar:
    """Return the application over the engine that ``open_engine`` gives when it starts.

    ``create_app(lambda: st.open("steno.db", tools=[…]))``. The engine is closed with it.
    """

    opened: dict[str, Any] = {}

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        async with open_engine() as engine:
            opened.update(
                engine=engine,
                stopping=Stopping(),
                frames=Frames(),
                belongings=Belongings(engine.journal),
                queries=Queries(engine.journal, enabled=settings.sql),
                imports=Imports(),
            )
            app.state.update(opened)
            yield

    return Application(
        route_handlers=[
            *HANDLERS,
            Router("/api", route_handlers=list(HANDLERS), include_in_schema=False),
            *health.HANDLERS,
            *docs.HANDLERS,
        ],
        dependencies={
            name: Provide(_provider(opened, name))
            for name in ("engine", "stopping", "frames", "belongings", "queries", "imports")
        },
        lifespan=[lifespan],
        middleware=[Guard(settings)],
        exception_handlers={HTTPException: respond, Exception: respond},
        openapi_config=docs.openapi_config(),
        plugins=[docs.RawSchemas()],
        request_max_body_size=settings.body_bytes,
        logging_config=None,
        state=State({"settings": settings}),
        signature_types=[Belongings, Engine, Frames, Imports, Queries],
    )


def _provider(opened: Mapping[str, Any], name: str) -> Callable[[], Awaitable[Any]]:
    """Return what gives a handler what it asks for; without parameters, which would be validated."""

    async def provide() -> Any:
        return opened[name]

    return provide
