"""Threads for sync tools: in order, at most so many, and one that hangs is left behind."""

from __future__ import annotations

import contextvars
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from stenograph.engine.executor.threads import THREADS_MAX, Job, Threads

SOON_S = 30
"""Long enough for anything that will happen at all."""


@contextmanager
def threads(limit: int = THREADS_MAX) -> Iterator[Threads]:
    """Threads that end with the test."""
    pool = Threads(limit)
    try:
        yield pool
    finally:
        pool.close()


class Gate:
    """A job that waits until it may go on, and says that it has begun."""

    def __init__(self) -> None:
        self.begun, self.opened, self.ended = (threading.Event() for _ in range(3))
        self.thread: threading.Thread | None = None

    def __call__(self) -> None:
        self.thread = threading.current_thread()
        self.begun.set()
        self.opened.wait(SOON_S)
        self.ended.set()

    def open(self) -> None:
        self.opened.set()


@contextmanager
def gates(count: int) -> Iterator[list[Gate]]:
    made = [Gate() for _ in range(count)]
    try:
        yield made
    finally:
        for gate in made:
            gate.open()


def finish(pool: Threads) -> None:
    """Wait until one thread has come to all that was submitted before."""
    done = threading.Event()
    pool.submit(done.set)
    assert done.wait(SOON_S)


def test_jobs_start_in_their_order() -> None:
    order: list[int] = []
    with threads(1) as pool:
        for number in range(100):
            pool.submit(partial(order.append, number))
        finish(pool)
    assert order == list(range(100))


def test_no_more_run_at_once_than_the_limit() -> None:
    lock, now, most = threading.Lock(), 0, 0
    done = threading.Semaphore(0)

    def work() -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        threading.Event().wait(0.001)
        with lock:
            now -= 1
        done.release()

    with threads(3) as pool:
        for _ in range(60):
            pool.submit(work)
        assert all(done.acquire(timeout=SOON_S) for _ in range(60))
    assert most == 3


def test_threads_are_started_when_they_are_needed_and_used_again() -> None:
    used: list[threading.Thread] = []
    with threads() as pool:
        for _ in range(200):
            done = threading.Event()
            pool.submit(lambda: used.append(threading.current_thread()))
            pool.submit(done.set)
            assert done.wait(SOON_S)
        assert len(set(used)) < 10, "one that has just done its job may not be idle yet"
    assert {thread.name for thread in used} == {"stenograph-tool"}
    assert all(thread.daemon for thread in used)


def test_a_waiting_job_that_is_abandoned_never_runs() -> None:
    ran: list[str] = []
    with threads(1) as pool, gates(1) as (busy,):
        pool.submit(busy)
        abandoned = pool.submit(lambda: ran.append("abandoned"))
        pool.submit(lambda: ran.append("kept"))
        pool.abandon(abandoned)
        pool.abandon(abandoned)
        busy.open()
        finish(pool)
    assert ran == ["kept"]


def test_an_idle_thread_whose_jobs_are_all_abandoned_goes_on_waiting() -> None:
    """As often as anybody likes: it once went one call deeper each time."""
    with threads(1) as pool:
        finish(pool)
        for _ in range(3 * sys.getrecursionlimit()):
            pool.abandon(pool.submit(lambda: None))
        finish(pool)


def test_a_running_job_that_is_abandoned_is_replaced_at_once() -> None:
    with threads(1) as pool, gates(2) as (hanging, next_):
        job = pool.submit(hanging)
        assert hanging.begun.wait(SOON_S)
        pool.submit(next_)
        pool.abandon(job)
        assert next_.begun.wait(SOON_S)
        assert not hanging.ended.is_set()


def test_an_abandoned_job_is_replaced_by_one_however_often_it_is_abandoned() -> None:
    with threads(1) as pool, gates(3) as (hanging, first, second):
        job = pool.submit(hanging)
        assert hanging.begun.wait(SOON_S)
        pool.abandon(job)
        pool.abandon(job)
        pool.submit(first)
        pool.submit(second)
        assert first.begun.wait(SOON_S)
        assert not second.begun.wait(0.02)
        first.open()
        assert second.begun.wait(SOON_S)


def test_the_thread_of_an_abandoned_job_ends_with_it() -> None:
    with threads(1) as pool, gates(2) as (hanging, waiting):
        job = pool.submit(hanging)
        assert hanging.begun.wait(SOON_S)
        pool.abandon(job)
        pool.submit(waiting)
        assert waiting.begun.wait(SOON_S)
        hanging.open()
        assert hanging.thread is not None
        hanging.thread.join(SOON_S)
        assert not hanging.thread.is_alive()
        waiting.open()
        finish(pool)


