"""Histories to ask about: each sample run once, and small graphs run to their end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

import stenograph as st
from stenograph.engine import Engine, decode
from stenograph.engine.audit.blame import Blamer
from stenograph.engine.audit.blame_view import BlameAt, blame_at
from stenograph.engine.audit.reasons import Reason, why
from stenograph.engine.audit.trails import Trails
from stenograph.engine.core.folding import evolve
from stenograph.engine.core.run import Run
from stenograph.journal import MemoryJournal
from tests.crashes import drive
from tests.graphs import SAMPLES, TOOLS, Sample

NAMES = sorted(SAMPLES)


async def history(sample: Sample) -> list[st.Event]:
    """Run a sample to its end, and return what happened."""
    async with MemoryJournal() as journal, Engine(journal, tools=TOOLS) as engine:
        await drive(engine, sample)
        events: list[st.Event] = []
        while page := await journal.read("run", after=len(events)):
            events += map(decode, page)
        return events


async def ran(graph: Mapping[str, Any], state: Mapping[str, Any] | None = None) -> list[st.Event]:
    """Run a graph to its end, and return what happened."""
    return await history(Sample(dict(graph), dict(state or {})))


def reasons(events: list[st.Event]) -> list[Reason]:
    """Return why each event happened."""
    trails, found = Trails(), []
    for event in events:
        found.append(why(trails, event))
        trails.note(event)
    return found


def reason(events: list[st.Event], type_: str, at: int = -1) -> Reason:
    """Return why the last event of a type happened, or another of them."""
    return [each for each in reasons(events) if each.type == type_][at]


def blame(events: list[st.Event], path: str = "", scope: str = "/") -> BlameAt:
    """Return the blame after some events."""
    blamer = Blamer()
    for event in events:
        blamer.note(event)
    return blame_at(blamer, path, scope)


def states(events: list[st.Event], scope: str = "/") -> list[dict[str, Any] | None]:
    """Return the state of a scope before the first event and after each; None while it has none."""
    run = Run()
    found: list[dict[str, Any] | None] = [None]
    for event in events:
        evolve(run, event)
        there = run.scopes.get(scope)
        found.append(None if there is None else msgspec.json.decode(there.state.to_json()))
    return found


def nodes(*tools: str, **rest: Any) -> dict[str, Any]:
    """Return a graph that forks to nodes that write what their config says, and joins at the end."""
    return {
        "start": "split",
        "nodes": {
            "split": {"next": {"to": list(tools), "join": "$end"}},
            **{name: {"tool": "write", "config": rest.pop(name)} for name in tools},
        },
        **rest,
    }
