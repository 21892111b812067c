"""Blame as the outside sees it: an entry for each path of a state that has writers of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import chain, islice
from typing import Any, Final

from msgspec import Struct

from stenograph.engine.audit.blame import Blamer
from stenograph.engine.audit.blame_trees import Mark, Tree, Writer, has
from stenograph.engine.conditions.expression_lookup import shown
from stenograph.engine.core.events import Origin
from stenograph.engine.errors import PathNotFound, ScopeNotFound
from stenograph.engine.values import pointer

ENTRIES_MAX: Final = 1000
"""So many entries of one answer; ``more`` tells of the rest: ask for a deeper path."""
_INDEX: Final = re.compile("0|[1-9][0-9]*")


class Blame(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who last wrote what stands at a path.

    ``value`` is it when it has at most 128 bytes, else its type and length. ``by`` is the event that
    put it into this state; where that brought over what others had made (a join, a sub-graph, a
    signal), they are the ``sources``, the first 100, and ``more`` counts the others.
    """

    path: str
    value: Any
    by: Writer
    sources: tuple[Writer, ...] = ()
    more: int = 0


class BlameAt(Struct, frozen=True, kw_only=True):
    """The blame of a state, or of what stands at ``path`` in it, after event ``seq``.

    An object or a list has an entry, by who last changed anything in it, and so has each part of it
    that somebody else wrote. ``more`` entries are left out. ``lost``: what the run was forked from,
    or one before it, whose events are not here: what it had written is blamed on ``run.created``.
    """

    run_id: str
    seq: int
    scope: str
    path: str
    items: tuple[Blame, ...]
    more: int = 0
    lost: Origin | None = None


def blame_at(blamer: Blamer, path: str, scope: str, lost: Origin | None = None) -> BlameAt:
    """Return the blame of a path (a JSON pointer; empty: all) in a scope that is open.

    Raises PathNotFound or ScopeNotFound.
    """
    run = blamer.run
    if scope not in run.scopes:
        raise ScopeNotFound(run.id, scope, run.seq)
    trees, state = blamer.trees(scope), run.scopes[scope].state
    keys = _keys_of(path)
    if keys is None or (keys and keys[0] not in state):
        raise PathNotFound(path, run.seq)
    if not keys:
        each = (_entries(pointer(key), state[key], trees[key]) for key in state)
        found = chain.from_iterable(each)
    else:
        value, tree = state[keys[0]], trees[keys[0]]
        for key in keys[1:]:
            value, tree = _part(value, tree, key, path, run.seq)
        found = chain(_entries(path, value, tree))
    return BlameAt(
        run_id=run.id,
        seq=run.seq,
        scope=scope,
        path=path,
        items=tuple(islice(found, ENTRIES_MAX)),
        more=sum(1 for _ in found),
        lost=lost,
    )


def _part(value: Any, tree: Tree, key: str, path: str, seq: int) -> tuple[Any, Tree]:
    at: Any = int(key) if isinstance(value, list) and _INDEX.fullmatch(key) else key
    if not has(value, at):
        raise PathNotFound(path, seq)
    return value[at], tree.part(at)


def _entries(path: str, value: Any, tree: Tree, above: Mark | None = None) -> Iterator[Blame]:
    mark = tree.mark
    if mark != above:
        yield Blame(path=path, value=shown(value), by=mark.by, sources=mark.sources, more=mark.more)
    parts: Any = tree.parts or ()
    for key in parts if isinstance(parts, Mapping) else range(len(parts)):
        yield from _entries(path + pointer(key), value[key], parts[key], mark)


def _keys_of(path: str) -> list[str] | None:
    """Return the keys of a JSON pointer; None for what is none."""
    if path and not path.startswith("/"):
        return None
    return [each.replace("~1", "/").replace("~0", "~") for each in path.split("/")[1:]]
