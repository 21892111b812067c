"""Diff: how two runs differ, or one run at two points: path, outcome, state, and timing beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Final, Literal

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from stenograph.engine.changes import Change, changes
from stenograph.engine.diff_visits import Made, VisitDiff, VisitReader, What, side_by_side
from stenograph.engine.diff_words import summary_of
from stenograph.engine.events import ErrorInfo, Event
from stenograph.engine.folding import evolve
from stenograph.engine.reasons import Reason
from stenograph.engine.run import Run, Status

CHANGES_MAX: Final = 1000
VISITS_MAX: Final = 1000
"""So many changes and visits of one answer; ``…_more`` count the rest."""


class DiffSide(Struct, frozen=True, kw_only=True):
    """One of the two: a run after event ``seq``; ``busy_ms``: how long its nodes have run."""

    run_id: str
    seq: int
    graph_id: str
    version: str
    status: Status
    reason: str
    error: ErrorInfo | None
    steps: int
    busy_ms: float
    created_at: str
    at: str


class Parting(Struct, frozen=True, kw_only=True):
    """Where two runs differ: a visit, in ``what``, and why each did what it did.

    ``start``: they began otherwise, with another graph, or state, whose ``keys`` these are.
    """

    what: What | Literal["start"]
    scope: str = ""
    node: str = ""
    visit: int = 0
    left: Reason | None = None
    right: Reason | None = None
    keys: tuple[str, ...] = ()


class RunDiff(Struct, frozen=True, kw_only=True):
    """How two runs differ.

    ``same``: in nothing but time. ``common``: how many first events are the very same ones.
    ``first``: the first difference of any kind, ``parted``: the first of their paths. ``changes``
    turn the left state into the right one, ``visits`` stand side by side; of more than 1,000 of
    either ``changes_more`` and ``visits_more`` count those left out: of visits first those that are
    alike.
    """

    same: bool
    summary: str
    left: DiffSide
    right: DiffSide
    common: int
    first: Parting | None
    parted: Parting | None
    changes: tuple[Change, ...]
    changes_more: int
    visits: tuple[VisitDiff, ...]
    visits_more: int


class Told:
    """One side, read: takes in its events in their order."""

    def __init__(self) -> None:
        self.run = Run()
        self.reader = VisitReader()
        self.began = b""

    def note(self, event: Event) -> None:
        """Take in what has happened."""
        evolve(self.run, event)
        self.reader.note(event)
        if not self.began:
            values = self.run.state.to_values()
            self.began = msgspec.json.encode(values, order="deterministic")

    @property
    def side(self) -> DiffSide:
        """What the run is."""
        run = self.run
        return DiffSide(
            run_id=run.id,
            seq=run.seq,
            graph_id=run.graph_id,
            version=run.version,
            status=run.status,
            reason=run.reason,
            error=run.error,
            steps=run.steps,
            busy_ms=run.busy_ms,
            created_at=run.created_at,
            at=run.updated_at,
        )


class Split(Struct, frozen=True):
    """Where two runs differ, and by which events."""

    what: What | Literal["start"]
    pair: VisitDiff | None = None
    left: int = 0
    right: int = 0
    keys: tuple[str, ...] = ()


class Compared(Struct, frozen=True):
    """Two sides compared, before it is asked why each went its way."""

    left: Told
    right: Told
    pairs: list[VisitDiff]
    first: Split | None
    parted: Split | None

    def asked(self) -> tuple[list[int], list[int]]:
        """Return the events of each side whose reasons the diff tells."""
        splits = [each for each in (self.first, self.parted) if each is not None]
        return [each.left for each in splits], [each.right for each in splits]


def compare(left: Told, right: Told) -> Compared:
    """Set two runs side by side."""
    pairs: list[VisitDiff] = []
    first = _started(left, right)
    parted: Split | None = None
    for pair, one, other in side_by_side(left.reader.visits, right.reader.visits):
        pairs.append(pair)
        if pair.differs and first is None:
            first = _split(pair, pair.differs[0], one, other)
        off = [each for each in pair.differs if each != "change"]
        if off and parted is None:
            parted = _split(pair, off[-1], one, other)
    return Compared(left, right, pairs, first, parted)


def diff(compared: Compared, left: Mapping[int, Reason], right: Mapping[int, Reason]) -> RunDiff:
    """Return how two runs differ, with the reasons that ``compared`` asks for, by seq."""
    one, other = compared.left.run, compared.right.run
    found = changes(one.state.to_values(), other.state.to_values())
    told = tuple(islice(found, CHANGES_MAX))
    pairs = compared.pairs
    shown = pairs
    if len(pairs) > VISITS_MAX:
        chosen = {id(each) for each in islice(_telling_first(pairs), VISITS_MAX)}
        shown = [each for each in pairs if id(each) in chosen]
    result = RunDiff(
        same=not (told or compared.first or _end(one) != _end(other)),
        summary="",
        left=compared.left.side,
        right=compared.right.side,
        common=min(one.seq, other.seq) if one.id == other.id else 0,
        first=_parting(compared.first, left, right),
        parted=_parting(compared.parted, left, right),
        changes=told,
        changes_more=sum(1 for _ in found),
        visits=tuple(shown),
        visits_more=len(pairs) - len(shown),
    )
    return replace(result, summary=summary_of(result))


def _telling_first(pairs: list[VisitDiff]) -> Iterable[VisitDiff]:
    yield from (each for each in pairs if each.differs)
    yield from (each for each in pairs if not each.differs)


def _started(left: Told, right: Told) -> Split | None:
    """Return how two runs began otherwise, if they did."""
    if left.began == right.began and left.run.version == right.run.version:
        return None
    one, other = (msgspec.json.decode(each.began, type=dict[str, Raw]) for each in (left, right))
    keys = [key for key in {**one, **other} if one.get(key) != other.get(key)]
    return Split("start", None, 1, 1, tuple(keys[:CHANGES_MAX]))


def _end(run: Run) -> tuple[object, ...]:
    error = run.error
    return run.status, run.reason, None if error is None else (error.type, error.message)


def _split(pair: VisitDiff, what: What, left: Made | None, right: Made | None) -> Split:
    return Split(what, pair, _seq(left, what), _seq(right, what))


def _seq(made: Made | None, what: What) -> int:
    """Return the event that tells most of a visit in some regard; 0 where it was not made."""
    return 0 if made is None else made.seqs.get(what, made.side.seq)


def _parting(
    split: Split | None, left: Mapping[int, Reason], right: Mapping[int, Reason]
) -> Parting | None:
    if split is None:
        return None
    pair = split.pair
    return Parting(
        what=split.what,
        scope="" if pair is None else pair.scope,
        node="" if pair is None else pair.node,
        visit=0 if pair is None else pair.visit,
        left=left.get(split.left),
        right=right.get(split.right),
        keys=split.keys,
    )
