"""Review to approval: review a source, fix it and review it again, until it can be approved.

``submit → review → (approve | fix) → review``; where no fix helps any more, a person is asked. The
source is given as to the code review, whose measures these are. docs/code-review.md tells more.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import stenograph as st
from stenograph.workflows.counting import count
from stenograph.workflows.review import inputs, measuring, passes, reporting, suggestions
from stenograph.workflows.review.measuring import AT_ONCE, SUGGESTIONS_MAX, VERSION
from stenograph.workflows.review.scoring import group_named
from stenograph.workflows.review.states import (
    PASSES_MAX,
    Config,
    Decided,
    Fix,
    Measured,
    Reviewed,
    ToDecide,
    ToFix,
    ToReview,
)
from stenograph.workflows.review.suggestions import RuleFindings

TIMEOUT_S: Final = 7 * 86_400
"""For how long a person is asked; then the source is rejected."""

ANSWER: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "approved": {"type": "boolean"},
        "by": {"type": "string", "minLength": 1, "maxLength": 200},
        "reason": {"type": "string", "minLength": 1, "maxLength": 2000},
    },
    "required": ["approved", "by"],
    "additionalProperties": False,
    "if": {"properties": {"approved": {"const": False}}},
    "then": {"required": ["reason"]},
}
"""The JSON Schema of the signal ``approval``: a person approves, or rejects and says why."""

GRAPH: Final[dict[str, Any]] = {
    "id": "code-review-loop",
    "start": "submit",
    "nodes": {
        "submit": {"next": "review"},
        "review": {
            "tool": "review",
            "next": [
                {"to": "approve", "when": "issues_open == 0"},
                {"to": "fix", "when": "review.safe > 0", "max": PASSES_MAX},
                {"to": "ask"},
            ],
        },
        "fix": {"tool": "fix", "next": [{"to": "review", "when": "improved"}, {"to": "ask"}]},
        "ask": {
            "wait": {"signal": "approval", "schema": ANSWER, "timeout_s": TIMEOUT_S},
            "next": [
                {"to": "approve", "when": "approval.approved"},
                {"to": "reject"},
                {"to": "reject", "on": "timeout"},
            ],
        },
        "approve": {"tool": "approve"},
        "reject": {"tool": "reject"},
    },
}
"""The graph, in canonical form."""


@st.tool(effects="pure", version=VERSION, limit=AT_ONCE)
async def review(state: ToReview, config: Config, ctx: st.Context) -> Reviewed:
    """Outline, lint and score ``code``, and count ``issues_open``: what keeps it from approval.

    Open is an issue that has a safe fix, and one that costs ``open_points`` or more (of the config,
    else of the state, else 3). ``review`` says it in words; all that ``extract`` and ``analyze``
    write is written too, and ``suggestions``.
    """
    open_points = inputs.open_points_of(state, config)
    code = await inputs.load(state, ctx)
    outlined = await measuring.outlined(code, ctx)
    measured = await measuring.measured({**state, **outlined}, code, ctx)
    told = _review(measuring.rules_of(measured), measured, open_points)
    ctx.log(told["summary"])
    return {
        **outlined,
        **measured,
        "suggestions": measuring.suggested({**outlined, **measured}),
        "issues_open": told["safe"] + told["person"],
        "review": told,
    }


@st.tool(effects="pure", version=VERSION, limit=AT_ONCE)
async def fix(state: ToFix, config: Config, ctx: st.Context) -> Fix:
    """Apply the safe fixes of one group of rules, the group first that gains most.

    ``improved`` says that ``code`` changed; if not, ``stopped_by`` says why. ``max_passes`` is
    taken from the config, else from the state.
    """
    if "rules" not in state:
        raise ValueError("there are no rules: let the tool review run before fix")
    why = passes.stopped_by(state, max_passes=inputs.max_passes_of(state, config))
    if why is None and (fixed := await passes.fixed(state, ctx)):
        ctx.log(f"pass {state['passes']}: {reporting.applied(fixed['fixes'][-1])}")
        return {**fixed, "improved": True, "stopped_by": None}
    why = why or "no-safe-fix"
    ctx.log(f"pass {state['passes']}: {reporting.STOPS[why]}")
    return {"improved": False, "stopped_by": why}


@st.tool(effects="pure", version=VERSION)
async def approve(state: ToDecide, ctx: st.Context) -> Decided:
    """Set ``approved``, and write the ``verdict``: by whom, of which ``code``, with what left open."""
    return _decided(state, await inputs.load(state, ctx), ctx, approved=True)


@st.tool(effects="pure", version=VERSION)
async def reject(state: ToDecide, ctx: st.Context) -> Decided:
    """Set ``approved`` to false, and write the ``verdict``, as ``approve`` does."""
    return _decided(state, await inputs.load(state, ctx), ctx, approved=False)


TOOLS: Final = (review, fix, approve, reject)


def _review(rules: dict[str, RuleFindings], found: Measured, open_points: float) -> dict[str, Any]:
    """Return what is open and why, of what was measured."""
    heavy = {name for name, rule in rules.items() if group_named(rule.group).points >= open_points}
    safe = sum(rule.safe for rule in rules.values())
    person = sum(rules[name].count - rules[name].safe for name in heavy)
    still_open = {name: rule for name, rule in rules.items() if rule.safe or name in heavy}
    return {
        "summary": (
            f"{safe + person:,} of {count(found['issue_count'], 'issue')} open: "
            f"{safe:,} with a safe fix, {person:,} for a person; "
            f"score {found['quality_score']:.2f}"
        ),
        "open_points": open_points,
        "safe": safe,
        "person": person,
        "comments": [one.text for one in suggestions.write(still_open, [])[:SUGGESTIONS_MAX]],
    }


def _decided(state: ToDecide, code: str, ctx: st.Context, *, approved: bool) -> Decided:
    answer = _answer(state, approved)
    verdict: dict[str, Any] = {
        "approved": approved,
        "by": answer.get("by"),
        "reason": answer.get("reason"),
        "path": inputs.name_of(state) or None,
        "sha256": hashlib.sha256(code.encode(errors="surrogatepass")).hexdigest(),
        "score": state.get("quality_score"),
        "issues_open": state.get("issues_open"),
        "issues": state.get("issue_count"),
        "fixed": state.get("fixed", 0),
    }
    by = f" by {verdict['by']}" if verdict["by"] else ""
    why = f": {verdict['reason']}" if verdict["reason"] else ""
    ctx.log(f"{'approved' if approved else 'rejected'}{by}{why}", sha256=verdict["sha256"])
    return {"approved": approved, "verdict": verdict}


def _answer(state: ToDecide, approved: bool) -> dict[str, Any]:
    """Return what a person said to this end, or why it came without one."""
    answer = state.get("approval")
    if isinstance(answer, dict) and answer.get("approved") is approved:
        return answer
    if not approved:
        return {"reason": "nobody approved it"}
    return {"reason": "no issue is open"} if state.get("issues_open") == 0 else {}
