"""An outlet: messages to one client, and the cursor up to which it was sent what it asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import msgspec
from litestar.exceptions import WebSocketDisconnect
from msgspec import UNSET, Struct, UnsetType

LEAVE: Final = "stenograph.leave"
"""Names, in an event for a socket's handler, the code with which it is to close."""
LOST: Final = (OSError, TimeoutError, WebSocketDisconnect)
"""What says that a client has left."""
YIELD_EVERY: Final = 16
"""Messages between two real pauses: a send that finds room never gives way to others."""
YIELD_CHARS: Final = 128 * 1024
"""Less than that is no page with another behind it: its client is about to wait for news anyway."""


class Gone(Exception):
    """The client has left."""


class Leave(Exception):
    """The client is to be left: it takes nothing any more, or the server stops."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Place(Struct):
    """Where an event stands."""

    seq: int
    offset: int


class Message(Struct):
    """What a message tells of its cursor: where its event stands, or how far its events go."""

    log: Place | UnsetType = UNSET
    seq: int | UnsetType = UNSET
    offset: int | UnsetType = UNSET


_MESSAGE: Final = msgspec.json.Decoder(Message)


class Outlet:
    """Sends texts through a socket's ``send``; ``after`` is the cursor after what was sent.

    None before anything was asked for. For how long a client may take nothing is the connection's
    matter: its ``send`` raises Leave then.
    """

    def __init__(self, send: Callable[[Any], Awaitable[None]]) -> None:
        self._send = send
        self.after: int | None = None

    async def send(self, text: str) -> None:
        """Send a message that moves no cursor; raises Gone, Leave."""
        try:
            await self._send({"type": "websocket.send", "text": text, "bytes": None})
        except LOST as error:
            raise Gone from error

    async def send_part(self, messages: Sequence[str], after: int, *, whole: bool) -> None:
        """Send messages, after the last of which the cursor is ``after``; raises Gone, Leave.

        Where it is after another one is looked up in the message, if that turns out to be the last:
        so it costs nothing, and nothing is kept of who waits for news.
        """
        sent: str | None = None
        try:
            for number, message in enumerate(messages, 1):
                await self.send(message)
                sent = message
                if number % YIELD_EVERY == 0:
                    await asyncio.sleep(0)
            self.after, sent = after, None
        finally:
            if sent is not None:
                self.after = cursor_in(sent, whole=whole)
        if sum(map(len, messages)) >= YIELD_CHARS:
            await asyncio.sleep(0)


def cursor_in(text: str, *, whole: bool) -> int:
    """Return the cursor after a message with events."""
    message = _MESSAGE.decode(text)
    place = message if message.log is UNSET else message.log
    cursor = place.offset if whole else place.seq
    assert cursor is not UNSET, "a message with events tells where they stand"
    return cursor
