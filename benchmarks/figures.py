"""What a benchmark says: figures beside their ceilings, from the same minutes on the same machine.

Absolute numbers move by a third from one run to the next. Therefore what is measured and what it is
held against take turns, and what counts is the median of the rounds' ratios.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Final, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import Struct

T = TypeVar("T")

ROUNDS: Final = 7
SECONDS: Final = 0.3
"""Many short windows: who else uses the disk for a second then spoils few of them."""


class Goal(Struct, frozen=True):
    """What a ratio, or a figure without a ceiling, must reach or stay under."""

    bound: Literal["≥", "≤"]
    value: float

    def holds(self, figure: float) -> bool:
        """Tell whether a figure reaches it."""
        return figure >= self.value if self.bound == "≥" else figure <= self.value

    def __str__(self) -> str:
        return f"{self.bound} {self.value:g}"


def at_least(value: float) -> Goal:
    """Return the goal to reach a value."""
    return Goal("≥", value)


def at_most(value: float) -> Goal:
    """Return the goal not to exceed a value."""
    return Goal("≤", value)


class Figure(Struct, frozen=True, kw_only=True):
    """One figure: the medians of so many rounds, and how far their ratios lie apart.

    ``against`` names the ceiling; a figure without one is held against its goal itself. ``beside``
    is what else must be known to read it.
    """

    name: str
    value: float
    unit: str
    against: str = ""
    ceiling: float | None = None
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    rounds: int = 1
    goal: Goal | None = None
    beside: str = ""

    @property
    def verdict(self) -> Literal["ok", "short", ""]:
        """Whether the goal is reached; empty where there is none."""
        if self.goal is None:
            return ""
        return (
            "ok" if self.goal.holds(self.value if self.ratio is None else self.ratio) else "short"
        )

    @property
    def line(self) -> str:
        """The one line that a benchmark prints."""
        parts = [f"{self.name}:", f"{number(self.value)} {self.unit}".strip()]
        if self.ceiling is not None:
            parts.append(f"| {self.against} {number(self.ceiling)}")
            parts.append(f"| ratio {ratio(self.ratio)} ({ratio(self.low)} to {ratio(self.high)})")
        if self.goal is not None:
            parts.append(f"| goal {self.goal} | {self.verdict}")
        return " ".join(parts) + (f" [{self.beside}]" if self.beside else "")


class Skipped(Struct, frozen=True):
    """What could not be measured here, and why."""

    name: str
    why: str

    @property
    def line(self) -> str:
        """The one line that a benchmark prints."""
        return f"{self.name}: skipped: {self.why}"


Told: TypeAlias = Figure | Skipped


class Report(Struct):
    """What one script told, as it is handed on."""

    figures: list[Figure] = []
    skipped: list[Skipped] = []


class Asked(Struct, frozen=True):
    """How to measure: rounds of each figure, about so many seconds a window, files in ``folder``.

    ``quick`` makes everything small: what comes out has the right shape, and says nothing.
    """

    rounds: int = ROUNDS
    seconds: float = SECONDS
    folder: Path | None = None
    quick: bool = False

    def size(self, full: int, quick: int) -> int:
        """Return how much to do of what is counted."""
        return quick if self.quick else full


def interleaved(rounds: int, *measures: Callable[[], T]) -> list[tuple[T, ...]]:
    """Measure in turns: the first, the second …, and again; returns a tuple a round."""
    return [tuple(measure() for measure in measures) for _ in range(rounds)]


def compared(
    name: str,
    unit: str,
    pairs: Iterable[Sequence[float]],
    *,
    against: str,
    goal: Goal | None = None,
    beside: str = "",
) -> Figure:
    """Return the figure for rounds of (what was measured, its ceiling)."""
    values, ceilings = zip(*pairs, strict=True)
    ratios = [value / ceiling for value, ceiling in zip(values, ceilings, strict=True)]
    return Figure(
        name=name,
        value=median(values),
        unit=unit,
        against=against,
        ceiling=median(ceilings),
        ratio=median(ratios),
        low=min(ratios),
        high=max(ratios),
        rounds=len(ratios),
        goal=goal,
        beside=beside,
    )


def counted(
    name: str, unit: str, values: Sequence[float], *, goal: Goal | None = None, beside: str = ""
) -> Figure:
    """Return the figure for rounds of what has no ceiling."""
    return Figure(
        name=name,
        value=median(values),
        unit=unit,
        low=min(values),
        high=max(values),
        rounds=len(values),
        goal=goal,
        beside=beside,
    )


def number(value: float) -> str:
    """Return a number with three digits that count, or all before the point."""
    size = abs(value)
    if size >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3f}".rstrip("0") if size < 1 else f"{value:.2f}"


def plural(count: int, noun: str) -> str:
    """Return how many there are of what."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def ratio(value: float | None) -> str:
    """Return a ratio, with more digits where it is small."""
    assert value is not None
    return f"{value:.2f}" if value >= 0.1 else f"{value:.4f}"


def main(
    doc: str | None, measure: Callable[[Asked], Iterator[Told]], *, rounds: int = ROUNDS
) -> None:
    """Be the script: read the options, print a line a figure, and keep them in a file if asked."""
    parser = options(doc, rounds)
    parser.add_argument("--json", type=file, help="write the figures to this file too")
    asked = parser.parse_args()
    told = Report()
    for each in measure(
        Asked(
            rounds=asked.rounds or (2 if asked.quick else rounds),
            seconds=asked.seconds or (0.05 if asked.quick else SECONDS),
            folder=asked.folder,
            quick=asked.quick,
        )
    ):
        print(each.line, flush=True)
        told.figures.append(each) if isinstance(each, Figure) else told.skipped.append(each)
    if asked.json:
        asked.json.write_bytes(msgspec.json.encode(told))


def options(doc: str | None, rounds: int = ROUNDS) -> argparse.ArgumentParser:
    """Return what reads the options that all scripts have."""
    assert doc is not None
    parser = argparse.ArgumentParser(description=doc.split("\n\n")[0], allow_abbrev=False)
    parser.add_argument("--rounds", type=how_many, help=f"of each figure [{rounds}]")
    parser.add_argument("--seconds", type=how_long, help=f"of most windows, about [{SECONDS}]")
    parser.add_argument("--folder", type=folder, help="on the disk to measure [the temporary one]")
    parser.add_argument("--quick", action="store_true", help="small, for tests: says nothing")
    return parser


def how_many(text: str) -> int:
    """Return a number of rounds; raises what argparse tells a user, as those below do."""
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"{text} rounds cannot be measured: give 1 or more")
    return int(text)


def how_long(text: str) -> float:
    """Return a time in seconds."""
    with suppress(ValueError):
        if 0 < float(text) <= 60:
            return float(text)
    raise argparse.ArgumentTypeError(f"{text} is no length of a window: give up to 60 seconds")


def file(name: str) -> Path:
    """Return the path of a file to write."""
    path = Path(name)
    folder(str(path.parent))
    return path


def folder(name: str) -> Path:
    """Return the folder of that name."""
    path = Path(name)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{name} is no folder: make it first, or name another")
    return path
