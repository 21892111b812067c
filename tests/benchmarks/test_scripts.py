"""Each benchmark, run small: that it tells its figures. None asserts a time."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from benchmarks.__main__ import FAILED, SCRIPTS, reports
from benchmarks.figures import Figure, Report
from benchmarks.peers.environments import CannotInstall, run

ROOT = Path(__file__).parents[2]
COUNTS = {
    "append": 3,
    "steps": 4,
    "cpu": 8,
    "pure": 4,
    "state": 4,
    "late": 2,
    "replay": 2,
    "state_at": 6,
    "busy": 2,
    "cores": 1,
    "live": 5,
    "catch_up": 1,
    "http_runs": 2,
    "start": 1,
    "memory": 2,
    "disk": 1,
}
"""How many figures each tells."""


def process(*words: object) -> str:
    done = subprocess.run(
        [sys.executable, *map(str, words)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def told(script: str, folder: Path) -> tuple[Report, str]:
    """What a script keeps in a file, and what it prints."""
    words = ("-m", f"benchmarks.{script}", "--quick", "--folder", folder)
    out = process(*words, "--json", folder / "figures.json")
    return msgspec.json.decode((folder / "figures.json").read_bytes(), type=Report), out


def figure(report: Report, name: str) -> Figure:
    [found] = [each for each in report.figures if each.name == name]
    return found


def test_every_script_is_counted_here() -> None:
    assert set(COUNTS) == set(SCRIPTS)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_tells_its_figures(script: str, tmp_path: Path) -> None:
    report, out = told(script, tmp_path)
    assert out.splitlines() == [
        *(each.line for each in report.figures),
        *(each.line for each in report.skipped),
    ]
    assert len(report.figures) == (0 if report.skipped else COUNTS[script])
    for each in report.figures:
        assert math.isfinite(each.value)
        assert each.value >= 0
        assert (each.ceiling is None) == (each.ratio is None)
        assert each.ratio is None or each.rounds == 2
    assert not [path for path in tmp_path.iterdir() if path.name != "figures.json"]


def test_a_sequential_step_is_one_commit(tmp_path: Path) -> None:
    report, _ = told("steps", tmp_path)
    assert figure(report, "commits a sequential step").verdict == "ok"


def test_a_late_step_writes_hardly_more_than_an_early_one(tmp_path: Path) -> None:
    report, _ = told("late", tmp_path)
    assert figure(report, "step number 1,000, journal").verdict == "ok"


def test_a_script_that_fails_is_told_and_the_others_go_on() -> None:
    disk, nothing = reports(("disk", "nothing"), ["--quick"])
    assert [each.name for each in disk.figures] == [
        "on disk a step, with a constant of 100 KB in the state"
    ]
    assert [(each.name, each.why) for each in nothing.skipped] == [("nothing", FAILED)]


@pytest.mark.parametrize("script", ["ours", "memory_peer"])
def test_ours_does_the_workload_of_the_peers(script: str, tmp_path: Path) -> None:
    out = process("-m", f"benchmarks.peers.{script}", "w2", tmp_path, 5, 4)
    answer = json.loads(out.removeprefix("RESULT "))
    assert answer["steps_per_s"] > 0
    assert answer["rss_mb"] > 1


def test_a_peer_that_cannot_be_installed_is_told_in_one_line() -> None:
    with pytest.raises(CannotInstall, match=r"ended with 3: no such thing$"):
        run([sys.executable, "-c", "import sys; print('a\\nno such thing'); sys.exit(3)"])
    with pytest.raises(CannotInstall, match="No such file"):
        run(["/nowhere/python"])
