"""A busy loop lets the writer's thread in. What that gains is no matter of tests, but of benchmarks."""

from __future__ import annotations

import asyncio
import time

import pytest

from stenograph.journal.giving_way import PAUSE_S, giving_way


async def test_the_loop_pauses_again_and_again_and_then_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    with giving_way(asyncio.get_running_loop()):
        while len(pauses) < 3:  # noqa: ASYNC110 - a busy loop is what this is about
            await asyncio.sleep(0)
    before = len(pauses)
    await asyncio.sleep(0.01)
    assert pauses == [PAUSE_S] * before


async def test_what_takes_no_time_is_given_no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    with giving_way(asyncio.get_running_loop()):
        pass
    await asyncio.sleep(0.01)
    assert pauses == []
