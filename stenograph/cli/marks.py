"""Marks: the one sign and colour that each kind of event and each status has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from msgspec import Struct

Mark: TypeAlias = Literal[
    "begun", "running", "done", "failed", "cancelled", "waiting", "again", "patched", "going",
    "said", "unknown",
]  # fmt: skip


class Sign(Struct, frozen=True):
    """How a mark looks: ``plain`` where there is no more than ASCII."""

    glyph: str
    plain: str
    colour: str | None = None


SIGNS: Final[Mapping[Mark, Sign]] = {
    "begun": Sign("●", "*", "cyan"),
    "running": Sign("▶", ">", "blue"),
    "done": Sign("✓", "+", "green"),
    "failed": Sign("✕", "x", "red"),
    "cancelled": Sign("⊘", "-", "magenta"),
    "waiting": Sign("‖", "=", "yellow"),
    "again": Sign("↻", "@", "yellow"),
    "patched": Sign("±", "~"),
    "going": Sign("→", ">"),
    "said": Sign("·", "."),
    "unknown": Sign("?", "?"),
}

OF_STATUS: Final[Mapping[str, Mark]] = {
    "running": "running",
    "waiting": "waiting",
    "paused": "waiting",
    "parked": "waiting",
    "cancelling": "waiting",
    "completed": "done",
    "failed": "failed",
    "cancelled": "cancelled",
    "ok": "done",
    "error": "failed",
    "timeout": "failed",
    "interrupted": "cancelled",
}
"""The mark of a run's status, and of a visit's."""

PLAIN: Final = str.maketrans({"→": "->", "∅": "none", "…": "...", "█": "#", "“": '"', "”": '"'})
"""Our own signs within a line, as ASCII has them."""
