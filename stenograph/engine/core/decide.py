"""What follows from a command: (run, command) → events. Pure: no clock, no I/O, no randomness."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, assert_never

from msgspec import Raw, Struct

from stenograph.engine.core.commands import (
    Advance,
    Cancel,
    Command,
    Due,
    Fail,
    Inheritance,
    Migrate,
    Outside,
    Pause,
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
from stenograph.engine.core.entering import set_time_limit
from stenograph.engine.core.events import (
    LimitReached,
    Payload,
    RunCancelled,
    RunCancelling,
    RunCreated,
    RunFailed,
    RunLimits,
    RunMigrated,
    RunPausing,
    RunRecovered,
    RunResumed,
    RunRetried,
)
from stenograph.engine.core.keying import check_seq, is_repeat, marks
from stenograph.engine.core.leaving import fall_short, leave, leave_failed
from stenograph.engine.core.migration import misfits
from stenograph.engine.core.run import GOING, Run
from stenograph.engine.core.scopes import ROOT, Layer
from stenograph.engine.core.settling import (
    enter_next,
    interrupted,
    look_everywhere,
    remainder,
    settle,
)
from stenograph.engine.core.standing import due_at, places, running_at, within
from stenograph.engine.core.steps import BUDGET, Steps
from stenograph.engine.core.waits import begin_later, receive, take_turn, time_out
from stenograph.engine.errors import MigrationRefused, NotHeld, NotJson, RunFinished, RunTooLong
from stenograph.engine.tools.tools import NEXT_NODE
from stenograph.engine.values import pointer


class Decision(Struct, frozen=True, gc=False):
    """What follows from a command: the events, ``at`` what time, and the run as they will leave it.

    ``is_partial``: there is more than one commit may hold; Advance goes on with ``rest``.
    """

    events: list[Payload]
    at: str
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

    Raises Unanswered when predicates must be asked first, TooLong when there is haste and it takes
    longer, and EngineError for what somebody asked and cannot have: RunFinished, NotHeld, RunTooLong,
    UnknownSignal, SignalRefused, TooManySignals, NotJson, KeyReused, TooManyKeys, PreconditionFailed.
    """
    steps = Steps(run, outside)
    _obey(steps, command)
    settle(steps)
    is_partial, rest = remainder(steps)
    return Decision(steps.events, steps.at, steps.run, is_partial, rest)


def _obey(steps: Steps, command: Command) -> None:
    run = steps.run
    match command:
        case ToolReturned() | ToolFailed():  # first, since it is asked the most often
            if running_at(run, command.place.scope) == command.place:
                _settled(steps, command)
        case Start():
            _start(steps, command)
        case Signal() | Resume() | Retry() | Pause() | Migrate():
            seq = run.seq
            if isinstance(command, Pause) or not is_repeat(run, command):
                _asked(steps, command)
                # Not before: what would be refused in any case is refused for that reason.
                check_seq(run.id, seq, command.if_seqs)
        case Cancel(if_seqs=if_seqs) if run.status == "cancelled":
            check_seq(run.id, run.seq, if_seqs)  # somebody else's came first
        case _ if run.seq == 0 or run.ended:
            pass
        case Due(scope=path, at=at):
            if due_at(run, path) == at:
                _due(steps, path, at)
        case Turn():
            _turn(steps)
        case TimeUp(running_ms=running_ms):
            _time_up(steps, running_ms)
        case Cancel(actor=actor, reason=reason, if_seqs=if_seqs):
            check_seq(run.id, run.seq, if_seqs)
            _cancel(steps, actor, reason)
        case Stopped():
            if run.status == "cancelling":
                steps.emit(RunCancelled())
        case Recover():
            _recover(steps)
        case Advance(scopes=scopes):
            if scopes is None:
                look_everywhere(steps)
            else:
                steps.agenda.update(dict.fromkeys(each for each in scopes if each in run.scopes))
        case Fail(error=error):
            steps.emit(RunFailed(error=error))
        case _:
            assert_never(command)


