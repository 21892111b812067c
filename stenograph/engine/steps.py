"""Steps: how a scope enters a node, leaves it, and ends; each as the events that it makes true."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, assert_never

from msgspec import UNSET

from stenograph.engine.commands import Outside, Place, Unanswered
from stenograph.engine.edges import (
    CompiledGraph,
    CompiledNode,
    Uncaught,
    Way,
    compile_graph,
    decide_way,
    predicates_of,
)
from stenograph.engine.errors import WriteRefused
from stenograph.engine.events import (
    BranchEnded,
    ErrorInfo,
    Event,
    ForkOpened,
    LimitReached,
    NodeAttemptFailed,
    NodeEntered,
    NodeExited,
    Payload,
    RunCompleted,
    RunFailed,
    SignalReceived,
    StatePatched,
    TimerSet,
    TransitionTaken,
    WaitOpened,
)
from stenograph.engine.expressions import View
from stenograph.engine.graph import BRANCHES_MAX, END, FAIL, Edge, Outcome, Retry
from stenograph.engine.parse import did_you_mean
from stenograph.engine.run import Run, evolve
from stenograph.engine.scopes import (
    DEPTH_MAX,
    ROOT,
    Position,
    Scope,
    branch_scope,
    call_path,
    depth_of,
    look_up,
    parent_of,
)
from stenograph.engine.state import State, Update
from stenograph.engine.times import to_text
from stenograph.engine.tools import Effects
from stenograph.engine.values import encode
from stenograph.engine.vault import name_in

BUDGET: Final = 400
"""About how many events one decision may make; it is followed by others until all is done."""
BUDGET_BYTES: Final = 1024 * 1024
"""When what a decision has changed comes to so much, the rest is for the next one."""


class Steps:
    """What has been decided so far: the events, and the run as they leave it.

    ``agenda``: the scopes that may have something to do next.
    """

    def __init__(self, run: Run, outside: Outside) -> None:
        self.run = run.layer()
        self.outside = outside
        self.events: list[Payload] = []
        self.agenda: dict[str, None] = {}
        self._weight = 0
        self._at = to_text(outside.now_us)

    @property
    def is_full(self) -> bool:
        """Whether the rest must wait for another decision."""
        return len(self.events) >= BUDGET or self._weight >= BUDGET_BYTES

    def emit(self, payload: Payload) -> None:
        """Decide that something happens."""
        self.events.append(payload)
        self._weight += _weight_of(payload)
        run = self.run
        evolve(run, Event(0, run.id, run.seq + 1, self._at, payload.TYPE, payload, ""))

    def scope(self, path: str) -> Scope:
        """Return a scope as it is now."""
        return self.run.scopes[path]

    def position(self, path: str) -> Position:
        """Return where a scope stands that has not ended."""
        position = self.run.scopes[path].position
        assert position is not None, "a scope that has not ended stands somewhere"
        return position

    def place(self, path: str) -> Place:
        """Return the attempt that a scope stands at."""
        position = self.position(path)
        return Place(path, position.node, position.visit, position.attempt)

    def graph(self, path: str) -> CompiledGraph:
        """Return the graph that a scope goes through."""
        return compile_graph(self.scope(path).graph)

    def node(self, path: str) -> CompiledNode:
        """Return the node that a scope stands at."""
        return self.graph(path).nodes[self.position(path).node]

    def due(self, seconds: float) -> str:
        """Return the time in so many seconds."""
        return to_text(self.outside.now_us + round(seconds * 1_000_000))


def enter(steps: Steps, path: str, node: CompiledNode, visit: int, attempt: int) -> None:
    """Enter a tool's node, or a router."""
    version = None if node.tool is None else steps.outside.version(node.tool)
    steps.emit(
        NodeEntered(
            scope=path,
            node=node.name,
            visit=visit,
            attempt=attempt,
            tool=node.tool,
            tool_version=version,
        )
    )


def is_at_limit(steps: Steps) -> bool:
    """Tell whether no more nodes may be entered; if so, that is decided here."""
    run = steps.run
    if run.steps < run.limits.steps:
        return False
    steps.emit(LimitReached(limit="steps", value=run.limits.steps))
    return True


def leave(
    steps: Steps, place: Place, update: Update, *, goto: str | None = None, duration_ms: float = 0.0
) -> None:
    """Leave a node that did what it is for: with what it changed, by the way that is then open."""
    if goto is not None and (why := _why_not(steps, place.scope, goto)):
        error = ErrorInfo("UnknownNode", f"the tool said to go to {goto!r}, {why}", node=place.node)
        leave_failed(steps, place, "error", error, duration_ms=duration_ms)
        return
    steps.emit(NodeExited(**where(place), outcome="ok", duration_ms=duration_ms))
    patch(steps, place, update)
    way = Way(goto, "goto") if goto is not None else _way(steps, place, "ok", None)
    _go(steps, place, way)


