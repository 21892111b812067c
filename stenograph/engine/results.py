"""What a tool gave back, as what it changed in the state and where it wants to go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stenograph.engine.draft import Draft
from stenograph.engine.errors import NotJson
from stenograph.engine.rules import Rules
from stenograph.engine.secrecy import Secrecy
from stenograph.engine.state import State, Update
from stenograph.engine.tools import NEXT_NODE, Goto
from stenograph.engine.values import pointer


def read_result(
    state: State, draft: Draft, value: Any, rules: Rules, secrecy: Secrecy
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
        kind = type(value).__name__
        raise NotJson(
            "", f"a tool returns a dict of what changed, None or Goto; this one returned {kind}"
        )
    returned = dict(value)
    spelled = returned.pop(NEXT_NODE, None)
    if NEXT_NODE in draft.touched():
        in_place = draft.pop(NEXT_NODE, None)  # in any case: it is no part of the state
        spelled = in_place if spelled is None else spelled
    if not isinstance(spelled, str | None):
        raise NotJson(pointer(NEXT_NODE), "is the name of a node, as text")
    secrets = secrecy.seal(state, draft, returned, rules)
    update = state.update(draft, returned, rules)
    secrecy.check(update.patch)
    secrecy.check_goto(goto or spelled)
    return update, goto or spelled, secrets
