"""Starting a run once, however often it is asked for: keys, run ids, delays, restarts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import stenograph as st
from stenograph.engine import Engine
from tests.graphs import TOOLS, chain, one
from tests.stage import held, staged

HELD: dict[str, Any] = {"start": "a", "nodes": {"a": held()}}
QUICK = chain("count")


async def created(engine: Engine) -> int:
    """Return how many runs were ever created."""
    return sum(record.type == "run.created" for record in await engine.journal.read_all(after=0))


@pytest.mark.parametrize("graph", [QUICK, one("hang")])
async def test_many_that_start_with_one_key_at_once_start_one_run(graph: dict[str, Any]) -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        views = await asyncio.gather(*(engine.start(graph, {"n": 1}, key="k") for _ in range(16)))
        assert len({view.id for view in views}) == 1
        assert sorted(view.replayed for view in views) == [False] + [True] * 15
        assert await created(engine) == 1


async def test_many_that_start_with_one_run_id_at_once_start_one_run(tmp_path: Path) -> None:
    async with st.open(tmp_path / "s.db", tools=TOOLS) as engine:
        starts = (engine.start(QUICK, {"n": 1}, run_id="mine") for _ in range(16))
        views = await asyncio.gather(*starts)
        assert sorted(view.replayed for view in views) == [False] + [True] * 15
        assert (await engine.wait("mine")).state == {"n": 2}
        assert await created(engine) == 1


async def test_of_many_with_one_key_and_bodies_of_their_own_one_is_taken() -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        starts = (engine.start(QUICK, {"n": n}, key="k") for n in range(16))
        begun = await asyncio.gather(*starts, return_exceptions=True)
        assert sum(isinstance(each, st.KeyReused) for each in begun) == 15
        assert await created(engine) == 1


BODIES: dict[str, Callable[[Engine], Any]] = {
    "state": lambda engine: engine.start(QUICK, {"n": 2}, key="k"),
    "graph": lambda engine: engine.start(chain("note"), {"n": 1}, key="k"),
    "tags": lambda engine: engine.start(QUICK, {"n": 1}, key="k", tags={"a": "b"}),
    "limits": lambda engine: engine.start(QUICK, {"n": 1}, key="k", limits=st.Limits(5)),
    "delay": lambda engine: engine.start(QUICK, {"n": 1}, key="k", delay_s=1),
    "type": lambda engine: engine.start(QUICK, {"n": True}, key="k"),
}


@pytest.mark.parametrize("other", BODIES)
async def test_a_key_with_another_body_is_refused(other: str) -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        begun = await engine.start(QUICK, {"n": 1}, key="k")
        with pytest.raises(st.KeyReused) as refused:
            await BODIES[other](engine)
        assert (refused.value.key, refused.value.run_id) == ("k", begun.id)
        assert await created(engine) == 1


async def test_a_run_id_with_another_body_is_refused() -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        await engine.start(QUICK, {"n": 1}, run_id="mine")
        assert (await engine.start(QUICK, {"n": 1}, run_id="mine")).replayed
        with pytest.raises(st.RunExists):
            await engine.start(QUICK, {"n": 2}, run_id="mine")


async def test_the_same_key_of_another_actor_starts_another_run() -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        views = [await engine.start(QUICK, key="k", actor=who) for who in ("ann", "bob", "ann")]
        assert [view.replayed for view in views] == [False, False, True]
        assert views[0].id == views[2].id != views[1].id


async def test_the_order_of_keys_in_a_body_makes_no_other_body() -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        await engine.start(
            QUICK, {"a": {"x": 1, "y": 2}, "b": 2}, key="k", tags={"s": "1", "t": "2"}
        )
        again = {"b": 2, "a": {"y": 2, "x": 1}}
        view = await engine.start(QUICK, again, key="k", tags={"t": "2", "s": "1"})
        assert view.replayed


async def test_running_again_with_a_key_returns_how_the_run_ended_and_that_it_is_a_repeat() -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        first = await engine.run(QUICK, {"n": 1}, key="k")
        again = await engine.run(QUICK, {"n": 1}, key="k")
        assert (again.id, again.seq, again.state) == (first.id, first.seq, {"n": 2})
        assert (first.replayed, again.replayed) == (False, True)


async def test_a_repeat_finds_the_run_after_a_restart(tmp_path: Path) -> None:
    async with st.open(tmp_path / "s.db", tools=TOOLS) as engine:
        first = await engine.start(one("hang"), {"n": 1}, key="k")
    async with st.open(tmp_path / "s.db", tools=TOOLS) as engine:
        again = await engine.start(one("hang"), {"n": 1}, key="k")
        assert (again.id, again.replayed, again.status) == (first.id, True, "running")
        with pytest.raises(st.KeyReused):
            await engine.start(one("hang"), {"n": 2}, key="k")
        await engine.cancel(first.id)
        await engine.wait(first.id)
        ended = await engine.start(one("hang"), {"n": 1}, key="k")
        assert (ended.status, ended.replayed) == ("cancelled", True)


async def test_a_key_of_a_stored_graph_goes_by_its_name_not_its_newest_version() -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        await engine.create_graph({**QUICK, "id": "g"})
        first = await engine.start("g", {"n": 1}, key="k")
        await engine.create_graph({**chain("note"), "id": "g"})
        again = await engine.start("g", {"n": 1}, key="k")
        assert (again.id, again.replayed, again.version) == (first.id, True, first.version)


async def test_a_delayed_run_begins_at_its_time() -> None:
    async with staged() as stage:
        begun = await stage.engine.start(HELD, run_id="run", delay_s=60)
        assert [(wait.kind, wait.node) for wait in begun.waits] == [("delay", "a")]
        await stage.pass_time(59)
        assert (await stage.status(), stage.begun) == ("waiting", [])
        await stage.pass_time(1)
        assert stage.begun == ["run/a#1.1"]


@pytest.mark.parametrize("crash", [False, True])
async def test_a_delayed_run_begins_once_after_a_restart(crash: bool) -> None:
    async with staged() as stage:
        await stage.engine.start(HELD, key="k", delay_s=60)
        await stage.pass_time(30)
        await stage.restart(crash=crash)
        again = await stage.engine.start(HELD, key="k", delay_s=60)
        assert (again.replayed, again.status) == (True, "waiting")
        await stage.pass_time(30)
        assert len(stage.begun) == 1


async def test_a_run_whose_time_came_while_nothing_ran_begins_when_the_engine_opens() -> None:
    async with staged() as stage:
        await stage.engine.start(HELD, run_id="run", delay_s=60)
        await stage.close()
        stage.clock.advance(3600)
        await stage.open()
        assert stage.begun == ["run/a#1.1"]


async def test_a_delayed_run_may_be_cancelled_before_its_time() -> None:
    async with staged() as stage:
        await stage.engine.start(HELD, run_id="run", delay_s=60)
        assert (await stage.engine.cancel("run")).status == "cancelled"
        await stage.pass_time(60)
        assert stage.begun == []


@pytest.mark.parametrize("moment", ["before", "ack-lost", "after"])
async def test_a_start_that_a_crash_cut_off_is_asked_for_again_and_there_is_one_run(
    moment: Any,
) -> None:
    async with staged() as stage:
        stage.die_at(1, moment)
        starting = asyncio.ensure_future(stage.engine.start(HELD, {"n": 1}, key="k"))
        await stage.settle()
        await stage.restart()
        await asyncio.gather(starting, return_exceptions=True)
        again = await stage.engine.start(HELD, {"n": 1}, key="k")
        await stage.settle()
        assert again.replayed is (moment != "before")
        assert await created(stage.engine) == 1
        assert (await stage.status(again.id), list(stage.held)) == (
            "running",
            [f"{again.id}/a#1.{1 if moment == 'before' else 2}"],
        )


@pytest.mark.parametrize(
    "options",
    [
        {"key": ""},
        {"key": "x" * 256},
        {"key": 7},
        {"run_id": "no spaces"},
        {"run_id": "graph/g"},
        {"delay_s": -1},
        {"delay_s": float("nan")},
        {"delay_s": float("inf")},
        {"delay_s": "soon"},
        {"tags": {"a": 1}},
        {"actor": None},
    ],
)
async def test_options_that_are_not_as_they_should_begin_nothing(options: dict[str, Any]) -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        with pytest.raises(ValueError, match=r".+"):
            await engine.start(QUICK, {"n": 1}, **options)
        assert await created(engine) == 0


async def test_a_key_makes_the_id_so_that_nobody_gives_both() -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        with pytest.raises(ValueError, match="give a key or a run_id, not both"):
            await engine.start(QUICK, {"n": 1}, key="k", run_id="mine")
        assert await created(engine) == 0


async def test_a_first_state_nests_as_deep_as_what_tools_return() -> None:
    def nested(depth: int) -> list[Any]:
        return [nested(depth - 1)] if depth else []

    async with st.open(":memory:", tools=TOOLS) as engine:
        run = await engine.run(QUICK, {"n": 1, "deep": nested(63)})
        assert (run.status, run.state["deep"]) == ("completed", nested(63))
        with pytest.raises(st.NotJson, match="nests deeper than 64"):
            await engine.start(QUICK, {"n": 1, "deep": nested(64)})
