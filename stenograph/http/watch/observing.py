"""Observing: each request is given an id, counted, timed and, if that is wanted, logged in one line."""

from __future__ import annotations

import logging
from collections import Counter
from time import perf_counter
from typing import Any, Final
from urllib.parse import quote

from litestar.types import ASGIApp, Receive, Scope, Send

from stenograph.http.asked import ASKED, ID_HEADER, Asked
from stenograph.http.door.access import ACTOR
from stenograph.http.door.tokens import masked
from stenograph.journal import Histogram

ACCESS: Final = logging.getLogger("stenograph.access")
REQUEST_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)
SAFE: Final = "/:@!$&'()*+,;=~"
"""What stands in a line as it is; all else of a path as in a URL, so that none can forge a line."""
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Observer:
    """Counts what is asked of a server, in plain numbers. ``handler`` is the template of a path.

    What no handler takes is of handler ``""``, and a method that nobody knows is ``other``: so no
    client can make there be ever more to count.
    """

    def __init__(self) -> None:
        self.seconds: dict[tuple[str, str, int], Histogram] = {}
        """How long requests took, by handler, method and status; 0 where the client left before."""
        self.under_way = 0
        self.sockets: Counter[str] = Counter()
        """How many there were since the start, by handler."""
        self.sockets_now = 0

    async def http(self, app: ASGIApp, scope: Any, receive: Receive, send: Send) -> None:
        """Have a request answered, and take down how."""
        asked = Asked(dict(scope["headers"]))
        token = ASKED.set(asked)
        status = 0
        began_s = perf_counter()
        self.under_way += 1

        async def noting(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if status >= 400 or asked.is_named:
                    message["headers"] = [*message["headers"], (ID_HEADER, asked.id.encode())]
            await send(message)

        try:
            await app(scope, receive, noting)
        finally:
            self.under_way -= 1
            took_s = perf_counter() - began_s
            self._count(scope, status, took_s)
            if ACCESS.isEnabledFor(logging.INFO):
                tell(scope, status, took_s)
            ASKED.reset(token)

    async def socket(self, app: ASGIApp, scope: Any, receive: Receive, send: Send) -> None:
        """Have a client talked to, and take down that it was there."""
        token = ASKED.set(Asked(dict(scope["headers"])))
        began_s = perf_counter()
        self.sockets_now += 1
        try:
            await app(scope, receive, send)
        finally:
            self.sockets_now -= 1
            self.sockets[handler_of(scope)] += 1
            if ACCESS.isEnabledFor(logging.INFO):
                tell(scope, None, perf_counter() - began_s)
            ASKED.reset(token)

    def _count(self, scope: Any, status: int, took_s: float) -> None:
        handler, method = scope.get("path_template", ""), method_of(scope)
        seconds = self.seconds.get((handler, method, status))
        if seconds is None:
            seconds = self.seconds[handler, method, status] = Histogram(REQUEST_S)
        seconds.add(took_s)


def method_of(scope: Any) -> str:
    """Return the method of a request; any word can stand there, and what nobody knows is ``other``."""
    method: str = scope.get("method", "WEBSOCKET")
    return method if method in METHODS or scope["type"] == "websocket" else "other"


def handler_of(scope: Scope) -> str:
    """Return the template of the path that a request has, or nothing when no handler takes it."""
    template: str = scope.get("path_template", "")
    return template


def tell(scope: Any, status: int | None, took_s: float) -> None:
    """Log one line of a request: neither its query nor its body, and nothing that is secret."""
    fields = {
        "method": method_of(scope),
        "path": masked(quote(scope["path"], safe=SAFE, errors="replace")),
        "status": status,
        "ms": round(took_s * 1000, 3),
        "actor": actor_in(scope),
    }
    told = {name: value for name, value in fields.items() if value is not None}
    ACCESS.info(" ".join(map(str, told.values())), extra={"fields": told})


def actor_in(scope: Any) -> str:
    """Return who asks, as far as that was found out when the answer was ready."""
    actor: str = scope.get("user") or ACTOR
    return actor
