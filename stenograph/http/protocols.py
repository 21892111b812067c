"""One client's connection: uvicorn's protocols, which wait for nobody longer than the settings say.

uvicorn waits for ever for the head of a request, and for a client to take what it is sent. What it
answers by itself is plain text; here it is a problem, as everything that goes wrong.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from abc import abstractmethod
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from time import thread_time
from typing import Any, Final, TypeAlias

import h11
import msgspec
import uvicorn
from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, ASGISendEvent
from uvicorn._types import Scope as ASGIScope
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import Frame, Opcode
from websockets.protocol import State

from stenograph.http.deadline import Deadline
from stenograph.http.errors import Refused, problem_of
from stenograph.http.outlet import LEAVE, Leave
from stenograph.http.settings import Settings
from stenograph.http.subscribers import Subscribers
from stenograph.http.wire import CLOSE_RESTART, CLOSE_TRY_LATER, PROBLEM_TYPE

HEAD_MAX_BYTES: Final = 64 * 1024
"""How large the head of a request may be."""
DRAIN_S: Final = 10.0
"""How long a socket that was closed may take to send what is left."""
LINGER_S: Final = 2.0
"""For how long what a refused client still sends is read: hanging up on it at once would take back
the answer, if it is not read yet."""
READ_BYTES: Final = 16 * 1024
"""Most that is read from a connection at once: tiny frames in it still cost only some 30 ms."""
LARGE_BYTES: Final = 2 * 1024
"""What is shorter can cost nothing worth a look at the clock."""
QUEUE_MAX: Final = 32
"""Most messages of a client that wait to be looked at; nobody asks for more than one."""
COSTLY_S: Final = 0.01
PAUSES: Final = 10
"""Whoever sends what takes longer to take in than that is not read for so many times as long."""

LOG: Final = logging.getLogger("uvicorn.error.sockets")
LOG.setLevel(logging.WARNING)  # below it are URLs, with their queries; we have lines of our own

Headers: TypeAlias = list[tuple[bytes, bytes]]

ALWAYS: Final[Headers] = [(b"x-content-type-options", b"nosniff")]
"""What every answer has: whatever a state or an event holds, no browser takes it for a page."""


class ServerConfig(uvicorn.Config):
    """uvicorn's configuration, and what our protocols are told besides."""

    def __init__(
        self, app: Any, settings: Settings, subscribers: Subscribers, **named: Any
    ) -> None:
        super().__init__(
            app,
            http=HttpProtocol,  # of h11: httptools, taken where it is installed, bounds no header
            ws=SocketProtocol,
            h11_max_incomplete_event_size=HEAD_MAX_BYTES,
            **named,
        )
        self.settings, self.subscribers = settings, subscribers
        self.is_stopping = False  # and all that are connected have been told


class Throttle(asyncio.Protocol):
    """Reads less from a client the more it costs to take in what it sends, and waits for it a while.

    Thousands of frames or chunks of a byte each fit into what is read at once. ``taking`` is how
    long the client may take none of what it is sent.
    """

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    taking: Deadline

    def pause_writing(self) -> None:
        """Give the client a while to take what it was sent."""
        super().pause_writing()
        self.taking.begin()

    def resume_writing(self) -> None:
        """Go on sending."""
        super().resume_writing()
        self.taking.end()

    def throttled(self, take: Callable[[bytes], None], data: bytes) -> None:
        """Take data in, and then look at what that has cost."""
        if len(data) < LARGE_BYTES:
            take(data)
            return
        begin = thread_time()
        take(data)
        took = thread_time() - begin
        if took > COSTLY_S:
            self.transport.pause_reading()
            self.loop.call_later(PAUSES * took, self.read_on)

    def read_on(self) -> None:
        """Read again, unless there is another reason not to."""
        if not self.is_paused:
            self.transport.resume_reading()

    @property
    @abstractmethod
    def is_paused(self) -> bool:
        """Whether uvicorn has something to be done first."""
        ...


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


@lru_cache(maxsize=8)
def framed(text: str) -> bytes:
    """Return a message as it goes over the wire, made once for all who are sent the same one."""
    return Frame(Opcode.TEXT, text.encode()).serialize(mask=False)


