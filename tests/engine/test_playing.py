"""Recorded runs are played again by the pure core: the same way, or it is told where not and why."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

import stenograph as st
from stenograph.engine import (
    CannotRecord,
    Did,
    Engine,
    Event,
    Failed,
    RecordedRun,
    Returned,
    Signalled,
    TimeCame,
    decode,
    differences,
    play,
    record_run,
)
from stenograph.engine.playing.playing import AnyName
from stenograph.journal import Journal, MemoryJournal
from tests.crashes import drive
from tests.golden_histories import GOLDEN, read_history
from tests.graphs import (
    COUNTING,
    LARGER,
    SAMPLES,
    TOOLS,
    Sample,
    calling,
    chain,
    mapped,
    one,
    waiting,
)
from tests.stage import held, staged

ALL = {**SAMPLES, **LARGER}
HISTORIES = sorted(each for each in GOLDEN.rglob("*.ndjson") if each.stem != "migrated")
"""A run that went over to another graph is refused, as a test of its own holds."""


@asynccontextmanager
async def engine_of(*tools: Any) -> AsyncIterator[Engine]:
    async with MemoryJournal() as journal, Engine(journal, tools=[*TOOLS, *tools]) as engine:
        yield engine


async def events_of(journal: Journal, run_id: str) -> list[Event]:
    events: list[Event] = []
    while page := await journal.read(run_id, after=len(events)):
        events += map(decode, page)
    return events


async def recorded(sample: Sample | dict[str, Any], **state: Any) -> RecordedRun:
    """Return what is recorded of a run of a graph."""
    sample = sample if isinstance(sample, Sample) else Sample(sample, state)
    async with engine_of() as engine:
        await drive(engine, sample, "run")
        return record_run(await events_of(engine._world.journal, "run"))


def in_another(graph: Mapping[str, Any] | None, **nodes: dict[str, Any]) -> dict[str, Any]:
    """Return a graph with some nodes' fields changed."""
    other: dict[str, Any] = copy.deepcopy(dict(graph or {}))
    for name, fields in nodes.items():
        other["nodes"][name].update(fields)
    return other


def parting(run: RecordedRun, graph: st.Graph | Mapping[str, Any] | None = None) -> str:
    return differences(run, play(run, graph))


@pytest.mark.parametrize("name", ALL)
async def test_every_sample_goes_the_same_way_again(name: str) -> None:
    run = await recorded(ALL[name])
    played = play(run)
    assert (parting(run), played.path, played.left_over) == ("", run.path, "")
    assert played.run.state.to_values() == run.final


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
def test_every_history_of_a_released_version_can_be_played(path: Path) -> None:
    run = record_run(map(decode, read_history(path)))
    assert parting(run) == ""


@pytest.mark.parametrize("name", ALL)
async def test_a_run_is_told_by_what_its_tools_returned(name: str) -> None:
    """What a reducer makes of an update is left to the reducer: only what it cannot tell is put."""
    run = await recorded(ALL[name])
    put = [step for step in run.outcomes if isinstance(step, Returned) and step.put]
    assert put == []


# What differs


async def test_a_flipped_condition_is_told_with_its_reason() -> None:
    run = await recorded(SAMPLES["branch"])
    other = in_another(
        run.graph, work={"next": [{"to": "after", "when": "n != 1"}, {"to": "$fail"}]}
    )
    told = parting(run, other)
    assert "from step 1 of 3 on" in told
    assert "recorded: /work#1 ok → after (branch)" in told
    assert "now:      /work#1 ok → $fail (next)" in told
    assert "n != 1 was false (n = 1)" in told


async def test_a_changed_edge_is_told() -> None:
    run = await recorded(chain("count", "count", "note"))
    told = parting(run, in_another(run.graph, **{"count-0": {"next": "note-2"}}))
    assert "now:      /count-0#1 ok → note-2 (next)" in told
    assert "recorded next: /count-1#1 returned, where the run does not stand now" in told


async def test_a_longer_loop_stands_where_nothing_is_recorded() -> None:
    run = await recorded(SAMPLES["bounded loop"])
    told = parting(run, in_another(run.graph, work={"next": [{"to": "work", "max": 9}]}))
    assert "before:   /work#6 ok → work (loop)" in told
    assert "now:      /work#7 ok → work (loop)" in told


async def test_an_earlier_end_is_told() -> None:
    run = await recorded(chain("count", "note"))
    told = parting(run, in_another(run.graph, **{"count-0": {"next": None}}))
    assert (
        "recorded: /count-0#1 ok → note-1 (next)" in told,
        "now:      /count-0#1 ok" in told,
    ) == (
        True,
        True,
    )


