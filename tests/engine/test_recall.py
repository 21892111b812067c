"""Recall: which attempts a recording answers, with what, and in which order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

import stenograph as st
from stenograph.engine import Engine, Event, RerunReport, RunView, Tool, tool
from stenograph.engine.core.events import RerunOf
from stenograph.engine.executor.recall import recording_of
from stenograph.journal import Journal, JournalUnreadable, MemoryJournal, Record
from tests.engine.test_reruns import deaf
from tests.graphs import TOOLS, chain, fork, one


@tool(version="1")
async def fail(state: dict[str, Any]) -> None:
    raise ConnectionError("no way")


@tool(version="1")
async def hang(state: dict[str, Any]) -> None:
    await asyncio.sleep(3600)


@tool(version="1")
async def nap(state: dict[str, Any]) -> dict[str, Any]:
    await asyncio.sleep(0.05)
    return {"rested": True}


@tool(version="1")
async def number(state: dict[str, Any]) -> dict[str, Any]:
    return {"n": 1}


@tool(version="1")
async def stray(state: dict[str, Any]) -> st.Goto:
    return st.Goto("elsewhere", {"x": 1})


async def rerun(
    before: dict[str, Any], after: dict[str, Any], *, state: dict[str, Any] | None = None
) -> tuple[RunView, RunView, RerunReport]:
    """Record a run of a graph, rerun it with another; returns both, and what the rerun tells."""
    tools: list[Any] = [fail, hang, nap, number, stray, *TOOLS[:3]]
    names = [each.name for each in tools if isinstance(each, Tool)]
    tools += [each for each in TOOLS if getattr(each, "name", "") not in names]
    async with MemoryJournal() as journal, Engine(journal, tools=tools) as engine:
        whole = await engine.run(before, state, run_id="run")
        await engine.rerun("run", graph=after, new_id="again")
        end = await engine.wait("again", 5)
        return whole, end, await engine.rerun_report("again")


CAUGHT: Any = [{"to": "after", "on": "timeout"}, {"to": "after", "on": "error"}, {"to": "after"}]


@pytest.mark.parametrize(
    ("name", "then", "now", "why"),
    [
        ("hang", {"timeout_s": 0.01}, {"timeout_s": 0.02}, {"timeout": 1}),
        ("hang", {"timeout_s": 0.01}, {"timeout_s": 0.01}, {}),
        ("nap", {}, {"timeout_s": 0.01}, {"timeout": 1, "state": 1}),
        ("nap", {}, {"timeout_s": 60}, {}),
        ("fail", {}, {"retry": {"attempts": 2, "delay_s": 0}}, {"retry": 1, "new": 1}),
        ("fail", {"retry": {"attempts": 2, "delay_s": 0}}, {}, {"retry": 1}),
        (
            "fail",
            {"retry": {"attempts": 2, "delay_s": 0, "on": ["OSError"]}},
            {"retry": {"attempts": 2, "delay_s": 0.001, "on": ["OSError"]}},
            {},
        ),
        (
            "fail",
            {"retry": {"attempts": 2, "delay_s": 0, "on": ["ValueError"]}},
            {"retry": {"attempts": 2, "delay_s": 0, "on": ["OSError"]}},
            {"retry": 1, "new": 1},
        ),
        ("number", {}, {"tool": "nap"}, {"tool": 1, "state": 1}),
        ("number", {}, {"config": {"a": 1}}, {"config": 1}),
    ],
)
async def test_an_attempt_is_made_anew_where_its_outcome_may_be_another(
    name: str, then: dict[str, Any], now: dict[str, Any], why: dict[str, int]
) -> None:
    before = one(name, next=CAUGHT, **then)
    after = one(now.pop("tool", name), next=CAUGHT, **now)
    _, end, report = await rerun(before, after)
    assert (end.status, report.why) == ("completed", why)


async def test_a_refused_result_is_made_anew_where_the_graph_declares_otherwise() -> None:
    graph = one("number", next=CAUGHT)
    strict = {**graph, "state": {"n": {"schema": {"type": "string"}}}}
    whole, end, report = await rerun(strict, graph)
    assert (whole.state.get("n"), end.state["n"]) == (None, 1)
    assert report.why == {"rules": 1, "state": 1}
    with_a_node = {**strict, "nodes": {**strict["nodes"], "more": {}}}
    for alike in (strict, with_a_node):
        _, end, report = await rerun(strict, alike)
        assert (end.state.get("n"), report.why) == (None, {})
    _, end, report = await rerun(strict, strict)
    assert (end.state.get("n"), report.why, report.same) == (None, {}, True)


async def test_a_tool_that_is_called_and_fails_is_given_the_time_between_its_tries() -> None:
    called = asyncio.Queue[int]()

    @tool(version="1")
    async def flaky(state: dict[str, Any], ctx: st.Context) -> None:
        called.put_nowait(ctx.attempt)
        if ctx.attempt < 3:
            raise ConnectionError("nobody answers")

    def graph(delay_s: float) -> dict[str, Any]:
        retry = {"attempts": 3, "delay_s": delay_s, "jitter": False}
        return {"start": "work", "nodes": {"work": {"tool": "flaky", "retry": retry}}}

    async with MemoryJournal() as journal:
        async with Engine(journal, tools=[flaky]) as engine:
            await engine.run(graph(0), run_id="run")
            await engine.rerun("run", graph=graph(3600), new_id="answered")
            assert (await engine.wait("answered", 5)).status == "completed"
            assert called.qsize() == 3
            await engine.rerun("run", graph=graph(3600), tools=["flaky"], new_id="called")
            async for event in engine.tail("called"):
                if event.type == "node.attempt_failed":
                    break
            await engine.pause("called")
        async with Engine(journal, tools=[flaky]) as engine:
            await engine.resume("called")
            await engine.pause("called")
            assert (await engine.wait("called", 5)).status == "paused"
            assert called.qsize() == 4


async def test_a_goto_that_led_nowhere_does_so_again_but_in_a_graph_with_that_node() -> None:
    graph = one("stray", retry={"attempts": 3, "delay_s": 0}, next=CAUGHT)
    whole, end, report = await rerun(graph, graph)
    assert (end.state, report.same, report.reused) == (whole.state, True, 2)
    more = {**graph, "nodes": {**graph["nodes"], "elsewhere": {}}}
    _, end, report = await rerun(graph, more)
    assert (end.state, report.why) == ({"x": 1}, {"rules": 1})


@tool(version="1")
async def chatter(state: dict[str, Any], ctx: st.Context) -> None:
    for line in range(3):
        ctx.log("said", line=line)
        await asyncio.sleep(0.12)  # so that others' lines come between
    raise ValueError("enough said")


async def test_what_was_said_and_raised_is_the_same_again() -> None:
    graph = {
        "start": "split",
        "nodes": {
            "split": {"next": {"to": ["a", "b"], "join": "$end", "on_error": "collect"}},
            "a": {"tool": "chatter"},
            "b": {"tool": "chatter"},
        },
    }
    async with MemoryJournal() as journal:
        async with Engine(journal, tools=[chatter]) as engine:
            await engine.run(graph, run_id="run")
        async with Engine(journal, tools=[deaf(chatter)]) as engine:
            await engine.rerun("run", new_id="again")
            await engine.wait("again")
            assert await told(engine, "again") == await told(engine, "run")
            assert len(await told(engine, "run")) == 8


async def told(engine: Engine, run_id: str) -> list[tuple[Any, ...]]:
    """Return what each branch has said and raised, branch by branch."""
    found: list[tuple[Any, ...]] = []
    async for event in engine.tail(run_id):
        data: Any = event.data
        if event.type == "log":
            found.append((data.scope, data.level, data.message, bytes(data.fields)))
        elif event.type == "node.exited" and data.error is not None:
            found.append((data.scope, data.error))
    return sorted(found, key=lambda each: each[0])


def racing(gates: dict[str, asyncio.Event], version: str = "1") -> list[Tool]:
    """Return tools that wait until they are let go; of version 2, they fail."""

    def made(name: str) -> Tool:
        @tool(name=name, version=version)
        async def racer(state: dict[str, Any]) -> dict[str, Any]:
            await gates[name].wait()
            if version == "2":
                raise ValueError(f"{name} fails")
            return {"first": name}

        return racer

    return [made(name) for name in gates]


RACE: dict[str, Any] = {
    "start": "split",
    "nodes": {
        "split": {"next": {"to": ["a", "b", "c"], "join": "$end", "need": 1}},
        "a": {"tool": "a"},
        "b": {"tool": "b"},
        "c": {"tool": "c"},
    },
}


async def test_who_won_a_race_wins_it_again_and_nobody_else_runs() -> None:
    gates = {name: asyncio.Event() for name in "abc"}
    gates["b"].set()
    async with MemoryJournal() as journal:
        async with Engine(journal, tools=racing(gates)) as engine:
            assert (await engine.run(RACE, run_id="run")).state == {"first": "b"}
        async with Engine(journal, tools=[deaf(each) for each in racing(gates)]) as engine:
            await engine.rerun("run", new_id="again")
            assert (await engine.wait("again")).state == {"first": "b"}
            report = await engine.rerun_report("again")
            assert (report.reused, report.executed, report.same) == (3, 0, True)


async def test_those_who_lost_a_race_run_when_its_winner_fails() -> None:
    gates = {name: asyncio.Event() for name in "abc"}
    gates["b"].set()
    async with MemoryJournal() as journal:
        async with Engine(journal, tools=racing(gates)) as engine:
            await engine.run(RACE, run_id="run")
        gates["a"].set()
        a, _, c = racing(gates)
        _, b, _ = racing(gates, "2")
        async with Engine(journal, tools=[a, b, c]) as engine:
            await engine.rerun("run", new_id="again")
            assert (await engine.wait("again")).state == {"first": "a"}
            report = await engine.rerun_report("again")
            assert report.why == {"version": 1, "cut-off": 1}


@pytest.mark.parametrize("effects", ["repeatable", "once"])
async def test_those_who_lost_a_race_do_not_run_between_the_tries_of_its_winner(
    effects: Any,
) -> None:
    graph = fork({})
    graph["nodes"]["split"]["next"] |= {"to": ["a", "b"], "need": 1}
    graph["nodes"]["a"] = {"tool": "a", "retry": {"attempts": 2, "delay_s": 0.05}}
    graph["nodes"]["b"] = {"tool": "b"}

    def winner(fails: int) -> Any:
        @tool(name="a", version="1")
        async def win(state: dict[str, Any], ctx: st.Context) -> dict[str, Any]:
            if ctx.attempt <= fails:
                raise ValueError("not yet")
            return {"first": "a"}

        return win

    @tool(name="b", version="1", effects=effects)
    async def lose(state: dict[str, Any]) -> None:
        await asyncio.Event().wait()

    async with MemoryJournal() as journal:
        async with Engine(journal, tools=[*TOOLS, winner(0), lose]) as engine:
            await engine.run(graph, run_id="run")
        async with Engine(journal, tools=[*TOOLS, winner(1), deaf(lose)]) as engine:
            await engine.rerun("run", new_id="again", tools=["a"])
            assert (await engine.wait("again")).state.items() >= {("first", "a")}
            assert (await engine.rerun_report("again")).why == {"named": 1, "new": 1}


async def test_answers_are_dropped_of_branches_that_are_stopped_before() -> None:
    names = [f"b{number}" for number in range(8)]
    graph = fork({name: {name: 1} for name in names})
    graph["nodes"]["b0"] = {"tool": "count", "next": "after"}

    @tool(name="count", version="2")
    async def fails_now(state: dict[str, Any]) -> None:
        raise ValueError("no more")

    async with MemoryJournal() as journal:
        async with Engine(journal, tools=TOOLS) as engine:
            await engine.run(graph, run_id="run")
        tools = [each for each in TOOLS if getattr(each, "name", "") != "count"]
        async with Engine(journal, tools=[*tools, fails_now]) as engine:
            await engine.rerun("run", new_id="again")
            end = await engine.wait("again")
            assert end.status == "failed"
            report = await engine.rerun_report("again")
            assert report.first is not None
            assert (report.first.what, report.first.node) == ("outcome", "b0")


async def test_of_sub_graphs_that_go_on_that_is_stopped_which_took_too_long() -> None:
    late = {"graph": "child", "timeout_s": 0.02, "next": [{"to": "after", "on": "timeout"}]}
    graph: dict[str, Any] = {
        "start": "split",
        "nodes": {
            "split": {"next": {"to": ["slow", "late"], "join": "after", "need": 1}},
            "slow": {"graph": "child", "timeout_s": 60},
            "late": late,
            "after": {"tool": "number"},
        },
    }
    async with MemoryJournal() as journal:
        async with Engine(journal, tools=[hang, number]) as engine:
            await engine.create_graph({"id": "child", **chain("hang")})
            whole = await engine.run(graph, run_id="run")
        async with Engine(journal, tools=[deaf(hang), number]) as engine:
            await engine.rerun("run", new_id="again")
            assert (await engine.wait("again")).state == whole.state
            assert (await engine.rerun_report("again")).same


async def test_of_signals_that_were_kept_each_wait_is_given_its_own() -> None:
    graph = {
        "start": "work",
        "nodes": {
            "work": {"tool": "nap", "next": "one"},
            "one": {"wait": {"signal": "go"}, "next": "two"},
            "two": {"wait": {"signal": "go"}},
        },
        "state": {"go": {"reducer": "append"}},
    }
    async with MemoryJournal() as journal, Engine(journal, tools=[nap]) as engine:
        await engine.start(graph, run_id="run")
        for value in (1, 2):
            await engine.signal("run", "go", value)
        assert (await engine.wait("run")).state["go"] == [1, 2]
        await engine.rerun("run", new_id="again")
        assert (await engine.wait("again")).state["go"] == [1, 2]


class Unreadable:
    """A journal whose run cannot be read any more."""

    def __init__(self, inner: Journal) -> None:
        self._inner = inner
        self.is_broken = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def read(self, run_id: str, **options: Any) -> list[Record]:
        if run_id == "run" and self.is_broken:
            raise JournalUnreadable("the disk is gone")
        return await self._inner.read(run_id, **options)


async def test_a_rerun_whose_recording_cannot_be_read_fails_and_says_so() -> None:
    graph = {
        "start": "ask",
        "nodes": {"ask": {"wait": {"signal": "go"}, "next": "work"}, "work": {"tool": "number"}},
    }
    async with MemoryJournal() as inner:
        journal = Unreadable(inner)
        async with Engine(cast("Journal", journal), tools=[number]) as engine:
            await engine.run(graph, run_id="run")
            await engine.signal("run", "go", 1)
            await engine.wait("run")
            tailing = engine.tail("again")
            await engine.rerun("run", new_id="again")
            async for event in tailing:
                journal.is_broken = journal.is_broken or event.type == "node.entered"
            end = await engine.wait("again")
            assert end.error is not None
            assert (end.status, end.error.message) == ("failed", "the disk is gone")


async def test_branches_end_in_the_order_in_which_they_ended() -> None:
    gates = {name: asyncio.Event() for name in "abc"}
    graph = {**RACE, "nodes": {**RACE["nodes"]}, "state": {"first": {"reducer": "max"}}}
    graph["nodes"]["split"] = {"next": {"to": ["a", "b", "c"], "join": "$end"}}
    async with MemoryJournal() as journal:
        async with Engine(journal, tools=racing(gates)) as engine:
            await engine.start(graph, run_id="run")
            async for event in engine.tail("run"):
                if event.type == "node.entered" and getattr(event.data, "node", "") == "c":
                    gates["c"].set()
                elif event.type == "branch.ended":
                    gates["b" if gates["b"].is_set() is False else "a"].set()
        async with Engine(journal) as engine:
            await engine.rerun("run", new_id="again")
            await engine.wait("again")
            orders = [
                [
                    getattr(event.data, "node", "")
                    async for event in engine.tail(run_id)
                    if event.type == "node.exited"
                ]
                for run_id in ("run", "again")
            ]
            assert orders[0] == orders[1] == ["split", "c", "b", "a"]


async def test_a_recording_holds_no_values_where_they_are_read_when_due() -> None:
    graph = fork({"a": {"x": "long" * 1000}, "b": {"y": 2}})
    async with MemoryJournal() as journal, Engine(journal, tools=TOOLS) as engine:
        await engine.run(graph, run_id="run")
        await engine.rerun("run", new_id="again")
        run = await engine.get("run")
        rerun = RerunOf(run_id="run", seq=run.seq, hash=await hash_of(engine, run.seq))
        light = await recording_of(journal, rerun, values=False)
        heavy = await recording_of(journal, rerun)
        assert light.answers.keys() == heavy.answers.keys()
        assert not any(each.patch or each.logs for each in light.answers.values())
        assert all(each.patch and each.is_whole for each in heavy.answers.values())
        assert (await recording_of(journal, RerunOf(run_id="no", seq=1, hash=""))).answers == {}


async def hash_of(engine: Engine, seq: int) -> str:
    [record] = await engine.journal.read("run", after=seq - 1, limit=1)
    return record.hash


async def test_a_rerun_that_waits_answers_again_once_the_engine_is_back() -> None:
    graph = {
        "start": "ask",
        "nodes": {"ask": {"wait": {"signal": "go"}, "next": "after"}, "after": {"tool": "number"}},
    }
    async with MemoryJournal() as journal:
        async with Engine(journal, tools=[number]) as engine:
            await engine.run(graph, run_id="run")
            await engine.rerun("run", new_id="open")
            assert (await engine.wait("open")).status == "waiting"
        async with Engine(journal, tools=[number]) as engine:
            await engine.signal("open", "go", "yes")
            assert (await engine.wait("open")).state == {"go": "yes", "n": 1}


async def test_a_rerun_that_queues_goes_on_queuing_once_the_engine_is_back() -> None:
    graph = {
        "id": "alone",
        "start": "ask",
        "nodes": {"ask": {"wait": {"signal": "go"}, "next": "after"}, "after": {"tool": "number"}},
        "concurrency": {"limit": 1},
    }
    async with MemoryJournal() as journal:
        async with Engine(journal, tools=[number]) as engine:
            await engine.run(graph, run_id="run")
            await engine.rerun("run", new_id="again")
            assert [each.kind for each in (await engine.wait("again")).waits] == ["turn"]
        async with Engine(journal, tools=[number]) as engine:
            await engine.signal("run", "go", 1)
            end = [event.offset async for event in engine.tail("run")][-1]
            begun = [
                event.offset
                async for event in in_turn(engine, "again")
                if event.type == "wait.resolved"
            ]
            assert begun[0] > end


async def in_turn(engine: Engine, run_id: str) -> AsyncIterator[Event]:
    """Yield the events of a run up to where it waits for a signal."""
    async for event in engine.tail(run_id):
        yield event
        if event.type == "wait.opened" and getattr(event.data, "kind", "") == "signal":
            return


async def test_a_rerun_of_a_chain_is_paused_and_goes_on_answered() -> None:
    async with MemoryJournal() as journal:
        async with Engine(journal, tools=TOOLS) as engine:
            whole = await engine.run(chain("count", "say", "note"), run_id="run")
        async with Engine(journal) as engine:
            await engine.rerun("run", new_id="again")
            await engine.pause("again")
            await engine.wait("again")
            await engine.resume("again")
            assert (await engine.wait("again")).state == whole.state
