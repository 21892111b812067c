"""What reruns are made from: runs that go on, rest, were forked, migrated, imported or erased."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from stenograph.engine import (
    Engine,
    KeyReused,
    RerunRefused,
    RunExists,
    RunGone,
    Tool,
    UnknownRun,
    read_export,
    tool,
)
from stenograph.journal import JournalFailed, MemoryJournal
from tests.crashes import FaultJournal, drive
from tests.engine.test_recall import RACE, racing
from tests.engine.test_reruns import GRAPH, counting
from tests.graphs import SAMPLES, TOOLS, calling, chain, mapped, with_more
from tests.stage import staged

PATIENCE_S = 20


class Gate(asyncio.Event):
    """Holds a tool up; ``calls`` tells when it is called."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = asyncio.Queue[None]()


def gated(gate: Gate, called: list[str]) -> Tool:
    """Return a tool that waits at a gate."""

    @tool(version="1")
    async def wait(state: dict[str, Any]) -> dict[str, Any]:
        called.append("wait")
        gate.calls.put_nowait(None)
        await gate.wait()
        return {"waited": True}

    return wait


async def test_a_run_that_goes_on_is_rerun_as_far_as_it_has_come() -> None:
    gate, called = Gate(), list[str]()
    async with MemoryJournal() as journal:
        tools = [*counting(called), gated(gate, called)]
        async with Engine(journal, tools=tools) as engine:
            await engine.start(chain("a", "wait", "b"), {"n": 1}, run_id="run")
            await gate.calls.get()
            begun = await engine.rerun("run", new_id="again")
            await gate.calls.get()
            report = await engine.rerun_report(begun.id)
            assert (report.done, report.same, report.first) == (False, True, None)
            gate.set()
            assert (await engine.wait("again")).status == "completed"
            assert called == ["a", "wait", "wait", "b", "b"]
            report = await engine.rerun_report("again")
            assert (report.why, report.done) == ({"cut-off": 1, "new": 1}, True)
            assert report.rerun_of_seq < (await engine.get("run")).seq


async def test_what_a_person_said_to_have_happened_is_answered() -> None:
    graph = chain("once", "hold")
    async with staged() as stage:
        await stage.engine.start(graph, run_id="run")
        await stage.settle()
        await stage.restart(crash=True)
        await stage.engine.resume("run", result={"charged": True})
        await stage.finish("run/hold-1#1.1", {"n": 1})
        await stage.engine.rerun("run", new_id="again")
        await stage.settle()
        report = await stage.engine.rerun_report("again")
        assert (report.status, report.same, report.reused, report.why) == ("completed", True, 2, {})
        assert (await stage.engine.check_run("run", tools=["once"])).skipped["once"] == 1


async def test_a_run_that_was_cancelled_goes_on_where_it_was() -> None:
    gate, called = Gate(), list[str]()
    async with MemoryJournal() as journal:
        tools = [*counting([]), gated(gate, called)]
        async with Engine(journal, tools=tools) as engine:
            await engine.start(chain("a", "wait"), {"n": 1}, run_id="run")
            await gate.calls.get()
            await engine.cancel("run")
            await engine.wait("run")
            gate.set()
            await engine.rerun("run", new_id="again")
            assert (await engine.wait("again")).status == "completed"
            report = await engine.rerun_report("again")
            assert (report.reused, report.why) == (1, {"cut-off": 1})
            assert report.first is not None
            assert (report.first.what, report.first.node) == ("outcome", "wait-1")


async def test_a_rerun_of_a_rerun_is_answered_as_that_was() -> None:
    called: list[str] = []
    async with MemoryJournal() as journal:
        async with Engine(journal, tools=counting([])) as engine:
            await engine.run(GRAPH, {"n": 1}, run_id="run")
        async with Engine(journal, tools=counting(called)) as engine:
            await engine.rerun("run", state={"n": 3}, tools=["c"], new_id="one")
            one = await engine.wait("one")
            called.clear()
            await engine.rerun("one", new_id="two")
            two = await engine.wait("two")
            assert (two.state, two.tags, called) == (one.state, {"rerun_of": "one"}, [])
            assert (await engine.rerun_report("two")).rerun_of == "one"


