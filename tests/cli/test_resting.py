"""Resting: what a run needs of a person, and the command line that gives it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from stenograph.cli.resting import Need, Parking, needs, payload, rests
from stenograph.cli.settings import Settings
from stenograph.engine import ParkedView, RunView, WaitView
from stenograph.journal import Record


def run(status: Any, reason: str = "", waits: tuple[WaitView, ...] = ()) -> RunView:
    return RunView(
        id="r", graph_id="g", version="0" * 64, status=status, seq=9, steps=5, current=(),
        waits=waits, tags={}, error=None, reason=reason, created_at="", updated_at="",
        finished_at=None, state_json=b"{}",
    )  # fmt: skip


def wait(kind: str = "signal", scope: str = "/", schema: Any = None) -> WaitView:
    return WaitView(scope=scope, node="ask", kind=kind, since=3, signal="go", schema=schema)


def parking(*events: tuple[str, Any]) -> Parking:
    found = Parking()
    for type_, data in events:
        text = json.dumps(data).encode()
        found.note(Record(offset=1, run_id="r", seq=1, at="", type=type_, data=text, hash=""))
    return found


def told(view: RunView, why: Parking | None = None) -> list[Need]:
    return [
        Need(need.what, need.command.partition("stenograph ")[2])
        for need in needs(view, why or Parking(), Settings())
    ]


@pytest.mark.parametrize(
    ("view", "resting"),
    [
        (run("running"), False),
        (run("waiting", waits=(wait(), wait())), True),
        (run("waiting", waits=(wait(), wait("time"))), False),
        (run("paused"), True),
        (run("parked"), True),
        (run("cancelling"), False),
    ],
)
def test_a_run_rests_when_nothing_but_a_person_moves_it(view: RunView, resting: bool) -> None:
    assert rests(view) is resting


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        (None, '{"ok": true}'),
        (True, '{"ok": true}'),
        ({"type": "boolean"}, "true"),
        ({"type": ["integer", "null"], "minimum": 18}, "18"),
        ({"type": "array"}, "[]"),
        ({"enum": ["fix", "drop"]}, '"fix"'),
        ({"const": 7}, "7"),
        ({"examples": ["só"]}, '"só"'),
        ({"type": "object", "required": ["n"]}, '{"n": "text"}'),
        ({"properties": {"a": {"default": 3}, "b": {"type": "number"}}}, '{"a": 3, "b": 1.5}'),
        ({"required": ["x"], "properties": {"x": {"required": ["y"], "type": "object"}}},
         '{"x": {"y": "text"}}'),
        ({"const": "long " * 99}, "@payload.json"),
    ],
)  # fmt: skip
def test_a_hint_has_the_keys_that_a_schema_requires(schema: Any, text: str) -> None:
    assert payload(wait(schema=schema)) == text


def test_branches_that_wait_for_the_same_are_told_apart_by_scope() -> None:
    waits = tuple(wait(scope=f"/split#1[{number}]/") for number in range(7))
    first, *_, last = told(run("waiting", waits=waits))
    assert first == Need(
        "split#1[0]/ask waits for signal go",
        """signal r go '{"ok": true}' --scope '/split#1[0]/'""",
    )
    assert last == Need("it waits for 2 signals more", "show r -o json")


def test_a_wait_that_ends_by_itself_says_when() -> None:
    soon = WaitView(
        scope="/", node="ask", kind="signal", since=3, signal="go", due_at="2026-11-20T22:55:01Z"
    )
    [need] = told(run("waiting", waits=(soon,)))
    assert need.what.startswith("ask waits for signal go until 2026-11-2")


def test_a_run_that_is_too_long_can_be_forked() -> None:
    long = ("limit.reached", {"limit": "events", "value": 9})
    parked = ("run.parked", {"reason": "limit", "message": "too long: fork it to go on"})
    view = run("parked", "limit")
    fork = Need("it is parked (limit): too long: fork it to go on", "fork r --at 9")
    assert told(view, parking(long, parked)) == [fork]
    longer = ("limit.reached", {"limit": "steps", "value": 5})
    assert told(view, parking(long, parked, longer))[0].command == "resume r --steps 10"


def test_a_limit_can_be_doubled() -> None:
    steps = ("limit.reached", {"limit": "steps", "value": 5})
    seconds = ("limit.reached", {"limit": "time_s", "value": 1.5})
    parked = ("run.parked", {"reason": "limit", "message": "enough\nof it"})
    view = run("parked", "limit")
    assert told(view, parking(steps, parked)) == [
        Need("it is parked (limit): enough of it; to go on", "resume r --steps 10")
    ]
    assert told(view, parking(seconds, parked))[0].command == "resume r --time-s 3"
    later = ("limit.reached", {"limit": "bytes", "value": 7})
    assert told(view, parking(later))[0].command == "resume r --steps 10"


def test_an_effect_is_for_a_person_to_judge() -> None:
    commands = [need.command for need in told(run("parked", "effects-once"))]
    assert commands == ["resume r --result JSON", "resume r"]
    assert [need.command for need in told(run("parked", "crash-loop"))] == ["resume r"]


def test_a_run_that_goes_on_needs_nothing() -> None:
    assert told(run("running")) == told(run("completed")) == []
    assert told(run("paused"))[0].what == "it is paused; to go on"


def test_a_hint_to_write_never_names_a_file() -> None:
    [need] = needs(run("failed"), Parking(), Settings(db="steno.db"))
    assert need.command.endswith("stenograph retry r")


def test_an_answer_for_a_branch_says_that_it_is_for_that_one_alone() -> None:
    parked = replace(run("parked", "effects-once"), parked=ParkedView(scope="/s#1[0]/", node="pay"))
    assert all("--scope '/s#1[0]/'" in need.command for need in told(parked))