def _why_not(steps: Steps, path: str, goto: str) -> str:
    """Return why a tool cannot go to a node from a scope, or nothing."""
    nodes = steps.graph(path).nodes
    if goto not in (END, FAIL) and goto not in nodes:
        return f"which is no node of this graph{did_you_mean(goto, nodes)}"
    if goto in _outer_joins(steps, path):
        return "where an outer fork joins; go to its own join"
    return ""


def _outer_joins(steps: Steps, path: str) -> set[str]:
    """Return where the forks around that of a branch join: it must not go there past its own."""
    joins: list[str] = []
    while path != ROOT:
        path, index = parent_of(path)
        if index is None:
            break
        joins.append(steps.scope(path).open_fork.join)
    return set(joins[1:]) - set(joins[:1])


def patch(steps: Steps, place: Place, update: Update) -> None:
    """Change the state of a scope."""
    if update.patch:
        steps.emit(StatePatched(**where(place), patch=update.patch))
        steps.scope(place.scope).state.remember(update.decoded)


def fall_short(
    steps: Steps,
    place: Place,
    outcome: Outcome,
    error: ErrorInfo,
    types: tuple[str, ...],
    duration_ms: float = 0.0,
    at: Place | None = None,
) -> None:
    """End an attempt that failed: it is made again later, or the node is left so.

    One that was cut off may have had its effect, and is not made again where that must not be twice.
    """
    node = steps.node(place.scope)
    is_cut_off = outcome == "timeout" or node.node.graph is not None
    is_doubtful = is_cut_off and has_effects_once(steps, node)
    retry = None if is_doubtful else node.node.retry
    failed = steps.position(place.scope).tries + 1
    if retry and failed < retry.attempts and (not retry.on or set(retry.on) & set(types)):
        delay_s = backoff_s(retry, failed, steps.outside.draw)
        steps.emit(
            NodeAttemptFailed(
                **where(place), error=error, duration_ms=duration_ms, retry_at=steps.due(delay_s)
            )
        )
    else:
        leave_failed(steps, place, outcome, error, duration_ms=duration_ms, at=at)


def leave_failed(
    steps: Steps,
    place: Place,
    outcome: Outcome,
    error: ErrorInfo,
    *,
    duration_ms: float = 0.0,
    at: Place | None = None,
) -> None:
    """Leave a node that failed by an edge that catches it; if none does, the scope fails.

    ``at``: where it began to fail, in the sub-graph that the node runs.
    """
    way = _way(steps, place, outcome, error)
    if isinstance(way, Uncaught) and at is not None:
        fail(steps, place.scope, way.error, at)  # it is not left: a retry goes on within
        return
    steps.emit(NodeExited(**where(place), outcome=outcome, error=error, duration_ms=duration_ms))
    _go(steps, place, way)


def effects_of(steps: Steps, node: CompiledNode) -> Effects:
    """Return whether a node may have its effect twice, as it says itself, or else its tool."""
    if node.node.effects is not None or node.tool is None:
        return node.node.effects or "repeatable"
    return steps.outside.effects(node.tool)


def has_effects_once(steps: Steps, node: CompiledNode) -> bool:
    """Tell whether a node, or any of the graph that it runs, must not have its effect twice."""
    refs, seen = [node.node.graph], {node.node.graph}
    if node.node.graph is None:
        return effects_of(steps, node) == "once"
    while refs:
        graph = compile_graph(bytes(steps.run.graphs[str(refs.pop())].graph))
        for inner in graph.nodes.values():
            if inner.node.graph is None and effects_of(steps, inner) == "once":
                return True
            if inner.node.graph is not None and inner.node.graph not in seen:
                seen.add(inner.node.graph)
                refs.append(inner.node.graph)
    return False


def backoff_s(retry: Retry, failed: int, draw: float) -> float:
    """Return how long to wait after the ``failed``-th failure; in [0, max_delay_s].

    Source: "full jitter", M. Brooker, Exponential Backoff And Jitter, AWS, 2015.
    """
    # Past 2.0**1023 a float overflows, and a day-long outage gets there.
    exponent = min(failed - 1, 60)
    delay = min(retry.max_delay_s, retry.delay_s * retry.factor**exponent)
    return delay * draw if retry.jitter else delay


def end(steps: Steps, path: str, reason: str) -> None:
    """End a scope that came to its end: the run, a branch, or a sub-graph."""
    if path == ROOT:
        steps.emit(RunCompleted(reason=reason))  # type: ignore[arg-type]
        return
    parent, index = parent_of(path)
    if index is not None:
        steps.emit(BranchEnded(scope=path, outcome="ok", reason=reason))
        steps.agenda[parent] = None
        return
    if steps.is_full:  # each graph that it leads out of may bring back as much again
        steps.agenda[path] = None
        return
    place = steps.place(parent)
    try:
        update = _result(steps, parent, path)
    except WriteRefused as refused:
        error = ErrorInfo(refused.code, str(refused), node=place.node)
        fall_short(steps, place, "error", error, (refused.code,))
    else:
        leave(steps, place, update)


