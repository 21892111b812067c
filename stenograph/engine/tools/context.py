"""What a tool may ask for beside its state: who is calling, and a way to say something."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, get_args

from msgspec import Struct

from stenograph.engine.tools.data_folder import find
from stenograph.engine.tools.site import Site
from stenograph.engine.tools.trace_ids import attempt_span_id, trace_of
from stenograph.engine.values import INT_MAX, canonical, clean, encode

Level: TypeAlias = Literal["debug", "info", "warning", "error"]
MESSAGE_MAX_BYTES: Final = 16 * 1024
FIELDS_MAX_BYTES: Final = 32 * 1024

_LEVELS: Final[tuple[Level, ...]] = get_args(Level)


class LogLine(Struct, frozen=True):
    """One thing that a tool said: ``fields`` is the JSON text of an object, or empty.

    ``is_progress``: it takes the place of a line before it that is of progress as well.
    """

    at_us: int
    level: Level
    message: str
    fields: bytes
    is_progress: bool = False


class Context:
    """The attempt that a tool runs in; ``ctx`` in its parameters.

    ``idempotency_key`` is the same for every attempt of a visit: hand it to whatever must not
    happen twice. ``start`` is the node that the graph starts with; ``is_last`` says that no edge
    leads on from this one: unless the tool returns ``Goto``, the run ends here.
    """

    def __init__(
        self, site: Site, *, now_us: Callable[[], int], write: Callable[[LogLine], None]
    ) -> None:
        self.run_id = site.run_id
        self.scope = site.scope
        self.node = site.node
        self.visit = site.visit
        self.attempt = site.attempt
        self.start = site.start
        self.is_last = site.is_last
        self._folder = site.folder
        self._traceparent, self._is_traced = site.traceparent, site.is_traced
        self._now_us = now_us
        self._write = write

    @property
    def idempotency_key(self) -> str:
        """``run_id/scope/node/visit``."""
        return f"{self.run_id}{self.scope}{self.node}/{self.visit}"

    @property
    def traceparent(self) -> str | None:
        """The ``traceparent`` header for what the tool asks of others, or None outside of any trace.

        It names this attempt, where its engine is traced; else whoever began the run.
        """
        if not self._is_traced:
            return self._traceparent
        trace = trace_of(self.run_id, self._traceparent)
        span_id = attempt_span_id(self.run_id, self.scope, self.node, self.visit, self.attempt)
        return f"00-{trace.trace_id}-{span_id}-{trace.flags}"

    def data(self, path: str) -> Path:
        """Return the file at a path in the data folder of the engine; raises DataRefused.

        A run names what is too large for its state by such a path. Nothing outside the folder can
        be named, by ``..``, links or otherwise.
        """
        return find(self._folder, path)

    def log(self, message: object, /, *, level: Level = "info", **fields: Any) -> None:
        """Say something; it becomes a ``log`` event of the run. From any thread; never fails.

        A message is cut at 16 KiB, and fields that come to more than 32 KiB are left out. A field
        that is no JSON is written as text, and a level that is none as ``info``.
        """
        known: Level = next((each for each in _LEVELS if each == level), "info")
        self._write(LogLine(self._now_us(), known, _shown(message, str), _encoded(fields)))

    def progress(self, done: object, total: object = None, message: object = "") -> None:
        """Say how much is done, of ``total`` if that is known: numbers from 0 on.

        It becomes a ``log`` event with the fields ``done`` and ``total``; of many calls in a row
        only the latest is written, ten a second at most. From any thread; never fails.
        """
        fields = {"done": _amount(done), "total": None if total is None else _amount(total)}
        text = _shown(message, str) or "progress"
        self._write(LogLine(self._now_us(), "info", text, _bounded(encode(fields)), True))


def add(lines: list[LogLine], line: LogLine) -> int:
    """Add a line to those that wait; returns by how many bytes they grew, as events, about."""
    grown = _weight(line)
    if line.is_progress and lines and lines[-1].is_progress:
        grown -= _weight(lines.pop())
    lines.append(line)
    return grown


def _weight(line: LogLine) -> int:
    return len(line.message) + len(line.fields) + 100


def _encoded(fields: Mapping[str, Any]) -> bytes:
    if not fields:
        return b""
    return _bounded(encode({clean(key, len(key)): _plain(value) for key, value in fields.items()}))


def _bounded(encoded: bytes) -> bytes:
    too_large = b'{"omitted":"the fields were larger than 32 KiB"}'
    return encoded if len(encoded) <= FIELDS_MAX_BYTES else too_large


def _amount(value: object) -> int | float | str:
    if isinstance(value, int) and not isinstance(value, bool):
        whole = int.__int__(value)
        if 0 <= whole < INT_MAX:
            return whole
    elif isinstance(value, float):
        real = float.__float__(value)
        if 0 <= real < math.inf:
            return real
    return _shown(value, str)


def _plain(value: object) -> Any:
    try:
        return canonical(value, "")[1]
    except Exception:  # not only NotJson: a value's own methods are asked on the way
        return _shown(value, repr)


def _shown(value: object, spell: Callable[[object], str]) -> str:
    try:
        text = clean(spell(value), MESSAGE_MAX_BYTES)
    except Exception as broken:
        return f"({type(value).__name__}: its text cannot be had: {type(broken).__name__})"
    return text.encode()[:MESSAGE_MAX_BYTES].decode(errors="ignore")
