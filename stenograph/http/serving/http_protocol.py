"""One HTTP connection: uvicorn's protocol, which waits for nobody longer than the settings say.

uvicorn waits for ever for the head of a request, and for a client to take what it is sent. What it
answers by itself is plain text; here it is a problem, as everything that goes wrong.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import h11
import msgspec
from uvicorn._types import ASGIReceiveCallable, ASGISendCallable
from uvicorn._types import Scope as ASGIScope
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from stenograph.http.errors import Refused, problem_of
from stenograph.http.serving.deadline import Deadline
from stenograph.http.serving.throttle import Throttle
from stenograph.http.shapes.wire import PROBLEM_TYPE

if TYPE_CHECKING:
    from stenograph.http.serving.server_config import ServerConfig

HEAD_MAX_BYTES: Final = 64 * 1024
"""How large the head of a request may be."""
LINGER_S: Final = 2.0
"""For how long what a refused client still sends is read: hanging up on it at once would take back
the answer, if it is not read yet."""
READ_BYTES: Final = 4 * 1024
"""Most that is read from a connection at once: tiny frames in it still cost only some 8 ms."""

Headers: TypeAlias = list[tuple[bytes, bytes]]

ALWAYS: Final[Headers] = [(b"x-content-type-options", b"nosniff")]
"""What every answer has: whatever a state or an event holds, no browser takes it for a page."""


class HttpProtocol(Throttle, H11Protocol):
    """An HTTP connection that ends when a head does not come, or an answer is not taken, in time.

    The time for a head runs from the connection on, and later from its first byte on; a connection
    may be idle for as long. uvicorn has a timer an answer for that, here is one a connection.
    """

    config: ServerConfig

    def __init__(
        self,
        config: ServerConfig,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        settings = config.settings
        self.head = Deadline(self.loop, settings.head_s, self.late_head)
        self.taking = Deadline(self.loop, settings.send_s, self.drop)
        self.is_idle = False
        self.is_refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first head; refuse whoever is one too many."""
        super().connection_made(transport)
        with suppress(AttributeError):  # asyncio's own transports have it, and others need not
            transport.max_size = READ_BYTES  # type: ignore[attr-defined]
        if len(self.connections) > self.config.settings.connections:
            self.app = too_many
        self.head.begin()
        if self.config.is_stopping:  # it was accepted before, and comes too late
            self.end()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self.head.close()
        self.taking.close()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take data in; the first of a new head begins its time."""
        if self.is_refused:
            return
        if self.is_idle:
            self.is_idle = False
            self.head.begin()
        self.throttled(super().data_received, data)

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Leave the connection to a socket."""
        self.head.close()
        self.taking.close()
        super().handle_websocket_upgrade(event)

    def _should_upgrade(self) -> bool:
        return self.app is not too_many and super()._should_upgrade()

    def on_response_complete(self) -> None:
        """Go on with the next request, as uvicorn does, but without its timer."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            self.taking.begin()
            return
        # Not if the rest of a body is still on its way: then that may take no longer than a head.
        self.is_idle = self.conn.their_state is h11.DONE
        self.head.begin()
        self.flow.resume_reading()
        if self.conn.our_state is h11.DONE and self.conn.their_state is h11.DONE:
            self.conn.start_next_cycle()
            self.handle_events()

    @property
    def is_paused(self) -> bool:
        """Whether a body is not read for the moment."""
        return self.flow.read_paused

    def late_head(self) -> None:
        """Hang up on a client whose request does not come; say so if it has begun."""
        if self.transport.is_closing() or (self.cycle and not self.cycle.response_complete):
            return
        if self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]:
            head_s = self.config.settings.head_s
            self.refuse("head-timeout", f"the head must arrive within {head_s:g} seconds")
        else:
            self.end()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, which uvicorn found in an error."""
        error = sys.exc_info()[1]
        if getattr(error, "error_status_hint", 400) == 431:
            self.refuse("head-too-large", f"the head may have {HEAD_MAX_BYTES:,} bytes")
        else:
            self.refuse("bad-request", f"this is not HTTP/1.1: {error}")

    def refuse(self, code: str, detail: str) -> None:
        """Answer with a problem, unless an answer is on its way already, and hang up."""
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.end()
            return
        self.is_refused = True
        if self.cycle is not None:  # whoever waits for the rest of a body
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        status, headers, body = refusal(code, detail)
        response = h11.Response(status_code=status, headers=headers)
        events = (response, h11.Data(data=body), h11.EndOfMessage())
        self.transport.write(b"".join(self.conn.send(event) or b"" for event in events))
        self.flow.resume_reading()
        with suppress(OSError):  # it has left, and hears nothing of all this
            self.transport.write_eof()
        self.taking.begin(LINGER_S)

    def end(self) -> None:
        """Hang up once what was written is taken, for which there is a while."""
        self.transport.close()
        self.taking.begin()

    def drop(self) -> None:
        """Hang up on a client that does not take what it was sent."""
        self.config.subscribers.slow += not self.is_refused
        self.transport.abort()


async def too_many(scope: ASGIScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Answer the request of a client that is one too many."""
    detail = "as many clients as may be are connected"
    status, headers, body = refusal("too-many-connections", detail)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


@lru_cache(maxsize=16)
def refusal(code: str, detail: str) -> tuple[int, Headers, bytes]:
    """Return the status, headers and body of a problem after which the connection ends."""
    problem = problem_of(Refused(code, detail))
    body = msgspec.json.encode(problem)
    headers = [
        (b"content-type", PROBLEM_TYPE.encode()),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
        *ALWAYS,
    ]
    if problem.status == 503:
        headers.append((b"retry-after", b"5"))
    return problem.status, headers, body
