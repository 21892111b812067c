"""Work beside the event loop goes one at a time, and the loop goes on between."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from functools import partial

import pytest

from stenograph.journal.apart import SWITCH_S, SerialThread, apart, briefly


async def test_work_is_done_in_turn_and_the_next_begins_once_the_loop_has_gone_on() -> None:
    thread = SerialThread("serial")
    told: list[str] = []

    async def bring(name: str) -> None:
        await thread.run(lambda: told.append(f"{name} on {threading.current_thread().name}"))
        told.append(f"{name} in the loop")

    await asyncio.gather(bring("first"), bring("second"))
    assert told == [
        "first on serial_0",
        "first in the loop",
        "second on serial_0",
        "second in the loop",
    ]


async def test_the_loop_turns_meanwhile_and_hears_of_what_fails() -> None:
    waiting = asyncio.ensure_future(briefly(partial(time.sleep, 0.05)))
    turns = 0
    while not waiting.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 1
    with pytest.raises(ZeroDivisionError):
        await briefly(lambda: 1 // 0)


async def test_threads_give_way_sooner_for_as_long_as_any_such_work_is_done() -> None:
    usual = sys.getswitchinterval()
    begun, go = threading.Event(), threading.Event()

    def until_told() -> None:
        begun.set()
        go.wait()

    first = asyncio.ensure_future(SerialThread("one").run(until_told))
    await asyncio.to_thread(begun.wait)
    during = await SerialThread("other").run(sys.getswitchinterval)
    still = sys.getswitchinterval()
    go.set()
    await first
    assert (during, still, sys.getswitchinterval()) == (SWITCH_S, SWITCH_S, usual)
    with pytest.raises(ZeroDivisionError):
        await briefly(lambda: 1 // 0)
    assert sys.getswitchinterval() == usual


async def test_what_takes_no_time_is_done_where_it_is() -> None:
    assert await briefly(threading.current_thread, at_once=True) is threading.current_thread()
    assert await briefly(threading.current_thread) is not threading.current_thread()


async def test_who_is_cancelled_in_the_queue_is_passed_over() -> None:
    thread, go = SerialThread("serial"), threading.Event()
    told: list[str] = []
    first = asyncio.ensure_future(thread.run(go.wait))
    second = asyncio.ensure_future(thread.run(partial(told.append, "second")))
    third = asyncio.ensure_future(thread.run(partial(told.append, "third")))
    await asyncio.sleep(0)
    second.cancel()
    go.set()
    await asyncio.wait([first, second, third])
    assert (second.cancelled(), told) == (True, ["third"])


async def test_who_is_cancelled_in_the_midst_of_work_leaves_it_to_end_before_the_next() -> None:
    thread, begun, go = SerialThread("serial"), threading.Event(), threading.Event()
    told: list[str] = []

    def work() -> None:
        begun.set()
        go.wait(10)
        told.append("first")

    first = asyncio.ensure_future(thread.run(work))
    assert await asyncio.to_thread(begun.wait, 10)
    first.cancel()
    await asyncio.wait([first])
    second = asyncio.ensure_future(thread.run(partial(told.append, "second")))
    await asyncio.sleep(0.01)
    go.set()
    await second
    assert (first.cancelled(), told) == (True, ["first", "second"])


def test_each_loop_has_turns_of_its_own_and_leaves_nothing() -> None:
    thread = SerialThread("serial")

    async def both() -> list[int]:
        return list(await asyncio.gather(thread.run(lambda: 1), thread.run(lambda: 2)))

    assert [asyncio.run(both()) for _ in range(2)] == [[1, 2], [1, 2]]
    assert thread._turns == {}


async def test_a_thread_of_its_own_ends_with_its_work() -> None:
    thread = await apart(threading.current_thread)
    thread.join(10)
    assert not thread.is_alive()
