"""Text for people: safe on a terminal, short where a value is long."""

from __future__ import annotations

import re
import unicodedata
from typing import Any, Final

import msgspec

from stenograph.http import printable as printable  # one of these to whoever asks here

TEXT_MAX: Final = 40
"""Most characters that a short form of a value has."""

TOKEN: Final = re.compile(r"(steno_[0-9a-f]{12}_)[0-9a-f]+")
COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")


def redacted(text: str) -> str:
    """Return a text without the secret of any token that stands in it."""
    return TOKEN.sub(r"\1…", text)


def shortened(text: str, most: int) -> str:
    """Return at most ``most`` characters of a text, the last one ``…`` when some are left out."""
    return text if len(text) <= most else text[: most - 1] + "…"


def short(value: Any, most: int = TEXT_MAX) -> str:
    """Return a JSON value in at most ``most`` characters, or its size when it needs more."""
    text = whole(value, most)
    if text is not None:
        return text
    match value:
        case str():
            return f"text of {count(len(value), 'character')}"
        case list():
            return f"[{count(len(value), 'item')}]"
        case _:
            return f"{{{count(len(value), 'key')}}}"


def whole(value: Any, most: int = TEXT_MAX) -> str | None:
    """Return the JSON text of a value, or None when it has more than ``most`` characters."""
    data = msgspec.json.encode(value)
    if len(data) > 4 * most:  # too long in any case: a character has four bytes at most
        return None
    text = printable(data.decode())
    return text if len(text) <= most else None


def count(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun: ``1 event``, ``1,024 events``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def duration(seconds: float) -> str:
    """Return a length of time: ``0.31 s``, ``41.4 s``, ``2 m 07 s``, ``3 h 02 m``."""
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} m {rest:02} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes:02} m"


def width(text: str) -> int:
    """Return how many columns a text takes on a terminal."""
    text = COLOUR.sub("", text)
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(unicodedata.combining(letter) > 0 for letter in text)


def padded(text: str, columns: int) -> str:
    """Return a text with blanks after it, up to a number of columns."""
    return text + " " * (columns - width(text))
