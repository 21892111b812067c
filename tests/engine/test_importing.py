"""Runs that go from one journal to another: the same there, at rest, and never executed."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Raw
from msgspec.structs import replace

import stenograph as st
from stenograph.engine import (
    Engine,
    ExportedRun,
    ExportRefused,
    ForkRefused,
    RunExists,
    RunGone,
    RunImported,
    UnknownEvent,
    UnknownRun,
    read_export,
)
from stenograph.engine.core.run_data import FORMAT
from stenograph.engine.export.exported import ExportHeader, ExportWriter
from stenograph.engine.export.used import Used
from stenograph.journal import (
    GENESIS,
    Record,
    chain_hash,
    open_journal,
)
from tests.clocks import VirtualClock
from tests.golden_histories import GOLDEN

SECRET = "kJ8-correct/horse battery"
calls: list[str] = []


@st.tool
async def count(state: dict[str, Any]) -> dict[str, Any]:
    calls.append("count")
    return {"n": state.get("n", 0) + 1}


LOOP = {
    "id": "loop",
    "start": "count",
    "state": {"token": {"secret": True}},
    "nodes": {"count": {"tool": "count", "next": {"to": "count", "until": "n >= 9", "max": 20}}},
}
ASK = {
    "id": "ask",
    "start": "count",
    "nodes": {
        "count": {"tool": "count", "next": "ask"},
        "ask": {"wait": {"signal": "go", "timeout_s": 60}, "next": "again"},
        "again": {"tool": "count"},
    },
}


@asynccontextmanager
async def opened(folder: Path, clock: VirtualClock) -> AsyncIterator[Engine]:
    async with (
        open_journal(folder / "steno.db") as journal,
        Engine(journal, tools=[count], clock=clock) as engine,
    ):
        yield engine


async def file_of(engine: st.Engine, run_id: str) -> bytes:
    return b"".join([piece async for piece in engine.export(run_id)])


async def exported(graph: dict[str, Any], **options: Any) -> bytes:
    async with st.open(":memory:", tools=[count]) as engine:
        run = await engine.run(graph, {"n": 0}, run_id="r-1", **options)
        return await file_of(engine, run.id)


async def records_of(engine: st.Engine, run_id: str = "r-1") -> list[Record]:
    return await engine.journal.read(run_id)


async def test_the_first_line_tells_of_graphs_tools_and_versions() -> None:
    async with st.open(":memory:", tools=[count]) as engine:
        run = await engine.run(LOOP, {"token": SECRET}, run_id="r-1")
        data = await file_of(engine, "r-1")
        header = read_export([data]).header
        assert (header.head, header.journal) == (run.seq, engine.journal.id)
        assert [(each.graph_id, each.version) for each in header.graphs] == [("loop", run.version)]
        assert [(each.name, each.version) for each in header.tools] == [("count", count.version)]
    assert SECRET.encode() not in data
    assert b'{"$secret":"token#1"}' in data


async def test_an_imported_run_has_the_same_events_and_hashes_and_can_be_read() -> None:
    data = await exported(LOOP, tags={"team": "a"})
    calls.clear()
    async with st.open(":memory:") as engine:
        done = await engine.import_run(read_export([data]))
        again = await engine.import_run(read_export([data]))
        assert (done.replayed, again) == (False, replace(done, replayed=True))
        kept = [replace(each, offset=0) for each in await records_of(engine)]
        assert kept == [replace(each, offset=0) for each in read_export([data]).records]
        assert (await engine.state("r-1", at=3)).seq == 3
        assert (await engine.get("r-1")).status == "completed"
        assert (await engine.journal.verify("r-1")).ok  # type: ignore[union-attr]
        [listed] = await engine.runs({"tag:team": "a", "imported": "yes"})
        assert (listed.run_id, listed.labels["status"]) == ("r-1", "completed")
        assert read_export([await file_of(engine, "r-1")]).header.hash == done_hash(data)
    assert calls == []


def done_hash(data: bytes) -> str:
    return read_export([data]).header.hash


async def test_an_unfinished_run_lies_at_rest_also_when_the_journal_is_opened_again(
    tmp_path: Path,
) -> None:
    clock = VirtualClock()
    data = await exported(ASK)
    running = unfinished(data)
    calls.clear()
    for _ in range(2):
        async with opened(tmp_path, clock) as engine:
            await engine.import_run(running)
            clock.advance(1000)
            assert engine.recovered == []
            run = await engine.get("r-1")
            assert run.status == "running"
            for ask in (
                engine.signal("r-1", "go"),
                engine.pause("r-1"),
                engine.resume("r-1"),
                engine.retry("r-1"),
                engine.cancel("r-1"),
            ):
                with pytest.raises(RunImported, match="fork it to go on"):
                    await ask
            assert len(await records_of(engine)) == running.header.head
    assert calls == []


def unfinished(data: bytes) -> ExportedRun:
    """A run as it was while its first node ran."""
    whole = read_export([data])
    records = whole.records[:2]
    header = replace(whole.header, head=2, hash=records[-1].hash)
    return ExportedRun(header, records)


async def test_a_run_that_waits_is_not_woken(tmp_path: Path) -> None:
    data = await exported(ASK)
    clock = VirtualClock()
    async with opened(tmp_path, clock) as engine:
        await engine.import_run(read_export([data]))
    async with opened(tmp_path, clock) as engine:
        clock.advance(10**6)
        assert (await engine.get("r-1")).status == "waiting"
        assert (await engine.erase("r-1")).status == "cancelled"
        with pytest.raises(RunGone):
            await file_of(engine, "r-1")


async def test_a_fork_goes_on_and_fails_at_the_first_missing_tool() -> None:
    data = await exported(ASK)
    async with st.open(":memory:") as engine:
        await engine.import_run(read_export([data]))
        fork = await engine.fork("r-1", (await engine.get("r-1")).seq, signals={"go": 1})
        ended = await engine.wait(fork.id)
        assert ended.error is not None
        assert (ended.status, ended.error.node) == ("failed", "again")
        assert "count" in ended.error.message
    async with st.open(":memory:", tools=[count]) as engine:
        await engine.import_run(read_export([data]))
        fork = await engine.fork("r-1", (await engine.get("r-1")).seq, signals={"go": 1})
        assert (await engine.wait(fork.id)).status == "completed"
        assert (await engine.get("r-1")).status == "waiting"


async def test_a_fork_that_needs_a_secret_asks_for_it_anew() -> None:
    async with st.open(":memory:", tools=[count]) as engine:
        await engine.run(LOOP, {"token": SECRET}, run_id="r-1")
        data = await file_of(engine, "r-1")
    async with st.open(":memory:", tools=[count]) as engine:
        await engine.import_run(read_export([data]))
        with pytest.raises(ForkRefused, match="give it anew"):
            await engine.fork("r-1", 3)
        assert (await engine.fork("r-1", 3, state={"token": SECRET})).id


async def test_an_id_that_is_taken_by_another_history_is_refused() -> None:
    first, second = await exported(LOOP), await exported(LOOP)
    async with st.open(":memory:") as engine:
        await engine.import_run(read_export([first]))
        for other in (read_export([second]), unfinished(first)):
            with pytest.raises(RunExists):
                await engine.import_run(other)


async def test_only_runs_that_are_whole_are_exported() -> None:
    async with st.open(":memory:", tools=[count]) as engine:
        await engine.run(LOOP, {"n": 8}, run_id="r-1")
        await engine.erase("r-1")
        with pytest.raises(RunGone):
            await file_of(engine, "r-1")
        for name in ("graph/loop", "nobody"):
            with pytest.raises(UnknownRun):
                await file_of(engine, name)


def chained(*events: tuple[str, bytes], run_id: str = "r-1") -> ExportedRun:
    """A file whose every hash holds, whatever its events say."""
    records: list[Record] = []
    previous, at, used = GENESIS, "2026-11-20T22:00:00.000001Z", Used()
    for seq, (kind, data) in enumerate(events, start=1):
        previous = chain_hash(run_id, seq, previous, at, kind, data)
        records.append(Record(seq, run_id, seq, at, kind, data, previous))
        with suppress(UnknownEvent):
            used.note(records[-1])
    header = ExportHeader(
        stenograph="run/1",
        run_id=run_id,
        journal="j",
        head=len(records),
        hash=previous,
        graphs=used.graphs,
        tools=used.tools,
        exported_at=at,
    )
    writer = ExportWriter()
    return read_export([writer.begin(header) + writer.add(records) + writer.end()])


def created(graph: bytes, **other: object) -> bytes:
    """The first event of a run of a graph, under the version that the graph has."""
    said = {
        "graph_id": "g",
        "version": sha256(graph).hexdigest(),
        "graph": Raw(graph),
        "state": {},
        "limits": {"steps": 9, "time_s": None},
        "actor": "ann",
    }
    return msgspec.json.encode({**said, **other})


ONE = b'{"nodes":{"a":{}},"start":"a"}'
GROW = {"op": "add", "path": "/n/-", "value": 1}
CREATED = created(ONE)


@pytest.mark.parametrize(
    ("events", "why"),
    [
        ([("log", b"{}")], "cannot stand here"),
        ([("run.created", b"{}")], "cannot read a run.created"),
        ([("run.created", CREATED), ("run.created", CREATED)], "cannot stand here"),
        ([("run.created", CREATED), ("run.erased", b'{"actor":"a"}')], "cannot stand here"),
        ([("run.created", CREATED), ("no.such", b"{}")], "cannot read a no.such"),
        ([("run.created", CREATED), ("graph.created", b"{}")], "cannot read a graph.created"),
        (
            [
                ("run.created", CREATED),
                ("graph.created", b'{"graph_id":"g","version":"v","graph":{},"actor":"a"}'),
            ],
            "is no event of a run",
        ),
        ([("run.created", created(b"7"))], "line 2"),
        ([("run.created", created(ONE, patches={"/": [GROW]}, state={"n": "a"}))], "so"),
        (
            [
                ("run.created", CREATED),
                ("node.exited", b'{"scope":"/x/","node":"a","visit":1,"attempt":1,"outcome":"ok"}'),
            ],
            "sound up to seq 1",
        ),
        ([("run.created", created(b'{"nodes":{"a":{}},"start":"b"}'))], "its graph is none"),
        ([("run.created", created(b'{"nodes":{"a":{"next":[{"to":"z"}]}},"start":"a"}'))], "'z'"),
        ([("run.created", created(b'{"start":"a","nodes":{"a":{}}}'))], "is not of version"),
        ([("run.created", CREATED.replace(b'"a":{}', b'"a":7'))], "line 2: run.created does not"),
        ([("run.created", CREATED.replace(b'"g"', b'"g\\u001b[2J"'))], "no id of a graph"),
        ([("run.created", CREATED.replace(b'"ann"', b'"ann","actor":"bob"'))], "no event as every"),
        ([("run.created", CREATED.replace(b'"ann"', b'"\xff"'))], "no event as every"),
        ([("run.created", CREATED.replace(b'"state":{}', b'"state":[]'))], "does not fit"),
        (
            [
                (
                    "run.created",
                    CREATED.replace(b'"ann"', b'"ann","tags":{"\\n":"%b"}' % (b"x" * 2000)),
                )
            ],
            "label",
        ),
    ],
)
async def test_a_history_that_no_engine_wrote_is_refused(
    events: list[tuple[str, bytes]], why: str
) -> None:
    async with st.open(":memory:") as engine:
        with pytest.raises(ExportRefused, match=re.escape(why)):
            await engine.import_run(chained(*events))
        assert await engine.journal.end() == 0


KILLED = """
import asyncio, os, signal, sys
import stenograph as st
from stenograph.engine import read_export
from stenograph.journal import inserting