async def test_a_fork_of_a_rerun_is_no_rerun_and_calls_its_tools() -> None:
    called: list[str] = []
    async with MemoryJournal() as journal, Engine(journal, tools=counting(called)) as engine:
        whole = await engine.run(GRAPH, {"n": 1}, run_id="run", tags={"by": "ann"})
        await engine.rerun("run", new_id="again")
        await engine.wait("again")
        called.clear()
        await engine.fork("again", 5, new_id="fork")
        end = await engine.wait("fork")
        assert (end.state, end.tags, called) == (whole.state, {"by": "ann"}, ["b", "c"])
        with pytest.raises(RerunRefused, match="it is no rerun"):
            await engine.rerun_report("fork")
        await engine.rerun("fork", new_id="third")
        assert (await engine.wait("third")).tags == {"by": "ann", "rerun_of": "fork"}
        assert (await engine.rerun_report("third")).same


async def test_the_same_asked_again_is_the_same_rerun_whatever_became_of_its_source() -> None:
    token = {"token": {"secret": True}}
    nodes = {"a": {"tool": "a", "next": "ask"}, "ask": ask("b"), "b": {"tool": "b"}}
    graph = {"id": "g", "start": "a", "nodes": nodes, "state": token}
    first: dict[str, Any] = {"n": 1, "token": "abcdefghij"}
    async with MemoryJournal() as journal, Engine(journal, tools=counting([])) as engine:
        await engine.run(graph, first, run_id="run", wait_s=1)

        async def again(token: str = "klmnopqrst") -> tuple[str, bool]:
            run = await engine.rerun("run", graph="g", state={"token": token}, key="k")
            return run.id, run.replayed

        run_id, _ = await again()
        more = {**graph, "nodes": {**nodes, "b": {"tool": "a"}}}
        await engine.migrate("run", more)
        assert await again() == (run_id, True)
        with pytest.raises(KeyReused):
            await again("another one")
        with pytest.raises(KeyReused):
            await engine.rerun("run", graph=more, state={"token": "klmnopqrst"}, key="k")
        with pytest.raises(RunExists):
            await engine.rerun("run", state={"token": "klmnopqrst"}, new_id="run")
        await engine.cancel("run")
        await engine.erase("run")
        assert await again() == (run_id, True)


async def test_a_fork_of_a_map_item_is_rerun_from_where_it_began() -> None:
    called: list[str] = []

    @tool(version="1")
    async def double(state: dict[str, Any]) -> dict[str, Any]:
        called.append("double")
        return {"doubled": state["item"] * 2}

    @tool(version="1")
    async def note(state: dict[str, Any]) -> dict[str, Any]:
        called.append("note")
        return {"sum": sum(state["doubled"])}

    async with MemoryJournal() as journal, Engine(journal, tools=[double, note]) as engine:
        await engine.run(mapped("double", width=1), {"items": [1, 2, 3]}, run_id="run")
        entries = [
            event.seq
            async for event in engine.tail("run")
            if event.type == "node.entered" and getattr(event.data, "scope", "") != "/"
        ]
        fork = await engine.fork(
            "run", entries[1], scope="/split#1[1]/", state={"item": 7}, new_id="fork"
        )
        whole = await engine.wait(fork.id)
        assert whole.state["sum"] == 2 + 14 + 6
        called.clear()
        await engine.rerun("fork", new_id="again")
        assert ((await engine.wait("again")).state, called) == (whole.state, [])
        report = await engine.rerun_report("again")
        assert (report.same, report.reused, report.first) == (True, 3, None)
        await engine.rerun("fork", tools=["double"], new_id="anew")
        assert ((await engine.wait("anew")).state, called) == (whole.state, ["double"] * 2)


