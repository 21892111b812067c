"""WebSockets: a run from a cursor to its end, the whole journal live, a run started and followed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import aclosing, contextmanager, nullcontext, suppress
from functools import partial
from typing import Any, Final, TypeAlias

import msgspec
from litestar import WebSocket, websocket
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import Struct

from stenograph.engine import Engine, EngineClosed, Filter, filter_of
from stenograph.http.asked import traceparent
from stenograph.http.door.access import actor_of, check_holds, subprotocol_of
from stenograph.http.door.guard import LARGE_S, check_nesting
from stenograph.http.errors import Refused, problem_of
from stenograph.http.operations.bodies import state_in_frame, within
from stenograph.http.operations.pages import JournalSource, check_journal
from stenograph.http.operations.queries import check_names as check_query
from stenograph.http.operations.queries import playback_of
from stenograph.http.operations.waiting import first_of
from stenograph.http.shapes.wire import (
    CLOSE_BAD_REQUEST,
    CLOSE_CURSOR_UNKNOWN,
    CLOSE_INTERNAL_ERROR,
    CLOSE_NORMAL,
    CLOSE_NOT_FOUND,
    CLOSE_RESTART,
    CLOSE_TRY_LATER,
    JOURNAL_HEADER,
)
from stenograph.http.streaming.following import to_its_end
from stenograph.http.streaming.frames import Frames, error_message, status_message
from stenograph.http.streaming.outlet import LEAVE, LOST, Gone, Leave, Outlet
from stenograph.http.streaming.playback import Playback, played
from stenograph.http.streaming.sifting import PULSE_S, Belongings, Pages, Part, Sieve, pulsed
from stenograph.journal import AT_ONCE_BYTES, run_briefly

Socket: TypeAlias = WebSocket[Any, Any, Any]

FIRST_FRAME_TIMEOUT_S: Final = 30.0
CHATTER: Final = 16
CHATTER_PAUSE_S: Final = 0.1
"""After so many messages that nobody asked for the next are left for a while where they are."""

_CLOSE_CODES: Final = {
    404: CLOSE_NOT_FOUND,
    409: CLOSE_CURSOR_UNKNOWN,
    500: CLOSE_INTERNAL_ERROR,
    503: CLOSE_TRY_LATER,
}
_NAMES: Final = frozenset({"after", "batch", "journal", "type", "node"})
RUN_NAMES: Final = _NAMES | {"speed", "max_gap"}
JOURNAL_NAMES: Final = _NAMES | {"graph", "tag"}
"""What the query of a socket may say."""


class Query(Struct, frozen=True):
    """What the query of a socket asks: from where on, many events a message, which, how fast."""

    after: int | None
    batch: bool
    wanted: Filter
    playback: Playback


@websocket(
    [
        "/ws/{run_id:str}",
        "/ws/logs/{run_id:str}",
        "/ws/monitor/{run_id:str}",
        "/graph/stream/{run_id:str}",
    ],
    needs="read",
)
async def follow_run(
    socket: Socket,
    run_id: FromPath[str],
    engine: NamedDependency[Engine],
    frames: NamedDependency[Frames],
    belongings: NamedDependency[Belongings],
) -> None:
    """Send one run from a cursor on, then live, then what became of it."""

    async def follow(outlet: Outlet) -> None:
        query = query_of(socket, engine, RUN_NAMES)
        await Sender(socket, outlet, engine, frames, belongings).send_run(run_id, query)

    await _converse(socket, engine, follow)


@websocket("/ws/logs", needs="read")
async def follow_journal(
    socket: Socket,
    engine: NamedDependency[Engine],
    frames: NamedDependency[Frames],
    belongings: NamedDependency[Belongings],
) -> None:
    """Send the whole journal: what happens from now on, or everything after an offset."""
    # Before the handshake: what happens once the client knows that it is connected is not missed.
    end = await engine.journal.end()

    async def follow(outlet: Outlet) -> None:
        query = query_of(socket, engine, JOURNAL_NAMES)
        after = end if query.after is None else query.after
        pages = JournalSource(engine).follow(after)
        sender = Sender(socket, outlet, engine, frames, belongings)
        await sender.send(pages, after, query, whole=True)
        raise EngineClosed  # the whole journal has no end; its tail ends when it is closed

    await _converse(socket, engine, follow)


@websocket("/ws/execute/{graph_id:str}", needs="run")
async def execute(
    socket: Socket,
    graph_id: FromPath[str],
    engine: NamedDependency[Engine],
    frames: NamedDependency[Frames],
    belongings: NamedDependency[Belongings],
) -> None:
    """Start a run with the state in the first frame, name it, and send it."""

    async def follow(outlet: Outlet) -> None:
        query = query_of(socket, engine, RUN_NAMES)
        name, _, version = graph_id.partition("@")
        await engine.graph(name, version or None)
        pointer, state = state_in_frame(await _first_frame(socket), graph_id)
        check_holds(socket.scope)
        with within(state=pointer):
            run = await engine.start(
                graph_id, state, traceparent=traceparent(), actor=actor_of(socket)
            )
        await outlet.send(status_message(run, engine.journal.id, sent=0))
        await Sender(socket, outlet, engine, frames, belongings).send_run(run.id, query)

    await _converse(socket, engine, follow)


def query_of(socket: Socket, engine: Engine, names: Collection[str]) -> Query:
    """Read the query of a socket, which may hold ``names``; raises Refused, FilterInvalid."""
    asked = socket.query_params
    check_query(asked, names)
    after, batch = asked.get("after"), asked.get("batch", "0")
    if after is not None and not (after.isascii() and after.isdigit() and len(after) <= 100):
        raise Refused("query-invalid", "after is a number: that of the last event you hold")
    if batch not in ("0", "1"):
        raise Refused("query-invalid", "batch is 1, for many events a message, or 0")
    check_journal(engine, asked.get("journal"))
    wanted = filter_of(*(asked.getall(name, []) for name in ("type", "node", "graph", "tag")))
    playback = playback_of(asked.get("speed"), asked.get("max_gap"))
    return Query(None if after is None else int(after), batch == "1", wanted, playback)


async def _converse(
    socket: Socket, engine: Engine, follow: Callable[[Outlet], Awaitable[None]]
) -> None:
    """Accept a client, talk until all is said or it leaves, and close with the code that tells why."""
    outlet = Outlet(socket.send)
    try:
        with _talking():
            headers = {JOURNAL_HEADER: engine.journal.id}
            await socket.accept(subprotocol_of(socket), headers=headers)
        code, reason = await _say(socket, outlet, follow)
        with _talking():
            await socket.close(code, reason)
    except Gone:
        return


@contextmanager
def _talking() -> Iterator[None]:
    """Raise Gone for all that says so of a client."""
    try:
        yield
    except LOST as error:
        raise Gone from error


async def _say(
    socket: Socket, outlet: Outlet, follow: Callable[[Outlet], Awaitable[None]]
) -> tuple[int, str]:
    """Say all there is to say, and return the code and the reason to close with; raises Gone."""
    try:
        socket.app.state["subscribers"].enter()
        await follow(outlet)
    except Gone:
        raise
    except Leave as leave:
        return leave.code, _where(outlet)
    except asyncio.CancelledError:  # the server has waited for long enough
        if not socket.app.state["stopping"].is_set():
            raise
        return CLOSE_RESTART, _where(outlet)
    except EngineClosed:
        return CLOSE_RESTART, _where(outlet)
    except Exception as error:
        problem = problem_of(error, socket.scope["path"])
        with suppress(Leave):
            await outlet.send(error_message(problem))
        return _CLOSE_CODES.get(problem.status, CLOSE_BAD_REQUEST), ""
    return CLOSE_NORMAL, ""


def _where(outlet: Outlet) -> str:
    """Return the reason that tells a client from where on it can go on."""
    return "" if outlet.after is None else f"after={outlet.after}"


class Sender(Struct, frozen=True):
    """Sends one client what it asked for."""

    socket: Socket
    outlet: Outlet
    engine: Engine
    frames: Frames
    belongings: Belongings

    async def send_run(self, run_id: str, query: Query) -> None:
        """Send a run to its end; raises Gone, Leave, and what following it raises."""
        after = query.after or 0
        await self.send(to_its_end(self.engine, run_id, after), after, query, whole=False)

    async def send(self, pages: Pages, after: int, query: Query, *, whole: bool) -> None:
        """Send page after page; raises Gone when the client leaves, also in a quiet time, Leave."""
        self.outlet.after = after
        sieve = Sieve(query.wanted, self.belongings, whole=whole)
        parts = sieve.parts(pages)
        if query.playback.speed:
            parts = played(parts, sieve, query.playback)
        if not sieve.is_open:
            parts = pulsed(parts, sieve, after, every_s=PULSE_S)

        async def send_all() -> None:
            journal, outlet = self.engine.journal.id, self.outlet
            async for part in parts:
                if isinstance(part, Part):
                    messages = self.frames.of(part, sieve, batch=query.batch, journal=journal)
                    await outlet.send_part(messages, part.after, whole=whole)
                else:
                    await outlet.send(status_message(part, journal, sent=part.seq))

        async with aclosing(parts):
            await first_of(send_all, lambda: _until_gone(self.socket))


async def _until_gone(socket: Socket) -> None:
    """Take in and forget whatever a client says; raises Gone once it has left, Leave."""
    while True:
        for _ in range(CHATTER):
            await _event(socket)
        await asyncio.sleep(CHATTER_PAUSE_S)


async def _event(socket: Socket) -> Any:
    """Return the next event with a message; raises Gone, Leave."""
    with _talking():
        event: Any = await socket.receive()
    if event["type"] == "websocket.disconnect":
        raise Gone
    if LEAVE in event:
        raise Leave(event[LEAVE])
    return event


async def _first_frame(socket: Socket) -> dict[str, Any]:
    """Return the object that the first message of a client holds; raises Refused."""
    try:
        async with asyncio.timeout(FIRST_FRAME_TIMEOUT_S):
            data = await _message(socket)
    except TimeoutError:
        raise Refused("body-timeout", "the first message, with the state, did not come") from None
    state = socket.app.state
    parsing = partial(_object, data, state["settings"].body_depth)
    is_small = len(data) <= AT_ONCE_BYTES
    async with nullcontext() if is_small else state["large"].one(len(data) * LARGE_S):
        return await run_briefly(parsing, at_once=is_small)


def _object(data: bytes, depth: int) -> dict[str, Any]:
    """Return the object that a message holds; raises Refused."""
    check_nesting(data, depth)
    try:
        frame = msgspec.json.decode(data)
    except msgspec.DecodeError as error:
        raise Refused("not-json", f"the first message must be JSON: {error}") from None
    if not isinstance(frame, dict):
        raise Refused("body-invalid", "the first message is an object: the state")
    return frame


async def _message(socket: Socket) -> bytes:
    """Return a message, of whichever kind it is; raises Gone, Leave, Refused."""
    event = await _event(socket)
    data: bytes = event["text"].encode() if "text" in event else event["bytes"]
    try:
        data.decode()
    except UnicodeDecodeError:
        raise Refused("not-utf8", "the first message, with the state, must be UTF-8") from None
    return data


HANDLERS = (follow_run, follow_journal, execute)
