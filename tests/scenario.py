"""Given a graph, when commands come, then these events follow: the pure core, with no engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from stenograph.engine import Event, fold, parse_graph
from stenograph.engine.decide import (
    Cancel,
    Command,
    Facts,
    Place,
    RetryDue,
    Start,
    ToolFailed,
    ToolReturned,
    decide,
    places,
)
from stenograph.engine.events import ErrorInfo, Payload
from stenograph.engine.graph import Limits, Outcome
from stenograph.engine.run import Run, evolve
from stenograph.engine.state import State
from stenograph.engine.times import to_text

FACTS = Facts(lambda name: f"{name}-1", lambda name: "once" if name == "once" else "repeatable")
AT = "2026-11-21T00:00:00.000000Z"


class Scenario:
    """A run that goes on with every command; ``happened`` is what the last one made true."""

    def __init__(self, graph: Mapping[str, Any], state: Mapping[str, Any] | None = None) -> None:
        parsed = parse_graph(graph, tools={"t", "once"}, predicates={"p"})
        self.run = Run(id="run")
        self.history: list[Event] = []
        self.happened: list[Payload] = []
        limits = msgspec.convert(graph.get("limits", {}), Limits)
        self.when(
            Start(
                graph_id="g",
                version=parsed.version,
                graph=parsed.data,
                state=State.from_values(state or {}).to_json(),
                limits=limits,
                tags={},
                actor="me",
            )
        )

    def when(self, command: Command) -> Scenario:
        self.happened = decide(self.run, command, FACTS)
        for payload in self.happened:
            event = Event(0, "run", self.run.seq + 1, AT, payload.TYPE, payload, "")
            self.history.append(event)
            evolve(self.run, event)
        return self

    def when_returned(
        self, update: Mapping[str, Any] | None = None, *, goto: str | None = None
    ) -> Scenario:
        return self.when(returned(self.run, update or {}, goto))

    def when_failed(self, type_: str = "OSError", *, outcome: Outcome = "error") -> Scenario:
        return self.when(failed(self.run, type_, outcome))

    def when_cancelled(self) -> Scenario:
        return self.when(Cancel(actor="me", reason="enough"))

    def when_retry_is_due(self) -> Scenario:
        return self.when(RetryDue("/"))

    def then(self, *types: str) -> Scenario:
        assert [payload.TYPE for payload in self.happened] == list(types)
        return self

    def then_nothing_happened(self) -> Scenario:
        return self.then()

    def last(self) -> Any:
        return self.happened[-1]

    def find(self, type_: str) -> Any:
        return next(payload for payload in self.happened if type_ == payload.TYPE)

    @property
    def status(self) -> str:
        return fold(self.history).status


def here(run: Run) -> Place:
    return places(run)[0]


def returned(run: Run, update: Mapping[str, Any], goto: str | None = None) -> ToolReturned:
    change = run.state.update(run.state.draft(), update)
    return ToolReturned(place=here(run), update=change, goto=goto, duration_ms=1.0)


def failed(run: Run, type_: str, outcome: Outcome = "error", *, jitter: float = 0.5) -> ToolFailed:
    return ToolFailed(
        place=here(run),
        outcome=outcome,
        error=ErrorInfo(type_, "it broke", node=here(run).node),
        types=(type_, "Exception"),
        duration_ms=1.0,
        now_us=0,
        jitter=jitter,
    )


def at_s(seconds: float) -> str:
    return to_text(round(seconds * 1_000_000))
