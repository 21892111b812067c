"""Charts of figures: horizontal bars in SVG that read on a light page and on a dark one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf, log10
from typing import Final
from xml.sax.saxutils import escape

from msgspec import Struct

from benchmarks.figures import Figure, number, ratio

WIDTH: Final = 900
LABEL: Final = 500
"""Where bars begin; their names stand left of it."""
BAR: Final = 220
"""How long a bar can be; what it says stands right of the longest."""
ROW: Final = 22
TOP: Final = 54
STYLE: Final = """
  text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #24292f }
  .title { font-weight: 600; font-size: 15px }
  .group { font-weight: 600 }
  .note { fill: #57606a; font-size: 12px }
  .ok, .ours { fill: #1a7f5a } .short { fill: #c4681c } .peer { fill: #8c959f }
  .mark { stroke: #57606a; stroke-dasharray: 3 3 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .note { fill: #9198a1 }
    .ok, .ours { fill: #3fb68b } .short { fill: #e08a3c } .peer { fill: #6e7681 }
    .mark { stroke: #9198a1 }
  }
"""


class Bar(Struct, frozen=True):
    """A bar: its name, how long it is (0 to 1), what stands at its end, and its colour's class.

    One without a length is the heading of those below it.
    """

    name: str
    length: float | None = None
    text: str = ""
    kind: str = ""


def goals_chart(figures: Iterable[Figure]) -> str:
    """Return how far each figure reaches its goal, which is the line in the middle."""
    bars = [
        Bar(
            f"{figure.name} ({figure.against})" if figure.against else figure.name,
            scaled(reached(figure), 0.1, 10),
            told(figure),
            figure.verdict,
        )
        for figure in figures
        if figure.goal is not None
    ]
    return drawn(
        "Each figure against its goal",
        "right of the line: reached; logarithmic, from a tenth to ten times",
        bars,
        0.5,
    )


def reached(figure: Figure) -> float:
    """Return how many times over a figure reaches its goal."""
    assert figure.goal is not None
    value = figure.value if figure.ratio is None else figure.ratio
    over, under = (
        (value, figure.goal.value) if figure.goal.bound == "≥" else (figure.goal.value, value)
    )
    if under:
        return over / under
    return inf if over else 1.0


def told(figure: Figure) -> str:
    """Return what stands beside a bar: the ratio or the figure, and its goal."""
    value = number(figure.value) if figure.ratio is None else ratio(figure.ratio)
    return f"{value} (goal {figure.goal})"


def peers_chart(figures: Sequence[Figure]) -> str:
    """Return ours beside the peers, workload by workload: the longer a bar, the more a second."""
    bars: list[Bar] = []
    rates = [figure for figure in figures if figure.unit.endswith("/s")]
    for name in dict.fromkeys(figure.name for figure in rates):
        beside = [figure for figure in rates if figure.name == name]
        bars.append(Bar(f"{name}, {beside[0].unit}"))
        values = [("Stenograph", beside[0].value, "ours")]
        values += [(each.against, each.ceiling or 0.0, "peer") for each in beside]
        longest = max(value for _, value, _ in values)
        for engine, value, kind in sorted(values, key=lambda each: -each[1]):
            bars.append(Bar(engine, value / longest, number(value), kind))
    return drawn(
        "Durable steps and runs a second", "the longest bar of each group is its best; linear", bars
    )


def scaled(value: float, low: float, high: float) -> float:
    """Return where a value lies between two others on a logarithmic scale, from 0 to 1."""
    inside = min(max(value, low), high)
    return (log10(inside) - log10(low)) / (log10(high) - log10(low))


def drawn(title: str, note: str, bars: Sequence[Bar], mark: float | None = None) -> str:
    """Return the SVG; ``mark`` is where a line goes through all bars."""
    height = TOP + ROW * len(bars) + 12
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">',
        f"<style>{STYLE}</style>",
        f'<text class="title" x="8" y="22">{escape(title)}</text>',
        f'<text class="note" x="8" y="40">{escape(note)}</text>',
    ]
    for number_, bar in enumerate(bars):
        lines += row(bar, TOP + ROW * number_)
    if mark is not None:
        x = LABEL + BAR * mark
        lines.append(f'<line class="mark" x1="{x:g}" x2="{x:g}" y1="{TOP - 6}" y2="{height - 8}"/>')
    return "\n".join([*lines, "</svg>", ""])


def row(bar: Bar, y: int) -> list[str]:
    """Return the elements of a bar."""
    base = y + 15
    if bar.length is None:
        return [f'<text class="group" x="8" y="{base}">{escape(bar.name)}</text>']
    width = max(1.0, BAR * bar.length)
    return [
        f'<text x="{LABEL - 8}" y="{base}" text-anchor="end">{escape(bar.name)}</text>',
        f'<rect class="{bar.kind}" x="{LABEL}" y="{y + 3}" width="{width:.1f}" height="{ROW - 7}" rx="2"/>',
        f'<text class="note" x="{LABEL + BAR + 10}" y="{base}">{escape(bar.text)}</text>',
    ]
