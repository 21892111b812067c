"""Plain data as Python source, laid out as ruff and Black do, and never anything but data.

Text becomes a literal in which only printable characters stand for themselves, so nothing that was
recorded can end it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

WIDTH: Final = 88
INDENT: Final = 4


def text_literal(text: str) -> str:
    """Return a text as a string literal, in the quotes that need fewer backslashes."""
    quote = "'" if text.count('"') > text.count("'") else '"'
    return quote + "".join(_letter(letter, quote) for letter in text) + quote


def literal(value: Any, indent: int = 0, used: int = 0) -> str:
    """Return plain data as a literal: on one line where it fits, else an item a line.

    ``indent``: of the line that it begins on; ``used``: what else stands on that line.
    """
    flat = None if isinstance(value, Tall) else _flat(value)
    if flat is not None and indent + used + _columns(flat) <= WIDTH:
        return flat
    if isinstance(value, Mapping):
        items = [(f"{text_literal(key)}: ", each) for key, each in value.items()]
        return _laid_out("{", "}", items, indent)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return _laid_out("[", "]", [("", each) for each in value], indent)
    if isinstance(value, msgspec.Struct):
        return _laid_out(f"{type(value).__name__}(", ")", _arguments(value), indent)
    return _scalar(value)


class Tall(list[Any]):
    """A list that has a line for each of its items, however short they are."""


def call(name: str, arguments: Mapping[str, Any]) -> str:
    """Return a call of a function with named arguments, one a line."""
    return _laid_out(f"{name}(", ")", [(f"{key}=", each) for key, each in arguments.items()], 0)


def called(name: str, value: Any, used: int) -> str:
    """Return a call of a function with one argument, behind ``used`` columns."""
    flat = f"{name}({literal(value)})"
    if used + _columns(flat) <= WIDTH:
        return flat
    return _laid_out(f"{name}(", ")", [("", value)], 0)


def _laid_out(begin: str, end: str, items: Iterable[tuple[str, Any]], indent: int) -> str:
    inner = indent + INDENT
    lines = [
        f"{' ' * inner}{name}{literal(value, inner, _columns(name) + 1)},\n"
        for name, value in items
    ]
    return f"{begin}\n{''.join(lines)}{' ' * indent}{end}" if lines else begin + end


def _flat(value: Any) -> str | None:
    """Return data on one line; None for what is longer than any line."""
    if isinstance(value, Mapping):
        return _joined("{", "}", [(f"{text_literal(k)}: ", v) for k, v in value.items()])
    if isinstance(value, msgspec.Struct):
        return _joined(f"{type(value).__name__}(", ")", _arguments(value))
    if isinstance(value, Sequence) and not isinstance(value, str):
        return _joined("[", "]", [("", each) for each in value])
    return _scalar(value)


def _joined(begin: str, end: str, items: Iterable[tuple[str, Any]]) -> str | None:
    parts: list[str] = []
    length = len(begin)
    for name, value in items:
        flat = _flat(value)
        if flat is None or (length := length + len(name) + len(flat)) > WIDTH:
            return None
        parts.append(name + flat)
    return begin + ", ".join(parts) + end


def _arguments(struct: msgspec.Struct) -> list[tuple[str, Any]]:
    """Return the fields of a struct that are not at their default; the first without its name."""
    found = []
    for index, each in enumerate(msgspec.structs.fields(struct)):
        value = getattr(struct, each.name)
        if each.required or not _is_default(value, each.default):
            found.append(("" if index == 0 else f"{each.name}=", value))
    return found


def _is_default(value: Any, default: Any) -> bool:
    """Tell whether a field can be left out; one without a simple default is empty by itself."""
    if default is None or isinstance(default, bool | str):
        return type(value) is type(default) and value == default
    return not value


def _scalar(value: Any) -> str:
    if isinstance(value, float):
        return repr(value).replace("e+", "e")
    return text_literal(value) if isinstance(value, str) else repr(value)


def _letter(letter: str, quote: str) -> str:
    if letter in ("\\", quote):
        return f"\\{letter}"
    return letter if letter.isprintable() else repr(letter)[1:-1]


def _columns(text: str) -> int:
    """Return at most how many columns a text takes: what may be wide is counted so."""
    return sum(1 if letter.isascii() else 2 for letter in text)
