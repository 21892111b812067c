"""Why an event happened: links that lead to the beginning, and every edge with its verdict."""

from __future__ import annotations

from typing import Any

import pytest

import stenograph as st
from stenograph.engine.audit.reason_words import one_line
from tests.audited import NAMES, history, ran, reason, reasons
from tests.graphs import SAMPLES, Sample, chain, fork, mapped, one
from tests.stage import Stage


@pytest.mark.parametrize("name", NAMES)
async def test_every_event_leads_back_to_the_beginning(name: str) -> None:
    events = await history(SAMPLES[name])
    for event, found in zip(events, reasons(events), strict=True):
        seqs = [each.seq for each in found.because]
        assert all(1 <= seq < event.seq for seq in seqs)
        assert len(set(seqs)) == len(seqs)
        assert bool(seqs) is (event.type != "run.created")
        assert found.says
        assert all(each and each == one_line(each) for each in found.says)
        assert all(each == reasons_link(events, each.seq) for each in found.because)


def reasons_link(events: list[st.Event], seq: int) -> Any:
    from stenograph.engine.audit.reasons import link

    return link(events[seq - 1], "run")


@pytest.mark.parametrize("name", NAMES)
async def test_a_transition_tells_of_every_edge_of_its_node(name: str) -> None:
    events = await history(SAMPLES[name])
    for found in reasons(events):
        if found.type == "transition.taken" and found.scope == "/":
            node = SAMPLES[name].graph["nodes"][found.node]
            edges = node.get("next", [])
            assert len(found.edges) == (len(edges) if isinstance(edges, list) else 1)
            assert sum(each.verdict == "taken" for each in found.edges) <= 1


def edge_of(**edge: Any) -> dict[str, Any]:
    return edge


async def test_an_edge_is_false_taken_later_or_for_another_outcome() -> None:
    edges = [
        edge_of(to="after", on="error"),
        edge_of(to="after", when="n > 5"),
        edge_of(to="$end", until="n == 2", label="stop"),
        edge_of(to="after"),
    ]
    found = reason(await ran(one("count", next=edges)), "transition.taken", 0)
    assert [each.verdict for each in found.edges] == ["outcome", "false", "taken", "later"]
    assert found.edges[1].read == {"n": 1}
    assert found.says == (
        "work went to $end “stop”: it is the first edge that was eligible",
        "edge 0 to after was not taken: it is for error",
        "edge 1 to after was not taken: n > 5 was false (n = 1)",
        "edge 2 to $end was taken: until n == 2 (n = 1)",
        "edge 3 to after was not looked at: one before it was taken",
    )
    assert [each.type for each in found.because] == ["node.exited"]


async def test_an_edge_at_its_cap_and_a_loop_that_is_done() -> None:
    events = await ran(one("count", next=[edge_of(to="work", max=2), edge_of(to="after")]))
    found = reason(events, "transition.taken")
    assert [(each.verdict, each.taken) for each in found.edges] == [("capped", 2), ("taken", None)]
    assert found.says[1] == "edge 0 to work was not taken: it had been 2 times, its most"
    first = reason(events, "transition.taken", 0)
    assert first.says[1] == "edge 0 to work was taken: no condition, 1 of 2"
    done = reason(
        await ran(one("count", next=[edge_of(to="work", until="n >= 2")])), "run.completed"
    )
    assert done.says == (
        "the run came to its end (loop-done) after transition.taken of work, "
        f"visit 2 (event {done.seq - 1})",
    )


async def test_a_condition_that_is_no_text_is_told_as_json() -> None:
    when = {"field": "n", "operator": ">=", "value": 3}
    found = reason(
        await ran(one("count", next=[edge_of(to="$end", when=when), edge_of(to="after")])),
        "transition.taken",
    )
    assert found.says[1].startswith('edge 0 to $end was not taken: {"field":"n"')


async def test_after_a_goto_no_edge_was_looked_at() -> None:
    graph = SAMPLES["goto"].graph
    graph = {**graph, "nodes": {**graph["nodes"], "choose": {"tool": "choose", "next": "left"}}}
    found = reason(await ran(graph), "transition.taken", 0)
    assert [each.verdict for each in found.edges] == ["overridden"]
    assert found.says[0] == "choose went to left: the tool said so"
    assert "the tool said where to go" in found.says[1]


