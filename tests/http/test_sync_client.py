"""The client without an event loop: the same calls as ``Client``, ended cleanly whatever happens."""

from __future__ import annotations

import asyncio
import gc
import inspect
import signal
import subprocess
import sys
import threading
import typing
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import pytest

import stenograph as st
from stenograph.http import Client, SyncClient
from stenograph.http.client.loop_thread import Call, LoopThread
from tests.http.serving import PATIENCE_S, Served, eventually, serving
from tests.http.tools import COUNT, HANG
from tests.ports import free_port

R = TypeVar("R")
ROOT = Path(__file__).parents[2]


def is_call(member: object) -> bool:
    """Tell whether a member of Client is a coroutine, or returns an asynchronous generator."""
    if not inspect.isfunction(member):
        return False
    returned = str(inspect.signature(member).return_annotation)
    return inspect.iscoroutinefunction(member) or returned.startswith("AsyncGenerator")


CALLS = [
    name
    for name, member in inspect.getmembers(Client)
    if is_call(member) and not name.startswith("_")
]


def followers(served: Served) -> int:
    """How many follow a run on the server."""
    journal: Any = served.engine.journal
    return len(journal.feed.followers)


async def in_thread(work: Callable[[], R]) -> R:
    """Run in a thread without an event loop what blocks it, beside the server in this one."""
    return await asyncio.wait_for(asyncio.to_thread(work), PATIENCE_S)


@asynccontextmanager
async def hanging() -> AsyncIterator[tuple[Served, SyncClient]]:
    """A server, and a client of it that is open, with a run r that hangs after 2 events."""
    async with serving() as served:
        client = await in_thread(lambda: SyncClient(served.url).__enter__())
        try:
            await in_thread(lambda: client.start(HANG, run_id="r"))
            yield served, client
        finally:
            await in_thread(client.close)


@contextmanager
def raising() -> Iterator[list[BaseException]]:
    """Collect what can be raised to nobody."""
    heard: list[BaseException] = []
    before = sys.unraisablehook
    sys.unraisablehook = lambda told: heard.append(told.exc_value or RuntimeError())
    try:
        yield heard
        gc.collect()
    finally:
        sys.unraisablehook = before


def test_there_are_calls_to_have_a_twin() -> None:
    assert {"start", "run", "tail", "follow_all", "signal", "graphs"} <= set(CALLS)


@pytest.mark.parametrize("name", CALLS)
def test_each_call_of_the_client_has_its_twin_that_blocks(name: str) -> None:
    theirs, ours = getattr(Client, name), getattr(SyncClient, name)
    assert inspect.signature(ours).parameters == inspect.signature(theirs).parameters
    assert (ours.__doc__, ours.__name__) == (theirs.__doc__, name)
    assert ours.__module__ == "stenograph.http.client.sync_client"
    assert not is_call(ours)


def test_both_clients_are_made_alike() -> None:
    assert inspect.signature(SyncClient) == inspect.signature(Client)
    assert SyncClient("localhost:1").url == Client("localhost:1").url
    with pytest.raises(ValueError, match="no http:// or https:// address"):
        SyncClient("ftp://here")


async def test_what_is_told_is_what_the_engine_tells() -> None:
    async with serving() as served:

        def work() -> tuple[st.RunView, list[st.Event]]:
            with SyncClient(served.url) as client:
                run = client.run(COUNT, {"to": 3}, run_id="r", tags={"who": "me"})
                return run, list(client.tail("r"))

        run, events = await in_thread(work)
        assert run == await served.engine.get("r")
        assert events == [event async for event in served.engine.tail("r")]


async def test_errors_are_raised_where_the_call_was_made() -> None:
    async with hanging() as (_, client):
        calls: list[tuple[type[Exception], Callable[[], Any]]] = [
            (st.UnknownRun, lambda: client.get("nope")),
            (st.UnknownRun, lambda: next(client.tail("nope"))),
            (st.RunExists, lambda: client.start(COUNT, run_id="r")),
            (TypeError, lambda: typing.cast("Any", client).get()),
        ]
        for kind, call in calls:
            with pytest.raises(kind):
                await in_thread(call)


@pytest.mark.parametrize("way", ["break", "raise", "close", "drop"])
async def test_an_iterator_that_is_left_closes_its_stream(way: str) -> None:
    def leave(client: SyncClient) -> None:
        pages = client.follow("r")
        with suppress(LookupError):
            for _ in pages:
                if way == "raise":
                    raise LookupError
                break
        if way == "close":
            pages.close()
        else:
            del pages

    async with hanging() as (served, client):
        await in_thread(partial(leave, client))
        await eventually(lambda: followers(served) == 0)
        assert (await in_thread(lambda: client.get("r"))).status == "running"


