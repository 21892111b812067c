"""One attempt: whatever a tool does comes back as a result, in time, once, and with its lines."""

from __future__ import annotations

import asyncio
import functools
import gc
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from stenograph.engine.executor.attempt import Attempt, Raised, Result, Returned, raised
from stenograph.engine.executor.threads import Threads
from stenograph.engine.state.state import State
from stenograph.engine.tools.context import Context
from stenograph.engine.tools.failure import MESSAGE_MAX_CHARS, TRACEBACK_MAX_CHARS
from stenograph.engine.tools.tools import Function, Tool, tool
from tests.clocks import START_US, VirtualClock
from tests.sites import PLACE, site
from tests.worlds import world

SOON_S = 30
"""Long enough for anything that will happen at all."""


class Bench:
    """Attempts on a clock of their own; ``results`` and ``said`` are what was told of them."""

    def __init__(self, threads: Threads) -> None:
        self.clock = VirtualClock()
        self.threads = threads
        self.world = world(self.clock, threads=threads)
        self.results: list[Result] = []
        self.said = 0
        self.settled = asyncio.Event()

    def begin(
        self, function: Function | Tool | None, timeout_s: float = 5, **config: Any
    ) -> Attempt:
        attempt = Attempt(
            PLACE,
            function if isinstance(function, Tool | None) else tool(name="tool")(function),
            config,
            timeout_s,
            self.world,
            site=site,
            settled=self.settle,
            said=self.say,
        )
        attempt.start(State.from_values({"n": 1}).draft())
        return attempt

    def settle(self, attempt: Attempt, result: Result) -> None:
        self.results.append(result)
        self.settled.set()

    def say(self, attempt: Attempt) -> None:
        self.said += 1

    async def result_of(self, function: Function | None, **config: Any) -> Any:
        """Run to the one result that there is."""
        self.begin(function, **config)
        await asyncio.wait_for(self.settled.wait(), SOON_S)
        (result,) = self.results
        return result


class Gate:
    """What a tool in a thread waits at until the test opens it."""

    def __init__(self) -> None:
        self.begun, self.opened = threading.Event(), threading.Event()
        self.thread = threading.current_thread()

    def __call__(self) -> None:
        self.thread = threading.current_thread()
        self.begun.set()
        assert self.opened.wait(SOON_S)

    async def has_begun(self) -> None:
        assert await asyncio.to_thread(self.begun.wait, SOON_S)

    def open(self) -> None:
        self.opened.set()

    async def has_ended(self) -> None:
        """Wait for the thread, which ends with an abandoned job, and for what it told the loop."""
        await asyncio.to_thread(self.thread.join, SOON_S)
        assert not self.thread.is_alive()
        await turn()


@contextmanager
def bench(limit: int = 8) -> Iterator[Bench]:
    threads = Threads(limit)
    try:
        yield Bench(threads)
    finally:
        threads.close()


@contextmanager
def collecting_nothing() -> Iterator[None]:
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def turn() -> None:
    """Let everything happen that is ready to."""
    for _ in range(5):
        await asyncio.sleep(0)


def in_both_ways(body: Callable[[Any, Any], Any]) -> list[Any]:
    """A tool of the same body that is called in a thread, and one that is a task."""

    def sync_tool(state: Any, ctx: Any) -> Any:
        return body(state, ctx)

    async def async_tool(state: Any, ctx: Any) -> Any:
        return body(state, ctx)

    return [sync_tool, async_tool]


def raise_(error: BaseException) -> Any:
    raise error


async def test_what_a_tool_returns_is_its_result() -> None:
    for function in in_both_ways(lambda state, ctx: {"n": state["n"] + 1}):
        with bench() as bench_:
            assert await bench_.result_of(function) == Returned({"n": 2})


async def test_without_a_tool_nothing_is_called_and_nothing_changes() -> None:
    with bench() as bench_:
        assert await bench_.result_of(None) == Returned(None)
        assert bench_.clock.timers == []


async def test_a_sync_tool_runs_in_a_thread_and_an_async_one_on_the_loop() -> None:
    sync_tool, async_tool = in_both_ways(lambda state, ctx: threading.current_thread().name)
    with bench() as bench_:
        assert await bench_.result_of(sync_tool) == Returned("stenograph-tool")
    with bench() as bench_:
        assert await bench_.result_of(async_tool) == Returned(threading.current_thread().name)


