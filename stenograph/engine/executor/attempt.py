"""One attempt at a node while it runs: the call, its time limit, its log lines."""

from __future__ import annotations

import asyncio
import copy
import inspect
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias, assert_never, cast

import msgspec
from msgspec import UNSET, Struct

from stenograph.engine.core.commands import Place
from stenograph.engine.core.events import ErrorInfo
from stenograph.engine.executor.channel import Finished, Job
from stenograph.engine.executor.gates import Leave
from stenograph.engine.executor.processes import Call, Died, Ending
from stenograph.engine.executor.recordings import Recorded
from stenograph.engine.executor.threads import Job as ThreadJob
from stenograph.engine.executor.time_limits import Line
from stenograph.engine.tools.context import Context, Level, LogLine
from stenograph.engine.tools.draft import Draft
from stenograph.engine.tools.failure import Failure, failure_of
from stenograph.engine.tools.lines import Lines, call_on
from stenograph.engine.tools.site import Site
from stenograph.engine.tools.targets import target_of
from stenograph.engine.tools.tools import Goto, Tool
from stenograph.engine.values import encode

if TYPE_CHECKING:
    from stenograph.engine.executor.world import World

WAITING_LOOK_US: Final = 10_000
"""How often at most it is looked whether a tool that waits for a thread or a worker has begun."""


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

    Sync tools run in a thread or, if they say so, in a process; async ones as a task of the loop.
    Whatever a tool raises, SystemExit included, is a result. ``said`` is told when log lines should
    be taken. A tool with a limit or a rate first waits at its gate. ``site`` is asked for when the
    tool is to know where it is called. ``is_pure``: nothing but its result comes of it.
    """

    draft: Draft
    """What the tool is given; there from ``start`` on."""

    def __init__(
        self,
        place: Place,
        tool: Tool | None,
        config: dict[str, Any],
        timeout_s: float,
        world: World,
        *,
        site: Callable[[], Site],
        settled: Callable[[Attempt, Result], None],
        said: Callable[[Attempt], None],
        is_pure: bool = False,
    ) -> None:
        self.place, self.tool, self.is_pure = place, tool, is_pure
        self.started_us = world.clock.monotonic_us()
        self.has_begun = False
        """Whether the tool was called: its time counts from then, and that of waiting is not its own."""
        self.task: asyncio.Task[None] | None = None
        self._site, self._config, self._timeout_s = site, config, timeout_s
        self._world, self._clock = world, world.clock
        self._on_settled, self._said = settled, said
        self._loop = asyncio.get_running_loop()
        self._lines: Lines | None = None
        if tool is not None and (tool.process or "ctx" in tool.extras):
            self._may_speak()  # now: who speaks may do so from a thread
        self._job: ThreadJob | None = None
        self._process_call: Call | None = None
        self._leave: Leave | None = None
        self._limit: Line | None = None
        self._over = False

    def start(self, draft: Draft) -> None:
        """Begin the call."""
        self.draft = draft
        tool = self.tool
        if tool is None:
            self._loop.call_soon(self._settle, Returned(None))
        elif tool.is_gated:
            self._leave = self._world.gates.enter(tool, partial(self._launch, tool))
        else:
            self._launch(tool)

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

    def _launch(self, tool: Tool) -> None:
        """Have the tool called; a gate must not be troubled if that cannot be done."""
        try:
            if tool.is_async:
                self._begin()
                self.task = self._loop.create_task(self._run(self._call))
            elif tool.process:
                self._process_call = self._call_in_process(tool)
                self._world.processes.submit(self._process_call)
            else:
                self._job = self._world.threads.submit(self._call_in_thread)
        except Exception as error:
            self._loop.call_soon(self._settle, raised(error))
        else:
            self._limit = self._world.limits.set(self._timeout_s, self._time_out)

    def _begin(self) -> None:
        """Count time from here on; from any thread."""
        self.started_us = self._clock.monotonic_us()
        self.has_begun = True

    def abandon(self) -> None:
        """Stop what can be stopped, and drop whatever still comes of it."""
        if not self._over:
            self._finish()
            self.take_lines()
        if self.task is not None:
            self.task.cancel()
        if self._job is not None:
            self._world.threads.abandon(self._job)
            self._job = None
        if self._process_call is not None:
            self._world.processes.abandon(self._process_call)
            self._process_call = None

    def running_ms(self) -> float:
        """Return for how long the attempt has run, in milliseconds."""
        return (self._clock.monotonic_us() - self.started_us) / 1000

    def take_lines(self) -> list[LogLine]:
        """Return the log lines that wait to be written, and forget them."""
        return [] if self._lines is None else self._lines.take()

    def _call(self) -> Any:
        tool = self.tool
        assert tool is not None, "without a tool nothing is called"
        if not tool.extras:
            return tool.call(self.draft)
        offered = {"config": self._own_config, "ctx": self._context}
        return tool.call(self.draft, **{name: offered[name]() for name in tool.extras})

    def _own_config(self) -> dict[str, Any]:
        return copy.deepcopy(self._config)  # the graph's own, which later runs read as well

    def _context(self) -> Context:
        return Context(self._site(), now_us=self._clock.now_us, write=self._may_speak().put)

    def _may_speak(self) -> Lines:
        """Return what takes the lines of who has something to say, made once on the loop."""
        if self._lines is None:
            self._lines = Lines(self._clock, lambda: self._said(self))
        return self._lines

    def _call_in_thread(self) -> None:
        self._begin()
        try:
            back = partial(self._came_back, self._call())
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
            site=self._site(),
            state_bytes=self._world.bounds.state_bytes,
        )
        return Call(
            job,
            begun=self._begin,
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
            self.task = self._loop.create_task(self._run(lambda: value))
        elif inspect.iscoroutine(value):
            value.close()

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
        if self._limit is not None:
            self._limit.lift(self._time_out)
        if self._leave is not None:
            self._leave()

    def _time_out(self) -> None:
        """End the attempt, or look again if it began after its limit was set."""
        if (left_us := self._left_us()) > 0:
            self._limit = self._world.limits.set(left_us / 1_000_000, self._time_out)
            return
        error = ErrorInfo("TimeoutError", f"no result after {self._timeout_s:g} s")
        self._settle(Raised(error, ("TimeoutError",), timed_out=True))
        self.abandon()

    def _left_us(self) -> int:
        """Return after how long to look whether the time is up; 0 or less when it is."""
        limit_us = round(self._timeout_s * 1_000_000)
        if not self.has_begun:  # all of it is left, and many with a short one may wait for a thread
            return max(limit_us, WAITING_LOOK_US)
        return limit_us - (self._clock.monotonic_us() - self.started_us)


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
