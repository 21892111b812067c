"""What a condition reads: names, keys and items, and the record of each look-up.

A look-up is a name and the links that follow it, as in ``review.scores[0]``. Its whole path is
recorded with the value found, so that a decision can be understood from its event alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from itertools import islice
from keyword import iskeyword
from typing import Any, Final, TypeAlias
from unicodedata import normalize

import msgspec
from msgspec import UNSET, Struct, field

from stenograph.engine.conditions.expression_text import clip
from stenograph.engine.conditions.expression_values import EvaluationError, kind, weight
from stenograph.engine.conditions.expression_work import SCALARS, Budget, Reads

READ_MAX_BYTES: Final = 128
"""Largest value, as compact JSON, that is recorded whole."""
WHOLE: Final = frozenset({"state", "context"})
BOUND: Final = {
    "error": "it exists where an error or a timeout is handled",
    "item": "it exists in the branches of a map",
    "index": "it exists in the branches of a map",
    "visit": "it exists where a node has been entered",
}
RESERVED: Final = WHOLE | frozenset(BOUND)
"""Names that are not the state's keys; a key of the same name is written ``state["item"]``."""


class View(Struct, frozen=True, gc=False):
    """What a condition sees: the state, and what is bound beside it here.

    ``bindings`` holds those of ``error``, ``item``, ``index`` and ``visit`` that exist now, and
    may hold other names; a bound name wins over a key of the state. ``budget``: what all conditions
    that see it may do together.
    """

    state: Mapping[str, Any]
    bindings: Mapping[str, Any] = {}
    budget: Budget = field(default_factory=Budget)


Program: TypeAlias = Callable[[View, Reads], Any]
Link: TypeAlias = Callable[[Any, View, Reads], Any]


def constant(value: Any) -> Program:
    """Return the program of a constant."""
    return lambda view, read: value


def bare_name(name: str, position: int) -> Program:
    """Return the program of a name on its own, which is all of a look-up but its record."""
    if name in WHOLE:
        return lambda view, read: view.state

    def program(view: View, read: Reads) -> Any:
        if name in view.bindings:
            return view.bindings[name]
        if name not in BOUND:
            try:
                return view.state[name]
            except KeyError:
                pass
        raise EvaluationError(unknown_name(name, view), position)

    return program


def by_key(key: Program, path: str, position: int) -> Link:
    """Return the link ``[key]``, which also is ``.key``; ``path`` leads to what is looked into."""

    def link(value: Any, view: View, read: Reads) -> Any:
        wanted = key(view, read)
        try:
            return value[wanted]
        except (LookupError, TypeError):
            raise EvaluationError(not_found(value, wanted, path), position) from None

    return link


def by_get(key: Program, default: Program, path: str, position: int) -> Link:
    """Return the link ``.get(key, default)``, which only a dict has."""

    def link(value: Any, view: View, read: Reads) -> Any:
        wanted, other = key(view, read), default(view, read)
        if not isinstance(value, Mapping):
            raise EvaluationError(f"`{clip(path)}` is {kind(value)}; .get is a dict's", position)
        try:
            return value.get(wanted, other)
        except TypeError:
            raise EvaluationError(f".get needs a text, not {kind(wanted)}", position) from None

    return link


def lookup(path: str, root: Program, links: list[Link], default: Program | None) -> Program:
    """Return the program of a whole look-up, which records what it found under its path.

    With a ``default`` the last link is a ``.get`` that answers UNSET: null is recorded then, and
    the default is the value.
    """

    def found(view: View, read: Reads) -> Any:
        value = root(view, read)
        for link in links:
            value = link(value, view, read)
        read.found[path] = value if type(value) in SCALARS else shown(value)
        return value

    if default is None:
        return found

    def found_or_default(view: View, read: Reads) -> Any:
        other = default(view, read)
        value = found(view, read)
        return other if value is UNSET else value

    return found_or_default


def membership(path: str, key: str, *, wanted: bool) -> Program:
    """Return the program of ``"key" in state``, which records the key as a ``.get`` does."""

    def program(view: View, read: Reads) -> bool:
        value = view.state.get(key, UNSET)
        read.found[path] = shown(value)
        return (value is not UNSET) is wanted

    return program


SHORT_TEXT: Final = (READ_MAX_BYTES - 2) // 6
"""Characters that fit a record however JSON escapes them."""


def shown(value: Any) -> Any:
    """Return what a record keeps of a value that was read: a copy, or its type and length."""
    if type(value) in SCALARS or (type(value) is str and len(value) <= SHORT_TEXT):
        return value
    if value is UNSET:
        return None
    if weight(value, READ_MAX_BYTES) <= READ_MAX_BYTES:
        encoded = msgspec.json.encode(dict(value) if isinstance(value, Mapping) else value)
        if len(encoded) <= READ_MAX_BYTES:
            return msgspec.json.decode(encoded)
    type_ = "dict" if isinstance(value, Mapping) else type(value).__name__
    return {"type": type_, "length": len(value)}


def suffix(key: str | int) -> str:
    """Return how a path goes on at a key, in a spelling that is itself a look-up."""
    if isinstance(key, int):
        return f"[{key}]"
    if key.isidentifier() and not iskeyword(key) and normalize("NFKC", key) == key:
        return f".{key}"
    return f"[{msgspec.json.encode(key).decode()}]"


def unknown_name(name: str, view: View) -> str:
    """Return why a name means nothing here, and which it is near to."""
    if name in BOUND:
        return f"there is no `{name}` here; {BOUND[name]}"
    hint = near(name, [*view.bindings, *islice(view.state, NEAR_MAX_KEYS)])
    return f"the state has no key `{clip(name)}`{hint}"


def not_found(value: Any, key: Any, path: str) -> str:
    """Return why a key cannot be looked up in what ``path`` led to."""
    path = clip(path)
    if isinstance(value, Mapping) and isinstance(key, str):
        return f"`{path}` has no key `{clip(key)}`{near(key, value)}"
    if isinstance(value, list) and isinstance(key, int):
        return f"`{path}` has {len(value)} items, and none at [{key}]"
    named = f"`{clip(key)}`" if isinstance(key, str) else kind(key)
    return f"`{path}` is {kind(value)}; {named} cannot be looked up in it"


NEAR_MAX_KEYS: Final = 200
NEAR_MAX_CHARS: Final = 64


def near(word: str, keys: Iterable[str]) -> str:
    """Return ``; did you mean …?`` for a word near to one of the first keys, else nothing."""
    short = [key for key in islice(keys, NEAR_MAX_KEYS) if len(key) <= NEAR_MAX_CHARS]
    close = get_close_matches(word[:NEAR_MAX_CHARS], short, n=1)
    return f"; did you mean `{close[0]}`?" if close else ""
