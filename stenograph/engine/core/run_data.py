"""Run data: a folded run as JSON and back, so that nobody need fold what was folded before.

What a scope shares with the one it stands in is written once: a branch is what its fork gave it and
what has changed since. Values of states stay the bytes that they are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from stenograph.engine.core.events import ErrorInfo, Origin, PinnedGraph, RerunOf, RunLimits
from stenograph.engine.core.placing import place
from stenograph.engine.core.run import Kept, Keyed, Run
from stenograph.engine.core.scopes import (
    ROOT,
    Branch,
    Fork,
    Position,
    Scope,
    branch_scope,
    parent_of,
)
from stenograph.engine.state.state import State

FORMAT: Final = 2
"""Data of another format is not read: whoever keeps it folds anew."""

_T = TypeVar("_T", bound=Struct)


class UnknownData(ValueError):
    """Bytes that hold no run, or one in another format."""


class DataTooLarge(ValueError):
    """A run that would have more bytes as data than are wanted; ``size``: about how many."""

    def __init__(self, size: int) -> None:
        super().__init__(f"the run has about {size:,} bytes")
        self.size = size


class PositionData(Struct, frozen=True, omit_defaults=True):
    """Where a scope stands; see ``Position``."""

    node: str
    visit: int
    attempt: int
    phase: str
    tries: int = 0
    lost: int = 0
    retry_at: str | None = None
    entered_at: str = ""
    due_at: str | None = None
    unsure: bool = False
    kind: str = ""
    signal: str | None = None
    schema: Raw | UnsetType = UNSET
    since: int = 0


class BranchData(Struct, frozen=True, omit_defaults=True):
    """What became of a branch: of the keys in ``changed``, those in ``values`` are there still."""

    index: int
    status: str
    changed: dict[str, int] = {}
    values: dict[str, Raw] = {}
    error: ErrorInfo | None = None
    failed_in: str = ""
    node: str = ""
    visit: int = 0


class ForkData(Struct, frozen=True, omit_defaults=True):
    """An open fork; its items stand in ``items``, or are those of the list at the key ``each``."""

    targets: tuple[str, ...]
    count: int
    join: str
    need: int
    collects: bool
    width: int | None
    as_: str
    next: int = 0
    open: int = 0
    arrived: int = 0
    failed: int = 0
    each: str | None = None
    items: list[Raw] | None = None
    branches: tuple[BranchData, ...] = ()


class ScopeData(Struct, frozen=True, omit_defaults=True):
    """A scope, by what sets it apart from how it began.

    ``graph``: the sub-graph's name, for a scope that goes through one. ``state`` holds the keys that
    are other than in the scope around, and ``gone`` those that are not here; or, if ``alone``, all.
    """

    path: str
    state: dict[str, Raw] = {}
    gone: tuple[str, ...] = ()
    alone: bool = False
    position: PositionData | None = None
    visits: dict[str, int] = {}
    taken: dict[str, int] = {}
    graph: str | None = None
    changed: dict[str, int] = {}
    fork: ForkData | None = None


class KeptData(Struct, frozen=True, omit_defaults=True):
    """A signal that nobody has used yet."""

    seq: int
    payload: Raw
    scope: str | None = None


class RunData(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A run, folded; see ``Run``."""

    format: int
    id: str
    seq: int
    status: str
    graph_id: str
    version: str
    graph: Raw
    graphs: dict[str, PinnedGraph] = {}
    limits: RunLimits
    tags: dict[str, str] = {}
    scopes: tuple[ScopeData, ...]
    signals: dict[str, tuple[KeptData, ...]] = {}
    keyed: dict[str, Keyed] = {}
    halt: str = ""
    parked_at: tuple[str, str] = ("", "")
    steps: int = 0
    busy_ms: float = 0.0
    error: ErrorInfo | None = None
    reason: str = ""
    failed_in: str = ""
    key: str | None = None
    request: str | None = None
    turn: str | None = None
    origin: Origin | None = None
    rerun: RerunOf | None = None
    traceparent: str | None = None
    created_at: str = ""
    updated_at: str = ""
    finished_at: str | None = None


class _Marked(Struct):
    format: int


_RUN: Final = msgspec.json.Decoder(RunData)
_MARKED: Final = msgspec.json.Decoder(_Marked)


def to_bytes(run: Run, most: float = math.inf) -> bytes:
    """Return a run as JSON: the same for the same events; costs as much as the run is large.

    Raises DataTooLarge when the states alone have more than ``most`` bytes.
    """
    scopes = scopes_data(run)
    if (size := sum(map(_weight_of, scopes))) > most:
        raise DataTooLarge(size)
    return msgspec.json.encode(
        _alike(
            RunData,
            run,
            format=FORMAT,
            graph=Raw(run.graph),
            scopes=scopes,
            signals=signals_data(run),
        )
    )


def from_bytes(data: bytes) -> Run:
    """Return the run that data holds; raises UnknownData."""
    try:
        if (found := _MARKED.decode(data).format) != FORMAT:
            raise UnknownData(f"a run in format {found}; this version reads format {FORMAT}")
        read = _RUN.decode(data)
        run = _alike(Run, read, graph=bytes(read.graph), scopes={}, signals={})
        put_signals(run, read.signals)
        put_scopes(run, read.scopes)
    except (msgspec.MsgspecError, UnicodeDecodeError, LookupError, AssertionError) as error:
        raise UnknownData(f"no run can be read: {error!r}") from error
    return run


def scopes_data(run: Run) -> tuple[ScopeData, ...]:
    """Return the scopes of a run as data, the outer before the inner."""
    names = {bytes(pinned.graph): name for name, pinned in run.graphs.items()}
    return tuple(_scope_data(run, scope, names) for scope in run.scopes.values())


