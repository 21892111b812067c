"""The throttle: what costs much is taken in a part a turn of the loop, in order, and not for who has left."""

from __future__ import annotations

import asyncio
import socket
from types import SimpleNamespace
from typing import Any, cast

from stenograph.http.serving.throttle import COSTLY_S, LARGE_BYTES, Intake, Throttle

LARGE = b"a" * LARGE_BYTES


class Taker(Throttle):
    """Keeps what it takes in."""

    is_paused = False

    def __init__(self, intake: Intake) -> None:
        self.loop = asyncio.get_running_loop()
        self.config = cast(Any, SimpleNamespace(intake=intake))
        self.taken: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.throttled(self.taken.append, data)


async def connected(intake: Intake) -> tuple[Taker, socket.socket]:
    ours, theirs = socket.socketpair()
    _, taker = await asyncio.get_running_loop().create_connection(lambda: Taker(intake), sock=ours)
    return taker, theirs


async def test_what_comes_while_some_is_held_is_taken_in_behind_it() -> None:
    intake = Intake()
    taker, theirs = await connected(intake)
    with theirs:
        intake.spend(taker.loop, COSTLY_S)
        for part in (LARGE, b"b", LARGE):
            taker.data_received(part)
        assert taker.taken == []
        await asyncio.sleep(0)
        assert taker.taken == [LARGE + b"b" + LARGE]
        taker.data_received(b"c")
        assert taker.taken[1:] == [b"c"]
        taker.transport.close()
        await asyncio.sleep(0)


async def test_what_is_held_of_who_has_left_is_forgotten_and_others_go_on() -> None:
    intake = Intake()
    (gone, first), (here, second) = await connected(intake), await connected(intake)
    with first, second:
        intake.spend(gone.loop, COSTLY_S)
        gone.data_received(LARGE)
        here.data_received(LARGE)
        gone.transport.abort()
        await asyncio.sleep(0)
        assert (gone.taken, gone.held, here.taken) == ([], b"", [LARGE])
        here.transport.close()
        await asyncio.sleep(0)
