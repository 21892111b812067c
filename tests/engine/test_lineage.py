"""Forks remember: why, blame and diff lead over the point where a run was forked, and back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import chain as chained
from typing import Any

import pytest

import stenograph as st
from stenograph.engine import Engine, decode, lines_of, read_export
from stenograph.engine.audit.blame import Blamer
from stenograph.engine.audit.blame_trees import same
from stenograph.engine.audit.blame_view import blame_at
from stenograph.engine.audit.changes import applied
from stenograph.engine.audit.reason_words import one_line
from stenograph.journal import MemoryJournal
from tests.audited import NAMES, reasons, states
from tests.crashes import drive
from tests.engine.test_blame import ABSENT, at_path
from tests.engine.test_run_forks import ended
from tests.graphs import SAMPLES, TOOLS, Sample, mapped


@asynccontextmanager
async def opened() -> AsyncIterator[Engine]:
    async with MemoryJournal() as journal, Engine(journal, tools=TOOLS) as engine:
        yield engine


async def events_of(engine: Engine, run_id: str) -> list[st.Event]:
    events: list[st.Event] = []
    while page := await engine.journal.read(run_id, after=len(events)):
        events += map(decode, page)
    return events


async def lineage(engine: Engine, run_id: str) -> list[st.Event]:
    """Return all events that led to where a run is, the oldest first."""
    events = await events_of(engine, run_id)
    origin = (await engine.get(run_id)).origin
    before = [] if origin is None else (await lineage_of(engine, origin))
    return before + events


async def lineage_of(engine: Engine, origin: Any) -> list[st.Event]:
    events = await lineage(engine, origin.run_id)
    at = next(n for n, e in enumerate(events) if (e.run_id, e.seq) == (origin.run_id, origin.seq))
    return events[: at + 1]


async def forked_twice(engine: Engine, sample: Sample) -> list[str]:
    """Run a sample, fork it at some events, and each fork once more; return the ids of the forks."""
    whole = await drive(engine, sample)
    ids: list[str] = []
    for at in sorted({1, whole.seq // 3 or 1, 2 * whole.seq // 3 or 1, whole.seq}):
        await engine.fork("run", at, new_id=f"fork-{at}")
        end = await ended(engine, sample, f"fork-{at}")
        await engine.fork(end.id, end.seq // 2 or 1, new_id=f"again-{at}")
        await ended(engine, sample, f"again-{at}")
        ids += [f"fork-{at}", f"again-{at}"]
    return ids


@pytest.mark.parametrize("name", NAMES)
async def test_a_writer_wrote_what_is_there_in_whatever_run_that_was(name: str) -> None:
    async with opened() as engine:
        for run_id in await forked_twice(engine, SAMPLES[name]):
            check_blame(await lineage(engine, run_id))


def check_blame(events: Sequence[st.Event]) -> None:
    then = states(list(events))
    number = {(each.run_id, each.seq): at for at, each in enumerate(events, 1)}
    blamer = Blamer()
    for event in events:
        blamer.note(event)
        for scope in blamer.run.scopes:
            keys = {each.path.split("/")[1] for each in blame_at(blamer, "", scope).items}
            assert len(keys) == len(blamer.run.scopes[scope].state)
    for each in blame_at(blamer, "", "/").items:
        at = number[each.by.run_id, each.by.seq]
        value = at_path(then[-1], each.path)
        assert same(at_path(then[at], each.path), value), each
        before = at_path(then[at - 1], each.path)
        assert before is ABSENT or not same(before, value), each
        assert all(number[source.run_id, source.seq] < at for source in each.sources)


@pytest.mark.parametrize("name", NAMES)
async def test_every_event_of_a_fork_leads_back_to_where_the_first_run_began(name: str) -> None:
    async with opened() as engine:
        for run_id in await forked_twice(engine, SAMPLES[name]):
            events = await lineage(engine, run_id)
            seen: set[tuple[str, int]] = set()
            for event, found in zip(events, reasons(events), strict=True):
                before = [(each.run_id or event.run_id, each.seq) for each in found.because]
                assert seen.issuperset(before)
                assert len(set(before)) == len(before)
                assert bool(before) is bool(seen)
                assert all(each and each == one_line(each) for each in found.says)
                seen.add((event.run_id, event.seq))
            last = events[-1].seq
            assert await engine.why(run_id, last) == reasons(events)[-1]


@pytest.mark.parametrize("name", NAMES)
async def test_a_fork_that_changes_nothing_differs_from_its_origin_in_nothing(name: str) -> None:
    async with opened() as engine:
        for run_id in await forked_twice(engine, SAMPLES[name]):
            origin = (await engine.get(run_id)).origin
            assert origin is not None
            for one_, other in ((run_id, origin.run_id), (origin.run_id, run_id)):
                found = await engine.diff(one_, other)
                assert (found.common_run, found.common) == (origin.run_id, origin.seq)
                left, right = await engine.get(one_), await engine.get(other)
                assert applied(left.state, found.changes) == right.state
                if not CHANCE.intersection(name.split()):
                    assert found.same, [*lines_of(found)]


CHANCE = {"pauses", "pause", "quorum", "race", "retried", "conflict"}
"""Samples where who is late is chance, people come by or not, or an error names events by number."""


VOTES = {
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
FIRST, SECOND = "/split#1[0]/", "/split#1[1]/"


@asynccontextmanager
async def voted() -> AsyncIterator[Engine]:
    """Fork a map in one of its items, the fork in the other, and both once more to compare with."""
    async with opened() as engine:
        await engine.run(VOTES, {"items": [1, 2]}, run_id="run", wait_s=1)
        head = (await engine.get("run")).seq
        await engine.fork("run", head, new_id="first", scope=FIRST, state={"extra": 1}, actor="ann")
        await engine.fork("run", head, new_id="sibling", actor="eve")
        await engine.signal("first", "vote", "yes", scope=FIRST, actor="bob")
        seq = (await engine.get("first")).seq
        patch = [{"op": "replace", "path": "/doubled", "value": [40]}]
        await engine.fork("first", seq, new_id="second", scope=SECOND, patch=patch, actor="cat")
        await engine.signal("second", "vote", "no", actor="dan")
        assert (await engine.wait("second")).status == "completed"
        yield engine


async def test_blame_of_a_fork_of_a_fork_names_the_run_of_each_writer() -> None:
    async with voted() as engine:
        then = await engine.get("second")
        by = {each.path: each for each in (await engine.blame("second")).items}
        inner = await engine.blame("second", "/item", at=1, scope=SECOND)
        assert [(each.by.run_id, each.by.type) for each in inner.items] == [("run", "run.created")]
        votes = [(w.run_id, w.actor) for w in by["/vote"].sources]
    assert then.state["vote"] == ["yes", "no"]
    assert (by["/items"].by.run_id, by["/n"].by.run_id) == ("run", "second")
    assert votes == [("first", "bob"), ("second", "dan")]
    made = {path: [(w.run_id, w.actor or w.node) for w in by[path].sources] for path in by}
    assert made["/extra"] == [("first", "ann")]
    assert made["/doubled"] == [("run", "work"), ("second", "cat")]


async def test_why_leads_from_a_fork_of_a_fork_into_the_first_run() -> None:
    async with voted() as engine:
        created = await engine.why("second", 1)
        events = await events_of(engine, "second")
        exits = [e.seq for e in events if e.type == "wait.resolved"]
        waited = await engine.why("second", exits[0])
        opened_by = await engine.why("run", waited.because[0].seq)
    assert created.says == (
        "cat forked run first after its event 7; everything goes on from there",
    )
    assert [each.run_id for each in created.because] == ["first"]
    assert [(each.run_id, each.type) for each in waited.because] == [
        ("run", "wait.opened"), ("", "signal.received"),
    ]  # fmt: skip
    assert (opened_by.type, opened_by.scope) == ("wait.opened", SECOND)


async def test_forks_are_compared_from_where_they_part() -> None:
    async with voted() as engine:
        with_parent = await engine.diff("second", "first")
        sideways = await engine.diff("first", "sibling")
        far = await engine.diff("second", "sibling")
        over = await engine.diff("run", "second")
    assert (with_parent.common_run, with_parent.common) == ("first", 7)
    for found, keys in ((with_parent, ("doubled",)), (sideways, ("extra",)), (far, ("extra",))):
        assert found.first is not None
        assert (found.first.what, found.first.keys) == ("start", keys)
    assert {each.common_run for each in (sideways, far, over)} == {"run"}
    assert far.first is not None
    assert far.first.left is not None
    assert (far.first.left.run_id, far.first.left.actor) == ("first", "ann")
    assert f"the very same events up to {far.common} of run run" in list(lines_of(far))
    alike = [each for each in far.visits if not each.differs and each.node == "work"]
    assert [each.left == each.right for each in alike] == [True, True]


async def test_the_text_of_a_diff_between_two_forks_says_of_which_run_an_event_is() -> None:
    async with voted() as engine:
        told = list(lines_of(await engine.diff("second", "sibling")))
    assert "the very same events up to 17 of run run" in told
    at = told.index("first difference at their start (extra):")
    assert told[at + 1].startswith("  left   1 of run first  ann forked run run after its event 17")
    assert told[at + 2].startswith("  right  1  eve forked run run after its event 17")
    parted = told.index(f"their paths part at {SECOND}ask#1:")
    assert told[parted + 1].startswith("  left   6  ask in")
    assert told[parted + 3].startswith("  right  11 of run run  ask in")


async def carried(other: Engine, engine: Engine, *run_ids: str) -> None:
    """Export runs from one journal, and import them into another."""
    for run_id in run_ids:
        await engine.import_run(read_export([piece async for piece in other.export(run_id)]))


async def test_a_fork_from_elsewhere_shares_nothing_with_another_run_of_its_origins_id() -> None:
    async with opened() as other, opened() as engine:
        for each, items in ((other, [1, 2]), (engine, [3, 4])):
            await each.run(mapped("double"), {"items": items}, run_id="run")
        await other.fork("run", 1, new_id="fork")
        await other.wait("fork")
        await engine.fork("run", 1, new_id="own")
        await engine.wait("own")
        await carried(other, engine, "fork")
        assert (await engine.blame("fork")).lost is not None
        for one, two in (("fork", "run"), ("run", "fork"), ("fork", "own")):
            found = await engine.diff(one, two)
            assert (found.common_run, found.common, found.same) == ("", 0, False)
        itself = await engine.diff("fork", "fork", at=1)
        assert (itself.common_run, itself.common) == ("fork", 1)


async def test_two_forks_from_elsewhere_share_what_one_event_stands_for() -> None:
    async with opened() as one, opened() as two, opened() as engine:
        for each, name in ((one, "first"), (two, "third")):
            await each.run(mapped("double"), {"items": [1, 2]}, run_id="run")
            await each.fork("run", 1, new_id=name)
            await each.wait(name)
        await one.fork("run", 1, new_id="second")
        await one.wait("second")
        await carried(one, engine, "first", "second")
        await carried(two, engine, "third")
        alike, apart = await engine.diff("first", "second"), await engine.diff("first", "third")
    assert (alike.common_run, alike.common) == ("run", 1)
    assert (apart.common_run, apart.common) == ("", 0)


async def test_a_fork_whose_origin_was_erased_says_so() -> None:
    async with opened() as engine:
        end = await engine.run(mapped("double"), {"items": [1, 2]}, run_id="run")
        entered = [e.seq for e in await events_of(engine, "run") if e.type == "node.entered"]
        inside = entered[2]  # of the second item
        first = await engine.fork("run", inside, new_id="first")
        await engine.fork("run", inside, new_id="second", scope=SECOND, state={"more": 1})
        again = await engine.fork("first", 1, new_id="again")
        for name in ("first", "second", "again"):
            assert (await engine.wait(name)).status == "completed"
        await engine.erase("run")
        found = await engine.blame("again")
        assert found.lost == first.origin
        by = {each.path: [w.run_id for w in (each.by, *each.sources)] for each in found.items}
        created = await engine.why("first", 1)
        last = await engine.why("again", (await engine.get("again")).seq)
        beside = await engine.diff("again", "second")
    assert again.state["items"] == [1, 2]
    assert by["/items"] == ["first"]
    assert set(chained(*by.values())) == {"first", "again"}
    assert (created.because, "which is not here" in created.says[0]) == ((), True)
    assert last.because
    assert (beside.common_run, beside.common) == ("run", first.origin and first.origin.seq)
    assert beside.first is not None
    assert (beside.first.what, beside.first.keys) == ("start", ("more",))
    assert end.status == "completed"


@pytest.mark.parametrize("name", NAMES)
async def test_what_is_asked_of_a_fork_without_its_origin_is_answered_from_its_own(
    name: str,
) -> None:
    async with opened() as engine:
        whole = await drive(engine, SAMPLES[name])
        for at in range(1, whole.seq + 1):
            await engine.fork("run", at, new_id=f"fork-{at}")
            await ended(engine, SAMPLES[name], f"fork-{at}")
            events = await events_of(engine, f"fork-{at}")
            blamer = Blamer()
            for event in events:
                blamer.note(event)
                for scope in blamer.run.scopes:
                    trees = blamer.trees(scope)
                    assert trees.keys() == blamer.run.scopes[scope].state.keys()
            for event, found in zip(events, reasons(events), strict=True):
                assert bool(found.because) is (event.seq > 1)


async def test_the_visits_of_a_fork_are_those_it_made_and_those_it_was_in() -> None:
    async with voted() as engine:
        rows = await engine.visits("second")
        first = await engine.visits("first")
    told = [(each.scope, each.node, each.entered_in, each.attempts, each.status) for each in rows]
    assert told == [
        ("/", "split", "run", 1, "ok"),
        (SECOND, "ask", "run", 1, "ok"),
        ("/", "after", "", 1, "ok"),
    ]
    asks = sorted(
        (each.scope, each.entered_in, each.seq > 1) for each in first if each.node == "ask"
    )
    assert asks == [(FIRST, "run", True), (SECOND, "run", False)]
