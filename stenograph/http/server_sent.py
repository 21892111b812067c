"""Server-sent events: pages of records as a browser's EventSource takes them, with a pulse."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Final

from stenograph.engine import EngineClosed, RunView
from stenograph.http.frames import status_message
from stenograph.journal import Record, envelope

SSE_TYPE: Final = "text/event-stream"
PULSE_S: Final = 15.0
"""Longest silence: proxies close what says nothing for longer, and a client can tell it is there."""
PULSE: Final = b": still here\n\n"


async def server_sent(
    pages: AsyncGenerator[list[Record] | RunView, None],
    journal: str,
    stopping: asyncio.Event,
    *,
    whole: bool,
) -> AsyncIterator[bytes]:
    """Yield a chunk a page, and one for the end; ends early, to be taken up again, with the server.

    The id of an event is its cursor: its ``seq``, or of the whole journal its ``offset``.
    """
    stop = asyncio.ensure_future(stopping.wait())
    nothing: list[Record] | RunView = []
    async with aclosing(pages):
        coming = asyncio.ensure_future(anext(pages, nothing))
        try:
            while not stop.done():
                await asyncio.wait(
                    {coming, stop}, timeout=PULSE_S, return_when=asyncio.FIRST_COMPLETED
                )
                if not coming.done():
                    yield PULSE
                    continue
                page = coming.result()
                if isinstance(page, RunView):
                    yield _end(page, journal)
                    return
                if not page:  # the journal was closed
                    return
                yield _chunk(page, whole=whole)
                coming = asyncio.ensure_future(anext(pages, nothing))
        except EngineClosed:
            return
        finally:
            stop.cancel()
            coming.cancel()
            await asyncio.gather(stop, coming, return_exceptions=True)


def _chunk(page: Sequence[Record], *, whole: bool) -> bytes:
    return b"".join(
        b"id: %d\nevent: log\ndata: %b\n\n"
        % (record.offset if whole else record.seq, envelope(record))
        for record in page
    )


def _end(run: RunView, journal: str) -> bytes:
    message = status_message(run, journal, sent=run.seq)
    return b"id: %d\nevent: status\ndata: %b\n\n" % (run.seq, message.encode())
