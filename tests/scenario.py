"""Given a graph, when commands come, then these events follow: the pure core, with no engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from stenograph.engine import Event, ParsedGraph, fold, parse_graph
from stenograph.engine.core.commands import (
    Cancel,
    Command,
    Due,
    Outside,
    Pause,
    Place,
    Resume,
    Retry,
    Signal,
    Start,
    ToolFailed,
    ToolReturned,
)
from stenograph.engine.core.decide import decide
from stenograph.engine.core.edges import compile_graph
from stenograph.engine.core.events import ErrorInfo, PinnedGraph
from stenograph.engine.core.folding import evolve
from stenograph.engine.core.run import Run
from stenograph.engine.core.run_data import to_bytes
from stenograph.engine.core.standing import due_at, places
from stenograph.engine.graphs.graph import Limits, Outcome
from stenograph.engine.state.state import State
from stenograph.engine.times import to_text

AT = "2026-11-21T00:00:00.000000Z"


def outside(now_us: int = 0, draw: float = 0.5) -> Outside:
    return Outside(
        lambda name: f"{name}-1",
        lambda name: "once" if name == "once" else "repeatable",
        now_us,
        draw,
    )


class Scenario:
    """A run that goes on with every command; ``happened`` is what the last one made true."""

    def __init__(
        self,
        graph: Mapping[str, Any],
        state: Mapping[str, Any] | None = None,
        graphs: Mapping[str, Mapping[str, Any]] | None = None,
        **options: Any,
    ) -> None:
        names = list(graphs or {})
        parsed = parse(graph, names)
        self.now_us = 0
        self.draw = 0.5
        self.run = Run(id="run")
        self.history: list[Event] = []
        self.happened: list[Any] = []
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
                graphs={name: pinned(name, inner, names) for name, inner in (graphs or {}).items()},
                **options,
            )
        )

    def when(self, command: Command) -> Scenario:
        """Decide, and fold what was decided: that comes to what the decision itself has come to."""
        before = self.run.copy()
        decision = decide(before, command, outside(self.now_us, self.draw))
        self.happened = list(decision.events)
        for payload in self.happened:
            event = Event(0, "run", self.run.seq + 1, decision.at, payload.TYPE, payload, "")
            self.history.append(event)
            evolve(self.run, event)
        if self.happened:
            before.adopt(decision.run)
            assert to_bytes(before) == to_bytes(self.run)
        return self

    def when_returned(
        self,
        update: Mapping[str, Any] | None = None,
        *,
        goto: str | None = None,
        scope: str | None = None,
    ) -> Scenario:
        return self.when(returned(self.run, update or {}, goto, scope))

    def when_failed(
        self, type_: str = "OSError", *, outcome: Outcome = "error", scope: str | None = None
    ) -> Scenario:
        return self.when(failed(self.run, type_, outcome, scope))

    def when_signalled(self, name: str, payload: Any = None, scope: str | None = None) -> Scenario:
        data = msgspec.json.encode(payload)
        return self.when(Signal(name=name, payload=data, actor="me", scope=scope, saw=1))

    def when_paused(self) -> Scenario:
        return self.when(Pause(actor="me", reason="lunch"))

    def when_resumed(self, **options: Any) -> Scenario:
        return self.when(Resume(actor="me", **options))

    def when_retried(self) -> Scenario:
        return self.when(Retry(actor="me"))

    def when_due(self, scope: str = "/") -> Scenario:
        at = due_at(self.run, scope)
        assert at is not None
        return self.when(Due(scope, at))

    def when_cancelled(self) -> Scenario:
        return self.when(Cancel(actor="me", reason="enough"))

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


def parse(graph: Mapping[str, Any], graphs: Sequence[str] = ()) -> ParsedGraph:
    return parse_graph(graph, tools={"t", "once"}, predicates={"p"}, graphs=graphs)


def pinned(name: str, graph: Mapping[str, Any], graphs: Sequence[str]) -> PinnedGraph:
    parsed = parse(graph, graphs)
    return PinnedGraph(graph_id=name, version=parsed.version, graph=msgspec.Raw(parsed.data))


def here(run: Run, scope: str | None = None) -> Place:
    return next(place for place in places(run) if scope in (None, place.scope))


def returned(
    run: Run, update: Mapping[str, Any], goto: str | None = None, scope: str | None = None
) -> ToolReturned:
    place = here(run, scope)
    at = run.scopes[place.scope]
    change = at.state.update(at.state.draft(), update, compile_graph(at.graph).rules)
    return ToolReturned(place=place, update=change, goto=goto, duration_ms=1.0)


def failed(
    run: Run, type_: str, outcome: Outcome = "error", scope: str | None = None
) -> ToolFailed:
    place = here(run, scope)
    return ToolFailed(
        place=place,
        outcome=outcome,
        error=ErrorInfo(type_, "it broke", node=place.node),
        types=(type_, "Exception"),
        duration_ms=1.0,
    )


def at_s(seconds: float) -> str:
    return to_text(round(seconds * 1_000_000))