async def test_a_changed_reducer_is_told_by_the_path_in_the_state() -> None:
    run = await recorded(SAMPLES["reducers"])
    other = in_another(run.graph)
    other["state"]["total"]["reducer"] = "max"
    assert parting(run, other) == (
        "the path is as recorded, but the last state is another:\n  /total: recorded 9, now 2"
    )


async def test_a_changed_reducer_of_a_join_is_told() -> None:
    run = await recorded(SAMPLES["fork of one key"])
    told = parting(run, {**in_another(run.graph), "state": {}})
    assert "joined 3 merge-conflict" in told


async def test_many_differences_of_a_state_are_counted() -> None:
    run = await recorded(one("write", config={f"k{n}": n for n in range(30)}))
    told = parting(replace(run, final={}))
    assert (told.count("recorded nothing, now"), "and 10 more" in told) == (20, True)


async def test_a_tighter_schema_refuses_what_was_recorded() -> None:
    run = await recorded(one("count"))
    told = parting(run, {**in_another(run.graph), "state": {"n": {"schema": {"maximum": 0}}}})
    assert "now:      /work#1 error schema-violated" in told


async def test_a_signal_that_nobody_waits_for_any_more_is_told() -> None:
    run = await recorded(SAMPLES["signal"])
    told = parting(run, in_another(run.graph, wait={"wait": {"signal": "start"}}))
    assert "recorded next: the signal go, which is refused now" in told
    assert "now:      waiting at /wait#1" in told


async def test_a_retry_that_is_gone_is_told() -> None:
    run = await recorded(SAMPLES["retry"])
    other = in_another(run.graph)
    del other["nodes"]["work"]["retry"]
    told = parting(run, other)
    assert "recorded next: the time of /work#1 came" in told
    assert "now:      /work#1 error ConnectionError" in told


async def test_what_a_predicate_never_said_is_no_guess() -> None:
    run = await recorded(SAMPLES["predicate"])
    other = in_another(run.graph, work={"next": [{"to": "after", "when": {"fn": "new"}}]})
    assert "nothing is recorded of what it says here" in parting(run, other)


async def test_a_graph_that_cannot_run_is_refused_with_its_faults() -> None:
    run = await recorded(chain("count"))
    with pytest.raises(st.GraphInvalid):
        play(run, {"start": "nowhere", "nodes": {}})
    with pytest.raises(ValueError, match="no graph"):
        play(replace(run, graph=None))


async def test_a_graph_may_be_one_of_python() -> None:
    run = await recorded(chain("count"))
    graph = st.Graph(start="count-0", nodes={"count-0": st.Node(tool="count")})
    assert parting(run, graph) == ""


@pytest.mark.parametrize(
    ("step", "told"),
    [
        (Failed("/nowhere#1", "OSError"), "/nowhere#1 failed, OSError"),
        (Returned("no place"), "no place returned"),
        (TimeCame("/count-0#7"), "the time of /count-0#7 came"),
        (Did("resume"), "resume, which is refused now"),
    ],
)
async def test_what_finds_no_place_is_named(step: Any, told: str) -> None:
    run = await recorded(chain("count"))
    assert told in play(replace(run, outcomes=[step])).left_over


# Lives of runs


async def test_a_run_that_goes_on_is_played_as_far_as_it_has_come() -> None:
    async with engine_of() as engine:
        run = await engine.run(waiting({"signal": "go"}), run_id="run")
        events = await events_of(engine._world.journal, run.id)
    record = record_run(events)
    assert record.path[-1] == "waiting at /wait#1"
    assert "waiting at" in parting(replace(record, path=record.path[:-1]))


async def test_a_cancelled_run_is_played_to_its_end() -> None:
    async with engine_of() as engine:
        await engine.start(chain("count", "hang"), run_id="run")
        while len(await engine.visits("run")) < 2:
            await engine.wait("run", 0.001)
        await engine.cancel("run", reason="enough", actor="ann")
        await engine.wait("run")
        record = record_run(await events_of(engine._world.journal, "run"))
    assert (record.path[-1], record.outcomes[-1]) == ("cancelled", Did("cancel"))


async def test_a_run_that_is_being_stopped_is_refused() -> None:
    async with staged() as stage:
        await stage.engine.start({"start": "a", "nodes": {"a": held()}}, run_id="run")
        await stage.engine.cancel("run")
        events = await stage.events()
    until = next(at for at, event in enumerate(events) if event.type == "run.cancelling") + 1
    with pytest.raises(CannotRecord, match="comes to something else"):
        record_run(events[:until])


@pytest.mark.parametrize("at", range(2, 16))
async def test_a_fork_is_played_from_where_it_was_forked(at: int) -> None:
    async with engine_of() as engine:
        await engine.run(mapped("double"), {"items": [1, 2, 3]}, run_id="run")
        await engine.fork("run", at, new_id="fork")
        await engine.wait("fork")
        record = record_run(await events_of(engine._world.journal, "fork"))
    assert (record.fork is None, parting(record)) == (False, "")
    assert sorted(record.final["doubled"]) == [2, 4, 6]