path, file, statements = sys.argv[1], sys.argv[2], int(sys.argv[3])
insert = inserting.insert_statement

def killing(*args):
    global statements
    statements -= 1
    if statements < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return insert(*args)

async def main():
    async with st.open(path) as engine:
        inserting.insert_statement = killing
        with open(file, "rb") as opened:
            await engine.import_run(read_export(opened))

asyncio.run(main())
"""


@pytest.mark.parametrize("statements", [0, 1])
async def test_an_import_that_is_killed_in_between_leaves_nothing(
    tmp_path: Path, statements: int
) -> None:
    """All is in one commit; ``statements`` of its INSERTs have been done when the process dies."""
    data = await exported(LOOP)
    (tmp_path / "r-1.ndjson").write_bytes(data)
    words = [sys.executable, "-c", KILLED, tmp_path / "steno.db", tmp_path / "r-1.ndjson"]
    process = await asyncio.create_subprocess_exec(*map(str, words), str(statements))
    assert await process.wait() == -signal.SIGKILL
    async with st.open(tmp_path / "steno.db") as engine:
        assert await engine.journal.end() == 0
        assert await engine.journal.stream("r-1") is None
        assert not (await engine.import_run(read_export([data]))).replayed


async def test_what_was_imported_says_so_and_what_was_begun_here_does_not() -> None:
    data = await exported(ASK)
    async with st.open(":memory:", tools=[count]) as engine:
        assert (await engine.import_run(read_export([data]))).imported
        assert (await engine.import_run(read_export([data]))).imported
        assert (await engine.get("r-1")).imported
        fork = await engine.fork("r-1", 3)
        assert not fork.imported
        assert not (await engine.get(fork.id)).imported
        own = await engine.run(ASK, run_id="r-2")
        file = read_export([await file_of(engine, "r-2")])
        again = await engine.import_run(file)
        assert (own.imported, again.replayed, again.imported) == (False, True, False)
        assert (await engine.erase("r-1")).imported
        [left] = await engine.runs({"imported": "yes"})
        assert (left.run_id, left.labels["status"]) == ("r-1", "cancelled")


@pytest.mark.parametrize("dry_run", [True, False])
async def test_an_imported_run_is_not_migrated(dry_run: bool) -> None:
    data = await exported(ASK)
    async with st.open(":memory:", tools=[count]) as engine:
        await engine.import_run(read_export([data]))
        later = {**ASK, "limits": {"steps": 9}}
        with pytest.raises(RunImported):
            await engine.migrate("r-1", later, dry_run=dry_run)


async def test_an_ended_run_answers_a_cancel_as_any_other_does() -> None:
    async with st.open(":memory:", tools=[count]) as engine:
        run = await engine.run(ASK, run_id="r-1")
        await engine.cancel(run.id)
        await engine.wait(run.id)
        data = await file_of(engine, run.id)
    async with st.open(":memory:") as engine:
        await engine.import_run(read_export([data]))
        assert (await engine.cancel("r-1")).imported
        with pytest.raises(RunImported):
            await engine.retry("r-1")


async def test_a_run_that_goes_on_is_exported_up_to_now() -> None:
    async with st.open(":memory:", tools=[count]) as engine:
        await engine.run(ASK, {"n": 0}, run_id="r-1")
        pieces = engine.export("r-1")
        file = [await anext(pieces)]
        await engine.signal("r-1", "go", 1)
        await engine.wait("r-1")
        file += [piece async for piece in pieces]
        run = read_export(file)
        assert run.header.head == len(run.records) < (await engine.get("r-1")).seq


async def test_a_run_that_is_erased_while_it_is_exported_leaves_a_file_that_is_not_whole() -> None:
    async with st.open(":memory:", tools=[count]) as engine:
        await engine.run(LOOP, {"n": 8}, run_id="r-1")
        pieces = engine.export("r-1")
        file = [await anext(pieces)]
        await engine.erase("r-1")
        with pytest.raises(RunGone):
            await anext(pieces)
    with pytest.raises(ExportRefused, match="cut off"):
        read_export(file)


async def test_the_first_line_names_the_graphs_from_before_a_migration_too() -> None:
    async with st.open(":memory:", tools=[count]) as engine:
        await engine.run(ASK, run_id="r-1")
        await engine.migrate("r-1", {**ASK, "id": "other", "name": "another"})
        file = await file_of(engine, "r-1")
    assert [each.graph_id for each in read_export([file]).header.graphs] == ["ask", "other"]
    async with st.open(":memory:") as engine:
        assert (await engine.import_run(read_export([file]))).graph_id == "other"


async def test_a_fork_is_exported_by_itself_and_reads_as_far_as_it_is_there() -> None:
    async with st.open(":memory:", tools=[count]) as engine:
        await engine.run(ASK, {"n": 0}, run_id="r-1")
        fork = await engine.fork("r-1", 6, signals={"go": 1}, new_id="r-2")
        await engine.wait(fork.id)
        told = await engine.blame("r-2")
        files = [await file_of(engine, name) for name in ("r-2", "r-1")]
    async with st.open(":memory:") as engine:
        await engine.import_run(read_export([files[0]]))
        alone = await engine.get("r-2")
        assert alone.origin == fork.origin
        assert (await engine.state("r-2")).values["n"] == 2
        assert await engine.visits("r-2")
        await engine.import_run(read_export([files[1]]))  # and what it goes on from
        assert await engine.blame("r-2") == told


@pytest.mark.parametrize("path", sorted(GOLDEN.rglob("*.ndjson")), ids=lambda each: each.stem)
async def test_every_history_that_an_engine_wrote_can_be_imported(path: Path) -> None:
    lines = lines_of(path)
    runs = [line for line in lines if not line["run_id"].startswith("graph/")]
    for run_id in dict.fromkeys(each["run_id"] for each in runs):
        events = [(each["type"], as_stored(each)) for each in runs if each["run_id"] == run_id]
        async with st.open(":memory:") as engine:
            run = await engine.import_run(chained(*events))
            assert run.seq == len(events)


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def as_stored(event: dict[str, Any]) -> bytes:
    return msgspec.json.encode(event["data"])


FORKED: dict[str, Any] = {"targets": ["a"], "count": 1, "join": "a", "need": 1, "collects": False}
FORKED |= {"width": None, "as_": "item"}
AT_A: dict[str, Any] = {"node": "a", "visit": 1, "attempt": 1, "phase": "forked"}


def inheriting(**scope: Any) -> bytes:
    """The first event of a fork that says where it stands."""
    data = {"format": FORMAT, "scopes": [{"path": "/", **scope}]}
    return created(b'{"nodes":{"a":{}},"start":"a"}', inherited=data)


@pytest.mark.parametrize(
    ("first", "why"),
    [
        (inheriting(position=AT_A, fork={**FORKED, "need": 2}), "have its branches"),
        (inheriting(position=AT_A, fork={**FORKED, "count": 2}), "have its branches"),
        (inheriting(position=AT_A, fork={**FORKED, "targets": [], "count": 0}), "its branches"),
        (inheriting(), "stands nowhere"),
        (inheriting(position={**AT_A, "node": "b"}), "stands where it cannot"),
        (inheriting(position={**AT_A, "due_at": "soon"}), "stands where it cannot"),
        (inheriting(position=AT_A, fork={**FORKED, "next": 10**12}), "have its branches"),
        (
            inheriting(
                position=AT_A,
                fork={**FORKED, "next": 1, "branches": [{"index": 7, "status": "open"}]},
            ),
            "have its branches",
        ),
        (
            inheriting(
                position=AT_A,
                fork={**FORKED, "next": 1, "branches": [{"index": 0, "status": "open"}]},
            ),
            "have its branches",
        ),
        (inheriting(position=AT_A, fork={**FORKED, "next": 1, "open": 1}), "have its branches"),
        (
            inheriting(
                position={**AT_A, "phase": "calling"},
            ),
            "it cannot be shown",
        ),
    ],
)
async def test_a_fork_that_stands_where_none_can_is_refused(first: bytes, why: str) -> None:
    async with st.open(":memory:") as engine:
        with pytest.raises(ExportRefused, match=why):
            await engine.import_run(chained(("run.created", first)))


def of(type_: str, node: str = "a", visit: int = 1, **data: Any) -> tuple[str, bytes]:
    """An event of a node in the run's own scope."""
    said = {"scope": "/", "node": node, "visit": visit, "attempt": 1, "duration_ms": 1, **data}
    return type_, msgspec.json.encode(said)


