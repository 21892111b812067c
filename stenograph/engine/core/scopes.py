"""Scopes: where in a run something happens, as paths, and what a run knows of each.

``/`` is the run, ``/split#1[0]/`` the first branch of the fork that node ``split`` opened on its
first visit, ``/call#1/`` the sub-graph that node ``call`` runs; each may hold others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import Struct, field

from stenograph.engine.core.events import ErrorInfo
from stenograph.engine.state.state import State
from stenograph.engine.values import encode

ROOT: Final = "/"
DEPTH_MAX: Final = 32
"""How many scopes may stand within one another."""
_S = TypeVar("_S", bound=Struct)
_LAST: Final = re.compile(r"(.*/)([^/]*)#(\d+)(?:\[(\d+)\])?/")

Phase: TypeAlias = Literal[
    "to-enter", "running", "backing-off", "waiting", "calling", "forked", "left", "interrupted",
    "stopped",
]  # fmt: skip


class Position(Struct, gc=False):
    """Where a scope stands.

    ``to-enter``: before an attempt; ``running``: in one; ``backing-off``: between two; ``waiting``:
    in a wait; ``calling``: in a sub-graph; ``forked``: in its branches; ``left``: behind a node, with
    nowhere to go; ``interrupted``: in an attempt that was cut off; ``stopped``: for others' sake.
    ``kind``: what is waited for, or of a node that was left its outcome; ``unsure``: the attempt may
    have had its effect; ``since``: the event that opened the wait.
    """

    node: str
    visit: int
    attempt: int
    phase: Phase
    tries: int = 0
    lost: int = 0
    retry_at: str | None = None
    entered_at: str = ""
    due_at: str | None = None
    unsure: bool = False
    kind: str = ""
    signal: str | None = None
    schema: bytes = b""
    since: int = 0


class Branch(Struct, frozen=True, gc=False):
    """What became of a branch; ``changed`` is what it wrote: key → JSON or None, and by which event."""

    status: Literal["open", "ok", "error", "cancelled"]
    changed: dict[str, tuple[bytes | None, int]] = {}
    error: ErrorInfo | None = None
    failed_in: str = ""
    node: str = ""
    visit: int = 0


class Fork(Struct, gc=False):
    """An open fork of a scope: which branches there are to be, and what became of each so far."""

    targets: tuple[str, ...]
    count: int
    join: str
    need: int
    collects: bool
    width: int | None
    items: list[bytes] | None
    as_: str
    next: int = 0
    open: int = 0
    arrived: int = 0
    failed: int = 0
    branches: dict[int, Branch] = field(default_factory=dict)

    @property
    def failure(self) -> bool:
        """Whether as many as it needs cannot arrive any more."""
        return self.count - self.failed < self.need

    @property
    def is_decided(self) -> bool:
        """Whether nothing that a branch may still do counts."""
        return self.failure or self.arrived >= self.need

    def target(self, index: int) -> str:
        """Return the node at which a branch begins."""
        return self.targets[0] if self.items is not None else self.targets[index]

    def copy(self) -> Fork:
        """Return a fork that changes apart from this one."""
        twin = twin_of(self)
        twin.branches = dict(self.branches)
        return twin

    def layer(self) -> Fork:
        """Return a copy that costs nothing, for as long as this one does not change."""
        twin = twin_of(self)
        twin.branches = Layer(self.branches)
        return twin


class Scope(Struct, gc=False):
    """The run itself (``/``), or a part of it with a state and a place of its own.

    ``changed``: the keys written here, each with the event that did it last; ``bound``: what
    conditions see beside the state in the branches of a map, as JSON; ``hidden``: the keys that
    such a branch was given, and that its join does not look at.
    """

    path: str
    state: State
    position: Position | None = None
    visits: dict[str, int] = field(default_factory=dict)
    taken: dict[str, int] = field(default_factory=dict)
    graph: bytes = b""
    changed: dict[str, int] = field(default_factory=dict)
    bound: dict[str, bytes] = field(default_factory=dict)
    hidden: tuple[str, ...] = ()
    fork: Fork | None = None

    def copy(self) -> Scope:
        """Return a scope that changes apart from this one."""
        twin = self.layer()
        twin.fork = None if self.fork is None else self.fork.copy()
        return twin

    def layer(self) -> Scope:
        """Return a copy whose branches cost nothing, for as long as this one does not change."""
        twin = twin_of(self)
        twin.state = self.state.copy()
        twin.position = None if self.position is None else twin_of(self.position)
        twin.visits, twin.taken = self.visits.copy(), self.taken.copy()
        twin.changed = self.changed.copy()
        twin.fork = None if self.fork is None else self.fork.layer()
        return twin

    def settle(self, below: Scope | None) -> None:
        """Take the place of the scope that this one is a layer over."""
        if self.fork is not None and isinstance(self.fork.branches, Layer):
            self.fork.branches = self.fork.branches.settle()
        if below is not None:
            self.state.succeed(below.state)

    @property
    def open_fork(self) -> Fork:
        """The fork that is open here."""
        assert self.fork is not None, "what happens to a branch happens while its fork is open"
        return self.fork

    @property
    def bindings(self) -> dict[str, Any]:
        """What conditions see beside the state: ``item`` and ``index`` in the branches of a map."""
        return {key: msgspec.json.decode(value) for key, value in self.bound.items()}


class Layer(dict[Any, Any]):
    """A dict over another, which it never changes; what is looked up comes up as a copy.

    Costs as much as what is looked up, however large the dict below is.
    """

    __slots__ = ("_below", "_moved")

    def __init__(self, below: dict[Any, Any]) -> None:
        super().__init__()
        self._below = below
        self._moved: dict[Any, None] = {}
        """The keys that were taken out once: what came back has its place at the end."""

    @property
    def touched(self) -> list[Any]:
        """The keys that came up here or were taken out, in that order."""
        return list(dict.fromkeys([*super().keys(), *self._moved]))

    def __missing__(self, key: Any) -> Any:
        if key in self._moved:
            raise KeyError(key)
        value = self._below[key]
        self[key] = value = value.layer() if isinstance(value, Scope) else value
        return value

    def peek(self, key: Any) -> Any:
        """Return a value for reading alone: it does not come up for that; None when there is none."""
        if dict.__contains__(self, key):
            return dict.get(self, key)
        if key in self._moved:
            return None
        below = self._below
        return below.peek(key) if isinstance(below, Layer) else below.get(key)

    def __contains__(self, key: object) -> bool:
        is_here = dict.__contains__(self, key)
        return is_here or (key not in self._moved and key in self._below)

    def get(self, key: Any, default: Any = None) -> Any:
        """Return the value of a key, or ``default``."""
        try:
            return self[key]
        except KeyError:
            return default

    def pop(self, key: Any, *default: Any) -> Any:
        """Take a key out, here alone."""
        value = self.get(key, *default)
        super().pop(key, None)
        self._moved[key] = None
        return value

    def keys(self) -> Any:
        """Return all keys, in the order of the dict below, then those that are new."""
        kept = (key for key in self._below if key not in self._moved)
        return dict.fromkeys([*kept, *super().keys()])

    def rebase(self, below: dict[Any, Any]) -> None:
        """Lie over another dict, which has become what the one below was."""
        self._below = below

    def settle(self) -> dict[Any, Any]:
        """Make the dict below what this one is, and return it; this one is not used any more.

        Costs as much as what was looked up here.
        """
        below = self._below
        for key in self._moved:
            below.pop(key, None)
        for key, value in super().items():
            if isinstance(value, Scope):
                value.settle(below.get(key))
            below[key] = value
        return below

    def __iter__(self) -> Iterator[Any]:
        return iter(self.keys())

    def values(self) -> Any:
        """Return all values; each comes up as a copy."""
        return [self[key] for key in self.keys()]

    def items(self) -> Any:
        """Return all keys with their values."""
        return [(key, self[key]) for key in self.keys()]

    def __len__(self) -> int:
        below = self._below
        own = sum(key in self._moved or key not in below for key in dict.__iter__(self))
        return len(below) - sum(key in below for key in self._moved) + own


def twin_of(struct: _S) -> _S:
    """Return a copy of a struct; ``copy.copy`` looks for how to do it first, which takes longer."""
    twin: _S = struct.__copy__()  # type: ignore[attr-defined]
    return twin


def branch_scope(parent: Scope, path: str) -> Scope:
    """Return the scope of a branch as it begins: what its fork saw, and what is bound for it alone."""
    index = index_of(path)
    fork = parent.open_fork
    if fork.items is None:
        return Scope(path, parent.state.child({}), graph=parent.graph, bound=parent.bound)
    own = {fork.as_: fork.items[index], "index": encode(index)}
    bound = {**parent.bound, "item": fork.items[index], "index": own["index"]}
    state = parent.state.child(own)
    return Scope(path, state, graph=parent.graph, bound=bound, hidden=tuple(own))


def branch_path(scope: str, node: str, visit: int, index: int) -> str:
    """Return the path of a branch of a fork."""
    return f"{scope}{_escaped(node)}#{visit}[{index}]/"


def call_path(scope: str, node: str, visit: int) -> str:
    """Return the path of the sub-graph that a node runs."""
    return f"{scope}{_escaped(node)}#{visit}/"


def parent_of(path: str) -> tuple[str, int | None]:
    """Return the scope that a scope stands in, and the index when it is a branch there.

    Raises ValueError for the run itself and for what is no path.
    """
    match = _LAST.fullmatch(path)
    if match is None:
        raise ValueError(f"{path!r} stands in no other scope")
    parent, _, _, index = match.groups()
    return parent, None if index is None else int(index)


def is_scope(path: str) -> bool:
    """Tell whether text has the form of a scope's path."""
    try:
        while path != ROOT:
            path, _ = parent_of(path)
    except ValueError:
        return False
    return True


def index_of(path: str) -> int:
    """Return which branch of its fork a scope is."""
    _, index = parent_of(path)
    assert index is not None, "only a branch has an index"
    return index


def depth_of(path: str) -> int:
    """Return in how many scopes a scope stands; 0 for the run itself."""
    return path.count("/") - 1


def node_of(name: str) -> str:
    """Return the node that the last name of a path tells of, such as ``call#1`` or ``split#1[0]``."""
    return name.rpartition("#")[0].replace("~1", "/").replace("~0", "~")


def _escaped(node: str) -> str:
    return node.replace("~", "~0").replace("/", "~1")
