"""Masking: finding the text of secrets in whatever is about to be written, in its usual spellings."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote, quote_plus

import msgspec

from stenograph.engine.values import encode

SECRET_MIN_CHARS: Final = 6
"""Shortest text, and fewest digits of a number, that is looked for; what is shorter is everywhere."""

_DIGITS: Final = re.compile(r"\d")
_ESCAPE: Final = re.compile(r"%[0-9A-F]{2}")
_REF: Final = re.compile(rb'\{"\$secret":"(?:[^"\\]|\\.)*"\}')
_OMITTED: Final = b'{"omitted":"a secret was in it"}'


class Mask:
    """Knows how secrets look in text; ``add`` may be called while other threads mask.

    Texts of at least 6 characters and numbers of at least 6 digits are found, wherever in a secret
    they stand, but for the keys of objects: as they are, as JSON, ``repr``, URLs and base64 have
    them. Costs nothing while there is no secret, and else a search in C for each spelling.
    """

    def __init__(self) -> None:
        # Longest first: of two secrets that begin alike the longer one is replaced whole.
        self._needles: tuple[tuple[str, str], ...] = ()
        self._encoded: tuple[tuple[bytes, str], ...] = ()
        self._references: set[bytes] = set()

    def add(self, key: str, name: str, value: Any) -> None:
        """Look for the value of a secret key from now on; ``name`` is what references call it."""
        self._references.add(encode({"$secret": name}))
        known = dict(self._needles)
        new = {text: key for leaf in _leaves(value) for text in _spellings(leaf)}
        needles = sorted({**new, **known}.items(), key=lambda each: -len(each[0]))
        self._encoded = tuple((text.encode(), key) for text, key in needles)
        self._needles = tuple(needles)

    @property
    def longest(self) -> int:
        """The length of the longest spelling that is looked for, in characters."""
        return len(self._needles[0][0]) if self._needles else 0

    def mask(self, text: str) -> str:
        """Return text with ``[secret KEY]`` in place of every secret: mask first, then cut."""
        needles = self._needles
        found = [(needle, key) for needle, key in needles if needle in text]
        if not found:
            return text
        for mark in ("[secret {}]", "***"):
            masked = text
            for needle, key in found:
                masked = masked.replace(needle, mark.format(key))
            if not _is_in(needles, masked):
                return masked
        # A secret like "secret", or one that stands in its own key: no mark is free of it.
        while _is_in(needles, text):
            for needle, _ in needles:
                text = text.replace(needle, "")
        return text

    def mask_json(self, data: bytes) -> bytes:
        """Return JSON text with every secret in its texts and numbers masked; it stays JSON."""
        if self.leak(data) is None:
            return data
        masked = encode(self._masked(msgspec.json.decode(data)))
        return masked if self.leak(masked) is None else _OMITTED

    def leak(self, data: bytes) -> str | None:
        """Return the key whose secret stands in JSON text outside of references, or None."""
        for needle, key in self._encoded:
            # Only then: a needle that is a common word may stand in the name of a reference.
            if needle in data and needle in _REF.sub(self._without_reference, data):
                return key
        return None

    def _without_reference(self, match: re.Match[bytes]) -> bytes:
        return b"{}" if match[0] in self._references else match[0]

    def _masked(self, value: Any) -> Any:
        match value:
            case str():
                return self.mask(value)
            case int() | float() if not isinstance(value, bool):
                text = encode(value).decode()
                masked = self.mask(text)
                return value if masked == text else masked
            case list():
                return [self._masked(item) for item in value]
            case dict():
                return {self.mask(key): self._masked(item) for key, item in value.items()}
            case _:
                return value


def _is_in(needles: tuple[tuple[str, str], ...], text: str) -> bool:
    return any(needle in text for needle, _ in needles)


def _leaves(value: Any) -> Iterator[str | int | float]:
    match value:
        case list():
            for item in value:
                yield from _leaves(item)
        case dict():
            yield from _leaves(list(value.values()))
        case str() if len(value) >= SECRET_MIN_CHARS:
            yield value
        case int() | float() if not isinstance(value, bool):
            yield value
        case _:
            pass


def _spellings(leaf: str | int | float) -> set[str]:
    """Return how a text or number may look; each also as JSON would escape it."""
    if isinstance(leaf, str):
        spelled = {repr(leaf)[1:-1], repr(leaf.encode())[2:-1], json.dumps(leaf)[1:-1]}
        spelled |= {leaf, encode(leaf)[1:-1].decode()}
        spellings = spelled | _quoted(leaf) | _base64(leaf.encode())
        return spellings | {encode(text)[1:-1].decode() for text in spellings}
    texts = {text.lstrip("-") for text in (repr(leaf), encode(leaf).decode())}
    return {text for text in texts if len(_DIGITS.findall(text)) >= SECRET_MIN_CHARS}


def _quoted(text: str) -> set[str]:
    """Return text as it stands in a URL: in a path, a query, a form; hex digits large and small."""
    quoted = {quote(text), quote(text, safe=""), quote_plus(text)}
    return quoted | {_ESCAPE.sub(lambda match: match[0].lower(), each) for each in quoted}


def _base64(data: bytes) -> set[str]:
    """Return what base64 makes of the bytes, wherever in the encoded data they begin.

    Only the characters that no neighbour has a part in; of both alphabets.
    """
    found = set()
    for shift in range(3):
        characters = b64encode(bytes(shift) + data).decode()
        whole = characters[(shift * 8 + 5) // 6 : (shift + len(data)) * 8 // 6]
        found |= {whole, whole.replace("+", "-").replace("/", "_")}
    return found