ENTERED = of("node.entered", tool="t")
ERROR = {"type": "E", "message": ""}
FORK: dict[str, Any] = {"targets": ["a"], "count": 1, "join": "a", "need": 1}
FORK["on_error"] = "fail"
WAITING = of("wait.opened", kind="time")
FOR_GO = of("wait.opened", kind="signal", signal="go")
GO, STOP = (
    ("signal.received", b'{"name":"%b","payload":1,"actor":"a"}' % name)
    for name in (b"go", b"stop")
)
LEFT = [ENTERED, of("node.exited", outcome="ok")]


async def test_a_scope_that_is_said_to_have_forked_and_has_no_branches_cannot_join_them() -> None:
    joined = of("fork.joined", join="a", arrived=0)
    async with st.open(":memory:") as engine:
        with pytest.raises(ExportRefused, match="scope / has not forked"):
            await engine.import_run(chained(("run.created", inheriting(position=AT_A)), joined))


def patched(path: str, op: str = "add", **value: Any) -> tuple[str, bytes]:
    return of("state.patched", patch=[{"op": op, "path": path, **value}])


@pytest.mark.parametrize(
    ("events", "why"),
    [
        ([("run.completed", b'{"reason":"end"}'), ENTERED], "has ended before"),
        ([of("node.entered", scope="/x/")], "there is no scope"),
        ([of("node.entered", scope="/a#1[0]/")], "there is no scope"),
        ([of("node.entered", node="z")], "cannot be at 'z'"),
        ([of("node.entered", node="b")], "is to enter 'a'"),
        ([ENTERED, of("node.exited", visit=2, outcome="ok")], "is in another visit"),
        ([ENTERED, of("node.exited", outcome="error")], "tells of no error"),
        ([ENTERED, of("node.attempt_failed", error=ERROR, retry_at="soon")], "is no time"),
        ([ENTERED, WAITING, of("timer.set", due_at="soon")], "is no time"),
        ([ENTERED, FOR_GO, of("wait.resolved", reason="signal")], "no such signal had come"),
        (
            [ENTERED, FOR_GO, GO, of("wait.resolved", reason="signal", signal_seq=3)],
            "no such signal had come",
        ),
        (
            [ENTERED, FOR_GO, STOP, of("wait.resolved", reason="signal", signal_seq=4)],
            "no such signal had come",
        ),
        ([*LEFT, of("transition.taken", to="z", reason="next")], "there is no node 'z'"),
        ([*LEFT, of("fork.opened", **{**FORK, "targets": ["z"]})], "there is no node 'z'"),
        ([*LEFT, of("fork.opened", **{**FORK, "join": "$else"})], "no node '$else'"),
        ([*LEFT, of("fork.opened", **{**FORK, "count": 10**12})], "for each of its targets"),
        ([*LEFT, of("fork.opened", **{**FORK, "each": "n", "count": 3})], "targets or items"),
        ([*LEFT, of("fork.opened", **{**FORK, "each": "list", "count": 3})], "targets or items"),
        ([*LEFT, of("fork.opened", **{**FORK, "need": 2})], "no fork of 1 branches needs 2"),
        ([*LEFT, of("fork.opened", **{**FORK, "width": 0})], "no fork of 1 branches"),
        ([ENTERED, of("fork.joined", join="b", arrived=0)], "scope / is running then"),
        ([ENTERED, ENTERED], "scope / is running then"),
        ([ENTERED, of("transition.taken", to="b", reason="next")], "scope / is running then"),
        ([ENTERED, patched("/n", value=1)], "scope / is running then"),
        ([patched("/n", value=1)], "scope / is to-enter then"),
        ([*LEFT, patched("/n/-", value=1)], "'/n/-' cannot be patched so"),
        ([*LEFT, patched("/n", op="remove"), patched("/n/-", value=1), ENTERED], "is left then"),
        ([*LEFT, patched("/list/-")], "'/list/-' cannot be patched so"),
        ([*LEFT, patched("/list/-", op="replace", value=1)], "no state is patched at '/list/-'"),
        ([*LEFT, patched("list", value=1)], "no state is patched at 'list'"),
        ([*LEFT, patched("/list/0", value=1)], "no state is patched at '/list/0'"),
        ([("run.resumed", b'{"actor":"a","limits":{"steps":0}}')], "set such limits"),
        ([ENTERED, of("branch.ended", scope="/a#1[0]/", outcome="ok")], "there is no scope"),
        ([ENTERED, of("branch.ended", scope="/a#1[0]/", outcome="error")], "of no error"),
        (
            [*LEFT, of("fork.opened", **FORK), of("node.entered", scope="/a#1[7]/")],
            "there is no scope",
        ),
        (
            [*LEFT, of("fork.opened", **FORK), of("node.entered", scope="/b#1[0]/")],
            "there is no scope",
        ),
        (
            [*LEFT, of("fork.opened", **FORK), of("node.entered", "b", scope="/a#1[0]/")],
            "there is no scope",
        ),
    ],
)
async def test_an_event_that_cannot_follow_is_refused(
    events: list[tuple[str, bytes]], why: str
) -> None:
    graph = b'{"nodes":{"a":{"tool":"t"},"b":{}},"start":"a"}'
    first = ("run.created", created(graph, state={"n": 7, "list": []}))
    async with st.open(":memory:") as engine:
        with pytest.raises(ExportRefused, match=re.escape(why)) as refused:
            await engine.import_run(chained(first, *events))
        assert refused.value.line == len(events) + 2
        assert await engine.journal.end() == 0


