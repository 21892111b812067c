"""Laws of forks, over graphs drawn at random and held against what their events say, read plainly."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import msgspec
import pytest
from msgspec import Raw

import stenograph as st
from stenograph.engine import Engine, RunView, fold
from stenograph.engine.audit.blame_trees import same
from stenograph.engine.audit.changes import applied
from stenograph.engine.core.events import NodeEntered, NodeExited, RunCreated, StatePatched
from stenograph.engine.errors import EngineError
from stenograph.engine.state.patch import PatchOp
from stenograph.journal import MemoryJournal
from tests.drawn import DRAWN_TOOLS, FIRST, Drawing, finish
from tests.engine.test_lineage import events_of, lineage

SEEDS = range(int(os.environ.get("FORK_SEEDS", "12")))
FORKS = 10
"""So many forks of each run, and of them."""


@asynccontextmanager
async def begun(drawing: Drawing) -> AsyncIterator[Engine]:
    """Begin a run."""
    async with MemoryJournal() as journal, Engine(journal, tools=DRAWN_TOOLS) as engine:
        for graph in drawing.graphs:
            await engine.create_graph(graph)
        await engine.start(drawing.graph, FIRST, run_id="run")
        yield engine


@asynccontextmanager
async def drawn(seed: int) -> AsyncIterator[tuple[Engine, RunView]]:
    """Run a graph to its end."""
    async with begun(Drawing(seed)) as engine:
        yield engine, await finish(engine, "run")


async def forked(engine: Engine, seed: int, *, changed: bool) -> list[RunView]:
    """Fork a run at random, and its forks, in any of their scopes; returns them once they ended."""
    random = Random(seed)
    runs = [await engine.get("run")]
    for number in range(FORKS):
        origin = random.choice(runs)
        at = random.randint(1, origin.seq)
        options: dict[str, Any] = {}
        if changed:
            past = [each for each in await events_of(engine, origin.id) if each.seq <= at]
            scope = random.choice(list(fold(past).scopes))
            patch = [{"op": "add", "path": "/log/-", "value": "forked"}]
            options = {"scope": scope, "state": {"extra": number % 3}, "patch": patch}
        try:
            await engine.fork(origin.id, at, new_id=f"fork-{number}", **options)
        except EngineError:  # the boundary had no such scope, or one that has forked
            await engine.fork(origin.id, at, new_id=f"fork-{number}")
        runs.append(await finish(engine, f"fork-{number}"))
    return runs


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_fork_of_a_fork_without_a_change_ends_as_the_first_run_did(seed: int) -> None:
    async with drawn(seed) as (engine, whole):
        for run in await forked(engine, seed, changed=False):
            assert (run.status, run.reason, run.steps) == (whole.status, whole.reason, whole.steps)
            assert same(run.state, whole.state), run.id


@pytest.mark.parametrize("seed", SEEDS)
async def test_forks_of_a_run_that_still_goes_on_and_in_the_graph_it_has_end_as_it_does(
    seed: int,
) -> None:
    drawing, random = Drawing(seed), Random(seed)
    async with begun(drawing) as engine:
        for number in range(FORKS):
            seq = (await engine.wait("run", 0.0005)).seq
            graph = random.choice([None, drawing.graph])
            await engine.fork("run", random.randint(1, seq), new_id=f"fork-{number}", graph=graph)
        whole = await finish(engine, "run")
        for number in range(FORKS):
            end = await finish(engine, f"fork-{number}")
            assert (end.status, end.reason, end.steps) == ("completed", whole.reason, whole.steps)
            assert same(end.state, whole.state)


@pytest.mark.parametrize("seed", SEEDS)
async def test_the_state_after_each_event_of_a_fork_is_what_the_patches_make(seed: int) -> None:
    async with drawn(seed) as (engine, _):
        for run in await forked(engine, seed, changed=True):
            for event, expected in zip(*await told(engine, run.id), strict=True):
                if event.run_id == run.id:
                    assert same((await engine.state(run.id, at=event.seq)).values, expected)


@pytest.mark.parametrize("seed", SEEDS)
async def test_blame_across_forks_of_forks_names_the_last_event_that_changed_a_key(
    seed: int,
) -> None:
    async with drawn(seed) as (engine, _):
        for run in await forked(engine, seed, changed=True):
            found = {each.path: each.by for each in (await engine.blame(run.id)).items}
            wrote = writers(*await told(engine, run.id))
            assert {path.split("/")[1] for path in found} == wrote.keys()
            for key, event in wrote.items():
                by = found[f"/{key}"]
                assert (by.run_id, by.seq, by.type) == (event.run_id, event.seq, event.type), key


@pytest.mark.parametrize("seed", SEEDS)
async def test_the_visits_of_a_fork_are_as_the_events_of_its_line_tell(seed: int) -> None:
    async with drawn(seed) as (engine, _):
        for run in await forked(engine, seed, changed=True):
            events = await lineage(engine, run.id)
            own, left = set(), {}
            for event in events:
                data = event.data
                if isinstance(data, NodeEntered | NodeExited):
                    key = (data.scope, data.node, data.visit)
                    left[key] = data.outcome if isinstance(data, NodeExited) else "interrupted"
                    own |= {key} if event.run_id == run.id else set()
            rows = {
                (each.scope, each.node, each.visit): each for each in await engine.visits(run.id)
            }
            assert own <= rows.keys()
            assert {key: row.status for key, row in rows.items()} == {
                key: left[key] for key in rows
            }


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_diff_between_two_forks_tells_what_they_share_and_how_to_get_across(
    seed: int,
) -> None:
    random = Random(seed)
    async with drawn(seed) as (engine, _):
        runs = await forked(engine, seed, changed=True)
        ids = {run.id: [(e.run_id, e.seq) for e in await lineage(engine, run.id)] for run in runs}
        for _ in range(FORKS):
            left, right = random.sample(runs, 2)
            found, back = await engine.diff(left.id, right.id), await engine.diff(right.id, left.id)
            common = [a for a, b in zip(ids[left.id], ids[right.id], strict=False) if a == b][-1]
            assert (found.common_run, found.common) == common
            assert same(applied(left.state, found.changes), right.state)
            assert bool(found.changes) is not same(left.state, right.state)
            assert (back.same, len(back.visits)) == (found.same, len(found.visits))


# --- events, read plainly -------------------------------------------------------------------


async def told(engine: Engine, run_id: str) -> tuple[list[st.Event], list[dict[str, Any]]]:
    """Return the events of a run and those before it, and the state after each, patch by patch."""
    events = await lineage(engine, run_id)
    states: list[dict[str, Any]] = []
    state: dict[str, Any] = {}
    for event in events:
        match event.data:
            case RunCreated(state=first, patches=patches):
                state = patched(msgspec.json.decode(first), patches.get("/", ()))
            case StatePatched(scope="/", patch=patch):
                state = patched(state, patch)
            case _:
                pass
        states.append(state)
    return events, states


def patched(state: dict[str, Any], patch: Sequence[PatchOp]) -> dict[str, Any]:
    new = dict(state)
    for op in patch:
        key, _, tail = op.path[1:].partition("/")
        if op.op == "remove":
            del new[key]
            continue
        assert isinstance(op.value, Raw)
        value = msgspec.json.decode(op.value)
        new[key] = [*new[key], value] if tail else value
    return new


def writers(events: list[st.Event], states: list[dict[str, Any]]) -> dict[str, st.Event]:
    """Return the event that gave each key of the last state its value."""
    found: dict[str, st.Event] = {}
    before: dict[str, Any] = {}
    for event, state in zip(events, states, strict=True):
        for key, value in state.items():
            if key not in before or not same(before[key], value):
                found[key] = event
        before = state
    return {key: found[key] for key in before}