def put_scopes(run: Run, scopes: tuple[ScopeData, ...], state: State | None = None) -> None:
    """Put scopes into a run that has its graphs and no scopes yet; raises LookupError.

    ``state``: that of ``/`` as it began, if the data does not hold it.
    """
    for data in scopes:
        fresh = _begun(run, data.path, data.graph, state)
        base = State({}) if data.alone else fresh.state
        fresh.state = base.child(_as_bytes(data.state), data.gone)
        fresh.visits, fresh.taken, fresh.changed = data.visits, data.taken, data.changed
        fresh.fork = None if data.fork is None else _fork(fresh, data.fork)
        run.scopes[data.path] = fresh
        place(run, fresh, None if data.position is None else _position(data.position))


def signals_data(run: Run) -> dict[str, tuple[KeptData, ...]]:
    """Return the signals that nobody has used as data."""
    return {
        name: tuple(_alike(KeptData, each, payload=Raw(each.payload)) for each in kept)
        for name, kept in run.signals.items()
    }


def put_signals(run: Run, signals: Mapping[str, tuple[KeptData, ...]]) -> None:
    """Put signals into a run."""
    run.signals = {
        name: tuple(_alike(Kept, each, payload=bytes(each.payload)) for each in kept)
        for name, kept in signals.items()
    }


def _weight_of(scope: ScopeData) -> int:
    """Return how many bytes the values have that are written for a scope."""
    fork = scope.fork
    ended = () if fork is None else (each.values for each in fork.branches)
    size = sum(len(value) for values in (scope.state, *ended) for value in values.values())
    return size + sum(map(len, (fork and fork.items) or ()))


def _begun(run: Run, path: str, graph: str | None, state: State | None = None) -> Scope:
    """Return a scope as it began, by the scope that it stands in."""
    if path == ROOT:
        return Scope(ROOT, state or State({}), graph=run.graph)
    parent, index = parent_of(path)
    around = run.scopes[parent]
    if index is not None:
        return branch_scope(around, path)
    own = b"" if graph is None else bytes(run.graphs[graph].graph)
    return Scope(path, around.state.child({}), graph=own)


def _scope_data(run: Run, scope: Scope, names: Mapping[bytes, str]) -> ScopeData:
    is_call = scope.path != ROOT and parent_of(scope.path)[1] is None
    name = names[scope.graph] if is_call else None
    gone, state, alone = _delta(_begun(run, scope.path, name).state, scope.state)
    return ScopeData(
        path=scope.path,
        state=state,
        gone=gone,
        alone=alone,
        position=None if scope.position is None else _position_data(scope.position),
        visits=scope.visits,
        taken=scope.taken,
        graph=name,
        changed=scope.changed,
        fork=None if scope.fork is None else _fork_data(scope, scope.fork),
    )


def _delta(base: State, state: State) -> tuple[tuple[str, ...], dict[str, Raw], bool]:
    """Return the keys that ``base`` alone has, those to put, and whether these are better all.

    The order of keys stays: one that left and came back stands at the end, and so does here.
    """
    places = {key: number for number, key in enumerate(base)}
    kept: set[str] = set()
    last = -1
    for key in state:
        if places.get(key, -1) <= last:
            break
        last = places[key]
        kept.add(key)
    gone = tuple(key for key in base if key not in kept)
    alone = len(gone) > len(kept)
    state_data = {
        key: Raw(value)
        for key, value in state.raw()
        if alone or key not in kept or value != base.encoded(key)
    }
    return ((), state_data, True) if alone else (gone, state_data, False)


def _position_data(at: Position) -> PositionData:
    return _alike(PositionData, at, schema=Raw(at.schema) if at.schema else UNSET)


def _position(data: PositionData) -> Position:
    return _alike(Position, data, schema=b"" if data.schema is UNSET else bytes(data.schema))


def _fork_data(scope: Scope, fork: Fork) -> ForkData:
    each = None if fork.items is None else _key_of(scope.state, fork.items)
    return _alike(
        ForkData,
        fork,
        each=each,
        items=None if fork.items is None or each is not None else [Raw(i) for i in fork.items],
        branches=tuple(_branch_data(index, branch) for index, branch in fork.branches.items()),
    )


def _fork(scope: Scope, data: ForkData) -> Fork:
    raw = data.items
    if data.each is not None:
        raw = msgspec.json.decode(scope.state.encoded(data.each) or b"", type=list[Raw])
    return _alike(
        Fork,
        data,
        items=None if raw is None else [bytes(item) for item in raw],
        branches={each.index: _branch(each) for each in data.branches},
    )


def _key_of(state: State, items: list[bytes]) -> str | None:
    """Return the key whose value the items of a fork are, or None."""
    whole = b"[" + b",".join(items) + b"]"
    return next((key for key, value in state.raw() if value == whole), None)


def _branch_data(index: int, branch: Branch) -> BranchData:
    values = {key: Raw(value) for key, (value, _) in branch.changed.items() if value is not None}
    seqs = {key: seq for key, (_, seq) in branch.changed.items()}
    return _alike(BranchData, branch, index=index, changed=seqs, values=values)


def _branch(data: BranchData) -> Branch:
    values = _as_bytes(data.values)
    changed = {key: (values.get(key), seq) for key, seq in data.changed.items()}
    return _alike(Branch, data, changed=changed)


def _as_bytes(raw: Mapping[str, Raw]) -> dict[str, bytes]:
    return {key: bytes(value) for key, value in raw.items()}


def _alike(kind: type[_T], source: Struct, **other: Any) -> _T:
    """Return a struct whose fields are those of another, but for what is given."""
    names = kind.__struct_fields__
    given = set(source.__struct_fields__) - other.keys()
    return kind(**{name: getattr(source, name) for name in names if name in given}, **other)