async def test_a_log_line_is_told_with_what_it_says() -> None:
    found = reason(await ran(one("say")), "log")
    assert found.says == ("the tool of work said “saying” in try 1",)


async def test_an_entry_names_the_way_that_led_to_it() -> None:
    events = await ran(chain("count", "note"))
    first, second = (reason(events, "node.entered", at) for at in (0, 1))
    assert first.says == ("count-0 was entered because the graph starts there",)
    assert [each.type for each in second.because] == ["transition.taken"]
    assert second.says == (
        f"note-1 was entered because count-0 went there (next) by event {second.because[0].seq}",
    )


async def test_a_further_try_names_the_failure_before_it() -> None:
    events = await history(SAMPLES["retry"])
    found = reason(events, "node.entered", 1)
    assert (found.attempt, found.because[0].type) == (2, "node.attempt_failed")
    assert "was tried again (try 2) after node.attempt_failed of work" in found.says[0]
    failed = reason(events, "node.attempt_failed", 0)
    assert failed.error is not None
    assert failed.says[0].startswith("try 1 of work failed: ConnectionError: not yet; it is tried")


async def test_a_failure_no_edge_caught_tells_of_the_edges() -> None:
    edges = [
        edge_of(to="after"),
        edge_of(to="after", on="error", when="error.type == 'OSError'"),
        edge_of(to="after", on="timeout"),
    ]
    found = reason(await ran(one("always_fail", next=edges)), "run.failed")
    assert [each.verdict for each in found.edges] == ["outcome", "false", "outcome"]
    assert found.edges[1].read == {}
    assert found.says[0] == "the run failed at work: LookupError: nothing there"
    assert found.says[2] == ("edge 1 to after was not taken: error.type == 'OSError' was false")


async def test_an_edge_that_catches_only_so_often_is_capped_then() -> None:
    graph = {
        "start": "work",
        "nodes": {
            "work": {"tool": "always_fail", "next": {"to": "work", "on": "error", "max": 2}},
        },
    }
    found = reason(await ran(graph), "run.failed")
    assert [(each.verdict, each.taken) for each in found.edges] == [("capped", 2)]


async def test_a_condition_that_fails_is_told_in_the_error_alone() -> None:
    found = reason(await history(SAMPLES["bad expression"]), "run.failed")
    assert found.error is not None
    assert (found.error.type, found.edges) == ("expression-error", ())


async def test_a_failure_is_followed_down_to_where_it_began() -> None:
    inner = {"id": "child", **one("always_fail")}
    sample = SAMPLES["sub-graph in a map"]
    events = await history(Sample(sample.graph, sample.state, (inner,)))
    found = reason(events, "run.failed")
    assert [each.type for each in found.failures] == ["branch.ended", "node.exited"]
    began = found.failures[-1]
    assert (began.scope, began.node) == ("/split#1[0]/call#1/", "work")
    assert found.says[-1].startswith("it began with node.exited of work in /split#1[0]/call#1/")


async def test_a_node_that_went_to_fail_is_where_it_began() -> None:
    found = reason(await ran(one("count", next="$fail")), "run.failed")
    assert [each.type for each in found.failures] == ["transition.taken"]


async def test_what_branches_made_of_one_key_is_where_it_began() -> None:
    events = await history(SAMPLES["merge conflict"])
    found = reason(events, "run.failed")
    assert [each.type for each in found.failures] == ["fork.joined"]
    assert "do not go together: merge-conflict" in reason(events, "fork.joined").says[0]


async def test_a_race_tells_who_won_and_who_was_stopped_by_that() -> None:
    events = await history(SAMPLES["race"])
    won, stopped = (reason(events, "branch.ended", at) for at in (0, 1))
    joined, patched = reason(events, "fork.joined"), reason(events, "state.patched", 1)
    assert [each.seq for each in stopped.because] == [won.seq]
    assert "was stopped: its fork was decided by branch.ended of /split#1[0]/" in stopped.says[0]
    assert [each.seq for each in joined.because] == [won.seq]
    assert "(1 arrived, 1 stopped); branch.ended" in joined.says[0]
    assert patched.because[0].type == "fork.joined"
    assert "the branches of its fork were brought together" in patched.says[0]


