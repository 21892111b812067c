"""Diff: how two runs differ, or one run at two points: path, outcome, state, and timing beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Final, Literal

from msgspec import Struct
from msgspec.json import decode, encode
from msgspec.structs import replace

from stenograph.engine.audit.changes import Change, changes
from stenograph.engine.audit.diff_visits import (
    EventId,
    Made,
    Regard,
    VisitDiff,
    VisitReader,
    What,
    differences,
    kind_of,
    side_by_side,
    what_of,
)
from stenograph.engine.audit.diff_words import summary_of
from stenograph.engine.audit.lineage import Line, Part
from stenograph.engine.audit.reasons import Reason
from stenograph.engine.core.events import ErrorInfo, Event, RunCreated
from stenograph.engine.core.folding import evolve
from stenograph.engine.core.run import Run, Status
from stenograph.engine.state.patch import target

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

    ``start``: they began otherwise, or after what they share went on so in a fork: with another
    graph, or state, whose ``keys`` these are.
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

    ``same``: in nothing but time. ``common``: how many first events are the very same ones; they are
    those of ``common_run``, which forks may have gone on from, so that it may be neither of the two.
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
    common_run: str
    first: Parting | None
    parted: Parting | None
    changes: tuple[Change, ...]
    changes_more: int
    visits: tuple[VisitDiff, ...]
    visits_more: int


class Start(Struct, frozen=True):
    """How a run began: what is new in its ``state``, JSON by scope and key, and its graph if new."""

    version: str
    state: dict[tuple[str, str], bytes | None]


class Told:
    """One side, read: takes in the events of its line in their order."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.run = Run()
        self.reader = VisitReader()
        self._starts: dict[str, Start] = {}

    def note(self, event: Event) -> None:
        """Take in what has happened."""
        if isinstance(event.data, RunCreated):
            before, self.run = self.run, Run()
            evolve(self.run, event)
            self._starts[event.run_id] = _start_of(before, self.run, event.data)
            return
        evolve(self.run, event)
        self.reader.note(event)

    def start(self, since: Part | None) -> tuple[EventId | None, Start]:
        """Return how the side began, or went on where its line leaves what two share."""
        parts = self.line.parts
        if since is not None:
            follow = [at for at, each in enumerate(parts) if each.run_id == since.run_id]
            parts = parts[follow[0] + 1 :] if follow else parts
            if follow and self.line.parts[follow[0]].to > since.to:
                return None, Start("", {})  # it has shared no more than a part of that run
        if not parts:
            return None, Start("", {})
        return (parts[0].run_id, 1), self._starts[parts[0].run_id]

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
    left: EventId | None = None
    right: EventId | None = None
    keys: tuple[str, ...] = ()


class Compared(Struct, frozen=True):
    """Two sides compared, before it is asked why each went its way."""

    left: Told
    right: Told
    shared: Part | None
    pairs: list[VisitDiff]
    first: Split | None
    parted: Split | None

    def asked(self) -> tuple[list[EventId], list[EventId]]:
        """Return the events of each side whose reasons the diff tells."""
        splits = [each for each in (self.first, self.parted) if each is not None]
        left, right = [each.left for each in splits], [each.right for each in splits]
        return [each for each in left if each], [each for each in right if each]


def compare(left: Told, right: Told, shared: Part | None, *, so_far: bool = False) -> Compared:
    """Set two runs side by side, whose histories are the same up to what is shared.

    What differs first is what was so first in the left one, of which a fork is left after its
    branches. With ``so_far`` they do not part where the right one has not come to yet.
    """
    pairs: list[VisitDiff] = []
    start = _started(left, right, shared)
    first: tuple[tuple[int, int], Split] | None = None
    parted: Split | None = None
    rank = {part.run_id: number for number, part in enumerate(left.line.parts)}
    last = (0, 0)
    for pair, one, other in side_by_side(left.reader.visits, right.reader.visits):
        pairs.append(pair)
        last = last if one is None else (rank[one.side.run_id], one.side.seq)
        if so_far and (pair.right is None or pair.right.outcome == "running"):
            continue
        regard = next(differences(one, other), None)
        if regard == "join" and so_far and other is not None and other.joined is None:
            continue
        if regard is not None:
            split = _split(pair, regard, one, other)
            when = last if split.left is None else (rank[split.left[0]], split.left[1])
            if regard == "join" and one is not None and one.joined is None:
                when = (len(rank), 0)  # why it never joined is told by what came before
            if first is None or when < first[0]:
                first = when, split
        off = [each for each in pair.differs if each != "change"]
        if off and parted is None:
            parted = _split(pair, off[-1], one, other)
    if start is None and first is not None:
        start = first[1]
    return Compared(left, right, shared, pairs, start, parted)


def diff(
    compared: Compared, left: Mapping[EventId, Reason], right: Mapping[EventId, Reason]
) -> RunDiff:
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
        common=0 if compared.shared is None else compared.shared.to,
        common_run="" if compared.shared is None else compared.shared.run_id,
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


def _start_of(before: Run, run: Run, created: RunCreated) -> Start:
    """Return how a run began; of a fork that went on from ``before``, in what it did so otherwise."""
    if before.seq:
        at = [(path, target(op)[0]) for path, patch in created.patches.items() for op in patch]
        new = "" if before.graph == run.graph else run.version
    else:
        at = [(path, key) for path, scope in run.scopes.items() for key in scope.state]
        new = run.version
    return Start(new, {(path, key): _canonical(run, path, key) for path, key in at})


def _canonical(run: Run, path: str, key: str) -> bytes | None:
    data = run.scopes[path].state.encoded(key)
    return None if data is None else encode(decode(data), order="deterministic")


def _started(left: Told, right: Told, shared: Part | None) -> Split | None:
    """Return how two runs began otherwise, if they did."""
    (at, one), (other_at, other) = left.start(shared), right.start(shared)
    found = {**one.state, **other.state}
    differ = [key for key in found if one.state.get(key) != other.state.get(key)]
    if one.version == other.version and not differ:
        return None
    keys = tuple(dict.fromkeys(key for _, key in differ))
    return Split("start", None, at, other_at, keys[:CHANGES_MAX])


def _end(run: Run) -> tuple[object, ...]:
    return run.status, run.reason, kind_of(run.error)


def _split(pair: VisitDiff, regard: Regard, left: Made | None, right: Made | None) -> Split:
    return Split(what_of(regard), pair, _id(left, regard), _id(right, regard))


def _id(made: Made | None, regard: Regard) -> EventId | None:
    """Return the event that tells most of a visit in some regard; None where it was not made.

    Where it changed nothing, that it went on.
    """
    if made is None:
        return None
    last = made.side.run_id, made.side.seq
    if regard == "change":
        return made.ids.get("change", made.ids.get("way", last))
    return made.ids.get(regard, last)


def _parting(
    split: Split | None, left: Mapping[EventId, Reason], right: Mapping[EventId, Reason]
) -> Parting | None:
    if split is None:
        return None
    pair = split.pair
    return Parting(
        what=split.what,
        scope="" if pair is None else pair.scope,
        node="" if pair is None else pair.node,
        visit=0 if pair is None else pair.visit,
        left=None if split.left is None else left.get(split.left),
        right=None if split.right is None else right.get(split.right),
        keys=split.keys,
    )
