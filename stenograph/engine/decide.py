"""What follows from a command: (run, command) → events. Pure: no clock, no I/O, no randomness."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, assert_never

from msgspec import Raw, Struct

from stenograph.engine.edges import (
    Answers,
    CompiledGraph,
    CompiledNode,
    Uncaught,
    Way,
    compile_graph,
    decide_way,
)
from stenograph.engine.events import (
    ErrorInfo,
    LimitReached,
    NodeAttemptFailed,
    NodeEntered,
    NodeExited,
    Payload,
    RunCancelled,
    RunCancelling,
    RunCompleted,
    RunCreated,
    RunFailed,
    RunLimits,
    RunParked,
    RunRecovered,
    StatePatched,
    TransitionTaken,
)
from stenograph.engine.expressions import View
from stenograph.engine.graph import END, FAIL, Limits, Outcome, Retry
from stenograph.engine.parse import did_you_mean
from stenograph.engine.run import Position, Run, Scope
from stenograph.engine.state import Update
from stenograph.engine.times import to_text
from stenograph.engine.tools import Effects

LOST_MAX = 3
"""The third lost attempt of a visit parks the run as a crash loop."""


class Place(Struct, frozen=True):
    """One attempt: where, which visit, which try."""

    scope: str
    node: str
    visit: int
    attempt: int


class Start(Struct, frozen=True, kw_only=True):
    """Begin a run of a graph."""

    graph_id: str
    version: str
    graph: bytes
    state: bytes
    limits: Limits
    tags: dict[str, str]
    actor: str


class ToolReturned(Struct, frozen=True, kw_only=True):
    """An attempt came back with what it changed, and perhaps with where to go."""

    place: Place
    update: Update
    goto: str | None
    duration_ms: float
    answers: Answers = {}


class ToolFailed(Struct, frozen=True, kw_only=True):
    """An attempt raised, or ran out of time.

    ``types``: the error's type and its bases, for ``retry.on``; ``jitter``: a draw from [0, 1).
    """

    place: Place
    outcome: Outcome
    error: ErrorInfo
    types: tuple[str, ...]
    duration_ms: float
    now_us: int
    jitter: float
    answers: Answers = {}


class RetryDue(Struct, frozen=True):
    """The backoff of a scope's node is over."""

    scope: str


class TimeUp(Struct, frozen=True, kw_only=True):
    """The run has had nodes running for as long as its ``time_s`` allows."""

    running_ms: float


class Cancel(Struct, frozen=True, kw_only=True):
    """Stop the run."""

    actor: str
    reason: str


class Stopped(Struct, frozen=True):
    """Nothing of a run that is being cancelled runs any more."""


class Recover(Struct, frozen=True):
    """The engine started anew: what ran was interrupted."""


class Fail(Struct, frozen=True):
    """The engine itself cannot go on with this run."""

    error: ErrorInfo


Command: TypeAlias = (
    Start | ToolReturned | ToolFailed | RetryDue | TimeUp | Cancel | Stopped | Recover | Fail
)


class Facts(Struct, frozen=True):
    """What decide must know of the tools: the version and the effects of each, by name."""

    version: Callable[[str], str | None]
    effects: Callable[[str], Effects]


def decide(run: Run, command: Command, facts: Facts) -> list[Payload]:
    """Return the events that a command makes true; an empty list means nothing changes."""
    match command:
        case Start():
            return _start(run, command, facts)
        case _ if run.seq == 0 or run.ended:
            return []
        case ToolReturned() | ToolFailed():
            scope = run.scopes.get(command.place.scope)
            if scope is None or run.status != "running" or not _is_at(scope, command.place):
                return []
            if isinstance(command, ToolReturned):
                return _returned(run, scope, command, facts)
            return _failed(run, scope, command, facts)
        case RetryDue(scope=path):
            position = run.scopes[path].position
            if position is None or position.phase != "backing-off":
                return []
            return [_again(run, path, position, facts)]
        case TimeUp(running_ms=running_ms):
            return _time_up(run, running_ms)
        case Cancel(actor=actor, reason=reason):
            return _cancel(run, actor, reason)
        case Stopped():
            return [RunCancelled()] if run.status == "cancelling" else []
        case Recover():
            return _recover(run, facts)
        case Fail(error=error):
            return [RunFailed(error=error)]
        case _:
            assert_never(command)


def places(run: Run) -> list[Place]:
    """Return the attempts that should be under way now."""
    if run.status != "running":
        return []
    return [
        Place(scope.path, scope.position.node, scope.position.visit, scope.position.attempt)
        for scope in run.scopes.values()
        if scope.position is not None and scope.position.phase == "running"
    ]


def retries(run: Run) -> dict[str, str]:
    """Return the scopes that wait for a retry, and the time each is due."""
    if run.status != "running":
        return {}
    return {
        scope.path: scope.position.retry_at
        for scope in run.scopes.values()
        if scope.position is not None and scope.position.retry_at is not None
    }


