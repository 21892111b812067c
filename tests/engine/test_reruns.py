"""Reruns: a run is made again from its recording; what is not as it was is run, and nothing else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stenograph.engine import Engine, KeyReused, RerunRefused, RunView, Tool, tool
from stenograph.journal import MemoryJournal
from tests.crashes import drive
from tests.graphs import LARGER, SAMPLES, TOOLS, Sample, chain, fork

ALL = {**SAMPLES, **LARGER}


def deaf(each: Any) -> Any:
    """Return a tool of the same name and version that must not be called; predicates as they are."""
    if not isinstance(each, Tool):
        return each

    async def called(state: dict[str, Any]) -> None:
        raise AssertionError(f"{each.name} was called")

    return tool(name=each.name, version=each.version, effects=each.effects)(called)


def secrets_of(sample: Sample) -> dict[str, Any]:
    """Return the secrets of a sample's first state, which a rerun must be given anew."""
    declared = sample.graph.get("state", {})
    return {key: each for key, each in sample.state.items() if declared.get(key, {}).get("secret")}


@pytest.mark.parametrize("tools", [deaf, None], ids=["tools that are here", "no tools"])
@pytest.mark.parametrize("name", sorted(ALL))
async def test_a_rerun_with_nothing_changed_is_the_same_and_calls_nothing(
    name: str, tools: Any
) -> None:
    sample = ALL[name]
    async with MemoryJournal() as journal:
        async with Engine(journal, tools=TOOLS) as engine:
            whole = await drive(engine, sample)
        here = [deaf(each) for each in TOOLS if tools or not isinstance(each, Tool)]
        async with Engine(journal, tools=here, recover=False) as engine:
            await engine.rerun("run", new_id="again", state=secrets_of(sample))
            end = await engine.wait("again", 20)
            report = await engine.rerun_report("again")
            assert (end.status, end.state) == (whole.status, whole.state)
            assert (report.executed, report.why, report.done) == (0, {}, whole.done)
            assert (report.same, report.first) == (True, None), report.diff.summary


def tools_in(sample: Sample) -> list[str]:
    graphs = [sample.graph, *sample.graphs]
    used = {node.get("tool") for graph in graphs for node in graph["nodes"].values()}
    return sorted(name for name in used if name)


OTHERWISE = {"fail_until_retried", "quorum with a failure"}
"""A tool that does otherwise in a first attempt, and a sample that is as who is first."""
NAMED = [
    (name, each)
    for name, sample in SAMPLES.items()
    for each in tools_in(sample)
    if not OTHERWISE & {name, each}
]


@pytest.mark.parametrize(("name", "named"), NAMED, ids=map("-".join, NAMED))
async def test_a_tool_that_is_named_is_called_wherever_it_was_and_no_other(
    name: str, named: str
) -> None:
    sample = SAMPLES[name]
    async with MemoryJournal() as journal:
        async with Engine(journal, tools=TOOLS) as engine:
            whole = await drive(engine, sample)
        here = [each if getattr(each, "name", "") == named else deaf(each) for each in TOOLS]
        async with Engine(journal, tools=here, recover=False) as engine:
            await engine.rerun("run", new_id="again", state=secrets_of(sample), tools=[named])
            end = await engine.wait("again", 20)
            report = await engine.rerun_report("again")
            assert (end.status, end.state) == (whole.status, whole.state)
            anew = {(each.tool, each.why) for each in report.visits if each.why is not None}
            assert anew <= {(named, "named")}
            assert (report.same, report.first) == (True, None), report.diff.summary


def counting(called: list[str]) -> list[Tool]:
    """Return three tools, each of which says when it is called."""

    def made(name: str, effects: Any = "repeatable") -> Tool:
        @tool(name=name, version="1", effects=effects)
        async def counted(state: dict[str, Any]) -> dict[str, Any]:
            called.append(name)
            return {name: state["n"] + len(state)}

        return counted

    return [made("a"), made("b"), made("c", "once")]


GRAPH = chain("a", "b", "c")


async def recorded(journal: MemoryJournal, **given: Any) -> RunView:
    """Record a run of all three tools, and rerun it with an engine whose tools tell of their calls."""
    async with Engine(journal, tools=counting([])) as engine:
        return await engine.run(GRAPH, {"n": 1}, run_id="run", **given)


