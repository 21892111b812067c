"""A turnstile lets few in at a time, in turn, and counts nobody for ever."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import httpx
import pytest

from stenograph.http import create_app
from stenograph.http.door.turnstile import Turnstile
from tests.http.serving import in_memory

URL: Final = "http://test"
JSON: Final = {"Content-Type": "application/json"}


class Noting(Turnstile):
    """Tells when somebody comes."""

    def __init__(self, at_once: int) -> None:
        super().__init__(at_once)
        self.came = asyncio.Event()

    @asynccontextmanager
    async def one(self, most_s: float) -> AsyncIterator[None]:
        self.came.set()
        async with super().one(most_s):
            yield


async def test_no_more_are_in_at_a_time_than_may_and_all_come_in_their_order() -> None:
    turnstile, inside, most, order = Turnstile(2), 0, 0, []

    async def go(number: int) -> None:
        nonlocal inside, most
        async with turnstile.one(60):
            order.append(number)
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.001)
            inside -= 1

    await asyncio.gather(*map(go, range(9)))
    assert (most, order) == (2, list(range(9)))


async def test_who_takes_long_keeps_nobody_out_and_gives_up_one_place_only() -> None:
    turnstile, ended = Turnstile(1), asyncio.Event()

    async def stay() -> None:
        async with turnstile.one(0.01):
            await ended.wait()

    staying = asyncio.ensure_future(stay())
    await asyncio.sleep(0)
    async with asyncio.timeout(20), turnstile.one(60):
        ended.set()
        await staying
    async with turnstile.one(60):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001), turnstile.one(60):
                raise AssertionError("two are in")


async def test_a_place_that_a_timer_gave_up_early_is_not_given_up_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turnstile, loop = Turnstile(1), asyncio.get_running_loop()
    with monkeypatch.context() as early:  # a loop runs what is due within its clock's resolution
        early.setattr(loop, "_clock_resolution", 120.0)
        async with turnstile.one(60):
            await asyncio.sleep(0)
            await asyncio.sleep(0)
    async with turnstile.one(60):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001), turnstile.one(60):
                raise AssertionError("two are in")


async def test_who_fails_or_gives_up_the_wait_leaves_no_place_taken() -> None:
    turnstile = Turnstile(1)
    with pytest.raises(ZeroDivisionError):
        async with turnstile.one(60):
            _ = 1 // 0
    async with turnstile.one(60):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001), turnstile.one(60):
                raise AssertionError("two are in")
    async with turnstile.one(60):
        pass


def test_an_application_that_is_opened_again_has_its_turnstile_in_the_new_loop() -> None:
    app = create_app(in_memory)
    body = json.dumps(["a"] * 20_000).encode()

    async def crowded() -> set[int]:
        transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
        async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url=URL) as client:
            asked = [client.post("/runs", content=body, headers=JSON) for _ in range(6)]
            return {each.status_code for each in await asyncio.gather(*asked)}

    assert [asyncio.run(crowded()) for _ in range(2)] == [{422}, {422}]


async def test_who_waits_for_a_place_while_the_server_stops_is_refused() -> None:
    app = create_app(in_memory)
    body = json.dumps(["a"] * 20_000).encode()
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
    async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url=URL) as client:
        app.state["large"] = turnstile = Noting(1)
        async with turnstile.one(60):
            turnstile.came.clear()
            asked = asyncio.create_task(client.post("/runs", content=body, headers=JSON))
            await turnstile.came.wait()
            app.state["stopping"].set()
        answer = await asked
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/shutting-down")
