"""Blame: who last wrote each part of a state, found in one pass over a run's events.

A value that did not change keeps its writer, also within an object or a list that was replaced. What
a fork or a sub-graph brings to a state is traced to the events in it that made it. A run that was
forked from another goes on with the writers there, when that one's events are taken in before its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct, field

from stenograph.engine.audit.blame_brought import Brings, Left, hand_of, size_of, tail_of
from stenograph.engine.audit.blame_trees import (
    Hand,
    Mark,
    Plain,
    Tree,
    Trees,
    Writer,
    joined,
    lifted,
    rewritten,
    same,
)
from stenograph.engine.core.edges import compile_graph
from stenograph.engine.core.events import (
    BranchEnded,
    Event,
    ForkJoined,
    ForkOpened,
    NodeAttemptFailed,
    NodeEntered,
    NodeExited,
    RunCreated,
    RunResumed,
    SignalReceived,
    StatePatched,
    WaitResolved,
)
from stenograph.engine.core.folding import evolve
from stenograph.engine.core.run import Run
from stenograph.engine.core.scopes import ROOT, Scope, call_path, index_of, parent_of
from stenograph.engine.graphs.graph import ReducerName
from stenograph.engine.state.patch import PatchOp, added_to, target

ERRORS: Final = "errors"
"""The key in which a fork that collects puts what its branches failed of."""
LISTS: Final = frozenset({"append", "concat", "union"})
"""The reducers that make lists of what others left."""


class Blamed(Struct):
    """A scope's trees, those lists among them that nobody else holds, and what comes into it next."""

    trees: dict[str, Tree]
    owned: set[str] = field(default_factory=set)
    inner: set[str] = field(default_factory=set)
    opened: Writer | None = None
    each: str | None = None
    ended: dict[int, dict[str, tuple[bytes, Tree]] | Writer] = field(default_factory=dict)
    brings: Brings | None = None
    outside: Writer | None = None


