"""Rows: what every event says to a person."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any, get_args

import pytest

import stenograph as st
from stenograph.cli.marks import OF_STATUS, SIGNS
from stenograph.cli.rows import CHANGES, PLAIN, Row, Teller
from stenograph.cli.runs import STATUSES
from stenograph.cli.times import local
from stenograph.engine.core.events import Payload
from stenograph.http.shapes.wire import Status
from tests.cli.tools import BOOM, COUNT, boom, count


async def rows_of(graph: Any, state: Any, **options: Any) -> list[str]:
    """Run a graph, and return its rows without what a clock decides."""
    async with st.open(":memory:", tools=[count, boom]) as engine:
        run = await engine.run(graph, state, **options)
        records = await engine.journal.read(run.id)
    teller = Teller()
    return [told(teller.row(record.type, record.data)) for record in records]


def told(row: Row) -> str:
    phrase = re.sub(r" \([\d,]+ ms\)|; again at .*", "", row.phrase)
    return f"{SIGNS[row.mark].glyph} {row.node}: {phrase}"


def row(type_: str, data: Any, state: Any = None) -> Row:
    return Teller(state).row(type_, json.dumps(data).encode())


async def test_a_run_is_told_in_words() -> None:
    rows = await rows_of(COUNT, {"to": 2})
    version = rows[0].split("@")[1][:8]
    assert rows == [
        f"● run: count@{version} begins with to",
        "▶ count: entered",
        "· count: counted to 1  n=1",
        "✓ count: exited",
        "± count: n: ∅ → 1, seen: ∅ → [1]",
        "→ count: → count [until n >= to, 1 of 99]",
        "▶ count: entered, visit 2",
        "· count: counted to 2  n=2",
        "✓ count: exited",
        "± count: n: 1 → 2, seen: + 2",
        "→ count: → $end [loop-done]",
        "✓ run: completed (loop-done)",
    ]


async def test_a_failure_is_told_in_one_safe_line() -> None:
    rows = await rows_of(BOOM, {})
    error = "ValueError: the fuse blew \\x1b[31mred"
    assert rows[2:] == [
        f"↻ boom: try 1 failed: {error}",
        "▶ boom: entered, try 2",
        f"✕ boom: failed: {error}",
        f"✕ run: failed in boom: {error}",
    ]


async def test_a_limit_parks_a_run() -> None:
    rows = await rows_of(COUNT, {"to": 9}, limits=st.Limits(steps=1))
    assert rows[-2] == "‖ run: reached its limit: steps 1"
    assert rows[-1].startswith("‖ run: parked (limit): ")


async def test_a_cancelled_run_says_who_asked_and_why() -> None:
    async with st.open(":memory:", tools=[count]) as engine:
        run = await engine.start(COUNT, {"to": 99})
        await engine.cancel(run.id, reason="enough", actor="me")
        await asyncio.wait_for(engine.wait(run.id), 30)
        records = await engine.journal.read(run.id)
    teller = Teller()
    rows = [told(teller.row(record.type, record.data)) for record in records]
    assert rows[-2:] == ["‖ run: cancelling, asked by me: enough", "⊘ run: cancelled"]


SCOPE = {"scope": "/", "node": "a", "visit": 1, "attempt": 1}


@pytest.mark.parametrize(
    ("type_", "data", "phrase"),
    [
        ("run.created", {"state": {}, "graph_id": "g", "version": "0" * 64},
         "g@00000000 begins with nothing"),
            ("run.created", {"state": {"n": 1}, "graph_id": "g", "version": "0" * 64,
                             "origin": {"run_id": "r-1", "seq": 7}},
             "g@00000000 goes on from event 7 of r-1 with n"),
        ("run.cancelling", {"actor": "me"}, "cancelling, asked by me"),
        ("run.erased", {"actor": "me"}, "erased, asked by me"),
        ("run.completed", {}, "completed"),
        ("run.failed", {"error": {"type": "no-edge-matched", "message": ""}},
         "failed: no-edge-matched"),
        ("run.recovered", {}, "taken up again"),
        ("run.recovered", {"lost": 1}, "taken up again; 1 interrupted attempt to run again"),
        ("node.exited", {**SCOPE, "outcome": "timeout", "duration_ms": 300_000.4},
         "timed out (300,000 ms)"),
        ("node.attempt_failed",
         {**SCOPE, "error": {"type": "Lost", "message": "gone"},
          "retry_at": "2026-11-20T22:55:01.123456Z"},
         "try 1 failed: Lost: gone; again at 22:55:01"),
        ("transition.taken", {**SCOPE, "to": "b", "reason": "next"}, "→ b"),
        ("transition.taken", {**SCOPE, "to": "b", "reason": "goto"}, "→ b [goto]"),
        ("transition.taken",
         {**SCOPE, "to": "b", "reason": "branch", "edge": 1, "label": "ok", "considered": [
             {"edge": 0, "when": "x", "verdict": False},
             {"edge": 1, "when": {"fn": "good"}, "verdict": True}]},
         '→ b “ok” [{"fn":"good"}]'),
        ("log", {**SCOPE, "message": "hot", "level": "warning"}, "warning: hot"),
        ("graph.created", {"graph_id": "g", "version": "1" * 64}, "graph g@11111111 stored"),
        ("run.pausing", {"actor": "me", "reason": "lunch"}, "pausing, asked by me: lunch"),
        ("run.paused", {}, "paused"),
        ("run.resumed", {"actor": "me"}, "resumed by me"),
        ("run.resumed", {"actor": "me", "limits": {"steps": 2000, "time_s": 60.0}},
         "resumed by me, up to 2,000 steps and 60 s"),
        ("run.retried", {"actor": "me", "limits": {"steps": 20, "time_s": None}},
         "retried by me, up to 20 steps"),
        ("node.entered", {**SCOPE, "graph": "child"}, "entered, runs graph child"),
        ("transition.taken", {**SCOPE, "to": "c", "reason": "next", "fork": ["a", "b"]}, "→ a, b"),
        ("fork.opened",
         {**SCOPE, "targets": ["a", "b"], "count": 2, "join": "c", "need": 1, "on_error": "fail"},
         "2 branches: a, b; to join at c, 1 needed"),
        ("fork.opened",
         {**SCOPE, "targets": ["a"], "count": 1000, "join": "c", "need": 1000, "each": "parts",
          "width": 8},
         "1,000 branches over parts: a, 8 at a time; to join at c"),
        ("branch.ended", {"scope": "/a#1[0]/", "outcome": "ok", "reason": "joined"},
         "branch has arrived"),
        ("branch.ended", {"scope": "/a#1[0]/", "outcome": "ok"}, "branch ended"),
        ("branch.ended", {"scope": "/a#1[0]/", "outcome": "ok", "reason": "loop-cap"},
         "branch ended (loop-cap)"),
        ("branch.ended", {"scope": "/a#1[0]/", "outcome": "cancelled"}, "branch stopped"),
        ("branch.ended",
         {"scope": "/a#1[0]/", "outcome": "error", "error": {"type": "E", "message": "no"},
          "failed_in": "/a#1[0]/b#1/", "node": "c", "visit": 1},
         "branch failed in a#1[0]/b#1/c: E: no"),
        ("fork.joined", {**SCOPE, "join": "c", "arrived": 2, "failed": 1, "cancelled": 3},
         "joined at c: 2 arrived, 1 failed, 3 cancelled"),
        ("fork.joined",
         {**SCOPE, "join": "c", "arrived": 2, "error": {"type": "merge-conflict", "message": "x"}},
         "cannot join at c: merge-conflict: x"),
        ("wait.opened", {**SCOPE, "kind": "signal", "signal": "go"}, "waits for signal go"),
        ("wait.opened", {**SCOPE, "kind": "time"}, "waits for its time"),
        ("wait.opened", {**SCOPE, "kind": "delay"}, "waits for the start it was given"),
        ("wait.opened", {**SCOPE, "kind": "turn"}, "waits for its turn"),
        ("run.migrated", {"actor": "ann", "graph_id": "g", "version": "0123456789"},
         "goes on in g@01234567, by ann"),
        ("wait.resolved", {**SCOPE, "reason": "signal", "signal_seq": 9}, "takes signal 9"),
        ("wait.resolved", {**SCOPE, "reason": "time"}, "goes on"),
        ("wait.resolved", {**SCOPE, "reason": "timeout"}, "no signal came in time"),
        ("wait.resolved", {**SCOPE, "reason": "turn"}, "its turn has come"),
        ("signal.received", {"name": "go", "payload": {"ok": True}, "actor": "me"},
         'signal go from me: {"ok":true}'),
        ("signal.received", {"name": "go", "payload": None, "actor": "me", "saw": 3},
         "signal go from me, who saw 3: null"),
        ("timer.set", {**SCOPE, "due_at": "2026-11-20T22:55:01.000000Z"},
         f"until {local('2026-11-20T22:55:01.000000Z')}"),
        ("timer.fired", {**SCOPE, "due_at": "2026-11-20T22:55:01.000000Z"}, "its time has come"),
        ("run.teleported", {"to": "mars"}, 'run.teleported {"to":"mars"}'),
        ("run.failed", {"$erased": "ab"}, "run.failed, erased"),
        ("log", "erased", 'log "erased"'),
    ],
)  # fmt: skip
def test_every_event_has_a_phrase(type_: str, data: Any, phrase: str) -> None:
    assert row(type_, data).phrase == phrase


def test_every_type_there_is_has_a_row_of_its_own() -> None:
    assert {kind.TYPE for kind in get_args(Payload)} <= CHANGES.keys() | PLAIN.keys()


def test_every_status_has_a_mark() -> None:
    assert set(STATUSES) <= OF_STATUS.keys()


def test_the_statuses_to_choose_from_are_the_wires() -> None:
    assert get_args(Status) == STATUSES


def patch(*operations: tuple[str, str, Any], state: Any = None) -> str:
    ops = [dict(zip(("op", "path", "value"), each, strict=True)) for each in operations]
    return row("state.patched", {**SCOPE, "patch": ops}, state).phrase


def test_a_change_is_told_from_old_to_new() -> None:
    assert patch(("replace", "/score", 0.9), state={"score": 0.6}) == "score: 0.6 → 0.9"
    assert patch(("remove", "/score", None), state={"score": 0.6}) == "score: 0.6 → ∅"
    assert patch(("replace", "/score", 0.9)) == "score: ? → 0.9"
    assert patch(("add", "/a~1b~0c", 1)) == "a/b~c: ∅ → 1"
    assert patch(("add", "/list/-", 3), state={"list": [1, 2]}) == "list: + 3"


def test_values_are_told_before_mere_sizes() -> None:
    long = "x" * 99
    told = patch(("replace", "/code", long), ("add", "/n", 1), state={"code": long})
    assert told == "n: ∅ → 1, code: another text of 99 characters"


def test_a_row_tells_as_much_as_a_line_holds() -> None:
    told = patch(*[("add", f"/key{n}", "some value") for n in range(20)])
    assert told.endswith(" more")
    assert len(told) < 120


def test_what_grew_is_known_whole_afterwards() -> None:
    teller = Teller({"list": [1]})
    for operation in (
        {"op": "add", "path": "/list/-", "value": 2},
        {"op": "remove", "path": "/list"},
    ):
        data = json.dumps({**SCOPE, "patch": [operation]}).encode()
        last = teller.row("state.patched", data)
    assert last.phrase == "list: [1,2] → ∅"


def test_what_grew_unseen_stays_unknown() -> None:
    teller = Teller()
    for operation in (
        {"op": "add", "path": "/list/-", "value": 2},
        {"op": "remove", "path": "/list"},
    ):
        data = json.dumps({**SCOPE, "patch": [operation]}).encode()
        last = teller.row("state.patched", data)
    assert last.phrase == "list: ? → ∅"


@pytest.mark.parametrize(
    ("type_", "data", "node"),
    [
        ("log", {**SCOPE, "message": "x"}, "a"),
        ("log", {**SCOPE, "scope": "/split#1[0]/", "message": "x"}, "split#1[0]/a"),
        ("branch.ended", {"scope": "/split#1[0]/", "outcome": "cancelled"}, "split#1[0]"),
        ("signal.received", {"name": "go", "payload": 1, "actor": "me"}, "run"),
        ("run.parked", {**SCOPE, "reason": "effects-once", "message": "x"}, "run"),
    ],
)
def test_a_row_says_where_it_happened(type_: str, data: Any, node: str) -> None:
    assert row(type_, data).node == node


def in_scope(teller: Teller, scope: str, op: str, path: str, value: Any = None) -> str:
    data = {**SCOPE, "scope": scope, "patch": [{"op": op, "path": path, "value": value}]}
    return teller.row("state.patched", json.dumps(data).encode()).phrase


def happens(teller: Teller, type_: str, **data: Any) -> None:
    assert teller.row(type_, json.dumps({**SCOPE, **data}).encode()).mark != "unknown"


FORK: Any = {"targets": ["b"], "count": 2, "join": "c", "need": 2, "on_error": "fail"}


def test_a_branch_changes_its_own_view_of_the_state() -> None:
    teller = Teller({"n": 1, "list": [1]})
    happens(teller, "fork.opened", **FORK)
    first, second = "/a#1[0]/", "/a#1[1]/"
    assert in_scope(teller, first, "replace", "/n", 2) == "n: 1 → 2"
    assert in_scope(teller, second, "replace", "/n", 3) == "n: 1 → 3"
    assert in_scope(teller, first, "add", "/list/-", 4) == "list: + 4"
    assert in_scope(teller, first, "add", "/list/-", 5) == "list: + 5"
    assert in_scope(teller, first, "remove", "/list") == "list: [1,4,5] → ∅"
    assert in_scope(teller, first, "add", "/list", []) == "list: ∅ → []"
    happens(teller, "fork.joined", join="c", arrived=2)
    assert in_scope(teller, "/", "replace", "/n", 9) == "n: 1 → 9"
    assert in_scope(teller, "/", "remove", "/list") == "list: [1] → ∅"


def test_of_a_fork_that_was_not_seen_to_begin_nothing_is_claimed() -> None:
    teller = Teller({"n": 1})
    assert in_scope(teller, "/a#1[0]/", "replace", "/n", 2) == "n: ? → 2"
    assert in_scope(teller, "/call#1/", "replace", "/n", 2) == "n: ? → 2"
    happens(teller, "node.exited", outcome="ok")
    assert in_scope(teller, "/call#1/", "replace", "/n", 2) == "n: ? → 2"
