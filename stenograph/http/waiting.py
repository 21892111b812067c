"""Waiting for a run on behalf of a client: until it rests, the client leaves, or the server stops."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from litestar import Request

from stenograph.engine import Engine, RunView


async def wait_for_run(
    engine: Engine,
    run_id: str,
    wait_s: float,
    request: Request[Any, Any, Any],
    stopping: asyncio.Event,
) -> RunView:
    """Return a run once it ends, waits, pauses or parks, or as it is after ``wait_s`` seconds at most.

    Ends early when the client has left (the run goes on) or the server is to stop.
    """
    if wait_s > 0:
        await first_of(
            lambda: engine.wait(run_id, wait_s), lambda: until_gone(request), stopping.wait
        )
    return await engine.get(run_id)


async def first_of(*ways: Callable[[], Awaitable[Any]]) -> None:
    """Go all ways at once until one is done, then leave the others; raise what that one raised."""
    tasks = [asyncio.ensure_future(way()) for way in ways]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


async def until_gone(request: Request[Any, Any, Any]) -> None:
    """Return when the client of a request has hung up."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
