"""Subscribers on every transport are cut off at random, hundreds of times, and by kills of the server.

Each must in the end have taken down every event that passes its filter exactly once, in order.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec import Struct

from stenograph.engine import passes
from stenograph.http.client import streams
from stenograph.journal import Record, open_journal_readonly
from tests.figures import Figure
from tests.http.cutting import Cutter, cutting
from tests.http.subscribers import (
    BROKEN,
    SUBSCRIBERS,
    Listen,
    Notes,
    by_batches,
    by_client,
    by_steno_tail,
)
from tests.http.test_kill import Server, serving

SEED = 5
KILLS = 4
VISITS = 400
RUNS = {"a": {"team": "a"}, "b": {"team": "b"}}
GRAPH: dict[str, Any] = {
    "id": "long",
    "start": "work",
    "nodes": {
        "work": {"tool": "work", "next": "note"},
        "note": {"tool": "work_in_a_thread", "next": [{"to": "work", "until": f"n >= {VISITS}"}]},
    },
}
STREAM_BYTES = VISITS * 9 * 380
"""About how much an unfiltered stream of a run is."""
BATCH_BYTES = 150_000
"""A message of many events is as large as that and larger, and is of no use when it is cut off."""
IN_BATCHES = {by_batches, by_client, by_steno_tail}
SLOW_SHARE = 4
"""A process of its own waits before it comes again, so it is cut as many times less."""


class Subscriber(Struct):
    """A subscriber, its own way to the server, and its notes of each time it has listened."""

    name: str
    listen: Listen
    cutter: Cutter
    rounds: list[Notes]
    resumed: int = 0


async def follow(subscriber: Subscriber) -> None:
    """Listen to the end, however often it is cut off; and again while there are cuts left."""
    while True:
        notes = subscriber.rounds[-1]
        try:
            over = await subscriber.listen(subscriber.cutter.url, notes)
        except BROKEN:
            over = False
        if over and subscriber.cutter.cuts <= 0:
            return
        if over:
            subscriber.rounds.append(Notes(notes.run, notes.wanted, notes.runs))
        else:
            subscriber.resumed += 1
            await asyncio.sleep(0.02)


async def subscribed(
    stack: AsyncExitStack, server: Server, cuts: int
) -> tuple[list[Subscriber], int]:
    """Return the subscribers, and how often they will be cut in all."""
    slow = [listen is by_steno_tail for _, listen, _, _ in SUBSCRIBERS]
    each = -(-cuts * SLOW_SHARE // sum(1 if is_slow else SLOW_SHARE for is_slow in slow))
    found = []
    for (name, listen, run, wanted), is_slow in zip(SUBSCRIBERS, slow, strict=True):
        share = -(-each // SLOW_SHARE) if is_slow else each
        part = STREAM_BYTES // (1 if wanted.query == [] else 4)
        least = BATCH_BYTES if listen in IN_BATCHES else 500
        cutter = await stack.enter_async_context(
            cutting(
                server.port,
                random.Random(f"{SEED}/{name}"),
                cuts=share,
                bytes_between=max(least, part // (share + 1)),
            )
        )
        runs = frozenset({"a"}) if wanted.tags else frozenset(RUNS)
        found.append(Subscriber(name, listen, cutter, [Notes(run, wanted, runs)]))
    return found, sum(each.cutter.cuts for each in found)


async def begin(server: Server) -> None:
    async with httpx.AsyncClient(base_url=server.url) as http:
        assert (await http.post("/graphs", json=GRAPH)).status_code == 201
        for run_id, tags in RUNS.items():
            body = {"graph": "long", "id": run_id, "state": {"n": 0, "seen": []}, "tags": tags}
            assert (await http.post("/runs", json=body)).status_code == 202


async def test_whoever_is_cut_off_hears_every_event_exactly_once_and_in_order(
    tmp_path: Path,
    request: pytest.FixtureRequest,
    figure: Figure,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(streams, "FIRST_DELAY_S", 0.01)  # the client's patience is not tested here
    monkeypatch.setattr(streams, "MAX_DELAY_S", 0.1)
    chance = random.Random(SEED)
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(serving(tmp_path))
        await begin(server)
        cuts: int = request.config.getoption("--cuts")
        subscribers, planned = await subscribed(stack, server, cuts)
        async with asyncio.TaskGroup() as tasks:
            for each in subscribers:
                tasks.create_task(follow(each))
            for _ in range(KILLS):
                await asyncio.sleep(chance.uniform(0.5, 1.5))
                await server.kill()
                await server.start()
    stored, labels = await kept(server.db)
    done: Counter[str] = Counter()
    heard = 0
    for each in subscribers:
        done.update(each.cutter.done)
        for notes in each.rounds:
            assert notes.heard == expected(notes, stored, labels), each.name
            heard += len(notes.heard)
    assert done["closed"] + done["reset"] == planned >= cuts
    assert min(done["closed"], done["reset"]) > 0
    figure(
        f"{len(subscribers)} subscribers, {len(stored):,} events, seed {SEED}: cut {planned} times "
        f"({done['closed']} closed, {done['reset']} reset) and by {KILLS} kills, resumed "
        f"{sum(each.resumed for each in subscribers)} times; {heard:,} events heard, "
        "0 missing, 0 twice, 0 out of order"
    )


async def kept(db: Path) -> tuple[list[Record], Mapping[str, Mapping[str, str]]]:
    """Return all that the journal holds, and the labels of its runs."""
    stored: list[Record] = []
    async with open_journal_readonly(db) as journal:
        while page := await journal.read_all(after=stored[-1].offset if stored else 0):
            stored += page
        labels = {each.run_id: each.labels for each in await journal.streams({"kind": "run"})}
    assert all(labels[run_id]["status"] == "completed" for run_id in RUNS)
    return stored, labels


def expected(
    notes: Notes, stored: list[Record], labels: Mapping[str, Mapping[str, str]]
) -> list[tuple[int, str]]:
    """Return the place and the hash of each event that a subscriber was to hear, up to its end."""
    wanted = [
        each
        for each in stored
        if notes.run in (None, each.run_id)
        and passes(notes.wanted, each, labels.get(each.run_id, {}))
    ]
    if notes.run:
        return [(each.seq, each.hash) for each in wanted]
    # The whole journal has no end: a message may hold more than what was waited for.
    return [(each.offset, each.hash) for each in wanted[: len(notes.heard)]]
