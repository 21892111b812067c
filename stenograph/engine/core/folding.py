"""Folding: a run as its events tell it, by the one reducer.

No clock, no I/O, no randomness, and no condition is evaluated here: outcomes, patches and verdicts
are in the events, so every machine and every later version folds the same history to the same run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import UNSET

from stenograph.engine.core.events import (
    Event,
    GraphCreated,
    LimitReached,
    LogWritten,
    Payload,
    RunCancelled,
    RunCancelling,
    RunCompleted,
    RunCreated,
    RunErased,
    RunFailed,
    RunLimits,
    RunMigrated,
    RunParked,
    RunPaused,
    RunPausing,
    RunRecovered,
    RunResumed,
    RunRetried,
    SignalReceived,
)
from stenograph.engine.core.folding_scopes import OF_A_SCOPE
from stenograph.engine.core.inheritance import inherit
from stenograph.engine.core.placing import begin, drop, drop_branches, move, place
from stenograph.engine.core.regraphing import regraph
from stenograph.engine.core.run import GOING, Halt, Kept, Keyed, Run, Status, key_id
from stenograph.engine.core.scopes import ROOT, Branch, Fork, Scope, call_path
from stenograph.engine.core.standing import position_of
from stenograph.engine.state.patch import target
from stenograph.engine.state.state import State
from stenograph.engine.state.vault import name_in_json

_STATUS: Final[Mapping[type[Payload], Status]] = {
    RunCreated: "running",
    RunPaused: "paused",
    RunParked: "parked",
    RunResumed: "running",
    RunRetried: "running",
    RunCancelling: "cancelling",
    RunCompleted: "completed",
    RunFailed: "failed",
    RunCancelled: "cancelled",
}
"""The status that an event of each type leads to; the other types leave it as it is."""
_HALT: Final[Mapping[str, Halt]] = {"steps": "limit", "time_s": "time", "events": "events"}
"""Why nothing new is begun, by the limit that was reached."""


def fold(events: Iterable[Event], run: Run | None = None) -> Run:
    """Return what a run is after ``events``, going on from ``run``, which stays as it was."""
    result = Run() if run is None else run.copy()
    for event in events:
        evolve(result, event)
    return result


def evolve(run: Run, event: Event) -> None:
    """Change ``run``, which the caller owns, by what has happened; it never refuses."""
    run.id = event.run_id
    take_in(run, event.data, event.seq, event.at)


def take_in(run: Run, payload: Payload, seq: int, at: str) -> None:
    """Change ``run`` by an event of it that needs no record yet, as ``evolve`` does."""
    run.seq, run.updated_at = seq, at
    if (change := OF_A_SCOPE.get(type(payload))) is not None:
        change(run, payload, seq, at)
    else:
        run.status = _STATUS.get(type(payload), run.status)
        _of_the_run(run, payload, seq, at)
    if run.status in GOING:
        run.status = "waiting" if run.only_waits else "running"


def _of_the_run(run: Run, payload: Payload, seq: int, at: str) -> None:
    """Take in what happened to the run as a whole."""
    match payload:
        case RunCreated() as created:
            _created(run, created, seq, at)
        case RunPausing(reason=reason):
            run.halt, run.reason = "pause", reason
        case RunPaused() | RunErased() | LogWritten() | GraphCreated():
            pass
        case SignalReceived() as signal:
            kept = Kept(seq, bytes(signal.payload), signal.scope)
            run.signals[signal.name] = (*run.signals.get(signal.name, ()), kept)
            _remember(run, signal, seq)
        case LimitReached(limit=limit):
            run.halt = _HALT[limit]
            if limit == "time_s":
                _interrupt(run)
        case RunParked() as parked:
            run.reason, run.parked_at = parked.reason, (parked.scope, parked.node)
        case RunResumed(limits=limits) as resumed:
            _go_on(run, limits)
            _remember(run, resumed, seq)
        case RunRetried(limits=limits) as retried:
            _reopen(run)
            _go_on(run, limits)
            _remember(run, retried, seq)
        case RunMigrated() as migrated:
            run.graph_id, run.version = migrated.graph_id, migrated.version
            regraph(run, bytes(migrated.graph), migrated.graphs)
            _remember(run, migrated, seq)
        case RunRecovered():
            _interrupt(run)
        case RunCancelling(reason=reason):
            run.reason = reason
        case RunCompleted(reason=reason):
            run.reason = reason
            _end(run, at)
        case RunFailed(error=error, scope=scope):
            run.error, run.finished_at, run.failed_in = error, at, scope
        case RunCancelled():
            _end(run, at)
        case _:
            raise AssertionError(f"not an event of a run as a whole: {type(payload).__name__}")


def _created(run: Run, created: RunCreated, seq: int, at: str) -> None:
    run.graph_id, run.version, run.graph = created.graph_id, created.version, bytes(created.graph)
    run.graphs, run.limits, run.tags = created.graphs, created.limits, created.tags
    run.key, run.request, run.turn = created.key, created.request, created.turn
    run.created_at, run.origin, run.rerun = at, created.origin, created.rerun
    run.traceparent = created.traceparent
    state = State.from_json(bytes(created.state))
    if created.inherited is UNSET:
        begin(run, Scope(ROOT, state, graph=run.graph))
    else:
        inherit(run, bytes(created.inherited), state)
    for path, patch in created.patches.items():
        scope = run.scopes[path]
        scope.state.apply(patch)
        scope.changed |= {target(op)[0]: seq for op in patch if path != ROOT}


def _remember(
    run: Run, asked: SignalReceived | RunResumed | RunRetried | RunMigrated, seq: int
) -> None:
    """Keep what was asked with a key, so that the same again is known as that."""
    if asked.key is None:
        return
    secret: str | None = None
    if isinstance(asked, SignalReceived) and bytes(asked.payload).startswith(b'{"$secret":'):
        secret = name_in_json(bytes(asked.payload))  # only then: a payload may be large
    run.keyed[key_id(asked.actor, asked.key)] = Keyed(seq, asked.request or "", secret or "")


def _interrupt(run: Run) -> None:
    """Cut off what runs: the engine stopped, or the time was up."""
    for scope in list(run.scopes.values()) if run.count("running") else ():
        if scope.position is not None and scope.position.phase == "running":
            move(run, scope.position, "interrupted")


def _go_on(run: Run, limits: RunLimits | None) -> None:
    """Let a run go on; of what may have had its effect a person has judged what parked it."""
    path, node = run.parked_at
    if node and path in run.scopes:
        judged = position_of(run, path)
        judged.lost, judged.unsure = 0, False
    run.limits = limits or run.limits
    run.halt, run.reason, run.parked_at = "", "", ("", "")


def _reopen(run: Run) -> None:
    """Take a failed run up where it was: what failed is to be entered again, with a fresh budget."""
    run.error, run.finished_at = None, None
    failed = {run.failed_in}
    for scope in run.scopes.values():
        if scope.fork is not None:
            failed |= {each.failed_in for each in scope.fork.branches.values() if each.error}
    for scope in list(run.scopes.values()):
        position = position_of(run, scope.path)
        if scope.fork is not None:
            _reopen_branches(scope.fork)
        position.tries = position.lost = 0
        if position.phase == "left" and scope.path not in failed:
            continue  # it has come to its end, and only that is still to be said
        if position.phase in ("left", "stopped", "running", "interrupted"):
            had_effect = position.phase == "left" and position.kind == "ok"  # its edges failed
            position.unsure |= had_effect or position.phase in ("running", "interrupted")
            move(run, position, "to-enter")


def _reopen_branches(fork: Fork) -> None:
    for index in range(fork.next):
        branch = fork.branches[index]
        if branch.status == "cancelled" or (branch.status == "error" and not fork.collects):
            fork.branches[index] = Branch("open")
            fork.open += 1
    fork.failed = 0


def _end(run: Run, at: str) -> None:
    run.finished_at = at
    root, at_last = run.scopes[ROOT], position_of(run, ROOT)
    drop_branches(run, root)
    drop(run, call_path(ROOT, at_last.node, at_last.visit))
    place(run, root, None)
