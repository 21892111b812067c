"""What the tests of the summary share: texts, graphs, and runs of them in a real engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import stenograph as st
from stenograph.workflows import summarize
from stenograph.workflows.summary.sentences import join, plain

State = dict[str, Any]

FLOOD = """\
The river Elm rose by four metres on Monday. By the evening it had flooded the old town. Nobody was
hurt, said Mayor J. R. Brook, e.g. since the sirens had been tested in May.

Volunteers filled 12.5 tonnes of sand into bags. The school opened its doors to those who could not
go home. A local baker gave bread to everybody who came.

On Tuesday the water of the river Elm fell again. The old town was left under mud, and the bridge
over the river was closed. "We will build it anew," said the mayor.
"""

SEQUENCE: State = {
    "start": "split",
    "nodes": {
        "split": {"tool": "split_text", "next": "summarize"},
        "summarize": {"tool": "summarize_chunks", "next": "merge"},
        "merge": {"tool": "merge_summaries", "next": "refine"},
        "refine": {
            "tool": "refine_summary",
            "next": {"to": "refine", "until": {"fn": "length_ok"}, "max": 40},
        },
    },
}
"""The same in four nodes, as a client without forks writes it."""


async def summarised(
    state: State,
    graph: State = SEQUENCE,
    *,
    journal: str = ":memory:",
    data: Path | None = None,
    status: str = "completed",
) -> tuple[State, list[Any]]:
    """Run a graph to its end; return the last state and all events."""
    async with st.open(journal, tools=[summarize], data=data) as engine:
        run = await engine.run(graph, state)
        assert run.status == status, run.error
        events: list[Any] = [event async for event in engine.tail(run.id)]
        values: State = (await engine.state(run.id)).values
        return values, events


def assert_from(text: str, state: State) -> None:
    """Every sentence of the summary stands in the text, or the beginning of one that was cut."""
    text = plain(text)
    assert join(each["text"] for each in state["report"]["sentences"]) == state["summary"]
    for each in state["report"]["sentences"]:
        assert (each["text"].removesuffix("…") if each["cut"] else each["text"]) in text
