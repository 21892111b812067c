"""Whatever a tool does to the process, its own run ends as it must, and others go on beside it."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from pathlib import Path
from statistics import quantiles
from typing import Any

import pytest

import stenograph as st
from stenograph.engine import TERMINAL, Engine, Event, RunView
from stenograph.engine.core.events import NodeExited
from stenograph.engine.times import to_us
from tests.engine import misbehaving_tools
from tests.engine.misbehaving_tools import ENDS, ENOUGH, LEFT_BEHIND
from tests.figures import Figure
from tests.graphs import chain, count

OUTCOMES = {"": "ok", "TimeoutError": "timeout"}
OTHERS = 8
STEPS = 20


@pytest.fixture(autouse=True)
def undone() -> Iterator[None]:
    """Undo afterwards what a tool did to the process."""
    folder, stdin = Path.cwd(), os.dup(0)
    ENOUGH.clear()
    yield
    ENOUGH.set()
    os.chdir(folder)
    os.dup2(stdin, 0)
    os.close(stdin)
    for each in LEFT_BEHIND:
        if isinstance(each, subprocess.Popen):
            each.kill()
            each.wait()
        elif isinstance(each, threading.Thread):
            each.join(20)
        elif isinstance(each, list):
            unnest(each)
    LEFT_BEHIND.clear()
    gc.collect()  # so that what is wrong with what is left shows here


def unnest(deep: list[Any]) -> None:
    while deep:
        deep = deep.pop()


@asynccontextmanager
async def others(engine: Engine) -> AsyncIterator[list[RunView]]:
    """Runs that behave, one after the other, for as long as the block lasts and once more."""
    done: list[RunView] = []
    enough = asyncio.Event()

    async def behave() -> None:
        while True:
            done.append(await engine.run(chain(*["count"] * STEPS), wait_s=60))
            if enough.is_set():
                return

    async with asyncio.TaskGroup() as group:
        for _ in range(OTHERS):
            group.create_task(behave())
        await asyncio.sleep(0.01)
        yield done
        enough.set()


async def steps_ms(engine: Engine, runs: list[RunView]) -> list[float]:
    """Return how long each step of the runs took, from one entry of a node to the next."""
    taken: list[float] = []
    for run in runs:
        events = [event async for event in engine.tail(run.id)]
        entered = [to_us(event.at) for event in events if event.type == "node.entered"]
        taken += [(b - a) / 1000 for a, b in pairwise(entered)]
    return taken


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("name", ENDS)
async def test_a_tool_that_misbehaves_ends_its_own_run_and_harms_no_other(
    name: str, figure: Figure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    opened = st.open("steno.db", tools=[*misbehaving_tools.TOOLS, count])
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(opened)
        stack.callback(ENOUGH.set)  # a loop does not end before its tasks
        async with others(engine) as good:
            timeout_s = 0.3 if ENDS[name] == "TimeoutError" else 30
            graph = {"start": "work", "nodes": {"work": {"tool": name, "timeout_s": timeout_s}}}
            bad = await engine.run(graph, {"kept": [1]}, wait_s=60)
        await check(engine, name, bad)
        for run in good:
            assert (run.status, run.state) == ("completed", {"n": STEPS})
        after = await engine.run(chain("count"), wait_s=60)
        assert after.state == {"n": 1}
        p99_ms = quantiles(await steps_ms(engine, good), n=100)[98]
        figure(
            f"{name}: {bad.error.type if bad.error else bad.status}; beside it {len(good)} runs "
            f"of {STEPS} steps, all completed, a step's p99 {p99_ms:.1f} ms"
        )


async def check(engine: Engine, name: str, bad: RunView) -> None:
    """The run has ended as it must, once, and is sound."""
    error = bad.error.type if bad.error else ""
    assert (bad.status, error) == ("failed" if ENDS[name] else "completed", ENDS[name])
    assert bad.state["kept"] == [1]
    assert "new" not in bad.state
    events: list[Event] = [event async for event in engine.tail(bad.id)]
    assert [event.type for event in events if event.type in TERMINAL] == [events[-1].type]
    [outcome] = [each.data.outcome for each in events if isinstance(each.data, NodeExited)]
    assert outcome == OUTCOMES.get(error, "error")
    verdict = await engine.journal.verify(bad.id)
    assert verdict is not None
    assert not verdict.findings
