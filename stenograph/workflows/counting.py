"""Numbers with their nouns, for people."""

from __future__ import annotations


def count(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun: ``1 class``, ``1,024 classes``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
