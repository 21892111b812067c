"""Forks of runs: a new run goes on from another's state at any event, and ends as it would have."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stenograph.engine import (
    Engine,
    ForkRefused,
    KeyReused,
    Limits,
    RunExists,
    RunView,
    SchemaViolated,
    SecretLeaked,
    SeqNotReached,
    SignalRefused,
    UnknownRun,
    decode,
    fold,
    tool,
)
from stenograph.engine.core.events import NodeEntered, Payload, RunCreated
from stenograph.engine.core.run_data import FORMAT
from stenograph.journal import MemoryJournal, Record
from tests.crashes import MOMENTS, FaultJournal, Moment, drive
from tests.graphs import SAMPLES, TOOLS, Sample, chain, waiting

FALLIBLE = {"step limit", "race", "quorum with a failure", "map that fails"}


async def records(engine: Engine, run_id: str) -> list[Record]:
    found: list[Record] = []
    while page := await engine.journal.read(run_id, after=len(found)):
        found += page
    return found


async def payloads(engine: Engine, run_id: str) -> list[Payload]:
    return [decode(each).data for each in await records(engine, run_id)]


@pytest.mark.parametrize("name", SAMPLES)
async def test_a_fork_at_any_event_ends_as_its_origin_did(name: str) -> None:
    sample = SAMPLES[name]
    async with MemoryJournal() as journal, Engine(journal, tools=TOOLS) as engine:
        whole = await drive(engine, sample)
        events = await records(engine, "run")
        for at in range(1, whole.seq + 1):
            forked = await engine.fork("run", at, new_id=f"fork-{at}")
            assert forked.origin is not None
            assert forked.origin.seq <= at
            assert forked.origin.hash == events[forked.origin.seq - 1].hash
        for at in range(1, whole.seq + 1):
            end = await ended(engine, sample, f"fork-{at}")
            assert (end.status, end.state) == (whole.status, whole.state), at
            assert end.steps == whole.steps or name in FALLIBLE
            left = {each.status for each in await engine.visits(end.id)}
            assert end.status == "parked" or "running" not in left
        assert await records(engine, "run") == events


async def ended(engine: Engine, sample: Sample, run_id: str) -> RunView:
    """Return a fork once it has ended, with the help of people as often as it takes."""
    end = await engine.wait(run_id, 5 if sample.early else 0.001)
    if not end.done:
        end = await drive(engine, sample, run_id)
    while end.status == "failed" and sample.retries:  # in the fork they were not tried yet
        await engine.retry(run_id)
        end = await engine.wait(run_id)
    return end


# --- where ----------------------------------------------------------------------------------


async def test_a_point_inside_a_step_means_the_boundary_before_it() -> None:
    async with MemoryJournal() as journal, Engine(journal, tools=TOOLS) as engine:
        run = await engine.run(chain("count", "count"), run_id="run")
        types = [each.type for each in await records(engine, "run")]
        assert types[1:6] == ["node.entered", "node.exited", "state.patched", "transition.taken", "node.entered"]  # fmt: skip
        assert run.seq == len(types)
        points = {at: (await fork(engine, at)).seq for at in range(1, run.seq + 1)}
        assert points == {1: 1, 2: 2, 3: 2, 4: 2, 5: 5, 6: 6, 7: 6, 8: 6, 9: 6}


async def fork(engine: Engine, at: int, **options: Any) -> Any:
    return (await engine.fork("run", at, **options)).origin


async def test_where_there_is_no_event_nothing_is_forked() -> None:
    async with MemoryJournal() as journal, Engine(journal, tools=TOOLS) as engine:
        run = await engine.run(chain("count"), run_id="run")
        for at in (0, -1, run.seq + 1):
            with pytest.raises(SeqNotReached):
                await engine.fork("run", at)
        with pytest.raises(UnknownRun):
            await engine.fork("nobody", 1)


async def test_a_boundary_is_found_from_the_snapshot_before_it() -> None:
    @tool
    async def fill(state: dict[str, Any]) -> dict[str, Any]:
        return {"n": state.get("n", 0) + 1, "fill": "x" * 70_000}

    graph = {"start": "w", "nodes": {"w": {"tool": "fill", "next": [{"to": "w", "max": 3}]}}}
    async with MemoryJournal() as journal, Engine(journal, tools=[fill]) as engine:
        run = await engine.run(graph, {"fill": "y"}, run_id="run")
        with_them = [(await fork(engine, at)).seq for at in range(1, run.seq + 1)]
        assert journal.store.snapshots.pop(("run", FORMAT))
        assert [(await fork(engine, at)).seq for at in range(1, run.seq + 1)] == with_them
        failing = await engine.run(graph, {"n": "no number", "fill": "x" * 80_000}, run_id="bad")
        assert failing.status == "failed"
        assert (await engine.fork("bad", failing.seq)).origin is not None


async def test_a_cancelled_run_can_be_forked_from_before_that() -> None:
    async with MemoryJournal() as journal, Engine(journal, tools=TOOLS) as engine:
        run = await engine.run(waiting({"signal": "go"}), run_id="run", wait_s=1)
        ended = await engine.cancel("run")
        for at in range(run.seq + 1, ended.seq + 1):
            forked = await engine.fork("run", at, signals={"go": 1})
            assert forked.origin is not None
            assert forked.origin.seq == run.seq
            assert (await engine.wait(forked.id)).status == "completed"


async def test_a_parked_and_a_paused_run_go_on_in_their_forks() -> None:
    graph = {**chain("count", "count", "count"), "limits": {"steps": 2}}
    async with MemoryJournal() as journal, Engine(journal, tools=TOOLS) as engine:
        run = await engine.run(graph, run_id="run")
        assert run.status == "parked"
        further = await engine.fork("run", run.seq, limits=Limits(steps=9))
        assert (await engine.wait(further.id)).state == {"n": 3}
        again = await engine.fork("run", run.seq)
        assert (await engine.wait(again.id)).status == "parked"


# --- a fork of a fork -----------------------------------------------------------------------


async def test_a_fork_of_a_fork_of_a_map_item() -> None:
    graph = {
        "start": "split",
        "nodes": {
            "split": {"next": {"each": "items", "to": "work", "join": "after"}},
            "work": {"tool": "double", "next": "ask"},
            "ask": {"wait": {"signal": "vote"}, "next": "after"},
            "after": {"tool": "count"},
        },
        "state": {
            "doubled": {"reducer": "append"},
            "seen": {"reducer": "concat"},
            "vote": {"reducer": "append"},
        },
    }
    async with MemoryJournal() as journal, Engine(journal, tools=TOOLS) as engine:
        await engine.run(graph, {"items": [1, 2]}, run_id="run", wait_s=1)
        head = (await engine.get("run")).seq
        first = await engine.fork(
            "run", head, new_id="first", scope="/split#1[0]/", state={"extra": 1}
        )
        assert [wait.since <= 0 for wait in first.waits] == [True, True]
        await engine.signal("first", "vote", "yes", scope="/split#1[0]/")
        seq = (await engine.get("first")).seq
        second = await engine.fork(
            "first",
            seq,
            scope="/split#1[1]/",
            patch=[{"op": "replace", "path": "/doubled", "value": [40]}],
            signals={"vote": "no"},
        )
        end = await engine.wait(second.id)
        assert end.status == "completed"
        assert end.state["doubled"] == [2, 40]
        assert (end.state["vote"], end.state["extra"], end.state["n"]) == (["yes", "no"], 1, 1)
        assert second.origin is not None
        assert (second.origin.run_id, first.origin and first.origin.run_id) == ("first", "run")
        forks = [each.run_id for each in await engine.runs({"origin": "run"})]
        assert forks == ["first"]
        assert (await engine.get("run")).status == "waiting"


# --- what it is given -----------------------------------------------------------------------


async def test_what_is_changed_stands_in_the_first_event_of_the_fork() -> None:
    async with MemoryJournal() as journal, Engine(journal, tools=TOOLS) as engine:
        await engine.run(chain("note", "count"), {"n": 1, "old": True}, run_id="run")
        ops: list[dict[str, Any]] = [
            {"op": "add", "path": "/notes/-", "value": "mine"},
            {"op": "remove", "path": "/old"},
            {"op": "add", "path": "/a~1b", "value": {"deep": 1}},
        ]
        forked = await engine.fork("run", 6, state={"n": 10}, patch=ops, actor="ann")
        end = await engine.wait(forked.id)
        assert end.state == {"n": 11, "notes": ["seen", "mine"], "a/b": {"deep": 1}}
        created = (await payloads(engine, forked.id))[0]
        assert isinstance(created, RunCreated)
        assert created.actor == "ann"
        assert {op.path for op in created.patches["/"]} == {"/n", "/notes/-", "/old", "/a~1b"}
        assert bytes(created.state) == b'{"n":1,"old":true,"notes":["seen"]}'


@pytest.mark.parametrize(
    ("options", "pointer", "told"),
    [
        ({"patch": [{"op": "move", "path": "/n"}]}, "/patch/0", "op is one of add"),
        ({"patch": [{"op": "add", "path": "n", "value": 1}]}, "/patch/0", "path is a JSON pointer"),
        (
            {"patch": [{"op": "add", "path": "/n~2", "value": 1}]},
            "/patch/0",
            "path is a JSON pointer",
        ),
        ({"patch": [{"op": "add", "path": "/n"}]}, "/patch/0", "an add has a value"),
        ({"patch": [{"op": "replace", "path": "/n"}]}, "/patch/0", "a replace has a value"),
        ({"patch": [{"op": "remove", "path": "/m"}]}, "/patch/0", "there is no key 'm'"),
        (
            {"patch": [{"op": "add", "path": "/n/-", "value": 1}]},
            "/patch/0",
            "the key 'n' holds no list",
        ),
        ({"patch": [{"op": "add", "path": "/n/0", "value": 1}]}, "/patch/0", "whole keys"),
        ({"scope": "/gone#1/", "state": {"n": 1}}, "/scope", "there is no scope '/gone#1/' there"),
        ({"graph": chain("note")}, "/graph", "stands at node"),
    ],
)
async def test_what_cannot_be_done_is_said_and_nothing_begins(
    options: dict[str, Any], pointer: str, told: str
) -> None:
    async with MemoryJournal() as journal, Engine(journal, tools=TOOLS) as engine:
        run = await engine.run(chain("count", "count", "count"), {"n": 1}, run_id="run")
        with pytest.raises(ForkRefused, match=told) as refused:
            await engine.fork("run", run.seq, new_id="never", **options)
        assert refused.value.faults[0].pointer == pointer
        assert not await journal.head("never")


async def test_a_scope_that_has_forked_is_changed_in_its_branches_alone() -> None:
    async with MemoryJournal() as journal, Engine(journal, tools=TOOLS) as engine:
        run = await engine.run(
            {
                "start": "split",
                "nodes": {
                    "split": {"next": {"to": ["a", "b"], "join": "end"}},
                    "a": {"wait": {"signal": "go"}, "next": "end"},
                    "b": {"wait": {"signal": "go"}, "next": "end"},
                    "end": {},
                },
            },
            run_id="run",
            wait_s=1,
        )
        with pytest.raises(ForkRefused, match="scope / has forked: change one of its branches"):
            await engine.fork("run", run.seq, state={"n": 1})


async def test_values_obey_the_rules_of_their_graph() -> None:
    graph = {**chain("count", "count"), "state": {"n": {"schema": {"type": "integer"}}}}
    async with MemoryJournal() as journal, Engine(journal, tools=TOOLS) as engine:
        await engine.run(graph, {"n": 1}, run_id="run")
        with pytest.raises(SchemaViolated):
            await engine.fork("run", 2, state={"n": "text"})
        other = {**graph, "state": {"n": {"schema": {"type": "integer", "maximum": 0}}}}
        with pytest.raises(ForkRefused, match="the state of scope / does not fit: /n"):
            await engine.fork("run", 2, graph=other)


async def test_signals_come_with_the_first_event_in_one_commit() -> None:
    async with MemoryJournal() as journal, Engine(journal, tools=TOOLS) as engine:
        graph = waiting({"signal": "go", "schema": {"type": "integer"}})
        run = await engine.run(graph, run_id="run", wait_s=1)
        with pytest.raises(SignalRefused):
            await engine.fork("run", run.seq, signals={"go": "text"}, new_id="never")
        assert not await journal.head("never")
        forked = await engine.fork("run", run.seq, signals={"go": 7}, actor="ann")
        first = await records(engine, forked.id)
        assert [each.type for each in first[:3]] == [
            "run.created",
            "signal.received",
            "wait.resolved",
        ]
        assert len({each.at for each in first[:6]}) == 1
        assert (await engine.wait(forked.id)).state["go"] == 7


async def test_another_version_of_the_graph_takes_over_where_the_run_stands() -> None:
    before = chain("count", "note", "count")
    async with MemoryJournal() as journal, Engine(journal, tools=TOOLS) as engine:
        await engine.run(before, run_id="run")
        names = list(before["nodes"])
        after = {"start": names[0], "nodes": {name: {"tool": "count", "next": next_} for name, next_ in zip(names, [*names[1:], None], strict=True)}}  # fmt: skip
        forked = await engine.fork("run", 2, graph=after)
        assert (await engine.wait(forked.id)).state == {"n": 3}
        assert forked.version != (await engine.get("run")).version


async def calling_a_wait(engine: Engine, waits: dict[str, Any]) -> RunView:
    inner = {"id": "inner", "start": "ask", "nodes": {"ask": {"wait": waits}}}
    await engine.create_graph(inner)
    outer = {"start": "call", "nodes": {"call": {"graph": "inner", "next": "end"}, "end": {}}}
    return await engine.run(outer, run_id="run", wait_s=1)


@pytest.mark.parametrize(
    ("graph", "told"),
    [
        (
            {"start": "call", "nodes": {"call": {"graph": "third"}, "end": {}}},
            "scope /call#1/ stands at node 'ask', which is not there",
        ),
        (
            {"start": "call", "nodes": {"call": {}, "end": {}}},
            "scope / runs a graph at node 'call', which runs none there",
        ),
        ({"start": "a", "nodes": {"a": {}}}, "scope / stands at node 'call', which is not there"),
    ],
)
async def test_another_graph_must_have_what_scopes_go_through(
    graph: dict[str, Any], told: str
) -> None:
    async with MemoryJournal() as journal, Engine(journal, tools=TOOLS) as engine:
        await engine.create_graph({"id": "third", "start": "x", "nodes": {"x": {}}})
        run = await calling_a_wait(engine, {"signal": "go"})
        with pytest.raises(ForkRefused) as refused:
            await engine.fork("run", run.seq, graph=graph)
        assert told in [each.detail for each in refused.value.faults]


async def test_a_sub_graph_goes_on_in_its_newest_version() -> None:
    async with MemoryJournal() as journal, Engine(journal, tools=TOOLS) as engine:
        run = await calling_a_wait(engine, {"signal": "go"})
        newer = {"ask": {"wait": {"signal": "go"}, "next": "count"}, "count": {"tool": "count"}}
        await engine.create_graph({"id": "inner", "start": "ask", "nodes": newer})
        outer = {"start": "call", "nodes": {"call": {"graph": "inner", "next": "end"}, "end": {}}}
        forked = await engine.fork("run", run.seq, graph=outer, signals={"go": 1})
        assert (await engine.wait(forked.id)).state == {"go": 1, "n": 1}


async def test_branches_must_find_their_nodes_and_waits_in_another_graph() -> None:
    def forking(*names: str, join: str = "end", **wait: Any) -> dict[str, Any]:
        waiting = {name: {"wait": wait, "next": join} for name in names}
        split = {"next": {"to": list(names), "join": join}}
        return {"start": "split", "nodes": {"split": split, **waiting, join: {}}}

    async with MemoryJournal() as journal, Engine(journal, tools=TOOLS) as engine:
        run = await engine.run(forking("a", "b", signal="go"), run_id="run", wait_s=1)
        same = forking("a", "b", signal="go")
        same["nodes"]["more"] = {}
        assert (await engine.fork("run", run.seq, graph=same)).status == "waiting"
        other = forking("a", "c", join="over", signal="other")
        with pytest.raises(ForkRefused) as refused:
            await engine.fork("run", run.seq, graph=other)
        told = [each.detail for each in refused.value.faults]
        assert "scope / has forked to node 'b', which is not there" in told
        assert "scope / joins at node 'end', which is not there" in told
        assert "scope /split#1[1]/ stands at node 'b', which is not there" in told
        assert any("waits at node 'a', which does not wait so there" in each for each in told)


async def test_a_run_in_a_line_is_forked_past_it() -> None:
    async with MemoryJournal() as journal, Engine(journal, tools=TOOLS) as engine:
        holder = {**waiting({"signal": "go"}), "id": "line", "concurrency": {"limit": 1}}
        await engine.run(holder, run_id="first", wait_s=1)
        queued = await engine.run("line", run_id="run", wait_s=0.1)
        assert [wait.kind for wait in queued.waits] == ["turn"]
        forked = await engine.fork("run", queued.seq, signals={"go": 1})
        assert (await engine.wait(forked.id)).status == "completed"
        assert (await engine.get("run")).status == "waiting"


async def test_secret_signals_that_wait_to_be_used_are_kept_or_missed() -> None:
    graph = {
        "start": "hold",
        "nodes": {
            "hold": {"wait": {"signal": "go"}, "next": "ask"},
            "ask": {"wait": {"signal": "token"}, "next": "use"},
            "use": {"tool": "use"},
        },
        "state": {"token": {"secret": True}},
    }
    async with MemoryJournal() as journal, Engine(journal, tools=[use]) as engine:
        await engine.run(graph, run_id="run", wait_s=1)
        early = await engine.signal("run", "token", "open sesame")
        forked = await engine.fork("run", early.seq, signals={"go": 1})
        assert (await engine.wait(forked.id)).state["used"] == len("open sesame")
        given = await engine.fork("run", 3, signals={"token": "another", "go": 1})
        assert (await engine.wait(given.id)).state["used"] == len("another")
        await engine.cancel("run")
        with pytest.raises(ForkRefused, match="the secret 'token' of scope / is forgotten"):
            await engine.fork("run", early.seq)


async def test_a_patch_can_put_back_what_it_removed() -> None:
    async with MemoryJournal() as journal, Engine(journal, tools=TOOLS) as engine:
        await engine.run(chain("count"), {"n": 1}, run_id="run")
        ops: list[dict[str, Any]] = [
            {"op": "remove", "path": "/n"},
            {"op": "add", "path": "/n", "value": 5},
            {"op": "replace", "path": "/n", "value": 6},
            {"op": "add", "path": "/list", "value": []},
            {"op": "add", "path": "/list/-", "value": 1},
        ]
        forked = await engine.fork("run", 2, patch=ops)
        assert (await engine.wait(forked.id)).state == {"n": 7, "list": [1]}


async def test_a_wait_has_as_long_to_go_as_it_had() -> None:
    async with MemoryJournal() as journal, Engine(journal, tools=TOOLS) as engine:
        graph = waiting({"for_s": 3600})
        run = await engine.run(graph, run_id="run", wait_s=0.2)
        await asyncio.sleep(0.01)
        forked = await engine.fork("run", run.seq)
        then, now = run.waits[0].due_at or "", forked.waits[0].due_at or ""
        assert then < now
        at = waiting({"at": "2099-01-01T00:00:00Z"})
        run = await engine.run(at, run_id="calendar", wait_s=0.2)
        forked = await engine.fork("calendar", run.seq)
        assert forked.waits[0].due_at == run.waits[0].due_at


# --- asked again ----------------------------------------------------------------------------


async def test_asking_again_returns_the_fork_there_is() -> None:
    async with MemoryJournal() as journal, Engine(journal, tools=TOOLS) as engine:
        await engine.run(chain("count", "count"), run_id="run")
        first = await engine.fork("run", 2, key="k", state={"n": 5})
        second = await engine.fork("run", 2, key="k", state={"n": 5})
        assert (second.id, first.replayed, second.replayed) == (first.id, False, True)
        with pytest.raises(KeyReused):
            await engine.fork("run", 2, key="k", state={"n": 6})
        with pytest.raises(RunExists):
            await engine.fork("run", 2, new_id="run")
        with pytest.raises(ValueError, match="not both"):
            await engine.fork("run", 2, new_id="x", key="k")
        both = [engine.fork("run", 2, new_id="twin") for _ in range(2)]
        assert sorted(each.replayed for each in await asyncio.gather(*both)) == [False, True]


async def test_asking_again_is_answered_when_the_origin_is_erased_and_its_graph_has_changed() -> (
    None
):
    async with MemoryJournal() as journal, Engine(journal, tools=TOOLS) as engine:
        await engine.create_graph({"id": "flow", **chain("count", "count")})
        await engine.run("flow", run_id="run")
        options: list[dict[str, Any]] = [{}, {"graph": "flow"}, {"graph": chain("count", "count")}]
        made = [await engine.fork("run", 2, key=f"{n}", **more) for n, more in enumerate(options)]
        for each in made:
            await engine.wait(each.id)
        await engine.create_graph({"id": "flow", **chain("count", "note")})
        await engine.erase("run")
        again = [await engine.fork("run", 2, key=f"{n}", **more) for n, more in enumerate(options)]
        assert [each.id for each in again] == [each.id for each in made]
        assert all(each.replayed for each in again)
        for key, graph in (("0", "flow"), ("1", None), ("1", "flow@x")):
            with pytest.raises(KeyReused):
                await engine.fork("run", 2, key=key, graph=graph)


# --- secrets --------------------------------------------------------------------------------


@tool
async def use(state: dict[str, Any]) -> dict[str, Any]:
    return {"used": len(state["token"])}


SECRET = {
    "start": "ask",
    "nodes": {"ask": {"wait": {"signal": "go"}, "next": "use"}, "use": {"tool": "use"}},
    "state": {"token": {"secret": True}, "go": {}},
}


async def test_a_fork_takes_over_the_secrets_that_are_kept() -> None:
    async with MemoryJournal() as journal, Engine(journal, tools=[use]) as engine:
        run = await engine.run(SECRET, {"token": "open sesame"}, run_id="run", wait_s=1)
        forked = await engine.fork("run", run.seq, signals={"go": True})
        assert (await engine.wait(forked.id)).state["used"] == len("open sesame")
        assert await journal.secrets("run") == {"token#1": b'"open sesame"'}
        assert await journal.secrets(forked.id) == {}  # it has ended
        with pytest.raises(SecretLeaked):
            await engine.fork("run", run.seq, state={"other": "open sesame"})
        with pytest.raises(SecretLeaked):
            await engine.fork("run", run.seq, tags={"about": "open sesame"})


async def test_a_fork_that_needs_forgotten_secrets_is_refused_unless_they_are_given() -> None:
    async with MemoryJournal() as journal, Engine(journal, tools=[use]) as engine:
        run = await engine.run(SECRET, {"token": "open sesame"}, run_id="run", wait_s=1)
        await engine.signal("run", "go")
        await engine.wait("run")
        with pytest.raises(ForkRefused, match="the secret 'token' of scope / is forgotten"):
            await engine.fork("run", run.seq)
        options: dict[str, Any] = {"state": {"token": "another"}, "signals": {"go": True}}
        forked = await engine.fork("run", run.seq, key="k", **options)
        assert (await engine.wait(forked.id)).state["used"] == len("another")
        assert (await engine.fork("run", run.seq, key="k", **options)).replayed
        kept = b"".join(each.data for each in await records(engine, forked.id))
        assert b"another" not in kept
        assert b"token#%d" % (run.seq + 1) in kept  # no name is given twice


async def test_a_key_is_secret_before_and_after_or_not_at_all() -> None:
    async with MemoryJournal() as journal, Engine(journal, tools=[use]) as engine:
        run = await engine.run(SECRET, {"token": "open sesame"}, run_id="run", wait_s=1)
        with pytest.raises(ForkRefused, match="key 'token' in scope / is secret in one"):
            await engine.fork("run", run.seq, graph={**SECRET, "state": {}})


# --- as work of its own ---------------------------------------------------------------------


async def test_what_ran_is_entered_again_under_the_forks_own_name() -> None:
    seen: list[str] = []

    @tool(effects="once")
    async def pay(state: dict[str, Any], ctx: Any) -> None:
        seen.append(ctx.idempotency_key)

    graph = {"start": "pay", "nodes": {"pay": {"tool": "pay"}}}
    async with MemoryJournal() as journal, Engine(journal, tools=[pay]) as engine:
        await engine.run(graph, run_id="run")
        forked = await engine.fork("run", 2)
        assert (await engine.wait(forked.id)).steps == 1
        assert seen == ["run/pay/1", f"{forked.id}/pay/1"]
        entered = (await payloads(engine, forked.id))[1]
        assert isinstance(entered, NodeEntered)
        assert (entered.visit, entered.attempt) == (1, 1)


async def test_a_fork_is_read_by_itself() -> None:
    async with MemoryJournal() as journal, Engine(journal, tools=TOOLS) as engine:
        await engine.run(SAMPLES["nested forks"].graph, SAMPLES["nested forks"].state, run_id="run")
        forked = await engine.fork("run", 8)
        end = await engine.wait(forked.id)
        own = [decode(each) for each in await records(engine, forked.id)]
        assert fold(own).state.to_values() == end.state
        assert (await engine.state(forked.id, 1)).seq == 1


# --- crashes --------------------------------------------------------------------------------


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("name", ["nested forks", "sub-graph in a map", "signals in branches"])
async def test_a_fork_survives_a_crash_at_each_of_its_commits(name: str, moment: Moment) -> None:
    """Either there is no fork, and asking again makes it; or it goes on to its end."""
    sample = SAMPLES[name]
    async with MemoryJournal() as journal:
        async with Engine(journal, tools=TOOLS) as engine:
            whole = await drive(engine, sample)
        for number, at in enumerate((1, whole.seq // 2, whole.seq)):
            commit = 1
            while await forked_until_it_dies(
                journal, sample, f"f{number}-{commit}", at, commit, moment
            ):
                async with Engine(journal, tools=TOOLS) as engine:
                    forked = await engine.fork("run", at, new_id=f"f{number}-{commit}")
                    end = await drive(engine, sample, forked.id)
                    assert (end.status, end.state) == (whole.status, whole.state)
                commit += 1
            assert commit > 1


async def forked_until_it_dies(
    journal: MemoryJournal, sample: Sample, new_id: str, at: int, commit: int, moment: Moment
) -> bool:
    """Fork, and die at the fork's k-th commit; False when it has fewer."""
    faulty = FaultJournal(journal, commit, moment)

    async def live(engine: Engine) -> None:
        await engine.fork("run", at, new_id=new_id)
        await drive(engine, sample, new_id)

    async with Engine(faulty, tools=TOOLS) as engine:
        running = asyncio.ensure_future(live(engine))
        dying = asyncio.ensure_future(faulty.died.wait())
        await asyncio.wait({running, dying}, return_when=asyncio.FIRST_COMPLETED)
        for task in (running, dying):
            task.cancel()
        await asyncio.gather(running, dying, return_exceptions=True)
    return faulty.died.is_set()
