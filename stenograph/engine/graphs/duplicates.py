"""Names that stand twice in an object of JSON, of which a parser would keep the last, unsaid."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final

from stenograph.engine.errors import Fault
from stenograph.engine.graphs.reading import FAULTS_MAX
from stenograph.engine.values import clip, pointer


def duplicate_keys(text: bytes) -> list[Fault]:
    """Return a fault for each key that an object of a JSON text holds twice.

    A parser keeps the last and says nothing; in a graph that would lose a node. Raises ValueError
    for what is no JSON in UTF-8; nesting is the caller's to bound.
    """
    if not _has_twice(text.decode()):
        return []
    found = _DECODER.decode(text.decode())
    return list(islice(_twice(found, ""), FAULTS_MAX))


def _has_twice(text: str) -> bool:
    """Tell whether any object holds a key twice, and keep nothing of what stands in it."""
    is_twice = False

    def look(pairs: list[tuple[str, Any]]) -> None:
        nonlocal is_twice
        is_twice = is_twice or len(dict(pairs)) < len(pairs)

    json.JSONDecoder(object_pairs_hook=look).decode(text)
    return is_twice


class _Pairs(list[tuple[str, Any]]):
    """An object of JSON with all that stood in it."""


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_Pairs)


def _twice(value: Any, path: str) -> Iterator[Fault]:
    if isinstance(value, _Pairs) and len(dict(value)) < len(value):  # to count takes far longer
        counts = Counter(key for key, _ in value)
        for name in [name for name, count in counts.items() if count > 1]:
            detail = f"the name {clip(repr(name))} stands twice in one object; give each its own"
            yield Fault(clip(path + pointer(name)), detail)
    items: Iterable[tuple[object, Any]] = value if isinstance(value, _Pairs) else enumerate(value)
    for key, inner in items:
        if isinstance(inner, list):
            yield from _twice(inner, path + pointer(key))
