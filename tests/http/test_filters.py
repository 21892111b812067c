"""Filters belong to the subscription, on every transport; what they leave out moves the cursor too."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

import pytest

from stenograph.engine import Filter, RunView, filter_of, passes
from stenograph.http import Client
from stenograph.http.operations import sockets
from stenograph.http.streaming import server_sent
from stenograph.http.streaming.sifting import Belongings, Pages, Part, Sieve, pulsed
from stenograph.journal import MemoryJournal, NewRecord, Record
from tests.http.serving import (
    Served,
    app_client,
    begun,
    created,
    eventually,
    messages,
    ran,
    serving,
)
from tests.http.test_live import SSE, parsed
from tests.http.test_pages import NDJSON
from tests.http.tools import COUNT, HANG, looping

AT = "2026-11-20T22:55:01.123456Z"
TWO_NODES: dict[str, Any] = {
    "id": "two",
    "start": "count",
    "nodes": {"count": {"tool": "count", "next": "tidy"}, "tidy": {"tool": "tidy"}},
}
WORDS: list[list[tuple[str, str]]] = [
    [("type", "node.entered")],
    [("type", "node.*")],
    [("type", "node.*"), ("type", "log")],
    [("node", "tidy")],
    [("node", "tidy"), ("node", "count"), ("type", "node.exited")],
    [("type", "wait.*")],
    [("node", "nowhere")],
    [("type", "run.completed")],
]


def record(number: int, type_: str = "log", data: bytes = b'{"node":"a"}') -> Record:
    return Record(number, "r", number, AT, type_, data, "0" * 64)


def sieve(wanted: Filter, *, whole: bool = False) -> Sieve:
    return Sieve(wanted, Belongings(MemoryJournal()), whole=whole)


BAD: list[tuple[str, str, str]] = [
    ("type=node.enterd", "/type", "did you mean 'node.entered'?"),
    ("type=nod.*", "/type", "did you mean 'node.*'?"),
    ("type=*", "/type", "there is no event '*'"),
    ("type=", "/type", "1 to 255"),
    ("node=" + "x" * 300, "/node", "1 to 255"),
    ("&".join(f"node={number}" for number in range(40)), "/node", "at most 32"),
    ("typ=log", "/typ", "did you mean 'type'?"),
    ("filter=log", "/filter", "there is no parameter 'filter'"),
]
BAD_OF_RUNS = [("graph=count", "/graph", "no parameter"), ("tag=a:b", "/tag", "no parameter")]
BAD_OF_ALL = [("tag=team", "/tag", "name:value"), ("graph=", "/graph", "1 to 255")]
REFUSED = [
    *(("/runs/r/events", "/ws/r", *each) for each in BAD + BAD_OF_RUNS),
    *(("/journal", "/ws/logs", *each) for each in BAD + BAD_OF_ALL),
]


@pytest.mark.parametrize(("path", "socket_path", "query", "pointer", "words"), REFUSED)
async def test_a_filter_that_can_mean_nothing_is_refused_on_every_transport(
    path: str, socket_path: str, query: str, pointer: str, words: str
) -> None:
    problems = []
    async with serving() as server:
        await ran(server.http, COUNT, "r", to=1)
        kinds: list[dict[str, str]] = [{}, NDJSON, SSE]
        for headers in kinds:
            answer = await server.http.get(f"{path}?{query}", headers=headers)
            assert answer.status_code == 400
            problems.append(answer.json())
        async with server.socket(f"{socket_path}?{query}") as socket:
            problems.append((await messages(socket))[0]["problem"])
            assert socket.close_code == 4400
    for problem in problems:
        assert problem["type"] == "/problems/query-invalid"
        assert problem["errors"][0]["pointer"] == pointer
        assert words in problem["detail"]


async def test_of_thousands_of_unknown_names_some_are_told() -> None:
    query = "&".join(f"x{number}" for number in range(9000))
    async with serving() as server:
        await ran(server.http, COUNT, "r", to=1)
        answer = await server.http.get(f"/runs/r/events?{query}")
    assert answer.status_code == 400
    assert [each["pointer"] for each in answer.json()["errors"]] == [f"/x{n}" for n in range(100)]


# --- one run, on every transport ----------------------------------------------------------------


async def by_socket(server: Served, query: str) -> list[Any]:
    async with server.socket(f"/ws/r?{query}") as socket:
        heard = await messages(socket)
    *rest, last = heard
    assert (last["type"], last["done"]) == ("status", True)
    cursors = [each["seq"] if each["type"] == "cursor" else each["log"]["seq"] for each in rest]
    assert not rest or cursors[-1] == last["seq"], "the cursor comes before the end"
    assert cursors == sorted(set(cursors))
    return [each["log"] for each in rest if each["type"] == "log"]


async def by_batches(server: Served, query: str) -> list[Any]:
    async with server.socket(f"/ws/r?batch=1&{query}") as socket:
        *rest, last = await messages(socket)
    assert (last["type"], last["done"]) == ("status", True)
    assert [each["seq"] for each in rest][-1:] == [last["seq"]] * bool(rest)
    return [log for each in rest for log in each.get("logs", [])]


async def by_server_sent_events(server: Served, query: str) -> list[Any]:
    answer = await server.http.get(f"/runs/r/events?{query}", headers=SSE)
    if answer.status_code == 204:
        return []
    silent, events = split(answer.text)
    assert events[-1].event == "status"
    assert not silent or silent[-1] == events[-1].id
    return [each.data for each in events[:-1]]


def split(text: str) -> tuple[list[int], list[Any]]:
    """The ids that come without data, and what a browser is told of."""
    blocks = [each for each in text.split("\n\n") if each]
    silent = [each for each in blocks if "data: " not in each]
    told = "".join(f"{each}\n\n" for each in blocks if "data: " in each)
    ids = [int(line[4:]) for each in silent for line in each.splitlines() if line[:4] == "id: "]
    return ids, parsed(told)


async def by_long_polls(server: Served, query: str) -> list[Any]:
    after, events, name = 0, [], "after"
    words = [each for each in query.split("&") if each.partition("=")[0] != name]
    after = next((int(each[6:]) for each in query.split("&") if each.startswith("after=")), 0)
    while True:
        asked = "&".join([*words, f"after={after}", "wait=20", "limit=1"])
        page = (await server.http.get(f"/runs/r/events?{asked}")).json()
        events += page["events"]
        assert page["after"] >= after
        after = page["after"]
        if page["end"]:
            assert after == page["head"]
            return events


async def by_lines(server: Served, query: str) -> list[Any]:
    answer = await server.http.get(f"/runs/r/events?{query}", headers=NDJSON)
    return [json.loads(line) for line in answer.content.splitlines()]


LISTENERS = [by_socket, by_batches, by_server_sent_events, by_long_polls, by_lines]


@pytest.mark.parametrize("listen", LISTENERS)
async def test_a_filter_leaves_out_what_it_says_from_any_cursor_on(
    listen: Callable[[Served, str], Awaitable[list[Any]]],
) -> None:
    async with serving() as server:
        head = (await ran(server.http, TWO_NODES, "r"))["head"]
        stored = await server.engine.journal.read("r")
        for words in WORDS:
            wanted = filter_of(
                [each for name, each in words if name == "type"],
                [each for name, each in words if name == "node"],
            )
            for after in range(head + 1):
                heard = await listen(server, urlencode([*words, ("after", after)]))
                assert [each["seq"] for each in heard] == [
                    each.seq for each in stored[after:] if passes(wanted, each)
                ]


async def test_a_page_goes_over_a_long_history_that_does_not_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("stenograph.http.operations.pages.LIMIT_MAX", 10)
    monkeypatch.setattr("stenograph.http.operations.pages.SCAN_MAX_PAGES", 3)
    async with app_client() as client:
        await ran(client, looping("count", 20), "r")
        found, afters = [], [0]
        while True:
            page = await client.get(f"/runs/r/events?type=run.*&after={afters[-1]}")
            found += [each["type"] for each in page.json()["events"]]
            afters.append(page.json()["after"])
            if page.json()["end"]:
                break
    assert found == ["run.created", "run.completed"]
    assert afters == [0, 10, 40, 70, 100, 102]


async def test_a_client_reads_on_over_a_long_history_that_does_not_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("stenograph.http.operations.pages.LIMIT_MAX", 10)
    monkeypatch.setattr("stenograph.http.operations.pages.SCAN_MAX_PAGES", 3)
    async with serving() as server, Client(server.url) as client:
        await ran(server.http, looping("count", 20), "r")
        [end] = await client.read("r", after=1, types=["run.*"])
    assert end.type == "run.completed"


async def test_a_page_that_is_cut_goes_on_behind_its_last_event() -> None:
    async with app_client() as client:
        await ran(client, looping("count", 20), "r")
        first = (await client.get("/runs/r/events?type=log&limit=3")).json()
        rest = (await client.get(f"/runs/r/events?type=log&after={first['after']}")).json()
    assert first["after"] == first["events"][-1]["seq"]
    assert [len(first["events"]), len(rest["events"]), rest["end"]] == [3, 17, True]


async def test_a_long_poll_waits_for_what_passes_and_tells_how_far_it_looked() -> None:
    async with serving() as server:
        await begun(server.http, HANG, "r")
        journal: Any = server.engine.journal
        query = "after=0&wait=60&type=run.cancelled"
        asking = asyncio.create_task(server.http.get(f"/runs/r/events?{query}"))
        await eventually(lambda: "r" in journal.feed.followers)
        await server.http.post("/runs/r/cancel")
        page = (await asking).json()
    assert [each["type"] for each in page["events"]] == ["run.cancelled"]
    assert (page["after"], page["end"]) == (page["head"], True)


async def test_a_long_poll_without_what_passes_moves_on_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("stenograph.http.operations.pages.WAIT_MAX_S", 0.01)
    async with app_client() as client:
        await begun(client, HANG, "r")
        page = (await client.get("/runs/r/events?wait=60&type=log")).json()
    assert (page["events"], page["after"], page["end"]) == ([], 2, False)


# --- the whole journal --------------------------------------------------------------------------


async def tagged(server: Served) -> None:
    """Runs of two graphs, some of them tagged."""
    for graph in (COUNT, TWO_NODES):
        await created(server.http, graph)
    for number, team in enumerate(["a", "b", "a"]):
        for name in ("count", "two"):
            tags = {"team": team, "number": str(number)}
            body = {"graph": name, "id": f"{name}-{number}", "input": {"to": 1}, "tags": tags}
            answer = await server.http.post("/runs", json=body, headers={"Prefer": "wait=20"})
            assert answer.status_code == 200


ALL_WORDS = [
    ("graph=two", {"two-0", "two-1", "two-2"}),
    ("graph=two&graph=count&tag=team:b", {"two-1", "count-1"}),
    ("tag=team:a&tag=number:2", {"count-2", "two-2"}),
    ("tag=team:a&graph=count&type=run.completed", {"count-0", "count-2"}),
    ("tag=team:c", set()),
]


@pytest.mark.parametrize(("query", "runs"), ALL_WORDS)
async def test_the_whole_journal_is_filtered_by_the_runs_that_events_are_in(
    query: str, runs: set[str]
) -> None:
    async with serving() as server:
        await tagged(server)
        end = await server.engine.journal.end()
        page = (await server.http.get(f"/journal?{query}&limit=1000")).json()
        lines = (await server.http.get(f"/journal?{query}", headers=NDJSON)).content.splitlines()
        async with Client(server.url) as client:
            words = [each.split("=", 1) for each in query.split("&")]
            options: dict[str, Any] = {
                "graphs": [value for name, value in words if name == "graph"],
                "types": [value for name, value in words if name == "type"],
                "tags": dict(value.split(":", 1) for name, value in words if name == "tag"),
            }
            read = await client.read_all(**options)
            heard: list[Record] = []
            pages = client.follow_all(**options)
            while len(heard) < len(read):
                heard += await anext(pages)
            await pages.aclose()
    assert {each["run_id"] for each in page["events"]} == runs
    assert (page["after"], page["head"]) == (end, end)
    assert [json.loads(line) for line in lines] == page["events"]
    assert [each.offset for each in read] == [each["offset"] for each in page["events"]]
    assert heard == read


async def test_what_runs_belong_to_is_looked_up_once_and_of_so_many() -> None:
    asked: list[str] = []

    class Journal(MemoryJournal):
        async def stream(self, run_id: str) -> Any:
            asked.append(run_id)
            return await super().stream(run_id)

    journal = Journal()
    labels = {"graph": "g", "tag:a": "b", "status": "running"}
    await journal.append("r", [NewRecord("log", b"{}", AT)], expected_seq=0, labels=labels)
    belongings = Belongings(journal, runs_max=2)
    for run_id in ["r", "r", "x", "r", "y", "r", "x"]:
        known = await belongings.of(run_id, 1)
        assert known == ({"graph": "g", "tag:a": "b"} if run_id == "r" else {})
    assert asked == ["r", "x", "y", "x"]


async def test_a_run_that_was_migrated_passes_as_one_of_its_new_graph() -> None:
    gated = {
        "start": "gate",
        "nodes": {"gate": {"wait": {"signal": "go"}}},
    }
    async with serving() as server:
        engine = server.engine
        await engine.run({"id": "old", **gated}, run_id="r", wait_s=1)
        before = (await server.http.get("/journal?graph=old")).json()
        await engine.migrate("r", {"id": "new", **gated})
        await engine.signal("r", "go")
        after = f"&after={before['after']}"
        old = (await server.http.get(f"/journal?graph=old{after}")).json()
        new = (await server.http.get(f"/journal?graph=new{after}")).json()
    assert {each["run_id"] for each in before["events"]} == {"r"}
    assert old["events"] == []
    types = [each["type"] for each in new["events"]]
    assert (types[0], types[-1]) == ("run.migrated", "run.completed")


# --- the cursor ---------------------------------------------------------------------------------


async def test_a_filtered_socket_tells_its_cursor_in_a_quiet_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sockets, "PULSE_S", 0.01)
    async with serving() as server:
        await begun(server.http, HANG, "r")
        async with server.socket("/ws/r?type=log") as one:
            told = json.loads(await one.recv())
        end = await server.engine.journal.end()
        async with server.socket("/ws/logs?type=log&after=0") as all_:
            told_all = json.loads(await all_.recv())
    assert told == {"type": "cursor", "seq": 2, "journal": told["journal"]}
    assert told_all == {"type": "cursor", "offset": end, "journal": told["journal"]}


async def test_filtered_server_sent_events_tell_their_cursor_in_a_quiet_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server_sent, "PULSE_S", 0.01)
    async with serving() as server:
        await begun(server.http, HANG, "r")
        async with server.http.stream("GET", "/runs/r/events?type=log", headers=SSE) as answer:
            assert await anext(answer.aiter_bytes()) == b"id: 2\nevent: cursor\n\n"


async def given(*items: Part | RunView | float) -> AsyncGenerator[Part | RunView, None]:
    """Parts, and between them seconds of silence."""
    for item in items:
        if isinstance(item, float):
            await asyncio.sleep(item)
        else:
            yield item


async def test_a_history_that_never_passes_still_tells_the_cursor() -> None:
    busy = given(*(Part([], number) for number in range(1, 6)))
    told = [part async for part in pulsed(busy, sieve(filter_of(["log"])), 0, every_s=0.0)]
    assert [part.after for part in told if isinstance(part, Part)] == [1, 2, 3, 4, 5]


async def test_the_cursor_is_told_before_the_end_and_only_if_it_was_not() -> None:
    log = Part([record(2)], 2)
    for parts, cursors in (
        ([log, Part([], 5)], [2, 5]),
        ([log], [2]),
        ([Part([record(2)], 3)], [3, 3]),
        ([], []),
    ):
        told = pulsed(given(*parts), sieve(filter_of(["log"])), 0, every_s=60)
        assert [part.after async for part in told if isinstance(part, Part)] == cursors


async def test_the_terminal_message_comes_whatever_the_filter_and_however_late() -> None:
    async with serving() as server:
        head = (await ran(server.http, COUNT, "r", to=2))["head"]
        for after in (0, head - 1, head):
            async with server.socket(f"/ws/r?type=wait.*&after={after}") as socket:
                heard = await messages(socket)
            told = [(each["type"], each["seq"]) for each in heard]
            assert told == [("cursor", head)] * (after < head) + [("status", head)]


async def test_the_client_follows_what_it_asks_for_as_its_engine_does() -> None:
    async with serving() as server, Client(server.url) as client:
        await ran(server.http, TWO_NODES, "r")
        asked: dict[str, Any] = {"types": "node.*", "nodes": ["tidy"]}
        types = [event.type async for event in client.tail("r", **asked)]
        assert types == [event.type async for event in server.engine.tail("r", **asked)]
        read = await client.read("r", types=["node.*"], nodes="tidy")
        nothing = await client.read("r", types=["wait.*"])
    assert types == [each.type for each in read] == ["node.entered", "node.exited"]
    assert nothing == []


async def test_pages_pass_on_the_end_and_give_way_between() -> None:
    async def pages() -> Pages:
        yield [record(1)]
        yield [record(2, "node.entered")]

    assert [part async for part in sieve(filter_of(["log"])).parts(pages())] == [
        Part([record(1)], 1),
        Part([], 2),
    ]
