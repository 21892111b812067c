"""Phrases: what an event says, in parts that several kinds of events share."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from stenograph.cli.marks import Mark
from stenograph.cli.places import place
from stenograph.cli.text import printable, shortened

Data: TypeAlias = dict[str, Any]
Said: TypeAlias = tuple[Mark, str]

MESSAGE_MAX: Final = 1000


def told_error(error: Data) -> str:
    """Tell an error in a line."""
    return sentence(": ".join(part for part in (error["type"], error["message"]) if part))


def failure(data: Data, scope: str = "scope") -> str:
    """Tell where something began to fail, and why; ``scope`` is the field that says in which scope."""
    node = data.get("node") or data["error"].get("node")
    where = f" in {place({'scope': data.get(scope) or '/', 'node': node})}" if node else ""
    return f"failed{where}: {told_error(data['error'])}"


def asked_by(data: Data) -> str:
    """Tell who asked for something, and why."""
    why = f": {sentence(data['reason'])}" if data.get("reason") else ""
    return f"asked by {data['actor']}{why}"


def sentence(text: str) -> str:
    """Return a message as one line that is safe to show."""
    return shortened(printable(" ".join(text.split())), MESSAGE_MAX)
