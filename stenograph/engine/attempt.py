"""One attempt at a node while it runs: the call, its time limit, its log lines."""

from __future__ import annotations

import asyncio
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from msgspec import Struct

from stenograph.engine.clock import Clock, Timer
from stenograph.engine.context import Context, LogLine
from stenograph.engine.decide import Place
from stenograph.engine.draft import Draft
from stenograph.engine.events import ErrorInfo
from stenograph.engine.threads import Job, Threads
from stenograph.engine.tools import Tool

LOG_WAIT_S: Final = 0.1
LOG_FLUSH_BYTES: Final = 64 * 1024
LOG_BUFFER_LINES: Final = 10_000
MESSAGE_MAX_CHARS: Final = 4_096
TRACEBACK_MAX_CHARS: Final = 16_384


class Returned(Struct, frozen=True):
    """The tool came back with a value."""

    value: Any


class Raised(Struct, frozen=True):
    """The tool raised, or ran out of time; ``types`` are the error's type and its bases."""

    error: ErrorInfo
    types: tuple[str, ...]
    timed_out: bool = False


Result: TypeAlias = Returned | Raised


class Attempt:
    """Calls a tool once; tells ``settled`` its result, or nothing once it was abandoned.

    Sync tools run in a thread, async ones as a task of the loop. Whatever a tool raises, SystemExit
    included, is a result.
    """

    def __init__(
        self,
        place: Place,
        tool: Tool | None,
        draft: Draft,
        config: dict[str, Any],
        *,
        run_id: str,
        timeout_s: float,
        clock: Clock,
        threads: Threads,
        settled: Callable[[Attempt, Result], None],
        said: Callable[[Attempt], None],
    ) -> None:
        self.place, self.draft = place, draft
        self.started_us = clock.now_us()
        self.task: asyncio.Task[None] | None = None
        self._tool, self._config, self._run_id = tool, config, run_id
        self._timeout_s = timeout_s
        self._clock, self._threads = clock, threads
        self._on_settled, self._on_said = settled, said
        self._loop = asyncio.get_running_loop()
        self._job: Job | None = None
        self._timers: list[Timer] = []
        self._over = False
        self._lines: list[LogLine] = []
        self._bytes = 0
        self._flushing = False
        self._unread = 0
        self._thread = threading.get_ident()

    def start(self) -> None:
        """Begin the call."""
        tool = self._tool
        if tool is None:
            self._loop.call_soon(self._settle, Returned(None))
            return
        self._timers.append(self._clock.call_later(self._timeout_s, self._time_out))
        if tool.is_async:
            self.task = self._loop.create_task(self._call_async(tool))
        else:
            self._job = self._threads.submit(lambda: self._call_sync(tool))

    def abandon(self) -> None:
        """Stop what can be stopped, and drop whatever still comes of it."""
        if not self._over:
            self._finish()
            self._lines.clear()
        if self.task is not None:
            self.task.cancel()
        if self._job is not None:
            self._threads.abandon(self._job)

    def running_ms(self) -> float:
        """Return for how long the attempt has run, in milliseconds."""
        return max(0, self._clock.now_us() - self.started_us) / 1000

    def take_lines(self) -> list[LogLine]:
        """Return the log lines that wait to be written, and forget them."""
        lines, self._lines = self._lines, []
        self._bytes, self._flushing, self._unread = 0, False, 0
        return lines

    def _arguments(self, tool: Tool) -> dict[str, Any]:
        offered: dict[str, Any] = {"config": self._config, "ctx": self._context()}
        return {name: offered[name] for name in tool.extras}

    def _context(self) -> Context:
        return Context(
            run_id=self._run_id,
            scope=self.place.scope,
            node=self.place.node,
            visit=self.place.visit,
            attempt=self.place.attempt,
            now_us=self._clock.now_us,
            write=self._write,
        )

    async def _call_async(self, tool: Tool) -> None:
        try:
            value = await tool.function(self.draft, **self._arguments(tool))
        except BaseException as error:  # SystemExit in a task would end the whole process
            self._settle(raised(error))
        else:
            self._settle(Returned(value))

    def _call_sync(self, tool: Tool) -> None:
        result: Result
        try:
            result = Returned(tool.function(self.draft, **self._arguments(tool)))
        except BaseException as error:
            result = raised(error)
        self._from_thread(lambda: self._settle(result))

    def _from_thread(self, callback: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(callback)
        except RuntimeError:  # the loop is closed: nobody waits any more
            return

    def _settle(self, result: Result) -> None:
        if not self._over:
            self._finish()
            self._on_settled(self, result)

    def _finish(self) -> None:
        self._over = True
        for timer in self._timers:
            timer.cancel()

    def _time_out(self) -> None:
        error = ErrorInfo("TimeoutError", f"no result after {self._timeout_s:g} s")
        self._settle(Raised(error, ("TimeoutError",), timed_out=True))
        self.abandon()

    def _write(self, line: LogLine) -> None:
        """Buffer a line; called from whichever thread the tool is in."""
        if threading.get_ident() == self._thread:
            self._said(line)
            return
        # A thread that says more than can be written waits here; a task cannot be made to.
        while self._unread > LOG_BUFFER_LINES and not self._over:
            time.sleep(0.005)
        self._unread += 1
        self._from_thread(lambda: self._said(line))

    def _said(self, line: LogLine) -> None:
        if self._over:
            return
        self._lines.append(line)
        self._bytes += len(line.message) + len(line.fields) + 100
        if self._bytes >= LOG_FLUSH_BYTES and not self._flushing:
            self._flushing = True
            self._on_said(self)
        elif len(self._lines) == 1:
            self._timers.append(self._clock.call_later(LOG_WAIT_S, self._flush))

    def _flush(self) -> None:
        if self._lines and not self._flushing and not self._over:
            self._flushing = True
            self._on_said(self)


def raised(error: BaseException) -> Raised:
    """Return what an exception says, bounded: type, message, traceback, the names of its bases."""
    types = tuple(kind.__name__ for kind in type(error).__mro__ if kind is not object)
    frames = traceback.format_exception(type(error), error, _without_us(error))
    return Raised(
        ErrorInfo(
            types[0],
            clean(_message(error), MESSAGE_MAX_CHARS),
            clean("".join(frames)[-TRACEBACK_MAX_CHARS:], TRACEBACK_MAX_CHARS),
        ),
        types,
    )


def clean(text: str, limit: int) -> str:
    """Return text that JSON can say, cut at ``limit`` characters."""
    return text[:limit].encode("utf-8", "replace").decode()


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as broken:
        return f"(its message cannot be had: {type(broken).__name__})"


def _without_us(error: BaseException) -> Any:
    """Return the traceback from the tool's own first frame on."""
    trace = error.__traceback__
    return trace.tb_next if trace is not None and trace.tb_next is not None else trace
