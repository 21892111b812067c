"""Code review: outline a source, lint it, score it and fix it, until it is good enough.

``extract → analyze → suggest``, again while that helps, then ``report``. The source is the state's
``code``, or a file in the data folder, ``path``; ``threshold`` and ``max_passes`` are optional.
docs/code-review.md tells what a pass does and how the score comes about.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import stenograph as st
from stenograph.workflows.review import inputs, measuring, passes, reporting
from stenograph.workflows.review.measuring import AT_ONCE, VERSION
from stenograph.workflows.review.states import (
    PASSES_MAX,
    Config,
    Measured,
    Outlined,
    Reported,
    Source,
    Suggested,
    ToImprove,
    ToMeasure,
    ToReport,
)

GRAPH: Final[dict[str, Any]] = {
    "id": "code-review",
    "start": "extract",
    "nodes": {
        "extract": {
            "tool": "extract",
            "next": [{"to": "report", "when": "syntax_error"}, {"to": "analyze"}],
        },
        "analyze": {"tool": "analyze", "next": "suggest"},
        "suggest": {
            "tool": "suggest",
            "next": [{"to": "extract", "when": "improved", "max": PASSES_MAX}, {"to": "report"}],
        },
        "report": {"tool": "report"},
    },
}
"""The graph, in canonical form."""


@st.tool(effects="pure", version=VERSION, limit=AT_ONCE)
async def extract(state: Source, ctx: st.Context) -> Outlined:
    """Outline ``code``: ``functions``, ``classes``, ``imports``, their ``counts``, its ``lines``.

    A source that is no Python has a ``syntax_error {message, line, column}``; else that is null.
    """
    return await measuring.outlined(await inputs.load(state, ctx), ctx)


@st.tool(effects="pure", version=VERSION, limit=AT_ONCE)
async def analyze(state: ToMeasure, ctx: st.Context) -> Measured:
    """Lint ``code`` with ruff and score it: ``quality_score``, ``scoring``, ``scores``, ``passes``.

    Also ``issue_count`` and ``fixable_count``, ``rules`` with what each found, ``issues``, the
    weightiest first, and ``complexity``. What is no Python scores 0.
    """
    return await measuring.measured(state, await inputs.load(state, ctx), ctx)


@st.tool(effects="pure", version=VERSION, limit=AT_ONCE)
async def suggest(state: ToImprove, config: Config, ctx: st.Context) -> Suggested | st.Goto:
    """Write ``suggestions``, and below the threshold apply the safe fixes of one group of rules.

    ``threshold`` and ``max_passes`` are taken from the config, else from the state. ``improved``
    says that ``code`` changed, so that another pass may help; if not, ``stopped_by`` says why.
    Where no edge leads on, it goes back to the start itself, and in the end writes the ``report``.
    """
    if "quality_score" not in state:
        raise ValueError("there is no quality_score: let the tool analyze run before suggest")
    update = await _suggested(state, config, ctx)
    if not ctx.is_last:
        return update
    # In a branch of a fork, the start is the node that opened it: that would fork without end.
    if update["improved"] and not ctx.scope.endswith("]/"):
        return st.Goto(ctx.start, update)
    return {**update, "report": _reported({**state, **update}, update["threshold"], ctx)}


@st.tool(effects="pure", version=VERSION)
def report(state: ToReport, config: Config, ctx: st.Context) -> Reported:
    """Sum the review up in ``report``; a source that is no Python has the score 0."""
    if state.get("syntax_error"):
        state = {"stopped_by": "syntax-error", **state, "quality_score": 0.0}
        state["suggestions"] = measuring.suggested(state)
    whole = _reported(state, inputs.threshold_of(state, config), ctx)
    return {"quality_score": whole["score"], "report": whole}


TOOLS: Final = (extract, analyze, suggest, report)


async def _suggested(state: ToImprove, config: Config, ctx: st.Context) -> Suggested:
    threshold = inputs.threshold_of(state, config)
    max_passes = inputs.max_passes_of(state, config)
    place = f"pass {state['passes']}: score {state['quality_score']:.2f} of {threshold:g}"
    update: Suggested = {"suggestions": measuring.suggested(state), "threshold": threshold}
    why = passes.stopped_by(state, max_passes=max_passes, threshold=threshold)
    if why is None and (fixed := await passes.fixed(state, ctx)):
        ctx.log(f"{place}; {reporting.applied(fixed['fixes'][-1])}")
        return {**update, **fixed, "improved": True, "stopped_by": None}
    why = why or "no-safe-fix"
    ctx.log(f"{place}; {reporting.STOPS[why]}")
    return {**update, "improved": False, "stopped_by": why}


def _reported(state: Mapping[str, Any], threshold: float, ctx: st.Context) -> dict[str, Any]:
    whole = reporting.report(state, threshold)
    ctx.log(whole["summary"])
    return whole
