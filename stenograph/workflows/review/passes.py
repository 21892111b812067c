"""Passes: whether another may help, and what it changes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import stenograph as st
from stenograph.workflows.review import fixes, inputs
from stenograph.workflows.review.measuring import plain, rules_of
from stenograph.workflows.review.states import Fix, ToFix

PATIENCE: Final = 2
"""Passes in a row that may go by without a better score than all before."""

DIFFS_MAX: Final = 65_536
"""Most characters of diff that a run keeps, over all its passes."""


def stopped_by(
    state: Mapping[str, Any], *, max_passes: int, threshold: float | None = None
) -> str | None:
    """Return why there is no other pass over a source that was measured, or None.

    Without a ``threshold`` no score is good enough.
    """
    scores = state["scores"]
    if state.get("syntax_error"):
        return "syntax-error"
    if threshold is not None and state["quality_score"] >= threshold:
        return "threshold"
    if len(scores) >= max_passes:
        return "max-passes"
    # One pass may fall: a newer spelling leaves an import unused, which the next pass removes.
    if len(scores) > PATIENCE and max(scores[-PATIENCE:]) <= max(scores[:-PATIENCE]):
        return "no-rise"
    return None


async def fixed(state: ToFix, ctx: st.Context) -> Fix | None:
    """Apply one group's safe fixes; return the update, or None when that changes nothing."""
    code, path, earlier = inputs.code_of(state), inputs.name_of(state), state.get("fixes", [])
    target = state["target_version"]
    warn = partial(ctx.log, level="warning")
    done = await fixes.apply_one_group(code, rules_of(state), path=path, target=target, warn=warn)
    if done is None:
        return None
    group, names, result = done
    room = DIFFS_MAX - sum(len(fix["diff"]) for fix in earlier)
    fix = fixes.describe(result, group, names, number=state["passes"], path=path, room=room)
    return {
        "code": result.code,
        "fixed": state.get("fixed", 0) + fix.fixed,
        "fixes": [*earlier, plain(fix)],
    }
