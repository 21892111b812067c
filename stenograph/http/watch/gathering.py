"""Gathering: what the rooms have counted, as families of samples; plain data, read off on the loop."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from math import inf
from typing import Literal, TypeAlias

from msgspec import Struct

from stenograph.engine import Engine
from stenograph.http.shapes.wire import DONE, STATUSES
from stenograph.http.streaming.subscribers import Subscribers
from stenograph.http.watch.disk import room_of
from stenograph.http.watch.loop_lag import LoopLag
from stenograph.http.watch.observing import Observer
from stenograph.journal import Histogram, JournalError, Stats

Labels: TypeAlias = tuple[str, ...]


class Spread(Struct, frozen=True):
    """A histogram at one moment: how many there were up to each bound, and the sum of all."""

    buckets: list[tuple[str, float]]
    total: float


class Family(Struct, frozen=True):
    """One metric: its name without what Prometheus appends, and a sample for each set of labels."""

    kind: Literal["counter", "gauge", "histogram"]
    name: str
    says: str
    samples: Mapping[Labels, float | Spread]
    labels: Labels = ()


async def gather(
    engine: Engine, observer: Observer, lag: LoopLag, subscribers: Subscribers
) -> list[Family]:
    """Return all there is to tell, but for what the system knows of the process."""
    return [
        *await of_runs(engine),
        *of_the_journal(engine),
        *of_the_server(observer, lag, subscribers),
        gauge(
            "build_info",
            "1; the labels tell which Stenograph and which Python this is",
            {build(): 1},
            "version",
            "python",
        ),
    ]


async def of_runs(engine: Engine) -> list[Family]:
    """Return what there is to tell of runs."""
    events = engine.journal.stats.events
    statuses = dict.fromkeys(STATUSES, 0)
    try:
        statuses |= await engine.journal.count_labels("status")
    except JournalError:
        statuses = {}  # health tells why; whatever else is to be seen is seen
    return [
        gauge("runs", "Runs in the journal, by status", by_one(statuses), "status"),
        counter("runs_begun", "Runs that have begun", {(): events["run.created"]}),
        counter(
            "runs_ended",
            "Runs that have ended, by status",
            {(status,): events[f"run.{status}"] for status in sorted(DONE)},
            "status",
        ),
        gauge("runs_recovered", "Unfinished runs taken up at start", {(): len(engine.recovered)}),
        counter("steps", "Visits of nodes that have ended", {(): events["node.exited"]}),
        counter(
            "attempts_failed",
            "Attempts at nodes that have failed and are made again",
            {(): events["node.attempt_failed"]},
        ),
    ]


def of_the_journal(engine: Engine) -> list[Family]:
    """Return what there is to tell of the journal."""
    journal = engine.journal
    stats: Stats = journal.stats
    room = room_of(journal)
    return [
        counter("events", "Events written, by type", by_one(stats.events), "type"),
        counter("commits", "Commits", {(): sum(stats.batch.counts)}),
        histogram("commit_seconds", "How long a commit takes on its thread", stats.commit_s),
        histogram("commit_appends", "How many appends a commit carries", stats.batch),
        gauge("wal_bytes", "Size of the write-ahead log", {(): journal.wal_bytes}),
        gauge("journal_failed", "1 once nothing can be written", {(): journal.failure is not None}),
        gauge(
            "disk_free_bytes", "Room beside the journal", {} if room is None else {(): room.free}
        ),
        gauge("followers", "Who follows a run or the journal now", {(): journal.subscribers}),
        gauge("tail_lag_events", "Events the slowest live one is behind", {(): journal.lag}),
    ]


def of_the_server(observer: Observer, lag: LoopLag, subscribers: Subscribers) -> list[Family]:
    """Return what there is to tell of requests, and of the loop that serves them."""
    answers: dict[Labels, float] = {}
    together: dict[Labels, Histogram] = {}
    for (handler, method, status), values in observer.seconds.items():
        answers[handler, method, str(status)] = sum(values.counts)
        together.setdefault((handler, method), Histogram(values.bounds)).add_all(values)
    seconds: dict[Labels, float | Spread] = {key: spread(each) for key, each in together.items()}
    return [
        counter("requests", "Requests answered", answers, "handler", "method", "status"),
        Family(
            "histogram",
            "stenograph_request_seconds",
            "How long requests take, to the end of their answer",
            seconds,
            ("handler", "method"),
        ),
        gauge("requests_under_way", "Requests under way", {(): observer.under_way}),
        counter("sockets", "WebSockets closed", by_one(observer.sockets), "handler"),
        gauge("sockets_open", "WebSockets open", {(): observer.sockets_now}),
        gauge("subscribers", "Sockets and streams that follow now", {(): subscribers.now}),
        counter("clients_too_slow", "Clients let go, as they took nothing", {(): subscribers.slow}),
        histogram(
            "loop_lag_seconds", "How late the event loop is, looked at twice a second", lag.seconds
        ),
        gauge("loop_lag_worst_seconds", "The worst of the last five seconds", {(): lag.worst_s}),
    ]


@cache
def build() -> Labels:
    """Return which Stenograph this is, and which Python."""
    return version("stenograph"), platform.python_version()


def by_one(counts: Mapping[str, float]) -> dict[Labels, float]:
    """Return counts by a label of its own each."""
    return {(value,): count for value, count in counts.items()}


def gauge(name: str, says: str, samples: Mapping[Labels, float], *labels: str) -> Family:
    """Return what goes up and down."""
    return Family("gauge", f"stenograph_{name}", says, samples, labels)


def counter(name: str, says: str, samples: Mapping[Labels, float], *labels: str) -> Family:
    """Return what only grows, from 0 at each start."""
    return Family("counter", f"stenograph_{name}", f"{says}, since the start", samples, labels)


def histogram(name: str, says: str, values: Histogram) -> Family:
    """Return how values are spread."""
    return Family("histogram", f"stenograph_{name}", says, {(): spread(values)})


def spread(values: Histogram) -> Spread:
    """Return how values are spread at this moment, each bucket with those before it."""
    buckets: list[tuple[str, float]] = []
    count = 0
    for bound, more in zip([*values.bounds, inf], list(values.counts), strict=True):
        count += more
        buckets.append(("+Inf" if bound == inf else str(float(bound)), count))
    return Spread(buckets, values.total)
