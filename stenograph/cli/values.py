"""Values on the command line: a state from pairs and a file, JSON as a word, tags from pairs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import click
import msgspec

from stenograph.cli.failures import USAGE, Failure
from stenograph.cli.graph_files import parse_json, read_bytes


class Seconds(click.FloatRange):
    """A number of seconds: neither NaN, which is in every range, nor without end."""

    name = "seconds"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number; raises UsageError."""
        seconds = float(super().convert(value, param, ctx))
        if not math.isfinite(seconds):
            self.fail(f"{value!r} is no number of seconds.", param, ctx)
        return seconds


def state_of(file: str | None, pairs: Sequence[str]) -> dict[str, Any]:
    """Return the state that a file and pairs give; pairs win. Raises Failure, UsageError."""
    state: dict[str, Any] = {}
    if file is not None:
        found = parse_json(file, read_bytes(file))
        if not isinstance(found, dict):
            raise Failure(f"{file}: a state is a JSON object", USAGE)
        state = found
    return state | dict(map(pair_of, pairs))


def pair_of(text: str) -> tuple[str, Any]:
    """Return key and value of ``key=value``, ``key:=json`` or ``key=@file``."""
    key, equals, value = text.partition("=")
    if not equals or not key.removesuffix(":"):
        raise click.UsageError(f"-s {text!r}: write KEY=VALUE, KEY:=JSON or KEY=@FILE")
    if key.endswith(":"):
        return key[:-1], parse_json(f"-s {key[:-1]}", value.encode(errors="surrogateescape"))
    if value.startswith("@"):
        return key, text_of(value[1:])
    try:
        return key, msgspec.json.decode(value.encode())
    except (msgspec.DecodeError, UnicodeError):
        return key, value


def json_of(word: str, what: str) -> Any:
    """Return the value of a JSON text: the word itself, ``@FILE``, or ``-`` for stdin.

    Raises Failure, which names ``what`` the word is.
    """
    if word == "-" or word.startswith("@"):
        file = word.removeprefix("@")
        return parse_json(file, read_bytes(file))
    return parse_json(what, word.encode(errors="surrogateescape"))


def text_of(file: str) -> str:
    """Return the text in a file, which must be UTF-8."""
    try:
        return read_bytes(file).decode()
    except UnicodeDecodeError as error:
        raise Failure(f"{file}: byte {error.start} is not UTF-8", USAGE) from error


def tags_of(pairs: Sequence[str]) -> dict[str, str]:
    """Return the tags that pairs give; raises UsageError."""
    return dict(map(tag_of, pairs))


def tag_of(pair: str) -> tuple[str, str]:
    """Return the name and the value of a tag; raises UsageError."""
    name, sign, value = pair.partition("=")
    if not (name and sign):
        raise click.UsageError(f"--tag {pair!r}: write NAME=VALUE")
    return name, value