async def test_a_branch_that_waited_for_room_names_who_made_it() -> None:
    events = await ran(mapped("double", width=1), {"items": [1, 2]})
    entered = [each for each in reasons(events) if each.type == "node.entered"]
    second = next(each for each in entered if each.scope == "/split#1[1]/")
    assert [each.type for each in second.because] == ["fork.opened", "branch.ended"]
    assert (
        reason(events, "fork.opened")
        .says[0]
        .startswith("split forked into 2 branches over items, 2 to arrive at after")
    )


async def test_a_fork_over_nothing_joins_at_once() -> None:
    found = reason(await history(SAMPLES["map over nothing"]), "fork.joined")
    assert (found.because[0].type, "(none)" in found.says[0]) == ("fork.opened", True)


async def test_a_long_list_of_names_is_cut() -> None:
    branches = {f"n{number}": {"x": 1} for number in range(12)}
    found = reason(await ran(fork(branches)), "transition.taken", 0)
    assert "n9 and 2 more, to join at after" in found.says[0]


async def test_a_wait_names_what_ended_it() -> None:
    events = await history(SAMPLES["signal"])
    resolved, signal = reason(events, "wait.resolved"), reason(events, "signal.received")
    assert [each.type for each in resolved.because] == ["wait.opened", "signal.received"]
    assert resolved.says[0].startswith("wait goes on: engine gave go")
    assert signal.actor == "engine"
    assert "gave signal go, for wait.opened of wait" in signal.says[0]


async def test_a_signal_that_came_early_was_for_nothing_yet() -> None:
    async with Stage_open() as stage:
        graph = chain("hold", "hold")
        graph["nodes"]["hold-1"] = {"wait": {"signal": "go"}}
        await stage.engine.start(graph, run_id="r")
        await stage.settle()
        await stage.engine.signal("r", "go", saw=2)
        found = await stage.engine.why("r", 3)
    assert "having seen event 2, before anything waited for it" in found.says[0]
    assert [each.type for each in found.because] == ["run.created"]


async def test_a_timer_names_who_asked_for_it() -> None:
    events = await history(SAMPLES["timer"])
    assert [each.type for each in reason(events, "timer.fired").because] == ["timer.set"]
    assert [each.type for each in reason(events, "timer.set").because] == ["wait.opened"]
    resolved = reason(events, "wait.resolved")
    assert [each.type for each in resolved.because] == ["timer.fired"]
    assert "its time came" in resolved.says[0]


class Stage_open:
    """An open stage."""

    def __init__(self) -> None:
        self.stage = Stage()

    async def __aenter__(self) -> Stage:
        await self.stage.open()
        return self.stage

    async def __aexit__(self, *how: object) -> None:
        await self.stage.close()


async def types_and_causes(stage: Stage, run_id: str = "r") -> dict[str, tuple[list[str], str]]:
    """Return of each type the causes of its last event, and what it says."""
    head = (await stage.engine.get(run_id)).seq
    found = [await stage.engine.why(run_id, seq) for seq in range(1, head + 1)]
    return {each.type: ([cause.type for cause in each.because], each.says[0]) for each in found}


async def test_what_people_do_is_told_with_who_and_why() -> None:
    async with Stage_open() as stage:
        await stage.engine.start(chain("hold", "hold"), run_id="r", actor="ann")
        await stage.settle()
        await stage.engine.pause("r", reason="lunch", actor="bob")
        await stage.finish("r/hold-0#1.1")
        await stage.engine.resume("r", limits=st.Limits(steps=50), actor="cid")
        await stage.settle()
        await stage.engine.cancel("r", actor="dan", reason="enough")
        await stage.settle()
        told = await types_and_causes(stage)
    assert told["run.created"][1].startswith("ann started graph")
    assert told["run.pausing"] == (["run.created"], "bob asked the run to pause: lunch")
    assert told["run.paused"][0] == ["run.pausing"]
    assert told["run.resumed"][0] == ["run.paused"]
    assert told["run.resumed"][1].endswith(", up to 50 steps")
    assert told["node.entered"][0] == ["transition.taken", "run.resumed"]
    assert told["run.cancelling"][1] == "dan asked the run to stop: enough"
    assert told["run.cancelled"][0] == ["run.cancelling"]