def fail(steps: Steps, path: str, error: ErrorInfo, at: Place) -> None:
    """Fail a scope, for what happened ``at`` a place in it: its fork or its caller knows what then."""
    if path == ROOT:
        steps.emit(RunFailed(error=error, scope=at.scope, node=at.node, visit=at.visit))
        return
    parent, index = parent_of(path)
    if index is None:
        fall_short(steps, steps.place(parent), "error", error, (error.type,), at=at)
        return
    steps.emit(
        BranchEnded(
            scope=path,
            outcome="error",
            error=error,
            failed_in=at.scope,
            node=at.node,
            visit=at.visit,
        )
    )
    steps.agenda[parent] = None


def _weight_of(payload: Payload) -> int:
    """Return about how many bytes an event has, where they may be many."""
    match payload:
        case StatePatched(patch=patch):
            return sum(len(op.value) for op in patch if op.value is not UNSET)
        case SignalReceived(payload=data):
            return len(data)
        case WaitOpened(schema=schema):
            return 0 if schema is UNSET else len(schema)
        case TransitionTaken(considered=considered):
            return len(encode(considered)) if considered else 0
        case NodeEntered(in_=given):
            return len(encode(given)) if given else 0
        case _:
            return 0


def where(place: Place) -> Mapping[str, Any]:
    """Return a place as the fields of an event."""
    return {
        "scope": place.scope,
        "node": place.node,
        "visit": place.visit,
        "attempt": place.attempt,
    }


def view_of(scope: Scope, visit: int, error: ErrorInfo | None = None) -> View:
    """Return what conditions see of a scope."""
    bindings: dict[str, Any] = {**scope.bindings, "visit": visit}
    if error is not None:
        bindings["error"] = {"type": error.type, "message": error.message, "node": error.node}
    return View(state=scope.state, bindings=bindings)


def _result(steps: Steps, parent: str, child: str) -> Update:
    """Return what a sub-graph brings back; raises EngineError for what the state may not hold.

    A key that it was given has its new value, as if changed in place; others meet their reducer.
    """
    node, ended = steps.node(parent).node, steps.scope(child)
    keys = list(ended.changed) if node.out is None else [k for k in node.out if k in ended.state]
    # What stands for a secret never goes where the key is none.
    foreign = steps.graph(child).rules.secrets - steps.graph(parent).rules.secrets
    keys = [k for k in keys if k not in foreign or name_in(ended.state.get(k)) is None]
    given = set(steps.scope(parent).state) if node.in_ is None else set(node.in_)
    values = {key: ended.state[key] for key in keys if key in ended.state}
    gone = [key for key in keys if key not in ended.state]
    return steps.scope(parent).state.take(values, steps.graph(parent).rules, given=given, gone=gone)


def _way(
    steps: Steps, place: Place, outcome: Outcome, error: ErrorInfo | None
) -> Way | Uncaught | None:
    graph, scope = steps.graph(place.scope), steps.scope(place.scope)
    node = graph.nodes[place.node]
    asked = (place.scope, place.node, place.visit)
    answers = steps.outside.answers.get(asked, {})
    if names := [name for name in predicates_of(node, outcome) if name not in answers]:
        raise Unanswered(asked, names, scope.state)
    return decide_way(
        node,
        outcome,
        view_of(scope, place.visit, error),
        error=error,
        taken=scope.taken,
        answers=answers,
        on_no_match=graph.graph.on_no_match,
    )


def _go(steps: Steps, place: Place, way: Way | Uncaught | None) -> None:
    """Take the way: the transition, and what it leads to."""
    match way:
        case None:
            end(steps, place.scope, "end")
        case Uncaught(error=error):
            fail(steps, place.scope, error, place)
        case Way(fork=Edge() as edge):
            _fork(steps, place, way, edge)
        case Way():
            steps.emit(_transition(place, way))
            _arrive(steps, place, way)
        case _:
            assert_never(way)


def _transition(place: Place, way: Way, fork: tuple[str, ...] = ()) -> TransitionTaken:
    return TransitionTaken(
        scope=place.scope,
        node=place.node,
        visit=place.visit,
        to=way.to,
        reason=way.reason,
        edge=way.edge,
        label=way.label,
        considered=way.considered,
        fork=fork,
    )


