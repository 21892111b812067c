"""What benchmarks came to, as it is kept: the page between its marks, and the charts."""

from __future__ import annotations

import math
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.chart import BAR, goals_chart, peers_chart, reached
from benchmarks.figures import Figure, Report, Skipped, at_least, at_most, compared, counted
from benchmarks.machine import facts
from benchmarks.results import Section, blank, keep, read, replaced

SVG = "{http://www.w3.org/2000/svg}"
FIGURES = [
    compared("append", "events/s", [(80, 100)], against="raw <SQLite>", goal=at_least(0.4)),
    compared("replay", "events/s", [(20, 100)], against="rows", goal=at_least(0.8)),
    counted("commits", "", [1.0], goal=at_most(1.02)),
    counted("disk", "bytes", [400.0]),
]
PEERS = [
    compared("one run", "steps/s", [(900, 300)], against="Other 1.0", goal=at_least(5)),
    compared("one run", "steps/s", [(900, 1800)], against="Another 2.0"),
    compared("memory", "MB", [(40, 80)], against="Other 1.0"),
]


def section(figures: list[Figure], **told: str) -> Section:
    return Section(told, Report(figures=figures, skipped=[Skipped("pure", "not there")]))


def bars(svg: str) -> list[tuple[str | None, float]]:
    """The colour class and the width of each bar."""
    root = ElementTree.fromstring(svg)
    return [(each.get("class"), float(each.get("width", 0))) for each in root.iter(f"{SVG}rect")]


def test_a_section_is_written_between_its_marks_alone(tmp_path: Path) -> None:
    page = tmp_path / "RESULTS.md"
    page.write_text(blank().replace("# Results", "# Results\n\nOur own words."))
    keep(tmp_path, "bench", section(FIGURES, date="today"))
    text = page.read_text()
    assert "Our own words." in text
    assert "- date: today" in text
    row = "| append | 80 events/s | raw <SQLite> 100 | 0.80 (0.80 to 0.80) | ≥ 0.4 | ok |"
    assert row in text
    assert "| disk | 400 bytes |  |  |  |  |" in text
    assert "- pure: skipped: not there" in text


def test_a_later_section_replaces_the_earlier_and_leaves_the_other(tmp_path: Path) -> None:
    keep(tmp_path, "bench", section(FIGURES, date="first"))
    keep(tmp_path, "peers", section(PEERS, date="second"))
    keep(tmp_path, "bench", section(FIGURES, date="third"))
    text = (tmp_path / "RESULTS.md").read_text()
    assert "first" not in text
    assert "second" in text
    assert "third" in text
    assert set(read(tmp_path / "results.json")) == {"bench", "peers"}
    assert (tmp_path / "goals.svg").exists()
    assert (tmp_path / "peers.svg").exists()


def test_a_page_without_marks_is_left_alone() -> None:
    with pytest.raises(ValueError, match="has no marks"):
        replaced("# Results\n", "bench", "text")


def test_each_figure_with_a_goal_has_a_bar_that_ends_beyond_the_line_if_it_is_reached() -> None:
    [append, replay, commits] = bars(goals_chart(FIGURES))
    assert append[0] == commits[0] == "ok"
    assert replay[0] == "short"
    assert replay[1] < BAR / 2 < commits[1] < append[1]


def test_what_may_not_exceed_its_goal_reaches_it_the_smaller_it_is() -> None:
    assert reached(counted("bytes", "", [50.0], goal=at_most(100))) == 2
    assert reached(counted("bytes", "", [0.0], goal=at_most(0))) == 1
    assert reached(counted("bytes", "", [0.0], goal=at_most(9))) == math.inf
    assert reached(counted("bytes", "", [9.0], goal=at_most(0))) == 0
    assert reached(counted("bytes", "", [100.0], goal=at_most(50))) == 0.5


def test_each_engine_has_a_bar_a_workload_the_best_one_first() -> None:
    assert bars(peers_chart(PEERS)) == [
        ("peer", BAR),
        ("ours", BAR / 2),
        ("peer", round(BAR / 6, 1)),
    ]


def test_names_are_no_markup() -> None:
    assert "append (raw <SQLite>)" in "".join(
        ElementTree.fromstring(goals_chart(FIGURES)).itertext()
    )


def test_a_chart_reads_on_light_and_on_dark_pages() -> None:
    assert "prefers-color-scheme: dark" in goals_chart(FIGURES)


def test_figures_come_with_date_machine_disk_versions_and_commit() -> None:
    told = facts()
    assert set(told) == {"date", "commit", "machine", "system", "disk", "versions"}
    assert "msgspec" in told["versions"]
    assert all(told.values())
    assert re.fullmatch(r"\S.*, [0-9.e+-]+ ms a sync of 4 KiB", told["disk"])
