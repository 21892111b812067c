"""An outlet: messages to one client, who is let go when it does not take one in time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stenograph.http.outlet import Outlet

PATIENCE_S = 0.02


async def test_messages_go_out_in_their_order() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    outlet = Outlet(send, PATIENCE_S)
    async with outlet.open():
        for text in ("one", "two"):
            await outlet.send(text)
    assert [message["text"] for message in sent] == ["one", "two"]


async def test_a_message_that_is_not_taken_ends_the_block() -> None:
    outlet = Outlet(never, PATIENCE_S)
    with pytest.raises(TimeoutError):
        async with outlet.open():
            await outlet.send("one")


async def test_silence_ends_nothing() -> None:
    outlet = Outlet(never, PATIENCE_S)
    async with outlet.open():
        await asyncio.sleep(5 * PATIENCE_S)


async def test_no_message_has_a_timer_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    timers: list[float] = []
    call_at = loop.call_at

    def counted(when: float, *rest: Any, **named: Any) -> asyncio.TimerHandle:
        timers.append(when)
        return call_at(when, *rest, **named)

    async def send(_: Any) -> None:
        return

    monkeypatch.setattr(loop, "call_at", counted)
    outlet = Outlet(send, 60.0)
    async with outlet.open():
        for _ in range(100):
            await outlet.send("one")
    assert len(timers) == 1


async def never(_: Any) -> None:
    await asyncio.Event().wait()