async def test_a_fork_is_played_with_what_it_was_given() -> None:
    async with engine_of() as engine:
        await engine.run(waiting({"signal": "go"}), run_id="run")
        await engine.fork("run", 5, state={"n": 7}, signals={"go": 1}, new_id="fork")
        await engine.wait("fork")
        record = record_run(await events_of(engine._world.journal, "fork"))
    assert (parting(record), record.final["n"]) == ("", 8)
    told = parting(record, in_another(record.graph, wait={"next": None}))
    assert "now:      /wait#1 ok" in told


async def test_a_migrated_run_is_refused() -> None:
    async with engine_of() as engine:
        await engine.run(waiting({"signal": "go"}), run_id="run")
        other = waiting({"signal": "go"})
        other["nodes"]["after"]["tool"] = "note"
        await engine.migrate("run", other)
        await engine.signal("run", "go")
        await engine.wait("run")
        events = await events_of(engine._world.journal, "run")
    with pytest.raises(CannotRecord, match="went over to another graph"):
        record_run(events)


def test_what_has_not_begun_is_refused() -> None:
    with pytest.raises(CannotRecord, match="not begun"):
        record_run([])


async def test_attempts_that_were_cut_off_are_as_if_they_had_gone_on() -> None:
    async with staged() as stage:
        graph = {"start": "a", "nodes": {"a": held(next="b"), "b": held(tool="once")}}
        await stage.engine.start(graph, run_id="run")
        await stage.restart()
        await stage.finish("run/a#1.2", {"n": 1})
        await stage.restart(crash=True)
        await stage.engine.resume("run", result={"m": 2})
        await stage.settle()
        record = record_run(await stage.events())
    assert record.outcomes == [
        Returned("/a#1", update={"n": 1}, dropped=[]),
        Returned("/b#1", update={"m": 2}, dropped=[]),
    ]


async def test_a_run_that_had_no_time_left_is_played_on_when_it_was_given_more() -> None:
    graph = {"start": "a", "nodes": {"a": held()}, "limits": {"time_s": 5}}
    async with staged() as stage:
        await stage.engine.start(graph, run_id="run")
        await stage.pass_time(6)
        parked = record_run(await stage.events())
        await stage.engine.resume("run", limits=st.Limits(steps=100, time_s=50))
        await stage.settle()
        await stage.finish("run/a#1.2", {"n": 1})
        record = record_run(await stage.events())
    assert parked.path[0] == "parked (limit)"
    assert record.outcomes[:2] == [Did("time-up"), Did("resume", 100, 50)]
    assert record.path == ["parked (limit)", "/a#1 ok", "completed (end)"]


async def test_limits_of_the_run_alone_are_kept() -> None:
    async with engine_of() as engine:
        run = await engine.run(
            chain("count", "count"), run_id="run", limits=st.Limits(steps=1), tags={"a": "b"}
        )
        record = record_run(await events_of(engine._world.journal, run.id))
    assert (record.limits, record.path[-2]) == ({"steps": 1}, "parked (limit)")


async def test_a_delay_is_not_waited_for_and_a_turn_neither() -> None:
    async with staged() as stage:
        await stage.engine.start(
            {"start": "a", "nodes": {"a": held()}, "id": "g", "concurrency": {"limit": 1}},
            run_id="first",
        )
        await stage.engine.start("g", run_id="run", delay_s=3600)
        await stage.pass_time(4000)
        await stage.finish("first/a#1.1")
        await stage.finish("run/a#1.1", {"n": 1})
        record = record_run(await stage.events())
    assert [type(step) for step in record.outcomes] == [Returned]


async def test_an_effect_that_may_have_happened_is_not_tried_again() -> None:
    retry = {"attempts": 3, "delay_s": 1}
    graph = {"start": "a", "nodes": {"a": held(tool="once", timeout_s=5, retry=retry)}}
    async with staged() as stage:
        await stage.engine.start(graph, run_id="run")
        await stage.pass_time(6)
        record = record_run(await stage.events())
    assert (record.once, record.path[0]) == (["once"], "/a#1 timeout TimeoutError")


async def test_a_base_of_an_error_that_was_tried_again_is_kept() -> None:
    retry = {"attempts": 2, "delay_s": 0, "on": ["OSError"]}
    run = await recorded(one("fail_until_retried", retry=retry))
    assert run.outcomes[0] == Failed("/work#1", "ConnectionError", "not yet", bases=("OSError",))


