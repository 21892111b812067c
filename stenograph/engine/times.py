"""Times as records write them: RFC 3339, UTC, microseconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
LAST_US: Final = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)
"""The last time that can be written, in the year 9999."""


def to_text(at_us: int) -> str:
    """Write a time as records have it: ``2026-11-20T22:55:01.123456Z``."""
    seconds, microseconds = divmod(at_us, 1_000_000)
    return f"{_second(seconds)}.{microseconds:06d}Z"


@lru_cache(maxsize=16)  # what is written now is written in the same second as what was before it
def _second(at_s: int) -> str:
    return (_EPOCH + timedelta(seconds=at_s)).isoformat().removesuffix("+00:00")


def to_us(text: str) -> int:
    """Read a time as records have it; raises ValueError, also for one that names no zone."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text!r} has no zone; end it with Z")
    try:
        at = at.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{text!r} is not in the years 1 to 9999 of UTC") from None
    return (at - _EPOCH) // timedelta(microseconds=1)


def is_time(text: str) -> bool:
    """Tell whether text is a time just as ``to_text`` writes it."""
    try:
        return to_text(to_us(text)) == text
    except ValueError:
        return False
