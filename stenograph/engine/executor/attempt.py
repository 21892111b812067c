"""One attempt at a node while it runs: the call, its time limit, its log lines."""

from __future__ import annotations

import asyncio
import copy
import inspect
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeAlias, assert_never, cast

import msgspec
from msgspec import UNSET, Struct

from stenograph.engine.clock import Clock, Timer
from stenograph.engine.core.commands import Place
from stenograph.engine.core.events import ErrorInfo
from stenograph.engine.executor.channel import Finished, Job
from stenograph.engine.executor.gates import Gates, Leave
from stenograph.engine.executor.processes import Call, Died, Ending, Processes
from stenograph.engine.executor.recordings import Recorded
from stenograph.engine.executor.threads import Job as ThreadJob
from stenograph.engine.executor.threads import Threads
from stenograph.engine.executor.time_limits import TimeLimits
from stenograph.engine.tools.context import Context, Level, LogLine
from stenograph.engine.tools.draft import Draft
from stenograph.engine.tools.failure import Failure, failure_of
from stenograph.engine.tools.lines import Lines, call_on
from stenograph.engine.tools.site import Site
from stenograph.engine.tools.targets import target_of
from stenograph.engine.tools.tools import Goto, Tool
from stenograph.engine.values import encode


class Returned(Struct, frozen=True):
    """The tool came back with a value."""

    value: Any


class Raised(Struct, frozen=True):
    """The tool raised, or ran out of time; ``types`` are the error's type and its bases."""

    error: ErrorInfo
    types: tuple[str, ...]
    timed_out: bool = False


class Recalled(Struct, frozen=True):
    """The tool was not called: this is what came of the same attempt in a recording."""

    recorded: Recorded


Result: TypeAlias = Returned | Raised | Recalled


