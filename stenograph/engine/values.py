"""JSON values: what a state may hold, its one encoding, how deep it may nest, paths into it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from itertools import accumulate
from types import NoneType
from typing import Any, Final

import msgspec

from stenograph.engine.errors import NotJson

VALUE_MAX_DEPTH: Final = 64
INT_MAX: Final = 2**63
CONTAINERS_FEW: Final = 1000
"""Up to so many brackets it matters to nobody whether some stand in text."""
SHOWN_MAX_CHARS: Final = 1000
"""Longest key or pointer that an error quotes; a key may have megabytes, an event may not."""

_NOT_MARKS: Final = bytes(set(range(256)) - set(b'[]{}"'))
_STEP: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_DIGITS: Final = bytes.maketrans(b"123456789", b"000000000")
_LONG_NUMBER: Final = b"0" * 19
_CONTAINERS: Final = frozenset({list, dict})
_PART_CHARS: Final = 64


def encode(value: object) -> bytes:
    """Return ``value`` as compact JSON in UTF-8; subclasses of text and numbers are what they are."""
    return msgspec.json.encode(value, enc_hook=_plain)


def canonical(value: object, path: str) -> tuple[bytes, Any]:
    """Return ``value`` as JSON bytes and as the fresh value that these bytes decode to.

    ``path`` is a JSON pointer and says where the value stands. Tuples become lists.
    Raises NotJson for NaN, infinities, keys that are no text, other types, cycles, nesting over
    64 and integers below -2^63 or from 2^63 on, with the pointer of the first.
    """
    fits = _SCALARS.get(type(value))  # an object may say of its __class__ what it likes
    if fits is not None and fits(value):  # nothing within it, and nobody can change it
        return encode(value), value
    try:
        data = encode(value)
        decoded = msgspec.json.decode(data)
        same = decoded == value
    except Exception as error:
        _refuse(value, path)
        raise NotJson(clip(path), f"cannot be written as JSON: {clip(str(error))}") from None
    # A value that comes back unequal was changed on the way: by a tuple, which is fine, or not.
    if not same or _is_doubtful(data, decoded):
        _refuse(value, path)
    return data, decoded


def is_canonical(data: bytes, decoded: object) -> bool:
    """Tell whether JSON text is just what ``canonical`` makes of the value that it decodes to.

    False as well for nineteen digits in a row, which may be an integer that is too large.
    """
    return encode(decoded) == data and not _is_doubtful(data, decoded)


def outweighs(value: Any, most: int) -> bool:
    """Tell whether to look through a value takes longer than so many characters of text would.

    Each of its parts counts for 64 of them, and nothing is asked of objects that are not JSON's own.
    """
    waiting = [value]
    for found in waiting:
        kind = type(found)  # an object may say of its __class__ what it likes, or raise
        if kind is str:
            most -= len(found)
        elif kind is dict or kind is list or kind is tuple:
            most -= _PART_CHARS * len(found)
            if most >= 0:
                waiting += found
                waiting += found.values() if kind is dict else ()
        if most < 0:
            return True
    return False


def request_hash(value: object) -> str:
    """Return a hash of what was asked, as 64 hex digits: the same for the same JSON value."""
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()


def nested_deeper(data: bytes, limit: int) -> bool:
    """Tell whether JSON text nests more than ``limit`` arrays and objects, without parsing it.

    Takes time in proportion to the length, whatever the bytes are.
    """
    if _openings(data) <= limit:
        return False
    brackets = _brackets(data)
    return any(depth > limit for depth in accumulate(map(_STEP.__getitem__, brackets)))


def containers(data: bytes) -> int:
    """Count the arrays and objects of JSON text, without parsing it; too many of what is no JSON."""
    most = _openings(data)
    return _openings(_brackets(data)) if most > CONTAINERS_FEW else most


def _openings(data: bytes) -> int:
    return data.count(b"[") + data.count(b"{")


def _brackets(data: bytes) -> bytes:
    """Return the brackets that stand in no string, by passes of C that are over in milliseconds.

    Of what is no JSON they are right up to where a parser would stop.
    """
    bare = data.replace(rb"\\", b"").replace(rb"\"", b"")
    # Two quotes side by side change nothing of what is within a string, whichever they begin or end.
    marks = bare.translate(None, _NOT_MARKS).replace(b'""', b"")
    return b"".join(marks.split(b'"')[::2])


def pointer(*keys: object) -> str:
    """Return the JSON pointer (RFC 6901) of a path of keys."""
    if len(keys) == 1 and (key := keys[0]).__class__ is str and "~" not in key and "/" not in key:
        return "/" + key  # as almost every pointer is, and each step makes some
    return "".join("/" + _text(key).replace("~", "~0").replace("/", "~1") for key in keys)


def look_up(values: Mapping[str, Any], path: str) -> Any:
    """Return what stands at a path of keys with dots between them; raises KeyError.

    A key that itself is the whole path wins.
    """
    if path in values:
        return values[path]
    value: Any = values
    for key in path.split("."):
        if not isinstance(value, Mapping):
            raise KeyError(path)
        value = value[key]
    return value


def is_utf8(text: str) -> bool:
    """Tell whether text can be written in UTF-8: a lone surrogate cannot."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def clean(text: str, limit: int) -> str:
    """Return text that JSON can say, cut at ``limit`` characters."""
    return text[:limit].encode("utf-8", "replace").decode()