async def test_forks_that_did_happen_can_be_imported() -> None:
    graph = {
        "id": "wide",
        "start": "split",
        "nodes": {
            "split": {"next": {"each": "items", "to": "count", "join": "end", "width": 2}},
            "count": {"tool": "count", "next": {"on": "error", "to": "$fail"}},
            "end": {"wait": {"signal": "go"}},
        },
    }
    async with st.open(":memory:", tools=[count]) as engine:
        run = await engine.run(graph, {"items": [1, 2, 3]}, run_id="r-1")
        whole = read_export([await file_of(engine, run.id)])
    for head in range(1, run.seq + 1):
        records = whole.records[:head]
        header = replace(whole.header, head=head, hash=records[-1].hash)
        async with st.open(":memory:") as engine:
            assert (await engine.import_run(ExportedRun(header, records))).seq == head


async def test_a_long_run_has_snapshots_as_where_it_comes_from() -> None:
    graph = {"id": "loop", "start": "w", "nodes": {"w": {"tool": "fill", "next": AGAIN}}}
    async with st.open(":memory:", tools=[fill]) as engine:
        run = await engine.run(graph, run_id="r-1")
        there = read_export([await file_of(engine, run.id)])
    async with st.open(":memory:") as engine:
        await engine.import_run(there)
        for at in (run.seq - 3, run.seq // 2):
            kept = await engine.journal.snapshot("r-1", version=FORMAT, at=at)
            assert kept is not None
            assert sum(len(each.data) for each in there.records[kept.seq : at]) < 70 * 1024
            assert there.records[kept.seq - 1].type == "transition.taken"  # all of it is decided
            assert (await engine.state("r-1", at=at)).seq == at
        first = await engine.journal.snapshot("r-1", version=FORMAT, at=run.seq // 2)
        assert first is not None
        assert await engine.fork("r-1", first.seq)


@st.tool
async def fill(state: dict[str, Any]) -> dict[str, Any]:
    n = state.get("n", 0) + 1
    return {"n": n, "last": "x" * 1000 + str(n)}


AGAIN = {"to": "w", "max": 200}


async def test_a_fork_puts_off_no_time_beyond_the_last_year() -> None:
    graph = b'{"nodes":{"a":{"wait":{"for_s":60.0}}},"start":"a"}'
    last = "9999-12-31T23:59:59.000000Z"
    opened = ("wait.opened", msgspec.json.encode(VISIT | {"kind": "time"}))
    events = (created(graph), of("node.entered")[1], opened[1], of("timer.set", due_at=last)[1])
    kinds = ("run.created", "node.entered", "wait.opened", "timer.set")
    async with st.open(":memory:") as engine:
        await engine.import_run(chained(*zip(kinds, events, strict=True)))
        fork = await engine.fork("r-1", 4)
        assert fork.status == "waiting"


VISIT = {"scope": "/", "node": "a", "visit": 1, "attempt": 1}


async def test_a_long_run_lets_others_have_their_turn() -> None:
    said = ("log", msgspec.json.encode({"scope": "/", "node": "a", "visit": 1, "attempt": 1} | LOG))
    async with st.open(":memory:") as engine:
        run = await engine.import_run(chained(("run.created", CREATED), *[said] * 1200))
        assert run.seq == 1201


LOG = {"level": "info", "message": "still here", "fields": {}}


@pytest.mark.parametrize("sent", ["", "x", "00-x-y-01", f"00-{'0' * 32}-{'1' * 16}-01"])
async def test_a_run_of_a_trace_that_is_none_is_refused(tmp_path: Path, sent: str) -> None:
    """Whoever makes spans of it would not know what to call them."""
    trace = f"00-{'a' * 32}-{'b' * 16}-01"
    async with opened(tmp_path, VirtualClock()) as engine:
        run = await engine.run(ASK, {}, traceparent=trace)
        exported = read_export([piece async for piece in engine.export(run.id)])
        assert (await engine.import_run(exported)).traceparent == trace
        first, *others = exported.records
        data = first.data.replace(trace.encode(), sent.encode())
        changed = replace(exported, records=(replace(first, data=data), *others))
        with pytest.raises(ExportRefused, match="its traceparent is none"):
            await engine.import_run(changed)