class Blamer:
    """Takes in the events of a run in their order; ``trees`` and ``run`` are as of the last.

    Those of a fork come after those of its origin, up to the point where it was forked; without
    them all that it took over is blamed on its ``run.created``.
    """

    def __init__(self) -> None:
        self.run = Run()
        self._scopes: dict[str, Blamed] = {}
        self._signals: dict[int, Writer] = {}
        self._resumed: Writer | None = None

    def trees(self, scope: str = ROOT) -> Trees:
        """Return the trees of a scope that is open."""
        return self._scopes[scope].trees

    def note(self, event: Event) -> None:
        """Take in what has happened."""
        data = event.data
        match data:
            case RunCreated():
                self._create(event, data)
                return
            case NodeEntered():
                self._begin(event, data)
            case NodeExited():
                self._exit(data)
            case BranchEnded():
                self._end_branch(event, data)
            case ForkJoined(scope=scope):
                self._join(self._scopes[scope], self.run.scopes[scope])
            case StatePatched(scope=scope):
                self._patch(event, self.run.scopes[scope], data.patch)
                return
            case _:
                pass
        evolve(self.run, event)
        self._after(event)

    def _after(self, event: Event) -> None:
        match event.data:
            case RunResumed():
                self._resumed = writer(event)
            case SignalReceived():
                self._signals[event.seq] = writer(event)
            case WaitResolved(scope=scope, signal_seq=seq) if seq is not None:
                self._scopes[scope].outside = self._signals.pop(seq, None)
            case ForkOpened(scope=scope, each=each):
                blamed = self._scopes[scope]
                blamed.opened, blamed.each, blamed.ended = writer(event), each, {}
            case NodeEntered(graph=str()) as entered:
                self._call(entered)
            case NodeExited() | NodeAttemptFailed() as over:
                self._drop(call_path(over.scope, over.node, over.visit))
            case _:
                pass

    def _create(self, event: Event, created: RunCreated) -> None:
        """Begin a run: with what stands in its first event, or with what its origin has written."""
        before, by = self.run, writer(event)
        self.run = Run()
        evolve(self.run, event)
        if not before.seq or created.origin is None:
            self._scopes = {path: _begun(scope, by) for path, scope in self.run.scopes.items()}
            for path in self._scopes:
                if path != ROOT:
                    self._scopes[parent_of(path)[0]].inner.add(path)
            return
        self._signals = {seq - before.seq: each for seq, each in self._signals.items()}
        for path, patch in created.patches.items():
            ops: dict[str, list[PatchOp]] = {}
            for op in patch:
                ops.setdefault(target(op)[0], []).append(op)
            for key, changes in ops.items():
                old = before.scopes[path].state.encoded(key)
                self._write(self.run.scopes[path], key, old, changes, Plain(Mark(by)))

    def _begin(self, event: Event, entered: NodeEntered) -> None:
        """Begin a branch, where this is its first node."""
        path = entered.scope
        if path in self._scopes:
            self._scopes[path].brings = self._scopes[path].outside = None
            return
        parent, index = parent_of(path)[0], index_of(path)
        outer, fork = self._scopes[parent], self.run.scopes[parent].open_fork
        trees = self._child(outer, path)
        if outer.opened is not None and fork.items is not None:
            opened = Tree(Mark(outer.opened))
            items = opened if outer.each is None else tree_at(outer.trees, outer.each)
            trees["index"], trees[fork.as_] = opened, items.part(index)

    def _child(self, outer: Blamed, path: str, trees: Trees | None = None) -> dict[str, Tree]:
        """Begin a scope within another, whose trees it goes on from."""
        self._drop(path)
        outer.owned = set()
        outer.inner.add(path)
        own = dict(outer.trees if trees is None else trees)
        self._scopes[path] = Blamed(own)
        return own

    def _call(self, entered: NodeEntered) -> None:
        outer = self._scopes[entered.scope]
        given = None
        if entered.in_ is not None:
            given = {key: tree_at(outer.trees, at) for key, at in entered.in_.items()}
        self._child(outer, call_path(entered.scope, entered.node, entered.visit), given)

    def _exit(self, exited: NodeExited) -> None:
        """Keep what a sub-graph leaves, or who said what a node is to have returned."""
        blamed = self._scopes[exited.scope]
        position = self.run.scopes[exited.scope].position
        assert position is not None, "a node is left where its scope stands"
        if position.phase == "to-enter":
            blamed.outside = self._resumed
        path = call_path(exited.scope, exited.node, exited.visit)
        if position.phase == "calling" and exited.outcome == "ok":
            ended, trees = self.run.scopes[path], self._scopes[path].trees
            lefts = {
                key: [Left(data, trees[key])]
                for key in ended.state
                if (data := ended.state.encoded(key)) is not None
            }
            blamed.brings = Brings(lefts)

    def _end_branch(self, event: Event, ended: BranchEnded) -> None:
        outer = self._scopes[parent_of(ended.scope)[0]]
        index = index_of(ended.scope)
        if ended.outcome == "ok":
            scope, trees = self.run.scopes[ended.scope], self._scopes[ended.scope].trees
            outer.ended[index] = {
                key: (data, trees[key])
                for key in scope.changed
                if key not in scope.hidden and (data := scope.state.encoded(key)) is not None
            }
            self._drop(ended.scope)
        elif ended.outcome == "error":
            outer.ended[index] = writer(event)

    def _join(self, blamed: Blamed, scope: Scope) -> None:
        """Bring together what the branches of a fork left."""
        brings = Brings(collects=scope.open_fork.collects)
        sizes: dict[str, int] = {}
        for _, left in sorted(blamed.ended.items()):
            if isinstance(left, Writer):
                brings.failed.append(left)
                continue
            for key, (data, tree) in left.items():
                old = scope.state.encoded(key)
                if data != old:
                    if key not in sizes:
                        sizes[key] = size_of(old)
                    brings.lefts.setdefault(key, []).append(Left(data, tree, sizes[key]))
        blamed.ended, blamed.brings = {}, brings
        for path in list(blamed.inner):
            self._drop(path)

    def _drop(self, path: str) -> None:
        if (blamed := self._scopes.get(path)) is not None:
            for each in list(blamed.inner):
                self._drop(each)
            del self._scopes[path]
            self._scopes[parent_of(path)[0]].inner.discard(path)

    def _patch(self, event: Event, scope: Scope, patch: Iterable[PatchOp]) -> None:
        blamed = self._scopes[scope.path]
        by = Mark(writer(event), () if blamed.outside is None else (blamed.outside,))
        reducers = compile_graph(scope.graph).rules.reducers
        ops: dict[str, list[PatchOp]] = {}
        for op in patch:
            ops.setdefault(target(op)[0], []).append(op)
        before = {key: scope.state.encoded(key) for key in ops}
        evolve(self.run, event)
        for key, changes in ops.items():
            lefts = [] if blamed.brings is None else blamed.brings.lefts.get(key, [])
            if blamed.brings is not None and blamed.brings.collects and key == ERRORS:
                marks = [Mark(each) for each in blamed.brings.failed]
                self._write(scope, key, before[key], changes, Plain(joined(by, marks)))
            elif lefts and reducers.get(key) == "replace":
                self._write(scope, key, before[key], changes, hand_of(by, lefts[-1:]))
            elif lefts:
                self._bring(scope, key, before[key], changes, by, lefts, reducers.get(key))
            else:
                self._write(scope, key, before[key], changes, Plain(by))
        blamed.brings = blamed.outside = None

    def _bring(
        self,
        scope: Scope,
        key: str,
        old: bytes | None,
        ops: list[PatchOp],
        by: Mark,
        lefts: list[Left],
        reducer: ReducerName | None,
    ) -> None:
        """Write what others left of a key; items of lists are traced one by one."""
        new = scope.state.encoded(key)
        grew = new is not None and added_to(old or b"[]", new) is not None
        if reducer not in LISTS or new is None or not grew:
            self._write(scope, key, old, ops, hand_of(by, lefts))
            return
        size, items = size_of(old), msgspec.json.decode(new)
        tails = [each for left in lefts for each in tail_of(left, len(items) - size)]
        blamed = self._scopes[scope.path]
        parts = [blamed.trees[key].part(at) for at in range(size)]
        hand = hand_of(by, lefts)
        place = 0
        for item in items[size:]:
            found = next((at for at in range(place, len(tails)) if same(tails[at][0], item)), None)
            parts.append(Tree(hand.mark) if found is None else lifted(tails[found][1], by))
            place = place if found is None else found + 1
        blamed.trees[key] = Tree(hand.mark, parts)
        blamed.owned.add(key)

    def _write(
        self, scope: Scope, key: str, old: bytes | None, ops: list[PatchOp], hand: Hand
    ) -> None:
        blamed = self._scopes[scope.path]
        new = scope.state.encoded(key)
        if new is None:
            blamed.trees.pop(key, None)
        elif old is None:
            blamed.trees[key] = hand.tree(msgspec.json.decode(new))
        elif target(ops[0])[1]:
            self._grow(blamed, key, old, ops, hand)
            return
        else:
            values = msgspec.json.decode(old), msgspec.json.decode(new)
            blamed.trees[key] = rewritten(blamed.trees[key], *values, hand)
        blamed.owned.discard(key)

    def _grow(self, blamed: Blamed, key: str, old: bytes, ops: list[PatchOp], hand: Hand) -> None:
        """Blame what a list grew by; it costs as much as that."""
        tree = blamed.trees[key]
        if key not in blamed.owned or not isinstance(tree.parts, list):
            size = size_of(old)
            tree = blamed.trees[key] = Tree(tree.mark, [tree.part(at) for at in range(size)])
            blamed.owned.add(key)
        assert isinstance(tree.parts, list), "it was made one here, or before"
        for op in ops:
            value = msgspec.json.decode(op.value) if isinstance(op.value, Raw) else None
            tree.parts.append(hand.at(len(tree.parts)).tree(value))
        tree.mark = hand.mark