def test_abandoning_a_job_that_is_done_changes_nothing() -> None:
    done = threading.Event()
    with threads(1) as pool, gates(2) as (first, second):
        job = pool.submit(done.set)
        assert done.wait(SOON_S)
        finish(pool)
        pool.abandon(job)
        pool.submit(first)
        pool.submit(second)
        assert first.begun.wait(SOON_S)
        assert not second.begun.wait(0.02), "still at most one"
        first.open()
        assert second.begun.wait(SOON_S)


def test_however_many_hang_the_next_one_runs_once_they_are_abandoned() -> None:
    with threads() as pool, gates(THREADS_MAX) as hanging:
        jobs = [pool.submit(gate) for gate in hanging]
        assert all(gate.begun.wait(SOON_S) for gate in hanging)
        done = threading.Event()
        pool.submit(done.set)
        assert not done.is_set()
        for job in jobs:
            pool.abandon(job)
        assert done.wait(SOON_S)


def test_a_job_runs_in_the_context_it_was_submitted_in() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")
    seen: list[str] = []

    def look() -> None:
        seen.append(variable.get())
        variable.set("changed in the thread")

    def submit(pool: Threads, value: str) -> None:
        variable.set(value)
        pool.submit(look)
        finish(pool)

    with threads(1) as pool:
        contextvars.copy_context().run(submit, pool, "one")
        contextvars.copy_context().run(submit, pool, "two")
        pool.submit(look)
        finish(pool)
    assert seen == ["one", "two", "none"]


def test_closing_ends_idle_threads_and_forgets_what_waits() -> None:
    ran: list[str] = []
    pool = Threads(2)
    with gates(2) as (busy, idle):
        pool.submit(busy)
        pool.submit(idle)
        assert busy.begun.wait(SOON_S)
        assert idle.begun.wait(SOON_S)
        pool.submit(lambda: ran.append("too late"))
        idle.open()
        finish(pool)
        pool.submit(lambda: ran.append("in time"))
        finish(pool)
        with gates(1) as (blocking,):
            pool.submit(blocking)
            assert blocking.begun.wait(SOON_S)
            pool.submit(lambda: ran.append("never"))
            pool.close()
        assert idle.thread is not None
        idle.thread.join(SOON_S)
        assert not idle.thread.is_alive()
        assert busy.thread is not None
        assert busy.thread.is_alive(), "a busy one ends after its job"
    busy.thread.join(SOON_S)
    assert not busy.thread.is_alive()
    assert ran == ["too late", "in time"]


def test_closing_wakes_a_thread_that_waits_for_a_job() -> None:
    pool = Threads(1)
    with gates(1) as (gate,):
        pool.submit(gate)
        gate.open()
        assert gate.ended.wait(SOON_S)
        assert gate.thread is not None
        gate.thread.join(0.02)  # by now it waits
        assert gate.thread.is_alive()
        pool.close()
        gate.thread.join(SOON_S)
        assert not gate.thread.is_alive()


def test_an_idle_thread_keeps_nothing_of_its_last_job() -> None:
    class Held:
        pass

    def hold(held: Any) -> Callable[[], None]:
        return lambda: held and None

    held = Held()
    gone = weakref.ref(held)
    with threads(1) as pool:
        pool.submit(hold(held))
        del held
        finish(pool)
        finish(pool)
        assert gone() is None


def test_a_job_can_be_abandoned_where_no_thread_can_take_its_place_yet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with threads(1) as pool, gates(1) as [hangs]:
        job = pool.submit(hangs)
        assert hangs.begun.wait(SOON_S)
        waits = threading.Event()
        pool.submit(waits.set)
        with monkeypatch.context() as crowded:
            crowded.setattr(threading.Thread, "start", refuse)
            pool.abandon(job)
        finish(pool)
        assert waits.is_set()


def test_a_job_that_no_thread_can_be_started_for_is_not_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ran: list[Job] = []

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with threads(1) as pool:
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse)
            with pytest.raises(RuntimeError, match="can't start new thread"):
                pool.submit(lambda: ran.append(job))
        job = pool.submit(lambda: None)
        finish(pool)
    assert ran == []


HANGING = """
import threading
from stenograph.engine.executor.threads import Threads

begun = threading.Event()
threads = Threads()

def hang():
    begun.set()
    threading.Event().wait()

threads.submit(hang)
begun.wait()
print("ending")
"""


def test_a_thread_that_hangs_keeps_no_process_alive() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", HANGING], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "ending\n", "")
