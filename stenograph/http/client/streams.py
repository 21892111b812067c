"""Streams that resume: records as a socket sends them, each once and in order, whatever happens."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from typing import Final
from urllib.parse import quote, urlencode

import msgspec
from msgspec import UNSET, UnsetType
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from stenograph.engine import NO_FILTER, Filter
from stenograph.http.shapes.messages import (
    CursorMessage,
    ErrorMessage,
    EventEnvelope,
    LogMessage,
    LogsMessage,
    SocketMessage,
    StatusMessage,
)
from stenograph.http.shapes.refusals import (
    OutOfSequence,
    RequestRefused,
    ServerUnreachable,
    StreamLost,
)
from stenograph.http.shapes.wire import JOURNAL_HEADER, Problem
from stenograph.journal import Record

FIRST_DELAY_S: Final = 0.25
MAX_DELAY_S: Final = 8.0
CLOSE_TIMEOUT_S: Final = 1.0
"""How long a farewell may take; who leaves would wait for a server that hangs."""

FAREWELLS: Final = {1012: "the server stops", 1013: "the server has no room for it now"}
"""What a server says when it lets somebody go who may come again."""
PASSING: Final = frozenset({429, 503})
"""What a handshake is answered that goes well a little later, as one did before."""

_MESSAGE: Final = msgspec.json.Decoder(SocketMessage)
_KINDS: Final = frozenset({"log", "logs", "cursor", "status", "error"})
_LOST: Final = (OSError, WebSocketException)


class Connect(connect):
    """A connection to where it was asked for: a redirect would take the token elsewhere."""

    def process_redirect(self, exc: Exception) -> Exception:
        """Take a redirect for the error that it is."""
        return exc


class Kind(msgspec.Struct):
    """What every message has."""

    type: str


_KIND: Final = msgspec.json.Decoder(Kind)


class Stream:
    """A run's records after a cursor, or with no run those of the whole journal.

    ``after`` is the cursor: the seq (whole journal: the offset) of the last record given, or of the
    last one that a server looked at and that does not pass the filter ``wanted``.
    ``on_lost`` is told of it whenever the stream breaks off and is about to be taken up again.
    A connection may begin at or before the cursor; what is known already is dropped. From there on
    it leaves nothing out and repeats nothing, or the stream is lost: so each record is given once.
    """

    def __init__(
        self,
        url: str,
        run_id: str | None,
        after: int,
        *,
        wanted: Filter = NO_FILTER,
        headers: Mapping[str, str],
        proxy: bool,
        on_lost: Callable[[int], None] | None,
        reconnect: bool,
    ) -> None:
        self.url, self.run_id, self.after = url, run_id, after
        self.wanted = wanted
        self.headers = headers
        self.proxy, self.on_lost, self.reconnect = proxy, on_lost, reconnect
        self.journal: str | None = None
        self.heard: int | None = None  # the place of the last record on this connection
        self.delays = 0

    async def pages(self) -> AsyncGenerator[list[Record], None]:
        """Yield pages of records to the end of the run, over as many connections as it takes.

        The first connection must succeed. Raises ServerUnreachable, RequestRefused, StreamLost, and
        OutOfSequence for an event that is not the next one.
        """
        while True:
            try:
                async with self._connect() as socket:
                    self._check_in(socket)
                    while page := await self._next_page(socket):
                        yield page
                return
            except InvalidStatus as error:
                self._refused(error)
                await self._lost(error)
            except _LOST as error:
                await self._lost(error)

    def _connect(self) -> connect:
        asked = [("after", str(self.after)), ("batch", "1"), *self.wanted.query]
        query = urlencode([*asked, ("journal", self.journal)] if self.journal else asked)
        path = "/ws/logs" if self.run_id is None else f"/ws/{quote(self.run_id)}"
        return Connect(
            f"ws{self.url.removeprefix('http')}{path}?{query}",
            additional_headers=self.headers,
            compression=None,
            close_timeout=CLOSE_TIMEOUT_S,
            max_size=None,  # a page ends with the event that fills it, so a message may be large
            proxy=True if self.proxy else None,
        )

    def _check_in(self, socket: ClientConnection) -> None:
        """Take down which journal this is: another one's cursors would mean something else."""
        self.heard = None
        headers = socket.response.headers if socket.response else {}
        self.journal = self.journal or headers.get(JOURNAL_HEADER)
        if self.journal is None:
            raise ServerUnreachable(self.url, "something else answers")

    async def _next_page(self, socket: ClientConnection) -> list[Record]:
        """Return what is new in the next messages; nothing when the run has ended."""
        while True:
            match self._message(await socket.recv(decode=False)):
                case LogsMessage(logs=logs) as message:
                    page = self._new(logs)
                    if self.wanted != NO_FILTER:
                        self._come_to(message.seq if self.run_id else message.offset)
                    if page:
                        return page
                case CursorMessage() as message:
                    self._come_to(message.seq if self.run_id else message.offset)
                case LogMessage(log=log):  # not asked for, but an event all the same
                    if page := self._new([log]):
                        return page
                case StatusMessage(done=True, seq=seq):
                    if seq != self.after:
                        raise OutOfSequence(self.after, expected=self.after + 1, actual=seq)
                    return []
                case ErrorMessage(problem=problem) if problem.code != "too-many-subscribers":
                    raise RequestRefused(problem)
                case _:
                    continue  # no news for us

    def _message(self, data: bytes) -> SocketMessage | None:
        """Return what a message says; None for one of a kind that a later server may know."""
        try:
            message: SocketMessage = _MESSAGE.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            if _is_unknown(data):
                return None
            raise StreamLost(self.after, f"a message that nobody can read: {error}") from error
        return message

    def _new(self, events: Iterable[EventEnvelope]) -> list[Record]:
        """Return the records after the cursor, and move it on; raises StreamLost."""
        self.delays = 0
        page = []
        for record in map(record_of, events):
            self._check(record)
            self.heard = self._place(record)
            if self.heard > self.after:
                page.append(record)
        if page:  # only now: what is not handed out does not count
            self.after = self._place(page[-1])
        return page

    def _come_to(self, cursor: int | UnsetType) -> None:
        """Move the cursor on over what does not pass the filter; raises OutOfSequence."""
        self.delays = 0
        if cursor is UNSET:
            return
        if self.heard is not None and cursor < self.heard:
            raise OutOfSequence(self.after, expected=self.heard, actual=cursor)
        self.heard = cursor
        self.after = max(self.after, cursor)

    def _check(self, record: Record) -> None:
        """Raise OutOfSequence unless a record is next on this connection, or StreamLost."""
        place = self._place(record)
        if self.run_id is not None and record.run_id != self.run_id:
            raise StreamLost(self.after, f"an event of another run came: {record.run_id}")
        if self.run_id is None or self.wanted != NO_FILTER:  # they rise, but some are left out
            due = place if self.heard is None else max(place, self.heard + 1)
        elif self.heard is None:
            due = min(place, self.after + 1)
        else:
            due = self.heard + 1
        if place != due:
            raise OutOfSequence(self.after, expected=due, actual=place)

    def _place(self, record: Record) -> int:
        return record.offset if self.run_id is None else record.seq

    def _refused(self, error: InvalidStatus) -> None:
        """Raise RequestRefused for a handshake that was answered so, and would be again."""
        try:
            problem = msgspec.json.decode(bytes(error.response.body or b""), type=Problem)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return
        if self.journal is None or problem.status not in PASSING:
            raise RequestRefused(problem) from error

    async def _lost(self, error: Exception) -> None:
        """Wait a while before the next try: 0.25 s, then ever longer, to 8 s."""
        if self.journal is None:
            raise ServerUnreachable(self.url, error) from error
        if not self.reconnect:
            raise StreamLost(self.after, _farewell(error)) from error
        if self.delays == 0 and self.on_lost is not None:
            self.on_lost(self.after)
        longest = min(MAX_DELAY_S, FIRST_DELAY_S * 2**self.delays)
        self.delays = min(self.delays + 1, 10)
        await asyncio.sleep(longest * random.uniform(0.5, 1))


def _is_unknown(data: bytes) -> bool:
    """Tell whether a message is of a kind that this version does not know."""
    try:
        return _KIND.decode(data).type not in _KINDS
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False


def record_of(event: EventEnvelope) -> Record:
    """Return an event of the wire as the record that it is."""
    return Record(
        offset=event.offset,
        run_id=event.run_id,
        seq=event.seq,
        at=event.at,
        type=event.type,
        data=bytes(event.data),
        hash=event.hash,
    )


def _farewell(error: Exception) -> object:
    """Return why a stream was lost: what the server said at its end, if it said something."""
    close = error.rcvd if isinstance(error, ConnectionClosed) else None
    return error if close is None else FAREWELLS.get(close.code, error)
