"""Settling: what scopes do next once a command is taken in, until there is nothing more to do."""

from __future__ import annotations

from typing import Final

from stenograph.engine.core.commands import Place
from stenograph.engine.core.edges import CompiledNode
from stenograph.engine.core.entering import call, enter, is_at_limit
from stenograph.engine.core.events import ErrorInfo, NodeAttemptFailed, RunParked, RunPaused
from stenograph.engine.core.forks import tend
from stenograph.engine.core.leaving import end
from stenograph.engine.core.retries import effects_of
from stenograph.engine.core.run import GOING, Run
from stenograph.engine.core.scopes import ROOT, Position, parent_of
from stenograph.engine.core.standing import peek, within
from stenograph.engine.core.steps import Steps, where
from stenograph.engine.core.waits import begin_wait, take_signal

LOST_MAX: Final = 3
"""The third lost attempt of a visit parks the run as a crash loop."""


def settle(steps: Steps) -> None:
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


def remainder(steps: Steps) -> tuple[bool, tuple[str, ...]]:
    """Tell whether there is more to do than fitted, and in which scopes.

    Where nothing would follow, no commit would say of the run that it has come to rest.
    """
    if not steps.is_full or steps.run.status not in GOING:
        return False, ()
    rest = tuple(path for path in steps.agenda if _may_go_on(steps.run, path))
    return bool(rest or steps.run.halt or steps.run.count("interrupted")), rest


def look_everywhere(steps: Steps) -> None:
    """Look at every scope that has not ended: some may have something to do next."""
    for scope in within(steps.run, ROOT):
        position = scope.position
        is_idle = position is not None and position.phase in ("running", "backing-off", "calling")
        if not is_idle:
            steps.agenda[scope.path] = None


def enter_next(steps: Steps, path: str) -> None:
    """Enter the node that a scope stands before, or the next attempt at it."""
    at = steps.position(path)
    _enter(steps, Place(path, at.node, at.visit, at.attempt + 1), steps.node(path))


def interrupted(steps: Steps, place: Place, duration_ms: float) -> None:
    """Say of an attempt that was cut off that it was, and why."""
    if steps.run.halt == "time":
        error = ErrorInfo("Interrupted", _time_is_up(steps.run))
    else:
        error = ErrorInfo("Lost", "the engine stopped while this attempt ran")
    steps.emit(NodeAttemptFailed(**where(place), error=error, duration_ms=duration_ms))


def _next(steps: Steps, path: str) -> None:
    """Do the next thing in a scope, if there is any."""
    scope = steps.scope(path)
    position = scope.position
    if scope.fork is not None:
        if (branch := tend(steps, path)) is not None:
            steps.agenda[path] = None
            _enter(steps, *branch)
    elif position is None or not steps.run.goes_on:
        return
    elif position.phase == "waiting" and position.kind == "signal":
        take_signal(steps, path)
    elif position.phase == "to-enter":
        if _has_arrived(steps, path, position):
            end(steps, path, "joined")
        elif position.attempt or not is_at_limit(steps):
            enter_next(steps, path)
    elif position.phase == "left":  # behind a fork that joined at an end
        end(steps, path, "end")


def _may_go_on(run: Run, path: str) -> bool:
    """Tell whether there may be something to do next in a scope, as far as a glance at it tells."""
    scope = peek(run, path)
    fork, at = (None, None) if scope is None else (scope.fork, scope.position)
    if fork is not None:
        has_room = fork.width is None or fork.open < fork.width
        return fork.is_decided or (run.goes_on and has_room and fork.next < fork.count)
    if at is not None and at.phase == "waiting":
        kept = run.signals.get(at.signal or "", ())
        return run.goes_on and any(each.scope in (None, path) for each in kept)
    phase = "" if at is None else at.phase
    return phase == "interrupted" or (run.goes_on and phase in ("to-enter", "left"))


def _enter(steps: Steps, place: Place, node: CompiledNode) -> None:
    if node.node.wait is not None:
        begin_wait(steps, place, node)
    elif node.node.graph is not None:
        call(steps, place, node)
    else:
        enter(steps, place, node)


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
            interrupted(steps, steps.place(scope.path), 0.0)


def _unsure(steps: Steps) -> RunParked | None:
    """Return why an attempt that was lost must not simply be made again, or None."""
    if steps.run.count("interrupted") or not steps.run.goes_on:
        return None
    for path in steps.agenda:
        scope = peek(steps.run, path)
        position = None if scope is None else scope.position
        if position is None or not position.unsure:
            continue
        node = steps.node(path)
        if effects_of(steps, node) == "once" and not _is_answered(steps.run, node):
            message = (
                f"{_named(path, node.name)} may have had its effect, and must not have it twice"
            )
            return RunParked(reason="effects-once", message=message, scope=path, node=node.name)
        if position.lost >= LOST_MAX:
            message = f"the engine stopped {LOST_MAX} times while {_named(path, node.name)} ran"
            return RunParked(reason="crash-loop", message=message, scope=path, node=node.name)
    return None


def _is_answered(run: Run, node: CompiledNode) -> bool:
    """Tell whether a run is a rerun that does not call a node's tool, but is told what came of it."""
    return run.rerun is not None and node.tool not in run.rerun.tools


def _named(path: str, node: str) -> str:
    return f"node {node!r}" if path == ROOT else f"node {node!r} of {path}"


def _parked(run: Run) -> RunParked:
    match run.halt:
        case "time":
            message = _time_is_up(run)
        case "events":
            message = "the run has as many events as one may have: fork it to go on"
        case _:
            message = f"the run has entered {run.steps:,} nodes, which is its limit"
    return RunParked(reason="limit", message=message)


def _time_is_up(run: Run) -> str:
    return f"nodes of the run have run for {run.limits.time_s:g} s, which is its limit"
