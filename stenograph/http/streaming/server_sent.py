"""Server-sent events: parts of records as a browser's EventSource takes them, with a pulse."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Final

from stenograph.engine import EngineClosed, RunView
from stenograph.http.streaming.frames import status_message
from stenograph.http.streaming.sifting import PULSE_S, Part, Parts, Sieve, pulsed
from stenograph.journal import envelope

PULSE: Final = b": still here\n\n"


async def server_sent(
    parts: Parts,
    sieve: Sieve,
    after: int,
    journal: str,
    stopping: asyncio.Event,
    may: Callable[[], bool],
) -> AsyncIterator[bytes]:
    """Yield a chunk a part, and one for the end; ends early, to be taken up again, with the server.

    The id of an event is its cursor: its ``seq``, or of the whole journal its ``offset``. A filtered
    stream has its pulse tell the cursor: an id without data, which a browser takes down in silence.
    It ends early, too, once who listens no longer ``may``.
    """
    stop = asyncio.ensure_future(stopping.wait())
    try:
        beating = pulsed(parts, sieve, after, every_s=PULSE_S, until=stop)
        async with aclosing(beating):
            async for part in beating:
                if not may():
                    return
                yield _end(part, journal) if isinstance(part, RunView) else _chunk(part, sieve)
    except EngineClosed:
        return
    finally:
        stop.cancel()
        await asyncio.gather(stop, return_exceptions=True)


def _chunk(part: Part, sieve: Sieve) -> bytes:
    if not part.records:
        return PULSE if sieve.is_open else b"id: %d\nevent: cursor\n\n" % part.after
    return b"".join(
        b"id: %d\nevent: log\ndata: %b\n\n" % (sieve.place(record), envelope(record))
        for record in part.records
    )


def _end(run: RunView, journal: str) -> bytes:
    message = status_message(run, journal, sent=run.seq)
    return b"id: %d\nevent: status\ndata: %b\n\n" % (run.seq, message.encode())
