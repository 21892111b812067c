"""A server in this process: what it says at the start, and what it leaves behind at the end."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, Final, Literal, NoReturn

from msgspec import Struct, field

import stenograph as st
from stenograph.cli.checkpointing import Checkpointing, at_the_end, now_and_then
from stenograph.cli.output import talk
from stenograph.cli.pid_file import forget, write_pid
from stenograph.cli.text import count
from stenograph.engine import Engine, Source
from stenograph.http import Settings, configure_logs, create_app, serve
from stenograph.journal import JournalError, Stream, open_journal_readonly

MEMORY: Final = ":memory:"
COUNTED_MAX: Final = 10_000
NAMED_MAX: Final = 3
STRAY_S: Final = 1.0
"""How long what is left of tools may take to end, once the journal is closed."""
UNFINISHED: Final = ("cancelling", "running")
YOUNG_MAX: Final = 10_000
"""How many new objects there may be before the garbage collector looks at them. Of its own 700 most
are still in use when it looks, by the runs and requests under way: a waste of a tenth of all time."""


class Found(Struct):
    """What a journal's file holds before it is opened: how many runs, and which go on."""

    runs: int = 0
    unfinished: list[Stream] = []


class Serving(Struct):
    """A server to be: where it listens, and on which journal it stands."""

    path: str
    tools: Sequence[Source]
    data: str | None
    host: str
    port: int
    durability: Literal["full", "normal"]
    pid_file: str | None
    quiet: bool
    settings: Settings
    checkpoints: Checkpointing | None = None
    hidden: Sequence[str] = ()
    found: Found = field(default_factory=Found)
    left: Found = field(default_factory=Found)

    def run(self) -> None:
        """Serve until a signal. Raises CannotOpen, PortInUse, ToolRefused, DataRefused, Failure."""
        configure_logs(self.settings)
        with handling_signals(self.leave_at_once):  # a server that is up takes the first one
            try:
                app = create_app(self.engine, self.settings)
                clean = run_to_end(serve(app, self.host, self.port, started=self.started))
            finally:
                self.forget_pid()
            if not clean:  # pragma: no cover - as below
                self.say(
                    "A tool, or what sends traces, did not end when told to: it goes with this process"
                )
            if self.left.unfinished:
                self.say(f"At the next start {going_on(self.left)}")
            self.say("Stopped.")
            if not clean:  # pragma: no cover - ends the process before it is recorded
                leave(0)

    @asynccontextmanager
    async def engine(self) -> AsyncIterator[Engine]:
        """Open the engine, having looked at what it will find; then look at what it leaves."""
        self.found = Found() if is_new(self.path) else await look(self.path)
        opened = st.open(
            self.path,
            tools=self.tools,
            durability=self.durability,
            data=self.data,
            bounds=self.settings.bounds,
            traced=self.settings.tracing,
            hidden=self.hidden,
        )
        async with at_the_end(self.checkpoints), opened as engine, now_and_then(self.checkpoints):
            yield engine
        if not self.quiet and not is_new(self.path):
            with suppress(JournalError, OSError):  # no reason to fail at the end
                self.left = await look(self.path)

    def started(self, url: str, engine: Engine) -> None:
        """Say where the server is, on what it stands, and which runs go on."""
        gc.freeze()  # what a start has made stays, and need never be looked through
        gc.set_threshold(YOUNG_MAX, *gc.get_threshold()[1:])
        gc.enable()
        if self.pid_file is not None:
            write_pid(Path(self.pid_file))
        self.say(f"Stenograph {st.__version__}")
        if self.data is not None:
            self.say(f"Tools may read files in {shown(self.data)}")
        self.say(f"Listening on {url}  docs at /docs")
        if self.settings.tokens is not None:
            self.say(f"Tokens {shown(self.settings.tokens)}: nobody is served without one")
        elif self.settings.hosts is None:
            self.say("Without tokens: whoever reaches this may do everything")
        if self.path == MEMORY:
            self.say("Journal in memory: it goes when the server stops")
            self.say("Stop with Ctrl-C.")
        else:
            self.say(f"Journal {shown(self.path)} ({told(self.found)})")
            self.say("Stop with Ctrl-C; nothing is lost.")

    def leave_at_once(  # pragma: no cover - ends the process before it is recorded
        self, number: int, frame: FrameType | None
    ) -> None:
        """Wait for nothing more: a signal came before the server was up, or a second one."""
        self.forget_pid()
        leave(128 + number)

    def forget_pid(self) -> None:
        """Remove the pid file, when there is one."""
        if self.pid_file is not None:
            forget(Path(self.pid_file))

    def say(self, text: str) -> None:
        """Say something on stderr."""
        if not self.quiet:
            talk(text)


@contextmanager
def handling_signals(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Let SIGTERM and SIGINT call ``handler``."""
    before = {each: signal.signal(each, handler) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for each, former in before.items():
            signal.signal(each, former)


def run_to_end(main: Coroutine[Any, Any, None]) -> bool:
    """Run as ``asyncio.run`` does, but wait for leftovers only a while; tell whether all ended.

    A tool may swallow its cancellation: ``asyncio.run`` would wait for it for ever.
    """
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(main)
    finally:
        clean = loop.run_until_complete(let_go())
        if clean:  # pragma: no branch - if not, the process ends before it is recorded
            loop.run_until_complete(loop.shutdown_asyncgens())
            asyncio.set_event_loop(None)
            loop.close()
    return clean and threads_end()


async def let_go() -> bool:
    """Cancel all other tasks, and tell whether they ended in the time they have."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()  # pragma: no cover - as above
    pending = (await asyncio.wait(tasks, timeout=STRAY_S))[1] if tasks else set()
    return not pending


def threads_end() -> bool:
    """Tell whether all threads end, for which they have a while: some only just let go of a file."""
    end = time.monotonic() + STRAY_S
    for thread in filter(holds_up, threading.enumerate()):
        thread.join(max(0.0, end - time.monotonic()))
    return not any(map(holds_up, threading.enumerate()))


def holds_up(thread: threading.Thread) -> bool:
    """Tell whether the interpreter would wait for a thread before it ends."""
    return not thread.daemon and thread is not threading.main_thread()


def leave(code: int) -> NoReturn:  # pragma: no cover - ends the process
    """End the process without waiting for anything that still runs in it."""
    with suppress(OSError, ValueError, RuntimeError):  # closed, or in the midst of a write
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


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
    return f"{runs}, {len(found.unfinished):,} unfinished: resuming {listed(found)}"


def going_on(found: Found) -> str:
    """Return what is taken up later, in words: ``1 unfinished run goes on: r-1 after 61``."""
    runs = count(len(found.unfinished), "unfinished run")
    return f"{runs} {'goes' if len(found.unfinished) == 1 else 'go'} on: {listed(found)}"


def listed(found: Found) -> str:
    """Return which runs are unfinished: the first of them by name, and how many more."""
    named = [f"{each.run_id} after {each.head}" for each in found.unfinished[:NAMED_MAX]]
    more = len(found.unfinished) - len(named)
    return ", ".join(named) + (f" and {more:,} more" if more else "")


def shown(path: str) -> str:
    """Return a path as it was given, so that one in this folder looks like one."""
    return path if os.path.dirname(path) else f"./{path}"
