"""What a graph can do, a test for each row of docs/features.md; all on a real engine, in memory."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

import stenograph as st
from stenograph.engine import Engine, record_run
from stenograph.journal import MemoryJournal
from stenograph.testing import replays
from tests.engine import process_tools
from tests.graphs import COUNTING, TOOLS, calling, chain, fork, mapped, one, waiting

PAGE = Path(__file__).parent.parent / "docs" / "features.md"
AFTER = {"tool": "note"}
SOON_S = 30


@st.tool
async def stand(state: dict[str, Any], ctx: st.Context) -> None:
    """Run until somebody stops it."""
    ctx.log("standing")
    await asyncio.sleep(3600)


@st.tool
async def advance(state: dict[str, Any], ctx: st.Context) -> None:
    ctx.progress(1, 2, "half of it")


@st.tool
async def tell_key(state: dict[str, Any], ctx: st.Context) -> dict[str, Any]:
    if ctx.attempt == 1:
        raise ConnectionError("again")
    return {"key": ctx.idempotency_key}


@st.tool(effects="once")
async def pay(state: dict[str, Any], ctx: st.Context) -> None:
    ctx.log("paying")
    await asyncio.sleep(3600)


@st.tool
async def use_secret(state: dict[str, Any], ctx: st.Context) -> dict[str, Any]:
    ctx.log(f"calling with {state['token']}")
    return {"length": len(state["token"])}


class Door(msgspec.Struct):
    width: int
    height: int = 2


@st.tool
def widen(state: Door) -> None:
    state.width += 1


class Crowd:
    """A tool that counts how many begun, and how many of them run at once at most."""

    def __init__(self) -> None:
        self.begun = self.now = self.most = 0

    def tool(self, **flow: Any) -> st.Tool:
        async def work(state: dict[str, Any]) -> None:
            self.begun += 1
            self.now += 1
            self.most = max(self.most, self.now)
            await asyncio.sleep(0.002)
            self.now -= 1

        return st.tool(name="work", **flow)(work)


OWN = [stand, advance, tell_key, pay, use_secret]


@asynccontextmanager
async def engine_with(*graphs: Mapping[str, Any], tools: Any = ()) -> AsyncIterator[st.Engine]:
    async with st.open(":memory:", tools=[*TOOLS, *OWN, *tools]) as engine:
        for graph in graphs:
            await engine.create_graph(graph)
        yield engine


async def ran(
    graph: Mapping[str, Any], state: Mapping[str, Any] | None = None, *graphs: Mapping[str, Any]
) -> st.RunView:
    """Return a run of a graph once it has ended or come to rest."""
    async with engine_with(*graphs) as engine:
        return await engine.run(graph, state)


async def until(engine: st.Engine, run_id: str, kind: str, after: int = 0) -> st.Event:
    """Return the first event of a type in a run, when there is one."""
    async with asyncio.timeout(SOON_S):
        return await anext(e async for e in engine.tail(run_id, after=after) if e.type == kind)


async def nodes_of(engine: st.Engine, run_id: str) -> list[str]:
    return [visit.node for visit in await engine.visits(run_id)]


def looping(**edge: Any) -> dict[str, Any]:
    return one("count", next=[{"to": "work", **edge}])


# The way through a graph


async def test_nodes_run_one_after_the_other() -> None:
    run = await ran(chain("count", "count", "count"))
    assert (run.status, run.state) == ("completed", {"n": 3})


async def test_a_branch_is_taken_when_its_condition_is_true() -> None:
    graph = one("count", next=[{"to": "after", "when": "n == 1"}, {"to": "$fail"}])
    assert (await ran(graph)).state == {"n": 1, "notes": ["seen"]}


async def test_the_last_edge_is_the_default() -> None:
    graph = one("count", next=[{"to": "$fail", "when": "n == 7"}, {"to": "after"}])
    assert (await ran(graph)).state["notes"] == ["seen"]


async def test_a_condition_may_be_a_python_function() -> None:
    graph = one("count", next=[{"to": "after", "when": {"fn": "enough"}}, {"to": "work"}])
    assert (await ran(graph)).state["n"] == 3


async def test_a_loop_goes_round_so_many_times() -> None:
    run = await ran(looping(max=3))
    assert (run.state["n"], run.reason) == (4, "loop-cap")


async def test_a_loop_goes_round_until_something_is_true() -> None:
    run = await ran(looping(until="n >= 5"))
    assert (run.state["n"], run.reason) == (5, "loop-done")


async def test_a_tool_says_where_to_go() -> None:
    graph = {
        "start": "choose",
        "nodes": {"choose": {"tool": "choose"}, "left": {"tool": "count"}, "right": {}},
    }
    async with engine_with() as engine:
        run = await engine.run(graph)
        assert (await until(engine, run.id, "transition.taken")).data.reason == "goto"  # type: ignore[union-attr]
        assert await nodes_of(engine, run.id) == ["choose", "left"]


async def test_a_graph_can_say_that_it_failed() -> None:
    run = await ran(one("count", next="$fail"))
    assert run.error is not None
    assert (run.status, run.error.type) == ("failed", "failed")


# Failure


async def test_a_failed_attempt_is_made_again_with_backoff() -> None:
    retry = {"attempts": 3, "delay_s": 0.001, "factor": 2, "max_delay_s": 1}
    async with engine_with() as engine:
        run = await engine.run(one("fail_until_third_try", retry=retry))
        assert run.state == {"tried": True}
        assert (await engine.visits(run.id))[0].attempts == 3


async def test_only_some_errors_are_tried_again() -> None:
    retry = {"attempts": 5, "delay_s": 0.001, "on": ["OSError"]}
    async with engine_with() as engine:
        run = await engine.run(one("always_fail", retry=retry))  # a LookupError
        assert (await engine.visits(run.id))[0].attempts == 1


async def test_an_error_is_caught_by_its_type() -> None:
    edges = [
        {"to": "$fail", "on": "error", "when": "error.type == 'OSError'"},
        {"to": "after", "on": "error", "when": "error.type == 'LookupError'"},
    ]
    assert (await ran(one("always_fail", next=edges))).state == {"notes": ["seen"]}


async def test_a_tool_that_takes_too_long_is_stopped_and_that_can_be_caught() -> None:
    graph = one("hang", timeout_s=0.01, next=[{"to": "after", "on": "timeout"}])
    assert (await ran(graph)).state == {"notes": ["seen"]}


async def test_a_failed_run_goes_on_where_it_failed() -> None:
    async with engine_with() as engine:
        run = await engine.run(chain("count", "fail_until_retried", "note"))
        assert run.status == "failed"
        await engine.retry(run.id)
        again = await engine.wait(run.id)
    assert (again.status, again.state["n"], again.state["tried"]) == ("completed", 1, 1)


# Forks


async def test_branches_run_at_once_and_join() -> None:
    run = await ran(fork({"a": {"x": 1}, "b": {"y": 2}}))
    assert run.state == {"x": 1, "y": 2, "notes": ["seen"]}


async def test_a_node_runs_for_every_item_of_a_list() -> None:
    run = await ran(mapped("double"), {"items": [3, 1, 2]})
    assert run.state["doubled"] == [6, 2, 4]


async def test_a_map_has_so_many_branches_at_a_time() -> None:
    crowd = Crowd()
    async with engine_with(tools=[crowd.tool()]) as engine:
        await engine.run(mapped("work", width=2), {"items": list(range(6))})
    assert crowd.most == 2


async def test_the_first_branch_to_arrive_wins_and_the_others_are_stopped() -> None:
    nodes = {
        "split": {"next": {"to": ["quick", "slow"], "join": "after", "need": 1}},
        "quick": {"tool": "write", "config": {"by": "quick"}},
        "slow": {"tool": "hang"},
        "after": AFTER,
    }
    run = await ran({"start": "split", "nodes": nodes})
    assert (run.status, run.state["by"]) == ("completed", "quick")


async def test_a_fork_goes_on_when_enough_have_arrived() -> None:
    graph = fork({"a": {"x": 1}, "b": {}, "c": {"z": 1}}, need=2)
    graph["nodes"]["b"] = {"tool": "always_fail"}
    run = await ran(graph)
    assert (run.status, run.state["x"], run.state["z"]) == ("completed", 1, 1)


async def test_the_errors_of_branches_are_collected() -> None:
    run = await ran(mapped("fail_on_odd", on_error="collect"), {"items": [2, 3, 4]})
    error = {"branch": 1, "node": "work", "type": "ValueError", "message": "3 is odd"}
    assert (run.status, run.state["even"], run.state["errors"]) == ("completed", 6, [error])


async def test_a_branch_that_fails_stops_the_others() -> None:
    graph = fork({"a": {}, "b": {}})
    graph["nodes"] |= {"a": {"tool": "always_fail"}, "b": {"tool": "hang"}}
    run = await ran(graph)
    assert run.error is not None
    assert (run.status, run.error.type) == ("failed", "LookupError")


async def test_forks_stand_within_forks() -> None:
    graph = {
        "start": "rows",
        "nodes": {
            "rows": {"next": {"each": "rows", "as": "row", "to": "row", "join": "$end"}},
            "row": {"next": {"each": "row", "to": "cell", "join": "$end"}},
            "cell": {"tool": "double"},
        },
        "state": {"doubled": {"reducer": "add"}, "seen": {"reducer": "concat"}},
    }
    assert (await ran(graph, {"rows": [[1, 2], [3]]})).state["doubled"] == 12


async def test_branches_that_disagree_are_a_conflict_that_names_them() -> None:
    run = await ran(fork({"a": {"x": 1}, "b": {"x": 2}}))
    assert run.error is not None
    assert run.error.type == "merge-conflict"
    assert "/split#1[0]/" in run.error.message


# Sub-graphs


async def test_a_node_runs_another_graph() -> None:
    assert (await ran(calling("child"), {"n": 1}, COUNTING)).state["n"] == 3


async def test_a_sub_graph_is_given_and_gives_back_what_its_node_says() -> None:
    graph = calling("child", **{"in": {"n": "doc.size"}, "out": ["n"]})
    run = await ran(graph, {"doc": {"size": 5}}, COUNTING)
    assert run.state["n"] == 7


async def test_a_graph_that_calls_itself_without_end_is_stopped() -> None:
    run = await ran({"id": "self", "start": "again", "nodes": {"again": {"graph": "self"}}})
    assert run.error is not None
    assert run.error.type == "too-deep"


# Waits


async def test_a_run_waits_for_a_person() -> None:
    async with engine_with() as engine:
        run = await engine.run(waiting({"signal": "approval"}))
        assert (run.status, run.waits[0].signal) == ("waiting", "approval")
        await engine.signal(run.id, "approval", {"ok": True}, actor="ann", saw=run.seq)
        done = await engine.wait(run.id)
        given = await until(engine, run.id, "signal.received")
    assert (done.status, done.state["approval"]) == ("completed", {"ok": True})
    assert (given.data.actor, given.data.saw) == ("ann", run.seq)  # type: ignore[union-attr]


async def test_an_answer_must_fit_its_schema() -> None:
    async with engine_with() as engine:
        run = await engine.run(waiting({"signal": "stars", "schema": {"type": "integer"}}))
        with pytest.raises(st.SignalRefused):
            await engine.signal(run.id, "stars", "many")
        assert (await engine.get(run.id)).status == "waiting"


async def test_a_wait_for_an_answer_has_its_time() -> None:
    graph = waiting({"signal": "go", "timeout_s": 0.004}, on="timeout")
    async with engine_with() as engine:
        run = await engine.start(graph)
        await until(engine, run.id, "run.completed")
        assert (await engine.wait(run.id)).state["n"] == 2


async def test_a_signal_may_come_before_anybody_waits_for_it() -> None:
    first = {"wait": {"signal": "a"}, "next": "second"}
    graph = {"start": "first", "nodes": {"first": first, "second": {"wait": {"signal": "b"}}}}
    async with engine_with() as engine:
        run = await engine.run(graph)
        await engine.signal(run.id, "b", 2)
        await engine.signal(run.id, "a", 1)
        assert (await engine.wait(run.id)).state == {"a": 1, "b": 2}


async def test_a_signal_is_for_one_branch() -> None:
    nodes = {
        "split": {"next": {"each": "people", "to": "ask", "join": "$end"}},
        "ask": {"wait": {"signal": "vote"}},
    }
    graph = {"start": "split", "nodes": nodes, "state": {"vote": {"reducer": "append"}}}
    async with engine_with() as engine:
        run = await engine.run(graph, {"people": ["ann", "bob"]})
        await engine.signal(run.id, "vote", "no", scope="/split#1[1]/")
        (left,) = (await engine.get(run.id)).waits
    assert left.scope == "/split#1[0]/"


async def test_a_run_sleeps_for_a_while() -> None:
    async with engine_with() as engine:
        run = await engine.start(waiting({"for_s": 0.004}))
        await until(engine, run.id, "timer.fired")
        await until(engine, run.id, "run.completed")


async def test_a_run_sleeps_until_a_time_in_its_state() -> None:
    async with engine_with() as engine:
        graph = waiting({"at": "due"})
        run = await engine.run(graph, {"due": "2126-01-01T00:00:00Z"})
        assert run.waits[0].due_at == "2126-01-01T00:00:00.000000Z"
        past = await engine.start(graph, {"due": "2026-01-01T00:00:00Z"})
        await until(engine, past.id, "run.completed")


# People and runs


async def test_a_run_is_paused_and_resumed() -> None:
    async with engine_with() as engine:
        run = await engine.run(waiting({"signal": "go"}))
        assert (await engine.pause(run.id, reason="lunch", actor="ann")).status == "paused"
        await engine.signal(run.id, "go", 1)
        assert (await engine.get(run.id)).status == "paused"
        await engine.resume(run.id)
        assert (await engine.wait(run.id)).status == "completed"


async def test_a_run_is_cancelled_with_what_it_does() -> None:
    async with engine_with() as engine:
        run = await engine.start(one("hang"))
        await engine.cancel(run.id)
        assert (await engine.wait(run.id)).status == "cancelled"


async def test_a_run_parks_at_its_step_limit_and_may_be_given_more() -> None:
    async with engine_with() as engine:
        graph = {**chain("count", "count", "count"), "limits": {"steps": 2}}
        run = await engine.run(graph)
        assert (run.status, run.reason, run.state) == ("parked", "limit", {"n": 2})
        await engine.resume(run.id, limits=st.Limits(steps=10))
        assert (await engine.wait(run.id)).state == {"n": 3}


async def test_a_run_parks_at_its_time_limit() -> None:
    run = await ran({**one("hang"), "limits": {"time_s": 0.01}})
    assert (run.status, run.reason) == ("parked", "limit")


async def test_an_unfinished_run_goes_on_in_another_version() -> None:
    old = waiting({"signal": "go"})
    nodes = {
        **old["nodes"],
        "wait": {**old["nodes"]["wait"], "next": "new"},
        "new": {"tool": "count"},
    }
    async with engine_with() as engine:
        run = await engine.run(old, wait_s=1)
        tried = await engine.migrate(run.id, {**old, "nodes": nodes}, dry_run=True)
        assert [(each.name, each.how) for each in tried.changes] == [
            ("wait", "changed"),
            ("new", "added"),
        ]
        assert (await engine.migrate(run.id, {**old, "nodes": nodes})).done
        await engine.signal(run.id, "go", 1)
        await engine.wait(run.id)
        assert [visit.node for visit in await engine.visits(run.id)] == ["before", "wait", "new"]


async def test_runs_are_found_by_their_tags() -> None:
    async with engine_with() as engine:
        run = await engine.run(chain("count"), tags={"team": "blue"})
        await engine.run(chain("count"), tags={"team": "red"})
        assert [each.run_id for each in await engine.runs({"tag:team": "blue"})] == [run.id]


# State


async def test_a_reducer_says_how_values_meet() -> None:
    graph = one("write", config={"sum": 2, "tags": ["b"]}, next=[{"to": "work", "max": 1}])
    state = {"sum": {"reducer": "add"}, "tags": {"reducer": "union"}}
    run = await ran({**graph, "state": state}, {"sum": 1, "tags": ["a"]})
    assert run.state == {"sum": 5, "tags": ["a", "b"]}


async def test_branches_are_merged_in_branch_order() -> None:
    graph = fork({"a": {"log": ["a"]}, "b": {"log": ["b"]}})
    run = await ran({**graph, "state": {"log": {"reducer": "concat"}}}, {"log": ["first"]})
    assert run.state["log"] == ["first", "a", "b"]


async def test_a_value_must_fit_the_schema_of_its_key() -> None:
    graph = {**looping(), "state": {"n": {"schema": {"maximum": 2}}}}
    run = await ran(graph)
    assert run.error is not None
    assert (run.error.type, run.state) == ("schema-violated", {"n": 2})
    with pytest.raises(st.StateRefused):
        await ran(graph, {"n": 3})


async def test_a_secret_is_in_no_event() -> None:
    graph = {**one("use_secret"), "state": {"token": {"secret": True}}}
    async with engine_with() as engine:
        run = await engine.run(graph, {"token": "correct horse"})
        stored = b"".join(record.data for record in await engine.journal.read(run.id, after=0))
    assert run.state["length"] == len("correct horse")
    assert b"correct horse" not in stored
    assert b"calling with [secret token]" in stored


async def test_the_state_can_be_read_as_it_was_after_any_event() -> None:
    async with engine_with() as engine:
        run = await engine.run(chain("count", "count"))
        first = await until(engine, run.id, "state.patched")
        assert (await engine.state(run.id, at=first.seq)).values == {"n": 1}


# Tools


async def test_a_tool_gets_the_state_as_its_own_type() -> None:
    async with st.open(":memory:", tools=[widen]) as engine:
        graph = {"start": "widen", "nodes": {"widen": {"tool": "widen"}}}
        run = await engine.run(graph, {"width": 3, "label": "door"})
        wrong = await engine.run(graph, {"width": "broad"})
    assert run.state == {"width": 4, "label": "door"}
    assert wrong.error is not None
    assert (wrong.error.type, wrong.error.message) == (
        "state-mismatch",
        "/width is text, not an integer",
    )


async def test_what_a_tool_says_is_seen_while_it_runs() -> None:
    async with engine_with() as engine:
        run = await engine.start(one("stand"))
        line = await until(engine, run.id, "log")
        assert line.data.message == "standing"  # type: ignore[union-attr]
        assert (await engine.get(run.id)).status == "running"


async def test_a_tool_tells_how_far_it_is() -> None:
    async with engine_with() as engine:
        run = await engine.run(one("advance"))
        line = (await until(engine, run.id, "log")).data
    assert bytes(line.fields) == b'{"done":1,"total":2}'  # type: ignore[union-attr, arg-type]


@pytest.mark.skipif(sys.platform == "win32", reason="worker processes need POSIX")
async def test_a_tool_that_computes_has_a_process_and_is_killed_when_its_time_is_over() -> None:
    graph = one("burn", timeout_s=0.05, next=[{"to": "after", "on": "timeout"}])
    async with engine_with(tools=[process_tools.burn]) as engine:
        assert (await engine.run(graph)).state == {"notes": ["seen"]}


async def test_so_many_attempts_of_a_tool_run_at_once() -> None:
    crowd = Crowd()
    async with engine_with(tools=[crowd.tool(limit=2)]) as engine:
        await engine.run(mapped("work"), {"items": list(range(6))})
    assert crowd.most == 2


async def test_so_many_attempts_of_a_tool_start_in_a_time() -> None:
    crowd = Crowd()
    async with engine_with(tools=[crowd.tool(rate=(2, 3600))]) as engine:
        run = await engine.start(mapped("work"), {"items": list(range(6))})
        first = await until(engine, run.id, "branch.ended")
        await until(engine, run.id, "branch.ended", after=first.seq)
        entered = [visit for visit in await engine.visits(run.id) if visit.node == "work"]
    assert (crowd.begun, len(entered)) == (2, 6)


async def test_every_attempt_of_a_visit_has_one_idempotency_key() -> None:
    async with engine_with() as engine:
        node = {"tool": "tell_key", "retry": {"attempts": 2, "delay_s": 0.001}}
        run = await engine.run({"start": "pay", "nodes": {"pay": node}})
    assert run.state["key"] == f"{run.id}/pay/1"


# Starts


async def test_the_same_start_twice_begins_one_run() -> None:
    async with engine_with(COUNTING) as engine:
        first = await engine.start("child", key="order-7")
        again = await engine.start("child", key="order-7")
        assert (again.id, again.replayed) == (first.id, True)
        with pytest.raises(st.KeyReused):
            await engine.start("child", {"n": 5}, key="order-7")


async def test_a_run_begins_later() -> None:
    async with engine_with() as engine:
        run = await engine.start(chain("count"), delay_s=3600)
        assert (run.status, run.waits[0].kind) == ("waiting", "delay")


async def test_so_many_runs_of_a_graph_go_on_at_once_for_each_key() -> None:
    flow = {"limit": 1, "key": "customer"}
    async with engine_with({**one("stand"), "id": "g", "concurrency": flow}) as engine:
        runs = [await engine.start("g", {"customer": name}) for name in ("ann", "ann", "bob")]
        async with asyncio.timeout(SOON_S):
            for run in (runs[0], runs[2]):
                await until(engine, run.id, "log")
        second = await engine.get(runs[1].id)
        assert (second.status, second.waits[0].kind) == ("waiting", "turn")


async def test_one_run_too_many_is_rejected_or_takes_the_place_of_the_oldest() -> None:
    async with engine_with(
        {**one("stand"), "id": "strict", "concurrency": {"limit": 1, "policy": "reject"}},
        {**one("stand"), "id": "fresh", "concurrency": {"limit": 1, "policy": "cancel_old"}},
    ) as engine:
        await engine.start("strict")
        with pytest.raises(st.TooManyRuns):
            await engine.start("strict")
        old = await engine.start("fresh")
        new = await engine.start("fresh")
        await until(engine, old.id, "run.cancelled")
        await until(engine, new.id, "log")


async def test_so_many_runs_of_a_graph_start_in_a_time() -> None:
    flow = {"rate": {"limit": 1, "per_s": 3600}}
    async with engine_with({**chain("count"), "id": "g", "concurrency": flow}) as engine:
        first, second = await engine.run("g"), await engine.run("g")
        assert (first.status, second.status, second.waits[0].kind) == (
            "completed",
            "waiting",
            "delay",
        )


# What outlives the process


async def test_a_run_goes_on_after_the_engine_died() -> None:
    journal = MemoryJournal()
    async with Engine(journal, tools=[*TOOLS, *OWN]) as engine:
        run = await engine.start(chain("count", "stand"))
        await until(engine, run.id, "log")
    async with Engine(journal, tools=[*TOOLS, *OWN]) as engine:
        assert engine.recovered == [run.id]
        visits = await engine.visits(run.id)
        assert [(visit.node, visit.attempts) for visit in visits] == [
            ("count-0", 1),
            ("stand-1", 2),
        ]


async def test_what_must_happen_once_does_not_run_again_by_itself() -> None:
    journal = MemoryJournal()
    async with Engine(journal, tools=[*TOOLS, *OWN]) as engine:
        run = await engine.start(one("pay", next="after"))
        await until(engine, run.id, "log")
    async with Engine(journal, tools=[*TOOLS, *OWN]) as engine:
        parked = await engine.get(run.id)
        assert (parked.status, parked.reason) == ("parked", "effects-once")
        await engine.resume(run.id, result={"paid": True})
        assert (await engine.wait(run.id)).state == {"paid": True, "notes": ["seen"]}


async def test_a_run_keeps_the_versions_of_its_graphs() -> None:
    async with engine_with({"id": "g", **waiting({"signal": "go"})}) as engine:
        run = await engine.run("g")
        await engine.create_graph({"id": "g", **chain("note")})
        await engine.signal(run.id, "go", 1)
        done = await engine.wait(run.id)
        assert (done.version, done.state["n"]) == (run.version, 2)
        assert (await engine.graph("g")).version != run.version


async def test_a_run_goes_to_another_engine_as_a_file() -> None:
    async with engine_with() as engine:
        run = await engine.run(chain("count", "note"))
        file = [piece async for piece in engine.export(run.id)]
    async with st.open(":memory:") as elsewhere:  # which has none of the tools
        imported = await elsewhere.import_run(st.read_export(file))
        assert (imported.imported, imported.status) == (True, "completed")
        assert (await elsewhere.state(run.id)).json == run.state_json


async def test_a_run_is_followed_from_any_event_on() -> None:
    async with engine_with() as engine:
        run = await engine.run(chain("count", "note"))
        seqs = [event.seq async for event in engine.tail(run.id, after=3)]
    assert seqs == list(range(4, run.seq + 1))


async def test_a_recorded_run_becomes_a_test_of_its_graph() -> None:
    graph = {**one("count", next=[{"to": "after", "when": "n == 1"}]), "id": "g"}
    async with engine_with() as engine:
        run = await engine.run(graph)
        recorded = record_run([event async for event in engine.tail(run.id)])
    replays(recorded)
    with pytest.raises(AssertionError, match=r"n == 2 was false \(n = 1\)"):
        replays(recorded, {**one("count", next=[{"to": "after", "when": "n == 2"}]), "id": "g"})


async def test_a_run_is_made_again_from_its_recording() -> None:
    async with engine_with() as engine:
        run = await engine.run(chain("count", "note", "count"))
        rerun = await engine.rerun(run.id, tools=["note"])
        end = await engine.wait(rerun.id)
        report = await engine.rerun_report(rerun.id)
    assert (end.state, report.same) == (run.state, True)
    assert (report.reused, report.why) == (2, {"named": 1})


async def test_todays_tools_are_checked_against_a_recording() -> None:
    async with MemoryJournal() as journal:
        async with Engine(journal, tools=TOOLS) as engine:
            run = await engine.run(chain("count", "note"))

        @st.tool(name="count")
        async def count_twice(state: dict[str, Any]) -> dict[str, Any]:
            return {"n": state.get("n", 0) + 2}

        others = [each for each in TOOLS if getattr(each, "name", "") != "count"]
        async with Engine(journal, tools=[count_twice, *others]) as engine:
            report = await engine.check_run(run.id)
    assert [(each.node, each.changes[0].new) for each in report.differences] == [("count-0", 2)]


# The page


def rows() -> list[list[str]]:
    lines = PAGE.read_text("utf-8").splitlines()
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in cells if row[-1].strip().startswith("`test_")]


async def test_a_run_belongs_to_the_trace_that_it_was_begun_in() -> None:
    sent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    @st.tool
    async def hand_on(state: dict[str, Any], ctx: st.Context) -> dict[str, Any]:
        return {"sent": ctx.traceparent}

    async with engine_with(tools=[hand_on]) as engine:
        run = await engine.run(one("hand_on"), traceparent=sent)
        created = (await until(engine, run.id, "run.created")).data
    assert run.state["sent"] == created.traceparent == sent  # type: ignore[union-attr]


async def test_a_run_that_has_as_many_events_as_it_may_parks() -> None:
    loop = {"start": "a", "nodes": {"a": {"next": {"to": "a", "max": 1000}}}}
    async with st.open(":memory:", bounds=st.Bounds(run_events=100)) as engine:
        run = await engine.run(loop)
    assert (run.status, run.reason) == ("parked", "limit")


def test_each_row_of_the_page_has_a_test_and_each_test_a_row() -> None:
    named = [row[-1].strip("`") for row in rows()]
    tests = [
        name
        for name in globals()
        if name.startswith("test_") and not name.startswith("test_each_row_")
    ]
    assert sorted(named) == sorted(tests)


def test_each_row_says_what_a_feature_is_called_everywhere() -> None:
    assert len(rows()) > 30
    assert [row for row in rows() if len(row) != 7 or not all(row)] == []
