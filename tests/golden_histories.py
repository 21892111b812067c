"""Histories as versions wrote them, kept for ever: ``python -m tests.golden_histories VERSION``.

A history is written once, for the version that first wrote it so, and never changed again.
"""

from __future__ import annotations

import asyncio
import gzip
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import msgspec
from msgspec import NODEFAULT, Struct
from msgspec.structs import fields

from stenograph.engine import Engine, Run, SystemClock, Timer, decode, fold
from stenograph.engine.core.events import NodeEntered
from stenograph.journal import Journal, MemoryJournal, Record, envelope
from tests.crashes import drive
from tests.graphs import SAMPLES, TOOLS

GOLDEN = Path(__file__).parent / "histories"

MAP = {
    "id": "map",
    "start": "split",
    "nodes": {
        "split": {"next": {"each": "items", "as": "item", "to": "count", "join": "end"}},
        "count": {"tool": "count", "next": "end"},
        "end": {},
    },
    "state": {"n": {"reducer": "add"}},
}
ASK = {"id": "ask", "start": "ask", "nodes": {"ask": {"wait": {"signal": "go"}}}}
ASK_AND_COUNT = {
    "id": "ask",
    "start": "ask",
    "nodes": {"ask": {"wait": {"signal": "go"}, "next": "count"}, "count": {"tool": "count"}},
}


class SteadyClock:
    """A clock that moves by a millisecond each time somebody looks."""

    def __init__(self) -> None:
        self._now_us = 1_763_676_000_000_000

    def now_us(self) -> int:
        self._now_us += 1_000
        return self._now_us

    def monotonic_us(self) -> int:
        return self.now_us()

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        return SystemClock().call_later(min(delay_s, 0.05), callback)


def read_history(path: Path) -> list[Record]:
    """Read a history from its lines, each an envelope."""
    raw = msgspec.json.decode(
        b"[" + b",".join(path.read_bytes().splitlines()) + b"]", type=list[Any]
    )
    lines = path.read_bytes().splitlines()
    return [
        Record(
            each["offset"],
            each["run_id"],
            each["seq"],
            each["at"],
            each["type"],
            line.partition(b'"data":')[2].rpartition(b',"hash":')[0],
            each["hash"],
        )
        for each, line in zip(raw, lines, strict=True)
    ]


def end_of(run: Run) -> dict[str, Any]:
    """Return what a history must fold to, for ever.

    What is at its default is left out, so that a field that comes later changes no end of before.
    """
    scopes = {
        path: {**_stated(scope), "state": msgspec.Raw(scope.state.to_json())}
        for path, scope in run.scopes.items()
    }
    rest = _stated(run, but={"phases"})
    return {**rest, "graph": run.graph.decode(), "scopes": scopes}


def written(end: object) -> bytes:
    """Return an end, or several, as the bytes that are kept of it."""
    return msgspec.json.format(msgspec.json.encode(end)) + b"\n"


def _stated(struct: Struct, but: Collection[str] = ()) -> dict[str, Any]:
    stated = {}
    for each in fields(struct):
        value = getattr(struct, each.name)
        default = each.default if each.default_factory is NODEFAULT else each.default_factory()
        if value != default and each.name not in {"graph", "state", *but}:
            stated[each.name] = _stated(value) if isinstance(value, Struct) else value
    return stated


def record(version: str) -> None:
    """Write each history that the folder of a version does not have yet."""
    folder = GOLDEN / version
    folder.mkdir(parents=True, exist_ok=True)
    histories, exported = asyncio.run(made())
    for name, records in histories.items():
        path = folder / f"{name.replace(' ', '-')}.ndjson"
        if not path.exists():
            path.write_bytes(b"".join(envelope(each) + b"\n" for each in records))
            path.with_suffix(".json").write_bytes(written(end_of(fold(map(decode, records)))))
    file = folder / "exported.ndjson.gz"
    if not file.exists():
        file.write_bytes(gzip.compress(exported))


async def made() -> tuple[dict[str, list[Record]], bytes]:
    """Make a run of each sample, and some that come of others; return them, and one as a file."""
    histories = {}
    for name, sample in SAMPLES.items():
        async with MemoryJournal() as journal, engine_over(journal) as engine:
            run = await drive(engine, sample, "golden")
            if name == "step limit":
                await engine.cancel(run.id, reason="enough", actor="a person")
            histories[name] = await journal.read("golden")
    async with MemoryJournal() as journal, engine_over(journal) as engine:
        for run_id in await make_descendants(engine):
            histories[run_id] = await journal.read(run_id)
        exported = b"".join([piece async for piece in engine.export("forked-again")])
    return histories, exported


def engine_over(journal: Journal) -> Engine:
    return Engine(journal, tools=TOOLS, clock=SteadyClock())


async def make_descendants(engine: Engine) -> list[str]:
    """Make runs that come of others, and one that goes on in another graph; return their ids."""
    item = "/split#1[1]/"
    await engine.run(MAP, {"items": [1, 2, 3]}, run_id="mapped")
    [inside] = [
        each.seq
        async for each in engine.tail("mapped")
        if isinstance(each.data, NodeEntered) and each.data.scope == item
    ]
    await engine.fork("mapped", inside, state={"extra": "é"}, scope=item, new_id="forked")
    await engine.fork("forked", 1, state={"n": 3}, scope=item, new_id="forked-again")
    await engine.rerun("mapped", tools=["count"], new_id="rerun")
    await engine.run(ASK, {}, run_id="migrated", wait_s=0.1)
    await engine.migrate("migrated", ASK_AND_COUNT, actor="a person")
    await engine.signal("migrated", "go", {"really": True})
    await engine.run(ASK, {}, run_id="keyed", wait_s=0.1)
    await engine.pause("keyed")
    await engine.resume("keyed", key="1", actor="a person")
    await engine.signal("keyed", "go", {"really": True}, key="2", actor="a person")
    made = ["forked", "forked-again", "rerun", "migrated", "keyed"]
    for run_id in made:
        assert (await engine.wait(run_id)).status == "completed"
    return made


if __name__ == "__main__":
    record(sys.argv[1])
