"""One attempt at a node while it runs: the call, its time limit, its log lines."""

from __future__ import annotations

import asyncio
import copy
import inspect
import os
import traceback
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, TypeAlias

from msgspec import Struct

from stenograph.engine.clock import Clock, Timer
from stenograph.engine.context import Context, LogLine
from stenograph.engine.decide import Place
from stenograph.engine.draft import Draft
from stenograph.engine.events import ErrorInfo
from stenograph.engine.lines import Lines, call_on
from stenograph.engine.threads import Job, Threads
from stenograph.engine.tools import Tool
from stenograph.engine.values import clean

TYPE_MAX_CHARS: Final = 200
_HERE: Final = os.path.dirname(__file__) + os.sep
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
    included, is a result. ``said`` is told when log lines should be taken.
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
        self.started_us = clock.monotonic_us()
        self.task: asyncio.Task[None] | None = None
        self._tool, self._config, self._run_id = tool, config, run_id
        self._timeout_s = timeout_s
        self._clock, self._threads, self._on_settled = clock, threads, settled
        self._loop = asyncio.get_running_loop()
        self._lines = Lines(clock, lambda: said(self))
        self._job: Job | None = None
        self._timer: Timer | None = None
        self._over = False

    def start(self) -> None:
        """Begin the call."""
        tool = self._tool
        if tool is None:
            self._loop.call_soon(self._settle, Returned(None))
            return
        if tool.is_async:
            self._begin_to_count()
            self._await(lambda: self._call(tool))
        else:
            self._job = self._threads.submit(lambda: self._call_in_thread(tool))

    def _begin_to_count(self) -> None:
        """Count time from here on: that of waiting for a free thread is not the tool's."""
        if not self._over:
            self.started_us = self._clock.monotonic_us()
            self._timer = self._clock.call_later(self._timeout_s, self._time_out)

    def abandon(self) -> None:
        """Stop what can be stopped, and drop whatever still comes of it."""
        if not self._over:
            self._finish()
            self._lines.take()
        if self.task is not None:
            self.task.cancel()
        if self._job is not None:
            self._threads.abandon(self._job)

    def running_ms(self) -> float:
        """Return for how long the attempt has run, in milliseconds."""
        return (self._clock.monotonic_us() - self.started_us) / 1000

    def take_lines(self) -> list[LogLine]:
        """Return the log lines that wait to be written, and forget them."""
        return self._lines.take()

    def _call(self, tool: Tool) -> Any:
        offered = {"config": self._own_config, "ctx": self._context}
        return tool.function(self.draft, **{name: offered[name]() for name in tool.extras})

    def _own_config(self) -> dict[str, Any]:
        return copy.deepcopy(self._config)  # the graph's own, which later runs read as well

    def _context(self) -> Context:
        return Context(
            run_id=self._run_id,
            scope=self.place.scope,
            node=self.place.node,
            visit=self.place.visit,
            attempt=self.place.attempt,
            now_us=self._clock.now_us,
            write=self._lines.put,
        )

    def _call_in_thread(self, tool: Tool) -> None:
        call_on(self._loop, self._begin_to_count)
        try:
            back = partial(self._came_back, self._call(tool))
        except BaseException as error:
            back = partial(self._settle, raised(error))
        call_on(self._loop, back)

    def _came_back(self, value: Any) -> None:
        """Settle; or, when a plain function wrapped an async one, await what it returned."""
        if not inspect.isawaitable(value):
            self._settle(Returned(value))
        elif not self._over:
            self._await(lambda: value)
        elif inspect.iscoroutine(value):
            value.close()

    def _await(self, call: Callable[[], Awaitable[Any]]) -> None:
        self.task = self._loop.create_task(self._run(call))

    async def _run(self, call: Callable[[], Awaitable[Any]]) -> None:
        result: Result
        try:
            result = Returned(await call())
        except BaseException as error:  # SystemExit in a task would end the whole process
            result = raised(error)
        self._settle(result)

    def _settle(self, result: Result) -> None:
        if not self._over:
            self._finish()
            self._on_settled(self, result)

    def _finish(self) -> None:
        self._over = True
        self._lines.close()
        if self._timer is not None:
            self._timer.cancel()

    def _time_out(self) -> None:
        error = ErrorInfo("TimeoutError", f"no result after {self._timeout_s:g} s")
        self._settle(Raised(error, ("TimeoutError",), timed_out=True))
        self.abandon()


def raised(error: BaseException) -> Raised:
    """Return what an exception says, bounded: type, message, traceback, the names of its bases."""
    kinds = [kind for kind in type(error).__mro__ if kind is not object]
    types = tuple(clean(kind.__name__, TYPE_MAX_CHARS) for kind in kinds)
    message = _asked(lambda: clean(str(error), MESSAGE_MAX_CHARS), "message")
    trace = _asked(lambda: clean(_traceback(error), TRACEBACK_MAX_CHARS), "traceback")
    return Raised(ErrorInfo(types[0], message, trace), types)


def _traceback(error: BaseException) -> str:
    """Return the end of the traceback, from the tool's own first frame on."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_HERE):
        trace = trace.tb_next
    lines = traceback.format_exception(type(error), error, trace)
    return "".join(lines)[-TRACEBACK_MAX_CHARS:]


def _asked(ask: Callable[[], str], what: str) -> str:
    """Return what an exception answers: it is a tool's own class, and may do anything instead."""
    try:
        return ask()
    except BaseException as broken:
        return f"(its {what} cannot be had: {type(broken).__name__})"
