"""Traces: a span a request, a run and an attempt, in the trace that the client is in."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.instrumentation._semconv import _OpenTelemetrySemanticConventionStability
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import stenograph as st
from stenograph.engine import attempt_span_id, run_span_id, sane_traceparent, trace_of
from stenograph.http import CannotTrace, Settings, create_app
from stenograph.http.watch import run_spans as module
from stenograph.http.watch import tracing
from stenograph.http.watch.run_spans import RunSpans
from stenograph.http.watch.tracing import Ids, Tracing
from stenograph.journal import MemoryJournal, NewRecord
from tests.http.serving import app_client, created, messages, ran, serving
from tests.http.tools import COUNT, HANG, TOOLS, of_one

TRACED = Settings(tracing=True)
SENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
UNSAMPLED = SENT[:-2] + "00"


@st.tool
async def tell(state: dict[str, Any], ctx: st.Context) -> dict[str, Any]:
    """Keep what the tool could send along."""
    return {"told": ctx.traceparent}


TELL = of_one("tell")


def over(path: Path | str = ":memory:", *, traced: bool = True) -> Any:
    return partial(st.open, path, tools=[*TOOLS, tell], traced=traced)


class Spans(InMemorySpanExporter):
    """What was exported, by name."""

    def named(self, name: str) -> ReadableSpan:
        (found,) = (each for each in self.get_finished_spans() if each.name == name)
        return found

    def names(self) -> list[str]:
        return sorted(each.name for each in self.get_finished_spans())


def ids(span: ReadableSpan) -> tuple[str, str, str]:
    """The trace, the span and its parent, as hexadecimal digits."""
    context = span.get_span_context()
    assert context is not None
    parent = "" if span.parent is None else f"{span.parent.span_id:016x}"
    return f"{context.trace_id:032x}", f"{context.span_id:016x}", parent


def told(span: ReadableSpan) -> dict[str, Any]:
    """The attributes of our own."""
    return {
        name.removeprefix("stenograph."): value
        for name, value in (span.attributes or {}).items()
        if name.startswith("stenograph.")
    }


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (SENT, SENT),
        (f" {SENT} ", SENT),
        ("cc" + SENT[2:] + "-more", SENT),
        (SENT + "-more", None),
        ("ff" + SENT[2:], None),
        (SENT.upper(), None),
        ("00-" + "0" * 32 + SENT[35:], None),
        (SENT[:36] + "0" * 16 + "-01", None),
        ("", None),
    ],
)
def test_a_traceparent_is_kept_in_version_00_or_not_at_all(sent: str, kept: str | None) -> None:
    assert sane_traceparent(sent) == kept


async def test_a_run_keeps_the_trace_of_who_began_it_and_its_tools_can_hand_it_on() -> None:
    async with app_client(over(traced=False)) as client:
        await created(client, TELL)
        body = {"graph": "tell", "id": "r"}
        answer = await client.post(
            "/runs", json=body, headers={"traceparent": SENT, "prefer": "wait=10"}
        )
        first = (await client.get("/runs/r/events")).json()["events"][0]["data"]
        state = (await client.get("/runs/r/state")).json()["state"]
        again = await client.post("/runs", json=body, headers={"traceparent": UNSAMPLED})
    assert first["traceparent"] == state["told"] == SENT
    assert [each.headers["traceparent"] for each in (answer, again)] == [SENT, SENT]
    assert again.headers["idempotency-replayed"] == "true"


@pytest.mark.parametrize("sent", ["", "hello", "ff" + SENT[2:], SENT + "x", "\xff\xfe"])
async def test_what_is_no_traceparent_is_left_out(sent: str) -> None:
    async with app_client(over(traced=False)) as client:
        await created(client, TELL)
        headers = {b"traceparent": sent.encode("latin-1"), b"prefer": b"wait=10"}
        answer = await client.post("/runs", json={"graph": "tell", "id": "r"}, headers=headers)
        first = (await client.get("/runs/r/events")).json()["events"][0]["data"]
        state = (await client.get("/runs/r/state")).json()["state"]
    assert "traceparent" not in answer.headers
    assert "traceparent" not in first
    assert state["told"] is None


async def test_a_fork_and_a_rerun_are_in_the_trace_of_their_own_request() -> None:
    async with app_client(over(traced=False)) as client:
        await created(client, COUNT)
        body = {"graph": "count", "id": "r", "input": {"to": 2}}
        headers = {"prefer": "wait=10", "traceparent": UNSAMPLED}
        await client.post("/runs", json=body, headers=headers)
        fork = await client.post(
            "/runs/r/fork", json={"at": 4, "id": "f"}, headers={"traceparent": SENT}
        )
        rerun = await client.post("/runs/r/rerun", json={"id": "g"})
        first = [
            (await client.get(f"/runs/{name}/events")).json()["events"][0]["data"] for name in "fg"
        ]
    assert fork.headers["traceparent"] == SENT
    assert "traceparent" not in rerun.headers
    assert [each.get("traceparent") for each in first] == [SENT, None]


async def test_a_socket_begins_runs_in_its_trace_too() -> None:
    async with serving(over(traced=False)) as server:
        await created(server.http, TELL)
        headers = {"traceparent": SENT}
        async with server.socket("/ws/execute/tell", additional_headers=headers) as socket:
            await socket.send("{}")
            heard = await messages(socket)
        run_id = heard[0]["run_id"]
        first = (await server.http.get(f"/runs/{run_id}/events")).json()["events"][0]["data"]
    assert first["traceparent"] == SENT


async def test_what_the_engine_is_given_must_be_one() -> None:
    async with st.open(":memory:", tools=[tell]) as engine:
        with pytest.raises(ValueError, match="regex"):
            await engine.start(TELL, traceparent="hello")
        run = await engine.run(TELL, traceparent=SENT)
    assert run.traceparent == SENT


async def test_a_request_its_run_and_its_attempts_are_one_trace() -> None:
    spans = Spans()
    async with app_client(over(), settings=TRACED, exporter=spans) as client:
        await created(client, TELL)
        body = {"graph": "tell", "id": "r"}
        headers = {"traceparent": SENT, "prefer": "wait=10"}
        await client.post("/runs", json=body, headers=headers)
        told_to_tool = (await client.get("/runs/r/state")).json()["state"]["told"]
        await client.get("/healthz")
        await client.get("/nowhere")
    request, run, attempt = (spans.named(name) for name in ("POST /runs", "run tell", "tell"))
    trace, client_span = SENT.split("-")[1:3]
    assert ids(request) == (trace, ids(request)[1], client_span)
    assert ids(run) == (trace, run_span_id("r"), ids(request)[1])
    assert ids(attempt) == (trace, attempt_span_id("r", "/", "tell", 1, 1), run_span_id("r"))
    assert told_to_tool.split("-")[1:3] == [trace, ids(attempt)[1]]
    assert told(run) == {
        "run_id": "r", "graph_id": "tell", "status": "completed", "retried": False,
    }  # fmt: skip
    assert told(attempt) == {
        "run_id": "r", "scope": "/", "node": "tell", "visit": 1, "attempt": 1, "outcome": "ok",
        "tool": "tell",
    }  # fmt: skip
    assert run.start_time is not None and run.end_time is not None  # noqa: PT018
    assert attempt.start_time is not None and run.start_time <= attempt.start_time <= run.end_time  # noqa: PT018
    assert (request.attributes or {})["http.route"] == "/runs"
    assert spans.names() == [
        "GET", "GET /runs/{run_id}/state", "POST /graph/create", "POST /runs", "run tell", "tell",
    ]  # fmt: skip


async def test_methods_that_nobody_knows_name_no_spans() -> None:
    spans = Spans()
    async with app_client(over(), settings=TRACED, exporter=spans) as client:
        for method in ("BREW", "M1", "M2", "PUT"):
            await client.request(method, "/runs")
    assert [each.name for each in spans.get_finished_spans()] == ["HTTP", "HTTP", "HTTP", "PUT"]


@pytest.mark.parametrize("names", ["", "http", "http/dup"])
async def test_a_span_tells_nothing_of_a_query_and_no_token(
    names: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", names)
    conventions = _OpenTelemetrySemanticConventionStability
    monkeypatch.setattr(conventions, "_initialized", False)
    monkeypatch.setattr(conventions, "_OTEL_SEMCONV_STABILITY_SIGNAL_MAPPING", {})
    spans = Spans()
    async with app_client(over(), settings=TRACED, exporter=spans) as client:
        token = f"steno_{'0' * 12}_{'5ec' * 21}0"
        for path in (
            *("/runs?token=secret", "/runs?secret", "/nowhere?a=secret&b=%73ecret"),
            f"/nowhere/{token}?x",
        ):
            await client.get(path, headers={"authorization": "Bearer secret"})
    said = [str(each.to_json()) for each in spans.get_finished_spans()]
    assert len(said) == 4
    assert not [each for each in said if "secret" in each or "%73" in each or "5ec5ec" in each]
    assert all('"/runs"' in each or "/nowhere" in each for each in said)


async def test_what_a_client_has_not_sampled_is_not_exported() -> None:
    spans = Spans()
    async with app_client(over(), settings=TRACED, exporter=spans) as client:
        await created(client, TELL)
        headers = {"traceparent": UNSAMPLED, "prefer": "wait=10"}
        answer = await client.post("/runs", json={"graph": "tell"}, headers=headers)
    assert answer.headers["traceparent"].startswith(UNSAMPLED[:35])
    assert spans.names() == ["POST /graph/create"]


async def test_a_run_without_a_client_is_a_trace_of_its_own() -> None:
    spans = Spans()
    async with followed(spans) as engine:
        await engine.run(TELL, run_id="r")
    run, attempt = spans.named("run tell"), spans.named("tell")
    trace = trace_of("r", None).trace_id
    assert ids(run) == (trace, run_span_id("r"), "")
    assert ids(attempt)[0::2] == (trace, run_span_id("r"))


async def test_without_a_client_the_sampler_decides_for_the_whole_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    spans = Spans()
    async with followed(spans) as engine:
        await engine.run(TELL)
    assert spans.names() == []


async def test_what_fails_says_why_and_a_retry_is_told_by_itself() -> None:
    spans = Spans()
    retried = of_one("fail", limits={"steps": 9})
    retried["nodes"]["fail"]["retry"] = {"attempts": 2, "delay_s": 0}
    async with followed(spans) as engine:
        await engine.run(retried, run_id="r")
        await engine.retry("r")
        await engine.wait("r")
    runs = [each for each in spans.get_finished_spans() if each.name == "run fail"]
    assert [told(each)["retried"] for each in runs] == [False, True]
    assert len({ids(each)[1] for each in runs}) == 2
    attempts = [each for each in spans.get_finished_spans() if each.name == "fail"]
    assert [told(each)["attempt"] for each in attempts] == [1, 2, 3, 4]
    assert [ids(each)[2] for each in attempts] == [ids(runs[0])[1]] * 2 + [ids(runs[1])[1]] * 2
    assert {each.status.description for each in [*runs, *attempts]} == {"ValueError: no luck"}
    assert {(each.attributes or {})["error.type"] for each in attempts} == {"ValueError"}


async def test_forks_and_reruns_are_linked_to_what_they_come_from() -> None:
    spans = Spans()
    async with followed(spans) as engine:
        await engine.run(COUNT, {"to": 2}, run_id="r", traceparent=SENT)
        await engine.fork("r", 4, new_id="f")
        await engine.rerun("r", new_id="g")
        for run_id in "fg":
            await engine.wait(run_id)
    runs = {told(each)["run_id"]: each for each in spans.get_finished_spans() if each.links}
    assert runs.keys() == {"f", "g"}
    for each in runs.values():
        (link,) = each.links
        assert f"{link.context.trace_id:032x}-{link.context.span_id:016x}" == "-".join(
            [SENT.split("-")[1], run_span_id("r")]
        )


async def test_what_an_erased_run_was_is_linked_to_no_more() -> None:
    spans = Spans()
    async with followed(spans) as engine:
        await engine.run(COUNT, {"to": 2}, run_id="r", traceparent=SENT)
        await engine.fork("r", 4, new_id="f")
        await engine.erase("r")
        await engine.wait("f")
        seen = RunSpans(engine.journal, TracerProvider(shutdown_on_exit=False), Ids())
        await seen.catch_up()
        assert await seen._link("r") is None
        assert await seen._link("graph/count") is None
        assert await seen._link("nobody") is None
    assert {told(each).get("run_id") for each in spans.get_finished_spans()} == {"r", "f"}


async def test_where_the_environment_switches_it_off_nothing_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    spans = Spans()
    async with app_client(over(), settings=TRACED, exporter=spans) as client:
        await created(client, TELL)
        body = {"graph": "tell", "id": "r"}
        answer = await client.post("/runs", json=body, headers={"prefer": "wait=10"})
        named = {"prefer": "wait=10", "traceparent": SENT}
        within = await client.post("/runs", json=body | {"id": "s"}, headers=named)
    assert (answer.status_code, "traceparent" in answer.headers) == (200, False)
    assert within.headers["traceparent"] == SENT
    assert spans.names() == []


async def test_a_run_that_goes_on_after_a_restart_stays_one_trace(tmp_path: Path) -> None:
    path, spans = tmp_path / "steno.db", Spans()
    async with app_client(over(path)) as client:
        await created(client, HANG)
        body = {"graph": "hang", "id": "r"}
        await client.post("/runs", json=body, headers={"traceparent": SENT})
        await client.get("/runs/r/events", params={"after": 1, "wait": 10})
    async with app_client(over(path), settings=TRACED, exporter=spans) as client:
        await client.post("/runs/r/cancel")
        for _ in range(1000):
            if (await client.get("/runs/r")).json()["status"] == "cancelled":
                break
            await asyncio.sleep(0.01)
    trace, parent = SENT.split("-")[1:3]
    run, lost = spans.named("run hang"), spans.named("hang")
    assert ids(run) == (trace, run_span_id("r"), parent)
    assert ids(lost) == (trace, attempt_span_id("r", "/", "hang", 1, 1), run_span_id("r"))
    assert (lost.attributes or {})["error.type"] == "Lost"
    assert told(lost)["tool"] == "hang"


async def test_what_happened_elsewhere_is_told_there() -> None:
    spans = Spans()
    async with app_client(over(traced=False)) as client:
        await ran(client, TELL, "r")
        exported = (await client.get("/runs/r/export")).content
    async with app_client(over(), settings=TRACED, exporter=spans) as client:
        headers = {"content-type": "application/x-ndjson"}
        answer = await client.post("/runs/import", content=exported, headers=headers)
        assert answer.status_code < 300, answer.text
    assert spans.names() == ["POST /runs/import"]


async def test_an_engine_that_is_not_told_of_it_is_traced_from_when_it_is_open() -> None:
    spans = Spans()
    made = Tracing(spans)
    async with over(traced=False)() as engine:
        await engine.run(TELL)
        async with made.of_runs(engine):
            await engine.run(TELL, run_id="r")
    assert {told(each)["run_id"] for each in spans.get_finished_spans()} == {"r"}


async def test_a_run_that_is_not_in_mind_any_more_is_read_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "RUNS_MAX", 1)
    waiting = {"id": "w", "start": "a", "nodes": {"a": {"wait": {"signal": "go"}, "next": "tell"}}}
    waiting["nodes"]["tell"] = {"tool": "tell"}  # type: ignore[index]
    spans = Spans()
    async with followed(spans) as engine:
        for run_id in "rs":
            await engine.run(waiting, run_id=run_id)
        for run_id in "rs":
            await engine.signal(run_id, "go")
            await engine.wait(run_id)
    runs = [told(each)["run_id"] for each in spans.get_finished_spans() if each.name == "run w"]
    assert runs == ["r", "s"]
    assert spans.names() == ["a", "a", "run w", "run w", "tell", "tell"]


async def test_an_attempt_whose_beginning_cannot_be_read_has_the_time_it_took(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with MemoryJournal() as journal:
        spans = of_journal(journal)
        await journal.append(
            "odd", [record("node.exited"), record("run.completed")], expected_seq=0
        )
        await spans.catch_up()
    assert not caplog.records


async def test_a_run_of_a_trace_that_is_none_spoils_no_other_span(
    caplog: pytest.LogCaptureFixture,
) -> None:
    spans = Spans()
    async with followed(spans) as engine:
        await engine.run(COUNT, {"to": 1}, run_id="sound")
        [begun, *_] = await engine.journal.read("sound")
        data = begun.data[:-1] + b',"traceparent":"none"}'
        odd = NewRecord(at=begun.at, type=begun.type, data=data)
        await engine.journal.append("odd", [odd], expected_seq=0)
        await engine.run(COUNT, {"to": 1}, run_id="r")
    assert "run count" in [each.name for each in spans.get_finished_spans()]
    assert [each.message for each in caplog.records] == ["no span was made of event 1 of run odd"]


async def test_a_journal_that_cannot_be_read_ends_the_spans_and_nothing_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with MemoryJournal() as journal:
        spans = of_journal(journal)
    await spans.follow(0)
    await spans.catch_up()
    assert [each.message for each in caplog.records] == [
        "no spans of runs are made any more", "the last spans of runs were not made",
    ]  # fmt: skip


async def test_spans_go_to_a_collector_by_otlp(monkeypatch: pytest.MonkeyPatch) -> None:
    bodies: list[bytes] = []

    async def collect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        size = next(
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length")
        )
        bodies.append(await reader.readexactly(size))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    collector = await asyncio.start_server(collect, "127.0.0.1", 0)
    port = collector.sockets[0].getsockname()[1]
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
    async with collector, app_client(over(), settings=TRACED) as client:
        await ran(client, TELL, "r")
    sent = [ExportTraceServiceRequest.FromString(each) for each in bodies]
    resources = [group for each in sent for group in each.resource_spans]
    names = {
        span.name for group in resources for scope in group.scope_spans for span in scope.spans
    }
    assert {"run tell", "tell", "POST /graph/run"} <= names
    services = {
        pair.value.string_value
        for group in resources
        for pair in group.resource.attributes
        if pair.key == "service.name"
    }
    assert services == {"stenograph"}


async def test_without_opentelemetry_it_is_said_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "stenograph.http.watch.tracing", None)
    with pytest.raises(CannotTrace, match=r"stenograph\[tracing\]"):
        create_app(over(), TRACED)


async def test_a_collector_that_is_gone_does_not_hold_up_the_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(tracing, "FLUSH_S", 0.1)
    async with app_client(over(), settings=TRACED) as client:
        assert (await client.get("/tools")).status_code == 200
    assert "the last spans were not sent" in caplog.text


def test_the_environment_names_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "mine")
    assert tracing.service().attributes["service.name"] == "mine"


def record(kind: str) -> NewRecord:
    data = {
        "node.exited": b'{"scope":"/","node":"a","visit":1,"attempt":1,"outcome":"ok",'
        b'"duration_ms":1}',
        "run.completed": b'{"reason":"end"}',
        "run.paused": b"{}",
    }
    return NewRecord(kind, data[kind], "2026-11-20T22:55:01.123456Z")


def of_journal(journal: MemoryJournal) -> RunSpans:
    return RunSpans(journal, TracerProvider(shutdown_on_exit=False), Ids())


@asynccontextmanager
async def followed(spans: Spans) -> AsyncIterator[st.Engine]:
    """An engine without a server, whose runs are traced."""
    made = Tracing(spans)
    async with over()() as engine, made.of_runs(engine):
        yield engine