def compiled(run: Run) -> CompiledGraph:
    """Return the graph that a run is pinned to, compiled."""
    return compile_graph(run.graph)


def backoff_s(retry: Retry, failed: int, jitter: float) -> float:
    """Return how long to wait after the ``failed``-th failure; in [0, max_delay_s].

    Source: "full jitter", M. Brooker, Exponential Backoff And Jitter, AWS, 2015.
    """
    # Past 2.0**1023 a float overflows, and a day-long outage gets there.
    exponent = min(failed - 1, 60)
    delay = min(retry.max_delay_s, retry.delay_s * retry.factor**exponent)
    return delay * jitter if retry.jitter else delay


def _start(run: Run, start: Start, facts: Facts) -> list[Payload]:
    if run.seq:
        return []
    created = RunCreated(
        graph_id=start.graph_id,
        version=start.version,
        graph=Raw(start.graph),
        state=Raw(start.state),
        limits=RunLimits(start.limits.steps, start.limits.time_s),
        tags=start.tags,
        actor=start.actor,
    )
    graph = compile_graph(start.graph)
    return [created, _entry("/", graph.nodes[graph.graph.start], 1, 1, facts)]


def _is_at(scope: Scope, place: Place) -> bool:
    at = scope.position
    return (
        at is not None
        and at.phase == "running"
        and (at.node, at.visit, at.attempt) == (place.node, place.visit, place.attempt)
    )


def _returned(run: Run, scope: Scope, command: ToolReturned, facts: Facts) -> list[Payload]:
    place, node = command.place, compiled(run).nodes[command.place.node]
    if command.goto is not None and not _is_target(run, command.goto):
        hint = did_you_mean(command.goto, compiled(run).nodes)
        message = f"the tool said to go to {command.goto!r}, which is no node of this graph{hint}"
        error = ErrorInfo("UnknownNode", message, node=place.node)
        return _leave_failed(
            run, scope, place, "error", error, command.duration_ms, command.answers, facts
        )
    events: list[Payload] = [_exit(place, "ok", None, command.duration_ms)]
    if command.update.patch:
        patch = command.update.patch
        events.append(StatePatched(**_where(place), patch=patch))
    view = View(state=command.update.over(scope.state), bindings={"visit": place.visit})
    if command.goto is not None:
        way: Way | Uncaught | None = Way(command.goto, "goto")
    else:
        way = _way(run, scope, node, "ok", view, None, command.answers)
    return events + _go(run, scope, place, way, facts)


def _failed(run: Run, scope: Scope, command: ToolFailed, facts: Facts) -> list[Payload]:
    node = compiled(run).nodes[command.place.node].node
    assert scope.position is not None
    failed = scope.position.tries + 1
    retry = node.retry
    if retry and failed < retry.attempts and (not retry.on or set(retry.on) & set(command.types)):
        wait_us = round(backoff_s(retry, failed, command.jitter) * 1_000_000)
        return [
            NodeAttemptFailed(
                **_where(command.place),
                error=command.error,
                duration_ms=command.duration_ms,
                retry_at=to_text(command.now_us + wait_us),
            )
        ]
    return _leave_failed(
        run,
        scope,
        command.place,
        command.outcome,
        command.error,
        command.duration_ms,
        command.answers,
        facts,
    )


def _leave_failed(
    run: Run,
    scope: Scope,
    place: Place,
    outcome: Outcome,
    error: ErrorInfo,
    duration_ms: float,
    answers: Answers,
    facts: Facts,
) -> list[Payload]:
    """Leave a node whose last attempt failed: by an edge that catches it, or the run fails."""
    caught = {"type": error.type, "message": error.message, "node": place.node}
    view = View(state=scope.state, bindings={"visit": place.visit, "error": caught})
    node = compiled(run).nodes[place.node]
    way = _way(run, scope, node, outcome, view, error, answers)
    exited = _exit(place, outcome, error, duration_ms)
    return [exited, *_go(run, scope, place, way, facts)]


def _way(
    run: Run,
    scope: Scope,
    node: CompiledNode,
    outcome: Outcome,
    view: View,
    error: ErrorInfo | None,
    answers: Answers,
) -> Way | Uncaught | None:
    return decide_way(
        node,
        outcome,
        view,
        error=error,
        taken=scope.taken,
        answers=answers,
        on_no_match=compiled(run).graph.on_no_match,
    )


def _go(
    run: Run, scope: Scope, place: Place, way: Way | Uncaught | None, facts: Facts
) -> list[Payload]:
    """Take the way: the transition, and what it leads to."""
    match way:
        case None:
            return [RunCompleted(reason="end")]
        case Uncaught(error=error):
            return [RunFailed(error=error)]
        case Way(to=to):
            transition = TransitionTaken(
                scope=place.scope,
                node=place.node,
                visit=place.visit,
                to=to,
                reason=way.reason,
                edge=way.edge,
                label=way.label,
                considered=way.considered,
            )
            return [transition, *_arrive(run, scope, place, way, facts)]
        case _:
            assert_never(way)