def _arrive(steps: Steps, place: Place, way: Way) -> None:
    if way.to == FAIL:
        fail(steps, place.scope, _no_way(place, way), place)
    elif way.to == END:
        at_an_end = way.reason in ("loop-done", "loop-cap", "no-edge-matched")
        end(steps, place.scope, way.reason if at_an_end else "end")
    else:
        steps.agenda[place.scope] = None


def _fork(steps: Steps, place: Place, way: Way, edge: Edge) -> None:
    """Open a fork; what it needs of the state is looked at before anything is decided."""
    count, error = _count(steps, place, edge)
    if error is not None:
        fail(steps, place.scope, error, place)
        return
    steps.emit(_transition(place, way, edge.targets))
    is_map = edge.each is not None
    steps.emit(
        ForkOpened(
            **where(place),
            targets=edge.targets,
            count=count,
            join=way.to,
            need=count if edge.need is None else min(edge.need, count),
            on_error=edge.on_error,
            each=edge.each,
            as_=edge.as_ if is_map else None,
            width=edge.width,
        )
    )
    steps.agenda[place.scope] = None


def _count(steps: Steps, place: Place, edge: Edge) -> tuple[int, ErrorInfo | None]:
    """Return how many branches there will be, or why there can be none."""
    if depth_of(place.scope) >= DEPTH_MAX:
        return 0, too_deep(place)
    if edge.each is None:
        return len(edge.targets), None
    what = f"node {place.node!r} forks over {edge.each!r}"
    try:
        items = look_up(steps.scope(place.scope).state, edge.each)
    except KeyError:
        message = f"{what}, which is not in the state"
        return 0, ErrorInfo("each-not-a-list", message, node=place.node)
    if not isinstance(items, list):
        message = f"{what}, which is no list but {_kind(items)}"
        return 0, ErrorInfo("each-not-a-list", message, node=place.node)
    if len(items) > BRANCHES_MAX:
        message = f"{what}, a list of {len(items):,}; a fork may have {BRANCHES_MAX:,} branches"
        return 0, ErrorInfo("too-many-branches", message, node=place.node)
    return len(items), None


def too_deep(place: Place) -> ErrorInfo:
    """Return the error of a scope that would stand within too many others."""
    message = (
        f"node {place.node!r} would open a scope within {DEPTH_MAX} others, which is the limit; "
        "does a graph call itself without end?"
    )
    return ErrorInfo("too-deep", message, node=place.node)


def call(steps: Steps, path: str, node: CompiledNode, visit: int, attempt: int) -> None:
    """Enter a node that runs a graph."""
    place = Place(path, node.name, visit, attempt)
    ref = str(node.node.graph)
    state = _state_at(steps, path)
    missing = [at for at in (node.node.in_ or {}).values() if not _is_there(state, at)]
    pinned = steps.run.graphs[ref]
    if missing or depth_of(path) >= DEPTH_MAX:
        enter(steps, path, node, visit, attempt)
        message = f"graph {ref!r} is to be given {', '.join(missing)}, which the state has not"
        lacks = ErrorInfo("missing-input", message, node=node.name)
        leave_failed(steps, place, "error", lacks if missing else too_deep(place))
        return
    steps.emit(
        NodeEntered(
            scope=path,
            node=node.name,
            visit=visit,
            attempt=attempt,
            graph=ref,
            graph_version=pinned.version,
            in_=node.node.in_,
        )
    )
    set_time_limit(steps, path)
    steps.agenda[call_path(path, node.name, visit)] = None


def set_time_limit(steps: Steps, path: str) -> None:
    """Set the timer of a sub-graph that may only take so long."""
    seconds = steps.node(path).node.timeout_s
    set_timer(steps, path, None if seconds is None else steps.due(seconds))


def set_timer(steps: Steps, path: str, due_at: str | None) -> None:
    """Have something happen to what a scope does now when a time comes, if ever it does."""
    if due_at is not None:
        at = steps.position(path)
        steps.emit(TimerSet(scope=path, node=at.node, visit=at.visit, due_at=due_at))


def _state_at(steps: Steps, path: str) -> State:
    """Return the state of a scope, or that with which a branch is about to begin."""
    if path in steps.run.scopes:
        return steps.scope(path).state
    return branch_scope(steps.scope(parent_of(path)[0]), path).state


def _is_there(state: Mapping[str, Any], path: str) -> bool:
    try:
        look_up(state, path)
    except KeyError:
        return False
    return True


def _kind(value: object) -> str:
    names = {dict: "an object", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _no_way(place: Place, way: Way) -> ErrorInfo:
    if way.reason == "no-edge-matched":
        message = (
            f"no edge of node {place.node!r} was eligible; add one without a condition at the end"
        )
        return ErrorInfo("no-edge-matched", message, node=place.node)
    by = "the tool said so" if way.edge is None else f"edge {way.edge} leads there"
    return ErrorInfo("failed", f"node {place.node!r} went to $fail: {by}", node=place.node)
