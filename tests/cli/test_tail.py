"""``steno tail``: every event once, in order, whatever happens to the server."""

from __future__ import annotations

import json
import signal
from collections.abc import AsyncGenerator
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest

import stenograph as st
from stenograph.cli.following import follow_run
from stenograph.cli.only import Only
from stenograph.cli.output import Output
from stenograph.cli.settings import Settings
from stenograph.engine import Engine
from stenograph.journal import Record
from tests.cli import tools
from tests.cli.running import (
    Server,
    graph_file,
    on_terminal,
    running,
    seqs,
    serving,
    steno,
    steno_process,
)
from tests.cli.tools import COUNT, FLAKY, WAIT
from tests.ports import free_port


@pytest.fixture(scope="module")
def run(server: Server) -> str:
    words = ["run", "count", "-s", "to=2", "--id", "tail-1", "--follow"]
    assert steno("--url", server.url, *words).code == 0
    return "tail-1"


def started(url: str, run_id: str, gate: Path) -> None:
    """Start a run that goes on once the file ``gate`` is there."""
    file = graph_file(gate.parent, WAIT)
    done = steno("--url", url, "run", file, "-s", f"gate={gate}", "--id", run_id)
    assert done.code == 0, done.err


def test_the_lines_are_the_wires_own_bytes(server: Server, run: str) -> None:
    done = steno_process("--url", server.url, "tail", run)
    lines = httpx.get(
        f"{server.url}/runs/{run}/events", headers={"Accept": "application/x-ndjson"}
    ).content
    assert (done.code, done.out.encode()) == (0, lines)
    assert done.err.endswith(
        f"-- {run} completed at 12; look at it: python -m stenograph --url {server.url} show {run}\n"
    )


def test_a_cursor_leaves_out_what_is_known(server: Server, run: str) -> None:
    assert seqs(steno("--url", server.url, "tail", run, "--after", 9).out.splitlines()) == [
        10,
        11,
        12,
    ]
    nothing = steno("--url", server.url, "tail", run, "--after", 12)
    assert (nothing.code, nothing.out) == (0, "")


def test_one_array_holds_them_all_when_asked_for(server: Server, run: str) -> None:
    done = steno("--url", server.url, "tail", "-o", "json", run)
    assert [event["seq"] for event in json.loads(done.out)] == list(range(1, 13))
    nothing = steno("--url", server.url, "tail", "-o", "json", run, "--after", 12)
    assert json.loads(nothing.out) == []


def test_people_get_rows_that_know_what_was_before(server: Server, run: str) -> None:
    rows = steno("--url", server.url, "tail", "-o", "table", run).out.splitlines()
    some = steno("--url", server.url, "tail", "-o", "table", run, "--after", 8).out.splitlines()
    assert some == rows[8:]
    assert rows[9].split()[2:] == ["±", "count", "n:", "1", "→", "2,", "seen:", "+", "2"]


def test_a_run_that_is_not_followed_ends_where_it_is(
    server: Server, run: str, tmp_path: Path
) -> None:
    started(server.url, "tail-2", tmp_path / "gate")
    done = steno("--url", server.url, "tail", "tail-2", "--no-follow")
    assert (done.code, seqs(done.out.splitlines())) == (0, [1, 2])
    assert done.err == (
        f"-- stopped after 2; go on: steno --url {server.url} tail tail-2 --after 2\n"
    )
    assert steno("--url", server.url, "-q", "tail", "tail-2", "--no-follow").err == ""
    done = steno("--url", server.url, "tail", run, "--no-follow")
    assert done.err == f"-- {run} completed at 12; that is its end\n"
    steno("--url", server.url, "cancel", "tail-2")


def test_ctrl_c_gives_130_and_says_where_to_go_on(server: Server, tmp_path: Path) -> None:
    started(server.url, "tail-3", tmp_path / "gate")
    with running("--url", server.url, "tail", "tail-3") as tail:
        assert seqs(tail.lines(2)) == [1, 2]
        tail.process.send_signal(signal.SIGINT)
        done = tail.done()
    assert (done.code, done.out) == (130, "")
    assert done.err.splitlines() == [
        f"-- stopped after 2; go on: python -m stenograph --url {server.url} tail tail-3 --after 2"
    ]
    steno("--url", server.url, "cancel", "tail-3")


def test_a_killed_server_costs_no_event_and_doubles_none(tmp_path: Path) -> None:
    place = ["--db", tmp_path / "steno.db", "--port", free_port()]
    with serving(*place) as first:
        started(first.url, "r", tmp_path / "gate")
        with running("--url", first.url, "tail", "r") as tail:
            before = tail.lines(2)
            first.end(signal.SIGKILL)
            assert tail.said() == "-- reconnecting, will resume after 2\n"
            (tmp_path / "gate").touch()
            with serving(*place) as second:
                done = tail.done()
                stored = steno("--url", second.url, "tail", "r").out
    assert done.code == 0
    assert "".join(before) + done.out == stored
    events = stored.splitlines()
    assert seqs(events) == list(range(1, len(events) + 1))
    assert "run.recovered" in stored
    assert any("resuming r after 2" in line for line in second.said)


