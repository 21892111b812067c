"""Worker processes for tools that compute: each can be stopped at any moment, and is replaced.

Of the pools there are, none lets a call say something while it runs, tells when it begins and stops
it alone; hence one of our own.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Final, TypeAlias

from msgspec import Struct
from msgspec.msgpack import Decoder

from stenograph.engine.executor.channel import (
    IS_WORKER,
    Begun,
    Channel,
    Finished,
    Job,
    Report,
    Said,
    pack,
)
from stenograph.engine.tools.context import LogLine
from stenograph.engine.tools.failure import Failure

IDLE_S: Final = 60.0
"""A worker without a call ends after so long."""
KILL_S: Final = 0.5
"""From SIGTERM to SIGKILL."""
EXIT_S: Final = 3.0
"""For how long a worker that ends by itself may tidy up."""

_BOOT: Final = (
    "import sys; ends = sys.argv[1:3]; sys.path[:] = sys.argv[3:]; sys.argv[1:] = []; "
    "from stenograph.engine.executor.worker import main; main(*map(int, ends))"
)


class Died(Struct, frozen=True):
    """The worker ended in the middle of the call, or could not be started."""

    message: str


Ending: TypeAlias = Finished | Failure | Died


class Call:
    """One call in a worker; the callbacks are called in a thread, ``ended`` not once abandoned."""

    __slots__ = ("abandoned", "begun", "ended", "has_begun", "job", "worker", "write")

    def __init__(
        self,
        job: Job,
        *,
        begun: Callable[[], None],
        write: Callable[[LogLine], None],
        ended: Callable[[Ending], None],
    ) -> None:
        self.job, self.begun, self.write, self.ended = job, begun, write, ended
        self.has_begun = self.abandoned = False
        self.worker: Worker | None = None


class Processes:
    """At most ``limit`` workers, by default one a processor and two at least, that serve in order.

    They start when they are needed, and end after ``idle_s`` without a call, at ``close``, and with
    this process, however it ends.
    """

    def __init__(self, limit: int | None = None, *, idle_s: float = IDLE_S) -> None:
        self._limit = limit or max(2, os.cpu_count() or 1)
        self._idle_s = idle_s
        self._idle = 0
        self._closed = False
        self._calls: deque[Call] = deque()
        self._running: set[Call] = set()
        self._threads: set[threading.Thread] = set()
        self._changed = threading.Condition()

    def submit(self, call: Call) -> None:
        """Queue a call; it begins when a worker is free."""
        if IS_WORKER.is_set():
            call.ended(Died(_NESTED))
            return
        with self._changed:
            if len(self._calls) >= self._idle and len(self._threads) < self._limit:
                thread = threading.Thread(target=self._serve, name="stenograph-worker", daemon=True)
                thread.start()
                self._threads.add(thread)
            self._calls.append(call)
            self._changed.notify()

    def abandon(self, call: Call) -> None:
        """Give a call up: skip it if it waits; if it runs, end its worker."""
        with self._changed:
            call.abandoned = True
            if call in self._calls:
                self._calls.remove(call)
            if call.worker is not None:
                call.worker.kill()

    async def close(self) -> None:
        """End all workers, and wait until they have ended."""
        with self._changed:
            self._closed = True
            self._calls.clear()
            for call in self._running:
                self.abandon(call)
            threads = list(self._threads)
            self._changed.notify_all()
        for thread in threads:
            await asyncio.to_thread(thread.join)

    def _serve(self) -> None:
        """Be the one thread that speaks with one worker."""
        worker = Worker(self._changed)
        while (call := self._next(worker)) is not None:
            ending = worker.run(call)
            with self._changed:
                self._running.discard(call)
                call.worker = None
            if not call.abandoned:
                call.ended(ending)
            del call  # or an idle thread would keep what its last call held
        worker.end(EXIT_S)
        with self._changed:
            self._threads.discard(threading.current_thread())

    def _next(self, worker: Worker) -> Call | None:
        """Wait for a call; None when there will be none for this worker."""
        with self._changed:
            self._idle += 1
            self._changed.wait_for(lambda: self._calls or self._closed, self._idle_s)
            self._idle -= 1
            if not self._calls:
                return None
            call = self._calls.popleft()
            call.worker = worker
            self._running.add(call)
            return call


class Worker:
    """One process at a time: started for a call when there is none, and used again.

    Only its thread runs calls and ends it; ``kill`` comes from others, under ``lock``. The process
    is waited for only once nobody can signal it any more, or its id could be another's.
    """

    def __init__(self, lock: threading.Condition) -> None:
        self._lock = lock
        self._link: Link | None = None

    def run(self, call: Call) -> Ending:
        """Make a call. A process that has died meanwhile, before the call began, is replaced."""
        was_there = self._link is not None
        ending = self._try(call)
        is_stale = was_there and isinstance(ending, Died) and not call.has_begun
        return self._try(call) if is_stale and not call.abandoned else ending

    def _try(self, call: Call) -> Ending:
        try:
            link = self._link or Link()
        except OSError as error:
            return Died(f"no worker process could be started: {error}")
        with self._lock:
            self._link = link
            if call.abandoned:
                return Died("the call was abandoned")
        return link.converse(call) or Died(_told(self.end(KILL_S)))

    def kill(self) -> None:
        """End the process and what it started, whatever it does."""
        if self._link is not None:
            self._link.signal(signal.SIGTERM)
            self._link.channel.hang_up()

    def end(self, patience_s: float) -> int:
        """Wait for the process to end, with force after ``patience_s``; returns its exit code."""
        with self._lock:
            link, self._link = self._link, None
        return 0 if link is None else link.end(patience_s)


class Link:
    """A running worker process and what connects it with this one; raises OSError for none."""

    def __init__(self) -> None:
        with ExitStack() as always, ExitStack() as on_failure:
            ours, theirs = socket.socketpair()
            always.callback(theirs.close)
            on_failure.callback(ours.close)
            # Nothing is written to this pipe: it closes when this process is gone.
            watched, self._life = os.pipe()
            always.callback(os.close, watched)
            on_failure.callback(os.close, self._life)
            ends = (theirs.fileno(), watched)
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _BOOT, *map(str, (*ends, *sys.path))],
                stdin=subprocess.DEVNULL,
                pass_fds=ends,
                start_new_session=True,  # a Ctrl-C in the terminal is the engine's to answer
            )
            self.channel: Channel[Report] = Channel(ours, Decoder(Report))
            on_failure.pop_all()

    def converse(self, call: Call) -> Finished | Failure | None:
        """Hand over a call and listen to its end; None when the worker is gone before that."""
        with suppress(OSError):
            self.channel.send(pack(call.job))
        while (message := self.channel.receive()) is not None:
            if isinstance(message, Begun):
                call.has_begun = True
                call.begun()
            elif isinstance(message, Said):
                for line in message.lines:
                    call.write(line)
            else:
                return message
        return None

    def signal(self, number: int) -> None:
        """Send a signal to the process and to what it started."""
        with suppress(ProcessLookupError, PermissionError):  # all of them have ended
            os.killpg(self._process.pid, number)

    def end(self, patience_s: float) -> int:
        """Hang up, wait, and return the exit code: below 0 when a signal ended it."""
        self.channel.close()
        try:
            code = self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            code = self._process.wait()
        os.close(self._life)
        return code


_NESTED: Final = (
    "this is a worker process, which starts no others: a script that runs an engine does so under "
    "if __name__ == '__main__'"
)


def _told(code: int) -> str:
    names = [each.name for each in signal.Signals if each == -code]
    return " ".join([f"the worker process ended with exit code {code}", *map("({})".format, names)])
