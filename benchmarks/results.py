"""The results that are kept: a JSON file of figures, and of it RESULTS.md and the charts.

Of RESULTS.md only what stands between a section's two marks is written; the rest is people's.
"""

from __future__ import annotations

import re
from pathlib import Path
from statistics import mode
from typing import Final

import msgspec
from msgspec import Struct

from benchmarks.chart import goals_chart, peers_chart
from benchmarks.figures import Figure, Report, number, ratio

SECTIONS: Final = ("bench", "peers")


class Section(Struct):
    """What one ``make bench`` or ``make bench-peers`` came to."""

    facts: dict[str, str]
    report: Report


def keep(folder: Path, name: str, section: Section) -> None:
    """Keep a section in ``results.json``, and write RESULTS.md and the charts anew from all."""
    file = folder / "results.json"
    sections = read(file)
    sections[name] = section
    file.write_bytes(msgspec.json.format(msgspec.json.encode(sections), indent=1) + b"\n")
    page = folder / "RESULTS.md"
    text = page.read_text() if page.exists() else blank()
    for each, kept in sections.items():
        text = replaced(text, each, markdown(kept))
    page.write_text(text)
    if "bench" in sections:
        (folder / "goals.svg").write_text(goals_chart(sections["bench"].report.figures))
    if "peers" in sections:
        (folder / "peers.svg").write_text(peers_chart(sections["peers"].report.figures))


def read(file: Path) -> dict[str, Section]:
    """Return the sections that are kept."""
    if not file.exists():
        return {}
    return msgspec.json.decode(file.read_bytes(), type=dict[str, Section])


def blank() -> str:
    """Return a page without results."""
    return "# Results\n" + "".join(
        f"\n<!-- {name} -->\n<!-- end of {name} -->\n" for name in SECTIONS
    )


def replaced(page: str, name: str, text: str) -> str:
    """Return a page with what stands between the marks of a section replaced."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    if begin not in page or end not in page:
        raise ValueError(f"RESULTS.md has no marks {begin} and {end}")
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    return pattern.sub(lambda _: f"{begin}\n{text}{end}", page, count=1)


def markdown(section: Section) -> str:
    """Return a section as Markdown: the facts, the table, and what was left out."""
    rounds = [figure.rounds for figure in section.report.figures if figure.ratio is not None]
    lines = [f"- {name}: {value}" for name, value in section.facts.items()]
    if rounds:
        lines.append(f"- rounds: {mode(rounds)} of most ratios; in brackets the extremes")
    lines += [
        "",
        "| figure | measured | ceiling | ratio | goal | |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    lines += [row(figure) for figure in section.report.figures]
    lines += [""] * bool(section.report.skipped)
    lines += [f"- {skipped.line}" for skipped in section.report.skipped]
    return "\n" + "\n".join(lines) + "\n\n"


def row(figure: Figure) -> str:
    """Return a figure as a row of the table."""
    ceiling = spread = ""
    if figure.ceiling is not None:
        ceiling = f"{figure.against} {number(figure.ceiling)}"
        spread = f"{ratio(figure.ratio)} ({ratio(figure.low)} to {ratio(figure.high)})"
    measured = f"{number(figure.value)} {figure.unit}".strip()
    measured += f" ({figure.beside})" if figure.beside else ""
    goal = "" if figure.goal is None else str(figure.goal)
    cells = (figure.name, measured, ceiling, spread, goal, figure.verdict)
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
