"""Reasons: why an event happened, as data and in words, with links to what it follows from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from stenograph.engine.audit.candidates import Candidate, judged, uncaught
from stenograph.engine.audit.reason_words import sentences
from stenograph.engine.audit.trails import Trails
from stenograph.engine.core.edges import compile_graph
from stenograph.engine.core.events import (
    BranchEnded,
    ErrorInfo,
    Event,
    NodeExited,
    RunFailed,
    StatePatched,
    TransitionTaken,
)


class Link(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An event that another follows from; where it happened is left out when that is no node.

    ``run_id`` stands there when it is of another run, which this one was forked from.
    """

    seq: int
    type: str
    at: str
    run_id: str = ""
    scope: str = ""
    node: str = ""
    visit: int = 0
    attempt: int = 0


class Reason(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why an event happened.

    ``says``: a sentence or a few, for people. ``because``: what it follows from, the nearest cause
    first, always earlier; only ``run.created`` has none, and in a fork the event it goes on from. ``edges``: where a node was left, all its
    edges with their verdicts. ``failures``: what failed before and led to this failure, down to
    where it began. ``changed``: the paths that a patch changed. ``actor``: who asked for it.
    """

    run_id: str
    seq: int
    type: str
    at: str
    says: tuple[str, ...]
    because: tuple[Link, ...]
    scope: str = ""
    node: str = ""
    visit: int = 0
    attempt: int = 0
    actor: str = ""
    edges: tuple[Candidate, ...] = ()
    error: ErrorInfo | None = None
    failures: tuple[Link, ...] = ()
    changed: tuple[str, ...] = ()


def why(trails: Trails, event: Event) -> Reason:
    """Return why an event happened; ``trails`` has taken in all events before it, and not it."""
    causes, failures = trails.because(event), trails.failures(event)
    edges = tuple(_edges(trails, event, causes))
    data: Any = event.data
    return Reason(
        **place_of(event),
        run_id=event.run_id,
        seq=event.seq,
        type=event.type,
        at=event.at,
        says=tuple(sentences(event, causes, edges, failures)),
        because=tuple(link(each, event.run_id) for each in causes),
        edges=edges,
        error=getattr(data, "error", None),
        failures=tuple(link(each, event.run_id) for each in failures),
        actor=getattr(data, "actor", ""),
        changed=_changed(event),
    )


def link(event: Event, run_id: str) -> Link:
    """Return what leads to an event from one of a run."""
    other = "" if event.run_id == run_id else event.run_id
    return Link(seq=event.seq, type=event.type, at=event.at, run_id=other, **place_of(event))


def place_of(event: Event) -> dict[str, Any]:
    """Return where an event happened, as far as it says."""
    data: Any = event.data
    place = {name: getattr(data, name, None) for name in ("scope", "node", "visit", "attempt")}
    return {name: value for name, value in place.items() if value}


def _edges(trails: Trails, event: Event, causes: Iterable[Event]) -> Iterable[Candidate]:
    """Return the edges of the node that was left, where an event says how."""
    way = event.data
    if not isinstance(way, TransitionTaken | BranchEnded | RunFailed):
        return ()
    left = next((each.data for each in causes if isinstance(each.data, NodeExited)), None)
    nodes = {} if left is None else compile_graph(trails.trail(left.scope).graph).nodes
    if left is None or left.node not in nodes:  # the run may have gone over to another graph
        return ()
    node, outcome = nodes[left.node], left.outcome
    if isinstance(way, TransitionTaken):
        return judged(node, outcome, way)
    # A failure that an edge went on from is no cause here; and a condition that could not be
    # evaluated is told in the error, with its edge.
    is_uncaught = outcome != "ok" and way.error == left.error
    taken = trails.trail(left.scope).taken
    return uncaught(node, outcome, taken) if is_uncaught else ()


def _changed(event: Event) -> tuple[str, ...]:
    if not isinstance(event.data, StatePatched):
        return ()
    return tuple(dict.fromkeys(op.path for op in event.data.patch))