async def test_a_tool_is_given_what_it_asks_for_and_no_more() -> None:
    def asks(state: Any, *, ctx: Context, config: Any) -> Any:
        return (ctx.run_id, ctx.scope, ctx.node, ctx.visit, ctx.attempt, config["a"])

    def asks_not(state: Any, **others: Any) -> Any:
        return others

    with bench() as bench_:
        assert await bench_.result_of(asks, a=1) == Returned(("run", "/", "node", 2, 3, 1))
    with bench() as bench_:
        assert await bench_.result_of(asks_not, a=1) == Returned({})


async def test_a_tool_that_changes_its_config_changes_nobody_elses() -> None:
    def change(state: Any, config: Any) -> Any:
        config["list"].append(1)
        return config

    mine: list[int] = []
    with bench() as bench_:
        assert await bench_.result_of(change, list=mine) == Returned({"list": [1]})
    assert mine == []


@pytest.mark.parametrize(
    "error",
    [
        ValueError("wrong"),
        SystemExit("bye"),
        KeyboardInterrupt("stop"),
        GeneratorExit("over"),
        asyncio.CancelledError("cancelled"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_whatever_a_tool_raises_is_its_result(error: BaseException) -> None:
    for function in in_both_ways(lambda state, ctx: raise_(error)):
        with bench() as bench_:
            result = await bench_.result_of(function)
            assert not result.timed_out
            assert (result.error.type, result.error.message) == (type(error).__name__, str(error))
            assert "in raise_" in result.error.traceback


async def test_the_end_of_an_iteration_is_an_error_as_python_has_it() -> None:
    types = []
    for function in in_both_ways(lambda state, ctx: next(iter(()))):
        with bench() as bench_:
            types.append((await bench_.result_of(function)).error.type)
    assert types == ["StopIteration", "RuntimeError"]


async def test_an_error_tells_its_type_its_bases_its_message_and_its_traceback() -> None:
    def look(state: Any) -> Any:
        return dict[str, int]()["colour"]

    with bench() as bench_:
        result = await bench_.result_of(look)
    assert result.types == ("KeyError", "LookupError", "Exception", "BaseException")
    assert (result.error.type, result.error.message) == ("KeyError", "'colour'")
    assert result.error.traceback.startswith("Traceback (most recent call last):\n")
    assert 'return dict[str, int]()["colour"]' in result.error.traceback
    assert "stenograph/engine" not in result.error.traceback


async def test_a_tool_that_cannot_be_called_as_it_said_is_an_error_too() -> None:
    def wrapped(state: Any, ctx: Any) -> None: ...

    @functools.wraps(wrapped)
    def wrapper(state: Any) -> None: ...

    with bench() as bench_:
        result = await bench_.result_of(wrapper)
    assert result.error.type == "TypeError"
    assert "unexpected keyword argument 'ctx'" in result.error.message


async def test_a_plain_function_may_return_what_is_to_be_awaited() -> None:
    async def later(state: Any) -> Any:
        await asyncio.sleep(0)
        return {"thread": threading.current_thread().name}

    def around(state: Any) -> Any:
        return later(state)

    with bench() as bench_:
        assert await bench_.result_of(around) == Returned(
            {"thread": threading.current_thread().name}
        )


class Awaitable:
    def __await__(self) -> Any:
        raise AssertionError("was awaited")


async def never(state: Any) -> None:
    raise AssertionError("was awaited")


@pytest.mark.parametrize("late", [never, lambda state: Awaitable()], ids=["coroutine", "other"])
async def test_what_is_to_be_awaited_is_not_after_the_end(late: Function) -> None:
    gate = Gate()

    def around(state: Any) -> Any:
        gate()
        return late(state)

    with bench() as bench_:
        attempt = bench_.begin(around)
        await gate.has_begun()
        attempt.abandon()
        gate.open()
        await gate.has_ended()
        assert (bench_.results, attempt.task) == ([], None)


async def test_a_tool_runs_out_of_time_by_the_clock() -> None:
    wake = threading.Event()

    async def hang(state: Any) -> None:
        await asyncio.sleep(3600)

    def hang_in_a_thread(state: Any) -> None:
        wake.wait(SOON_S)

    for function in (hang, hang_in_a_thread):
        with bench() as bench_:
            attempt = bench_.begin(function)
            while not attempt.has_begun:  # time counts from when a thread has begun
                await turn()
            bench_.clock.advance(4.999)
            assert bench_.results == []
            bench_.clock.advance(0.001)
            (result,) = bench_.results
            assert isinstance(result, Raised)
            assert result.timed_out
            assert (result.error.type, result.error.message) == (
                "TimeoutError",
                "no result after 5 s",
            )
            assert result.types == ("TimeoutError",)
            assert attempt.running_ms() == 5000
            assert bench_.clock.timers == []
            await turn()
            assert len(bench_.results) == 1
    wake.set()


async def test_the_wait_for_a_free_thread_is_not_the_tools_time() -> None:
    gate = Gate()
    with bench(limit=1) as bench_:
        bench_.threads.submit(gate)
        await gate.has_begun()
        attempt = bench_.begin(lambda state: "done")
        bench_.clock.advance(60)
        assert bench_.results == []
        gate.open()
        await asyncio.wait_for(bench_.settled.wait(), SOON_S)
        assert (bench_.results, attempt.running_ms()) == ([Returned("done")], 0)


async def test_who_gets_a_thread_late_has_his_whole_time_from_then_on() -> None:
    busy, gate = Gate(), Gate()
    with bench(limit=1) as bench_:
        bench_.threads.submit(busy)
        await busy.has_begun()
        attempt = bench_.begin(lambda state: gate())
        bench_.clock.advance(13)
        busy.open()
        await gate.has_begun()
        bench_.clock.advance(4.999)
        assert bench_.results == []
        bench_.clock.advance(0.001)
        assert [type(each) for each in bench_.results] == [Raised]
        assert attempt.running_ms() == 5000
        gate.open()


@pytest.mark.parametrize("timeout_s", [1e-9, 1e-6, 0.001])
async def test_however_short_a_limit_is_it_begins_with_the_tool_and_costs_little_before(
    timeout_s: float,
) -> None:
    busy, gate = Gate(), Gate()
    with bench(limit=1) as bench_:
        bench_.threads.submit(busy)
        await busy.has_begun()
        attempt = bench_.begin(lambda state: gate(), timeout_s)
        looks = 0
        while bench_.clock.monotonic_us() < START_US + 1_000_000:
            (timer,) = bench_.clock.timers
            bench_.clock.advance((timer.due_us - bench_.clock.now_us()) / 1_000_000)
            looks += 1
        assert (bench_.results, attempt.has_begun) == ([], False)
        assert looks <= 101
        busy.open()
        await gate.has_begun()
        bench_.clock.advance(0.02)
        assert [type(each) for each in bench_.results] == [Raised]
        gate.open()


async def test_no_time_is_counted_of_what_was_abandoned_as_it_began() -> None:
    gate = Gate()
    with bench() as bench_:
        attempt = bench_.begin(lambda state: gate())
        assert gate.begun.wait(SOON_S)
        attempt.abandon()
        bench_.clock.advance(5)
        assert (bench_.results, bench_.clock.timers) == ([], [])
        gate.open()


async def test_an_async_tool_that_ran_out_of_time_is_cancelled() -> None:
    stopped = asyncio.Event()

    async def hang(state: Any) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            stopped.set()

    with bench() as bench_:
        attempt = bench_.begin(hang)
        await turn()
        bench_.clock.advance(5)
        await turn()
        assert stopped.is_set()
        assert attempt.task is not None
        assert attempt.task.done()


async def test_an_async_tool_that_ignores_its_cancellation_is_left_behind() -> None:
    woken = asyncio.Event()

    async def stubborn(state: Any, ctx: Context) -> Any:
        while not woken.is_set():
            try:
                await woken.wait()
            except asyncio.CancelledError:
                ctx.log("I stay")
        return {"late": True}

    with bench() as bench_:
        attempt = bench_.begin(stubborn)
        await turn()
        bench_.clock.advance(5)
        await turn()
        assert attempt.task is not None
        assert not attempt.task.done()
        woken.set()
        await asyncio.wait_for(attempt.task, SOON_S)
        assert attempt.task.done()
        assert [type(result) for result in bench_.results] == [Raised]
        assert attempt.take_lines() == []


async def test_a_thread_that_is_left_behind_is_replaced_and_its_result_dropped() -> None:
    gate = Gate()

    def hang(state: Any, ctx: Context) -> Any:
        gate()
        ctx.log("too late")
        return {"late": True}

    with bench(limit=1) as bench_:
        attempt = bench_.begin(hang)
        await gate.has_begun()
        bench_.clock.advance(5)
        bench_.settled.clear()
        bench_.begin(lambda state: "next")
        await asyncio.wait_for(bench_.settled.wait(), SOON_S)
        gate.open()
        await gate.has_ended()
        assert [type(result) for result in bench_.results] == [Raised, Returned]
        assert attempt.take_lines() == []


async def test_nothing_is_told_of_an_attempt_that_was_abandoned() -> None:
    async def log_and_return(state: Any, ctx: Context) -> Any:
        ctx.log("hello")
        return {}

    for function in (log_and_return, None):
        with bench() as bench_:
            attempt = bench_.begin(function)
            attempt.abandon()
            attempt.abandon()
            await turn()
            bench_.clock.advance(60)
            assert (bench_.results, bench_.said, attempt.take_lines()) == ([], 0, [])


async def test_what_a_thread_had_said_is_dropped_when_it_is_abandoned() -> None:
    gate = Gate()

    def talk(state: Any, ctx: Context) -> None:
        ctx.log("hello")
        gate()

    with bench() as bench_:
        attempt = bench_.begin(talk)
        await gate.has_begun()
        attempt.abandon()
        gate.open()
        await gate.has_ended()
        assert (attempt.take_lines(), bench_.results, bench_.said) == ([], [], 0)


async def test_lines_wait_for_a_moment_and_those_left_are_there_at_the_end() -> None:
    go = asyncio.Event()

    async def talk(state: Any, ctx: Context) -> None:
        ctx.log("one", n=1)
        ctx.log("two", level="error")
        await go.wait()
        ctx.log("three")

    with bench() as bench_:
        attempt = bench_.begin(talk)
        await turn()
        bench_.clock.advance(0.099)
        assert bench_.said == 0
        bench_.clock.advance(0.001)
        assert bench_.said == 1
        assert [each.message for each in attempt.take_lines()] == ["one", "two"]
        go.set()
        await turn()
        bench_.clock.advance(60)
        assert bench_.said == 1
        (line,) = attempt.take_lines()
        assert (line.message, line.at_us) == ("three", bench_.clock.now_us() - 60_000_000)


async def test_lines_of_a_thread_come_before_its_result_and_in_their_order() -> None:
    def talk(state: Any, ctx: Context) -> None:
        for number in range(1000):
            ctx.log(number)

    with bench() as bench_:
        attempt = bench_.begin(talk)
        await asyncio.wait_for(bench_.settled.wait(), SOON_S)
        lines = attempt.take_lines()
        assert [int(each.message) for each in lines] == list(range(1000))


async def test_lines_of_a_helping_thread_keep_their_place() -> None:
    async def talk(state: Any, ctx: Context) -> None:
        for number in range(0, 100, 2):
            await asyncio.to_thread(ctx.log, number)
            ctx.log(number + 1)

    with bench() as bench_:
        attempt = bench_.begin(talk)
        await asyncio.wait_for(bench_.settled.wait(), SOON_S)
        assert [int(each.message) for each in attempt.take_lines()] == list(range(100))


async def test_many_steps_of_progress_cost_one_line_and_that_is_the_last() -> None:
    def advance(state: Any, ctx: Context) -> None:
        for number in range(100_000):
            ctx.progress(number)

    with bench() as bench_:
        attempt = bench_.begin(advance)
        await asyncio.wait_for(bench_.settled.wait(), SOON_S)
        (line,) = attempt.take_lines()
        assert line.fields == b'{"done":99999,"total":null}'


async def test_the_wait_at_a_gate_is_not_the_tools_time() -> None:
    opened = asyncio.Event()

    @tool(limit=1)
    async def one_at_a_time(state: Any) -> str:
        await opened.wait()
        return "done"

    with bench() as bench_:
        bench_.begin(one_at_a_time)
        attempt = bench_.begin(one_at_a_time)
        await turn()
        assert attempt.task is None
        assert not attempt.has_begun
        bench_.clock.advance(4)
        opened.set()
        await turn()
        assert bench_.results == [Returned("done"), Returned("done")]
        assert attempt.running_ms() == 0


@pytest.mark.parametrize("end", ["abandoned", "timed out", "failed"])
async def test_however_an_attempt_ends_it_lets_the_next_in(end: str) -> None:
    @tool(limit=1)
    async def end_somehow(state: Any) -> None:
        if end == "failed":
            raise ValueError(end)
        await asyncio.sleep(3600)

    with bench() as bench_:
        first, second, third = (bench_.begin(end_somehow) for _ in range(3))
        second.abandon()
        if end == "abandoned":
            first.abandon()
        elif end == "timed out":
            bench_.clock.advance(5)
        await turn()
        assert second.task is None
        assert third.task is not None
        third.abandon()
        await turn()


async def test_a_tool_waits_for_its_rate() -> None:
    @tool(rate=(1, 60))
    async def seldom(state: Any) -> None: ...

    with bench() as bench_:
        bench_.begin(seldom)
        bench_.begin(seldom)
        await turn()
        assert len(bench_.results) == 1
        bench_.clock.advance(60)
        await turn()
        assert len(bench_.results) == 2


async def test_a_call_that_cannot_begin_behind_a_gate_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @tool(limit=1)
    def work(state: Any) -> None: ...

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with bench() as bench_:
        monkeypatch.setattr(threading.Thread, "start", refuse)
        bench_.begin(work)
        bench_.begin(work)
        await turn()
        assert [type(each) for each in bench_.results] == [Raised, Raised]
        assert bench_.results[0] == bench_.results[1]
        monkeypatch.undo()


@pytest.mark.parametrize("end", ["returned", "raised", "timed out", "abandoned"])
async def test_an_attempt_that_is_over_is_gone_and_no_collector_is_needed(end: str) -> None:
    async def come_to_its_end(state: Any, ctx: Context) -> None:
        ctx.log("hello")
        if end == "raised":
            raise ValueError(end)
        if end != "returned":
            await asyncio.sleep(3600)

    with bench() as bench_, collecting_nothing():
        attempt = bench_.begin(come_to_its_end)
        await turn()
        if end == "abandoned":
            attempt.abandon()
        elif end == "timed out":
            bench_.clock.advance(5)
        attempt.take_lines()
        gone = weakref.ref(attempt)
        del attempt
        await turn()
        assert gone() is None


async def test_nor_is_it_needed_for_one_in_a_thread() -> None:
    with bench(limit=1) as bench_, collecting_nothing():
        attempt = bench_.begin(lambda state: None)
        await asyncio.wait_for(bench_.settled.wait(), SOON_S)
        gone = weakref.ref(attempt)
        del attempt
        next_job = threading.Event()
        bench_.threads.submit(next_job.set)
        assert await asyncio.to_thread(next_job.wait, SOON_S)
        await turn()
        assert gone() is None


async def test_how_long_an_attempt_ran_is_not_told_by_the_clock_on_the_wall() -> None:
    with bench() as bench_:
        attempt = bench_.begin(None)
        bench_.clock.advance(1.5)
        assert attempt.running_ms() == 1500
        bench_.clock.step(-3600)
        assert attempt.running_ms() == 1500


def test_a_tool_that_outlives_its_loop_disturbs_nobody() -> None:
    wake, ended = threading.Event(), threading.Event()
    threads = Threads(1)

    def outlive(state: Any) -> None:
        wake.wait(SOON_S)

    async def begin() -> Bench:
        bench_ = Bench(threads)
        bench_.begin(outlive)
        return bench_

    bench_ = asyncio.run(begin())
    wake.set()
    threads.submit(ended.set)
    assert ended.wait(SOON_S)
    assert bench_.results == []
    threads.close()


class Mute(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


class Rude(Exception):
    def __str__(self) -> str:
        sys.exit("I end everything")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (Mute(), "(its message cannot be had: ValueError)"),
        (Rude(), "(its message cannot be had: SystemExit)"),
        (ValueError("half a \ud800 pair"), "half a ? pair"),
        (ValueError("x" * 1_000_000), "x" * MESSAGE_MAX_CHARS),
        (ValueError("\x00"), "\x00"),
        (KeyError(), ""),
    ],
    ids=["mute", "rude", "surrogate", "long", "control", "empty"],
)
def test_the_message_of_an_error_is_text_of_a_bounded_length(
    error: BaseException, message: str
) -> None:
    assert raised(error).error.message == message


def test_a_traceback_is_cut_at_its_beginning() -> None:
    try:
        raise_(ValueError("x" * 20_000 + "the end"))
    except ValueError as error:
        trace = raised(error).error.traceback
    assert len(trace) == TRACEBACK_MAX_CHARS
    assert trace.endswith("the end\n")


def test_a_traceback_that_cannot_be_had_is_said_to_be_so() -> None:
    error = SyntaxError("x", ("f", 1, {}, "text"))  # type: ignore[arg-type]
    assert raised(error).error.traceback == "(its traceback cannot be had: TypeError)"


def test_an_error_with_causes_and_an_error_of_errors_are_told_whole() -> None:
    try:
        try:
            raise_(KeyError("first"))
        except KeyError as first:
            raise ExceptionGroup("many", [ValueError("a"), OSError("b")]) from first
    except ExceptionGroup as error:
        told = raised(error)
    assert told.types[:2] == ("ExceptionGroup", "BaseExceptionGroup")
    assert told.error.message == "many (2 sub-exceptions)"
    for part in ("KeyError: 'first'", "ValueError: a", "OSError: b"):
        assert part in told.error.traceback


def test_the_name_of_an_error_is_bounded_as_well() -> None:
    kind: type[Exception] = type("E" * 1_000_000, (Exception,), {})
    assert raised(kind("x")).types[0] == raised(kind("x")).error.type == "E" * 200
