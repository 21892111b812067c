"""What follows from a command: (run, command) → events. Pure: no clock, no I/O, no randomness."""

from __future__ import annotations

from typing import Final, assert_never

from msgspec import Raw, Struct

from stenograph.engine.commands import (
    Advance,
    Cancel,
    Command,
    Due,
    Fail,
    Outside,
    Pause,
    Place,
    Recover,
    Resume,
    Retry,
    Signal,
    Start,
    Stopped,
    TimeUp,
    ToolFailed,
    ToolReturned,
    Turn,
)
from stenograph.engine.edges import CompiledNode
from stenograph.engine.errors import NotHeld, NotJson, RunFinished
from stenograph.engine.events import (
    ErrorInfo,
    LimitReached,
    NodeAttemptFailed,
    Payload,
    RunCancelled,
    RunCancelling,
    RunCreated,
    RunFailed,
    RunLimits,
    RunParked,
    RunPaused,
    RunPausing,
    RunRecovered,
    RunResumed,
    RunRetried,
)
from stenograph.engine.forks import tend
from stenograph.engine.run import GOING, Run, peek, within
from stenograph.engine.scopes import ROOT, Layer, Position, parent_of
from stenograph.engine.steps import (
    BUDGET,
    Steps,
    call,
    effects_of,
    end,
    enter,
    fall_short,
    is_at_limit,
    leave,
    set_time_limit,
    where,
)
from stenograph.engine.tools import NEXT_NODE
from stenograph.engine.values import pointer
from stenograph.engine.waits import (
    begin_later,
    begin_wait,
    receive,
    take_signal,
    take_turn,
    time_out,
)

LOST_MAX: Final = 3
"""The third lost attempt of a visit parks the run as a crash loop."""


class Decision(Struct, frozen=True):
    """What follows from a command: the events, and the run as they will leave it.

    ``is_partial``: there is more than one commit may hold; Advance goes on with ``rest``.
    """

    events: list[Payload]
    run: Run
    is_partial: bool
    rest: tuple[str, ...] = ()

    @property
    def touched(self) -> list[str]:
        """The scopes that were looked at on the way; no other has changed."""
        scopes = self.run.scopes
        return scopes.touched if isinstance(scopes, Layer) else list(scopes)


def decide(run: Run, command: Command, outside: Outside) -> Decision:
    """Return what a command makes true; no events mean that nothing changes.

    Raises Unanswered when predicates must be asked first, and EngineError for what somebody asked
    and cannot have: RunFinished, NotHeld, UnknownSignal, SignalRefused, TooManySignals, NotJson.
    """
    steps = Steps(run, outside)
    _obey(steps, command)
    _settle(steps)
    return Decision(steps.events, steps.run, steps.is_full, tuple(steps.agenda))


def places(run: Run) -> list[Place]:
    """Return the attempts that should be under way now."""
    if run.status not in GOING or not run.count("running"):
        return []
    return [place for path in run.scopes if (place := running_at(run, path)) is not None]


def running_at(run: Run, path: str) -> Place | None:
    """Return the attempt that should be under way in a scope, if there is one."""
    scope = peek(run, path)
    at = None if scope is None or run.status not in GOING else scope.position
    if at is None or at.phase != "running":
        return None
    return Place(path, at.node, at.visit, at.attempt)


def due_at(run: Run, path: str) -> str | None:
    """Return when something will be due in a scope, if anything ever will."""
    scope = peek(run, path)
    if scope is None or scope.position is None or not run.goes_on:
        return None
    return scope.position.retry_at or scope.position.due_at


def first_due(run: Run) -> str | None:
    """Return when the first thing will be due in a run."""
    dues = (due_at(run, path) for path in run.scopes)
    return min((due for due in dues if due is not None), default=None)


def _obey(steps: Steps, command: Command) -> None:
    run = steps.run
    match command:
        case Start():
            _start(steps, command)
        case Signal() | Resume() | Retry() | Pause():
            _asked(steps, command)
        case _ if run.seq == 0 or run.ended:
            pass
        case ToolReturned() | ToolFailed():
            if running_at(run, command.place.scope) == command.place:
                _settled(steps, command)
        case Due(scope=path, at=at):
            if due_at(run, path) == at:
                _due(steps, path, at)
        case Turn():
            _turn(steps)
        case TimeUp(running_ms=running_ms):
            if run.status == "running" and run.limits.time_s is not None and not run.halt:
                places_now = places(run)
                steps.emit(LimitReached(limit="time_s", value=run.limits.time_s))
                for place in places_now[:BUDGET]:
                    _interrupted(steps, place, running_ms.get(place.scope, 0.0))
        case Cancel(actor=actor, reason=reason):
            _cancel(steps, actor, reason)
        case Stopped():
            if run.status == "cancelling":
                steps.emit(RunCancelled())
        case Recover():
            _recover(steps)
        case Advance(scopes=scopes):
            if scopes is None:
                _look_everywhere(steps)
            else:
                steps.agenda.update(dict.fromkeys(each for each in scopes if each in run.scopes))
        case Fail(error=error):
            steps.emit(RunFailed(error=error))
        case _:
            assert_never(command)


