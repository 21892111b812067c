"""JSON values: what a state may hold, its one encoding, and how deep it may nest."""

from __future__ import annotations

import math
import re
from typing import Any, Final

import msgspec

from stenograph.engine.errors import NotJson

VALUE_MAX_DEPTH: Final = 64
INT_MAX: Final = 2**63

_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_LONG_NUMBER: Final = re.compile(rb"\d{19}")
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))


def encode(value: object) -> bytes:
    """Return ``value`` as compact JSON in UTF-8, text subclasses included."""
    return msgspec.json.encode(value, enc_hook=_plain_text)


def canonical(value: object, path: str) -> tuple[bytes, Any]:
    """Return ``value`` as JSON bytes and as the fresh value that these bytes decode to.

    ``path`` is a JSON pointer and says where the value stands. Tuples become lists.
    Raises NotJson for NaN, infinities, keys that are no text, other types, cycles, nesting over
    64 and integers beyond ±2^63, with the pointer of the first.
    """
    try:
        data = encode(value)
        decoded = msgspec.json.decode(data)
        same = decoded == value
    except Exception as error:
        _refuse(value, path)
        raise NotJson(path, f"cannot be written as JSON: {error}") from None
    # A value that comes back unequal was changed on the way: by a tuple, which is fine, or not.
    if not same or _LONG_NUMBER.search(data) or nested_deeper(data, VALUE_MAX_DEPTH):
        _refuse(value, path)
    return data, decoded


def nested_deeper(data: bytes, limit: int) -> bool:
    """Tell whether JSON text nests more than ``limit`` arrays and objects, without parsing it."""
    if data.count(b"[") + data.count(b"{") <= limit:
        return False
    brackets = _STRING.sub(b"", data).translate(None, _NOT_BRACKETS)
    for _ in range(limit):
        inner = brackets.replace(b"[]", b"").replace(b"{}", b"")
        if inner == brackets:
            break
        brackets = inner
    return b"[" in brackets or b"{" in brackets


def pointer(*keys: str | int) -> str:
    """Return the JSON pointer (RFC 6901) of a path of keys."""
    return "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in keys)


def _plain_text(value: object) -> str:
    if isinstance(value, str):
        return str.__str__(value)
    raise TypeError(f"{type(value).__name__} is no JSON type")


def _refuse(value: object, path: str, depth: int = 1) -> None:
    """Raise NotJson for the first thing within ``value`` that JSON cannot say."""
    match value:
        case None | bool():
            return
        case str():
            if not is_utf8(value):
                raise NotJson(path, "is text with a lone surrogate, which UTF-8 cannot write")
        case int():
            if not -INT_MAX <= value < INT_MAX:
                raise NotJson(path, "is an integer beyond ±2^63; keep it as text")
        case float():
            if not math.isfinite(value):
                raise NotJson(path, f"is {value}, which JSON cannot write; use null or text")
        case dict() | list() | tuple():
            if depth > VALUE_MAX_DEPTH:
                what = f"nests deeper than {VALUE_MAX_DEPTH}, or contains itself"
                raise NotJson(path, what)
            _refuse_within(value, path, depth)
        case _:
            kind = type(value).__name__
            raise NotJson(path, f"is of type {kind}; a state holds JSON values only")


def _refuse_within(value: Any, path: str, depth: int) -> None:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        if isinstance(value, dict) and not (isinstance(key, str) and is_utf8(key)):
            raise NotJson(path, f"has the key {key!r}; keys are text")
        _refuse(item, path + pointer(key), depth + 1)


def is_utf8(text: str) -> bool:
    """Tell whether text can be written in UTF-8: a lone surrogate cannot."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
