"""Values on the command line: a state from pairs and a file, tags from pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from stenograph.cli.values import Seconds, state_of, tags_of


@pytest.mark.parametrize(
    ("pair", "state"),
    [
        ("n=1", {"n": 1}),
        ("who=me", {"who": "me"}),
        ("text=", {"text": ""}),
        ("list=[1, 2]", {"list": [1, 2]}),
        ("formula=a=b", {"formula": "a=b"}),
        ("n:=null", {"n": None}),
        ('text:="1"', {"text": "1"}),
        ("a.b=1", {"a.b": 1}),
    ],
)
def test_a_value_is_json_when_it_parses_and_text_when_not(pair: str, state: Any) -> None:
    assert state_of(None, [pair]) == state


def test_a_value_can_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "source.py"
    file.write_text("print('ä')\n", "utf-8")
    assert state_of(None, [f"code=@{file}"]) == {"code": "print('ä')\n"}


def test_pairs_win_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    file.write_text('{"a": 1, "b": 2}', "utf-8")
    assert state_of(str(file), ["b=3", "c=4"]) == {"a": 1, "b": 3, "c": 4}


@pytest.mark.parametrize("pair", ["n", "=1", ":=1", ""])
def test_what_is_no_pair_is_refused(pair: str) -> None:
    with pytest.raises(click.UsageError, match="KEY=VALUE"):
        state_of(None, [pair])


@pytest.mark.parametrize("pair", ["n:=one", "n:=\udcff"])
def test_what_insists_on_json_must_be_json(pair: str) -> None:
    with pytest.raises(click.ClickException, match="-s n"):
        state_of(None, [pair])


def test_a_state_is_an_object_in_utf8(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    for text, why in ((b"[1]", "JSON object"), (b'{"a": "\xff"}', "UTF-8"), (b"{", "not JSON")):
        file.write_bytes(text)
        with pytest.raises(click.ClickException, match=why):
            state_of(str(file), [])
    file.write_bytes(b'{"a": "\xff"}')
    with pytest.raises(click.ClickException, match="byte 7 is not UTF-8"):
        state_of(None, [f"text=@{file}"])


def test_tags_are_names_with_values() -> None:
    assert tags_of(["who=me", "why=", "sum=a=b"]) == {"who": "me", "why": "", "sum": "a=b"}
    for pair in ("who", "=me"):
        with pytest.raises(click.UsageError, match="NAME=VALUE"):
            tags_of([pair])


@pytest.mark.parametrize("text", ["nan", "inf", "-1", "soon"])
def test_seconds_are_a_number_in_their_range(text: str) -> None:
    with pytest.raises(click.BadParameter, match=text):
        Seconds(min=0).convert(text, None, None)


def test_seconds_may_be_parts_of_one() -> None:
    assert Seconds(min=0).convert("0.5", None, None) == 0.5