def _asked(steps: Steps, command: Signal | Resume | Retry | Pause) -> None:
    """Do what a person asked, or say why it cannot be."""
    run = steps.run
    if isinstance(command, Retry):
        if run.status != "failed":
            raise NotHeld(run.id, run.status, "retry", "failed")
        steps.emit(RunRetried(actor=command.actor, limits=command.limits))
        _set_timers_anew(steps)
        _look_everywhere(steps)
    elif isinstance(command, Resume):
        _resume(steps, command)
    elif run.ended or run.status == "cancelling":
        raise RunFinished(run.id, run.status)
    elif isinstance(command, Signal):
        receive(steps, command)
    elif run.status in GOING and run.halt != "pause":
        steps.emit(RunPausing(actor=command.actor, reason=command.reason))


def _set_timers_anew(steps: Steps) -> None:
    """Give the sub-graphs that are tried again their whole time."""
    for scope in list(within(steps.run, ROOT)):
        if scope.position is not None and scope.position.phase == "calling":
            set_time_limit(steps, scope.path)


def _start(steps: Steps, start: Start) -> None:
    if steps.run.seq:
        return
    steps.emit(
        RunCreated(
            graph_id=start.graph_id,
            version=start.version,
            graph=Raw(start.graph),
            state=Raw(start.state),
            limits=RunLimits(start.limits.steps, start.limits.time_s),
            tags=start.tags,
            actor=start.actor,
            graphs=start.graphs,
            key=start.key,
            request=start.request,
            turn=start.turn,
        )
    )
    due_at = steps.due(start.delay_s) if start.delay_s else None
    if start.is_queued or due_at is not None:
        begin_later(steps, "turn" if start.is_queued else "delay", due_at)
    steps.agenda[ROOT] = None


def _settled(steps: Steps, command: ToolReturned | ToolFailed) -> None:
    if isinstance(command, ToolReturned):
        update, duration_ms = command.update, command.duration_ms
        leave(steps, command.place, update, goto=command.goto, duration_ms=duration_ms)
    else:
        fall_short(
            steps,
            command.place,
            command.outcome,
            command.error,
            command.types,
            command.duration_ms,
        )


def _due(steps: Steps, path: str, at: str) -> None:
    if steps.position(path).phase == "backing-off":
        _enter_next(steps, path)
    else:
        time_out(steps, path, at)


def _turn(steps: Steps) -> None:
    position = steps.scope(ROOT).position
    if position is not None and position.phase == "waiting" and position.kind == "turn":
        take_turn(steps)


def _cancel(steps: Steps, actor: str, reason: str) -> None:
    if steps.run.status != "cancelling":
        runs = steps.run.status in GOING and steps.run.count("running")
        steps.emit(RunCancelling(actor=actor, reason=reason))
        if not runs:
            steps.emit(RunCancelled())


def _resume(steps: Steps, resume: Resume) -> None:
    run = steps.run
    if run.status not in ("paused", "parked"):
        raise NotHeld(run.id, run.status, "resume", "paused or parked")
    path, _ = run.parked_at
    if resume.scope is not None and resume.scope != path:
        raise NotHeld(run.id, run.status, f"a resume for {resume.scope}", "parked there")
    judged = run.reason == "effects-once" and path in run.scopes
    if resume.result is not None and not judged:
        raise NotHeld(run.id, run.status, "resume with a result", "parked over a node's effects")
    steps.emit(RunResumed(actor=resume.actor, limits=resume.limits))
    if resume.result is not None:
        result = dict(resume.result)
        goto = result.pop(NEXT_NODE, None)
        if not isinstance(goto, str | None):
            raise NotJson(pointer(NEXT_NODE), "is the name of a node, as text")
        update = steps.scope(path).state.accept(result, steps.graph(path).rules)
        leave(steps, steps.place(path), update, goto=goto)
    _look_everywhere(steps)


def _recover(steps: Steps) -> None:
    run = steps.run
    if run.status == "cancelling":
        steps.emit(RunRecovered(lost=0))
        steps.emit(RunCancelled())
    elif lost := len(places(run)):
        steps.emit(RunRecovered(lost=lost))
    _look_everywhere(steps)


