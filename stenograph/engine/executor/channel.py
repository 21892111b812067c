"""What the engine and a worker process say to each other: messages, and how they cross a socket."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Final, Generic, TypeAlias, TypeVar

import msgspec
from msgspec import Struct
from msgspec.msgpack import Decoder

from stenograph.engine.bounds import BOUNDS
from stenograph.engine.tools.context import LogLine
from stenograph.engine.tools.failure import Failure
from stenograph.engine.tools.site import Site
from stenograph.engine.tools.targets import Target

IS_WORKER: Final = threading.Event()
"""Set in a worker process: from there no other is started."""
_LENGTH_BYTES: Final = 4


class Job(Struct, frozen=True, tag="job", kw_only=True):
    """A call to make: ``state`` and ``config`` are JSON, ``path`` is where modules are found.

    ``state_bytes`` is what a state may have.
    """

    target: Target
    path: list[str]
    tool: str
    version: str
    extras: frozenset[str]
    state: bytes
    config: bytes
    site: Site
    state_bytes: int = BOUNDS.state_bytes


class Begun(Struct, frozen=True, tag="begun"):
    """The worker has the job: from here on its time counts."""


class Said(Struct, frozen=True, tag="said"):
    """The tool has logged."""

    lines: list[LogLine]


class Finished(Struct, frozen=True, tag="finished", kw_only=True):
    """The tool came back. Values are JSON.

    ``changed`` and ``gone`` are what it did to its dict in place; ``other`` is the type of what it
    returned when that is nothing that a tool may return.
    """

    changed: dict[str, bytes]
    gone: list[str]
    returned: dict[str, bytes]
    goto: str | None = None
    other: str = ""


Report: TypeAlias = Begun | Said | Finished | Failure
"""What a worker says."""
M = TypeVar("M")


def pack(message: Job | Report) -> bytes:
    """Return a message as bytes; raises UnicodeEncodeError for text with a lone surrogate."""
    data = msgspec.msgpack.encode(message)
    return len(data).to_bytes(_LENGTH_BYTES) + data


class Channel(Generic[M]):
    """One end of the socket between them, where messages ``M`` come in; its owner closes it."""

    def __init__(self, end: socket.socket, decoder: Decoder[M]) -> None:
        self._socket = end
        self._incoming = end.makefile("rb")
        self._sending = threading.Lock()
        self._decoder = decoder

    def send(self, packed: bytes) -> None:
        """Send a message, from any thread; raises OSError when nobody is there any more."""
        with self._sending:
            self._socket.sendall(packed)

    def receive(self) -> M | None:
        """Wait for the next message; None when there will be none."""
        try:
            length = int.from_bytes(self._incoming.read(_LENGTH_BYTES))
            data = self._incoming.read(length)
            return self._decoder.decode(data) if data else None
        except (OSError, msgspec.MsgspecError):
            return None

    def hang_up(self) -> None:
        """End the conversation for both ends; whoever waits here for a message gets None."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of the socket."""
        self._incoming.close()
        self._socket.close()
