"""A deadline: moved without a timer, and passed once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stenograph.http.serving.deadline import Deadline

SOON_S = 0.01


class Passed(list[float]):
    """Takes down when a deadline passes."""

    def note(self) -> None:
        self.append(asyncio.get_running_loop().time())


async def test_a_deadline_passes_once() -> None:
    passed = Passed()
    deadline = Deadline(asyncio.get_running_loop(), SOON_S, passed.note)
    deadline.begin()
    await asyncio.sleep(10 * SOON_S)
    assert len(passed) == 1


async def test_a_deadline_that_is_taken_back_does_not_pass() -> None:
    passed = Passed()
    for take_back in (Deadline.end, Deadline.close):
        deadline = Deadline(asyncio.get_running_loop(), SOON_S, passed.note)
        deadline.begin()
        take_back(deadline)
        deadline.close()
    deadline.begin()  # it was closed for good
    await asyncio.sleep(10 * SOON_S)
    assert passed == []


async def test_a_deadline_that_is_moved_passes_after_the_last_time_it_began() -> None:
    passed = Passed()
    loop = asyncio.get_running_loop()
    deadline = Deadline(loop, 10 * SOON_S, passed.note)
    for _ in range(15):
        deadline.begin()
        begun = loop.time()
        await asyncio.sleep(SOON_S)
    await asyncio.sleep(20 * SOON_S)
    assert [each >= begun + 10 * SOON_S for each in passed] == [True]


async def test_a_deadline_may_be_sooner_than_it_was() -> None:
    passed = Passed()
    deadline = Deadline(asyncio.get_running_loop(), 3600.0, passed.note)
    deadline.begin()
    deadline.begin(SOON_S)
    await asyncio.sleep(10 * SOON_S)
    assert len(passed) == 1


async def test_moving_it_costs_no_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    timers: list[float] = []
    call_at = loop.call_at

    def counted(when: float, *rest: Any, **named: Any) -> asyncio.TimerHandle:
        timers.append(when)
        return call_at(when, *rest, **named)

    monkeypatch.setattr(loop, "call_at", counted)
    deadline = Deadline(loop, 60.0, timers.clear)
    for _ in range(100):
        deadline.begin()
        deadline.end()
    deadline.close()
    assert len(timers) == 1