class SocketProtocol(Throttle, WebSocketsSansIOProtocol):
    """A WebSocket that writes shared frames, and asks its handler to leave a client that is too slow.

    That is one that takes nothing, or answers no ping. The handler knows the cursor to close with.
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
        self.logger = LOG
        self.taking = Deadline(self.loop, config.settings.send_s, self.too_slow)
        self.draining = Deadline(self.loop, DRAIN_S, self.drop)
        self.left_with: int | None = None
        self.early = bytearray()

    def connection_made(self, transport: Any) -> None:
        """Begin; nothing that passes is logged, at whichever level: heads carry tokens."""
        self.conn.debug = False
        super().connection_made(transport)

    async def send(self, message: ASGISendEvent) -> None:
        """Send a message; a text to an open connection in the frame that others are sent as well.

        uvicorn would encode it, frame it and copy it anew for each of them. Raises
        ClientDisconnected, and Leave for a client that is to be sent its close and no more.
        """
        await self.writable.wait()
        if self.close_sent or (not self.handshake_complete and self.transport.is_closing()):
            self.handshake_complete = True  # nobody is there to complete it with
            raise ClientDisconnected  # uvicorn would take it for an application that errs
        text = message.get("text")
        if not isinstance(text, str) or self.conn.state is not State.OPEN:
            await super().send(message)
            # uvicorn takes an answer in place of a handshake for none, and logs an error.
            self.handshake_complete |= self.initial_response is not None
            self.take_early()
        elif self.left_with is not None:
            raise Leave(self.left_with)
        elif self.transport.is_closing():
            raise ClientDisconnected
        else:
            self.transport.write(framed(text))

    def data_received(self, data: bytes) -> None:
        """Take data in; frames that come before the handshake is answered wait for that.

        uvicorn would act on them, with a connection that is not open. Nor does it send what is said
        to a handshake that cannot be read, as one whose headers are too many.
        """
        if self.handshake_initiated and not self.handshake_complete:
            self.early += data
            self.transport.pause_reading()
            return
        self.throttled(super().data_received, data)
        if not self.handshake_initiated and self.conn.handshake_exc is not None:
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.close()
            self.draining.begin()

    def take_early(self) -> None:
        """Take in what came too early, once the handshake is answered."""
        if self.early and self.handshake_complete:
            early, self.early = bytes(self.early), bytearray()
            self.transport.resume_reading()
            self.data_received(early)

    def send_receive_event_to_app(self) -> None:
        """Pass a message on; text that is not UTF-8 ends the connection, and is no error here.

        What comes beyond those that wait to be looked at is dropped: nobody asked for it.
        """
        if self.queue.qsize() >= QUEUE_MAX:
            self.frames = []
            return
        if self.curr_msg_data_type == "text" and not self.close_sent:
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:
                self.frames = []
                self.conn.send_close(1007)
                self.handle_parser_exception()
                return
        super().send_receive_event_to_app()

    async def run_asgi(self) -> None:
        """Run the application, and give the peer a while to take what was left."""
        await super().run_asgi()
        if self.left_with is not None:
            self.transport.close()  # and wait for no answer
        if not self.disconnected:
            self.draining.begin()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self.taking.close()
        self.draining.close()
        super().connection_lost(exc)

    @property
    def is_paused(self) -> bool:
        """Whether a message is not read yet by the application."""
        return self.read_paused

    def keepalive_timeout(self) -> None:
        """Leave a client that answers no ping."""
        self.pong_timer = None
        self.pending_ping_payload = None
        self.too_slow()

    def shutdown(self) -> None:
        """Leave the client, since the server stops."""
        self.leave(CLOSE_RESTART)

    def too_slow(self) -> None:
        """Leave a client that takes nothing."""
        if self.left_with is None and not self.transport.is_closing():
            self.config.subscribers.slow += 1
        self.leave(CLOSE_TRY_LATER)

    def leave(self, code: int) -> None:
        """Have the application close the connection, whatever it is about to send."""
        if self.left_with is None:
            self.left_with = code
            self.stop_keepalive()
            event: Any = {"type": "websocket.receive", "text": "", LEAVE: code}
            self.queue.put_nowait(event)
            self.writable.set()

    def drop(self) -> None:
        """Hang up on a peer that has not taken what was left."""
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