class Attempt:
    """Calls a tool once; tells ``settled`` its result, or nothing once it was abandoned.

    Sync tools run in a thread or, if they say so, in one of ``processes``, which is needed for them
    alone; async ones as a task of the loop. Whatever a tool raises, SystemExit included, is a
    result. ``said`` is told when log lines should be taken. A tool with a limit or a rate first
    waits at its gate, when there are ``gates``.
    """

    def __init__(
        self,
        site: Site,
        tool: Tool | None,
        draft: Draft,
        config: dict[str, Any],
        *,
        timeout_s: float,
        clock: Clock,
        limits: TimeLimits,
        threads: Threads,
        settled: Callable[[Attempt, Result], None],
        said: Callable[[Attempt], None],
        processes: Processes | None = None,
        gates: Gates | None = None,
    ) -> None:
        self.place = Place(site.scope, site.node, site.visit, site.attempt)
        self.draft = draft
        self.started_us = clock.monotonic_us()
        self.task: asyncio.Task[None] | None = None
        self._site, self._tool, self._config = site, tool, config
        self._timeout_s, self._limits = timeout_s, limits
        self._clock, self._threads, self._on_settled = clock, threads, settled
        self._processes, self._gates = processes, gates
        self._loop = asyncio.get_running_loop()
        self._said = said
        self._lines: Lines | None = None
        if tool is not None and (tool.process or "ctx" in tool.extras):
            self._may_speak()  # now: who speaks may do so from a thread
        self._job: ThreadJob | None = None
        self._process_call: Call | None = None
        self._leave: Leave | None = None
        self._timer: Timer | None = None
        self._over = False

    def start(self) -> None:
        """Begin the call."""
        tool = self._tool
        if tool is None:
            self._loop.call_soon(self._settle, Returned(None))
            return
        if self._gates is None:
            self._launch(tool)
        else:
            self._leave = self._gates.enter(tool, partial(self._pass, tool))

    def recall(
        self, read: Callable[[], Awaitable[Recorded | None]], begin: Callable[[], None]
    ) -> None:
        """Come to a recorded result, and say what was said then, without a call.

        ``begin`` is called where it cannot be read any more, None.
        """
        self.task = self._loop.create_task(self._recalled(read, begin))

    async def _recalled(
        self, read: Callable[[], Awaitable[Recorded | None]], begin: Callable[[], None]
    ) -> None:
        try:
            recorded = await read()
        except Exception as error:
            self._settle(raised(error))
            return
        if recorded is None:
            begin()
            return
        for line in recorded.logs:
            fields = b"" if line.fields is UNSET else bytes(line.fields)
            level = cast("Level", line.level)
            self._may_speak().put(LogLine(self._clock.now_us(), level, line.message, fields))
        self._settle(Recalled(recorded))

    def _pass(self, tool: Tool) -> None:
        """Begin the call behind a gate, which must not be troubled if that cannot be done."""
        try:
            self._launch(tool)
        except Exception as error:
            self._loop.call_soon(self._settle, raised(error))

    def _launch(self, tool: Tool) -> None:
        if tool.is_async:
            self._begin_to_count()
            self._await(lambda: self._call(tool))
        elif tool.process:
            assert self._processes is not None
            self._process_call = self._call_in_process(tool)
            self._processes.submit(self._process_call)
        else:
            self._job = self._threads.submit(lambda: self._call_in_thread(tool))

    def _begin_to_count(self) -> None:
        """Count time from here on: that of waiting for a gate, a thread or a worker is not the tool's."""
        if not self._over:
            self.started_us = self._clock.monotonic_us()
            self._timer = self._limits.set(self._timeout_s, self._time_out)

    def abandon(self) -> None:
        """Stop what can be stopped, and drop whatever still comes of it."""
        if not self._over:
            self._finish()
            self.take_lines()
        if self.task is not None:
            self.task.cancel()
        if self._job is not None:
            self._threads.abandon(self._job)
        if self._process_call is not None and self._processes is not None:
            self._processes.abandon(self._process_call)

    def running_ms(self) -> float:
        """Return for how long the attempt has run, in milliseconds."""
        return (self._clock.monotonic_us() - self.started_us) / 1000

    def take_lines(self) -> list[LogLine]:
        """Return the log lines that wait to be written, and forget them."""
        return [] if self._lines is None else self._lines.take()

    def _call(self, tool: Tool) -> Any:
        offered = {"config": self._own_config, "ctx": self._context}
        return tool.call(self.draft, **{name: offered[name]() for name in tool.extras})

    def _own_config(self) -> dict[str, Any]:
        return copy.deepcopy(self._config)  # the graph's own, which later runs read as well

    def _context(self) -> Context:
        return Context(self._site, now_us=self._clock.now_us, write=self._may_speak().put)

    def _may_speak(self) -> Lines:
        """Return what takes the lines of who has something to say, made once on the loop."""
        if self._lines is None:
            self._lines = Lines(self._clock, lambda: self._said(self))
        return self._lines

    def _call_in_thread(self, tool: Tool) -> None:
        call_on(self._loop, self._begin_to_count)
        try:
            back = partial(self._came_back, self._call(tool))
        except BaseException as error:
            back = partial(self._settle, raised(error))
        call_on(self._loop, back)

    def _call_in_process(self, tool: Tool) -> Call:
        job = Job(
            target=target_of(tool.name, tool.function),
            path=[str(each) for each in sys.path],
            tool=tool.name,
            version=tool.version,
            extras=tool.extras,
            state=encode(self.draft),
            config=encode(self._config),
            site=self._site,
        )
        return Call(
            job,
            begun=lambda: call_on(self._loop, self._begin_to_count),
            write=self._may_speak().put,
            ended=lambda ending: call_on(self._loop, partial(self._process_ended, ending)),
        )

    def _process_ended(self, ending: Ending) -> None:
        if self._over:
            return
        self._process_call = None
        match ending:
            case Finished():
                self._settle(Returned(_redone(ending, self.draft)))
            case Failure(types=types, message=message, traceback=traceback):
                self._settle(Raised(ErrorInfo(types[0], message, traceback), types))
            case Died(message=message):
                self._settle(Raised(ErrorInfo("ProcessDied", message), ("ProcessDied",)))
            case _:
                assert_never(ending)

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
            if self._over:
                return  # nobody will read it
            result = raised(error)
        self._settle(result)

    def _settle(self, result: Result) -> None:
        if not self._over:
            self._finish()
            self._on_settled(self, result)

    def _finish(self) -> None:
        self._over = True
        if self._lines is not None:
            self._lines.close()
        if self._timer is not None:
            self._timer.cancel()
        if self._leave is not None:
            self._leave()

    def _time_out(self) -> None:
        error = ErrorInfo("TimeoutError", f"no result after {self._timeout_s:g} s")
        self._settle(Raised(error, ("TimeoutError",), timed_out=True))
        self.abandon()


def _redone(ending: Finished, draft: Draft) -> Any:
    """Do to a draft what a tool did to its dict in another process; return what it returned."""
    for key in ending.gone:
        draft.pop(key, None)
    draft.update({key: msgspec.json.decode(data) for key, data in ending.changed.items()})
    if ending.other:
        return type(ending.other, (), {})()  # its type alone is known: nothing a tool may return
    update = {key: msgspec.json.decode(data) for key, data in ending.returned.items()}
    return update if ending.goto is None else Goto(ending.goto, update)


def raised(error: BaseException) -> Raised:
    """Return what an exception says, bounded: type, message, traceback, the names of its bases."""
    told = failure_of(error)
    return Raised(ErrorInfo(told.types[0], told.message, told.traceback), told.types)