async def test_a_sub_graph_that_takes_too_long_is_played() -> None:
    async with staged() as stage:
        await stage.engine.create_graph({"id": "child", "start": "a", "nodes": {"a": held()}})
        call = {"graph": "child", "timeout_s": 5, "next": [{"to": "$end", "on": "timeout"}]}
        await stage.engine.start({"start": "call", "nodes": {"call": call}}, run_id="run")
        await stage.pass_time(6)
        record = record_run(await stage.events())
    assert (list(record.graphs), record.outcomes) == (["child"], [TimeCame("/call#1")])


async def test_sub_graphs_are_those_of_the_recording() -> None:
    run = await recorded(Sample(calling("child"), {"n": 1}, (COUNTING,)))
    assert parting(run, {**calling("child"), "name": "as before"}) == ""
    with pytest.raises(st.GraphInvalid):
        play(run, calling("stranger"))


async def test_secrets_are_played_by_what_stands_for_them() -> None:
    run = await recorded(LARGER["secret in a loop"])
    assert "open sesame" not in str(run)
    assert parting(run) == ""


async def test_a_signal_is_given_where_it_was() -> None:
    async with engine_of() as engine:
        await engine.run(SAMPLES["signals in branches"].graph, {"people": [1, 2]}, run_id="run")
        await engine.signal("run", "vote", "no", scope="/split#1[1]/")
        record = record_run(await events_of(engine._world.journal, "run"))
    assert Signalled("vote", "no", "/split#1[1]/") in record.outcomes
    assert record.path[-1] == "waiting at /split#1[0]/ask#1"


@st.tool
async def odd(state: dict[str, Any]) -> dict[str, Any]:
    """Do to a state all that can be done to one."""
    state["list"] = [1]
    state["log"].clear()
    state["sum"] = 0.1
    del state["gone"]
    return {"flag": True, "object": {"a": 1.0, "b": 2}, "tags": ["x", "y"], "best": 1}


async def test_what_was_done_in_place_is_told_so() -> None:
    reducers = {
        "sum": "add", "log": "concat", "object": "merge", "tags": "append", "best": "max",
    }  # fmt: skip
    graph = {
        **one("odd"),
        "state": {key: {"reducer": reducer} for key, reducer in reducers.items()},
    }
    state = {"flag": 1, "sum": 5, "log": ["a"], "gone": 1, "object": {"a": 1}, "best": 4}
    async with engine_of(odd) as engine:
        await engine.run(graph, state, run_id="run")
        record = record_run(await events_of(engine._world.journal, "run"))
    (step,) = record.outcomes
    assert isinstance(step, Returned)
    assert (step.put["log"], step.dropped, step.update["flag"]) == ([], ["gone"], True)
    assert parting(record) == ""


@st.tool
async def recount(state: dict[str, Any]) -> None:
    state["marks"] = [True, 2]


async def test_a_list_that_only_seems_to_have_grown_is_put() -> None:
    async with engine_of(recount) as engine:
        await engine.run(one("recount"), {"marks": [1]}, run_id="run")
        record = record_run(await events_of(engine._world.journal, "run"))
    assert record.outcomes == [Returned("/work#1", put={"marks": [True, 2]}, dropped=[])]


async def test_what_is_more_than_one_commit_is_played_to_its_end() -> None:
    run = await recorded(mapped("count"), items=list(range(450)))
    assert (parting(run), len(run.outcomes)) == ("", 452)


async def test_a_path_that_ends_before_what_is_expected_is_told() -> None:
    run = await recorded(chain("count"))
    told = parting(replace(run, path=[*run.path, "and more"]))
    assert ("recorded: and more" in told, "now:      nothing more" in told) == (True, True)


async def test_an_attempt_that_is_too_late_for_the_last_time_needs_no_reason() -> None:
    retry = {"attempts": 2, "delay_s": 0, "jitter": False}
    run = await recorded(one("hang", timeout_s=0.005, retry=retry))
    assert (run.once, run.path[1]) == ([], "/work#1 timeout TimeoutError")


def test_what_cannot_be_played_in_any_year_is_refused() -> None:
    last = "9999-12-31T23:59:59.999999Z"
    records = [replace(each, at=last) for each in read_history(GOLDEN / "0.1" / "retry.ndjson")]
    with pytest.raises(CannotRecord, match=r"cannot be played again \(OverflowError\)"):
        record_run(map(decode, records))


def test_what_no_schema_allows_is_not_what_a_tool_returned() -> None:
    old, forged = b'"path":"/n","value":2', b'"path":"/n","value":99'
    records = read_history(GOLDEN / "0.1" / "schema.ndjson")
    records = [replace(each, data=each.data.replace(old, forged)) for each in records]
    with pytest.raises(CannotRecord, match="comes to something else"):
        record_run(map(decode, records))


def test_any_name_is_known() -> None:
    names = AnyName()
    assert ("anything" in names, list(names), len(names)) == (True, [], 0)
