"""Whether events reach many subscribers as fast as they are offered, and what that costs.

A server of Stenograph's in a process of its own gets 5,000 events a second on one run; so many
WebSocket clients in another process follow it. What counts as delivered has come within 0.1 s of
the end of the window, which is one of a second at least. For the CPU the ceiling is a server that only writes to plain transports.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

from msgspec import Struct

from benchmarks import figures
from benchmarks.figures import Asked, Figure, at_least, at_most, compared, interleaved
from benchmarks.live_server import RUN_ID
from benchmarks.processes import Process, free_port, process

PER_S: Final = 5_000
CATCH_UP_S: Final = 5.0
"""How long the clients may take after a window to get what they did not."""


class Window(Struct, frozen=True):
    """What came of one window."""

    delivered: float
    offered: float
    cpu: float
    commits_per_s: float


class Live(Struct):
    """A server, its subscribers, and how far they were when the last window ended."""

    server: Process
    clients: Process
    many: int
    seq: int

    def window(self, seconds: float) -> Window:
        """Offer events for so many seconds."""
        self.server.tell("offer", PER_S, seconds)
        until = self.server.answer()["until"]
        seen = self.clients.ask("until", until, self.seq + round(PER_S * seconds))
        told = self.server.answer()
        window = Window(
            delivered=(seen["sum"] - self.seq * self.many) / seconds,
            offered=PER_S * self.many,
            cpu=told["cpu_s"] / seconds,
            commits_per_s=told["commits_per_s"],
        )
        self.catch_up(told["seq"], until + CATCH_UP_S)
        return window

    def catch_up(self, seq: int, until: float) -> None:
        """Wait until all have all."""
        seen = self.clients.ask("until", until, seq)
        if seen["behind"]:
            raise RuntimeError(f"{seen['behind']} of {self.many} subscribers did not get all")
        self.seq = seq


@contextmanager
def live(kind: str, path: Path, many: int, batch: bool = True) -> Iterator[Live]:
    """Start a server and so many subscribers."""
    port = free_port()
    with (
        process("-m", "benchmarks.live_server", kind, path, port) as server,
        process("-m", "benchmarks.subscribers") as clients,
    ):
        seq = server.answer()["seq"]
        url = f"/ws/{RUN_ID}?after=0" + "&batch=1" * batch
        begin = clients.ask("connect", port, url, many)["begin"]
        started = Live(server, clients, many, seq)
        started.catch_up(seq, begin + 60)
        yield started


def measure(asked: Asked) -> Iterator[Figure]:
    """Yield the figures for 100 subscribers, for one message an event, and for 1,000."""
    seconds = 0.2 if asked.quick else max(1.0, asked.seconds)
    with TemporaryDirectory(dir=asked.folder) as folder:
        yield from to_hundred(Path(folder), asked, seconds)
        yield to_hundred_singly(Path(folder), asked, seconds)
        yield from to_thousand(Path(folder), asked, seconds)


def to_hundred(folder: Path, asked: Asked, seconds: float) -> Iterator[Figure]:
    """Yield what reaches 100 subscribers, and the CPU it takes."""
    many = asked.size(100, 5)
    with (
        live("ours", folder / "ours.db", many) as ours,
        live("raw", folder / "raw.db", many) as raw,
    ):
        rounds = interleaved(
            asked.rounds, lambda: ours.window(seconds), lambda: raw.window(seconds)
        )
    name = f"live delivery to {many} subscribers"
    yield delivery(name, [window for window, _ in rounds], 1.0)
    yield compared(
        f"{name}, CPU of the server",
        "cores",
        [(window.cpu, plain.cpu) for window, plain in rounds],
        against="raw transport writes",
        goal=at_most(1.1),
        beside=f"those delivered {100 * median(p.delivered / p.offered for _, p in rounds):.0f} %",
    )


def to_hundred_singly(folder: Path, asked: Asked, seconds: float) -> Figure:
    """Return what reaches 100 subscribers who ask for a message an event."""
    many = asked.size(100, 5)
    windows = []
    for number in range(asked.rounds):  # who falls behind would spoil the next window
        with live("ours", folder / f"single-{number}.db", many, batch=False) as ours:
            try:
                windows.append(ours.window(seconds))
            except RuntimeError:
                windows.append(Window(0.0, PER_S * many, 0.0, 0.0))
    name = f"live delivery to {many} subscribers, a message an event"
    return delivery(name, windows, None)


def to_thousand(folder: Path, asked: Asked, seconds: float) -> Iterator[Figure]:
    """Yield what reaches 1,000 subscribers, and the commits beside those without any."""
    many = asked.size(1_000, 20)
    with (
        live("ours", folder / "many.db", many) as ours,
        live("ours", folder / "alone.db", 0) as alone,
    ):
        rounds = interleaved(
            asked.rounds, lambda: ours.window(seconds), lambda: alone.window(seconds)
        )
    name = f"live delivery to {many:,} subscribers"
    yield delivery(name, [window for window, _ in rounds], 0.99)
    yield compared(
        f"{name}, commits",
        "commits/s",
        [(window.commits_per_s, quiet.commits_per_s) for window, quiet in rounds],
        against="without subscribers",
        goal=at_least(0.5),
    )


def delivery(name: str, windows: list[Window], goal: float | None) -> Figure:
    """Return the figure for what was delivered of what was offered."""
    return compared(
        name,
        "events/s",
        [(window.delivered, window.offered) for window in windows],
        against="offered",
        goal=None if goal is None else at_least(goal),
        beside=f"{median(window.cpu for window in windows):.2f} cores",
    )


if __name__ == "__main__":
    figures.main(__doc__, measure)
