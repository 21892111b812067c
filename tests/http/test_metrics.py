"""``/metrics``: what the rooms count, as Prometheus reads it, and as the docs tell it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import parser as text_format
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.samples import Sample

import stenograph as st
from stenograph.http import Settings
from stenograph.http.watch.loop_lag import LoopLag
from stenograph.journal import JournalUnreadable, MemoryJournal
from tests.http.serving import app_client, begun, created, messages, ran, serving
from tests.http.test_errors import over
from tests.http.tools import COUNT, FAIL, HANG, TOOLS

PAGE = Path(__file__).parents[2] / "docs/operations.md"
ROW = re.compile(r"^\| `((?:stenograph|process)_[a-z_]+)` \| (\w+) \|([^|]*)\|", re.MULTILINE)

families_of: Any = text_format.text_string_to_metric_families
open_families_of: Any = openmetrics.text_string_to_metric_families
"""Prometheus' own readers of its two formats, which say nothing of their types."""


def in_file(folder: Path) -> Any:
    return lambda: st.open(folder / "steno.db", tools=TOOLS)


async def scraped(client: httpx.AsyncClient) -> list[Sample]:
    answer = await client.get("/metrics")
    assert answer.status_code == 200, answer.text
    return [each for family in families_of(answer.text) for each in family.samples]


def value(samples: list[Sample], name: str, **labels: str) -> float:
    (found,) = (
        each.value
        for each in samples
        if each.name == f"stenograph_{name}" and each.labels == labels
    )
    return found


async def test_runs_are_counted_by_status_and_what_happens_by_type(tmp_path: Path) -> None:
    async with app_client(in_file(tmp_path)) as client:
        assert value(await scraped(client), "runs", status="running") == 0
        await ran(client, COUNT, "r", to=3)
        await ran(client, FAIL, "f")
        await begun(client, HANG, "h")
        samples = await scraped(client)
    of = {each: value(samples, "runs", status=each) for each in ("completed", "failed", "running")}
    assert of == {"completed": 1, "failed": 1, "running": 1}
    assert value(samples, "runs_begun_total") == 3
    assert value(samples, "runs_ended_total", status="failed") == 1
    assert value(samples, "steps_total") == 4
    assert value(samples, "attempts_failed_total") == 0
    assert value(samples, "events_total", type="graph.created") == 3
    assert value(samples, "commits_total") == value(samples, "commit_seconds_count") > 0
    assert value(samples, "commit_appends_bucket", le="+Inf") == value(samples, "commits_total")
    assert value(samples, "wal_bytes") > 0
    assert value(samples, "disk_free_bytes") > 0
    assert value(samples, "journal_failed") == 0


async def test_runs_of_an_earlier_start_are_counted_too(tmp_path: Path) -> None:
    async with app_client(in_file(tmp_path)) as client:
        await ran(client, COUNT, "r", to=3)
        await begun(client, HANG, "h")
    async with app_client(in_file(tmp_path)) as client:
        samples = await scraped(client)
    assert value(samples, "runs", status="completed") == 1
    assert value(samples, "runs_recovered") == 1
    assert value(samples, "runs_begun_total") == 0


async def test_requests_are_counted_by_the_template_of_their_path_and_never_by_the_path() -> None:
    async with app_client() as client:
        await ran(client, COUNT, "r", to=1)
        for path in ("/runs/r", "/runs/r", "/runs/x", "/nowhere/1", "/nowhere/2"):
            await client.get(path)
        await client.request("BREW", "/runs/r")
        samples = await scraped(client)
    handler = "/runs/{run_id}"
    assert value(samples, "requests_total", handler=handler, method="GET", status="200") == 2
    assert value(samples, "requests_total", handler=handler, method="GET", status="404") == 1
    assert value(samples, "requests_total", handler="", method="GET", status="404") == 2
    assert value(samples, "requests_total", handler="", method="other", status="405") == 1
    assert value(samples, "request_seconds_count", handler=handler, method="GET") == 3
    assert value(samples, "requests_under_way") == 1


async def test_who_listens_is_counted() -> None:
    async with serving() as server:
        await begun(server.http, HANG, "r")
        async with server.socket("/ws/r") as socket:
            await socket.recv()
            during = await scraped(server.http)
        await server.http.post("/runs/r/cancel")
        async with server.socket("/ws/r") as socket:
            await messages(socket)
        after = await scraped(server.http)
    assert (value(during, "sockets_open"), value(during, "subscribers")) == (1, 1)
    assert value(during, "tail_lag_events") == 0
    assert value(after, "sockets_total", handler="/ws/{run_id}") == 2
    assert (value(after, "sockets_open"), value(after, "subscribers")) == (0, 0)


async def test_openmetrics_is_what_who_asks_for_it_gets() -> None:
    async with app_client() as client:
        accept = {"accept": "application/openmetrics-text; version=nonsense, text/plain;q=0.5"}
        answer = await client.get("/metrics", headers=accept)
        plain = await client.get("/metrics", headers={"accept": "text/plain; version=x"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")
    assert len(list(open_families_of(answer.text))) > 20
    assert plain.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


async def test_who_does_not_want_it_has_none() -> None:
    async with app_client(settings=Settings(metrics=False)) as client:
        answer = await client.get("/metrics")
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")


async def test_where_runs_cannot_be_counted_all_else_is_told() -> None:
    class Unreadable(MemoryJournal):
        async def count_labels(self, label: str) -> dict[str, int]:
            raise JournalUnreadable("damaged")

    async with app_client(over(Unreadable())) as client:
        samples = await scraped(client)
    assert not [each for each in samples if each.name == "stenograph_runs"]
    assert value(samples, "build_info", **build_labels(samples)) == 1


def build_labels(samples: list[Sample]) -> dict[str, str]:
    (labels,) = (each.labels for each in samples if each.name == "stenograph_build_info")
    assert labels.keys() == {"version", "python"}
    return dict(labels)


async def test_the_page_tells_each_metric_with_its_labels(tmp_path: Path) -> None:
    async with app_client(in_file(tmp_path)) as client:
        await ran(client, COUNT, "r", to=1)
        await client.get("/tools")
        text = (await client.get("/metrics")).text
    families = {
        each.name + "_total" * (each.type == "counter"): (
            each.type,
            {name for sample in each.samples for name in sample.labels} - {"le"},
        )
        for each in families_of(text)
    }
    families = {name.replace("_total_total", "_total"): found for name, found in families.items()}
    told = {
        name: (kind, set(re.findall(r"`(\w+)`", labels)))
        for name, kind, labels in ROW.findall(PAGE.read_text("utf-8"))
    }
    families["stenograph_sockets_total"] = ("counter", {"handler"})  # none was closed
    assert told == families


async def test_the_loop_is_late_by_as_much_as_it_is_held_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lag = LoopLag()
    assert lag.worst_s == 0
    for late in (0.002, 3.0, *[0.001] * 9):
        lag.add(late)
    assert lag.worst_s == 3.0
    lag.add(0.001)
    assert lag.worst_s == 0.001
    assert sum(lag.seconds.counts) == 12


def test_a_server_that_nobody_asks_imports_no_library_for_it() -> None:
    code = (
        "import sys, stenograph as st\n"
        "from stenograph.http import create_app\n"
        "create_app(lambda: st.open(':memory:'))\n"
        "print([each for each in ('prometheus_client', 'opentelemetry') if each in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


async def test_the_lag_is_measured_while_a_server_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stenograph.http.watch.loop_lag.EVERY_S", 0.001)
    async with serving() as server:
        while value(await scraped(server.http), "loop_lag_seconds_count") < 2:
            pass
        await created(server.http, COUNT)
