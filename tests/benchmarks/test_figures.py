"""Figures: medians beside their ceilings, and the one line that each prints."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.figures import (
    Asked,
    Skipped,
    Told,
    at_least,
    at_most,
    compared,
    counted,
    interleaved,
    main,
    number,
    plural,
)

PAIRS = [(80.0, 100.0), (90.0, 100.0), (50.0, 100.0)]


def test_a_ratio_is_the_median_of_the_rounds_ratios() -> None:
    figure = compared("append", "events/s", [(10, 20), (90, 100), (30, 40)], against="raw")
    assert (figure.value, figure.ceiling, figure.ratio) == (30, 40, 0.75)
    assert (figure.low, figure.high, figure.rounds) == (0.5, 0.9, 3)


def test_a_figure_reaches_its_goal_or_falls_short_of_it() -> None:
    assert compared("a", "", PAIRS, against="b", goal=at_least(0.8)).verdict == "ok"
    assert compared("a", "", PAIRS, against="b", goal=at_least(0.81)).verdict == "short"
    assert compared("a", "", PAIRS, against="b", goal=at_most(0.8)).verdict == "ok"
    assert compared("a", "", PAIRS, against="b", goal=at_most(0.79)).verdict == "short"
    assert compared("a", "", PAIRS, against="b").verdict == ""


def test_a_figure_without_a_ceiling_is_held_against_its_goal_itself() -> None:
    assert counted("commits", "", [1.01], goal=at_most(1.02)).verdict == "ok"
    assert counted("commits", "", [1.03], goal=at_most(1.02)).verdict == "short"


def test_a_figure_is_one_line() -> None:
    figure = compared(
        "append", "events/s", PAIRS, against="raw SQLite", goal=at_least(0.85), beside="2 cores"
    )
    assert figure.line == (
        "append: 80 events/s | raw SQLite 100 | ratio 0.80 (0.50 to 0.90) "
        "| goal ≥ 0.85 | short [2 cores]"
    )
    assert counted("commits", "", [1.0], goal=at_most(1.02)).line == "commits: 1 | goal ≤ 1.02 | ok"
    assert Skipped("pure", "not there").line == "pure: skipped: not there"


def test_measures_take_turns() -> None:
    order: list[str] = []

    def measure(name: str) -> int:
        order.append(name)
        return len(order)

    rounds = interleaved(2, lambda: measure("ours"), lambda: measure("raw"))
    assert order == ["ours", "raw", "ours", "raw"]
    assert rounds == [(1, 2), (3, 4)]


@pytest.mark.parametrize(
    ("value", "text"),
    [(12_345.6, "12,346"), (3.0, "3"), (3.14159, "3.14"), (0.5, "0.5"), (0.0, "0")],
)
def test_a_number_has_the_digits_that_count(value: float, text: str) -> None:
    assert number(value) == text


def test_a_script_prints_its_lines_and_keeps_them_in_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(asked: Asked) -> Iterator[Told]:
        yield counted("size", "bytes", [asked.size(full=100, quick=7)])
        yield Skipped("rest", "not asked for")

    file = tmp_path / "figures.json"
    monkeypatch.setattr(sys, "argv", ["script", "--quick", "--json", str(file)])
    main("What it says.\n\nAnd how.", measure)
    assert capsys.readouterr().out == "size: 7 bytes\nrest: skipped: not asked for\n"
    kept = json.loads(file.read_bytes())
    assert kept["figures"][0]["value"] == 7
    assert kept["skipped"] == [{"name": "rest", "why": "not asked for"}]


def test_a_folder_that_there_is_not_is_told_in_one_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["script", "--folder", "no/such"])
    with pytest.raises(SystemExit):
        main("What it says.", lambda _: iter(()))
    assert "no/such is no folder: make it first, or name another" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--rounds", "0"], "0 rounds cannot be measured: give 1 or more"),
        (["--rounds", "-1"], "-1 rounds cannot be measured"),
        (["--seconds", "nan"], "nan is no length of a window: give up to 60 seconds"),
        (["--seconds", "-3"], "-3 is no length of a window"),
        (["--json", "no/such/figures.json"], "no/such is no folder: make it first"),
        (["--round", "3"], "unrecognized arguments: --round 3"),
    ],
)
def test_bad_use_is_told_in_one_sentence_before_anything_is_measured(
    words: list[str],
    told: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def measure(_: Asked) -> Iterator[Told]:
        raise AssertionError("measured all the same")

    monkeypatch.setattr(sys, "argv", ["script", *words])
    with pytest.raises(SystemExit):
        main("What it says.", measure)
    assert told in capsys.readouterr().err


def test_how_many_there_are_is_said_in_words() -> None:
    assert [plural(count, "run") for count in (1, 16, 2_000)] == ["1 run", "16 runs", "2,000 runs"]
