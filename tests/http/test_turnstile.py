"""A turnstile lets few in at a time, in turn, and counts nobody for ever."""

from __future__ import annotations

import asyncio

import pytest

from stenograph.http.door.turnstile import Turnstile


async def test_no_more_are_in_at_a_time_than_may_and_all_come_in_their_order() -> None:
    turnstile, inside, most, order = Turnstile(2, 60), 0, 0, []

    async def go(number: int) -> None:
        nonlocal inside, most
        async with turnstile.one():
            order.append(number)
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.001)
            inside -= 1

    await asyncio.gather(*map(go, range(9)))
    assert (most, order) == (2, list(range(9)))


async def test_who_takes_long_keeps_nobody_out_and_gives_up_one_place_only() -> None:
    turnstile, ended = Turnstile(1, 0.2), asyncio.Event()

    async def stay() -> None:
        async with turnstile.one():
            await ended.wait()

    staying = asyncio.ensure_future(stay())
    await asyncio.sleep(0)
    async with asyncio.timeout(20), turnstile.one():
        ended.set()
        await staying
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001), turnstile.one():
                raise AssertionError("two are in")


async def test_who_fails_or_gives_up_the_wait_leaves_no_place_taken() -> None:
    turnstile = Turnstile(1, 60)
    with pytest.raises(ZeroDivisionError):
        async with turnstile.one():
            _ = 1 // 0
    async with turnstile.one():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001), turnstile.one():
                raise AssertionError("two are in")
    async with turnstile.one():
        pass
