"""What a tool may ask for: who is calling, and a way to say something that never fails."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Any

import pytest

from stenograph.engine.tools.context import FIELDS_MAX_BYTES, MESSAGE_MAX_BYTES, Context, LogLine
from tests.sites import site


class Mute:
    def __str__(self) -> str:
        raise ValueError("no words")

    __repr__ = __str__


class Tricky(dict[str, Any]):
    def items(self) -> Any:
        raise RuntimeError("no")


class Severity(StrEnum):
    FATAL = "error"


def said(*args: Any, **fields: Any) -> LogLine:
    """The line that one call of ``log`` writes."""
    lines: list[LogLine] = []
    context(lines).log(*args, **fields)
    (line,) = lines
    return line


def context(lines: list[LogLine]) -> Context:
    where = site(run_id="r-1", scope="/split#1[0]/", node="review", start="begin", is_last=False)
    return Context(where, now_us=lambda: 17, write=lines.append)


def test_a_context_tells_who_is_calling() -> None:
    ctx = context([])
    assert (ctx.run_id, ctx.scope, ctx.node, ctx.visit, ctx.attempt) == (
        "r-1",
        "/split#1[0]/",
        "review",
        2,
        3,
    )
    assert (ctx.start, ctx.is_last) == ("begin", False)
    assert ctx.idempotency_key == "r-1/split#1[0]/review/2", "the same for every attempt"


def test_a_line_has_a_time_a_level_a_message_and_fields() -> None:
    assert said("hello", level="warning", n=1, path="/") == LogLine(
        17, "warning", "hello", b'{"n":1,"path":"/"}'
    )
    assert said("hello") == LogLine(17, "info", "hello", b"")


def test_a_message_is_whatever_has_a_text() -> None:
    assert said(ValueError("broken")).message == "broken"
    assert said(None).message == "None"
    assert said("half a \ud800 pair").message == "half a ? pair"
    assert said(Mute()).message == "(Mute: its text cannot be had: ValueError)"


@pytest.mark.parametrize("char", ["a", "ä", "€", "😀"])
def test_a_message_is_cut_between_two_characters(char: str) -> None:
    message = said(char * MESSAGE_MAX_BYTES).message
    assert message == char * (MESSAGE_MAX_BYTES // len(char.encode()))


def test_a_field_that_is_no_json_is_written_as_text() -> None:
    line = said(
        "x",
        set={1},
        nan=float("nan"),
        deep={"a": (1, b"b")},
        tuple=(1, 2),
        mute=Mute(),
        tricky=Tricky(a={1}),
        message="a field may have this name",
        **{"half \ud800": 1},
    )
    assert json.loads(line.fields) == {
        "set": "{1}",
        "nan": "nan",
        "deep": "{'a': (1, b'b')}",
        "tuple": [1, 2],
        "mute": "(Mute: its text cannot be had: ValueError)",
        "tricky": "{'a': {1}}",
        "message": "a field may have this name",
        "half ?": 1,
    }


def test_fields_that_are_too_large_are_left_out_and_that_is_said() -> None:
    fits = "x" * (FIELDS_MAX_BYTES - len('{"a":""}'))
    assert json.loads(said("x", a=fits).fields) == {"a": fits}
    omitted = b'{"omitted":"the fields were larger than 32 KiB"}'
    assert said("x", a=fits + "x").fields == omitted
    assert len(said("x", a={"x" * 100_000}).fields) < MESSAGE_MAX_BYTES + 20


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error", Severity.FATAL], ids=repr)
def test_a_level_is_kept(level: Any) -> None:
    kept = said("x", level=level).level
    assert (kept, type(kept)) == (level, str)


@pytest.mark.parametrize("level", ["WARN", None, 5, [], "fatal"])
def test_what_is_no_level_is_info(level: Any) -> None:
    assert said("x", level=level).level == "info"


def progressed(*args: Any, **named: Any) -> LogLine:
    """The line that one call of ``progress`` writes."""
    lines: list[LogLine] = []
    context(lines).progress(*args, **named)
    (line,) = lines
    return line


def test_progress_is_a_line_with_how_much_is_done_and_of_how_much() -> None:
    assert progressed(3, 10) == LogLine(17, "info", "progress", b'{"done":3,"total":10}', True)
    assert progressed(0.5).fields == b'{"done":0.5,"total":null}'
    assert progressed(done=1, total=2, message="reading").message == "reading"


class Count(int):
    def __lt__(self, other: Any) -> bool:
        raise RuntimeError("no")

    __ge__ = __le__ = __gt__ = __lt__


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (0, 0),
        (2**63 - 1, 2**63 - 1),
        (2**63, str(2**63)),
        (-1, "-1"),
        (-0.5, "-0.5"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (True, "True"),
        ("half", "half"),
        ([1], "[1]"),
        (Count(5), 5),
        (Mute(), "(Mute: its text cannot be had: ValueError)"),
    ],
    ids=["none", "most", "too much", "below", "a little below", "nan", "inf", "true", "text", "list",
         "rude", "mute"],
)  # fmt: skip
def test_an_amount_that_is_no_number_from_0_on_is_shown_as_text(amount: Any, shown: Any) -> None:
    assert json.loads(progressed(amount).fields) == {"done": shown, "total": None}
    assert json.loads(progressed(0, amount).fields) == {"done": 0, "total": shown}


def test_progress_never_fails() -> None:
    assert progressed(1, message=Mute()).message == "(Mute: its text cannot be had: ValueError)"
    assert progressed("x" * 50_000, "y" * 50_000).fields.startswith(b'{"omitted":')
