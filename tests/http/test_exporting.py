"""A run goes from one server to another as a file."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from hashlib import sha256

import httpx
import pytest

import stenograph as st
from stenograph.engine import ExportRefused, RunExists, RunGone, RunImported, UnknownRun
from stenograph.http import Client
from stenograph.http.operations.exporting import IMPORTS_MAX, wants_gzip
from tests.http.serving import app_client, ran, serving
from tests.http.tools import COUNT, TOOLS
from tests.ports import free_port

NDJSON = {"Content-Type": "application/x-ndjson"}


async def exported(run_id: str = "first", to: int = 3) -> bytes:
    async with app_client() as client:
        await ran(client, COUNT, run_id, to=to)
        return (await client.get(f"/runs/{run_id}/export")).content


async def test_the_file_is_a_header_the_events_as_on_the_wire_and_a_digest() -> None:
    async with app_client() as client:
        await ran(client, COUNT, "first", to=3)
        answer = await client.get("/runs/first/export", headers={"Accept-Encoding": "identity"})
        events = await client.get("/runs/first/events", headers={"Accept": NDJSON["Content-Type"]})
    lines = answer.content.splitlines(keepends=True)
    header = json.loads(lines[0])
    assert (header["stenograph"], header["run_id"]) == ("run/1", "first")
    assert header["head"] == len(lines) - 2
    assert b"".join(lines[1:-1]) == events.content
    assert json.loads(lines[-1]) == {"sha256": sha256(b"".join(lines[:-1])).hexdigest()}
    assert answer.headers["content-disposition"] == 'attachment; filename="first.ndjson"'


async def test_it_is_compressed_on_its_way_or_for_good() -> None:
    async with app_client() as client:
        await ran(client, COUNT, "first", to=3)
        sent = await client.get("/runs/first/export", headers={"Accept-Encoding": "gzip"})
        kept = await client.get("/runs/first/export?gzip=true")
    assert sent.headers["content-encoding"] == "gzip"
    assert sent.content.startswith(b'{"stenograph":"run/1"')
    assert (kept.headers["content-type"], "content-encoding" in kept.headers) == (
        "application/gzip",
        False,
    )
    assert gzip.decompress(kept.content).splitlines()[1:-1] == sent.content.splitlines()[1:-1]
    assert [wants_gzip(each) for each in ("", "br, gzip;q=0.5", "gzip; q=0", "*")] == [
        False,
        True,
        False,
        True,
    ]


async def test_a_run_is_imported_once_and_reads_as_it_did() -> None:
    data = await exported()
    async with app_client(lambda: st.open(":memory:")) as client:
        first = await client.post("/runs/import", content=data, headers=NDJSON)
        again = await client.post(
            "/api/runs/import",
            content=gzip.compress(data),
            headers={"Content-Type": "application/gzip"},
        )
        assert (first.status_code, again.status_code) == (201, 200)
        assert first.headers["location"] == "/runs/first"
        assert {**first.json(), "replayed": True} == {**again.json(), "replayed": True}
        assert (await client.get("/runs/first/state")).json()["state"]["n"] == 3
        assert (await client.get("/runs/first/verify")).json()["ok"]
        back = (await client.get("/runs/first/export")).content
        assert json.loads(back.splitlines()[0])["hash"] == json.loads(data.splitlines()[0])["hash"]
        for path in ("/runs/first/retry", "/runs/first/resume"):
            problem = (await client.post(path)).json()
            assert (problem["status"], problem["type"]) == (409, "/problems/run-imported")


async def test_what_cannot_be_imported_is_a_problem() -> None:
    data = await exported()
    other, reserved = await exported(), await exported("imported")
    async with app_client() as client:
        await client.post("/runs/import", content=data, headers=NDJSON)
        codes = []
        for content, headers in (
            (data.replace(b'"actor"', b'"actoR"', 1), NDJSON),
            (b"", NDJSON),
            (other, NDJSON),
            (data, {"Content-Type": "application/json"}),
            (data, {"Content-Type": "text/plain"}),
            (data, {**NDJSON, "Origin": "http://evil.example"}),
        ):
            problem = (await client.post("/runs/import", content=content, headers=headers)).json()
            codes.append((problem["status"], problem["type"].rpartition("/")[2]))
        assert (await client.get("/runs")).json()["items"][0]["id"] == "first"
        assert (await client.post("/runs/import", content=reserved, headers=NDJSON)).is_success
    assert codes == [
        (422, "import-refused"),
        (422, "import-refused"),
        (409, "run-exists"),
        (415, "unsupported-media-type"),
        (415, "unsupported-media-type"),
        (403, "origin-refused"),
    ]


async def test_what_cannot_be_exported_is_a_problem() -> None:
    async with app_client() as client:
        await ran(client, COUNT, "first", to=2)
        await client.post("/runs/first/erase")
        codes = [
            (await client.get(path)).status_code
            for path in ("/runs/first/export", "/runs/nobody/export", "/runs/first/export?x=1")
        ]
    assert codes == [410, 404, 400]


async def test_the_client_exports_and_imports() -> None:
    async with serving() as served, Client(served.url) as client:
        await ran(served.http, COUNT, "first", to=2)
        file = b"".join([piece async for piece in client.export("first")])
        packed = b"".join([piece async for piece in client.export("first", gzip=True)])
        assert (await client.import_run(file)).replayed
        with pytest.raises(UnknownRun):
            await anext(client.export("nobody"))
        other = await exported()
        with pytest.raises(RunExists):
            await client.import_run(other)
        with pytest.raises(ExportRefused, match="cut off"):
            await client.import_run(file[:-2])
        await client.erase("first")
        with pytest.raises(RunGone):
            await anext(client.export("first"))
    async with serving() as served, Client(served.url) as client:
        run = await client.import_run(packed)
        assert (run.id, run.status, run.replayed, run.state["n"]) == (
            "first",
            "completed",
            False,
            2,
        )
        with pytest.raises(RunImported):
            await client.retry("first")


async def test_only_so_many_files_arrive_at_a_time_and_others_are_asked_to_come_again() -> None:
    data = await exported()
    async with serving() as served:
        held, begun = asyncio.Event(), asyncio.Semaphore(0)

        async def slowly() -> AsyncIterator[bytes]:
            yield data[:1000]
            begun.release()
            await held.wait()
            yield data[1000:]

        arriving = [
            asyncio.create_task(
                served.http.post("/runs/import", content=slowly(), headers=NDJSON, timeout=60)
            )
            for _ in range(IMPORTS_MAX)
        ]
        for _ in arriving:
            await begun.acquire()
        refused = await served.http.post("/runs/import", content=data, headers=NDJSON)
        assert refused.json()["type"] == "/problems/too-many-imports"
        assert refused.headers["retry-after"] == "5"
        held.set()
        assert {(await each).status_code for each in arriving} == {200, 201}
        after = await served.http.post("/runs/import", content=data, headers=NDJSON)
        assert after.status_code == 200


async def test_a_file_that_breaks_off_or_does_not_come_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("stenograph.http.operations.exporting.IMPORT_TIMEOUT_S", 0.2)
    data = await exported()
    async with serving() as served:

        async def never() -> AsyncIterator[bytes]:
            yield data[:1000]
            await asyncio.sleep(1)

        answer = await served.http.post("/runs/import", content=never(), headers=NDJSON)
        assert (answer.status_code, answer.json()["type"]) == (408, "/problems/body-timeout")
        host, _, port = served.url.removeprefix("http://").partition(":")
        _, writer = await asyncio.open_connection(host, int(port))
        head = "POST /runs/import HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999\r\n"
        writer.write(f"{head}Content-Type: application/x-ndjson\r\n\r\n".encode() + data[:1000])
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        assert (await served.http.get("/runs")).json()["items"] == []


BOMBS = {
    "zeros": gzip.compress(bytes(80 * 1024 * 1024)),
    "lines": gzip.compress(b"\n" * (80 * 1024 * 1024)),
    "a name without end": b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * (5 * 1024 * 1024),
    "nothing, often": b"".join([gzip.compress(b"")] * 1000),
    "arrays": b'{"stenograph":' + b"[" * 100_000 + b"\n",
    "another encoding": "{}\n".encode("utf-16"),
    "a mark before it": b"\xef\xbb\xbf{}\n",
    "nothing": b"",
    "one byte": b"\x1f",
}


@pytest.mark.parametrize("name", BOMBS)
async def test_a_hostile_file_is_refused_and_costs_little(name: str) -> None:
    async with app_client() as client:
        kind = {"Content-Type": "application/gzip"}
        answer = await client.post("/runs/import", content=BOMBS[name], headers=kind)
        assert (answer.status_code, answer.json()["type"]) == (422, "/problems/import-refused")


async def test_a_run_says_wherever_it_is_read_that_it_was_imported() -> None:
    data = await exported()
    async with serving() as served, Client(served.url) as client:
        await client.import_run(data)
        await ran(served.http, COUNT, "own", to=1)
        assert [(await client.get(name)).imported for name in ("first", "own")] == [True, False]
        listed = (await served.http.get("/runs")).json()["items"]
        assert {each["id"]: each["imported"] for each in listed} == {"first": True, "own": False}


async def test_a_run_is_not_imported_under_a_name_that_paths_have_here() -> None:
    async with st.open(":memory:", tools=TOOLS) as engine:
        await engine.run(COUNT, {"to": 1}, run_id="logs")
        data = b"".join([piece async for piece in engine.export("logs")])
    async with app_client() as client:
        problem = (await client.post("/runs/import", content=data, headers=NDJSON)).json()
        assert (problem["status"], problem["type"]) == (422, "/problems/import-refused")
        assert "no run can be called logs" in problem["detail"]


async def test_a_server_that_stops_waits_for_no_file() -> None:
    data = await exported()
    begun = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield data[:1000]
        begun.set()
        await asyncio.sleep(1)
        yield data[1000:]

    async with httpx.AsyncClient() as outside:
        async with serving() as served:
            url = f"{served.url}/runs/import"
            task = asyncio.create_task(outside.post(url, content=slowly(), headers=NDJSON))
            await begun.wait()
            await served.http.get("/runs")
        with suppress(httpx.TransportError):  # it may hang up on who still sends
            assert (await task).json()["type"] == "/problems/shutting-down"
    assert task.done()


async def test_where_nobody_listens_nothing_is_exported() -> None:
    async with Client(f"http://127.0.0.1:{free_port()}") as client:
        with pytest.raises(st.ServerUnreachable):
            [piece async for piece in client.export("r")]
