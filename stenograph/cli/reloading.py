"""A server that starts again when its tools change: this process watches, another one serves."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from asyncio import FIRST_COMPLETED
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from msgspec import Struct

from stenograph.cli.failures import CONFLICT, DAMAGED, IO_FAILED, OK, UNREACHABLE, USAGE, Failure
from stenograph.cli.output import talk
from stenograph.cli.pid_file import forget, write_pid
from stenograph.cli.server_process import STOP_S, python_path

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
FINAL: Final = frozenset({OK, UNREACHABLE, DAMAGED, CONFLICT, IO_FAILED})
"""Exit codes of a server that no change of its tools would help."""
HURRY_S: Final = 1.0
"""How long a server may take that was told to end at once."""
INSTALLED: Final = frozenset({"site-packages", "dist-packages"})


class Reloading(Struct):
    """A server as the words of its command line, and the folders whose Python files it is made of."""

    words: Sequence[str]
    folders: Sequence[Path]
    pid_file: str | None
    quiet: bool

    def run(self) -> int:
        """Serve until a signal, or until the server ends for good; returns the exit code."""
        try:
            return asyncio.run(self.serve())
        finally:
            if self.pid_file is not None:
                forget(Path(self.pid_file))

    async def serve(self) -> int:
        """Serve, and start again at each change, until a signal."""
        stop, due, hurry = asyncio.Event(), asyncio.Event(), asyncio.Event()
        for each in SIGNALS:
            asyncio.get_running_loop().add_signal_handler(
                each, lambda: (hurry if stop.is_set() else stop).set()
            )
        if self.pid_file is not None:
            write_pid(Path(self.pid_file))
        self.say(f"Watching {', '.join(map(str, self.folders))}")
        watching = asyncio.create_task(self.watch(due, stop))
        watching.add_done_callback(lambda _: due.set())
        code = OK
        while not watching.done():
            due.clear()  # the server that starts now sees what has changed until now
            ended = await self.serve_until(due, hurry)
            if ended in FINAL:
                code = ended
                stop.set()
            await due.wait()
        await watching
        return code

    async def watch(self, due: asyncio.Event, stop: asyncio.Event) -> None:
        """Set ``due`` whenever a Python file has changed, until ``stop``."""
        from watchfiles import PythonFilter, awatch

        async for changes in awatch(*self.folders, watch_filter=PythonFilter(), stop_event=stop):
            due.set()
            names = sorted({Path(path).name for _, path in changes})
            self.say(f"-- {', '.join(names[:3])} changed: starting again")

    async def serve_until(self, due: asyncio.Event, hurry: asyncio.Event) -> int | None:
        """Serve until something is due; returns the exit code of a server that ends before that."""
        lifeline, held = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-P", "-m", "stenograph", "serve", f"--lifeline={lifeline}", *self.words),
                stdin=DEVNULL,
                env={
                    **os.environ,
                    "PYTHONPATH": python_path(),
                    # Compiled code is told from its source by whole seconds, in which much may change.
                    "PYTHONDONTWRITEBYTECODE": "1",
                },
                pass_fds=[lifeline],
                start_new_session=True,  # a Ctrl-C in the terminal is ours to pass on, once
            )
            ending = asyncio.create_task(process.wait())
            try:
                await first_of(ending, due)
            finally:
                code = await ended(process, ending, hurry)
        finally:
            os.close(lifeline)
            os.close(held)
        if due.is_set():
            return None
        if code not in FINAL:
            talk(f"-- the server ended (code {code}); it starts again when a file changes")
        return code

    def say(self, text: str) -> None:
        """Say something on stderr."""
        if not self.quiet:
            talk(text)


async def ended(process: Process, ending: asyncio.Task[int], hurry: asyncio.Event) -> int:
    """Have a server end, and return its exit code.

    One that is held up, by a tool that does not let its loop go on, is told again after a while, or
    as soon as somebody is in a hurry: then it waits for nothing. At last it is killed.
    """
    for patience_s, impatience in ((STOP_S, hurry), (HURRY_S, asyncio.Event())):
        with suppress(ProcessLookupError):
            process.terminate()
        await first_of(ending, impatience, patience_s)
        if ending.done():
            return ending.result()
    with suppress(ProcessLookupError):
        process.kill()
    return await ending


async def first_of(
    task: asyncio.Task[int], event: asyncio.Event, patience_s: float | None = None
) -> None:
    """Wait until a task is done, or an event is set, or patience ends."""
    waiting = asyncio.create_task(event.wait())
    try:
        await asyncio.wait({task, waiting}, timeout=patience_s, return_when=FIRST_COMPLETED)
    finally:
        waiting.cancel()


def check_library() -> None:
    """Raise Failure where what watches files is not installed."""
    if find_spec("watchfiles") is None:
        raise Failure("--reload needs watchfiles: pip install 'stenograph[reload]'", USAGE)


def folders_of(names: Sequence[str]) -> list[Path]:
    """Return the folders in which modules stand, with what stands beside them; raises Failure."""
    sys.path.append(str(Path.cwd()))
    folders = list(dict.fromkeys(folder_of(name) for name in names))
    for folder in folders:
        if not folder.exists():
            raise Failure(f"{folder}: there is no such folder to watch", USAGE)
    return folders


def folder_of(name: str) -> Path:
    """Return the folder of a module or file; of an installed one, no more than itself."""
    if name.endswith(".py"):
        return Path(name).resolve().parent
    try:
        spec = find_spec(name.partition(".")[0])  # imports nothing, as it is at the top
    except (ImportError, ValueError):
        spec = None
    places = [] if spec is None else [*(spec.submodule_search_locations or ()), spec.origin]
    if not places or not Path(str(places[0])).exists():
        return Path.cwd()  # where it will be looked for once it is there
    place = Path(str(places[0])).resolve()
    return place if place.parent.name in INSTALLED else place.parent


def free_port(host: str) -> int:
    """Return a port that is free now; raises Failure for a host that is none of this machine."""
    try:
        family = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family) as probe:
            probe.bind((host, 0))
            port: int = probe.getsockname()[1]
    except OSError as error:
        why = error.strerror or error
        raise Failure(f"cannot listen on {host}: {why}; choose another --host", CONFLICT) from error
    return port
