"""A run goes from one server to another as a file."""

from __future__ import annotations

import gzip
import json
from hashlib import sha256

import pytest

import stenograph as st
from stenograph.engine import ExportRefused, RunExists, RunGone, RunImported, UnknownRun
from stenograph.http import Client
from stenograph.http.exporting import wants_gzip
from tests.http.serving import app_client, ran, serving
from tests.http.tools import COUNT

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
