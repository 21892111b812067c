"""Pure tools run ahead of the journal, and nobody sees that they do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec import UNSET

import stenograph as st
from stenograph.engine import Engine
from stenograph.engine.core.events import LogWritten, encode_payload
from stenograph.engine.executor import lane
from stenograph.engine.executor.lane import AHEAD_BYTES, AHEAD_MAX, AHEAD_TOGETHER
from stenograph.journal import (
    Journal,
    JournalFailed,
    MemoryJournal,
    NewRecord,
    Record,
    open_journal,
)

STEPS = 200


def graph(**work: Any) -> dict[str, Any]:
    """A loop of so many steps, and a tool behind it that has an effect."""
    edges = [{"to": "work", "max": STEPS - 1}, {"to": "after"}]
    nodes = {"work": {"tool": "work", "next": edges, **work}, "after": {"tool": "after"}}
    return {"start": "work", "nodes": nodes}


class Tools:
    """A pure tool and one with an effect, which count how often they were called."""

    def __init__(self) -> None:
        self.worked = self.after = 0
        self.tools = [
            st.tool(name="work", effects="pure")(self._work),
            st.tool(name="after")(self._after),
        ]

    async def _work(self, state: dict[str, Any]) -> dict[str, Any]:
        self.worked += 1
        return {"n": state.get("n", 0) + 1}

    async def _after(self, state: dict[str, Any]) -> None:
        self.after += 1


class HeldJournal:
    """A journal that takes nothing more of runs while it is held, and may then fail."""

    def __init__(self, inner: Journal) -> None:
        self._inner = inner
        self.open = asyncio.Event()
        self.open.set()
        self.failure: JournalFailed | None = None
        self.appends = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def append(
        self, run_id: str, records: Sequence[NewRecord], *, expected_seq: int, **more: Any
    ) -> list[Record]:
        self.appends += 1
        await self.open.wait()
        if self.failure is not None:
            raise self.failure
        return await self._inner.append(run_id, records, expected_seq=expected_seq, **more)


class Held:
    """An engine whose run of a pure loop has just begun, and then is held."""

    def __init__(self, engine: Engine, journal: HeldJournal, tools: Tools) -> None:
        self.engine, self.journal, self.tools = engine, journal, tools

    async def still(self) -> None:
        """Return when nothing moves any more."""
        before = -1
        while before != self.tools.worked:
            before = self.tools.worked
            for _ in range(200):
                await asyncio.sleep(0)


@asynccontextmanager
async def held(tool: st.Tool | None = None, **work: Any) -> AsyncIterator[Held]:
    tools = Tools()
    if tool is not None:
        tools.tools[0] = tool
    async with MemoryJournal() as inner:
        journal = HeldJournal(inner)
        async with Engine(journal, tools=tools.tools) as engine:
            await engine.start(graph(**work), {}, run_id="r")
            journal.open.clear()
            it = Held(engine, journal, tools)
            await it.still()
            yield it


async def test_pure_steps_go_together_into_few_commits(tmp_path: Path) -> None:
    commits = {}
    for effects in ("pure", "repeatable"):
        async with (
            open_journal(tmp_path / f"{effects}.db") as journal,
            Engine(journal, tools=Tools().tools) as engine,
        ):
            run = await engine.run(graph(effects=effects), wait_s=60)
            assert (run.status, run.state) == ("completed", {"n": STEPS})
            commits[effects] = journal.commits
    assert commits["repeatable"] >= STEPS
    assert commits["pure"] < STEPS / 3


async def test_half_of_what_may_be_ahead_is_committed_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lane, "AHEAD_S", 3600)
    async with MemoryJournal() as inner:
        journal = HeldJournal(inner)
        async with Engine(journal, tools=Tools().tools) as engine:
            run = await engine.run(graph(), run_id="r", wait_s=60)
            assert (run.status, run.state) == ("completed", {"n": STEPS})
    assert STEPS / AHEAD_MAX <= journal.appends <= STEPS / AHEAD_TOGETHER + 5


class Pensive:
    """A pure tool that falls to thinking at its third step, and goes on when it is told to."""

    def __init__(self) -> None:
        self.thinks, self.goes_on = asyncio.Event(), asyncio.Event()
        self.tools = Tools()
        self.tools.tools[0] = st.tool(name="work", effects="pure")(self._work)

    async def _work(self, state: dict[str, Any]) -> dict[str, Any]:
        if state.get("n", 0) == 2:
            self.thinks.set()
            await self.goes_on.wait()
        return {"n": state.get("n", 0) + 1}


async def test_what_is_ahead_is_durable_soon_while_a_tool_takes_its_time() -> None:
    pensive = Pensive()
    async with MemoryJournal() as journal, Engine(journal, tools=pensive.tools.tools) as engine:
        await engine.start(graph(), {}, run_id="r")
        async with asyncio.timeout(30):
            await pensive.thinks.wait()
            async for records in journal.tail("r"):
                if any(b'"visit":3' in each.data for each in records):
                    break


async def test_what_was_ahead_as_the_engine_closed_is_done_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lane, "AHEAD_S", 3600)
    pensive = Pensive()
    async with MemoryJournal() as journal:
        async with Engine(journal, tools=pensive.tools.tools) as engine:
            await engine.start(graph(), {}, run_id="r")
            await pensive.thinks.wait()
        assert await journal.head("r") == 2
        pensive.goes_on.set()
        async with Engine(journal, tools=pensive.tools.tools) as engine:
            assert (await engine.wait("r", 60)).state == {"n": STEPS}


async def test_the_history_is_the_same_as_if_each_step_was_waited_for() -> None:
    told = []
    for effects in ("pure", "repeatable"):
        async with st.open(":memory:", tools=Tools().tools) as engine:
            await engine.run(graph(effects=effects), run_id="r", wait_s=60)
            records = await engine.journal.read("r", limit=500)
            told.append([(each.seq, each.type) for each in records])
    assert told[0] == told[1]


async def test_they_run_no_more_than_so_many_steps_ahead() -> None:
    async with held() as it:
        ahead = it.tools.worked
        assert AHEAD_MAX <= ahead <= AHEAD_MAX + 2
        await it.still()
        assert it.tools.worked == ahead


async def test_a_large_step_is_waited_for() -> None:
    calls = []

    @st.tool(effects="pure")
    async def work(state: dict[str, Any]) -> dict[str, Any]:
        calls.append(state.get("n", 0))
        return {"large": "x" * AHEAD_BYTES, "n": len(calls)}

    async with held(work) as it:
        assert len(calls) <= 2
        it.journal.open.set()
        assert (await it.engine.wait("r", 60)).state["n"] == STEPS


async def test_what_is_ahead_is_seen_by_nobody() -> None:
    async with held() as it:
        durable = await it.engine.journal.head("r")
        run = await it.engine.get("r")
        assert run.seq == durable
        assert run.state.get("n", 0) < it.tools.worked - 10


async def test_nothing_with_an_effect_begins_before_all_is_durable() -> None:
    async with held() as it:
        assert it.tools.after == 0
        it.journal.open.set()
        run = await it.engine.wait("r", 60)
        assert (run.status, it.tools.worked, it.tools.after) == ("completed", STEPS, 1)


async def test_a_node_that_says_that_it_has_effects_is_waited_for() -> None:
    async with held(effects="repeatable") as it:
        assert it.tools.worked <= 2


async def test_what_a_tool_says_is_waited_for() -> None:
    calls = []

    @st.tool(effects="pure")
    async def work(state: dict[str, Any], ctx: st.Context) -> dict[str, Any]:
        calls.append(state.get("n", 0))
        ctx.log("hello")
        return {"n": len(calls)}

    async with held(work) as it:
        assert len(calls) <= 2
        it.journal.open.set()
        assert (await it.engine.wait("r", 60)).state["n"] == STEPS


async def test_a_run_that_is_asked_something_answers_for_what_is_durable() -> None:
    async with held() as it:
        pausing = asyncio.ensure_future(it.engine.pause("r"))
        await it.still()
        assert not pausing.done()
        it.journal.open.set()
        await pausing
        run = await it.engine.wait("r", 60)
        assert run.status == "paused"
        assert run.seq == await it.engine.journal.head("r")
        await it.engine.resume("r")
        assert (await it.engine.wait("r", 60)).state == {"n": STEPS}


async def test_what_somebody_else_appended_meanwhile_counts() -> None:
    """The steps that were ahead are made again: nobody had seen them, and nothing came of them."""
    async with held() as it:
        inner = it.journal._inner
        head = await inner.head("r")
        said = LogWritten(
            scope="/", node="work", visit=1, attempt=1, message="hi", level="info", fields=UNSET
        )
        at = (await inner.read("r"))[-1].at
        record = NewRecord(said.TYPE, encode_payload(said), at)
        await inner.append("r", [record], expected_seq=head)
        it.journal.open.set()
        run = await it.engine.wait("r", 60)
        assert (run.status, run.state) == ("completed", {"n": STEPS})
        assert it.tools.worked > STEPS
        records = await inner.read("r", limit=999)
        assert [each.seq for each in records] == list(range(1, len(records) + 1))


async def test_a_journal_that_fails_ends_the_run_where_it_was_durable() -> None:
    async with held() as it:
        durable = await it.engine.journal.head("r")
        it.journal.failure = JournalFailed("the disk is gone")
        it.journal.open.set()
        with pytest.raises(JournalFailed):
            await it.engine.wait("r", 60)
        assert await it.engine.journal.head("r") == durable