async def test_the_secrets_of_a_fork_cannot_be_given_anew() -> None:
    gate, called = Gate(), list[str]()
    graph = {**chain("a", "wait", "b"), "state": {"token": {"secret": True}}}
    async with MemoryJournal() as journal:
        tools = [*counting([]), gated(gate, called)]
        async with Engine(journal, tools=tools) as engine:
            await engine.start(graph, {"n": 1, "token": "abcdefghij"}, run_id="run")
            await gate.calls.get()
            await engine.fork("run", (await engine.get("run")).seq, new_id="fork")
            with pytest.raises(RerunRefused, match="'token' is not taken over: the run is a fork"):
                await engine.rerun("fork")
            gate.set()


async def test_a_run_that_was_migrated_is_rerun_in_the_graph_that_it_has_now() -> None:
    called: list[str] = []
    old = {"start": "a", "nodes": {"a": {"tool": "a", "next": "ask"}, "ask": ask("b"), "b": {}}}
    nodes = {"a": {"tool": "a", "next": "ask"}, "ask": ask("b"), "b": {"tool": "b"}}
    async with MemoryJournal() as journal, Engine(journal, tools=counting(called)) as engine:
        await engine.run({**old, "id": "g"}, {"n": 1}, run_id="run")
        await engine.migrate("run", {"start": "a", "nodes": nodes, "id": "g"})
        await engine.signal("run", "go", 1)
        whole = await engine.wait("run")
        called.clear()
        again = await engine.rerun("run")
        end = await engine.wait(again.id)
        assert (end.state, end.version, called) == (whole.state, whole.version, [])


def ask(to: str) -> dict[str, Any]:
    return {"wait": {"signal": "go"}, "next": to}


async def test_a_run_that_was_imported_is_rerun_without_its_tools() -> None:
    async with MemoryJournal() as journal, Engine(journal, tools=counting([])) as engine:
        whole = await engine.run(GRAPH, {"n": 1}, run_id="run")
        pieces = [each async for each in engine.export("run")]
    async with MemoryJournal() as journal, Engine(journal) as engine:
        await engine.import_run(read_export(pieces))
        begun = await engine.rerun("run")
        assert (await engine.wait(begun.id)).state == whole.state
        assert (await engine.rerun_report(begun.id)).same
        exported = [each async for each in engine.export(begun.id)]
    async with MemoryJournal() as journal, Engine(journal) as engine:
        await engine.import_run(read_export(exported))
        with pytest.raises(UnknownRun, match="run"):
            await engine.rerun_report(begun.id)


async def test_another_run_of_the_same_id_is_not_the_recording() -> None:
    called: list[str] = []
    async with MemoryJournal() as journal:
        async with Engine(journal, tools=counting([])) as engine:
            await engine.run(GRAPH, {"n": 1}, run_id="run")
            await engine.rerun("run", new_id="one")
            await engine.wait("one")
        pieces = [each async for each in engine.export("one")]
    async with MemoryJournal() as journal, Engine(journal, tools=counting(called)) as engine:
        await engine.import_run(read_export(pieces))
        await engine.run(GRAPH, {"n": 8}, run_id="run")
        report = await engine.rerun_report("one")
        assert (report.reused, report.why) == (0, {"new": 3})


async def test_what_was_erased_is_not_rerun() -> None:
    async with MemoryJournal() as journal, Engine(journal, tools=counting([])) as engine:
        await engine.run(GRAPH, {"n": 1}, run_id="run")
        await engine.rerun("run", new_id="again")
        await engine.wait("again")
        await engine.erase("run")
        with pytest.raises(RunGone):
            await engine.rerun("run")
        with pytest.raises(RunGone):
            await engine.rerun_report("again")