def _asked(steps: Steps, command: Signal | Resume | Retry | Pause | Migrate) -> None:
    """Do what a person asked, or say why it cannot be."""
    run = steps.run
    if isinstance(command, Retry):
        if run.status != "failed":
            raise NotHeld(run.id, run.status, "retry", "failed")
        _check_length(steps)
        steps.emit(RunRetried(actor=command.actor, limits=command.limits, **marks(run, command)))
        _set_timers_anew(steps)
        look_everywhere(steps)
    elif isinstance(command, Resume):
        _resume(steps, command)
    elif run.ended or run.status == "cancelling":
        raise RunFinished(run.id, run.status)
    elif isinstance(command, Signal):
        receive(steps, command)
    elif isinstance(command, Migrate):
        _migrate(steps, command)
    elif run.status in GOING and run.halt != "pause":
        steps.emit(RunPausing(actor=command.actor, reason=command.reason))


def _migrate(steps: Steps, asked: Migrate) -> None:
    run = steps.run
    if (run.graph, run.graph_id, run.graphs) == (asked.graph, asked.graph_id, asked.graphs):
        return
    if faults := misfits(run, asked.graph, asked.graphs):
        raise MigrationRefused(run.id, faults)
    _check_length(steps)
    steps.emit(
        RunMigrated(
            actor=asked.actor,
            graph_id=asked.graph_id,
            version=asked.version,
            graph=Raw(asked.graph),
            graphs=asked.graphs,
            **marks(run, asked),
        )
    )


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
            rerun=start.rerun,
            traceparent=start.traceparent,
            **_inherited(start.inheritance),
        )
    )
    if start.inheritance is not None:
        for signal in start.inheritance.signals:
            receive(steps, signal)
        look_everywhere(steps)
        return
    due_at = steps.due(start.delay_s) if start.delay_s else None
    if start.is_queued or due_at is not None:
        begin_later(steps, "turn" if start.is_queued else "delay", due_at)
    steps.agenda[ROOT] = None


def _inherited(given: Inheritance | None) -> dict[str, Any]:
    """Return the fields that say where a fork comes from and what it takes over."""
    if given is None:
        return {}
    return {
        "origin": given.origin,
        "inherited": Raw(given.data),
        "patches": dict(given.patches),
    }


def _settled(steps: Steps, command: ToolReturned | ToolFailed) -> None:
    if isinstance(command, ToolReturned):
        update, duration_ms = command.update, command.duration_ms
        leave(steps, command.place, update, goto=command.goto, duration_ms=duration_ms)
    elif command.is_final:
        outcome, error = command.outcome, command.error
        leave_failed(steps, command.place, outcome, error, duration_ms=command.duration_ms)
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
        enter_next(steps, path)
    else:
        time_out(steps, path, at)


def _turn(steps: Steps) -> None:
    position = steps.scope(ROOT).position
    if position is not None and position.phase == "waiting" and position.kind == "turn":
        take_turn(steps)


def _time_up(steps: Steps, running_ms: Mapping[str, float]) -> None:
    run = steps.run
    if run.status == "running" and run.limits.time_s is not None and not run.halt:
        cut_off = places(run)
        steps.emit(LimitReached(limit="time_s", value=run.limits.time_s))
        for place in cut_off[:BUDGET]:
            interrupted(steps, place, running_ms.get(place.scope, 0.0))


def _cancel(steps: Steps, actor: str, reason: str) -> None:
    if steps.run.status != "cancelling":
        runs = steps.run.status in GOING and steps.run.count("running")
        steps.emit(RunCancelling(actor=actor, reason=reason))
        if not runs:
            steps.emit(RunCancelled())


def _check_length(steps: Steps) -> None:
    """Raise RunTooLong where a run would only come to its end again: each time would be in it."""
    if steps.run.seq >= (most := steps.outside.bounds.run_events):
        raise RunTooLong(steps.run.id, steps.run.seq, most)


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
    _check_length(steps)
    steps.emit(RunResumed(actor=resume.actor, limits=resume.limits, **marks(run, resume)))
    if resume.result is not None:
        result, bounds = dict(resume.result), steps.outside.bounds
        goto = result.pop(NEXT_NODE, None)
        if not isinstance(goto, str | None):
            raise NotJson(pointer(NEXT_NODE), "is the name of a node, as text")
        update = steps.scope(path).state.accept(result, steps.graph(path).rules, bounds)
        leave(steps, steps.place(path), update, goto=goto)
    look_everywhere(steps)


def _recover(steps: Steps) -> None:
    run = steps.run
    if run.status == "cancelling":
        steps.emit(RunRecovered(lost=0))
        steps.emit(RunCancelled())
    elif lost := len(places(run)):
        steps.emit(RunRecovered(lost=lost))
    look_everywhere(steps)
