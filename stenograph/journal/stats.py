"""What a journal counts of its own work: plain numbers, which cost next to nothing to keep."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from typing import Final

COMMIT_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Upper bounds, in seconds, between which commits are counted by how long they take."""
BATCH: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
"""Upper bounds between which commits are counted by how many appends they carry."""


class Histogram:
    """How many values were at most each of some bounds, how many there were, and their sum.

    One thread alone may add to it; others may look at it meanwhile.
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        """How many fell between each bound and the one before; the last, above all."""
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def add_all(self, other: Histogram) -> None:
        """Count all that another has, of the same bounds."""
        self.counts = [one + more for one, more in zip(self.counts, other.counts, strict=True)]
        self.total += other.total


class Stats:
    """What has happened in a journal since it was opened.

    ``events`` by type; ``commit_s``: how long each commit took on its thread, from its first
    statement until it was durable; ``batch``: how many appends each one carried.
    """

    def __init__(self) -> None:
        self.events: Counter[str] = Counter()
        self.commit_s = Histogram(COMMIT_S)
        self.batch = Histogram(BATCH)