@pytest.mark.parametrize("is_anew", [False, True])
async def test_a_rerun_whose_recording_is_erased_meanwhile_runs_the_rest(is_anew: bool) -> None:
    gate, called = Gate(), list[str]()
    graph = {"start": "a", "nodes": {"a": {"tool": "a", "next": "ask"}, "ask": ask("b")}}
    graph["nodes"]["b"] = {"tool": "b", "next": "c"}  # type: ignore[index]
    graph["nodes"]["c"] = {"tool": "c"}  # type: ignore[index]
    async with MemoryJournal() as journal:
        tools = [*counting(called), gated(gate, called)]
        async with Engine(journal, tools=tools) as engine:
            await engine.start(graph, {"n": 1}, run_id="run")
            await engine.signal("run", "go", 1)
            await engine.wait("run")
            called.clear()
            await engine.rerun("run", new_id="again")
            if is_anew:
                await engine.pause("again")
                await engine.wait("again")
            await engine.erase("run")
            if is_anew:
                await engine.resume("again")
            end = await engine.wait("again", 1)
            if end.status == "waiting":
                await engine.signal("again", "go", 1)
                end = await engine.wait("again")
            assert end.error is not None
            assert (end.error.type, "c" in called) == ("not-rerun", False)


async def test_a_sub_graph_that_took_too_long_does_so_again_at_once() -> None:
    gate, called = Gate(), list[str]()
    retry = {"attempts": 2, "delay_s": 0}
    graph = calling("child", timeout_s=0.02, retry=retry, next=[{"to": "after", "on": "timeout"}])
    child = {"id": "child", **chain("a", "wait")}
    async with MemoryJournal() as journal:
        tools = [*counting(called), gated(gate, called)]
        graph["nodes"]["after"] = {"tool": "b"}
        async with Engine(journal, tools=tools) as engine:
            await engine.create_graph(child)
            whole = await engine.run(graph, {"n": 1}, run_id="run")
            assert whole.status == "completed"
            assert called == ["a", "wait", "a", "wait", "b"]
            called.clear()
            await engine.rerun("run", new_id="again")
            assert ((await engine.wait("again")).state, called) == (whole.state, [])
            report = await engine.rerun_report("again")
            assert (report.same, report.executed) == (True, 0)


async def test_each_attempt_of_a_sub_graph_is_answered_as_it_was() -> None:
    called: list[int] = []

    @tool(version="1")
    async def learn(state: dict[str, Any]) -> dict[str, Any]:
        called.append(1)
        if len(called) < 3:
            raise ConnectionError(f"not yet, {len(called)}")
        return {"learnt": len(called)}

    child = {"id": "child", **chain("learn")}
    graph = calling("child", retry={"attempts": 3, "delay_s": 0}, next=None)
    graph["nodes"].pop("after")
    async with MemoryJournal() as journal, Engine(journal, tools=[learn]) as engine:
        await engine.create_graph(child)
        whole = await engine.run(graph, run_id="run")
        assert whole.state == {"learnt": 3}
        await engine.rerun("run", new_id="again")
        assert ((await engine.wait("again")).state, len(called)) == (whole.state, 3)
        failed = [
            [event.data.error.message async for event in engine.tail(run) if event.type == kind]  # type: ignore[union-attr]
            for run in ("run", "again")
            for kind in ["node.attempt_failed"]
        ]
        assert failed[0] == failed[1] == ["not yet, 1", "not yet, 2"]


async def test_each_call_of_a_sub_graph_is_given_its_own_signals_and_waits_for_no_time() -> None:
    @tool(version="1")
    async def judge(state: dict[str, Any]) -> dict[str, Any]:
        if state["go"] == "no":
            raise ValueError("not so")
        return {"judged": state["go"]}

    nodes = {
        "ask": ask("rest"),
        "rest": {"wait": {"for_s": 0.001}, "next": "judge"},
        "judge": {"tool": "judge"},
    }
    child = {"id": "child", "start": "ask", "nodes": nodes}
    graph = calling("child", retry={"attempts": 3, "delay_s": 0}, next=None, out=["judged"])
    graph["nodes"].pop("after")
    slow = {**child, "nodes": {**nodes, "rest": {"wait": {"for_s": 3600}, "next": "judge"}}}
    async with MemoryJournal() as journal, Engine(journal, tools=[judge]) as engine:
        await engine.create_graph(child)
        await engine.start(graph, run_id="run")
        for answer in ("no", "no", "yes"):
            await engine.signal("run", "go", answer)
        async for _ in engine.tail("run"):
            pass
        await engine.rerun("run", new_id="again")
        assert (await engine.wait("again", PATIENCE_S)).state == {"judged": "yes"}
        report = await engine.rerun_report("again")
        assert (report.same, report.first, report.executed) == (True, None, 0)
        await engine.create_graph(slow)
        await engine.rerun("run", graph=graph, new_id="slow")
        assert (await engine.wait("slow", PATIENCE_S)).state == {"judged": "yes"}


