"""Waiting for a run on behalf of a client: until it rests, the client leaves, or the server stops."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from litestar import Request

from stenograph.engine import ACTIVE, Engine, RunView
from stenograph.http.door.access import check_holds
from stenograph.http.stopping import expire

UNWATCHED_S: Final = 0.1
"""How long a run may take before anybody watches whether its client is still there, or the server is
to stop: most end sooner, and a watch is a task of its own."""


async def wait_for_run(
    engine: Engine, run_id: str, wait_s: float, request: Request[Any, Any, Any]
) -> RunView:
    """Return a run once it ends, waits, pauses or parks, or as it is after ``wait_s`` seconds at most.

    Ends early when the client has left (the run goes on) or the server is to stop.
    """
    if wait_s <= 0:
        return await engine.get(run_id)
    run = await engine.wait(run_id, min(wait_s, UNWATCHED_S))
    left_s = wait_s - UNWATCHED_S
    if run.status not in ACTIVE or left_s <= 0:
        return run
    try:
        async with asyncio.timeout(None) as limit:
            with request.app.state["stopping"].ends(limit), _ended_when_gone(limit, request):
                run = await engine.wait(run_id, left_s)
    except TimeoutError:
        run = await engine.get(run_id)
    check_holds(request.scope)
    return run


@contextmanager
def _ended_when_gone(limit: asyncio.Timeout, request: Request[Any, Any, Any]) -> Iterator[None]:
    """Have a timeout run out when the client of a request has hung up."""

    async def watch() -> None:
        await until_gone(request)
        expire(limit)

    watching = asyncio.ensure_future(watch())
    try:
        yield
    finally:
        watching.cancel()


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
