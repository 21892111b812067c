"""The lag of the event loop: how late it comes to what is due. All that is served waits for as long."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from stenograph.journal import Histogram

EVERY_S: Final = 0.5
RECENT: Final = 10
"""How many measurements are recent: those of five seconds."""
LAG_S: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


class LoopLag:
    """Measures, twice a second, how late the loop is; ``seconds`` has them all since the start."""

    def __init__(self) -> None:
        self.seconds = Histogram(LAG_S)
        self._recent: deque[float] = deque(maxlen=RECENT)
        self._timer: asyncio.TimerHandle

    @property
    def worst_s(self) -> float:
        """The worst lag of the last few seconds."""
        return max(self._recent, default=0.0)

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Measure until the end of the block."""
        self._begin()
        try:
            yield
        finally:
            self._timer.cancel()

    def add(self, lag_s: float) -> None:
        """Take in by how much the loop was late."""
        self.seconds.add(lag_s)
        self._recent.append(lag_s)

    def _begin(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(EVERY_S, self._look, loop.time() + EVERY_S)

    def _look(self, due_s: float) -> None:
        self.add(max(0.0, asyncio.get_running_loop().time() - due_s))
        self._begin()