@pytest.mark.parametrize("moment", ["before", "ack-lost", "after"])
async def test_a_rerun_that_dies_at_any_commit_goes_on_from_its_recording(moment: Any) -> None:
    graph = {
        "start": "a",
        "nodes": {
            "a": {"tool": "a", "next": "ask"},
            "ask": ask("rest"),
            "rest": {"wait": {"for_s": 0.001}, "next": "c"},
            "c": {"tool": "c"},
        },
    }
    called: list[str] = []
    points = 0
    while True:
        async with MemoryJournal() as journal:
            async with Engine(journal, tools=counting([])) as engine:
                await engine.start(graph, {"n": 1}, run_id="run")
                await engine.signal("run", "go", 1)
                whole = await engine.wait("run")
                while whole.status != "completed":
                    await asyncio.sleep(0.001)
                    whole = await engine.wait("run")
            faulty = FaultJournal(journal, points + 1, moment)
            async with Engine(faulty, tools=counting(called)) as engine:
                rerun = asyncio.ensure_future(engine.rerun("run", new_id="again"))
                died = asyncio.ensure_future(faulty.died.wait())
                done = asyncio.ensure_future(ended(engine, rerun))
                await asyncio.wait({died, done}, return_when=asyncio.FIRST_COMPLETED)
                for task in (died, done, rerun):
                    task.cancel()
                await asyncio.gather(died, done, rerun, return_exceptions=True)
            if not faulty.died.is_set():
                break
            points += 1
            async with Engine(journal, tools=counting(called)) as engine:
                if not await journal.head("again"):
                    continue
                async with asyncio.timeout(PATIENCE_S):
                    await ended(engine)
                end = await engine.get("again")
                assert (end.status, end.state) == ("completed", whole.state)
    assert called == []
    assert points > 4


async def test_a_race_that_a_crash_interrupts_is_no_difference() -> None:
    gates = {name: asyncio.Event() for name in "abc"}
    gates["b"].set()
    points = 0
    async with MemoryJournal() as journal:
        async with Engine(journal, tools=racing(gates)) as engine:
            await engine.run(RACE, run_id="run")
        while True:
            faulty = FaultJournal(journal, points + 1, "after")
            async with Engine(faulty, recover=False) as engine:
                await engine.rerun("run", new_id=f"again-{points}")
                with suppress(JournalFailed):
                    await engine.wait(f"again-{points}", PATIENCE_S)
            if not faulty.died.is_set():
                break
            async with Engine(journal) as engine:
                await engine.wait(f"again-{points}", PATIENCE_S)
                report = await engine.rerun_report(f"again-{points}")
                assert (report.same, report.first, report.done) == (True, None, True)
            points += 1
    assert points > 2


async def test_a_conflict_of_the_same_branches_is_the_same_by_whatever_events() -> None:
    sample = SAMPLES["merge conflict"]
    async with MemoryJournal() as journal, Engine(journal, tools=TOOLS) as engine:
        whole = await drive(engine, sample)
        await engine.rerun("run", new_id="again")
        await engine.migrate("again", with_more(sample.graph))
        end = await engine.wait("again")
        assert whole.error is not None
        assert end.error is not None
        assert whole.error.type == end.error.type == "merge-conflict"
        assert whole.error.message != end.error.message
        report = await engine.rerun_report("again")
        assert (report.same, report.first, report.executed) == (True, None, 0)


async def ended(engine: Engine, rerun: asyncio.Future[Any] | None = None) -> None:
    if rerun is not None:
        await rerun
    async for _ in engine.tail("again"):
        pass
