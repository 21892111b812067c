"""Placing: how scopes come into a run, move in it and leave it; all that changes where they stand."""

from __future__ import annotations

from stenograph.engine.core.edges import compile_graph
from stenograph.engine.core.run import Run
from stenograph.engine.core.scopes import Phase, Position, Scope, call_path
from stenograph.engine.core.standing import branches_of, position_of, within


def begin(run: Run, scope: Scope, node: str | None = None) -> None:
    """Put a scope into the run, before its first node."""
    drop(run, scope.path)
    run.scopes[scope.path] = scope
    first = node or compile_graph(scope.graph).graph.start
    place(run, scope, Position(first, 1, 0, "to-enter"))


def aim(run: Run, scope: Scope, node: str) -> None:
    """Put a scope before the next visit of a node."""
    visit = scope.visits.get(node, 0) + 1
    place(run, scope, Position(node, visit, 0, "to-enter"))


def drop(run: Run, path: str) -> None:
    """Take a scope out of the run, and all within it."""
    scope = run.scopes.pop(path, None)
    if scope is not None:
        drop_branches(run, scope)
        if scope.position is not None and scope.position.phase == "calling":
            drop(run, call_path(path, scope.position.node, scope.position.visit))
        place(run, scope, None)


def drop_branches(run: Run, scope: Scope) -> None:
    """Close the fork of a scope, if one is open, and take its branches out of the run."""
    for path in branches_of(scope):
        drop(run, path)
    scope.fork = None


def stop(run: Run, path: str) -> None:
    """Stop a branch and all within it, but keep where they stand."""
    for each in within(run, path):
        position = position_of(run, each.path)
        position.retry_at = position.due_at = None
        if position.phase not in ("forked", "calling", "left"):
            position.unsure |= position.phase == "running"
            move(run, position, "stopped")


def place(run: Run, scope: Scope, position: Position | None) -> None:
    """Put a scope somewhere: the only place that does, so that the phases are counted right."""
    if scope.position is not None:
        run.phases[scope.position.phase] -= 1
    scope.position = position
    if position is not None:
        run.phases[position.phase] = run.phases.get(position.phase, 0) + 1


def move(run: Run, position: Position, phase: Phase) -> None:
    """Have a scope go over into another phase where it stands."""
    run.phases[position.phase] -= 1
    position.phase = phase
    run.phases[phase] = run.phases.get(phase, 0) + 1
