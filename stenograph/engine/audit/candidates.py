"""Candidates: every edge of a node that was left, and why it was taken or was not.

``transition.taken`` records the edges that were looked at. The others follow from the pinned graph:
those for another outcome, those behind the one that was taken, and all of them after a goto.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeAlias

from msgspec import Struct

from stenograph.engine.core.edges import CompiledEdge, CompiledNode, edge_key
from stenograph.engine.core.events import Considered, TransitionTaken
from stenograph.engine.graphs.graph import Outcome

Verdict: TypeAlias = Literal["taken", "false", "capped", "outcome", "later", "overridden"]


class Candidate(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An edge, what it asks, and what became of it.

    ``verdict``: ``taken``; ``false``, its condition; ``capped``, it had been taken ``max`` times
    (``taken``); ``outcome``, it is for another one; ``later``, never looked at, as one before it
    was taken; ``overridden``, never looked at, as the tool said where to go. ``read`` maps each
    look-up of the condition to what it found, as the event recorded it.
    """

    edge: int
    to: tuple[str, ...]
    verdict: Verdict
    on: Outcome = "ok"
    when: Any = None
    until: Any = None
    max: int | None = None
    taken: int | None = None
    join: str | None = None
    label: str | None = None
    read: dict[str, Any] = {}


def judged(node: CompiledNode, outcome: Outcome, way: TransitionTaken) -> list[Candidate]:
    """Return all edges of a node in their order, as the way that was taken judged them."""
    seen = {each.edge: each for each in way.considered}
    return [_judged(edge, outcome, way, seen.get(edge.index)) for edge in node.edges]


def uncaught(node: CompiledNode, outcome: Outcome, taken: Mapping[str, int]) -> Iterator[Candidate]:
    """Yield the edges of a node whose failure none of them caught.

    No event tells of them. Those for this outcome were at their cap, which the edges taken in the
    scope tell, or else false; what they read is not known.
    """
    for edge in node.edges:
        count = taken.get(edge_key(node.name, edge.index), 0)
        if edge.edge.on != outcome:
            yield _candidate(edge, "outcome")
        elif edge.edge.max is not None and count >= edge.edge.max:
            yield _candidate(edge, "capped", taken=count)
        else:
            yield _candidate(edge, "false")


def _judged(
    edge: CompiledEdge, outcome: Outcome, way: TransitionTaken, seen: Considered | None
) -> Candidate:
    if way.reason == "goto":
        return _candidate(edge, "overridden")
    if seen is None:
        return _candidate(edge, "outcome" if edge.edge.on != outcome else "later")
    verdict: Verdict = "taken" if edge.index == way.edge else "false"
    if seen.max is not None and seen.taken >= seen.max:
        verdict = "capped"
    count = None if seen.max is None else seen.taken
    return _candidate(edge, verdict, taken=count, read=seen.read)


def _candidate(
    edge: CompiledEdge,
    verdict: Verdict,
    *,
    taken: int | None = None,
    read: dict[str, Any] | None = None,
) -> Candidate:
    asked = edge.edge
    return Candidate(
        edge=edge.index,
        to=asked.targets,
        verdict=verdict,
        on=asked.on,
        when=asked.when,
        until=asked.until,
        max=asked.max,
        taken=taken,
        join=asked.join,
        label=asked.label,
        read=read or {},
    )
