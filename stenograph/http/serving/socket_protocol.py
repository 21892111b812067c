"""One WebSocket: uvicorn's protocol, which leaves a client that is too slow, and says where it was."""

from __future__ import annotations

import asyncio
import logging
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import Frame, Opcode
from websockets.protocol import State

from stenograph.http.serving.deadline import Deadline
from stenograph.http.serving.throttle import Throttle
from stenograph.http.shapes.wire import CLOSE_RESTART, CLOSE_TRY_LATER
from stenograph.http.streaming.outlet import LEAVE, Leave

if TYPE_CHECKING:
    from stenograph.http.serving.server_config import ServerConfig

DRAIN_S: Final = 10.0
"""How long a socket that was closed may take to send what is left."""
QUEUE_MAX: Final = 32
"""Most messages of a client that wait to be looked at; nobody asks for more than one."""

LOG: Final = logging.getLogger("uvicorn.error.sockets")
LOG.setLevel(logging.WARNING)  # below it are URLs, with their queries; we have lines of our own


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

        uvicorn would act on them, with a connection that is not open.
        """
        if self.handshake_initiated and not self.handshake_complete:
            self.early += data
            self.transport.pause_reading()
            return
        self.throttled(self.take_in, data)

    def take_in(self, data: bytes) -> None:
        """Act on what has come; and say what uvicorn does not: why a handshake cannot be read."""
        super().data_received(data)
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
