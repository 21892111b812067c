"""Places: a node by its name, with the scope before it where that is not the run itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from stenograph.cli.text import width

ROOT: Final = "/"
RUN: Final = "run"
"""What stands in the column of nodes when an event is about the run as a whole."""
_BRANCH: Final = re.compile(r"(/|.*/)[^/]*#\d+\[\d+\]/")
_INDEX: Final = re.compile(r"(#\d+\[)\d+(?=\]/)")


def place(data: dict[str, Any]) -> str:
    """Return where something happened: ``work``, ``split#1[0]/work``, or ``split#1[0]``."""
    whole = f"{data.get('scope', ROOT)}{data.get('node', '')}"
    return whole.strip("/") or RUN


def forked_from(scope: str) -> str | None:
    """Return the scope of which this one is a branch; None when it is none."""
    match = _BRANCH.fullmatch(scope)
    return None if match is None else match[1]


def like(scope: str) -> str:
    """Return what a scope has in common with the other branches: ``/split#1[*]/``."""
    return _INDEX.sub(r"\1*", scope)


def ending(text: str, most: int) -> str:
    """Return a text, or its last columns with ``…`` before them: the end of a place says most."""
    if width(text) <= most:
        return text
    while width(text) >= most:
        text = text[1:]
    return f"…{text}"


def called_from(scope: str, node: str, visit: int) -> str:
    """Return the scope of the sub-graph that a node runs."""
    return f"{scope}{node.replace('~', '~0').replace('/', '~1')}#{visit}/"


def around(scope: str) -> Iterator[str]:
    """Yield a scope and those that it stands in, but not the run's own."""
    while scope != ROOT:
        yield scope
        scope = scope[: scope.rindex("/", 0, -1) + 1]
