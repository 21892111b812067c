"""Where a run stands, for reading alone: its open scopes, what should run now, and what is due."""

from __future__ import annotations

from collections.abc import Iterator

from stenograph.engine.core.commands import Place
from stenograph.engine.core.run import GOING, Run
from stenograph.engine.core.scopes import Layer, Position, Scope, branch_path, call_path


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


def within(run: Run, path: str) -> Iterator[Scope]:
    """Yield a scope and those within it that have not ended, the outer first."""
    paths = [path]
    while paths:
        scope = peek(run, paths.pop())
        assert scope is not None, "an open branch, or a graph that is called, has its scope"
        yield scope
        if scope.fork is not None:
            paths += [
                each
                for index, each in enumerate(branches_of(scope))
                if scope.fork.branches[index].status == "open"
            ][::-1]
        elif scope.position is not None and scope.position.phase == "calling":
            paths.append(call_path(scope.path, scope.position.node, scope.position.visit))


def peek(run: Run, path: str) -> Scope | None:
    """Return a scope, which costs nothing, also in a layer over a run; it must not be changed."""
    scopes = run.scopes
    return scopes.peek(path) if isinstance(scopes, Layer) else scopes.get(path)


def branches_of(scope: Scope) -> list[str]:
    """Return the paths of the branches that were entered, in their order."""
    if scope.fork is None:
        return []
    assert scope.position is not None, "a scope with a fork stands at the node that forked"
    node, visit = scope.position.node, scope.position.visit
    return [branch_path(scope.path, node, visit, index) for index in range(scope.fork.next)]


def position_of(run: Run, path: str) -> Position:
    """Return where a scope stands that has not ended."""
    position = run.scopes[path].position
    assert position is not None, "what happens to a scope happens where it stands"
    return position
