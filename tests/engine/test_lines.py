"""Log lines on their way to the journal: in order, soon, bounded, and none after the end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from stenograph.engine.tools.context import LogLine
from stenograph.engine.tools.lines import FLUSH_BYTES, WAITING_MAX_BYTES, Lines, call_on
from tests.clocks import VirtualClock


def line(text: str = "x") -> LogLine:
    return LogLine(0, "info", text, b"")


def progress(text: str) -> LogLine:
    return LogLine(0, "info", text, b"{}", is_progress=True)


class Taker:
    """Lines, and how often somebody was told to take them."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.told = 0
        self.heard = asyncio.Event()
        self.lines = Lines(self.clock, self.tell)

    def tell(self) -> None:
        self.told += 1
        self.heard.set()

    def put(self, *texts: str) -> None:
        for text in texts:
            self.lines.put(line(text))

    def take(self) -> list[str]:
        return [each.message for each in self.lines.take()]


async def in_thread(function: Callable[[], None]) -> None:
    await asyncio.to_thread(function)
    await asyncio.sleep(0)  # what it asked the loop to do


async def test_lines_are_announced_a_tenth_of_a_second_after_the_first() -> None:
    taker = Taker()
    taker.put("one")
    taker.clock.advance(0.05)
    taker.put("two")
    taker.clock.advance(0.04)
    assert taker.told == 0
    taker.clock.advance(0.01)
    assert (taker.told, taker.take()) == (1, ["one", "two"])


async def test_many_lines_are_announced_at_once() -> None:
    taker = Taker()
    taker.put("x" * (FLUSH_BYTES - 200))
    assert taker.told == 0
    taker.put("y")
    assert taker.told == 1
    assert taker.clock.timers == []


async def test_lines_are_announced_once_until_they_are_taken() -> None:
    taker = Taker()
    taker.put(*["x" * FLUSH_BYTES] * 3)
    taker.clock.advance(1)
    assert taker.told == 1
    taker.take()
    taker.put("x")
    taker.clock.advance(1)
    assert taker.told == 2


async def test_what_comes_after_the_announcement_is_not_announced_as_well() -> None:
    taker = Taker()
    taker.put("one")
    taker.clock.advance(0.1)
    taker.put("x" * FLUSH_BYTES)
    assert taker.told == 1
    assert len(taker.take()) == 2


async def test_lines_are_announced_again_and_again() -> None:
    taker = Taker()
    for count in range(1, 4):
        taker.put("x")
        taker.clock.advance(0.1)
        assert taker.told == count
        taker.take()


async def test_taking_early_calls_the_announcement_off() -> None:
    taker = Taker()
    taker.put("one")
    assert taker.take() == ["one"]
    taker.clock.advance(1)
    assert taker.told == 0
    assert taker.take() == []


async def test_after_the_end_lines_are_dropped_but_those_before_it_kept() -> None:
    taker = Taker()
    taker.put("before")
    taker.lines.close()
    taker.put("after")
    taker.clock.advance(1)
    assert (taker.told, taker.take()) == (0, ["before"])


async def test_lines_of_a_thread_keep_their_order() -> None:
    taker = Taker()
    await in_thread(lambda: taker.put(*map(str, range(1000))))
    taker.put("last")
    assert taker.take() == [*map(str, range(1000)), "last"]


async def test_lines_of_many_threads_are_all_there() -> None:
    taker = Taker()
    count = 8
    await asyncio.gather(
        *(asyncio.to_thread(taker.put, *[f"{n}"] * 500) for n in range(count)),
    )
    assert sorted(taker.take()) == sorted(f"{n}" for n in range(count) for _ in range(500))


async def test_a_thread_tells_the_loop_once_that_there_are_lines() -> None:
    taker = Taker()
    await in_thread(lambda: taker.put("one", "two"))
    assert len(taker.clock.timers) == 1
    await in_thread(lambda: taker.put("x" * FLUSH_BYTES))
    assert (taker.told, taker.clock.timers) == (1, [])
    await in_thread(lambda: taker.put("x" * FLUSH_BYTES))
    assert taker.told == 1


