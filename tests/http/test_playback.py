"""A run is played again at the pace at which it happened, at another, and on into the present."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from stenograph.engine import NO_FILTER, filter_of
from stenograph.http import Playback, played_pages
from stenograph.http.streaming.playback import played
from stenograph.http.streaming.sifting import Belongings, Part, Parts, Sieve
from stenograph.journal import MemoryJournal, Record
from tests.http.serving import messages, ran, serving
from tests.http.test_live import SSE, parsed
from tests.http.tools import COUNT

BEGIN = datetime(2026, 11, 20, 22, 55, tzinfo=UTC)


class VirtualClock:
    """A clock on which time passes only where somebody waits."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.waits: list[float] = []

    def now(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.waits.append(round(seconds, 6))
        self.now_s += seconds


def record(seq: int, at_s: float) -> Record:
    at = (BEGIN + timedelta(seconds=at_s)).isoformat(timespec="microseconds")
    return Record(seq, "r", seq, at.replace("+00:00", "Z"), "log", b"{}", "0" * 64)


def recorded(*times_s: float) -> list[Record]:
    return [record(seq, at_s) for seq, at_s in enumerate(times_s, 1)]


async def given(*pages: list[Record]) -> AsyncGenerator[list[Record], None]:
    for page in pages:
        yield page


async def heard(
    clock: VirtualClock, playback: Playback, *pages: list[Record]
) -> list[tuple[float, list[int]]]:
    """Return when which events came, in seconds from the beginning."""
    pieces = played_pages(given(*pages), playback, now=clock.now, sleep=clock.sleep)
    return [(round(clock.now_s - 1000, 6), [each.seq for each in piece]) async for piece in pieces]


TIMES = recorded(0, 0, 1, 1.5, 1.5, 11.5)


@pytest.mark.parametrize(
    ("playback", "expected"),
    [
        (Playback(1), [(0, [1, 2]), (1, [3]), (1.5, [4, 5]), (11.5, [6])]),
        (Playback(2), [(0, [1, 2]), (0.5, [3]), (0.75, [4, 5]), (5.75, [6])]),
        (Playback(0.5), [(0, [1, 2]), (2, [3]), (3, [4, 5]), (23, [6])]),
        (Playback(1, 0.75), [(0, [1, 2]), (0.75, [3]), (1.25, [4, 5]), (2, [6])]),
        (Playback(1, 0), [(0, [1, 2, 3, 4, 5, 6])]),
    ],
)
async def test_events_come_with_the_waits_between_them(
    playback: Playback, expected: list[tuple[float, list[int]]]
) -> None:
    assert await heard(VirtualClock(), playback, TIMES) == expected
    by_one = await heard(VirtualClock(), playback, *([each] for each in TIMES))
    assert [(at, [seq]) for at, seqs in expected for seq in seqs] == by_one


async def test_a_clock_that_was_set_back_is_no_wait() -> None:
    clock = VirtualClock()
    assert await heard(clock, Playback(1), recorded(5, 0, 1)) == [(0, [1, 2]), (1, [3])]


async def test_a_playback_catches_up_with_a_run_that_goes_on_and_is_then_live() -> None:
    clock = VirtualClock()

    async def run() -> AsyncGenerator[list[Record], None]:
        yield recorded(0, 4, 8)
        for seq, at_s in ((4, 10), (5, 12)):  # they happen while the past is played, and later
            clock.now_s = max(clock.now_s, 1000 + at_s - 8)
            yield [record(seq, at_s)]

    pieces = played_pages(run(), Playback(4), now=clock.now, sleep=clock.sleep)
    told = [(clock.now_s - 1000, [each.seq for each in piece]) async for piece in pieces]
    assert told == [(0, [1]), (1, [2]), (2, [3]), (2.5, [4]), (4, [5])]


async def test_a_reader_that_is_slow_is_not_hurried_afterwards() -> None:
    clock = VirtualClock()
    told = []
    pieces = played_pages(given(recorded(0, 1, 2)), Playback(1), now=clock.now, sleep=clock.sleep)
    async for piece in pieces:
        told.append((clock.now_s - 1000, [each.seq for each in piece]))
        if piece[0].seq == 1:
            clock.now_s += 5
    assert told == [(0, [1]), (5, [2]), (6, [3])]


@pytest.mark.parametrize("types", [[], ["log"]])
async def test_parts_keep_their_cursor_at_any_pace(types: Sequence[str]) -> None:
    wanted = filter_of(types) if types else NO_FILTER
    sieve = Sieve(wanted, Belongings(MemoryJournal()), whole=False)

    async def parts() -> Parts:
        yield Part(recorded(0, 1), 5)
        yield Part([], 9)

    clock = VirtualClock()
    pieces = played(parts(), sieve, Playback(1), now=clock.now, sleep=clock.sleep)
    told = [part async for part in pieces if isinstance(part, Part)]
    assert [(len(part.records), part.after) for part in told] == [(1, 1), (1, 5), (0, 9)]


async def test_a_finished_run_is_played_over_a_socket_and_server_sent_events() -> None:
    async with serving() as server:
        await ran(server.http, COUNT, "r", to=2)
        query = "speed=1000&max_gap=0.01&after=3"
        async with server.socket(f"/ws/r?{query}") as socket:
            *logs, status = await messages(socket)
        async with server.socket(f"/ws/r?{query}&batch=1&type=log") as socket:
            *_, last = await messages(socket)
        answer = await server.http.get(f"/runs/r/events?{query}", headers=SSE)
        again = await server.http.get(
            f"/runs/r/events?{query}", headers={**SSE, "Last-Event-ID": "10"}
        )
    assert [each["log"]["seq"] for each in logs] == list(range(4, 13))
    assert (status["type"], last["seq"]) == ("status", 12)
    assert [each.id for each in parsed(answer.text)] == [*range(4, 13), 12]
    assert [each.id for each in parsed(again.text)] == [11, 12, 12]


@pytest.mark.parametrize(
    "query",
    ["speed=-1", "speed=fast", "speed=1001", "speed=nan", "speed=1&max_gap=-1", "max_gap=1e9"],
)
async def test_a_pace_that_is_none_is_refused(query: str) -> None:
    async with serving() as server:
        await ran(server.http, COUNT, "r", to=1)
        async with server.socket(f"/ws/r?{query}") as socket:
            [told] = await messages(socket)
        answer = await server.http.get(f"/runs/r/events?{query}", headers=SSE)
    assert told["problem"]["type"] == answer.json()["type"] == "/problems/query-invalid"


async def test_a_page_has_no_pace_and_neither_has_the_whole_journal() -> None:
    async with serving() as server:
        await ran(server.http, COUNT, "r", to=1)
        page = await server.http.get("/runs/r/events?speed=2")
        whole = await server.http.get("/journal?speed=2", headers=SSE)
        async with server.socket("/ws/logs?speed=2") as socket:
            [told] = await messages(socket)
    assert (page.status_code, whole.status_code, told["problem"]["status"]) == (400, 400, 400)
