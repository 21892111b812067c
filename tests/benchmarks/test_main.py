"""All benchmarks at once: what is refused before a file is touched, and what each script is told."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks import __main__ as bench
from benchmarks.figures import options


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--quick"], "--quick measures nothing worth keeping: name another folder with --out"),
        (["--round", "3"], "unrecognized arguments: --round 3"),
        (["--out", "no/such"], "no/such is no folder: make it first"),
    ],
)
def test_bad_use_leaves_the_results_alone(
    words: list[str],
    told: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bench, "reports", lambda *_: pytest.fail("measured all the same"))
    monkeypatch.setattr(bench, "keep", lambda *_: pytest.fail("kept all the same"))
    monkeypatch.setattr(sys, "argv", ["bench", *words])
    with pytest.raises(SystemExit):
        bench.main()
    assert told in capsys.readouterr().err


def test_each_script_is_told_what_all_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["--quick", "--rounds", "3", "--seconds", "0.5", "--folder", "."]
    assert bench.passed_on(options("What it says.").parse_args(words)) == [
        *("--quick", "--rounds", "3", "--seconds", "0.5", "--folder", str(tmp_path)),
    ]
    assert bench.passed_on(options("What it says.").parse_args([])) == []
