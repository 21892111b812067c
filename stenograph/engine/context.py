"""What a tool may ask for beside its state: who is calling, and a way to say something."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import Struct

from stenograph.engine.errors import NotJson
from stenograph.engine.values import canonical

Level: TypeAlias = Literal["debug", "info", "warning", "error"]
MESSAGE_MAX_CHARS = 16_384


class LogLine(Struct, frozen=True):
    """One thing that a tool said: ``fields`` is the JSON text of an object, or empty."""

    at_us: int
    level: Level
    message: str
    fields: bytes


class Context:
    """The attempt that a tool runs in; ``ctx`` in its parameters.

    ``idempotency_key`` is the same for every attempt of a visit: hand it to whatever must not
    happen twice.
    """

    def __init__(
        self,
        *,
        run_id: str,
        scope: str,
        node: str,
        visit: int,
        attempt: int,
        now_us: Callable[[], int],
        write: Callable[[LogLine], None],
    ) -> None:
        self.run_id = run_id
        self.scope = scope
        self.node = node
        self.visit = visit
        self.attempt = attempt
        self._now_us = now_us
        self._write = write

    @property
    def idempotency_key(self) -> str:
        """``run_id/scope/node/visit``."""
        return f"{self.run_id}{self.scope}{self.node}/{self.visit}"

    def log(self, message: object, /, *, level: Level = "info", **fields: Any) -> None:
        """Say something; it becomes a ``log`` event of the run. From any thread; never fails.

        A message is cut at 16,384 characters; a field that is no JSON is written as text.
        """
        text = str(message)[:MESSAGE_MAX_CHARS].encode("utf-8", "replace").decode()
        encoded = msgspec.json.encode({k: _plain(v) for k, v in fields.items()}) if fields else b""
        if len(encoded) > 4 * MESSAGE_MAX_CHARS:
            encoded = b'{"omitted":"the fields were larger than 64 KiB"}'
        self._write(LogLine(self._now_us(), level, text, encoded))


def _plain(value: Any) -> Any:
    try:
        return canonical(value, "")[1]
    except NotJson:
        return repr(value)[:MESSAGE_MAX_CHARS].encode("utf-8", "replace").decode()
