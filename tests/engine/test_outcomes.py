"""What a tool raises, returns, says or never comes to is an outcome, with its reason in the journal.

What tools may do to the process and to other runs has tests of its own, in ``test_misbehaving_tools``.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

import stenograph as st
from stenograph.engine import Engine, RunView, decode
from stenograph.engine.core.events import NodeExited
from stenograph.engine.state.state import State
from tests.graphs import chain, count, note, one

CATCHING = [{"to": "after", "on": "error"}, {"to": "after", "on": "timeout"}]


@st.tool
async def raise_system_exit(state: dict[str, Any]) -> None:
    sys.exit("bye")


@st.tool
def raise_system_exit_in_a_thread(state: dict[str, Any]) -> None:
    sys.exit(3)


@st.tool
async def raise_keyboard_interrupt(state: dict[str, Any]) -> None:
    raise KeyboardInterrupt


@st.tool
def raise_keyboard_interrupt_in_a_thread(state: dict[str, Any]) -> None:
    raise KeyboardInterrupt


@st.tool
async def raise_generator_exit(state: dict[str, Any]) -> None:
    raise GeneratorExit


@st.tool
async def raise_cancelled(state: dict[str, Any]) -> None:
    raise asyncio.CancelledError


@st.tool
async def cancel_itself(state: dict[str, Any]) -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)


@st.tool
def recurse(state: dict[str, Any]) -> Any:
    return recurse(state)


class Mute(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


@st.tool
async def raise_the_unspeakable(state: dict[str, Any]) -> None:
    raise Mute


@st.tool
async def raise_with_a_surrogate(state: dict[str, Any]) -> None:
    raise ValueError("\ud800" * 10_000)


@st.tool
async def raise_a_group(state: dict[str, Any]) -> None:
    raise ExceptionGroup("many", [ValueError("a"), KeyError("b")])


@st.tool
async def return_a_number(state: dict[str, Any]) -> Any:
    return 7


@st.tool
async def return_itself(state: dict[str, Any]) -> dict[str, Any]:
    loop: dict[str, Any] = {}
    loop["loop"] = loop
    return loop


@st.tool
async def keep_a_set(state: dict[str, Any]) -> None:
    state["set"] = {1, 2}


@st.tool
async def return_a_number_as_key(state: dict[str, Any]) -> dict[Any, Any]:
    return {1: "one"}


@st.tool
async def grow_too_large(state: dict[str, Any]) -> dict[str, Any]:
    return {"big": "x" * 3_000_000}


@st.tool
async def go_nowhere(state: dict[str, Any]) -> st.Goto:
    return st.Goto("nowhere")


@st.tool
async def go_to_a_number(state: dict[str, Any]) -> dict[str, Any]:
    return {"__next_node__": 5}


class Tricky(dict[str, Any]):
    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("no")

    def keys(self) -> Any:
        raise RuntimeError("no")


@st.tool
async def return_what_raises(state: dict[str, Any]) -> dict[str, Any]:
    return Tricky(a=1)


MISBEHAVING = {
    raise_system_exit: "SystemExit",
    raise_system_exit_in_a_thread: "SystemExit",
    raise_keyboard_interrupt: "KeyboardInterrupt",
    raise_keyboard_interrupt_in_a_thread: "KeyboardInterrupt",
    raise_generator_exit: "GeneratorExit",
    raise_cancelled: "CancelledError",
    cancel_itself: "CancelledError",
    recurse: "RecursionError",
    raise_the_unspeakable: "Mute",
    raise_with_a_surrogate: "ValueError",
    raise_a_group: "ExceptionGroup",
    return_a_number: "not-json",
    return_itself: "not-json",
    keep_a_set: "not-json",
    return_a_number_as_key: "not-json",
    grow_too_large: "state-too-large",
    go_nowhere: "UnknownNode",
    go_to_a_number: "not-json",
    return_what_raises: "RuntimeError",
}


async def exit_of(engine: Engine, run: RunView) -> NodeExited:
    events = [decode(record).data for record in await engine.journal.read(run.id)]
    return next(event for event in events if isinstance(event, NodeExited))


@pytest.mark.parametrize("tool", MISBEHAVING, ids=lambda tool: tool.name)
async def test_a_tool_that_misbehaves_fails_its_run_and_no_other(tool: Any) -> None:
    async with st.open(":memory:", tools=[tool, count, note]) as engine:
        good = asyncio.ensure_future(engine.run(chain(*["count"] * 20)))
        bad = await engine.run(chain(tool.name), {"kept": [1]}, wait_s=20)
        assert (bad.status, bad.state) == ("failed", {"kept": [1]})
        assert bad.error is not None
        assert bad.error.type == MISBEHAVING[tool]
        assert (await good).state == {"n": 20}


@pytest.mark.parametrize("tool", MISBEHAVING, ids=lambda tool: tool.name)
async def test_an_edge_catches_any_misbehaviour(tool: Any) -> None:
    async with st.open(":memory:", tools=[tool, count, note]) as engine:
        run = await engine.run(one(tool.name, next=CATCHING), wait_s=20)
        assert (run.status, run.state) == ("completed", {"notes": ["seen"]})


async def test_an_error_is_recorded_with_its_type_message_and_traceback() -> None:
    @st.tool
    async def fail(state: dict[str, Any]) -> None:
        raise KeyError("colour")

    async with st.open(":memory:", tools=[fail]) as engine:
        run = await engine.run(chain("fail"))
        error = (await exit_of(engine, run)).error
    assert error is not None
    assert (error.type, error.message, error.node) == ("KeyError", "'colour'", "fail-0")
    assert 'raise KeyError("colour")' in error.traceback
    assert "attempt.py" not in error.traceback, "the traceback begins in the tool's own code"


async def test_a_failed_tool_leaves_no_trace_in_the_state() -> None:
    @st.tool
    async def spoil(state: dict[str, Any]) -> None:
        state["list"].append(2)
        state["new"] = 1
        raise ValueError

    @st.tool
    async def look(state: dict[str, Any]) -> dict[str, Any]:
        return {"saw": dict(state)}

    graph = {
        "start": "a",
        "nodes": {
            "a": {"tool": "spoil", "next": [{"to": "b", "on": "error"}]},
            "b": {"tool": "look"},
        },
    }
    async with st.open(":memory:", tools=[spoil, look]) as engine:
        run = await engine.run(graph, {"list": [1]})
    assert run.state == {"list": [1], "saw": {"list": [1]}}


@pytest.mark.parametrize("in_a_thread", [False, True])
async def test_a_tool_that_hangs_runs_out_of_time(in_a_thread: bool) -> None:
    wake = threading.Event()

    @st.tool
    async def hang(state: dict[str, Any]) -> None:
        await asyncio.sleep(3600)

    @st.tool(name="hang")
    def hang_in_a_thread(state: dict[str, Any]) -> None:
        wake.wait(60)

    tool = hang_in_a_thread if in_a_thread else hang
    async with st.open(":memory:", tools=[tool, count, note]) as engine:
        run = await engine.run(one("hang", timeout_s=0.02), wait_s=20)
        assert run.error is not None
        assert (run.status, run.error.type) == ("failed", "TimeoutError")
        assert (await exit_of(engine, run)).outcome == "timeout"
    wake.set()


async def test_a_tool_that_ignores_its_cancellation_is_left_behind() -> None:
    woken = asyncio.Event()

    @st.tool
    async def stubborn(state: dict[str, Any], ctx: st.Context) -> dict[str, Any]:
        while True:
            try:
                await asyncio.wait_for(woken.wait(), 60)
            except asyncio.CancelledError:
                continue
            ctx.log("too late")
            return {"late": True}

    async with st.open(":memory:", tools=[stubborn, note]) as engine:
        run = await engine.run(one("stubborn", timeout_s=0.02, next=CATCHING), wait_s=20)
        woken.set()
        await asyncio.sleep(0.01)
        events = [record.type for record in await engine.journal.read(run.id)]
        assert (await engine.get(run.id)).state == {"notes": ["seen"]}
    assert "log" not in events


async def test_a_cancelled_run_ends_even_if_its_tool_does_not() -> None:
    stop = asyncio.Event()

    @st.tool
    async def stubborn(state: dict[str, Any]) -> None:
        while not stop.is_set():
            try:
                await stop.wait()
            except asyncio.CancelledError:
                continue

    async with st.open(":memory:", tools=[stubborn]) as engine:
        run = await engine.start(chain("stubborn"))
        await asyncio.sleep(0.01)
        await engine.cancel(run.id)
        assert (await engine.wait(run.id, 20)).status == "cancelled"
        stop.set()


async def test_a_cancelled_run_ends_after_its_tool_has_stopped() -> None:
    order: list[str] = []

    @st.tool
    async def tidy(state: dict[str, Any]) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0.02)
            order.append("tool stopped")

    async with st.open(":memory:", tools=[tidy]) as engine:
        run = await engine.start(chain("tidy"))
        await asyncio.sleep(0.01)
        await engine.cancel(run.id)
        await engine.wait(run.id)
        order.append("run ended")
    assert order == ["tool stopped", "run ended"]


async def test_a_thread_that_hangs_is_replaced() -> None:
    wake = threading.Event()

    @st.tool
    def hang(state: dict[str, Any]) -> None:
        wake.wait(60)

    @st.tool
    def work(state: dict[str, Any]) -> dict[str, Any]:
        return {"done": True}

    async with st.open(":memory:", tools=[hang, work, note]) as engine:
        hanging = [engine.run(one("hang", timeout_s=0.05), wait_s=20) for _ in range(70)]
        ended = asyncio.gather(*hanging)
        assert {run.status for run in await ended} == {"failed"}
        assert (await engine.run(chain("work"), wait_s=20)).state == {"done": True}
    wake.set()


async def test_a_tool_that_keeps_its_state_changes_nothing_later() -> None:
    kept: list[dict[str, Any]] = []

    @st.tool
    async def keep(state: dict[str, Any]) -> None:
        state["list"].append(len(kept))
        kept.append(state)

    @st.tool
    async def look(state: dict[str, Any]) -> dict[str, Any]:
        for old in kept:
            old["list"].append("later")
            old["new"] = "later"
        return {"saw": list(state["list"])}

    async with st.open(":memory:", tools=[keep, look]) as engine:
        run = await engine.run(chain("keep", "keep", "look", "look"), {"list": []})
    assert run.state == {"list": [0, 1], "saw": [0, 1]}


async def test_what_a_tool_says_stands_between_its_entry_and_its_exit() -> None:
    @st.tool
    def talk(state: dict[str, Any], ctx: st.Context) -> None:
        for number in range(2000):
            ctx.log(f"line {number}", number=number, odd={1, 2})

    async with st.open(":memory:", tools=[talk]) as engine:
        run = await engine.run(chain("talk"), wait_s=30)
        events = [event async for event in engine.tail(run.id)]
    kinds = [event.type for event in events]
    assert kinds == ["run.created", "node.entered", *["log"] * 2000, "node.exited", "run.completed"]
    said = [getattr(event.data, "message", "") for event in events if event.type == "log"]
    assert said == [f"line {number}" for number in range(2000)]


async def test_what_a_tool_says_is_written_while_it_runs() -> None:
    @st.tool
    async def talk(state: dict[str, Any], ctx: st.Context) -> None:
        ctx.log("begun")
        await asyncio.sleep(3600)

    async with st.open(":memory:", tools=[talk]) as engine:
        run = await engine.start(chain("talk"))
        tail = engine.tail(run.id, after=2)
        assert (await asyncio.wait_for(anext(tail), 20)).type == "log"
        await tail.aclose()


async def test_a_run_that_blocks_the_loop_delays_the_others_and_no_more() -> None:
    @st.tool
    async def block(state: dict[str, Any]) -> None:
        time.sleep(0.05)  # noqa: ASYNC251

    async with st.open(":memory:", tools=[block, count]) as engine:
        runs = await asyncio.gather(
            engine.run(chain("block", "block")), engine.run(chain(*["count"] * 5))
        )
    assert [run.status for run in runs] == ["completed", "completed"]


@pytest.mark.parametrize("fault", ["raise", "hang", "missing"])
async def test_a_predicate_that_cannot_answer_fails_the_run(
    fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wake = threading.Event()
    monkeypatch.setattr("stenograph.engine.executor.asking.TIMEOUT_S", 0.02)

    @st.predicate
    def ready(state: dict[str, Any]) -> bool:
        if fault == "hang":
            wake.wait(60)
        sys.exit(1)

    graph = one("count", next=[{"to": "after", "when": {"fn": "ready"}}])
    async with st.open(":memory:", tools=[count, note, ready]) as engine:
        await engine.create_graph({**graph, "id": "g"})
        if fault == "missing":
            engine.registry.predicates.clear()
        run = await engine.run("g", wait_s=20)
    wake.set()
    assert run.error is not None
    assert (run.status, run.error.type) == ("failed", "expression-error")


async def test_a_predicate_cannot_change_the_state() -> None:
    @st.predicate
    def meddle(state: dict[str, Any]) -> bool:
        state["n"] = 99
        state["list"].append(1)
        return True

    graph = one("count", next=[{"to": "after", "when": {"fn": "meddle"}}])
    async with st.open(":memory:", tools=[count, note, meddle]) as engine:
        run = await engine.run(graph, {"list": []})
    assert run.state == {"list": [], "n": 1, "notes": ["seen"]}


async def test_a_fault_of_the_engine_itself_ends_the_run_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(self: State, decoded: object) -> None:
        raise MemoryError("no room")

    async with st.open(":memory:", tools=[count]) as engine:
        with monkeypatch.context() as patched:
            patched.setattr(State, "remember", broken)
            run = await engine.run(chain("count", "count"), wait_s=20)
        assert run.error is not None
        assert (run.status, run.error.type) == ("failed", "internal-error")
        assert (await engine.run(chain("count"))).status == "completed"