def _begun(scope: Scope, by: Writer) -> Blamed:
    """Return the blame of a scope that a run begins with; all in it is by one event."""
    tree = Tree(Mark(by))
    blamed = Blamed(dict.fromkeys(scope.state, tree))
    if scope.fork is not None:
        blamed.opened = by
        for index, branch in scope.fork.branches.items():
            if branch.status == "ok":
                left = branch.changed.items()
                blamed.ended[index] = {k: (data, tree) for k, (data, _) in left if data is not None}
            elif branch.status == "error":
                blamed.ended[index] = by
    return blamed


def writer(event: Event) -> Writer:
    """Return who an event is by."""
    data: Any = event.data
    return Writer(
        run_id=event.run_id,
        seq=event.seq,
        type=event.type,
        at=event.at,
        scope=getattr(data, "scope", None) or "",
        node=getattr(data, "node", ""),
        visit=getattr(data, "visit", 0),
        attempt=getattr(data, "attempt", 0),
        actor=getattr(data, "actor", ""),
    )


def tree_at(trees: Trees, path: str) -> Tree:
    """Return the tree of what stands at a path of keys with dots; a key that is all of it wins."""
    if path in trees:
        return trees[path]
    first, *rest = path.split(".")
    tree = trees[first]
    for key in rest:
        tree = tree.part(key)
    return tree
