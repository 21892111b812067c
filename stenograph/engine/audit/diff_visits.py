"""Visits side by side: what each visit of a run came to, and how it went in another run.

Within a scope one visit follows the other, so that a visit is known by its scope, its node and its
number: what has the same in two runs stands side by side, whatever ran beside it and when.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import Struct

from stenograph.engine.core.events import (
    ErrorInfo,
    Event,
    ForkJoined,
    NodeAttemptFailed,
    NodeEntered,
    NodeExited,
    StatePatched,
    TransitionTaken,
)
from stenograph.engine.errors import MergeConflict

_EVENT: Final = re.compile(r"\(event \d+\)")

Key: TypeAlias = tuple[str, str, int]
"""Scope, node and number of a visit."""
EventId: TypeAlias = tuple[str, int]
"""Run and seq of an event."""
What: TypeAlias = Literal["outcome", "change", "way", "entry"]
"""How a visit may differ: how it ended, what it changed, where it led, or in that it was made."""
Regard: TypeAlias = What | Literal["join"]
"""The same, with what branches brought together apart: the visit that forked changes that, but later."""


OfAVisit: TypeAlias = NodeEntered | NodeAttemptFailed | NodeExited | StatePatched | TransitionTaken


class VisitSide(Struct, kw_only=True):
    """What a visit came to in one run; ``to`` names the join after a fork, and ``fork`` its nodes.

    ``entered_in`` and ``run_id``: the runs that ``entered_seq`` and ``seq`` are of, which may be
    others, that this one was forked from.
    """

    entered_in: str
    entered_seq: int
    run_id: str
    seq: int
    attempts: int = 1
    outcome: Literal["running", "ok", "error", "timeout"] = "running"
    error: ErrorInfo | None = None
    duration_ms: float | None = None
    to: str | None = None
    edge: int | None = None
    fork: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


class VisitDiff(Struct, frozen=True, kw_only=True):
    """A visit in two runs; None where it was not made. ``differs``: in what; timing is no difference."""

    scope: str
    node: str
    visit: int
    left: VisitSide | None
    right: VisitSide | None
    differs: tuple[What, ...] = ()


class Made(Struct):
    """A visit, what it changed as a digest, and the events that say so.

    ``joined`` is what its branches changed, once they were brought together.
    """

    side: VisitSide
    digest: bytes = b""
    joined: bytes | None = None
    ids: dict[Regard, EventId] = {}


class VisitReader:
    """Takes in the events of a run; ``visits`` are then in the order of their entry."""

    def __init__(self) -> None:
        self.visits: dict[Key, Made] = {}

    def note(self, event: Event) -> None:
        """Take in what has happened."""
        data, of, seq = event.data, event.run_id, event.seq
        if not isinstance(data, OfAVisit | ForkJoined):
            return
        side = VisitSide(entered_in=of, entered_seq=seq, run_id=of, seq=seq)
        made = self.visits.setdefault((data.scope, data.node, data.visit), Made(side))
        if isinstance(data, ForkJoined):
            made.joined, made.ids["join"] = b"", (of, seq)
        else:
            made.side.run_id, made.side.seq = made.ids[_tell(made, data)] = of, seq


def _tell(made: Made, data: OfAVisit) -> Regard:
    """Take in what an event tells of a visit, and return in what regard."""
    side = made.side
    if isinstance(data, NodeEntered):
        side.attempts, side.outcome, side.error = data.attempt, "running", None
        return "entry"
    if isinstance(data, StatePatched):
        side.changed = tuple(dict.fromkeys([*side.changed, *(op.path for op in data.patch)]))
        digest = sha256(msgspec.json.encode(data.patch)).digest()
        if made.joined is not None:
            made.joined = digest
            return "join"
        made.digest = digest
        return "change"
    if isinstance(data, TransitionTaken):
        side.to, side.edge, side.fork = data.to, data.edge, data.fork
        return "way"
    side.error = data.error
    if isinstance(data, NodeExited):
        side.outcome, side.duration_ms = data.outcome, data.duration_ms
    return "outcome"


def side_by_side(
    left: Mapping[Key, Made], right: Mapping[Key, Made]
) -> Iterator[tuple[VisitDiff, Made | None, Made | None]]:
    """Yield each visit of two runs, in the order of the left; those of the right alone come where
    the visit before them in that run does."""
    following: dict[Key | None, list[Key]] = {}
    before: Key | None = None
    for key in right:
        if key in left:
            before = key
        else:
            following.setdefault(before, []).append(key)
    for alone in following.get(None, ()):
        yield _paired(alone, None, right[alone])
    for key, made in left.items():
        yield _paired(key, made, right.get(key))
        for alone in following.get(key, ()):
            yield _paired(alone, None, right[alone])


def _paired(
    key: Key, left: Made | None, right: Made | None
) -> tuple[VisitDiff, Made | None, Made | None]:
    scope, node, visit = key
    pair = VisitDiff(
        scope=scope,
        node=node,
        visit=visit,
        left=None if left is None else left.side,
        right=None if right is None else right.side,
        differs=tuple(dict.fromkeys(map(what_of, differences(left, right)))),
    )
    return pair, left, right


def what_of(regard: Regard) -> What:
    """Return how it is told that a visit differs."""
    return "change" if regard == "join" else regard


def differences(left: Made | None, right: Made | None) -> Iterator[Regard]:
    """Yield in what regards a visit differs, in the order in which they come to be."""
    if left is None or right is None:
        yield "entry"
        return
    one, other = left.side, right.side
    if (one.outcome, kind_of(one.error)) != (other.outcome, kind_of(other.error)):
        yield "outcome"
    if left.digest != right.digest:
        yield "change"
    if (one.to, one.edge, one.fork) != (other.to, other.edge, other.fork):
        yield "way"
    if left.joined != right.joined:
        yield "join"


def kind_of(error: ErrorInfo | None) -> tuple[str, str] | None:
    """Return what two errors share that are the same but for the lines and events they came from."""
    if error is None:
        return None
    is_merge = error.type == MergeConflict.code
    return error.type, _EVENT.sub("(event)", error.message) if is_merge else error.message
