"""A busy loop lets the writer's thread in. What that gains is no matter of tests, but of benchmarks."""

from __future__ import annotations

import asyncio
import time
from itertools import count

import pytest

from stenograph.journal import giving_way
from stenograph.journal.giving_way import PAUSE_S, GivingWay

NEVER = 3600.0


class Stuck:
    """A thread at work that gets no further."""

    is_under_way = True
    progress = 1


class Brisk:
    """A thread at work that has got further whenever somebody looks."""

    is_under_way = True

    def __init__(self) -> None:
        self.steps = count()

    @property
    def progress(self) -> int:
        return next(self.steps)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the loop paused, each time; it passes for busy, and the thread for late."""
    monkeypatch.setattr(giving_way, "TURN_S", -1.0)
    monkeypatch.setattr(giving_way, "AFTER_S", -1.0)
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    return slept


async def test_the_loop_pauses_again_and_again_and_then_no_more(pauses: list[float]) -> None:
    worker = Stuck()
    GivingWay(worker).begin()
    while len(pauses) < 3:  # noqa: ASYNC110 - a busy loop is what this is about
        await asyncio.sleep(0)
    worker.is_under_way = False
    await asyncio.sleep(0.02)
    assert pauses == [PAUSE_S] * 3


async def test_a_loop_that_was_busy_pauses_at_once_for_who_begins(pauses: list[float]) -> None:
    worker = Stuck()
    giving = GivingWay(worker)
    giving.begin()
    while not pauses:  # noqa: ASYNC110
        await asyncio.sleep(0)
    worker.is_under_way = False
    await asyncio.sleep(0)
    worker.is_under_way = True
    giving.begin()
    giving.begin()  # which changes nothing
    await asyncio.sleep(0)
    assert len(pauses) == 2


async def test_a_thread_that_gets_on_is_given_no_pause(pauses: list[float]) -> None:
    GivingWay(worker := Brisk()).begin()
    while next(worker.steps) < 20:  # noqa: ASYNC110
        await asyncio.sleep(0)
    worker.is_under_way = False
    assert pauses == []


async def test_a_thread_is_given_no_pause_before_it_is_late(
    pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(giving_way, "AFTER_S", NEVER)
    await look_for_a_while()
    assert pauses == []


async def test_a_loop_with_short_turns_pauses_now_and_then(
    pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(giving_way, "TURN_S", NEVER)
    await look_for_a_while()
    assert len(pauses) > 1


async def test_a_loop_with_short_turns_is_not_looked_at_in_each(
    pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(giving_way, "TURN_S", NEVER)
    monkeypatch.setattr(giving_way, "LOOK_S", 0.01)
    worker = Stuck()
    GivingWay(worker).begin()
    for _ in range(1000):
        await asyncio.sleep(0)
    worker.is_under_way = False
    assert len(pauses) < 100


async def look_for_a_while() -> None:
    """Have a thread looked after that gets no further."""
    worker = Stuck()
    GivingWay(worker).begin()
    await asyncio.sleep(0.03)
    worker.is_under_way = False
    await asyncio.sleep(0.02)
