"""Histories as versions wrote them, kept for ever: ``python -m tests.golden_histories VERSION``.

A history is written once, for the version that first wrote it so, and never changed again.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import msgspec
from msgspec import NODEFAULT, Struct
from msgspec.structs import fields

from stenograph.engine import Engine, Run, SystemClock, Timer
from stenograph.journal import MemoryJournal, Record, envelope
from tests.crashes import drive
from tests.graphs import SAMPLES, TOOLS

GOLDEN = Path(__file__).parent / "histories"


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


async def record(version: str) -> None:
    from stenograph.engine import decode, fold

    folder = GOLDEN / version
    folder.mkdir(parents=True, exist_ok=True)
    for name, sample in SAMPLES.items():
        path = folder / f"{name.replace(' ', '-')}.ndjson"
        if path.exists():
            continue
        async with (
            MemoryJournal() as journal,
            Engine(journal, tools=TOOLS, clock=SteadyClock()) as engine,
        ):
            run = await drive(engine, sample, "golden")
            if name == "step limit":
                await engine.cancel(run.id, reason="enough", actor="a person")
            records = await journal.read("golden")
        path.write_bytes(b"".join(envelope(each) + b"\n" for each in records))
        path.with_suffix(".json").write_bytes(written(end_of(fold(map(decode, records)))))


if __name__ == "__main__":
    asyncio.run(record(sys.argv[1]))
