"""How two runs differ, or one at two points."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given

import stenograph as st
from stenograph.engine import Engine, RunDiff, lines_of
from stenograph.engine.audit.blame_trees import same
from stenograph.engine.audit.changes import applied, changes
from stenograph.engine.audit.diff import CHANGES_MAX, VISITS_MAX, Told, compare, diff
from stenograph.engine.audit.diff_visits import EventId
from stenograph.engine.audit.lineage import Line, Part
from stenograph.engine.audit.reasons import why
from stenograph.engine.audit.trails import Trails
from stenograph.journal import MemoryJournal
from tests.audited import NAMES, history, ran, states
from tests.engine.test_blame import values
from tests.graphs import SAMPLES, TOOLS, chain, looped, mapped, one
from tests.stage import Stage


def told(events: list[st.Event]) -> Told:
    found = Told(Line((Part("run", len(events)),)))
    for event in events:
        found.note(event)
    return found


def reasons(events: list[st.Event], ids: list[EventId]) -> dict[EventId, Any]:
    trails, found = Trails(), {}
    for event in events:
        if (event.run_id, event.seq) in ids:
            found[event.run_id, event.seq] = why(trails, event)
        trails.note(event)
    return found


def diff_of(left: list[st.Event], right: list[st.Event]) -> RunDiff:
    common = Part("run", min(len(left), len(right))) if left[0] == right[0] else None
    compared = compare(told(left), told(right), common)
    asked, other = compared.asked()
    return diff(compared, reasons(left, asked), reasons(right, other))


@given(values, values)
def test_changes_turn_one_value_into_the_other(old: Any, new: Any) -> None:
    found = list(changes(old, new))
    assert same(applied(old, found), new)
    assert bool(found) is not same(old, new)


@given(values)
def test_a_value_does_not_differ_from_itself(value: Any) -> None:
    assert not list(changes(value, value))


def test_an_item_put_into_a_list_or_taken_out_is_one_change() -> None:
    long = list(range(100))
    for old, new in ((long, [*long[:40], "x", *long[40:]]), ([*long, "x"], long)):
        assert len(list(changes(old, new))) == 1
        assert len(list(changes(new, old))) == 1


@pytest.mark.parametrize("name", NAMES)
async def test_a_run_does_not_differ_from_itself(name: str) -> None:
    events = await history(SAMPLES[name])
    found = diff_of(events, events)
    assert found.same
    assert (found.changes, found.first, found.parted) == ((), None, None)
    assert not [each for each in found.visits if each.differs]
    assert found.summary == "the same in path, outcome and state"
    assert len(list(lines_of(found))) == 3


@pytest.mark.parametrize("name", NAMES)
async def test_the_same_again_differs_in_nothing_but_time(name: str) -> None:
    left, right = await history(SAMPLES[name]), await history(SAMPLES[name])
    if (
        "pause" not in name and "quorum" not in name
    ):  # where a pause comes, and who is late, is chance
        assert diff_of(left, right).same


@pytest.mark.parametrize("name", NAMES)
async def test_changes_turn_one_point_of_a_run_into_another(name: str) -> None:
    events = await history(SAMPLES[name])
    then = states(events)
    points = sorted({1, len(events) // 2 or 1, len(events)})
    for one_, other in [*pairwise(points), *pairwise(points[::-1])]:
        found = diff_of(events[:one_], events[:other])
        assert applied(then[one_], found.changes) == then[other]
        assert found.common == min(one_, other)
        assert not found.same
        assert found.summary
        assert list(lines_of(found))


BRANCH = one("note", next=[{"to": "after", "when": "n > 1", "label": "big"}, {"to": "$end"}])


async def test_runs_part_where_an_edge_decided_otherwise() -> None:
    found = diff_of(await ran(BRANCH, {"n": 1}), await ran(BRANCH, {"n": 2}))
    assert found.first is not None
    assert found.first.what == "start"
    assert found.parted is not None
    parted = found.parted
    assert (parted.what, parted.scope, parted.node, parted.visit) == ("way", "/", "work", 1)
    assert parted.left is not None
    assert parted.right is not None
    assert (parted.left.edges[0].verdict, parted.left.edges[0].read) == ("false", {"n": 1})
    assert parted.right.edges[0].verdict == "taken"
    assert [(each.op, each.path) for each in found.changes] == [
        ("replace", "/n"),
        ("add", "/notes/1"),
    ]
    assert [each.differs for each in found.visits] == [("way",), ("entry",)]
    assert found.summary == "their paths part at /work#1; 2 values of the state differ"


async def test_the_text_of_a_diff_tells_it_all() -> None:
    lines = list(lines_of(diff_of(await ran(BRANCH, {"n": 1}), await ran(BRANCH, {"n": 2}))))
    text = "\n".join(lines)
    assert lines[0].startswith("left   run@")
    assert "first difference at their start (n):" in lines
    assert "their paths part at /work#1:" in lines
    assert "work went to after “big”: it is the first edge that was eligible" in text
    assert "visits: 0 alike, 1 differ, 1 alone" in lines
    assert "  /n: 1 → 2" in lines
    assert '  /notes/1: ∅ → "seen"' in lines


async def test_the_same_path_may_change_the_state_otherwise() -> None:
    writes = [chain("write", "note") for _ in range(2)]
    for number, graph in enumerate(writes):
        graph["nodes"]["write-0"]["config"] = {"n": number}
    left, right = [await ran(graph) for graph in writes]
    found = diff_of(left, right)
    assert (found.first and found.first.what, found.parted) == ("start", None)
    assert found.summary == (
        "the same path, and the first difference at their start (another graph); 1 value of the state differs"
    )


async def test_outcomes_that_differ_are_told_with_their_errors() -> None:
    graph = mapped("fail_on_odd")
    found = diff_of(await ran(graph, {"items": [2, 4]}), await ran(graph, {"items": [2, 3]}))
    assert found.parted is not None
    assert (found.parted.what, found.parted.scope) == ("outcome", "/split#1[1]/")
    assert found.summary.endswith("left completed, right failed")
    assert any("failed: ValueError: 3 is odd" in line for line in lines_of(found))


async def test_runs_that_are_alike_may_end_otherwise() -> None:
    stage = Stage()
    await stage.open()
    for name in "ab":
        await stage.engine.start(chain("hold"), run_id=name)
    await stage.settle()
    await stage.engine.cancel("b")
    await stage.settle()
    found = await stage.engine.diff("a", "b")
    again = await stage.engine.diff("a", "a", at=1)
    await stage.close()
    assert found.summary == "left running, right cancelled"
    assert not found.same
    assert again.common == 1
    assert "the very same events up to 1" in list(lines_of(again))


async def test_other_reasons_of_the_same_end_are_a_difference() -> None:
    stage = Stage()
    await stage.open()
    for name in "ab":
        await stage.engine.start(chain("hold"), run_id=name)
        await stage.settle()
        await stage.engine.cancel(name, reason=name)
    await stage.settle()
    found = await stage.engine.diff("a", "b")
    await stage.close()
    assert found.summary == "they ended otherwise"
    assert any("cancelled, a (" in line for line in lines_of(found))


async def test_a_change_alone_is_the_first_difference_within_the_same_start() -> None:
    stage = Stage()
    await stage.open()
    for name in "ab":
        await stage.engine.start(chain("hold", "hold"), run_id=name)
        await stage.settle()
        await stage.finish(f"{name}/hold-0#1.1", {"n": name})
    found = await stage.engine.diff("a", "b")
    await stage.close()
    assert found.first is not None
    assert (found.first.what, found.first.node) == ("change", "hold-0")
    assert found.first.left is not None
    assert found.first.left.changed == ("/n",)


async def forked(**outcomes: Any) -> list[st.Event]:
    """Run a fork in which each node comes to what is named for it."""

    @st.tool(name="act", version="1")
    async def act(state: dict[str, Any], ctx: st.Context) -> Any:
        if isinstance(outcome := outcomes[ctx.node], Exception):
            raise outcome
        return outcome

    nodes: dict[str, Any] = {name: {"tool": "act"} for name in ("split", "a", "b", "after")}
    nodes["split"]["next"] = {"to": ["a", "b"], "join": "after"}
    async with Engine(MemoryJournal(), tools=[act]) as engine:
        await engine.run({"start": "split", "nodes": nodes}, run_id="run")
        return [event async for event in engine.tail("run")]


@pytest.mark.parametrize(
    ("other", "what", "node"),
    [
        ({"split": {"x": 2}}, "change", "split"),
        ({"split": {}}, "change", "split"),
        ({"a": {"y": 2}}, "change", "a"),
        ({"b": ValueError("no")}, "outcome", "b"),
        ({"after": {"z": 2}}, "change", "after"),
    ],
)
async def test_what_a_fork_brings_together_differs_after_what_its_branches_did(
    other: dict[str, Any], what: str, node: str
) -> None:
    outcomes: dict[str, Any] = {"split": {"x": 1}, "a": {"y": 1}, "b": {"w": 1}, "after": {"z": 1}}
    left, right = await forked(**outcomes), await forked(**{**outcomes, **other})
    for found in (diff_of(left, right), diff_of(right, left)):
        assert found.first is not None
        assert (found.first.what, found.first.node) == (what, node)
        for side in (found.first.left, found.first.right):
            assert side is not None
            assert side.node == node
            branch = found.visits[1].left
            assert branch is not None
            assert node != "split" or side.seq < branch.entered_seq


async def test_what_one_run_alone_did_stands_where_it_was() -> None:
    graph = one("note", next=[{"to": "after", "when": "n > 1"}, {"to": "$end"}])
    fewer, more = await ran(graph, {"n": 1}), await ran(graph, {"n": 2})
    assert [each.node for each in diff_of(fewer, more).visits] == ["work", "after"]
    first = diff_of(fewer[:1], more)
    assert [(each.node, each.left) for each in first.visits] == [("work", None), ("after", None)]
    assert first.parted is not None
    assert first.parted.left is None
    assert any("never came there" in line for line in lines_of(first))


async def test_large_diffs_are_cut_and_counted() -> None:
    loop = looped(VISITS_MAX + 200, work={"tool": "count"})
    loop["limits"] = {"steps": 100_000}
    left = await ran(loop)
    right = await ran({**loop, "nodes": {"work": {"tool": "count"}}})
    found = diff_of(left, right)
    assert (len(found.visits), found.visits_more) == (VISITS_MAX, 200)
    alike = diff_of(left, left)
    assert (len(alike.visits), alike.visits_more) == (VISITS_MAX, 200)
    many = {f"k{number}": number for number in range(CHANGES_MAX + 7)}
    fewer = diff_of(await ran(chain("note")), await ran(chain("note"), many))
    assert (len(fewer.changes), fewer.changes_more) == (CHANGES_MAX, 7)
    lines = list(lines_of(fewer))
    assert lines[-1] == f"  … {CHANGES_MAX + 7 - 50:,} more"


async def test_ten_thousand_visits_are_compared() -> None:
    nodes = {"work": {"next": [{"to": "work", "max": 9_999}, {"to": "$end"}]}}
    graph = {"start": "work", "nodes": nodes, "limits": {"steps": 100_000}}
    async with st.open(":memory:", tools=TOOLS) as engine:
        run = await engine.run(graph, run_id="a")
        found = await engine.diff("a", "a", at=run.seq // 2)
    assert len(found.visits) + found.visits_more == 10_000


async def test_a_point_that_no_run_has_is_refused() -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        run = await engine.run(chain("note"), run_id="a")
        with pytest.raises(st.SeqNotReached):
            await engine.diff("a", "a", other_at=run.seq + 1)
        with pytest.raises(st.UnknownRun):
            await engine.diff("a", "b")