async def test_what_saw_another_state_is_run_and_what_is_named() -> None:
    called: list[str] = []
    async with MemoryJournal() as journal:
        await recorded(journal)
        async with Engine(journal, tools=counting(called)) as engine:
            begun = await engine.rerun("run", state={"n": 5}, tools=["c"])
            end = await engine.wait(begun.id)
            assert called == ["a", "b", "c"]
            assert end.state == {"n": 5, "a": 6, "b": 7, "c": 8}
            assert end.tags == {"rerun_of": "run"}


async def test_a_tool_of_another_version_is_run_and_what_follows_from_it_alone() -> None:
    called: list[str] = []
    async with MemoryJournal() as journal:
        await recorded(journal)
        a, _, c = counting(called)

        @tool(version="2")
        async def b(state: dict[str, Any]) -> dict[str, Any]:
            called.append("b")
            return {"b": 3}

        async with Engine(journal, tools=[a, b, c]) as engine:
            begun = await engine.rerun("run")
            end = await engine.wait(begun.id)
            report = await engine.rerun_report(begun.id)
            assert (called, end.status, report.why) == (["b"], "completed", {"version": 1})
            assert (report.reused, report.executed, report.first) == (2, 1, None)
            assert report.diff.same


async def test_a_rerun_tells_where_it_parts_from_the_recording() -> None:
    async with MemoryJournal() as journal:
        await recorded(journal)

        @tool(version="2")
        async def b(state: dict[str, Any]) -> dict[str, Any]:
            return {"b": 0}

        a, _, c = counting([])
        async with Engine(journal, tools=[a, b, c]) as engine:
            begun = await engine.rerun("run", tools=["b", "c"])
            await engine.wait(begun.id)
            report = await engine.rerun_report(begun.id)
            assert report.first is not None
            assert (report.first.what, report.first.node) == ("change", "b-1")
            assert [each.why for each in report.visits] == [None, "named", "named"]


async def test_a_tool_with_effects_once_is_run_only_when_it_is_named() -> None:
    called: list[str] = []
    async with MemoryJournal() as journal:
        await recorded(journal)
        async with Engine(journal, tools=counting(called)) as engine:
            begun = await engine.rerun("run", state={"n": 2})
            end = await engine.wait(begun.id)
            assert end.error is not None
            assert (end.status, end.error.type, called) == ("failed", "not-rerun", ["a", "b"])


async def test_a_changed_config_runs_that_node_alone() -> None:
    called: list[str] = []
    graph = chain("a", "b", "c")
    graph["nodes"]["a-0"]["config"] = {"new": True}
    async with MemoryJournal() as journal:
        await recorded(journal)
        async with Engine(journal, tools=counting(called)) as engine:
            begun = await engine.rerun("run", graph=graph)
            end = await engine.wait(begun.id)
            assert (called, end.status) == (["a"], "completed")
            assert (await engine.rerun_report(begun.id)).why == {"config": 1}


async def test_a_patch_is_not_taken_where_the_rules_of_its_key_are_others() -> None:
    called: list[str] = []
    async with MemoryJournal() as journal:
        await recorded(journal)
        graph = {**GRAPH, "state": {"a": {"schema": {"type": "string"}}}}
        async with Engine(journal, tools=counting(called)) as engine:
            begun = await engine.rerun("run", graph=graph)
            end = await engine.wait(begun.id)
            assert (called, end.status) == (["a"], "failed")
            assert (await engine.rerun_report(begun.id)).why == {"rules": 1}


async def test_a_wait_that_the_recording_does_not_end_stays_open() -> None:
    graph = {
        "start": "ask",
        "nodes": {"ask": {"wait": {"signal": "ok"}, "next": "done"}, "done": {}},
    }
    async with MemoryJournal() as journal, Engine(journal) as engine:
        await engine.run(graph, run_id="run")
        await engine.rerun("run", new_id="open")
        assert (await engine.wait("open")).status == "waiting"
        await engine.signal("run", "ok", "yes")
        await engine.rerun("run", new_id="given")
        end = await engine.wait("given")
        assert (end.status, end.state) == ("completed", {"ok": "yes"})


async def test_a_signal_that_fits_no_more_is_left_to_a_person() -> None:
    nodes: dict[str, Any] = {"ask": {"wait": {"signal": "ok"}, "next": "done"}, "done": {}}
    strict = {"ask": {"wait": {"signal": "ok", "schema": {"type": "integer"}}, "next": "done"}}
    async with MemoryJournal() as journal, Engine(journal) as engine:
        await engine.run({"start": "ask", "nodes": nodes}, run_id="run")
        await engine.signal("run", "ok", "yes")
        await engine.wait("run")
        graph = {"start": "ask", "nodes": {**nodes, **strict}}
        await engine.rerun("run", graph=graph, new_id="again")
        assert (await engine.wait("again")).status == "waiting"