async def test_a_limit_names_who_set_it() -> None:
    graph = {
        "start": "work",
        "nodes": {"work": {"tool": "hold", "next": "work"}},
        "limits": {"steps": 1},
    }
    async with Stage_open() as stage:
        await stage.engine.start(graph, run_id="r")
        await stage.settle()
        await stage.finish("r/work#1.1")
        first = await types_and_causes(stage)
        await stage.engine.resume("r", limits=st.Limits(steps=2))
        await stage.settle()
        await stage.finish("r/work#2.1")
        second = await types_and_causes(stage)
    assert first["limit.reached"][0] == ["run.created"]
    assert first["run.parked"][0] == ["limit.reached"]
    assert second["limit.reached"][0] == ["run.resumed"]
    assert "its limit, 2 steps, set by run.resumed" in second["limit.reached"][1]


async def test_a_restart_names_the_attempts_that_it_cut_off() -> None:
    graph = chain("once")
    async with Stage_open() as stage:
        await stage.engine.start(graph, run_id="r")
        await stage.settle()
        await stage.restart(crash=True)
        told = await types_and_causes(stage)
        await stage.engine.resume("r", result={"done": True}, actor="ann")
        await stage.settle()
        exited = (await types_and_causes(stage))["node.exited"]
    assert told["run.recovered"][0] == ["node.entered"]
    assert "1 attempts were cut off" in told["run.recovered"][1]
    assert told["node.attempt_failed"][0] == ["node.entered", "run.recovered"]
    assert told["run.parked"][0] == ["node.attempt_failed"]
    assert told["run.parked"][1].startswith("the engine needs a person (effects-once)")
    assert exited[0] == ["node.attempt_failed", "run.resumed"]


async def test_a_restart_in_a_branch_is_found_there() -> None:
    async with Stage_open() as stage:
        graph = {
            "start": "split",
            "nodes": {
                "split": {"next": {"to": ["a", "b"], "join": "$end"}},
                "a": {"tool": "hold"},
                "b": {"wait": {"signal": "go"}},
            },
        }
        await stage.engine.start(graph, run_id="r")
        await stage.settle()
        await stage.restart(crash=True)
        await stage.engine.signal("r", "go", scope="/split#1[1]/")
        await stage.settle()
        told = await types_and_causes(stage)
    assert told["run.recovered"][0] == ["node.entered"]
    assert told["signal.received"][0] == ["wait.opened"]


async def test_a_retry_follows_from_the_failure() -> None:
    events = await history(SAMPLES["failure that is retried"])
    assert [each.type for each in reason(events, "run.retried").because] == ["run.failed"]
    again = next(
        each for each in reasons(events) if each.type == "node.entered" and each.attempt == 2
    )
    assert [each.type for each in again.because] == ["node.exited", "run.retried"]
    assert "was entered (try 2) after node.exited" in again.says[0]


async def test_a_sub_graph_that_takes_too_long_is_ended_by_its_timer() -> None:
    call = {"graph": "child", "timeout_s": 5, "next": {"to": "$end", "on": "timeout"}}
    graph = {"start": "call", "nodes": {"call": call}}
    async with Stage_open() as stage:
        await stage.engine.create_graph({"id": "child", **chain("hold")})
        await stage.engine.start(graph, run_id="r")
        await stage.settle()
        stage.clock.advance(5)
        await stage.settle()
        told = await types_and_causes(stage)
    assert told["timer.set"][0] == ["node.entered"]
    assert told["timer.fired"][0] == ["timer.set"]
    assert told["node.exited"][0] == ["timer.fired"]
    assert told["node.exited"][1].startswith("call ran out of time: TimeoutError")


async def test_a_reason_fits_a_line_and_steers_no_terminal() -> None:
    assert one_line("a\n b\x1b[31m") == "a b\\x1b[31m"
    assert one_line("x" * 2000) == "x" * 1000 + "…"


async def test_an_event_that_there_is_not_is_refused() -> None:
    async with st.open(":memory:") as engine:
        run = await engine.run({"start": "a", "nodes": {"a": {}}}, run_id="r")
        for seq in (0, run.seq + 1):
            with pytest.raises(st.SeqNotReached):
                await engine.why("r", seq)
        with pytest.raises(st.UnknownRun):
            await engine.why("nobody", 1)
