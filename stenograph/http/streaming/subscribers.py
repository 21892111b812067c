"""Subscribers: how many follow at a time, over sockets and streams, and how many were too slow."""

from __future__ import annotations

import asyncio

from stenograph.http.errors import Refused


class Subscribers:
    """Counts who follows. ``now``: so many, ``most`` at most; ``slow``: so many were let go so far.

    Slow is whoever does not take in time what it is sent: a socket, or the client of any answer.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.now = 0
        self.slow = 0

    def enter(self) -> None:
        """Count the client that this task serves, until the task ends; raises Refused.

        A stream is not begun by the handler that answers with it, and is perhaps never begun; the
        task in which the server serves a client always ends.
        """
        if self.now >= self.most:
            detail = f"{self.most:,} subscribers follow already, which is as many as may"
            raise Refused("too-many-subscribers", detail)
        task = asyncio.current_task()
        assert task is not None, "a handler runs in a task"
        self.now += 1
        task.add_done_callback(self._left)

    def _left(self, _: asyncio.Task[None]) -> None:
        self.now -= 1