def _arrive(run: Run, scope: Scope, place: Place, way: Way, facts: Facts) -> list[Payload]:
    if way.to == END:
        match way.reason:
            case "loop-done" | "loop-cap" | "no-edge-matched":
                return [RunCompleted(reason=way.reason)]
            case _:
                return [RunCompleted(reason="end")]
    if way.to == FAIL:
        return [RunFailed(error=_no_way(place, way))]
    if run.steps >= run.limits.steps:
        message = f"the run has entered {run.steps:,} nodes, which is its limit"
        reached = LimitReached(limit="steps", value=run.limits.steps)
        return [reached, RunParked(reason="limit", message=message)]
    visit = scope.visits.get(way.to, 0) + 1
    return [_entry(place.scope, compiled(run).nodes[way.to], visit, 1, facts)]


def _no_way(place: Place, way: Way) -> ErrorInfo:
    if way.reason == "no-edge-matched":
        message = (
            f"no edge of node {place.node!r} was eligible; add one without a condition at the end"
        )
        return ErrorInfo("no-edge-matched", message, node=place.node)
    by = "the tool said so" if way.edge is None else f"edge {way.edge} leads there"
    return ErrorInfo("failed", f"node {place.node!r} went to $fail: {by}", node=place.node)


def _time_up(run: Run, running_ms: float) -> list[Payload]:
    limit = run.limits.time_s
    if run.status != "running" or limit is None:
        return []
    message = f"nodes of the run have run for {limit:g} s, which is its limit"
    error = ErrorInfo("Interrupted", message)
    stopped = [
        NodeAttemptFailed(**_where(place), error=error, duration_ms=running_ms)
        for place in places(run)
    ]
    reached = LimitReached(limit="time_s", value=limit)
    return [*stopped, reached, RunParked(reason="limit", message=message)]


def _cancel(run: Run, actor: str, reason: str) -> list[Payload]:
    if run.status == "cancelling":
        return []
    cancelling = RunCancelling(actor=actor, reason=reason)
    return [cancelling] if places(run) else [cancelling, RunCancelled()]


def _recover(run: Run, facts: Facts) -> list[Payload]:
    if run.status == "cancelling":
        return [RunRecovered(lost=0), RunCancelled()]
    interrupted = places(run)
    if not interrupted:
        return []
    events: list[Payload] = [RunRecovered(lost=len(interrupted))]
    for place in interrupted:
        error = ErrorInfo("Lost", "the engine stopped while this attempt ran")
        events.append(NodeAttemptFailed(**_where(place), error=error, duration_ms=0.0))
    parked = next(filter(None, (_park(run, place, facts) for place in interrupted)), None)
    if parked is not None:
        return [*events, parked]
    for place in interrupted:
        node = compiled(run).nodes[place.node]
        events.append(_entry(place.scope, node, place.visit, place.attempt + 1, facts))
    return events


def _park(run: Run, place: Place, facts: Facts) -> RunParked | None:
    """Return why a lost attempt must not simply run again, or None."""
    position = run.scopes[place.scope].position
    assert position is not None
    node = compiled(run).nodes[place.node]
    effects = node.node.effects or ("repeatable" if node.tool is None else facts.effects(node.tool))
    if effects == "once":
        message = f"node {place.node!r} may have had its effect, and must not have it twice"
        return RunParked(reason="effects-once", message=message, scope=place.scope, node=place.node)
    if position.lost + 1 >= LOST_MAX:
        message = f"the engine stopped {LOST_MAX} times while node {place.node!r} ran"
        return RunParked(reason="crash-loop", message=message, scope=place.scope, node=place.node)
    return None


def _again(run: Run, path: str, position: Position, facts: Facts) -> NodeEntered:
    node = compiled(run).nodes[position.node]
    return _entry(path, node, position.visit, position.attempt + 1, facts)


def _entry(scope: str, node: CompiledNode, visit: int, attempt: int, facts: Facts) -> NodeEntered:
    version = None if node.tool is None else facts.version(node.tool)
    return NodeEntered(
        scope=scope,
        node=node.name,
        visit=visit,
        attempt=attempt,
        tool=node.tool,
        tool_version=version,
    )


def _exit(
    place: Place, outcome: Outcome, error: ErrorInfo | None, duration_ms: float
) -> NodeExited:
    return NodeExited(**_where(place), outcome=outcome, error=error, duration_ms=duration_ms)


def _where(place: Place) -> Mapping[str, Any]:
    return {
        "scope": place.scope,
        "node": place.node,
        "visit": place.visit,
        "attempt": place.attempt,
    }


def _is_target(run: Run, name: str) -> bool:
    return name in (END, FAIL) or name in compiled(run).nodes
