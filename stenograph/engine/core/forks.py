"""Forks: entering branches, stopping those that nobody waits for any more, and joining."""

from __future__ import annotations

from typing import Any, Final

from stenograph.engine.core.commands import Place
from stenograph.engine.core.edges import CompiledNode
from stenograph.engine.core.entering import is_at_limit
from stenograph.engine.core.events import BranchEnded, ErrorInfo, ForkJoined
from stenograph.engine.core.leaving import fail, patch
from stenograph.engine.core.scopes import Branch, Fork, branch_path
from stenograph.engine.core.standing import branches_of
from stenograph.engine.core.steps import Steps, refusal, where
from stenograph.engine.errors import WriteRefused
from stenograph.engine.state.merge import Change, merge
from stenograph.engine.state.state import Update

ERRORS: Final = "errors"
"""The key of the state in which a fork that collects puts what its branches failed of."""
ERRORS_MAX: Final = 1000
"""So many stand there; of more the last entry gives the number, and all are in the events."""
CHANGE_BYTES: Final = 64
"""What a branch counts for besides when it joins."""
MESSAGE_MAX_CHARS: Final = 200
"""How much of each message stands there; the whole is in the branch's own events."""


def tend(steps: Steps, path: str) -> tuple[Place, CompiledNode] | None:
    """Do the next thing about an open fork; returns where a branch is to be entered, and its node.

    None when there is nothing more to do for now, or the fork is no longer open.
    """
    fork = steps.scope(path).open_fork
    if fork.is_decided:
        if _stop_the_rest(steps, path, fork):
            _close(steps, path, fork)
        return None
    has_room = fork.width is None or fork.open < fork.width
    if not (fork.next < fork.count and has_room and steps.run.goes_on) or is_at_limit(steps):
        return None
    at = steps.position(path)
    target = steps.graph(path).nodes[fork.target(fork.next)]
    branch = branch_path(path, at.node, at.visit, fork.next)
    return Place(branch, target.name, 1, 1), target


def _stop_the_rest(steps: Steps, path: str, fork: Fork) -> bool:
    """Stop the branches that are still open; False when there are more than fit here."""
    if fork.open:
        for index, branch in enumerate(branches_of(steps.scope(path))):
            if fork.branches[index].status == "open":
                if steps.is_full:
                    steps.agenda[path] = None
                    return False
                steps.emit(BranchEnded(scope=branch, outcome="cancelled"))
    return True


def _close(steps: Steps, path: str, fork: Fork) -> None:
    if fork.failure:
        first = next(each for each in _branches(fork) if each.status == "error")
        assert first.error is not None
        fail(steps, path, first.error, Place(first.failed_in, first.node, first.visit, 0))
        return
    place = steps.place(path)
    try:
        update = _merged(steps, path, place, fork)
    except WriteRefused as refused:
        error = refusal(refused, place)
        steps.emit(_joined(place, fork, error))
        fail(steps, path, error, place)
        return
    steps.emit(_joined(place, fork, None))
    patch(steps, place, update)
    steps.agenda[path] = None


def _merged(steps: Steps, path: str, place: Place, fork: Fork) -> Update:
    state = steps.scope(path).state
    changes = [
        Change(branch_path(path, place.node, place.visit, index), branch.changed)
        for index, branch in enumerate(_branches(fork))
        if branch.changed
    ]
    beside = {ERRORS: _errors(fork)} if fork.collects else {}
    steps.wrote(sum(map(_size, changes)))
    return merge(state, changes, steps.graph(path).rules, beside, steps.outside.bounds)


def _size(change: Change) -> int:
    """Return about how many bytes a branch brings to its join."""
    return CHANGE_BYTES + sum(len(data or b"") for data, _ in change.values.values())


def _errors(fork: Fork) -> list[dict[str, Any]]:
    """Return what the branches failed of, in their order."""
    errors = [
        {
            "branch": index,
            "node": branch.node,
            "type": error.type,
            "message": error.message[:MESSAGE_MAX_CHARS],
        }
        for index, branch in enumerate(_branches(fork))
        if (error := branch.error) is not None
    ]
    more = len(errors) - ERRORS_MAX
    return errors if more <= 0 else [*errors[:ERRORS_MAX], {"more": more}]


def _joined(place: Place, fork: Fork, error: ErrorInfo | None) -> ForkJoined:
    branches = _branches(fork)
    return ForkJoined(
        **where(place),
        join=fork.join,
        arrived=sum(branch.status == "ok" for branch in branches),
        failed=sum(branch.status == "error" for branch in branches),
        cancelled=sum(branch.status == "cancelled" for branch in branches),
        error=error,
    )


def _branches(fork: Fork) -> list[Branch]:
    return [fork.branches[index] for index in range(fork.next)]
