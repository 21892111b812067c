"""Whether the server lives, and whether it can do its work."""

from __future__ import annotations

import asyncio

from litestar import route
from litestar.di import NamedDependency

from stenograph.engine import Engine, EngineClosed
from stenograph.http.errors import problems
from stenograph.http.wire import API_VERSION, HealthAnswer


@route(
    "/healthz",
    http_method=["GET", "HEAD"],
    responses=problems("read-only"),
    summary="Is it well?",
    tags=["Operations"],
)
async def healthz(engine: NamedDependency[Engine]) -> HealthAnswer:
    """Tell whether what is asked here can be written down; 503 after an I/O error."""
    if engine.journal.failure is not None:
        raise engine.journal.failure
    return HealthAnswer(
        status="ok",
        version=API_VERSION,
        journal=engine.journal.id,
        recovered=len(engine.recovered),
    )


@route(
    "/readyz",
    http_method=["GET", "HEAD"],
    responses=problems("read-only", "shutting-down"),
    summary="Can it take work?",
    tags=["Operations"],
)
async def readyz(
    engine: NamedDependency[Engine], stopping: NamedDependency[asyncio.Event]
) -> HealthAnswer:
    """As `/healthz`, and 503 while the server is stopping: send no new work here."""
    if stopping.is_set():
        raise EngineClosed
    return await healthz.fn(engine)  # type: ignore[no-any-return]


HANDLERS = (healthz, readyz)