def test_who_wants_no_reconnecting_gets_3_and_the_cursor(tmp_path: Path) -> None:
    with serving("--memory", "--port", "0") as server:
        started(server.url, "r", tmp_path / "gate")
        with running("--url", server.url, "tail", "r", "--no-reconnect") as tail:
            tail.lines(2)
            server.end(signal.SIGKILL)
            done = tail.done()
    assert done.code == 3
    assert done.err.startswith("Error: the stream broke off: ")
    assert done.err.endswith(f"go on: python -m stenograph --url {server.url} tail r --after 2\n")


def test_a_stop_is_told_as_one(tmp_path: Path) -> None:
    with serving("--memory", "--port", "0") as server:
        started(server.url, "r", tmp_path / "gate")
        with running("--url", server.url, "tail", "r", "--no-reconnect") as tail:
            tail.lines(2)
            server.end(signal.SIGTERM)
            done = tail.done()
    assert done.code == 3
    assert done.err.startswith("Error: the stream broke off: the server stops; go on: ")


def test_another_journal_is_not_taken_for_the_same(tmp_path: Path) -> None:
    port = free_port()
    with serving("--memory", "--port", port) as first:
        started(first.url, "r", tmp_path / "gate")
        with running("--url", first.url, "tail", "r") as tail:
            tail.lines(2)
            first.end(signal.SIGKILL)
            tail.said()
            with serving("--memory", "--port", port):
                done = tail.done()
    assert (done.code, done.out) == (6, "")
    assert "belongs to journal" in done.err


def test_the_whole_journal_is_followed_by_offset(server: Server, run: str) -> None:
    there = steno("--url", server.url, "tail", "--all", "--no-follow")
    offsets = [event["offset"] for event in there.documents]
    assert offsets == sorted(set(offsets))
    assert there.err.endswith(f"tail --all --after {offsets[-1]}\n")
    with running("--url", server.url, "tail", "--all", "--after", offsets[-1]) as tail:
        steno("--url", server.url, "run", "count", "-s", "to=1", "--id", "tail-4", "--follow")
        lines = tail.lines(7)
        tail.process.send_signal(signal.SIGINT)
        done = tail.done()
    assert done.code == 130
    assert {json.loads(line)["run_id"] for line in lines} == {"tail-4"}


def test_people_see_which_run_an_event_is_of(
    server: Server, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stenograph.cli.printing.TELLERS_MAX", 1)
    rows = steno("--url", server.url, "-o", "table", "tail", "--all", "--no-follow").out
    [row] = [row for row in rows.splitlines() if f"{run} " in row and "n: 1 → 2" in row]
    assert row.split()[3:6] == ["10", "±", "count"]


class Reopened:
    """A source whose run is retried in the moment in which a reader has seen it fail."""

    files: ClassVar[dict[str, str]] = {}

    def __init__(self, engine: Engine) -> None:
        self.get, self._engine = engine.get, engine

    async def follow(
        self, run_id: str, *, after: int, only: Only
    ) -> AsyncGenerator[list[Record], None]:
        async for page in self._engine.follow(run_id, after=after):
            yield page
        if (await self.get(run_id)).status == "failed":
            await self._engine.retry(run_id)


async def test_a_run_that_is_retried_meanwhile_is_followed_on(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    async with st.open(":memory:", tools=[tools]) as engine:
        await engine.run(FLAKY, run_id="r")
        source: Any = Reopened(engine)
        code = await follow_run(Output(Settings()), source, Settings(), "r", 0)
        written = await engine.journal.head("r")
    lines = capsysbinary.readouterr().out.decode().splitlines()
    assert (code, seqs(lines)) == (0, list(range(1, written + 1)))


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        ([], 2, "name one RUN, or ask for --all"),
        (["tail-1", "--all"], 2, "name one RUN, or ask for --all"),
        (["nope"], 4, "there is no run nope"),
        (["graph/count"], 4, "there is no run graph/count"),
        (["tail-1", "--after", "99"], 6, "cursor 99 is beyond the head, which is 12"),
        (["tail-1", "--after", "-1"], 2, "--after"),
        (["--all", "--after", "9999999"], 6, "cursor 9999999 is beyond the head"),
    ],
)
def test_what_cannot_be_tailed_is_told_in_a_sentence(
    server: Server, run: str, words: list[str], code: int, sentence: str
) -> None:
    done = steno("--url", server.url, "tail", *words)
    assert (done.code, done.out, sentence in done.err) == (code, "", True), done.err


