"""Daemon threads of our own for sync tools: a job that will not end can be left behind."""

from __future__ import annotations

import contextvars
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

THREADS_MAX: Final = 64


class Job:
    """One call in a thread. ``function`` must not raise; it reports its outcome by itself."""

    __slots__ = ("abandoned", "context", "function", "running")

    def __init__(self, function: Callable[[], None]) -> None:
        self.function = function
        self.context = contextvars.copy_context()
        self.running = False
        self.abandoned = False


class Threads:
    """At most ``limit`` threads that serve jobs in order; an abandoned one is replaced.

    The threads are daemons: one that hangs for ever does not keep the process alive, as those of
    concurrent.futures would.
    """

    def __init__(self, limit: int = THREADS_MAX) -> None:
        self._limit = limit
        self._live = 0
        self._idle = 0
        self._closed = False
        self._jobs: deque[Job] = deque()
        self._changed = threading.Condition()

    def submit(self, function: Callable[[], None]) -> Job:
        """Queue a call; it starts when a thread is free."""
        job = Job(function)
        with self._changed:
            self._grow(len(self._jobs) + 1)
            self._jobs.append(job)
            self._changed.notify()
        return job

    def abandon(self, job: Job) -> None:
        """Give a job up: skip it if it waits; if it runs, let another thread take its place."""
        with self._changed:
            if job.abandoned:
                return
            job.abandoned = True
            if job.running:
                self._live -= 1
                with suppress(
                    RuntimeError
                ):  # no thread can be started now: the next job tries again
                    self._grow(len(self._jobs))
            elif job in self._jobs:
                self._jobs.remove(job)

    def close(self) -> None:
        """Let idle threads end; busy ones end after their job."""
        with self._changed:
            self._closed = True
            self._jobs.clear()
            self._changed.notify_all()

    def _grow(self, waiting: int) -> None:
        if waiting > self._idle and self._live < self._limit:
            threading.Thread(target=self._serve, name="stenograph-tool", daemon=True).start()
            self._live += 1

    def _serve(self) -> None:
        while (job := self._next()) is not None:
            job.context.run(job.function)
            job.function = _nothing  # whoever keeps the job need not be kept by it
            with self._changed:
                job.running = False
                if job.abandoned:
                    return  # another thread has taken this one's place
            del job  # or an idle thread would keep what its last job held

    def _next(self) -> Job | None:
        """Wait for a job; None when there will be none."""
        with self._changed:
            self._idle += 1
            while not self._jobs and not self._closed:
                self._changed.wait()
            self._idle -= 1
            if not self._jobs:
                return None
            job = self._jobs.popleft()
            job.running = True
            return job


def _nothing() -> None:
    """Take the place of a function that was called."""
