"""Tools for worker processes to call: they compute, talk, misbehave and die."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from stenograph.engine.tools.context import Context
from stenograph.engine.tools.tools import Goto, tool

State = dict[str, Any]


@tool(process=True)
def pid(state: State) -> State:
    return {"pid": os.getpid(), "group": os.getpgrp(), "type": type(state).__name__}


@tool(process=True)
def change(state: State) -> State:
    state["list"].append(3)
    state["new"] = {"a": None}
    del state["gone"]
    state["nan"] = None
    return {"returned": (1, 2)}


@tool(process=True)
def change_nothing(state: State) -> State:
    return state


@tool(process=True)
def go(state: State) -> Goto:
    return Goto("there", {"n": 2})


@tool(process=True)
def go_with_state(state: State) -> Goto:
    state["n"] = 3
    return Goto("there", state)


@tool(process=True)
def tell(state: State, ctx: Context, config: State) -> State:
    who = [ctx.run_id, ctx.scope, ctx.node, ctx.visit, ctx.attempt, ctx.idempotency_key]
    config["seen"] = True
    return {"who": who, "config": config}


@tool(process=True)
def talk_and_wait(state: State, ctx: Context) -> None:
    print("to the output of the engine", flush=True)
    ctx.log("I am", level="warning", pid=os.getpid())
    wait_for(Path(state["until"]).exists)


@tool(process=True)
def chatter(state: State, ctx: Context) -> State:
    for number in range(state["lines"]):
        ctx.log(number, text="x" * state["size"])
    return {"pid": os.getpid()}


@tool(process=True)
def talk_too_late(state: State, ctx: Context) -> None:
    late = threading.Timer(0.1, lambda: ctx.log("too late"))
    late.start()
    ctx.log("in time")


@tool(process=True)
def talk_without_threads(state: State, ctx: Context) -> None:
    refused = RuntimeError("can't start new thread")
    with mock.patch.object(threading.Thread, "start", side_effect=refused):
        ctx.log("all the same")


@tool(process=True)
def advance(state: State, ctx: Context) -> None:
    for number in range(state["steps"]):
        ctx.progress(number + 1, state["steps"])


@tool(process=True)
def burn(state: State, ctx: Context) -> None:
    ctx.log("burning", pid=os.getpid())
    while True:
        pass


@tool(process=True)
def burn_in_c(state: State) -> None:
    """Hold the lock of the interpreter for ever."""
    Path(state["file"]).write_text(str(os.getpid()))
    re.match(r"(a+)+$", "a" * 64 + "b")


@tool(process=True)
def burn_deaf(state: State, ctx: Context) -> None:
    signal.signal(signal.SIGTERM, lambda *_: None)
    burn.function(state, ctx)


@tool(process=True)
def start_another(state: State, ctx: Context) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    ctx.log("started", pid=child.pid)
    child.wait()


@tool(process=True)
def fork_and_die(state: State) -> None:
    if os.fork() == 0:
        time.sleep(600)
    os._exit(4)


@tool(process=True)
def fork_and_return_twice(state: State) -> State:
    return {"child": os.fork()}


@tool(process=True)
def fail(state: State) -> None:
    state["n"] = "half done"
    raise dict[str, int]()["colour"]  # type: ignore[misc]


@tool(process=True)
def die(state: State) -> None:
    deaths: dict[str, Callable[[], object]] = {
        "exit": lambda: sys.exit(3),
        "_exit": lambda: os._exit(4),
        "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
        "segfault": lambda: ctypes.string_at(0),
    }
    deaths[state["how"]]()


@tool(process=True)
def misreturn(state: State) -> Any:
    async def later() -> None: ...

    returned: dict[str, Callable[[], Any]] = {
        "set": lambda: {"a": {"b": {1}}},
        "nan": lambda: {"a": float("nan")},
        "key": lambda: {5: 1},
        "in place": lambda: state.update(a={1}),
        "object": Ellipsis.__class__,
        "list": lambda: [1],
        "coroutine": later,
        "large": lambda: {"a": "x" * 5_000_000},
        "surrogate": lambda: Goto("\ud800"),
    }
    return returned[state["what"]]() if state["what"] != "object" else ...


def wait_for(condition: Callable[[], object], limit_s: float = 30) -> None:
    """Wait until something is so; what waits for ever would outlive a test that failed."""
    end = time.monotonic() + limit_s
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