def test_on_a_terminal_a_long_place_keeps_its_end(server: Server, tmp_path: Path) -> None:
    name = "s" * 40
    graph = {
        "id": "long-place",
        "start": name,
        "nodes": {
            name: {"next": {"each": "people", "to": "work", "join": "$end"}},
            "work": {},
        },
    }
    words = ["run", graph_file(tmp_path, graph), "-s", "people=[1]", "--id", "tail-long"]
    assert steno("--url", server.url, *words, "--follow").code == 0
    tail = ["--url", server.url, "tail", "tail-long"]
    assert f"{name}#1[0]/work  entered" in steno(*tail, "-o", "table").out
    out = on_terminal(*tail, COLUMNS="80", NO_COLOR="1").out
    assert f"▶  …{'s' * 15}#1[0]/work  entered" in out
    assert max(map(len, out.splitlines())) <= 80


FILTERS: list[list[str]] = [
    ["--type", "node.*"],
    ["--type", "log", "--type", "state.patched"],
    ["--node", "count", "--type", "node.exited"],
    ["--type", "wait.*"],
]


@pytest.mark.parametrize("words", FILTERS, ids=" ".join)
@pytest.mark.parametrize("live", [True, False])
def test_only_what_is_asked_for_is_printed(
    server: Server, run: str, words: list[str], live: bool
) -> None:
    words = [*words] if live else [*words, "--no-follow"]
    every = steno("--url", server.url, "tail", run).out.splitlines(keepends=True)
    done = steno("--url", server.url, "tail", run, *words)
    by_file = steno("--db", server.db, "tail", run, *words)
    types = [each for name, each in pairwise(words) if name == "--type"]
    kept = [line for line in every if any(starts(line, each) for each in types)]
    assert (done.code, done.out) == (0, "".join(kept))
    assert by_file.out == done.out
    if live:
        assert f"-- {run} completed at 12;" in done.err


def starts(line: str, pattern: str) -> bool:
    name: str = json.loads(line)["type"]
    return name.startswith(pattern.removesuffix("*")) if "*" in pattern else name == pattern


def test_the_cursor_of_a_filtered_tail_comes_with_its_filter(server: Server, run: str) -> None:
    words = ["tail", run, "--type", "log", "--no-follow"]
    done = steno("--url", server.url, *words)
    again = f"tail {run} --type log --after {seqs(done.out.splitlines())[-1]}"
    assert done.err.endswith(f"{again}\n")


def test_rows_of_some_events_say_nothing_of_what_was_before(server: Server, run: str) -> None:
    words = ["tail", "-o", "table", run, "--type", "state.patched"]
    first, second = steno("--url", server.url, *words).out.splitlines()
    assert "n: ? → 2" in second
    every = steno("--url", server.url, "tail", "-o", "table", run).out.splitlines()
    assert first.split()[1] == every[4].split()[1]  # the seconds are counted from the same moment


@pytest.mark.parametrize("words", [[], ["--no-follow"]], ids=" ".join)
def test_the_whole_journal_is_filtered_by_graph_and_tag(tmp_path: Path, words: list[str]) -> None:
    with serving("--db", tmp_path / "steno.db", "--port", "0") as server:
        file = graph_file(tmp_path, COUNT)
        for number, team in enumerate(("a", "b")):
            told = ["-s", "to=1", "--id", f"r{number}", "--tag", f"team={team}"]
            assert steno("--url", server.url, "run", file, *told, "--follow").code == 0
        asked = ["tail", "--all", "--tag", "team=b", "--graph", "count", "--no-follow"]
        by_server = steno("--url", server.url, *asked)
        table = steno("--url", server.url, *asked, "-o", "table")
        live = ["tail", "--all", "--tag", "team=b"]
        if not words:
            for place in (["--url", server.url], ["--db", tmp_path / "steno.db"]):
                with running(*place, *live) as tail:
                    assert seqs(tail.lines(7)) == list(range(1, 8))
    by_file = steno("--db", tmp_path / "steno.db", *asked)
    assert {each["run_id"] for each in by_server.documents} == {"r1"}
    assert by_server.out == by_file.out
    assert len(table.out.splitlines()) == len(by_file.documents)


def test_a_filter_that_can_mean_nothing_is_told(server: Server, run: str) -> None:
    for place in (["--url", server.url], ["--db", server.db]):
        done = steno(*place, "tail", run, "--type", "node.enterd")
        assert (done.code, done.out) == (2, "")
        assert done.err.count("did you mean 'node.entered'?") == 1
    assert steno("--db", server.db, "tail", run, "--graph", "count").code == 2
    assert steno("--db", server.db, "tail", "--all", "--tag", "team").code == 2


@pytest.mark.parametrize("words", [[], ["--no-follow"]], ids=" ".join)
def test_a_cursor_beyond_the_head_is_refused_wherever_it_is_read(
    server: Server, run: str, words: list[str]
) -> None:
    for place in (["--url", server.url], ["--db", server.db]):
        for asked in ([run], ["--all"]):
            done = steno(*place, "tail", *asked, "--after", 99_999, *words)
            assert (done.code, done.out) == (6, ""), (place, asked)
