"""The summary of a review: its report, and the sentences that a person reads meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from stenograph.workflows.counting import count

STOPS: Final = {
    "threshold": "good enough",
    "no-safe-fix": "no safe fix is left",
    "no-rise": "the last two passes did not raise it",
    "max-passes": "no pass is left",
    "syntax-error": "not Python",
}
"""Why a review stopped, in words."""


def applied(fix: Mapping[str, Any]) -> str:
    """Return what a pass applied: ``applied 12 safe fixes (unused: F401, F841)``."""
    done = count(fix["fixed"], "safe fix", "safe fixes")
    return f"applied {done} ({fix['group']}: {', '.join(fix['rules'])})"


def report(state: Mapping[str, Any], threshold: float) -> dict[str, Any]:
    """Return the report on a finished review, from what its state holds."""
    score = state["quality_score"]
    scores = state.get("scores", [])
    fixes = state.get("fixes", [])
    complexity = state.get("complexity", {})
    error = state.get("syntax_error")
    by_code = (
        {"invalid-syntax": 1}
        if error
        else {rule: found["count"] for rule, found in state.get("rules", {}).items()}
    )
    if above := complexity.get("above_limit"):
        by_code["C901"] = above
    return {
        "summary": _sentence(state, threshold),
        "path": state.get("path"),
        "score": score,
        "threshold": threshold,
        "passed": score >= threshold,
        "passes": len(scores),
        "scores": scores,
        "stopped_by": state.get("stopped_by"),
        "syntax_error": error,
        "issues": sum(by_code.values()),
        "issues_by_code": by_code,
        "worst_functions": complexity.get("worst", []),
        "suggestions": state.get("suggestions", []),
        "fixed": state.get("fixed", 0),
        "fixes": [{key: fix[key] for key in fix if not key.startswith("diff")} for fix in fixes],
        "diff": "".join(fix["diff"] for fix in fixes),
        "diff_cut": any(fix["diff_cut"] for fix in fixes),
        "linter": state.get("linter"),
    }


def _sentence(state: Mapping[str, Any], threshold: float) -> str:
    score = state["quality_score"]
    if state.get("syntax_error"):
        return f"score {score:.2f} of {threshold:g}: {STOPS['syntax-error']}"
    return (
        f"score {score:.2f} of {threshold:g} {'passed' if score >= threshold else 'missed'} "
        f"after {count(len(state.get('scores', [])), 'pass', 'passes')}: "
        f"{count(state.get('fixed', 0), 'safe fix', 'safe fixes')} applied, "
        f"{count(state.get('issue_count', 0), 'issue')} left"
    )