def clip(text: str) -> str:
    """Return text that an error can quote: clean, and cut in the middle of what is too long."""
    if len(text) > SHOWN_MAX_CHARS:
        half = SHOWN_MAX_CHARS // 2
        text = f"{text[:half]}…{text[-half:]}"
    return clean(text, SHOWN_MAX_CHARS + 1)


def plain_key(key: object) -> str:
    """Return a key of a state as plain text; raises NotJson when it is no text, or no UTF-8."""
    if reason := _key_fault(key):
        raise NotJson("", reason)
    return str.__str__(key)


def _text(key: object) -> str:
    return str.__str__(key) if isinstance(key, str) else str(key)


def _plain(value: object) -> str | int | float:
    """Return what a subclass is underneath, past whatever it has overridden."""
    match value:
        case str():
            return str.__str__(value)
        case int():
            return int.__int__(value)
        case float():
            return float.__float__(value)
        case _:
            raise TypeError(f"{type(value).__name__} is no JSON type")


def _is_doubtful(data: bytes, decoded: object) -> bool:
    """Tell whether a value nests too deep, or may hold an integer that is too large."""
    return _LONG_NUMBER in data.translate(_DIGITS) or _is_deep(data, decoded)


def _is_deep(data: bytes, decoded: Any) -> bool:
    """Tell whether a decoded value nests too deep, level by level; ``data`` saves most the walk."""
    if _openings(data) <= VALUE_MAX_DEPTH:
        return False
    level = [decoded]
    for _ in range(VALUE_MAX_DEPTH):
        level = [
            item
            for node in level
            for item in (node.values() if node.__class__ is dict else node)
            if item.__class__ in _CONTAINERS
        ]
        if not level:
            return False
    return True


def _refuse(value: object, path: str) -> None:
    """Raise NotJson for the first thing within ``value`` that JSON cannot say."""
    keys: list[object] = []
    if reason := _fault(value, keys):
        raise NotJson(clip(path + pointer(*keys)), reason)


def _fault(value: object, keys: list[object]) -> str | None:
    """Return what is wrong with the value at ``keys``, or within it, where ``keys`` then leads."""
    match value:
        case None | bool():
            return None
        case str():
            fine = is_utf8(value)
            return None if fine else "is text with a lone surrogate, which UTF-8 cannot write"
        case int():
            fine = -INT_MAX <= value < INT_MAX
            return None if fine else "is an integer beyond ±2^63; keep it as text"
        case float():
            fine = math.isfinite(value)
            return None if fine else f"is {value}, which JSON cannot write; use null or text"
        case dict() | list() | tuple():
            if len(keys) >= VALUE_MAX_DEPTH:
                return f"nests deeper than {VALUE_MAX_DEPTH}, or contains itself"
            return _fault_within(value, keys)
        case _:
            return f"is of type {type(value).__name__}; a state holds JSON values only"


def _fault_within(value: Any, keys: list[object]) -> str | None:
    is_dict = isinstance(value, dict)
    for key, item in value.items() if is_dict else enumerate(value):
        if is_dict and (reason := _key_fault(key)):
            return reason
        keys.append(key)
        if reason := _fault(item, keys):
            return reason
        keys.pop()
    return None


def _key_fault(key: object) -> str | None:
    if isinstance(key, str) and is_utf8(key):
        return None
    try:
        return f"has the key {clip(repr(key))}; keys are text"
    except Exception:
        return f"has a key of type {type(key).__name__}; keys are text"


_SCALARS: Final[Mapping[type, Callable[[Any], bool]]] = {
    NoneType: lambda value: True,
    bool: lambda value: True,
    int: lambda value: -INT_MAX <= value < INT_MAX,
    float: math.isfinite,
    str: is_utf8,
}
"""Which of the plain values that hold no others JSON can say."""
