"""Waiting: what ends when the server is to stop."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

import pytest

from stenograph.http.stopping import Stopping


async def wait(stopping: Stopping, seconds: float | None = None, *, stops: bool = False) -> None:
    """Wait as requests do; ``stops``: the server is to stop just when the time is up."""
    async with asyncio.timeout(seconds) as limit:
        with ExitStack() as leaving:
            leaving.enter_context(stopping.ends(limit))
            if stops:
                leaving.callback(stopping.set)
            await asyncio.Event().wait()


async def test_who_waits_stops_when_the_server_does() -> None:
    stopping = Stopping()
    asyncio.get_running_loop().call_soon(stopping.set)
    with pytest.raises(TimeoutError):
        await wait(stopping)


async def test_who_comes_when_the_server_stops_waits_for_nothing() -> None:
    stopping = Stopping()
    stopping.set()
    with pytest.raises(TimeoutError):
        await wait(stopping)


async def test_who_has_waited_long_enough_is_not_told_again() -> None:
    with pytest.raises(TimeoutError):
        await wait(Stopping(), 0, stops=True)
