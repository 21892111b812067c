"""Openings: whether a fork or a sub-graph can open where it is to, looked at before it does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stenograph.engine.core.commands import Place
from stenograph.engine.core.edges import CompiledNode
from stenograph.engine.core.events import ErrorInfo
from stenograph.engine.core.scopes import DEPTH_MAX, branch_scope, depth_of, parent_of
from stenograph.engine.core.steps import Steps
from stenograph.engine.graphs.graph import BRANCHES_MAX, Edge
from stenograph.engine.graphs.reading import kind_of
from stenograph.engine.state.state import State
from stenograph.engine.values import look_up


def count_branches(steps: Steps, place: Place, edge: Edge) -> tuple[int, ErrorInfo | None]:
    """Return how many branches a fork will have, or why it can have none."""
    if depth_of(place.scope) >= DEPTH_MAX:
        return 0, _too_deep(place)
    if edge.each is None:
        return len(edge.targets), None
    what = f"node {place.node!r} forks over {edge.each!r}"
    try:
        items = look_up(steps.scope(place.scope).state, edge.each)
    except KeyError:
        message = f"{what}, which is not in the state"
        return 0, ErrorInfo("each-not-a-list", message, node=place.node)
    if not isinstance(items, list):
        message = f"{what}, which is no list but {kind_of(items)}"
        return 0, ErrorInfo("each-not-a-list", message, node=place.node)
    if len(items) > BRANCHES_MAX:
        message = f"{what}, a list of {len(items):,}; a fork may have {BRANCHES_MAX:,} branches"
        return 0, ErrorInfo("too-many-branches", message, node=place.node)
    return len(items), None


def why_no_call(steps: Steps, place: Place, node: CompiledNode) -> ErrorInfo | None:
    """Return why a node cannot run its graph here, or None."""
    state = _state_at(steps, place.scope)
    missing = [at for at in (node.node.in_ or {}).values() if not _is_there(state, at)]
    if missing:
        lacks = f"is to be given {', '.join(missing)}, which the state has not"
        return ErrorInfo("missing-input", f"graph {node.node.graph!r} {lacks}", node=place.node)
    return _too_deep(place) if depth_of(place.scope) >= DEPTH_MAX else None


def _state_at(steps: Steps, path: str) -> State:
    """Return the state of a scope, or that with which a branch is about to begin."""
    if path in steps.run.scopes:
        return steps.scope(path).state
    return branch_scope(steps.scope(parent_of(path)[0]), path).state


def _is_there(state: Mapping[str, Any], path: str) -> bool:
    try:
        look_up(state, path)
    except KeyError:
        return False
    return True


def _too_deep(place: Place) -> ErrorInfo:
    """Return the error of a scope that would stand within too many others."""
    message = (
        f"node {place.node!r} would open a scope within {DEPTH_MAX} others, which is the limit; "
        "does a graph call itself without end?"
    )
    return ErrorInfo("too-deep", message, node=place.node)
