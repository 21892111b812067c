"""What a tool has said and the journal has not: log lines on their way from any thread to the loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from stenograph.engine.clock import Clock, Timer
from stenograph.engine.tools.context import LogLine, add

WAIT_S: Final = 0.1
FLUSH_BYTES: Final = 64 * 1024
WAITING_MAX_BYTES: Final = 16 * 1024 * 1024
"""When so much waits to be written, a thread that says more waits as well."""


class Lines:
    """Keeps lines in their order, and tells ``ready`` on the loop when they should be taken.

    That is 100 ms after the first or, if sooner, when they come to 64 KiB; then not again until
    ``take``. Of lines of progress in a row the latest is kept.
    """

    def __init__(self, clock: Clock, ready: Callable[[], None]) -> None:
        self._clock, self._ready = clock, ready
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._lock = threading.Lock()
        self._room: threading.Condition | None = None
        """What threads wait for that found none, once there was such a one."""
        self._lines: list[LogLine] = []
        self._bytes = 0
        self._left_out = 0
        self._closed = False
        self._timer: Timer | None = None
        self._announced = False

    def put(self, line: LogLine) -> None:
        """Add a line, from any thread; dropped once ``close`` was called."""
        on_loop = threading.get_ident() == self._loop_thread
        with self._lock:
            while self._is_full(line) and not on_loop and not self._closed:
                self._wait_for_room()
            if self._closed:
                return
            if self._is_full(line):
                self._left_out += 1  # a task cannot be made to wait here: nobody would take
                return
            before = self._bytes
            self._bytes += add(self._lines, line)
            tell = before == 0 or before < FLUSH_BYTES <= self._bytes
        if tell and on_loop:
            self._look()
        elif tell:
            call_on(self._loop, self._look)

    def take(self) -> list[LogLine]:
        """Return the lines that wait to be written, and forget them."""
        if not self._bytes and not self._left_out:
            return []
        with self._lock:
            lines, self._lines = self._lines, []
            if self._left_out:
                note = f"{self._left_out:,} lines were left out: they came faster than written"
                lines.append(LogLine(self._clock.now_us(), "warning", note, b""))
            self._bytes = self._left_out = 0
            self._make_room()
        self._announced = False
        self._stop_timer()
        return lines

    def close(self) -> None:
        """Let nobody add to the lines any more; those that are there can still be taken."""
        with self._lock:
            self._closed = True
            self._make_room()
        self._stop_timer()
        self._ready = _nobody  # who is told holds on to these lines himself

    def _wait_for_room(self) -> None:
        if self._room is None:
            self._room = threading.Condition(self._lock)
        self._room.wait()

    def _make_room(self) -> None:
        if self._room is not None:
            self._room.notify_all()

    def _is_full(self, line: LogLine) -> bool:
        """Tell whether there is no room for a line; one of progress takes none that counts."""
        return self._bytes >= WAITING_MAX_BYTES and not line.is_progress

    def _look(self) -> None:
        """Tell that there are lines: now if they are many, else soon."""
        if self._closed or self._announced or not self._lines:
            return
        if self._bytes >= FLUSH_BYTES:
            self._announce()
        elif self._timer is None:
            self._timer = self._clock.call_later(WAIT_S, self._announce)

    def _announce(self) -> None:
        self._stop_timer()
        self._announced = True
        self._ready()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _nobody() -> None:
    """Be told in place of who does not listen any more."""


def call_on(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    """Call ``callback`` on the loop, from any thread; nobody is called once the loop is closed."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(callback)