async def test_iterators_that_are_held_are_closed_with_the_client() -> None:
    held: list[Iterator[Any]] = []

    def hold(served: Served) -> None:
        with SyncClient(served.url) as client:
            held.extend([client.tail("r"), client.follow("r"), client.follow_all()])
            assert [bool(next(each)) for each in held] == [True] * 3
            held.append(client.tail("r"))  # not begun

    async with hanging() as (served, _):
        with raising() as unraisable:
            await in_thread(lambda: hold(served))
            await eventually(lambda: followers(served) == 0)
            for each in held:
                with pytest.raises(st.ClientClosed):
                    await in_thread(partial(next, each))
            held.clear()
            del each
        assert unraisable == []


async def test_a_close_from_another_thread_ends_what_waits() -> None:
    def wait_for_ever(client: SyncClient) -> str:
        pages = client.follow("r")
        next(pages)
        with pytest.raises(st.ClientClosed, match="the client is closed; what runs on the server"):
            next(pages)
        return "ended"

    async with hanging() as (served, client):
        waiting = [asyncio.create_task(in_thread(partial(wait_for_ever, client))) for _ in range(2)]
        await eventually(lambda: followers(served) == 1)
        await in_thread(client.close)
        assert await asyncio.gather(*waiting) == ["ended"] * 2
        await eventually(lambda: followers(served) == 0)


async def test_threads_may_share_a_client() -> None:
    async with hanging() as (_, client):

        def ask(number: int) -> str:
            return client.run(COUNT, {"to": 2}, run_id=f"run-{number}").status

        with ThreadPoolExecutor(8) as pool:
            asked = await in_thread(lambda: list(pool.map(ask, range(16))))
        assert asked == ["completed"] * 16


def test_a_client_is_refused_before_it_is_opened_and_after_it_was_closed() -> None:
    client = SyncClient(f"http://127.0.0.1:{free_port()}")
    for call in (lambda: client.get("r"), lambda: client.tail("r"), client.close):
        with pytest.raises(RuntimeError, match="SyncClient is not open: use it in `with"):
            call()
    with client, pytest.raises(st.ServerUnreachable):
        client.get("r")
    client.close()  # again
    for refused in (lambda: client.get("r"), lambda: client.tail("r")):
        with pytest.raises(st.ClientClosed):
            refused()
    with pytest.raises(RuntimeError, match="opened once"):
        client.__enter__()


async def test_in_an_event_loop_a_client_is_refused_in_one_sentence() -> None:
    sentence = "SyncClient would block the event loop of this thread: use `async with st.Client"
    async with hanging() as (_, client):
        for call in (lambda: client.get("r"), lambda: client.tail("r"), SyncClient().__enter__):
            with pytest.raises(RuntimeError, match=sentence):
                call()


async def test_an_iterator_may_be_dropped_in_an_event_loop() -> None:
    async with hanging() as (served, client):
        pages = await in_thread(lambda: begun(client))
        await eventually(lambda: followers(served) == 1)
        pages.close()
        await eventually(lambda: followers(served) == 0)


def begun(client: SyncClient) -> Any:
    pages = client.follow("r")
    next(pages)
    return pages


async def test_who_gives_up_in_on_lost_is_heard() -> None:
    def give_up(after: int) -> None:
        sys.exit(f"gave up after {after}")

    def work(url: str, stop: Callable[[], object]) -> None:
        with SyncClient(url, on_lost=give_up) as client:
            pages = client.follow("r")
            next(pages)
            stop()
            with pytest.raises(SystemExit, match="gave up after 2"):
                next(pages)
            with pytest.raises(st.ServerUnreachable):  # the loop goes on
                client.get("r")

    async with hanging() as (served, _):
        loop = asyncio.get_running_loop()
        stop = partial(loop.call_soon_threadsafe, served.stop.set)
        await in_thread(lambda: work(served.url, stop))


def test_a_client_may_be_closed_in_its_own_thread() -> None:
    """Where ``on_lost`` runs: it waits for nothing there."""
    with SyncClient() as client:

        async def close() -> str:
            client.close()
            return "closed"

        assert client.thread.run(close) == "closed"
    assert not any(each.name == "stenograph-client" for each in threading.enumerate())


def test_a_loop_that_cannot_begin_tells_why() -> None:
    @asynccontextmanager
    async def broken() -> AsyncIterator[None]:
        raise OSError("too many open files")
        yield

    with pytest.raises(OSError, match="too many open files"):
        LoopThread(broken(), "broken")


