"""Attacks as bytes on a connection, what came of each, and how health was told meanwhile."""

from __future__ import annotations

import asyncio
import gc
import json
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

from msgspec import Struct, field

HOST = "127.0.0.1"
LANES = 8
PATIENCE_S = 20.0
QUIET_S = 0.5
"""How long an answer may pause before the rest of it is left alone: some have no end."""
PROBE_S = 0.02
_JSON = json.JSONDecoder()
_HEAD = re.compile(rb"HTTP/1\.[01] (\d{3})[^\r]*\r\n(.*?)\r\n\r\n", re.DOTALL)
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")


class Attack(Struct, frozen=True):
    """What is sent over one connection, piece by piece with pauses between; then maybe an end."""

    kind: str
    pieces: tuple[bytes, ...]
    pause_s: float = 0.0
    ends: bool = False
    resets: bool = False
    is_patient: bool = False
    """Whether the answer may be long in coming, as the server waits for more."""

    @property
    def shown(self) -> str:
        return f"{self.kind}: {b''.join(self.pieces)[:300]!r}"


class Tally(Struct):
    """What came of all attacks, and the slowest answer to the probe."""

    answers: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    probes: list[float] = field(default_factory=list)

    @property
    def tried(self) -> int:
        return sum(self.answers.values())

    def note(self, attack: Attack, said: bytes) -> None:
        """Take down what was answered; each answer of several counts, of one attack."""
        found = list(_HEAD.finditer(said))
        status = int(found[0][1]) if found else 0
        self.answers[f"{status // 100}xx" if found else "closed"] += 1
        for each in found:
            if int(each[1]) >= 500:
                self.wrong.append(f"{attack.shown} -> {said[:500]!r}")
            if b"x-evil" in each[2].lower():
                self.wrong.append(f"{attack.shown} put a header into {each[0][:500]!r}")
        if 400 <= status < 500 and not _is_problem(said):
            self.wrong.append(f"{attack.shown} -> no problem, but {said[:500]!r}")

    def __str__(self) -> str:
        counts = ", ".join(f"{self.answers[each]:,} {each}" for each in _SHOWN)
        slowest, typical = max(self.probes), sorted(self.probes)[len(self.probes) // 2]
        return (
            f"{self.tried:,} tried: {counts}; health asked {len(self.probes):,} times,"
            f" median {typical * 1000:.1f} ms, slowest {slowest * 1000:.0f} ms"
        )


_SHOWN = ("1xx", "2xx", "3xx", "4xx", "closed", "5xx")


def request(
    method: str | bytes,
    target: str | bytes,
    body: bytes = b"",
    *,
    headers: Iterable[bytes] = (b"Content-Type: application/json",),
    length: bool = True,
) -> bytes:
    """One request that asks to be the last of its connection."""
    line = b"%s %s HTTP/1.1" % (_bytes(method), _bytes(target))
    head = [line, b"Host: 127.0.0.1", b"Connection: close", *headers]
    if length and body:
        head.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def with_token(data: bytes, token: str | None) -> bytes:
    """Add a token to the first request of what is sent, where there is a head to add it to."""
    if token is None:
        return data
    line, end, rest = data.partition(b"\r\n")
    if not end or b" HTTP/1." not in line:
        return data
    return line + end + b"Authorization: Bearer " + token.encode() + end + rest


async def attack_all(port: int, attacks: Iterable[Attack], token: str | None = None) -> Tally:
    """Send everything over so many connections at a time, while health is asked for."""
    tally, waiting = Tally(), iter(attacks)

    async def lane() -> None:
        for attack in waiting:
            tally.note(attack, await said_to(port, attack, token))

    with unswept():
        async with probing(port, tally):
            await asyncio.gather(*(lane() for _ in range(LANES)))
    return tally


@contextmanager
def unswept() -> Iterator[None]:
    """Have the collector leave alone what there is: its pauses here are no answer's time."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


async def said_to(port: int, attack: Attack, token: str | None) -> bytes:
    """Return what a server answers, until it hangs up, has said all, or says no more."""
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        hearing = asyncio.create_task(_heard(reader, attack))
        with suppress(ConnectionError):
            for number, piece in enumerate(attack.pieces):
                writer.write(piece if number else with_token(piece, token))
                await writer.drain()
                if attack.pause_s:
                    await asyncio.sleep(attack.pause_s)
            if attack.resets:
                writer.transport.abort()
            elif attack.ends:
                writer.write_eof()
        return await hearing
    finally:
        writer.transport.abort()


async def _heard(reader: asyncio.StreamReader, attack: Attack) -> bytes:
    heard = bytearray()
    limit = PATIENCE_S if attack.is_patient or not attack.pause_s else QUIET_S
    with suppress(TimeoutError, ConnectionError):
        while not _is_whole(heard):
            data = await asyncio.wait_for(reader.read(65536), limit)
            if not data:
                break
            heard += data
            if _HEAD.match(heard):
                limit = QUIET_S
    return bytes(heard)


def _is_whole(heard: bytearray) -> bool:
    head = _HEAD.match(heard)
    length = head and _LENGTH.search(head[0])
    return bool(head and length and len(heard) == head.end() + int(length[1]))


def _is_problem(said: bytes) -> bool:
    head, _, body = said.partition(b"\r\n\r\n")
    if body.startswith(b"Failed to open a WebSocket connection"):
        return True  # this alone is plain text, by the library for WebSockets
    if b"application/problem+json" not in head:
        return False
    return not body or _JSON.raw_decode(body.decode())[0]["status"] >= 400


@asynccontextmanager
async def probing(port: int, tally: Tally) -> AsyncIterator[None]:
    """Ask for health every 20 ms, on a connection of its own."""
    task = asyncio.create_task(_probe(port, tally))
    try:
        yield
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _probe(port: int, tally: Tally) -> None:
    reader, writer = await asyncio.open_connection(HOST, port)
    asked = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    try:
        while True:
            began = time.perf_counter()
            writer.write(asked)
            head = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            assert b" 200 " in head, head
            assert length is not None
            await reader.readexactly(int(length[1]))
            tally.probes.append(time.perf_counter() - began)
            await asyncio.sleep(PROBE_S)
    finally:
        writer.transport.abort()


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()
