"""Where a tool itself says the run goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

NEXT_NODE: Final = "__next_node__"
"""The key by which a tool may say where to go, as a spelling of Goto; never part of the state."""


class Goto(Struct, frozen=True):
    """What a tool returns to say itself where the run goes on: a node, ``$end`` or ``$fail``.

    ``update`` is what it would return else. Raises TypeError when ``to`` is no text.
    """

    to: str
    update: Mapping[str, Any] = {}

    def __post_init__(self) -> None:
        if not isinstance(self.to, str):
            raise TypeError(f"Goto takes the name of a node, not {type(self.to).__name__}")
