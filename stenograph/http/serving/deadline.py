"""A deadline that is moved all the time and passes nearly never: one timer for many of its times."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Deadline:
    """Calls ``late`` once ``patience_s`` have gone by since ``begin`` without an ``end``.

    Its timer is left alone when the deadline moves, and looks when it fires whether there is still
    one: beginning and ending cost no timer, so they may stand where every request comes by.
    """

    __slots__ = ("_due", "_late", "_loop", "_patience_s", "_timer")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, patience_s: float, late: Callable[[], None]
    ) -> None:
        self._loop, self._patience_s, self._late = loop, patience_s, late
        self._due: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, within_s: float | None = None) -> None:
        """Set it anew, from now on; ``within_s`` is another time than the usual one."""
        patience_s = self._patience_s if within_s is None else within_s
        self._due = due = self._loop.time() + patience_s
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(due, self._look)

    def end(self) -> None:
        """Take it back."""
        self._due = None

    def close(self) -> None:
        """Take it back for good, and its timer with it, and whom it would tell."""
        self._due = None
        self._late = _nobody  # it mostly belongs to whom it tells: a cycle costs a collection
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        if self._due is None:
            return
        if self._due > self._loop.time():
            self._timer = self._loop.call_at(self._due, self._look)
            return
        self._due = None
        self._late()


def _nobody() -> None:
    """Be told."""
