"""One event loop in one daemon thread: coroutines run there, and whoever calls waits here.

anyio's portal would do for calls that end by themselves. It repeats a cancellation at every await,
though, and so cuts off the farewell of a socket; here a call that is broken off is cancelled once,
as asyncio does, and can tidy up behind itself.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from concurrent.futures import Future, wait
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any, Final, Generic, TypeVar

from stenograph.http.shapes.refusals import ClientClosed

R = TypeVar("R")
T = TypeVar("T")

END: Final = object()


class LoopThread:
    """Begun by its making, which enters ``resource`` in the loop; may be shared by threads.

    ``close`` breaks off what is under way, with ClientClosed where it is waited for, and leaves
    ``resource``. A process that ends does not wait for it.
    """

    def __init__(self, resource: AbstractAsyncContextManager[Any], name: str) -> None:
        self._resource = resource
        self._calls: set[asyncio.Task[Any]] = set()
        self._farewells: set[asyncio.Task[None]] = set()
        self._streams: set[AsyncGenerator[Any, None]] = set()
        self._closed = False
        self._pid = os.getpid()
        # Reentrant: the collector may drop an iterator, and so close it, in the midst of a call.
        self._lock = threading.RLock()
        ready: Future[None] = Future()
        self._ended: Future[None] = Future()
        self._thread = threading.Thread(target=self._live, args=[ready], name=name, daemon=True)
        self._thread.start()
        ready.result()

    def run(self, begin: Callable[[], Coroutine[Any, Any, R]]) -> R:
        """Run a coroutine to its end and return its result; Ctrl-C cancels it.

        Raises ClientClosed, and RuntimeError in a thread with an event loop of its own, which would
        stand still meanwhile, and in a process that was forked, where the thread is none.
        """
        self._refuse_after_a_fork()
        refuse_in_an_event_loop()
        with self._lock:
            self._check_open()
            call = Call(begin(), self._calls)
            self._loop.call_soon_threadsafe(call.begin)
        try:
            return call.outcome.result()
        except BaseException:
            if not call.outcome.done():
                self._loop.call_soon_threadsafe(call.cancel)
                wait([call.outcome])
            raise

    def each(self, begin: Callable[[], AsyncGenerator[T, None]]) -> Generator[T, None, None]:
        """Return an iterator over an asynchronous one, which is closed when this one is left."""
        self._refuse_after_a_fork()
        refuse_in_an_event_loop()
        self._check_open()
        return self._each(begin())

    def close(self) -> None:
        """Break off what is under way and end; a second time changes nothing.

        Raises what the leaving of ``resource`` raises. In the loop's own thread it does not wait, and
        in a process that was forked it does nothing: the loop is its parent's.
        """
        if self._is_forked:
            return
        with self._lock:
            if not self._closed:
                self._closed = True
                self._loop.call_soon_threadsafe(self._stop.set)
        if threading.current_thread() is not self._thread:
            self._thread.join()
            self._ended.result()

    def _each(self, stream: AsyncGenerator[T, None]) -> Generator[T, None, None]:
        async def advance() -> Any:
            return await anext(stream, END)

        self._streams.add(stream)
        try:
            while (item := self.run(advance)) is not END:
                yield item
        finally:
            self._leave(stream)

    def _leave(self, stream: AsyncGenerator[Any, None]) -> None:
        """Have a stream closed, and wait for nothing: the collector may call, in any thread."""
        if self._is_forked:
            return
        with self._lock:
            if not self._closed:
                self._loop.call_soon_threadsafe(self._bid_farewell, stream)

    @property
    def _is_forked(self) -> bool:
        """Whether this is the copy of it in another process, which has neither thread nor locks."""
        return os.getpid() != self._pid

    def _refuse_after_a_fork(self) -> None:
        if self._is_forked:
            raise RuntimeError(
                "SyncClient was opened before this process was forked: open another one here"
            )

    def _check_open(self) -> None:
        if self._closed:
            raise ClientClosed

    # --- in the thread of the loop ------------------------------------------------------------

    def _live(self, ready: Future[None]) -> None:
        try:
            asyncio.run(self._main(ready))
        except BaseException as error:
            (self._ended if ready.done() else ready).set_exception(error)
        else:
            self._ended.set_result(None)

    async def _main(self, ready: Future[None]) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with self._resource:
            ready.set_result(None)
            await self._stop.wait()
            for task in self._calls:
                task.cancel()
            for stream in list(self._streams):
                self._bid_farewell(stream)
            if under_way := self._calls | self._farewells:
                await asyncio.wait(under_way)

    def _bid_farewell(self, stream: AsyncGenerator[Any, None]) -> None:
        async def close() -> None:
            with suppress(RuntimeError):  # it is ending already, in a call that is broken off
                await stream.aclose()

        self._streams.discard(stream)
        task = self._loop.create_task(close())
        self._farewells.add(task)
        task.add_done_callback(self._farewells.discard)


class Call(Generic[R]):
    """A coroutine that is run in the loop, and what became of it, for the thread that waits."""

    def __init__(self, work: Coroutine[Any, Any, R], calls: set[asyncio.Task[Any]]) -> None:
        self._work, self._calls = work, calls
        self.outcome: Future[R] = Future()

    def begin(self) -> None:
        """Start it."""
        self._task = asyncio.get_running_loop().create_task(self._run())
        self._calls.add(self._task)
        self._task.add_done_callback(self._ended)

    def cancel(self) -> None:
        """Break it off; it has begun, for the loop does things in order."""
        self._task.cancel()

    async def _run(self) -> None:
        try:
            self.outcome.set_result(await self._work)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # SystemExit too: it is the caller's, and would end the loop
            self.outcome.set_exception(error)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._calls.discard(task)
        if task.cancelled():
            self._work.close()  # it may never have begun
            self.outcome.set_exception(ClientClosed())


def refuse_in_an_event_loop() -> None:
    """Raise RuntimeError in a thread that runs an event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError(
        "SyncClient would block the event loop of this thread: use `async with st.Client(url)` here"
    )