def _look_everywhere(steps: Steps) -> None:
    """Look at every scope that has not ended: some may have something to do next."""
    for scope in within(steps.run, ROOT):
        position = scope.position
        is_idle = position is not None and position.phase in ("running", "backing-off", "calling")
        if not is_idle:
            steps.agenda[scope.path] = None


def _settle(steps: Steps) -> None:
    """Do what the scopes on the agenda have to do next, as much as fits; then come to rest if so."""
    _tell_interrupted(steps)
    if parked := _unsure(steps):
        steps.emit(parked)
    while steps.agenda and not steps.is_full and steps.run.status in GOING:
        path = next(iter(steps.agenda))
        del steps.agenda[path]
        if path in steps.run.scopes:
            _next(steps, path)
    run = steps.run
    is_still = run.status in GOING and not run.count("running", "interrupted")
    if run.halt and is_still and not steps.is_full:
        steps.emit(RunPaused() if run.halt == "pause" else _parked(run))


def _next(steps: Steps, path: str) -> None:
    """Do the next thing in a scope, if there is any."""
    scope = steps.scope(path)
    position = scope.position
    if scope.fork is not None:
        if (branch := tend(steps, path)) is not None:
            steps.agenda[path] = None
            _enter(steps, branch[0], branch[1], 1, 1)
    elif position is None or not steps.run.goes_on:
        return
    elif position.phase == "waiting" and position.kind == "signal":
        take_signal(steps, path)
    elif position.phase == "to-enter":
        if _has_arrived(steps, path, position):
            end(steps, path, "joined")
        elif position.attempt or not is_at_limit(steps):
            _enter_next(steps, path)
    elif position.phase == "left":  # behind a fork that joined at an end
        end(steps, path, "end")


def _enter_next(steps: Steps, path: str) -> None:
    """Enter the node that a scope stands before, or the next attempt at it."""
    position = steps.position(path)
    _enter(steps, path, steps.node(path), position.visit, position.attempt + 1)


def _enter(steps: Steps, path: str, node: CompiledNode, visit: int, attempt: int) -> None:
    if node.node.wait is not None:
        begin_wait(steps, path, node, visit, attempt)
    elif node.node.graph is not None:
        call(steps, path, node, visit, attempt)
    else:
        enter(steps, path, node, visit, attempt)


def _has_arrived(steps: Steps, path: str, position: Position) -> bool:
    """Tell whether a branch stands before the node at which it joins the others."""
    if path == ROOT:
        return False
    parent, index = parent_of(path)
    fork = steps.scope(parent).fork
    return index is not None and fork is not None and fork.join == position.node


def _tell_interrupted(steps: Steps) -> None:
    """Say of each attempt that was cut off that it was."""
    if not steps.run.count("interrupted"):
        return
    for scope in list(within(steps.run, ROOT)):
        if steps.is_full:
            return
        if scope.position is not None and scope.position.phase == "interrupted":
            _interrupted(steps, steps.place(scope.path), 0.0)


def _interrupted(steps: Steps, place: Place, duration_ms: float) -> None:
    if steps.run.halt == "time":
        error = ErrorInfo("Interrupted", _time_is_up(steps.run))
    else:
        error = ErrorInfo("Lost", "the engine stopped while this attempt ran")
    steps.emit(NodeAttemptFailed(**where(place), error=error, duration_ms=duration_ms))


def _unsure(steps: Steps) -> RunParked | None:
    """Return why an attempt that was lost must not simply be made again, or None."""
    if steps.run.count("interrupted") or not steps.run.goes_on:
        return None
    for path in steps.agenda:
        position = steps.scope(path).position
        if position is None or not position.unsure:
            continue
        node = steps.node(path)
        if effects_of(steps, node) == "once":
            message = (
                f"{_named(path, node.name)} may have had its effect, and must not have it twice"
            )
            return RunParked(reason="effects-once", message=message, scope=path, node=node.name)
        if position.lost >= LOST_MAX:
            message = f"the engine stopped {LOST_MAX} times while {_named(path, node.name)} ran"
            return RunParked(reason="crash-loop", message=message, scope=path, node=node.name)
    return None


def _named(path: str, node: str) -> str:
    return f"node {node!r}" if path == ROOT else f"node {node!r} of {path}"


def _parked(run: Run) -> RunParked:
    steps = f"the run has entered {run.steps:,} nodes, which is its limit"
    return RunParked(reason="limit", message=_time_is_up(run) if run.halt == "time" else steps)


def _time_is_up(run: Run) -> str:
    return f"nodes of the run have run for {run.limits.time_s:g} s, which is its limit"
