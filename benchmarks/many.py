"""Very many subscribers that connect, drop and resume while events are written; and slow ones.

``python -m benchmarks.many`` follows with 10,000 of them, in some 2 minutes: a server, which is
restarted in the middle, and a process of clients, which look at every event that they get. With
``--slow`` so many that never read are connected beside as many that do. Each subscriber takes a
file descriptor on both sides: what the hard limit (``ulimit -Hn``) allows is raised to by itself.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from msgspec import Struct

from benchmarks.processes import Process, free_port, process

FILL: Final = 50
"""Events in each run before anybody comes."""
PATIENCE_S: Final = 60.0


class Asked(Struct, frozen=True):
    """So many subscribers, on so many runs, for so many seconds on each side of the restart.

    ``per_s``: events written in all; ``hold_s``: after about so long each drops; ``send_s``: for so
    long the server waits for a slow one; ``size``: about the bytes of an event.
    """

    many: int = 10_000
    runs: int = 200
    per_s: float = 200.0
    seconds: float = 25.0
    hold_s: float = 60.0
    send_s: float = 30.0
    size: int = 100


class Followed(Struct, frozen=True):
    """What came of it. ``lags``: of events written while their subscriber was connected."""

    events: int
    behind: int
    lost: int
    doubled: int
    misplaced: int
    resumed: int
    restarted: int
    kib_each: float
    connect_s: float
    down_s: float
    p50_s: float
    p99_s: float

    def __str__(self) -> str:
        return (
            f"{self.events:,} events to subscribers that resumed {self.resumed:,} times, "
            f"{self.restarted:,} of them told 1012 with their cursor: {self.lost} lost, "
            f"{self.doubled} doubled or disordered, {self.behind} behind, {self.misplaced} wrong "
            f"cursors; {self.kib_each:.1f} KiB a subscriber; lag p50 {1000 * self.p50_s:.0f} ms, "
            f"p99 {1000 * self.p99_s:.0f} ms; connected in {self.connect_s:.1f} s, restarted in "
            f"{self.down_s:.1f} s"
        )


class Beside(Struct, frozen=True):
    """What came of slow subscribers beside others."""

    alone_p99_s: float
    beside_p99_s: float
    stuck: int
    ended: int
    closed_1013: int
    slow: int
    rss_kib_each: float
    behind: int
    lost: int
    doubled: int
    misplaced: int

    def __str__(self) -> str:
        return (
            f"{self.stuck} that never read: {self.slow} let go, {self.closed_1013} of them with "
            f"1013 and their cursor, {self.rss_kib_each:.0f} KiB each meanwhile; those that read: "
            f"lag p99 {1000 * self.alone_p99_s:.0f} ms without them, {1000 * self.beside_p99_s:.0f} "
            f"ms beside them, {self.lost} lost, {self.doubled} doubled, {self.behind} behind"
        )


@contextmanager
def server(db: Path, port: int, asked: Asked) -> Iterator[tuple[Process, Any]]:
    """Serve; gives what it says at its start."""
    words = ("-m", "benchmarks.many_server", db, port, asked.runs, asked.send_s)
    with process(*words) as served:
        yield served, served.answer()
        assert served.popen.stdin is not None
        served.popen.stdin.close()  # or the thread that reads it would hold it up
        served.popen.terminate()
        served.popen.wait(2 * PATIENCE_S)


def follow(asked: Asked) -> Followed:
    """Have very many follow, over a restart."""
    port = free_port()
    with (
        TemporaryDirectory() as folder,
        process("-m", "benchmarks.many_clients") as clients,
    ):
        db = Path(folder) / "many.db"
        with server(db, port, asked) as (served, _):
            before = served.ask("fill", FILL)
            connected = clients.ask("connect", port, asked.many, False, before["heads"])
            note(f"{asked.many:,} connected in {connected['seconds']:.1f} s")
            after = served.ask("look")
            served.ask("offer", asked.per_s, asked.size)
            clients.ask("churn", asked.hold_s)
            time.sleep(asked.seconds)
            stopped = time.monotonic()
        ended = time.monotonic()
        with server(db, port, asked) as (served, _):
            down_s = time.monotonic() - stopped
            note(f"stopped in {ended - stopped:.1f} s, back after {down_s:.1f} s")
            served.ask("offer", asked.per_s, asked.size)
            time.sleep(asked.seconds)
            clients.ask("calm")
            heads = served.ask("rest")["heads"]
            seen = clients.ask("until", heads, PATIENCE_S)
    return Followed(
        events=seen["events"],
        behind=seen["behind"],
        lost=seen["lost"],
        doubled=seen["doubled"],
        misplaced=seen["misplaced"],
        resumed=seen["resumed"],
        restarted=seen["closes"].get("1012", 0),
        kib_each=(after["rss_kib"] - before["rss_kib"]) / asked.many,
        connect_s=connected["seconds"],
        down_s=down_s,
        p50_s=seen["p50"],
        p99_s=seen["p99"],
    )


def beside(asked: Asked) -> Beside:
    """Have some follow, and then as many more beside them that never read."""
    port = free_port()
    with (
        TemporaryDirectory() as folder,
        process("-m", "benchmarks.many_clients") as clients,
        process("-m", "benchmarks.many_clients") as stuck,
        server(Path(folder) / "slow.db", port, asked) as (served, first),
    ):
        clients.ask("connect", port, asked.many, False, first["heads"])
        served.ask("offer", asked.per_s, asked.size)
        time.sleep(asked.seconds)
        alone = clients.ask("mark")
        before = served.ask("look")
        stuck.ask("connect", port, asked.many, True, first["heads"])
        most, until = before["rss_kib"], time.monotonic() + PATIENCE_S
        begun = time.monotonic()
        while True:
            time.sleep(0.1)
            used = served.ask("look")
            most = max(most, used["rss_kib"])
            if used["slow"] >= asked.many or time.monotonic() > until:
                break
        drained = stuck.ask("drain", PATIENCE_S)
        time.sleep(max(0.0, begun + asked.seconds - time.monotonic()))
        heads = served.ask("rest")["heads"]
        seen = clients.ask("until", heads, PATIENCE_S)
    return Beside(
        alone_p99_s=alone["p99"],
        beside_p99_s=seen["p99"],
        stuck=drained["stuck"],
        ended=drained["ended"],
        closed_1013=drained["closed_1013"],
        slow=used["slow"],
        rss_kib_each=(most - before["rss_kib"]) / asked.many,
        behind=seen["behind"],
        lost=seen["lost"],
        doubled=seen["doubled"],
        misplaced=seen["misplaced"] + drained["misplaced"],
    )


def main() -> int:
    """Print what came of it; return 1 if anything was lost."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--many", type=int, default=None, help="subscribers")
    parser.add_argument("--seconds", type=float, default=25.0, help="on each side of the restart")
    parser.add_argument("--runs", type=int, default=200, help="that they follow, in turns")
    parser.add_argument("--slow", action="store_true", help="beside as many that never read")
    words = parser.parse_args()
    told: Followed | Beside
    if words.slow:
        told = beside(slow_asked(words.many or 100, words.seconds))
    else:
        told = follow(Asked(many=words.many or 10_000, seconds=words.seconds, runs=words.runs))
    print(told)
    return 1 if told.lost or told.doubled or told.behind or told.misplaced else 0


def note(what: str) -> None:
    """Tell how far it is."""
    print(what, file=sys.stderr, flush=True)


def slow_asked(many: int, seconds: float) -> Asked:
    """Return what is asked of slow subscribers: large events of one run, and little patience."""
    return Asked(many=many, runs=1, per_s=200, seconds=seconds, send_s=2.0, size=2000)


if __name__ == "__main__":
    sys.exit(main())
