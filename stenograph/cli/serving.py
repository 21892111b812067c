"""A server in this process: what it says at the start, and what it leaves behind at the end."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Final, Literal

from msgspec import Struct, field

import stenograph as st
from stenograph.cli.failures import USAGE, Failure
from stenograph.cli.output import talk
from stenograph.cli.text import count
from stenograph.engine import Engine
from stenograph.http import create_app, serve
from stenograph.journal import Stream, open_journal_readonly

MEMORY: Final = ":memory:"
COUNTED_MAX: Final = 10_000
NAMED_MAX: Final = 3
UNFINISHED: Final = ("cancelling", "running")


class Found(Struct):
    """What a journal's file holds before it is opened: how many runs, and which go on."""

    runs: int = 0
    unfinished: list[Stream] = []


class Serving(Struct):
    """A server to be: where it listens, and on which journal it stands."""

    path: str
    tools: Sequence[ModuleType]
    host: str
    port: int
    durability: Literal["full", "normal"]
    pid_file: str | None
    quiet: bool
    found: Found = field(default_factory=Found)

    def run(self) -> None:
        """Serve until a signal. Raises CannotOpen, PortInUse, ToolRefused, Failure."""
        logging.basicConfig(
            level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
        )
        try:
            asyncio.run(serve(create_app(self.engine), self.host, self.port, started=self.started))
        finally:
            if self.pid_file is not None:
                forget(Path(self.pid_file))
        self.say("Stopped.")

    @asynccontextmanager
    async def engine(self) -> AsyncIterator[Engine]:
        """Open the engine, having looked at what it will find."""
        self.found = Found() if is_new(self.path) else await look(self.path)
        async with st.open(self.path, tools=self.tools, durability=self.durability) as engine:
            yield engine

    def started(self, url: str, engine: Engine) -> None:
        """Say where the server is, on what it stands, and which runs go on."""
        if self.pid_file is not None:
            write_pid(Path(self.pid_file))
        self.say(f"Stenograph {st.__version__}")
        self.say(f"Listening on {url}  docs at /docs")
        if self.path == MEMORY:
            self.say("Journal in memory: it goes when the server stops")
            self.say("Stop with Ctrl-C.")
        else:
            self.say(f"Journal {shown(self.path)} ({told(self.found)})")
            self.say("Stop with Ctrl-C; nothing is lost.")

    def say(self, text: str) -> None:
        """Say something on stderr."""
        if not self.quiet:
            talk(text)


def is_new(path: str) -> bool:
    """Tell whether a journal is yet to be made: there is no file, or a blank one."""
    return path == MEMORY or not Path(path).is_file() or not Path(path).stat().st_size


async def look(path: str) -> Found:
    """Return what a journal's file holds, as it was left. Raises CannotOpen."""
    found = Found()
    async with open_journal_readonly(path) as journal:
        before = None
        while found.runs < COUNTED_MAX and (
            page := await journal.streams({"kind": "run"}, before=before, limit=1000)
        ):
            found.runs += len(page)
            before = page[-1].number
        for status in UNFINISHED:
            labels = {"kind": "run", "status": status}
            found.unfinished += await journal.streams(labels, limit=1000)
    return found


def told(found: Found) -> str:
    """Return what was found, in words: ``3 runs, 1 unfinished: resuming r-1 after 61``."""
    runs = count(found.runs, "run") + (" or more" if found.runs >= COUNTED_MAX else "")
    if not found.unfinished:
        return runs
    named = [f"{each.run_id} after {each.head}" for each in found.unfinished[:NAMED_MAX]]
    more = len(found.unfinished) - len(named)
    listed = ", ".join(named) + (f" and {more:,} more" if more else "")
    return f"{runs}, {len(found.unfinished):,} unfinished: resuming {listed}"


def shown(path: str) -> str:
    """Return a path as it was given, so that one in this folder looks like one."""
    return path if os.path.dirname(path) else f"./{path}"


def write_pid(path: Path) -> None:
    """Write this process's id into a file; raises Failure."""
    try:
        path.write_text(f"{os.getpid()}\n", "utf-8")
    except OSError as error:
        raise Failure(f"{path}: cannot be written: {error.strerror or error}", USAGE) from error


def forget(path: Path) -> None:
    """Remove our own pid file; another server's is left alone."""
    with suppress(OSError):
        if path.read_text("utf-8").strip() == str(os.getpid()):
            path.unlink()