def test_what_fails_at_the_end_is_told_to_who_closes() -> None:
    @asynccontextmanager
    async def broken() -> AsyncIterator[None]:
        yield
        raise OSError("disk full")

    thread = LoopThread(broken(), "broken")
    with pytest.raises(OSError, match="disk full"):
        thread.close()


async def test_a_call_that_is_broken_off_before_it_begins_leaves_nothing_behind() -> None:
    async def never() -> None:
        raise AssertionError

    calls: set[asyncio.Task[Any]] = set()
    call = Call(never(), calls)
    call.begin()
    call.cancel()
    await asyncio.wait(calls)
    assert isinstance(call.outcome.exception(), st.ClientClosed)
    assert calls == set()


@contextmanager
def interrupting(when: Callable[[], bool]) -> Iterator[None]:
    """Press Ctrl-C in the main thread as soon as something holds."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    def watch() -> None:
        for _ in range(int(PATIENCE_S * 100)):
            if when():
                break
            threading.Event().wait(0.01)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    before = signal.signal(signal.SIGINT, interrupt)
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        watcher.join()
        signal.signal(signal.SIGINT, before)


def test_ctrl_c_breaks_off_a_call_and_leaves_the_client_as_it_was() -> None:
    begun, tidied = threading.Event(), threading.Event()

    async def hang() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)  # it may take its leave
            tidied.set()

    with SyncClient(f"http://127.0.0.1:{free_port()}") as client:
        with interrupting(begun.is_set), pytest.raises(KeyboardInterrupt):
            client.thread.run(hang)
        assert tidied.is_set()
        with closing(client.tail("r")) as events, pytest.raises(st.ServerUnreachable):
            next(events)


FORKED = """
import os, sys
import stenograph as st

with st.SyncClient(sys.argv[1]) as client:
    events = client.tail("r")
    print(next(events).seq, flush=True)
    if os.fork() == 0:
        for call in (client.graphs, lambda: next(events), lambda: client.tail("r")):
            try:
                call()
            except RuntimeError as error:
                print(error, flush=True)
        del events
        client.close()
        os._exit(0)
    print(os.wait()[1], next(events).seq)
"""
SCRIPT = """
import signal, sys, threading
import stenograph as st

signal.signal(signal.SIGINT, signal.default_int_handler)
with st.SyncClient(sys.argv[1]) as client:
    for event in client.tail("r"):
        print(event.seq, flush=True)
"""
LEFT_OPEN = """
import sys
import stenograph as st

client = st.SyncClient(sys.argv[1]).__enter__()
events = client.tail("r")
print(next(events).seq)
"""


async def test_ctrl_c_ends_a_script_that_listens() -> None:
    async with hanging() as (served, _):
        process = await script(SCRIPT, served)
        assert process.stdout is not None
        assert [await process.stdout.readline() for _ in range(2)] == [b"1\n", b"2\n"]
        process.send_signal(signal.SIGINT)
        printed, told = await asyncio.wait_for(process.communicate(), PATIENCE_S)
        assert (printed, told.splitlines()[-1]) == (b"", b"KeyboardInterrupt")
        assert told.count(b"Traceback") == 1, told.decode()
        assert process.returncode == -signal.SIGINT
        await eventually(lambda: followers(served) == 0)


async def test_a_script_that_leaves_a_client_open_ends_all_the_same() -> None:
    async with hanging() as (served, _):
        process = await script(LEFT_OPEN, served)
        printed, told = await asyncio.wait_for(process.communicate(), PATIENCE_S)
        assert (printed, told, process.returncode) == (b"1\n", b"", 0)


async def test_in_a_process_that_was_forked_a_client_is_refused_at_once() -> None:
    async with hanging() as (served, _):
        process = await script(FORKED, served)
        printed, told = await asyncio.wait_for(process.communicate(), PATIENCE_S)
        refused = b"SyncClient was opened before this process was forked: open another one here"
        assert printed.splitlines() == [b"1", *[refused] * 3, b"0 2"], told.decode()


def test_a_copy_of_an_open_client_in_another_process_leaves_the_loop_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As above, seen from within: what a forked process does is in no record of coverage."""

    async def numbers() -> AsyncGenerator[int, None]:
        for number in range(9):
            yield number

    with SyncClient(f"http://127.0.0.1:{free_port()}") as client:
        stream = client.thread.each(numbers)
        assert next(stream) == 0
        with monkeypatch.context() as copied:
            copied.setattr("os.getpid", lambda: 0)
            with pytest.raises(RuntimeError, match="open another one here"):
                client.runs()
            client.close()
            stream.close()
        with pytest.raises(st.ServerUnreachable):
            client.runs()


async def script(text: str, served: Served) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", text, served.url),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