async def test_a_thread_leaves_it_to_the_loop_to_tell_and_wakes_it_seldom(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taker, woken = Taker(), 0
    loop = asyncio.get_running_loop()
    wake = loop.call_soon_threadsafe

    def counted(callback: Callable[..., Any], *args: Any) -> asyncio.Handle:
        nonlocal woken
        woken += 1
        return wake(callback, *args)

    monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
    thread = threading.Thread(target=taker.put, args=["x" * 100] * 1000)
    thread.start()
    thread.join()  # the loop stands still meanwhile
    assert (taker.told, taker.clock.timers, woken) == (0, [], 2)
    await asyncio.sleep(0)
    assert taker.told == 1


async def test_lines_that_were_taken_before_the_loop_heard_of_them_are_not_announced() -> None:
    taker = Taker()
    thread = threading.Thread(target=taker.put, args=("one",))
    thread.start()
    thread.join()  # the loop stands still meanwhile
    assert taker.take() == ["one"]
    await asyncio.sleep(0)
    taker.clock.advance(1)
    assert taker.told == 0


async def test_a_timer_that_is_set_is_not_set_again() -> None:
    taker = Taker()
    thread = threading.Thread(target=taker.put, args=("one",))
    thread.start()
    thread.join()
    assert taker.take() == ["one"]
    taker.put("two")
    await asyncio.sleep(0)  # now the loop hears of "one"
    assert len(taker.clock.timers) == 1


async def test_a_thread_that_says_more_than_is_written_waits() -> None:
    taker = Taker()
    size, said = 1024, 0

    def say() -> None:
        nonlocal said
        for number in range(100_000):
            taker.lines.put(line(f"{number:{size}}"))
            said = number

    thread = threading.Thread(target=say)
    thread.start()
    seen: list[int] = []
    most = 0
    while len(seen) < 100_000:
        await asyncio.sleep(0.001)
        taken = taker.take()
        most = max(most, sum(map(len, taken)))
        seen += map(int, taken)
    thread.join()
    assert seen == list(range(100_000))
    assert most <= WAITING_MAX_BYTES
    assert taker.told > 1


async def test_a_thread_that_waits_goes_on_once_lines_are_taken() -> None:
    taker = Taker()
    thread = threading.Thread(target=taker.put, args=["x" * 1_000_000] * 100, daemon=True)
    thread.start()
    seen = 0
    async with asyncio.timeout(30):
        while seen < 100:
            await asyncio.sleep(0.005)  # long enough to fill it and to wait
            seen += len(taker.take())
    assert seen == 100


async def test_a_thread_that_waits_is_let_go_at_the_end() -> None:
    taker = Taker()
    ended = threading.Event()

    def say() -> None:
        for _ in range(1000):
            taker.put("x" * 1_000_000)
        ended.set()

    thread = threading.Thread(target=say, daemon=True)
    thread.start()
    await asyncio.wait_for(taker.heard.wait(), 30)
    assert not ended.is_set()
    taker.lines.close()
    await asyncio.to_thread(thread.join, 30)
    assert ended.is_set()


async def test_a_task_that_says_more_than_is_written_is_cut_short_and_that_is_said() -> None:
    taker = Taker()
    count = WAITING_MAX_BYTES // 1_000_000 + 1
    taker.put(*["x" * 1_000_000] * count, "lost", "lost")
    *kept, note = taker.lines.take()
    assert len(kept) == count
    assert (note.level, note.message, note.at_us) == (
        "warning",
        "2 lines were left out: they came faster than written",
        taker.clock.now_us(),
    )
    taker.put("again")
    assert taker.take() == ["again"]


def test_nobody_is_called_on_a_loop_that_is_closed() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    call_on(loop, lambda: pytest.fail("was called"))


def test_a_thread_that_outlives_its_loop_is_not_disturbed() -> None:
    kept: list[Taker] = []

    async def make() -> None:
        kept.append(Taker())

    asyncio.run(make())
    thread = threading.Thread(target=kept[0].put, args=("one", "two"))
    thread.start()
    thread.join()
    assert kept[0].take() == ["one", "two"]


async def test_of_progress_in_a_row_the_latest_is_kept() -> None:
    taker = Taker()
    for number in range(1000):
        taker.lines.put(progress(str(number)))
    taker.put("between")
    taker.lines.put(progress("again"))
    taker.lines.put(progress("last"))
    taker.clock.advance(0.1)
    assert (taker.told, taker.take()) == (1, ["999", "between", "last"])
    taker.lines.put(progress("next"))
    assert taker.take() == ["next"]


async def test_progress_weighs_as_much_as_its_latest_line() -> None:
    taker = Taker()
    for _ in range(10):
        taker.lines.put(progress("x" * 10_000))
    assert taker.told == 0
    taker.put("x" * FLUSH_BYTES)
    assert taker.told == 1


async def test_progress_is_never_left_out() -> None:
    taker = Taker()
    taker.put(*["x" * 1_000_000] * 100)
    taker.lines.put(progress("first"))
    taker.lines.put(progress("last"))
    assert taker.take()[-2:][0] == "last"