async def test_the_same_asked_again_is_the_same_rerun() -> None:
    async with MemoryJournal() as journal:
        await recorded(journal)
        async with Engine(journal, tools=counting([])) as engine:
            one = await engine.rerun("run", key="k")
            other = await engine.rerun("run", key="k")
            assert (other.id, other.replayed) == (one.id, True)
            with pytest.raises(KeyReused):
                await engine.rerun("run", key="k", state={"n": 9})
            with pytest.raises(ValueError, match="a key or a new_id"):
                await engine.rerun("run", key="k", new_id="x")


async def test_what_cannot_be_rerun_so_is_refused() -> None:
    async with MemoryJournal() as journal:
        await recorded(journal)
        async with Engine(journal, tools=counting([])) as engine:
            with pytest.raises(RerunRefused, match="no tool 'd'"):
                await engine.rerun("run", tools=["d"])
            with pytest.raises(RerunRefused, match="no rerun"):
                await engine.rerun_report("run")
            await engine.fork("run", 4, new_id="fork")
            await engine.wait("fork")
            with pytest.raises(RerunRefused, match="/state: the run is a fork"):
                await engine.rerun("fork", state={"n": 2})
            with pytest.raises(RerunRefused, match="/graph: the run is a fork"):
                await engine.rerun("fork", graph=GRAPH)


async def test_a_fork_is_rerun_from_where_it_began() -> None:
    called: list[str] = []
    async with MemoryJournal() as journal:
        await recorded(journal)
        async with Engine(journal, tools=counting(called)) as engine:
            await engine.fork("run", 4, new_id="fork", state={"n": 3})
            whole = await engine.wait("fork")
            called.clear()
            begun = await engine.rerun("fork")
            end = await engine.wait(begun.id)
            assert (end.state, called) == (whole.state, [])


async def test_a_secret_must_be_given_anew() -> None:
    @tool
    async def use(state: dict[str, Any]) -> dict[str, Any]:
        return {"length": len(state["token"]), "other": state["token"][::-1]}

    graph = {
        "start": "use",
        "state": {"token": {"secret": True}, "other": {"secret": True}},
        "nodes": {"use": {"tool": "use"}},
    }
    async with MemoryJournal() as journal, Engine(journal, tools=[use]) as engine:
        await engine.run(graph, {"token": "abcdefghij"}, run_id="run")
        with pytest.raises(RerunRefused, match="'token' is not taken over"):
            await engine.rerun("run")
        begun = await engine.rerun("run", state={"token": "klmnopqrst"})
        assert (await engine.wait(begun.id)).status == "completed"
        assert (await engine.rerun_report(begun.id)).why == {"secret": 1}


async def test_a_rerun_that_was_interrupted_goes_on_from_its_recording() -> None:
    called: list[str] = []
    async with MemoryJournal() as journal:
        async with Engine(journal, tools=counting([])) as engine:
            await engine.run(GRAPH, {"n": 1}, run_id="run")
            await engine.rerun("run", new_id="again")
        async with Engine(journal, tools=counting(called)) as engine:
            assert engine.recovered == ["again"]
            assert (await engine.wait("again")).state == (await engine.get("run")).state
            assert called == []


async def test_a_fork_that_a_rerun_has_still_to_join_is_no_difference() -> None:
    graph = fork({"a": {"x": 1}, "b": {"y": 1}})
    graph["nodes"]["b"] = {"tool": "stand", "next": "after"}
    gate = asyncio.Event()

    @tool(version="1")
    async def stand(state: dict[str, Any]) -> dict[str, Any]:
        await gate.wait()
        return {"y": 1}

    async with MemoryJournal() as journal, Engine(journal, tools=[*TOOLS, stand]) as engine:
        gate.set()
        await engine.run(graph, run_id="run")
        gate.clear()
        await engine.rerun("run", new_id="again", tools=["stand"])
        await engine.wait("again", 0.1)
        report = await engine.rerun_report("again")
        assert (report.done, report.same, report.first) == (False, True, None)
        gate.set()
        assert (await engine.wait("again")).done
        assert (await engine.rerun_report("again")).same
