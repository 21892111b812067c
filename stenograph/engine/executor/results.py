"""Results: what came of an attempt, as the command that says what it means for its run."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from stenograph.engine.bounds import Bounds
from stenograph.engine.core.commands import ToolFailed, ToolReturned
from stenograph.engine.core.edges import compile_graph
from stenograph.engine.core.events import ErrorInfo
from stenograph.engine.core.scopes import Scope
from stenograph.engine.core.secrecy import Secrecy
from stenograph.engine.errors import EngineClosed, NotJson, WriteRefused
from stenograph.engine.executor.attempt import Attempt, Raised, Recalled, Result, raised
from stenograph.engine.executor.recordings import Recorded
from stenograph.engine.state.rules import Rules
from stenograph.engine.state.state import State, Update
from stenograph.engine.tools.draft import Draft
from stenograph.engine.tools.tools import NEXT_NODE, Goto
from stenograph.engine.values import pointer


def to_command(
    attempt: Attempt, result: Result, scope: Scope | None, secrecy: Secrecy, bounds: Bounds
) -> ToolReturned | ToolFailed:
    """Turn an attempt's result into a command; ``scope`` is where it ran, None when that is gone."""
    if isinstance(result, Recalled):
        return _recalled(attempt, result.recorded)
    if not isinstance(result, Raised) and scope is not None:
        try:
            return _returned(attempt, result.value, scope, secrecy, bounds)
        except WriteRefused as error:
            result = Raised(ErrorInfo(error.code, secrecy.told(error)), (error.code,))
        except BaseException as error:  # what a tool returned may be any object, and raise
            result = raised(error)
    failed = result if isinstance(result, Raised) else raised(EngineClosed())
    return ToolFailed(
        place=attempt.place,
        outcome="timeout" if failed.timed_out else "error",
        error=replace(secrecy.mask_error(failed.error), node=attempt.place.node),
        types=failed.types,
        duration_ms=attempt.running_ms(),
    )


def _recalled(attempt: Attempt, recorded: Recorded) -> ToolReturned | ToolFailed:
    """Return a recorded result as it was then: it was checked, reduced and freed of secrets."""
    duration_ms = attempt.running_ms()
    if recorded.error is None:
        return ToolReturned(
            place=attempt.place,
            update=Update(recorded.patch),
            goto=recorded.goto,
            duration_ms=duration_ms,
        )
    return ToolFailed(
        place=attempt.place,
        outcome=recorded.outcome,
        error=recorded.error,
        types=recorded.types,
        duration_ms=duration_ms,
        is_final=recorded.is_final,
    )


def _returned(
    attempt: Attempt, value: Any, scope: Scope, secrecy: Secrecy, bounds: Bounds
) -> ToolReturned:
    rules = compile_graph(scope.graph).rules
    update, goto, secrets = _read(scope.state, attempt.draft, value, rules, secrecy, bounds)
    return ToolReturned(
        place=attempt.place,
        update=update,
        goto=goto,
        duration_ms=attempt.running_ms(),
        secrets=secrets,
    )


def _read(
    state: State, draft: Draft, value: Any, rules: Rules, secrecy: Secrecy, bounds: Bounds
) -> tuple[Update, str | None, dict[str, bytes]]:
    """Return what a tool changed, where it wants to go, and the secrets that are to be kept apart.

    Raises WriteRefused for what the state may not hold.
    """
    goto: str | None = None
    if isinstance(value, Goto):
        goto, value = value.to, value.update
    if value is None or value is draft:
        value = {}
    if not isinstance(value, Mapping):
        if inspect.iscoroutine(value):
            value.close()  # nobody will ever await it
        kind = type(value).__name__
        raise NotJson(
            "", f"a tool returns a dict of what changed, None or Goto; this one returned {kind}"
        )
    returned = dict(value)
    spelled = returned.pop(NEXT_NODE, None)
    if draft.has_touched(NEXT_NODE):
        in_place = draft.pop(NEXT_NODE, None)  # in any case: it is no part of the state
        spelled = in_place if spelled is None else spelled
    if spelled is not None and not isinstance(spelled, str):
        raise NotJson(pointer(NEXT_NODE), "is the name of a node, as text")
    secrets = secrecy.seal(state, draft, returned, rules)
    update = state.update(draft, returned, rules, bounds)
    secrecy.check(update.patch)
    secrecy.check_goto(goto or spelled)
    return update, goto or spelled, secrets
