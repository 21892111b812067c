"""Migrating: an unfinished run goes on in another graph by one event, wherever it stands."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from msgspec.structs import replace

import stenograph as st
from stenograph.engine import (
    Engine,
    GraphInvalid,
    MigrationRefused,
    RunFinished,
    RunImported,
    UnknownGraph,
    UnknownRun,
    read_export,
)
from stenograph.engine.core.events import RunMigrated
from stenograph.journal import MemoryJournal
from tests.crashes import MOMENTS, Tally, crash_everywhere
from tests.graphs import SAMPLES, TOOLS, chain, waiting, with_more
from tests.stage import Stage, held, staged

LINE = {
    "start": "a",
    "nodes": {"a": held(next="b"), "b": held()},
}
LONGER = {
    "start": "a",
    "nodes": {"a": held(next="c"), "b": held(), "c": held(next="b")},
}


@asynccontextmanager
async def begun(graph: dict[str, Any], state: dict[str, Any] | None = None) -> AsyncIterator[Stage]:
    """Yield a stage with a run of a graph, which does what it can."""
    async with staged() as stage:
        await stage.engine.start(graph, state, run_id="run")
        await stage.settle()
        yield stage


async def migrated(stage: Stage) -> RunMigrated:
    """Return the one event that a migration made."""
    [data] = [e.data for e in await stage.events() if isinstance(e.data, RunMigrated)]
    return data


async def test_a_running_node_is_left_by_the_new_edges_and_runs_once() -> None:
    async with begun(LINE) as stage:
        before = await stage.events()
        done = await stage.engine.migrate("run", LONGER, actor="ann")
        assert (done.done, done.seq, done.faults) == (True, len(before) + 1, ())
        assert (await stage.types())[len(before) :] == ["run.migrated"]
        data = await migrated(stage)
        assert (data.actor, data.graph_id, data.version) == ("ann", done.graph_id, done.version)
        for node in "acb":
            await stage.finish(f"run/{node}#1.1", {node: 1})
        run = await stage.engine.get("run")
        assert (run.status, run.state, run.version) == (
            "completed",
            {"a": 1, "b": 1, "c": 1},
            done.version,
        )
        assert stage.begun == ["run/a#1.1", "run/c#1.1", "run/b#1.1"]
        assert not stage.doubled


async def test_a_dry_run_tells_what_would_change_and_writes_nothing() -> None:
    async with begun(LINE) as stage:
        end = await stage.store.end()
        told = await stage.engine.migrate("run", LONGER, dry_run=True)
        assert (told.done, told.faults) == (False, ())
        assert [(c.what, c.how, c.name, c.scopes) for c in told.changes] == [
            ("node", "changed", "a", ("/",)),
            ("node", "added", "c", ()),
        ]
        without = {"start": "b", "nodes": {"b": held()}}
        told = await stage.engine.migrate("run", without, dry_run=True)
        assert [each.detail for each in told.faults] == [
            "scope / stands at node 'a', which is not there"
        ]
        assert await stage.store.end() == end
        done = await stage.engine.migrate("run", LONGER)
        assert (done.graph_id, done.version) == (done.graph_id, (await migrated(stage)).version)
        assert (done.from_graph_id, done.from_version) == (told.from_graph_id, told.from_version)


async def test_a_dry_run_takes_a_stored_graph_by_its_name() -> None:
    async with begun(LINE) as stage:
        stored = await stage.engine.create_graph(LONGER)
        told = await stage.engine.migrate("run", stored.graph_id, dry_run=True)
        assert (told.graph_id, told.version, told.done) == (stored.graph_id, stored.version, False)


async def test_a_dry_run_sees_the_graphs_that_are_given_within_one() -> None:
    def calling(*extra: str) -> st.Graph:
        nodes = {
            "ask": st.Node(wait=st.Wait(signal="go"), next=[]),
            **{x: st.Node() for x in extra},
        }
        inner = st.Graph(id="inner", start="ask", nodes=nodes)
        return st.Graph(id="outer", start="call", nodes={"call": st.Node(graph=inner)})

    async with MemoryJournal() as journal, Engine(journal, tools=TOOLS) as engine:
        await engine.run(calling(), run_id="run", wait_s=1)
        end = await journal.end()
        told = await engine.migrate("run", calling("more"), dry_run=True)
        assert [(each.graph, each.what, each.name) for each in told.changes] == [
            ("inner", "node", "more")
        ]
        assert await journal.end() == end
        assert (await engine.migrate("run", calling("more"))).changes == told.changes
        assert (await engine.signal("run", "go", 1)).status != "failed"


async def test_the_graph_that_a_run_has_already_is_no_event() -> None:
    async with begun(LINE) as stage:
        first = await stage.engine.migrate("run", LONGER)
        end = await stage.store.end()
        again = await stage.engine.migrate("run", LONGER)
        assert (again.done, again.seq, again.changes) == (True, first.seq, ())
        named = await stage.engine.migrate("run", f"{first.graph_id}@{first.version[:8]}")
        assert (named.done, named.seq) == (True, first.seq)
        assert await stage.store.end() == end


async def test_what_does_not_fit_changes_nothing() -> None:
    async with begun(LINE) as stage:
        seq = len(await stage.events())
        with pytest.raises(MigrationRefused, match="cannot be migrated so") as refused:
            await stage.engine.migrate("run", {"start": "b", "nodes": {"b": held()}})
        assert [each.pointer for each in refused.value.faults] == ["/graph"]
        with pytest.raises(UnknownGraph):
            await stage.engine.migrate("run", "nothing")
        for dry_run in (True, False):
            with pytest.raises(GraphInvalid):
                await stage.engine.migrate("run", {"start": "x", "nodes": {}}, dry_run=dry_run)
        with pytest.raises(UnknownRun):
            await stage.engine.migrate("nobody", LONGER)
        assert len(await stage.events()) == seq


@pytest.mark.parametrize("dry_run", [True, False])
async def test_a_run_that_has_ended_stays_what_it_is(dry_run: bool) -> None:
    graphs = {
        "completed": chain("count"),
        "failed": chain("always_fail"),
        "cancelled": chain("hang"),
    }
    async with MemoryJournal() as journal, Engine(journal, tools=TOOLS) as engine:
        for status, graph in graphs.items():
            await engine.start(graph, run_id=status)
            if status == "cancelled":
                await engine.cancel(status)
            await engine.wait(status)
            with pytest.raises(RunFinished, match=status):
                await engine.migrate(status, with_more(graph), dry_run=dry_run)


@pytest.mark.parametrize("dry_run", [True, False])
async def test_an_imported_run_is_only_read(dry_run: bool) -> None:
    async with MemoryJournal() as journal, Engine(journal, tools=TOOLS) as engine:
        await engine.run(waiting({"signal": "go"}), run_id="run", wait_s=1)
        file = b"".join([part async for part in engine.export("run")])
    async with MemoryJournal() as journal, Engine(journal, tools=TOOLS) as engine:
        await engine.import_run(read_export([file]))
        with pytest.raises(RunImported):
            await engine.migrate("run", with_more(waiting({"signal": "go"})), dry_run=dry_run)


async def test_a_run_that_waits_goes_on_waiting_and_keeps_its_signals_and_its_time() -> None:
    def asking(after: str, **wait: Any) -> dict[str, Any]:
        ask = {"wait": {"signal": "go", **wait}, "next": after}
        return {"start": "ask", "nodes": {"ask": ask, "late": held(), "b": held()}}

    caught = asking("b", timeout_s=600)
    caught["nodes"]["ask"]["next"] = [{"to": "b"}, {"to": "late", "on": "timeout"}]
    async with begun(asking("late", timeout_s=60)) as stage:
        await stage.engine.migrate("run", caught)
        assert await stage.status() == "waiting"
        await stage.restart(crash=True)
        await stage.pass_time(61)  # as it was opened, not as the node says now
        assert stage.begun == ["run/late#1.1"]
    async with begun(asking("late")) as stage:
        await stage.engine.migrate("run", caught)
        await stage.engine.signal("run", "go", 7)
        await stage.settle()
        assert stage.begun == ["run/b#1.1"]
        assert (await stage.engine.state("run")).values == {"go": 7}


async def test_a_paused_run_stays_so_and_enters_the_new_node_when_it_goes_on() -> None:
    async with begun(LINE) as stage:
        await stage.engine.pause("run")
        await stage.finish("run/a#1.1")
        assert await stage.status() == "paused"
        other = {"start": "a", "nodes": {"a": held(), "b": {"wait": {"signal": "go"}}}}
        await stage.engine.migrate("run", other)
        assert await stage.status() == "paused"
        await stage.restart()
        await stage.engine.resume("run")
        await stage.settle()
        assert await stage.status() == "waiting"


async def test_a_run_that_is_pausing_comes_to_its_pause() -> None:
    async with begun(LINE) as stage:
        await stage.engine.pause("run")
        await stage.engine.migrate("run", LONGER)
        assert stage.stopped == []
        await stage.finish("run/a#1.1")
        assert await stage.status() == "paused"
        await stage.engine.resume("run")
        await stage.settle()
        assert [*stage.held] == ["run/c#1.1"]


async def test_a_parked_run_is_mended_by_another_graph_and_resumed() -> None:
    def once(then: str) -> dict[str, Any]:
        first = {**held(next=then), "tool": "once"}
        return {"start": "a", "nodes": {"a": first, "b": held(), "c": held()}}

    async with begun(once("b")) as stage:
        await stage.restart(crash=True)
        assert await stage.status() == "parked"
        await stage.engine.migrate("run", once("c"))
        assert await stage.status() == "parked"
        await stage.engine.resume("run", result={"a": 1})
        await stage.settle()
        assert [*stage.held] == ["run/c#1.1"]


async def test_an_attempt_that_backs_off_comes_at_its_time_and_is_tried_as_the_new_node_says() -> (
    None
):
    def tried(**retry: Any) -> dict[str, Any]:
        retry = {"attempts": 2, "delay_s": 30, "jitter": False, **retry}
        return {"start": "a", "nodes": {"a": held(retry=retry)}}

    async with begun(tried()) as stage:
        await stage.fail("run/a#1.1")
        await stage.engine.migrate("run", tried(attempts=3, delay_s=5))
        await stage.pass_time(6)
        assert not stage.held
        await stage.pass_time(25)
        await stage.fail("run/a#1.2")
        await stage.pass_time(11)
        await stage.finish("run/a#1.3", {"ok": True})
        assert await stage.status() == "completed"


async def test_branches_and_items_go_on_and_join_in_the_new_graph() -> None:
    def mapped(*after: str, **node: Any) -> dict[str, Any]:
        split = {"next": {"each": "items", "as": "it", "to": "work", "join": "end", "width": 2}}
        work = held(next=after[0] if after else "end", **node)
        more = {name: held(next="end") for name in after}
        return {
            "start": "split",
            "nodes": {"split": split, "work": work, **more, "end": held()},
            "state": {"n": {"reducer": "add"}},
        }

    async with begun(mapped(), {"items": [1, 2, 3], "n": 0}) as stage:
        await stage.finish("run/split#1[0]/work#1.1", {"n": 1})
        await stage.engine.migrate("run", mapped("polish"))
        for index in (1, 2):
            await stage.finish(f"run/split#1[{index}]/work#1.1", {"n": 1})
            await stage.finish(f"run/split#1[{index}]/polish#1.1", {"n": 5})
        await stage.finish("run/end#1.1")
        assert (await stage.engine.get("run")).state["n"] == 13
        assert not stage.doubled


async def test_a_sub_graph_goes_on_in_the_version_that_its_node_runs_now() -> None:
    outer = {"start": "call", "nodes": {"call": {"graph": "inner", "timeout_s": 60}}}
    async with staged() as stage:
        await stage.engine.create_graph({"id": "inner", **LINE})
        old = await stage.engine.graph("inner")
        await stage.engine.create_graph({"id": "other", **LONGER})
        pinned = {"start": "call", "nodes": {"call": {"graph": f"inner@{old.version}"}}}
        await stage.engine.start(outer, run_id="run")
        await stage.settle()
        await stage.engine.migrate("run", pinned)
        done = await stage.engine.migrate(
            "run", {"start": "call", "nodes": {"call": {"graph": "other"}}}
        )
        assert [(c.what, c.how, c.graph, c.name) for c in done.changes] == [
            ("node", "changed", "", "call"),
            ("graph", "removed", f"inner@{old.version}", ""),
            ("graph", "added", "other", ""),
        ]
        await stage.finish("run/call#1/a#1.1")
        assert [*stage.held] == ["run/call#1/c#1.1"]
        await stage.restart(crash=True)
        assert [*stage.held] == ["run/call#1/c#1.2"]
        await stage.pass_time(61)  # the time that it was given; the node has none any more
        run = await stage.engine.get("run")
        assert run.error is not None
        assert (run.error.type, run.error.message) == (
            "TimeoutError",
            "the graph did not end in time",
        )


async def test_what_was_counted_still_counts_against_the_new_cap() -> None:
    def looping(most: int) -> dict[str, Any]:
        edges = [{"to": "a", "max": most}, {"to": "b"}]
        return {"start": "a", "nodes": {"a": held(next=edges), "b": held()}}

    async with begun(looping(9)) as stage:
        for visit in (1, 2):
            await stage.finish(f"run/a#{visit}.1")
        await stage.engine.migrate("run", looping(2))
        await stage.finish("run/a#3.1")
        assert [*stage.held] == ["run/b#1.1"]


async def test_a_run_keeps_its_place_in_the_line_and_is_listed_under_its_new_graph() -> None:
    line = {**LINE, "id": "line", "concurrency": {"limit": 1}}
    async with staged() as stage:
        await stage.engine.create_graph({"id": "free", **LONGER})
        for run_id in ("run", "next"):
            await stage.engine.start(line, run_id=run_id)
            await stage.settle()
        await stage.engine.migrate("next", "free")
        await stage.engine.migrate("run", "free")
        await stage.restart(crash=True)
        assert [*stage.held] == ["run/a#1.2"]
        listed = await stage.engine.runs({"graph": "free"})
        assert {each.run_id for each in listed} == {"run", "next"}
        assert not await stage.engine.runs({"graph": "line"})
        for name in ("a#1.2", "c#1.1", "b#1.1"):
            await stage.finish(f"run/{name}")
        assert [*stage.held] == ["next/a#1.1"]


async def test_secrets_are_still_given_to_tools_and_never_written_down() -> None:
    seen: list[str] = []

    @st.tool
    async def use(state: dict[str, Any]) -> None:
        seen.append(state["token"])

    graph = {**waiting({"signal": "go"}), "state": {"token": {"secret": True}}}
    graph["nodes"]["after"] = {"tool": "use"}
    async with MemoryJournal() as journal, Engine(journal, tools=[*TOOLS, use]) as engine:
        await engine.run(graph, {"token": "hush-hush"}, run_id="run", wait_s=1)
        await engine.migrate("run", with_more(graph), actor="ann hush-hush")
        await engine.signal("run", "go")
        assert (await engine.wait("run")).status == "completed"
        assert seen == ["hush-hush"]
        assert all(b"hush-hush" not in each.data for each in await journal.read("run"))


async def test_state_reasons_blame_visits_diff_and_verify_know_of_it() -> None:
    async with begun(LINE) as stage:
        engine = stage.engine
        done = await engine.migrate("run", LONGER, actor="ann")
        before, after = [await engine.state("run", at=done.seq - by) for by in (1, 0)]
        assert before.json == after.json
        await stage.finish("run/a#1.1", {"x": 1})
        events = await stage.events()
        [way] = [each.seq for each in events if each.type == "transition.taken"]
        told = await engine.why("run", done.seq)
        assert told.says == (f"ann had the run go on in {done.graph_id}@{done.version[:8]}",)
        assert [edge.to for edge in (await engine.why("run", way)).edges] == [("c",)]
        blamed = await engine.blame("run", "/x")
        assert [(each.by.node, each.by.seq) for each in blamed.items] == [("a", way - 1)]
        assert [visit.node for visit in await engine.visits("run")] == ["a", "c"]
        found = await engine.diff("run", "run", at=done.seq - 1, other_at=done.seq)
        assert (found.left.version, found.right.version) == (done.from_version, done.version)
        forked = await engine.fork("run", done.seq - 1, new_id="old")
        assert forked.version == done.from_version
        forked = await engine.fork("run", done.seq, new_id="new")
        assert (forked.version, forked.origin and forked.origin.seq) == (done.version, done.seq)
        header = read_export([part async for part in engine.export("run")]).header
        assert {each.version for each in header.graphs} == {done.from_version, done.version}


async def test_predicates_that_were_asked_for_the_old_edges_are_not_what_the_new_ones_say() -> None:
    asked, answer = threading.Event(), threading.Event()

    @st.predicate
    def slow(state: dict[str, Any]) -> bool:
        asked.set()
        return answer.wait(5)

    @st.predicate
    def other(state: dict[str, Any]) -> bool:
        return True

    def by(predicate: str, to: str) -> dict[str, Any]:
        edges = [{"to": to, "when": {"fn": predicate}}]
        return {
            "start": "a",
            "nodes": {"a": {"tool": "count", "next": edges}, "b": {}, "c": {}},
        }

    async with MemoryJournal() as journal, Engine(journal, tools=[*TOOLS, slow, other]) as engine:
        await engine.start(by("slow", "b"), run_id="run")
        assert await asyncio.to_thread(asked.wait, 5)
        await engine.migrate("run", by("other", "c"))
        answer.set()
        await engine.wait("run")
        assert [visit.node for visit in await engine.visits("run")] == ["a", "c"]


@pytest.mark.parametrize("wins", ["run", "migration"])
async def test_a_run_that_ends_meanwhile_is_not_migrated(wins: str) -> None:
    async with begun({"start": "a", "nodes": {"a": held()}}) as stage:
        asking = asyncio.ensure_future(stage.engine.migrate("run", LONGER))
        if wins == "run":
            stage.held["run/a#1.1"].set_result({})
        await stage.settle()
        if wins == "run":
            done = await asyncio.gather(asking, return_exceptions=True)
            kept = "run.migrated" in await stage.types()
            assert kept is not isinstance(done[0], RunFinished)
            assert (await stage.status() == "completed") is not kept
        else:
            assert (await asking).done
            await stage.finish("run/a#1.1")
            assert [*stage.held] == ["run/c#1.1"]


async def test_whoever_migrates_while_the_run_moves_is_judged_by_where_it_stands_then() -> None:
    """At each of its moments a run either went on in the new graph or was told why not."""
    without_a = {"start": "b", "nodes": {"b": held(next="c"), "c": held()}}
    outcomes = set()
    for ticks in range(60):
        async with begun(LINE) as stage:
            stored = await stage.engine.create_graph(without_a)
            stage.held["run/a#1.1"].set_result({})
            for _ in range(ticks):
                await asyncio.sleep(0)
            try:
                await stage.engine.migrate("run", stored.graph_id)
                outcome, following = "migrated", ["run/c#1.1"]
            except MigrationRefused:
                outcome, following = "refused", []
            await stage.settle()
            await stage.finish("run/b#1.1")
            assert [*stage.held] == following
            outcomes.add(outcome)
    assert outcomes == {"migrated", "refused"}


CRASHED = (
    "sequence", "bounded loop", "retry", "signal", "timer", "sub-graph", "pause", "paused map",
)  # fmt: skip


@pytest.mark.parametrize("name", CRASHED)
async def test_a_crash_at_any_commit_of_a_run_that_is_migrated_loses_nothing(name: str) -> None:
    tally = Tally()
    faults = await crash_everywhere(replace(SAMPLES[name], migrates=True), tally)
    assert not faults, "\n".join(faults)
    assert tally.points >= 3
    assert (tally.lost, tally.doubled, tally.stuck) == (0, 0, 0)


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_crash_at_the_migration_itself_leaves_a_run_in_one_graph_or_the_other(
    moment: Any,
) -> None:
    async with begun(LINE) as stage:
        stage.die_at(1, moment)
        asking = asyncio.ensure_future(stage.engine.migrate("run", LONGER))
        await stage.settle()
        await stage.restart(crash=True)
        [outcome] = await asyncio.gather(asking, return_exceptions=True)
        is_there = "run.migrated" in await stage.types()
        assert is_there is (moment != "before")
        assert isinstance(outcome, Exception) is (moment != "after")
        await stage.finish("run/a#1.2")
        assert [*stage.held] == [f"run/{'c' if is_there else 'b'}#1.1"]
