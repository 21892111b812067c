"""The engine over a journal: beginning, waiting, reading, cancelling, storing graphs."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, NoReturn

import pytest

import stenograph as st
from stenograph.engine import TERMINAL, Engine, decode
from stenograph.engine.core.events import RunFailed
from stenograph.journal import JournalFailed, MemoryJournal, NewRecord
from tests.graphs import SAMPLES, TOOLS, chain, one

ENDLESS = one("hang", next="after")


async def types(engine: Engine, run_id: str) -> list[str]:
    return [record.type for record in await engine.journal.read(run_id)]


async def test_a_run_returns_when_it_has_ended() -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        run = await engine.run(chain("count", "count"), {"n": 40})
    assert (run.status, run.done, run.state, run.steps) == ("completed", True, {"n": 42}, 2)


async def test_starting_returns_at_once() -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        run = await engine.start(ENDLESS, {"a": 1}, tags={"team": "x"}, actor="me")
        assert (run.status, run.current, run.done) == ("running", ("work",), False)
        assert await types(engine, run.id) == ["run.created", "node.entered"]


async def test_waiting_has_a_limit_and_stops_no_run() -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        run = await engine.run(ENDLESS, wait_s=0.01)
        assert run.status == "running"
        assert (await engine.wait(run.id, 0.01)).status == "running"


async def test_who_gives_up_waiting_for_a_run_leaves_the_others_waiting() -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        run = await engine.start(ENDLESS)
        waiting = [asyncio.ensure_future(engine.wait(run.id)) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        assert (await engine.wait(run.id, 0.01)).status == "running"
        await engine.cancel(run.id)
        assert [(await each).status for each in waiting[1:]] == ["cancelled", "cancelled"]


async def test_waiting_for_a_run_that_is_over_returns_at_once() -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        run = await engine.run(chain("count"))
        assert (await engine.wait(run.id)).status == "completed"


async def test_a_run_that_was_waited_for_is_told_without_reading_the_journal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("the run is at hand")

    async with st.open(":memory:", tools=TOOLS) as engine:
        await engine.create_graph(chain("count", "count"), graph_id="two")
        await engine.graph("two")  # is at hand from now on
        for question in ("head", "read", "snapshot", "stream"):
            monkeypatch.setattr(engine.journal, question, refuse)
        run = await engine.run("two", {"n": 40})
        monkeypatch.undo()
        assert run == await engine.get(run.id)


async def test_a_run_that_nobody_knows_is_said_to_be_unknown() -> None:
    async with st.open(":memory:") as engine:
        for asked in (engine.get("x"), engine.state("x"), engine.cancel("x"), engine.wait("x")):
            with pytest.raises(st.UnknownRun, match="no run 'x'"):
                await asked
        with pytest.raises(st.UnknownRun):
            await anext(engine.tail("x"))


async def test_a_run_id_is_given_once() -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        await engine.run(chain("count"), run_id="mine")
        with pytest.raises(st.RunExists, match="'mine'"):
            await engine.start(chain("note"), run_id="mine")
        await engine.start(ENDLESS, run_id="live")
        with pytest.raises(st.RunExists):
            await engine.start(ENDLESS, {"n": 1}, run_id="live")
        assert (await engine.get("live")).status == "running"


async def test_two_that_begin_one_run_at_once_leave_one_run() -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        begun = await asyncio.gather(
            *(engine.start(chain("count"), {"n": n}, run_id="same") for n in range(5)),
            return_exceptions=True,
        )
        assert sum(isinstance(each, st.RunExists) for each in begun) == 4
        await engine.wait("same")
        assert (await types(engine, "same")).count("run.created") == 1


async def test_a_state_that_is_no_json_begins_no_run() -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        with pytest.raises(st.NotJson, match="/n is nan"):
            await engine.start(chain("count"), {"n": float("nan")})
        assert await engine.runs() == []


async def test_the_state_has_an_address_at_every_event() -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        run = await engine.run(chain("count", "note", "count"), {"n": 0})
        states = {seq: (await engine.state(run.id, at=seq)).values for seq in range(1, run.seq + 1)}
        assert states[1] == {"n": 0}
        assert {"n": 1} in states.values()
        assert {"n": 1, "notes": ["seen"]} in states.values()
        assert states[run.seq] == (await engine.state(run.id)).values == run.state


@pytest.mark.parametrize("at", [0, -1, 99])
async def test_a_state_at_an_event_that_is_not_there_is_refused(at: int) -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        run = await engine.run(chain("count"))
        with pytest.raises(st.SeqNotReached, match=f"from 1 to {run.seq}"):
            await engine.state(run.id, at=at)


async def test_what_a_run_is_can_be_told_from_its_journal_alone() -> None:
    async with MemoryJournal() as journal:
        async with Engine(journal, tools=TOOLS) as engine:
            for sample in SAMPLES.values():
                for graph in sample.graphs:
                    await engine.create_graph(graph)
            runs = [await engine.run(each.graph, each.state) for each in SAMPLES.values()]
            await asyncio.sleep(0.02)  # what was to be due in a moment has been
            runs = [await engine.get(run.id) for run in runs]
        async with Engine(journal) as without_tools:
            for run in runs:
                assert await without_tools.get(run.id) == run


async def test_a_tail_gives_every_event_once_and_ends_with_the_run() -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        run = await engine.start(SAMPLES["logs"].graph)
        events = [event async for event in engine.tail(run.id)]
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert events[-1].type == "run.completed"
        for after in range(len(events) + 1):
            rest = [event.seq async for event in engine.tail(run.id, after=after)]
            assert rest == list(range(after + 1, len(events) + 1))


async def test_a_cursor_beyond_the_head_is_refused() -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        run = await engine.run(chain("count"))
        with pytest.raises(st.CursorUnknown):
            await anext(engine.tail(run.id, after=run.seq + 1))


async def test_a_tail_of_a_parked_run_waits_for_more() -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        run = await engine.run(SAMPLES["step limit"].graph)
        tail = engine.tail(run.id, after=run.seq)
        waiting = asyncio.ensure_future(anext(tail))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        await engine.cancel(run.id)
        assert (await waiting).type == "run.cancelling"
        assert [event.type async for event in tail] == ["run.cancelled"]


async def test_visits_tell_what_each_node_did() -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        run = await engine.run(SAMPLES["retry"].graph)
        work, after = await engine.visits(run.id)
    assert (work.node, work.status, work.attempts, work.to) == ("work", "ok", 3, "after")
    assert (work.changed, after.changed, after.to) == (("/tried",), ("/notes",), None)


async def test_a_visit_that_was_cut_off_is_said_to_be() -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        run = await engine.start(ENDLESS)
        (visit,) = await engine.visits(run.id)
        assert visit.status == "running"
        await engine.cancel(run.id)
        await engine.wait(run.id)
        (visit,) = await engine.visits(run.id)
        assert visit.status == "interrupted"


async def test_runs_are_listed_newest_first_by_what_they_carry() -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        await engine.create_graph({**chain("count"), "id": "counts"})
        for number in range(5):
            await engine.run("counts", run_id=f"r{number}", tags={"odd": str(number % 2)})
        await engine.run(chain("always_fail"), run_id="bad")
        listed = [stream.run_id for stream in await engine.runs()]
        assert listed == ["bad", "r4", "r3", "r2", "r1", "r0"]
        assert [each.run_id for each in await engine.runs({"status": "failed"})] == ["bad"]
        odd = await engine.runs({"tag:odd": "1", "graph": "counts"})
        assert [stream.run_id for stream in odd] == ["r3", "r1"]
        first = await engine.runs(limit=2)
        assert [each.run_id for each in await engine.runs(before=first[-1].number, limit=2)] == [
            "r3",
            "r2",
        ]


async def test_a_running_run_is_cancelled_with_one_terminal_event() -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        run = await engine.start(ENDLESS)
        assert (await engine.cancel(run.id, reason="enough", actor="me")).status == "cancelling"
        assert (await engine.cancel(run.id)).status in ("cancelling", "cancelled")
        assert (await engine.wait(run.id)).status == "cancelled"
        assert (await engine.cancel(run.id)).status == "cancelled"
        assert (await types(engine, run.id))[2:] == ["run.cancelling", "run.cancelled"]


async def test_a_run_that_ended_otherwise_cannot_be_cancelled() -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        run = await engine.run(chain("count"))
        with pytest.raises(st.RunFinished, match="it is completed"):
            await engine.cancel(run.id)


async def test_a_run_is_cancelled_while_it_waits_for_a_retry() -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        run = await engine.start(one("always_fail", retry={"delay_s": 3600, "jitter": False}))
        await asyncio.sleep(0.01)
        assert (await engine.cancel(run.id)).status == "cancelled"


async def test_cancel_and_completion_race_to_one_end() -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        for turns in range(30):
            run = await engine.start(chain("count", "count", "count"))
            for _ in range(turns):
                await asyncio.sleep(0)
            with suppress(st.RunFinished):
                await engine.cancel(run.id)
            await engine.wait(run.id)
            ends = [each for each in await types(engine, run.id) if each in TERMINAL]
            assert len(ends) == 1


async def test_a_graph_is_stored_by_its_content() -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        first = await engine.create_graph({**chain("count"), "id": "g"})
        again = await engine.create_graph({**chain("count"), "id": "g"})
        other = await engine.create_graph({**chain("note"), "id": "g"})
        assert (first.created, again.created, other.created) == (True, False, True)
        assert first.version == again.version != other.version
        assert await engine.graph("g") == await engine.graph("g", other.version[:9])
        assert (await engine.graph("g", first.version)).data == first.data
        assert len(await engine.graph_versions("g")) == 2
        assert [stream.run_id for stream in await engine.graphs()] == ["graph/g"]


async def test_a_graph_without_an_id_is_called_by_its_content() -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        first = await engine.create_graph(chain("count"))
        again = await engine.create_graph(chain("count"))
        assert first.graph_id == again.graph_id == f"g-{first.version[:16]}"


async def test_going_back_to_an_older_version_makes_it_the_newest() -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        first = await engine.create_graph({**chain("count"), "id": "g"})
        await engine.create_graph({**chain("note"), "id": "g"})
        await engine.create_graph({**chain("count"), "id": "g"})
        assert (await engine.graph("g")).version == first.version


async def test_two_that_store_a_graph_at_once_both_succeed() -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        graphs = [{**chain("count", *["note"] * n), "id": "g"} for n in range(6)]
        await asyncio.gather(*(engine.create_graph(graph) for graph in graphs))
        assert len(await engine.graph_versions("g")) == 6


async def test_a_run_keeps_the_version_it_began_with() -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        first = await engine.create_graph({**chain("count"), "id": "g"})
        await engine.create_graph({**chain("note"), "id": "g"})
        assert (await engine.run(f"g@{first.version[:8]}")).state == {"n": 1}
        assert (await engine.run("g")).state == {"notes": ["seen"]}


@pytest.mark.parametrize("name", ["nope", "g@ffff", "../x", ""])
async def test_a_graph_that_nobody_knows_is_said_to_be_unknown(name: str) -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        await engine.create_graph({**chain("count"), "id": "g"})
        with pytest.raises(st.UnknownGraph):
            await engine.start(name)


@pytest.mark.parametrize("graph_id", ["a b", "-", "x/y", "é"])
async def test_a_graph_id_is_checked(graph_id: str) -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        with pytest.raises(st.GraphInvalid, match="is no id"):
            await engine.create_graph(chain("count"), graph_id=graph_id)


async def test_stored_graphs_outlive_the_engine() -> None:
    async with MemoryJournal() as journal:
        async with Engine(journal, tools=TOOLS) as engine:
            stored = await engine.create_graph({**chain("count"), "id": "g"})
        async with Engine(journal, tools=TOOLS) as engine:
            assert (await engine.graph("g")).data == stored.data
            assert not (await engine.create_graph({**chain("count"), "id": "g"})).created


async def test_a_graph_written_in_python_brings_its_tools() -> None:
    @st.tool
    async def review(state: dict[str, Any], ctx: st.Context) -> dict[str, Any]:
        ctx.log("reading", lines=len(state["code"].splitlines()))
        return {"issues_open": state.get("issues_open", 2) - 1}

    graph = st.Graph(
        start="review",
        nodes={
            "review": st.Node(
                tool=review, next=[st.Edge(to="review", until="issues_open == 0", max=3)]
            )
        },
    )
    async with st.open(":memory:") as engine:
        run = await engine.run(graph, {"code": "x = 1\n"})
        before = await engine.state(run.id, at=3)
        assert before.values == {"code": "x = 1\n"}
        assert [event.seq async for event in engine.tail(run.id, after=0)][-1] == run.seq
    assert (run.status, run.state["issues_open"], run.reason) == ("completed", 0, "loop-done")


async def test_time_with_nodes_running_is_limited() -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        graph = {**one("hang", timeout_s=60), "limits": {"time_s": 0.05}}
        run = await engine.run(graph, {"kept": 1}, wait_s=10)
        assert (run.status, run.reason, run.state) == ("parked", "limit", {"kept": 1})


async def test_limits_may_be_given_with_the_run() -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        run = await engine.run(one("count", next="work"), limits=st.Limits(steps=3))
        assert (run.status, run.steps) == ("parked", 3)


async def test_closing_the_engine_leaves_the_run_to_the_next_one() -> None:
    async with MemoryJournal() as journal:
        async with Engine(journal, tools=TOOLS) as engine:
            run = await engine.start(one("hang", timeout_s=60, next="after"))
            waiting = asyncio.ensure_future(engine.wait(run.id))
            await asyncio.sleep(0)
        with pytest.raises(st.EngineClosed):
            await waiting

        @st.tool
        async def hang(state: dict[str, Any]) -> dict[str, Any]:
            return {"woke": True}

        others = [each for each in TOOLS if each.name != "hang"]
        async with Engine(journal, tools=[hang, *others]) as engine:
            assert engine.recovered == [run.id]
            ended = await engine.wait(run.id)
        assert (ended.status, ended.state["woke"]) == ("completed", True)


async def test_unfinished_runs_may_be_left_where_they_are() -> None:
    async with MemoryJournal() as journal:
        async with Engine(journal, tools=TOOLS) as engine:
            run = await engine.start(ENDLESS)
        async with Engine(journal, tools=TOOLS, recover=False) as engine:
            assert engine.recovered == []
            assert (await engine.get(run.id)).seq == 2


async def test_an_unfinished_run_whose_tool_is_gone_ends_with_its_reason() -> None:
    async with MemoryJournal() as journal:
        async with Engine(journal, tools=TOOLS) as engine:
            run = await engine.start(ENDLESS)
        async with Engine(journal) as engine:
            ended = await engine.wait(run.id)
    assert ended.status == "failed"
    assert ended.error is not None
    assert ended.error.type == "UnknownTool"
    assert "'hang'" in ended.error.message


async def test_one_unreadable_run_ends_with_its_reason_and_stops_no_other() -> None:
    async with MemoryJournal() as journal:
        async with Engine(journal, tools=TOOLS) as engine:
            good = await engine.start(one("hang", timeout_s=0.01))
        bad = NewRecord("run.created", b'{"strange":true}', "2026-01-01T00:00:00.000000Z")
        labels = {"kind": "run", "status": "running"}
        await journal.append("bad", [bad], expected_seq=0, labels=labels)
        async with Engine(journal, tools=TOOLS) as engine:
            assert (await engine.wait(good.id)).status == "failed"
            last = decode((await journal.read("bad"))[-1]).data
            assert isinstance(last, RunFailed)
            assert last.error.type == "unreadable-history"
            assert await engine.runs({"status": "running"}) == []


async def test_when_the_journal_fails_nothing_is_acknowledged_and_reading_goes_on() -> None:
    from tests.crashes import FaultJournal

    async with MemoryJournal() as inner:
        journal = FaultJournal(inner, 3, "before")
        async with Engine(journal, tools=TOOLS) as engine:
            run = await engine.run(chain("count"))
            with pytest.raises(JournalFailed):
                await engine.start(chain("count"))
            assert (await engine.get(run.id)).status == "completed"


async def test_somebody_elses_event_is_read_before_deciding_again() -> None:
    async with MemoryJournal() as journal, Engine(journal, tools=TOOLS) as engine:
        run = await engine.start(ENDLESS)
        data = b'{"scope":"/","node":"work","visit":1,"attempt":1,"level":"info","message":"hello"}'
        record = NewRecord("log", data, "2026-01-01T00:00:00.000000Z")
        await journal.append(run.id, [record], expected_seq=run.seq)
        await engine.cancel(run.id)
        await engine.wait(run.id)
        assert (await types(engine, run.id))[2:] == ["log", "run.cancelling", "run.cancelled"]


async def test_visits_tell_of_failures_and_of_what_was_said() -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        run = await engine.run(chain("say", "always_fail"))
        said, failed = await engine.visits(run.id)
    assert (said.message, said.to) == ("saying", "always_fail-1")
    assert failed.error is not None
    assert (failed.status, failed.error.type) == ("error", "LookupError")
    retried = one("always_fail", retry={"attempts": 2, "delay_s": 0})
    async with st.open(":memory:", tools=TOOLS) as engine:
        run = await engine.run(retried)
        (visit,) = await engine.visits(run.id)
    assert visit.attempts == 2


def test_the_package_has_no_other_names() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Clent'"):
        st.Clent  # noqa: B018
