"""Whether the server lives, and whether it can do its work."""

from __future__ import annotations

import asyncio
from typing import Any

from litestar import Request, route
from litestar.di import NamedDependency

from stenograph.engine import Engine, EngineClosed
from stenograph.http.access import may_read
from stenograph.http.errors import problems
from stenograph.http.wire import API_VERSION, HealthAnswer


@route(
    "/healthz",
    needs=None,
    http_method=["GET", "HEAD"],
    responses=problems("read-only", anybody=True),
    summary="Is it well?",
    tags=["Operations"],
)
async def healthz(request: Request[Any, Any, Any], engine: NamedDependency[Engine]) -> HealthAnswer:
    """Tell whether what is asked here can be written down; 503 after an I/O error.

    Where tokens are needed, one with `read` is told more than `status`.
    """
    if engine.journal.failure is not None:
        raise engine.journal.failure
    if not may_read(request):
        return HealthAnswer(status="ok")
    tokens = request.app.state["tokens"]
    return HealthAnswer(
        status="ok",
        version=API_VERSION,
        journal=engine.journal.id,
        recovered=len(engine.recovered),
        warnings=[fault] if tokens is not None and (fault := tokens.look()) else [],
    )


@route(
    "/readyz",
    needs=None,
    http_method=["GET", "HEAD"],
    responses=problems("read-only", "shutting-down", anybody=True),
    summary="Can it take work?",
    tags=["Operations"],
)
async def readyz(
    request: Request[Any, Any, Any],
    engine: NamedDependency[Engine],
    stopping: NamedDependency[asyncio.Event],
) -> HealthAnswer:
    """As `/healthz`, and 503 while the server is stopping: send no new work here."""
    if stopping.is_set():
        raise EngineClosed
    return await healthz.fn(request, engine)  # type: ignore[no-any-return]


HANDLERS = (healthz, readyz)
