"""Tools that misbehave, each in its own way, and what must become of the runs that call them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import stenograph as st

LEFT_BEHIND: list[Any] = []
"""What tools leak, or keep: the test lets go of it."""
ENOUGH = threading.Event()
"""Set when the test is over: what stays behind may end."""

ENDS: dict[str, str] = {}
"""How a run ends that calls the tool of this name: its error's type, or nothing when it completes."""


def ends(error: str = "") -> Callable[[Any], Any]:
    """Enter a tool into the table of what it must come to."""

    def enter(tool: Any) -> Any:
        ENDS[tool.name] = error
        return tool

    return enter


# --- that do not come back --------------------------------------------------------------------


@ends("TimeoutError")
@st.tool
async def hang(state: dict[str, Any]) -> None:
    await asyncio.sleep(3600)


@ends("TimeoutError")
@st.tool
def hang_in_a_thread(state: dict[str, Any]) -> None:
    ENOUGH.wait(60)


@ends("TimeoutError")
@st.tool
async def swallow_cancellation(state: dict[str, Any]) -> None:
    while not ENOUGH.is_set():
        try:
            await asyncio.sleep(0.02)
        except asyncio.CancelledError:
            continue


@ends("TimeoutError")
@st.tool
def count_for_ever(state: dict[str, Any]) -> None:
    while not ENOUGH.is_set():
        pass


@ends("TimeoutError")
@st.tool
def log_without_end(state: dict[str, Any], ctx: st.Context) -> None:
    while not ENOUGH.is_set():
        ctx.log("and another thing")


@ends()
@st.tool
async def block_the_loop(state: dict[str, Any]) -> None:
    time.sleep(1)  # noqa: ASYNC251


# --- that raise what ends processes, tasks and generators -------------------------------------


@ends("SystemExit")
@st.tool
async def exit_the_process(state: dict[str, Any]) -> None:
    sys.exit(1)


@ends("SystemExit")
@st.tool
def exit_the_process_from_a_thread(state: dict[str, Any]) -> None:
    sys.exit(1)


@ends("KeyboardInterrupt")
@st.tool
async def interrupt(state: dict[str, Any]) -> None:
    raise KeyboardInterrupt


@ends("KeyboardInterrupt")
@st.tool
def interrupt_in_a_thread(state: dict[str, Any]) -> None:
    raise KeyboardInterrupt


class Unheard(BaseException):
    """An exception that is no Exception."""


@ends("Unheard")
@st.tool
async def raise_a_base_exception(state: dict[str, Any]) -> None:
    raise Unheard


@ends("GeneratorExit")
@st.tool
async def raise_generator_exit(state: dict[str, Any]) -> None:
    raise GeneratorExit


@ends("StopIteration")
@st.tool
def raise_stop_iteration(state: dict[str, Any]) -> None:
    raise StopIteration(1)


@ends("CancelledError")
@st.tool
async def cancel_itself(state: dict[str, Any]) -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)


class Mute(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")

    __repr__ = __str__


@ends("Mute")
@st.tool
async def raise_without_words(state: dict[str, Any]) -> None:
    raise Mute


@ends("RecursionError")
@st.tool
def recurse(state: dict[str, Any]) -> Any:
    return recurse(state)


@ends("ProcessDied")
@st.tool(process=True)
def kill_its_process(state: dict[str, Any]) -> None:
    os._exit(9)


# --- that return what is no result ------------------------------------------------------------


@ends("not-json")
@st.tool
async def return_a_cycle(state: dict[str, Any]) -> dict[str, Any]:
    cycle: dict[str, Any] = {}
    cycle["again"] = cycle
    return cycle


@ends("not-json")
@st.tool
async def return_not_a_number(state: dict[str, Any]) -> dict[str, Any]:
    return {"n": float("nan")}


@ends("not-json")
@st.tool
async def return_an_object(state: dict[str, Any]) -> dict[str, Any]:
    return {"n": object()}


@ends("not-json")
@st.tool
async def return_half_a_character(state: dict[str, Any]) -> dict[str, Any]:
    return {"n": "\ud800"}


@ends("not-json")
@st.tool
async def return_a_huge_number(state: dict[str, Any]) -> dict[str, Any]:
    return {"n": 10**6000}


@ends("not-json")
@st.tool
async def return_what_nests_too_deep(state: dict[str, Any]) -> dict[str, Any]:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    LEFT_BEHIND.append(deep)
    return {"n": deep}


@ends("state-too-large")
@st.tool
async def return_too_much(state: dict[str, Any]) -> dict[str, Any]:
    return {"n": "x" * 20_000_000}


@ends("not-json")
@st.tool
def return_a_generator(state: dict[str, Any]) -> Any:
    def values() -> Iterator[int]:
        yield 1

    return values()


async def never_awaited() -> dict[str, Any]:
    return {"n": 1}


@ends("not-json")
@st.tool
async def return_a_coroutine(state: dict[str, Any]) -> Any:
    return never_awaited()


@ends()
@st.tool
def return_a_coroutine_from_a_thread(state: dict[str, Any]) -> Any:
    return never_awaited()  # a plain function around an async one: it is awaited


# --- that leave something behind, or spoil what is shared -------------------------------------


@ends()
@st.tool
async def leak(state: dict[str, Any]) -> None:
    LEFT_BEHIND.append(bytearray(100 * 1024 * 1024))


@ends()
@st.tool
async def change_the_state_afterwards(state: dict[str, Any]) -> None:
    def change() -> None:
        time.sleep(0.05)
        state["kept"].append("later")
        state["new"] = "later"

    start(change)


@ends()
@st.tool
async def change_the_result_afterwards(state: dict[str, Any]) -> dict[str, Any]:
    result = {"n": [1]}

    def change() -> None:
        time.sleep(0.05)
        result["n"].append(2)
        result["new"] = [3]

    start(change)
    return result


@ends()
@st.tool
async def start_threads_that_stay(state: dict[str, Any]) -> None:
    for _ in range(20):
        start(lambda: ENOUGH.wait(60))


@ends()
@st.tool
async def start_a_process_that_stays(state: dict[str, Any]) -> None:
    LEFT_BEHIND.append(
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])  # noqa: ASYNC220
    )


@ends()
@st.tool
async def start_tasks_that_stay(state: dict[str, Any]) -> None:
    LEFT_BEHIND.extend(asyncio.create_task(asyncio.sleep(3600)) for _ in range(100))


@ends()
@st.tool
async def exit_in_a_thread_of_its_own(state: dict[str, Any]) -> None:
    start(sys.exit)


@ends()
@st.tool
async def print_much(state: dict[str, Any]) -> None:
    for _ in range(2000):
        print("a line that nobody asked for")


@ends()
@st.tool
async def change_folder(state: dict[str, Any]) -> None:
    os.chdir("/")


@ends()
@st.tool
async def close_standard_input(state: dict[str, Any]) -> None:
    os.close(0)


def start(work: Callable[[], Any]) -> None:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    LEFT_BEHIND.append(thread)


TOOLS = [each for each in list(globals().values()) if getattr(each, "name", None) in ENDS]
