"""The client: the engine's calls, their answers and errors, over HTTP."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

import stenograph as st
from stenograph.engine import (
    TERMINAL,
    CannotReduce,
    KeyReused,
    MergeConflict,
    NotHeld,
    SchemaViolated,
    SignalRefused,
    StateRefused,
    TooManyRuns,
    TooManySignals,
    UnknownEvent,
    UnknownSignal,
    decode,
)
from stenograph.http import (
    Client,
    Problem,
    RequestRefused,
    ServerUnreachable,
    StreamLost,
    create_app,
    serve,
)
from stenograph.http.shapes.refusals import About, error_of
from stenograph.journal import (
    CursorUnknown,
    JournalBusy,
    JournalFailed,
    JournalFull,
    JournalUnreadable,
    envelope,
)
from tests.http.serving import PATIENCE_S, OpenEngine, Served, eventually, in_memory, serving
from tests.http.tools import COUNT, FAIL, HANG, TOOLS, looping, of_one
from tests.ports import free_port

WAITS: dict[str, Any] = {
    "id": "waits",
    "start": "ask",
    "nodes": {
        "ask": {
            "wait": {"signal": "go", "schema": {"properties": {"a": {"type": "integer"}}}},
            "next": [{"to": "later", "when": "False"}, {"to": "$end"}],
        },
        "later": {"wait": {"signal": "later"}},
    },
}


@asynccontextmanager
async def client_of(served: Served, **options: Any) -> AsyncIterator[Client]:
    async with Client(served.url, **options) as client:
        yield client


def on_file(path: Path) -> AbstractAsyncContextManager[st.Engine]:
    return st.open(path, tools=TOOLS)


@asynccontextmanager
async def serving_at(port: int, open_engine: OpenEngine = in_memory) -> AsyncIterator[st.Engine]:
    """A server on a port that a later one can take over."""
    engines: list[st.Engine] = []
    stop = asyncio.Event()

    def started(url: str, engine: st.Engine) -> None:
        engines.append(engine)

    app = create_app(open_engine)
    task = asyncio.create_task(serve(app, port=port, started=started, stop=stop))
    await eventually(lambda: bool(engines) or task.done())
    try:
        yield engines[0]
    finally:
        stop.set()
        await asyncio.wait_for(task, PATIENCE_S)


async def test_a_client_tells_of_a_run_what_its_engine_tells() -> None:
    async with serving() as served, client_of(served) as client:
        run = await client.run(COUNT, {"to": 3}, run_id="r", tags={"who": "me"})
        engine = served.engine
        assert run == await engine.get("r") == await client.get("r")
        assert (run.status, run.state["n"], run.tags) == ("completed", 3, {"who": "me"})
        assert await client.state("r") == await engine.state("r")
        assert await client.state("r", at=6) == await engine.state("r", at=6)
        assert await client.visits("r") == await engine.visits("r")
        assert [event async for event in client.tail("r")] == [
            event async for event in engine.tail("r")
        ]


async def test_events_arrive_byte_for_byte_as_they_are_stored() -> None:
    async with serving() as served, client_of(served) as client:
        await client.run(looping("swell", 3, size=300_000), run_id="r")
        stored = list(map(envelope, await served.engine.journal.read("r")))
        pages = [page async for page in client.follow("r")]
        assert [envelope(record) for page in pages for record in page] == stored
        assert list(map(envelope, await client.read("r"))) == stored
        assert list(map(envelope, await client.read("r", after=3, limit=2))) == stored[3:5]


async def test_a_graph_written_in_python_is_stored_by_the_names_of_its_tools() -> None:
    count, enough = TOOLS[0], TOOLS[-1]
    edge = st.Edge(to="count", until=enough, max=50)
    graph = st.Graph(start="count", nodes={"count": st.Node(tool=count, next=[edge])})
    async with serving() as served, client_of(served) as client:
        stored = await client.create_graph(graph, graph_id="mine")
        again = await client.create_graph(graph, graph_id="mine")
        assert (stored.graph_id, stored.created, again.created) == ("mine", True, False)
        assert stored.graph.nodes["count"].tool == "count"
        found = await client.graph("mine", stored.version[:6])
        assert found == await served.engine.graph("mine") == await client.graph("mine")


async def test_runs_are_listed_by_their_labels_page_by_page() -> None:
    async with serving() as served, client_of(served) as client:
        for number in range(3):
            await client.run(COUNT, {"to": 1}, run_id=f"r{number}", tags={"kind": "b:c"})
        await client.run(COUNT, {"to": 1}, run_id="other")
        wanted = {"graph": "count", "status": "completed", "tag:kind": "b:c"}
        first = await client.runs(wanted, limit=2)
        rest = await client.runs(wanted, before=first.next, limit=2)
        assert [run.id for run in first.items] == ["r2", "r1"]
        assert ([run.id for run in rest.items], rest.next) == (["r0"], None)


async def test_a_long_list_of_visits_arrives_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stenograph.http.client.reading.LIMIT_MAX", 2)
    async with serving() as served, client_of(served) as client:
        await client.run(COUNT, {"to": 5}, run_id="r")
        assert await client.visits("r") == await served.engine.visits("r")


async def test_who_cancels_is_told_so_and_may_ask_twice() -> None:
    async with serving() as served, client_of(served) as client:
        await client.start(HANG, run_id="r")
        assert (await client.cancel("r", reason="enough")).reason == "enough"
        ended = await client.wait("r", PATIENCE_S)
        assert (ended.status, (await client.cancel("r")).status) == ("cancelled", "cancelled")


async def test_waiting_ends_with_the_run_with_parking_or_with_patience() -> None:
    async with serving() as served, client_of(served) as client:
        failed = await client.run(FAIL)
        parked = await client.run(COUNT, {"to": 9}, limits=st.Limits(steps=2), run_id="p")
        assert (failed.status, parked.status) == ("failed", "parked")
        assert (await client.wait("p")).status == "parked"
        assert (await client.run(HANG, wait_s=0.05)).status == "running"


async def test_who_waits_while_a_run_parks_is_told() -> None:
    gates = asyncio.Semaphore(0)

    @st.tool
    async def gate(state: dict[str, Any]) -> None:
        await gates.acquire()

    def with_gate() -> AbstractAsyncContextManager[st.Engine]:
        return st.open(":memory:", tools=[gate])

    async with serving(with_gate) as served, client_of(served) as client:
        await client.start(looping("gate", 9), limits=st.Limits(steps=2), run_id="r")
        waiting = asyncio.create_task(client.wait("r", PATIENCE_S))
        journal: Any = served.engine.journal
        await eventually(lambda: "r" in journal.feed.followers)
        gates.release()
        await eventually(lambda: gates.locked())
        await asyncio.sleep(0.05)
        gates.release()
        assert (await waiting).status == "parked"


async def test_errors_are_those_of_the_engine_and_say_the_same() -> None:
    async with serving() as served, client_of(served) as client:
        await client.run(COUNT, {"to": 1}, run_id="r")
        engine = served.engine
        for caller in (client, engine):
            asked: Any = caller
            await told(st.UnknownRun, asked.get("nope"))
            await told(st.UnknownRun, asked.get("no/run"))
            await told(st.UnknownRun, anext(asked.follow("nope")))
            await told(st.UnknownGraph, asked.start("nope"))
            await told(st.UnknownGraph, asked.graph("no/graph"))
            await told(st.UnknownGraph, asked.graph("count", "ffff"))
            await told(st.RunExists, asked.start("count", {"to": 2}, run_id="r"))
            await told(st.NotJson, asked.start("count", {"a": [math.nan]}))
            await told(st.GraphInvalid, asked.create_graph(of_one("count", start="no")))
        calls: list[tuple[type[Exception], Callable[[Any], Any]]] = [
            (st.SeqNotReached, lambda caller: caller.state("r", at=99)),
            (st.SeqNotReached, lambda caller: caller.state("r", at=0)),
            (st.RunFinished, lambda caller: caller.cancel("r")),
            (CursorUnknown, lambda caller: anext(caller.follow("r", after=99))),
        ]
        for kind, ask in calls:
            theirs, ours = await told(kind, ask(engine)), await told(kind, ask(client))
            assert (str(theirs), vars(theirs)) == (str(ours), vars(ours))


async def test_input_pauses_and_retries_are_told_as_the_engine_takes_them() -> None:
    asked: list[tuple[str, Callable[[Any], Any], str]] = [
        ("waits", lambda caller: caller.signal("waits", "go", {"a": 1}, scope="/", saw=2), ""),
        ("pauses", lambda caller: caller.pause("pauses", reason="lunch"), "paused"),
        ("pauses", lambda caller: caller.resume("pauses"), "waiting"),
        ("fails", lambda caller: caller.retry("fails", limits=st.Limits(steps=9)), ""),
    ]
    async with serving() as served, client_of(served) as client:
        for caller, name in ((client, "c"), (served.engine, "e")):
            for graph, run_id in ((WAITS, "waits"), (WAITS, "pauses"), (FAIL, "fails")):
                run = await caller.run(graph, run_id=f"{run_id}{name}")
                assert run.status in ("waiting", "failed")
            for run_id, ask, status in asked:
                told = await ask(Renamed(caller, name))
                assert (told.id, status in ("", told.status)) == (f"{run_id}{name}", True)
            assert (await caller.wait(f"waits{name}")).status == "completed"
            assert (await caller.wait(f"fails{name}")).status == "failed"
        for run_id in ("waits", "pauses", "fails"):
            events = [await types(served.engine, f"{run_id}{name}") for name in "ce"]
            assert events[0] == events[1]


class Renamed:
    """A client or an engine, the runs of which have names of their own."""

    def __init__(self, caller: Any, name: str) -> None:
        self.caller, self.name = caller, name

    def __getattr__(self, method: str) -> Any:
        return lambda run_id, *args, **options: getattr(self.caller, method)(
            run_id + self.name, *args, **options
        )


async def types(engine: st.Engine, run_id: str) -> list[str]:
    return [record.type for record in await engine.journal.read(run_id)]


async def test_the_same_start_again_is_a_replay() -> None:
    async with serving() as served, client_of(served) as client:
        first = await client.start(WAITS, {"a": 1}, key="k", delay_s=3600, tags={"t": "x"})
        again = await client.start(WAITS, {"a": 1}, key="k", delay_s=3600, tags={"t": "x"})
        assert (first.id, first.replayed, again.replayed) == (again.id, False, True)
        assert [wait.kind for wait in again.waits] == ["delay"]
        assert (await client.start(WAITS, run_id="r")).replayed is False
        assert (await client.start(WAITS, run_id="r")).replayed is True
        assert (await client.run(WAITS, run_id="r")).replayed is True


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"key": ""}, "no idempotency key"),
        ({"key": "x" * 256}, "no idempotency key"),
        ({"key": "two\nlines"}, "no idempotency key"),
        ({"key": " k"}, "no idempotency key"),
        ({"delay_s": -1}, "delayed by 0 to 316,224,000 seconds"),
        ({"delay_s": math.nan}, "delayed by 0 to"),
    ],
)
async def test_what_no_server_takes_is_refused_before_it_is_asked(
    options: dict[str, Any], match: str
) -> None:
    async with Client("http://127.0.0.1:1") as client:
        with pytest.raises(ValueError, match=match):
            await client.start("count", **options)


async def test_what_a_run_refuses_is_told_as_the_engine_tells_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("stenograph.engine.core.waits.SIGNALS_MAX", 1)
    calls: list[tuple[type[Exception], Callable[[Any], Any]]] = [
        (st.UnknownRun, lambda caller: caller.signal("nobody", "go")),
        (st.UnknownRun, lambda caller: caller.pause("nobody")),
        (st.UnknownRun, lambda caller: caller.resume("nobody")),
        (st.UnknownRun, lambda caller: caller.retry("nobody")),
        (UnknownSignal, lambda caller: caller.signal("w", "stop/it")),
        (SignalRefused, lambda caller: caller.signal("w", "go", {"a": "x"})),
        (st.NotJson, lambda caller: caller.signal("w", "go", {"a": [math.nan]})),
        (TooManySignals, lambda caller: caller.signal("w", "later", 2)),
        (NotHeld, lambda caller: caller.resume("w")),
        (NotHeld, lambda caller: caller.retry("w")),
        (NotHeld, lambda caller: caller.resume("p", result={"a": 1})),
        (st.RunFinished, lambda caller: caller.signal("c", "go")),
        (st.RunFinished, lambda caller: caller.pause("c")),
        (st.RunExists, lambda caller: caller.start("count", {"to": 2}, run_id="c")),
    ]
    async with serving() as served, client_of(served) as client:
        await client.run(WAITS, run_id="w")
        await client.signal("w", "later", 1)
        await client.run(WAITS, run_id="p")
        await client.pause("p")
        await client.run(COUNT, {"to": 1}, run_id="c")
        for kind, ask in calls:
            theirs, ours = await told(kind, ask(served.engine)), await told(kind, ask(client))
            assert (str(theirs), vars(theirs)) == (str(ours), vars(ours))


async def test_a_start_that_is_not_allowed_is_told_so() -> None:
    async with serving() as served, client_of(served) as client:
        await client.start("hang" if await stored(client) else "", key="k")
        with pytest.raises(TooManyRuns, match="too many runs of"):
            await client.start("hang")
        with pytest.raises(KeyReused, match="the idempotency key 'k' began run r-") as caught:
            await client.start("hang", {"a": 1}, key="k")
        assert caught.value.key == "k"


async def stored(client: Client) -> bool:
    rules = {"limit": 1, "policy": "reject"}
    return bool(await client.create_graph(of_one("hang", concurrency=rules)))


async def test_who_waits_while_another_branch_goes_on_is_told_when_all_of_them_wait() -> None:
    gate = asyncio.Event()

    @st.tool
    async def work(state: dict[str, Any]) -> None:
        await gate.wait()

    graph = {
        "start": "split",
        "nodes": {
            "split": {"next": {"to": ["ask", "work"], "join": "after"}},
            "ask": {"wait": {"signal": "go"}, "next": "after"},
            "work": {"tool": "work", "next": "after"},
            "after": {},
        },
    }
    async with (
        serving(lambda: st.open(":memory:", tools=[work])) as served,
        client_of(served) as client,
    ):
        begun = await client.start(graph, run_id="r")
        assert begun.status == "running"
        waiting = asyncio.create_task(client.wait("r", PATIENCE_S))
        journal: Any = served.engine.journal
        await eventually(lambda: "r" in journal.feed.followers)
        gate.set()
        assert (await waiting).status == "waiting"


async def test_who_waits_is_not_told_of_one_branch_that_ended_while_another_goes_on() -> None:
    gates = {name: asyncio.Event() for name in ("a", "b")}

    @st.tool
    async def work(state: dict[str, Any], ctx: st.Context) -> None:
        await gates[ctx.node].wait()

    work_on = {name: {"tool": "work", "next": "after"} for name in gates}
    split = {"next": {"to": ["a", "b"], "join": "after"}}
    graph = {"start": "split", "nodes": {"split": split, **work_on, "after": {}}}
    async with (
        serving(lambda: st.open(":memory:", tools=[work])) as served,
        client_of(served) as client,
    ):
        await client.start(graph, run_id="r")
        waiting = asyncio.create_task(client.wait("r", PATIENCE_S))
        journal: Any = served.engine.journal
        await eventually(lambda: "r" in journal.feed.followers)
        gates["a"].set()
        await asyncio.sleep(0.1)
        assert not waiting.done()
        gates["b"].set()
        assert (await waiting).status == "completed"


async def told(kind: type[Exception], call: Any) -> Exception:
    with pytest.raises(kind) as caught:
        await call
    return caught.value


async def test_graphs_and_their_versions_are_listed() -> None:
    async with serving() as served, client_of(served) as client:
        older = await client.create_graph(COUNT)
        newer = await client.create_graph({**COUNT, "name": "Count on"})
        await client.create_graph(HANG)
        first = await client.graphs(limit=1)
        rest = await client.graphs(before=first.next)
        assert [(graph.id, graph.versions) for graph in first.items] == [("hang", 1)]
        assert [(graph.id, graph.versions) for graph in rest.items] == [("count", 2)]
        versions = [each.version for each in await client.graph_versions("count")]
        assert versions == [older.version, newer.version]
        for name in ("nope", "no/graph"):
            await told(st.UnknownGraph, client.graph_versions(name))


async def test_a_graph_is_judged_without_being_stored() -> None:
    async with serving() as served, client_of(served) as client:
        sound = await client.validate_graph(COUNT)
        assert (sound.valid, sound.errors) == (True, [])
        created = await client.create_graph(COUNT)
        assert (created.version, msgspec.json.decode(created.data)) == (
            sound.version,
            sound.canonical,
        )
        faulty = await client.validate_graph(of_one("nope"))
        assert (faulty.valid, faulty.errors[0].pointer) == (False, "/nodes/nope/tool")
        await told(st.UnknownGraph, client.graph("nope"))
        await told(st.GraphInvalid, client.validate_graph(of_one("count", name=math.nan)))


async def test_tools_are_listed_with_what_they_say_of_themselves() -> None:
    async with serving() as server, st.Client(server.url) as client:
        listed = await client.tools()
    names = [tool.name for tool in listed.items]
    assert names == sorted(server.engine.registry.tools)
    assert [each.name for each in listed.predicate_items] == listed.predicates


async def test_graphs_within_a_graph_are_stored_before_it() -> None:
    inner = st.Graph(id="inner", start="a", nodes={"a": st.Node()})
    outer = st.Graph(id="outer", start="b", nodes={"b": st.Node(graph=inner)})
    async with serving() as served, client_of(served) as client:
        assert (await client.run(outer)).status == "completed"
        assert (await client.graph("inner")).graph_id == "inner"


async def test_every_fault_of_a_graph_has_its_pointer() -> None:
    async with serving() as served, client_of(served) as client:
        with pytest.raises(st.GraphInvalid) as caught:
            await client.create_graph(of_one("count", start="no", oops=1))
        assert {fault.pointer for fault in caught.value.faults} == {"/start", "/oops"}
        with pytest.raises(st.GraphInvalid) as caught:
            await client.create_graph(of_one("count", limits={"time_s": math.inf}))
        assert [fault.pointer for fault in caught.value.faults] == ["/limits/time_s"]


async def test_a_problem_of_http_alone_is_a_request_refused() -> None:
    async with serving() as served, client_of(served) as client:
        with pytest.raises(RequestRefused, match="reserved") as caught:
            await client.start(HANG, run_id="logs")
        assert caught.value.problem.status == 422
        with pytest.raises(RequestRefused) as caught:
            await client.runs({"status": "nope"})
        assert caught.value.problem.code == "query-invalid"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("state-not-json", st.NotJson),
        ("state-too-large", st.StateTooLarge),
        ("read-only", JournalFailed),
        ("journal-busy", JournalBusy),
        ("disk-full", JournalFull),
        ("journal-unreadable", JournalUnreadable),
        ("history-unreadable", UnknownEvent),
        ("shutting-down", st.EngineClosed),
        ("state-refused", StateRefused),
        ("schema-violated", SchemaViolated),
        ("cannot-reduce", CannotReduce),
        ("merge-conflict", MergeConflict),
        ("internal-error", RequestRefused),
    ],
)
def test_a_problem_stands_for_the_error_that_it_was(code: str, kind: type[Exception]) -> None:
    fault = st.Fault("/state/a", "is no JSON")
    problem = Problem(
        type=f"/problems/{code}", title="", status=500, detail="it went wrong", errors=[fault]
    )
    assert isinstance(error_of(problem, About()), kind)


async def test_where_nobody_listens_the_server_is_unreachable() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    async with Client(url) as client:
        for call in (client.get("r"), anext(client.follow("r")), anext(client.follow_all())):
            with pytest.raises(ServerUnreachable, match=url):
                await call


async def test_what_is_no_stenograph_server_is_told_from_one() -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as other:
        port = other.sockets[0].getsockname()[1]
        async with Client(f"127.0.0.1:{port}/") as client:
            for call in (client.get("r"), anext(client.follow("r"))):
                with pytest.raises(ServerUnreachable):
                    await call


@pytest.mark.parametrize("url", ["ftp://here", "http://", "unix:///run/x", "http://here:99999"])
def test_an_address_that_is_not_http_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"http|[Pp]ort"):
        Client(url)


async def test_an_id_that_no_run_can_have_is_refused_before_anything_is_asked() -> None:
    async with Client("http://127.0.0.1:1") as client:
        with pytest.raises(ValueError, match="'a/b' is no id: write 1 to 128 of"):
            await client.start(COUNT, run_id="a/b")


async def test_the_whole_journal_can_be_read_and_followed() -> None:
    async with serving() as served, client_of(served) as client:
        await client.run(COUNT, {"to": 2}, run_id="a")
        known = await client.read_all()
        assert known == await served.engine.journal.read_all()
        assert await client.read_all(after=known[2].offset, limit=1) == known[3:4]
        stream = client.follow_all()
        heard = await anext(stream)
        await client.start(COUNT, {"to": 1}, run_id="b")
        while heard[-1].type not in TERMINAL or heard[-1].run_id != "b":
            heard += await anext(stream)
        await stream.aclose()
        assert heard == await client.read_all()


async def test_a_cursor_beyond_the_journals_end_is_refused() -> None:
    async with serving() as served, client_of(served) as client:
        with pytest.raises(CursorUnknown) as caught:
            await anext(client.follow_all(after=999))
        assert (caught.value.after, caught.value.head) == (999, 0)


async def test_a_tail_goes_on_over_a_restart_and_repeats_nothing(tmp_path: Path) -> None:
    lost: list[int] = []
    port = free_port()
    path = tmp_path / "steno.db"
    heard: list[st.Event] = []

    async def listen(client: Client) -> None:
        async for event in client.tail("r"):
            heard.append(event)

    async with Client(f"http://127.0.0.1:{port}", on_lost=lost.append) as client:
        async with serving_at(port, partial(on_file, path)):
            await client.start(HANG, run_id="r")
            listening = asyncio.create_task(listen(client))
            await eventually(lambda: len(heard) >= 2)
        async with serving_at(port, partial(on_file, path)) as engine:
            await client.cancel("r")
            await asyncio.wait_for(listening, PATIENCE_S)
            stored = list(map(decode, await engine.journal.read("r")))
    assert heard == stored
    assert lost == [2]


async def test_another_journal_behind_the_same_address_is_refused() -> None:
    port = free_port()
    async with Client(f"http://127.0.0.1:{port}") as client:
        async with serving_at(port):
            await client.start(HANG, run_id="r")
            stream = client.follow("r")
            assert len(await anext(stream)) == 2
        async with serving_at(port):
            with pytest.raises(CursorUnknown, match="belongs to journal") as caught:
                await anext(stream)
    assert (caught.value.after, caught.value.head) == (2, 0)


async def test_who_wants_no_reconnecting_is_told_where_the_stream_broke_off() -> None:
    port = free_port()
    async with Client(f"http://127.0.0.1:{port}", reconnect=False) as client:
        async with serving_at(port):
            await client.start(HANG, run_id="r")
            stream = client.follow("r")
            seen = (await anext(stream))[-1].seq
        with pytest.raises(StreamLost) as caught:
            await anext(stream)
    assert caught.value.after == seen


async def test_a_password_in_a_url_is_not_told() -> None:
    async with st.Client(f"http://ann:hunter2@127.0.0.1:{free_port()}") as client:
        with pytest.raises(ServerUnreachable) as caught:
            await client.runs()
    assert "hunter2" not in str(caught.value)
    assert "http://127.0.0.1:" in str(caught.value)
