"""Trees of blame: who last wrote a value, and below it each part that somebody else wrote.

A tree has as much structure as there are different writers, and never more than its value has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeAlias

from msgspec import Struct

SOURCES_MAX: Final = 100
"""So many first writers of one value are named; ``more`` counts the rest."""


class Writer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An event that wrote to a state; ``actor`` is who did it where that was no node."""

    run_id: str
    seq: int
    type: str
    at: str
    scope: str = ""
    node: str = ""
    visit: int = 0
    attempt: int = 0
    actor: str = ""


class Mark(Struct, frozen=True):
    """Who wrote a value: the event ``by`` which it came into the state, and if others had made it
    before, those: in the branches of a fork or a sub-graph, or from outside."""

    by: Writer
    sources: tuple[Writer, ...] = ()
    more: int = 0

    @property
    def first(self) -> tuple[Writer, ...]:
        """Those who made the value."""
        return self.sources or (self.by,)


class Tree(Struct):
    """The mark of a value, and where its parts have others, the tree of each part."""

    mark: Mark
    parts: dict[str, Tree] | list[Tree] | None = None

    def part(self, key: Any) -> Tree:
        """Return the tree of a part; one without structure holds for all that is below it."""
        return self if self.parts is None else self.parts[key]


Trees: TypeAlias = Mapping[str, Tree]
"""The blame of a state: a tree for each of its keys."""
Candidate: TypeAlias = tuple[Any, Tree]
"""A value as it was left elsewhere, with its tree."""


class Hand(Protocol):
    """What writes: says whom new values are blamed on."""

    @property
    def mark(self) -> Mark:
        """The mark of what changed within."""

    def at(self, key: Any) -> Hand:
        """Return what writes a part."""

    def tree(self, value: Any) -> Tree:
        """Return the tree of a value that is new."""


class Plain:
    """One event writes everything."""

    def __init__(self, mark: Mark) -> None:
        self.mark = mark

    def at(self, key: Any) -> Plain:
        """Return what writes a part."""
        return self

    def tree(self, value: Any) -> Tree:
        """Return the tree of a value that is new."""
        return Tree(self.mark)


class Brought:
    """An event brings over what others have left: those who left a value so made it.

    Where nobody left it so, as in a sum, all did who left another value there than it had been.
    """

    def __init__(
        self,
        mark: Mark,
        candidates: Sequence[Candidate],
        outer: Sequence[Candidate] | None = None,
    ) -> None:
        self._by, self._candidates = mark, candidates
        self._blamed = candidates or outer or ()

    @property
    def mark(self) -> Mark:
        """The mark of what changed within."""
        return joined(self._by, [tree.mark for _, tree in self._blamed])

    def at(self, key: Any) -> Brought:
        """Return what writes a part."""
        inner = [
            (value[key], tree.part(key)) for value, tree in self._candidates if has(value, key)
        ]
        return Brought(self._by, inner, self._blamed)

    def tree(self, value: Any) -> Tree:
        """Return the tree of a value that is new."""
        alike = [tree for left, tree in self._candidates if same(left, value)]
        if len(alike) == 1:
            return lifted(alike[0], self._by)
        if alike:
            return Tree(joined(self._by, [tree.mark for tree in alike]))
        if isinstance(value, dict):
            return Tree(self.mark, {key: self.at(key).tree(each) for key, each in value.items()})
        return Tree(self.mark)


def rewritten(tree: Tree, old: Any, new: Any, hand: Hand) -> Tree:
    """Return the tree of ``new``, which took the place of ``old``, whose tree is given.

    Parts that did not change keep their trees: objects are compared by key, lists by position.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        parts = {
            key: rewritten(tree.part(key), old[key], value, hand.at(key))
            if key in old
            else hand.at(key).tree(value)
            for key, value in new.items()
        }
        kept = old.keys() == new.keys() and all(parts[key] is tree.part(key) for key in parts)
        return tree if kept else Tree(hand.mark, parts)
    if isinstance(old, list) and isinstance(new, list):
        items = [
            rewritten(tree.part(at), old[at], value, hand.at(at))
            if at < len(old)
            else hand.at(at).tree(value)
            for at, value in enumerate(new)
        ]
        kept = len(old) == len(new) and all(each is tree.part(at) for at, each in enumerate(items))
        return tree if kept else Tree(hand.mark, items)
    return tree if same(old, new) else hand.tree(new)


def joined(by: Mark, marks: Iterable[Mark]) -> Mark:
    """Return the mark of what an event made of several values."""
    first: dict[tuple[str, int], Writer] = {}
    more = 0
    for mark in marks:
        first.update(((each.run_id, each.seq), each) for each in mark.first)
        more += mark.more
    found = list(first.values())
    more += max(0, len(found) - SOURCES_MAX)
    return Mark(by.by, tuple(found[:SOURCES_MAX]) or by.sources, more)


def lifted(tree: Tree, by: Mark) -> Tree:
    """Return a tree as it is once an event has brought its value over."""
    mark = Mark(by.by, tree.mark.first, tree.mark.more)
    if isinstance(tree.parts, dict):
        return Tree(mark, {key: lifted(each, by) for key, each in tree.parts.items()})
    return Tree(mark, None if tree.parts is None else [lifted(each, by) for each in tree.parts])


def same(one: Any, other: Any) -> bool:
    """Tell whether two JSON values are equal and of the same kinds: 1 is neither 1.0 nor true."""
    if one.__class__ is not other.__class__:
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def has(value: Any, key: Any) -> bool:
    """Tell whether a value has a part: an object a key, a list a position."""
    if isinstance(key, str):
        return isinstance(value, dict) and key in value
    return isinstance(value, list) and key < len(value)
