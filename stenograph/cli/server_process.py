"""A server as a process of its own, which ends with whoever started it."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import stenograph
from stenograph.cli.failures import UNREACHABLE, Failure
from stenograph.cli.output import talk

LISTENING: Final = re.compile(r"^Listening on (\S+)")
STOP_S: Final = 10.0


class ServerProcess:
    """A server that listens at ``url``."""

    def __init__(self, process: Process, url: str) -> None:
        self.process, self.url = process, url

    async def meanwhile(self, work: Awaitable[None]) -> None:
        """Do what needs the server; raises Failure when that ends first."""
        working = asyncio.ensure_future(work)
        ended = asyncio.create_task(self.process.wait())
        try:
            await asyncio.wait({working, ended}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise Failure(
                    f"the server ended (code {ended.result()}); nothing is lost: serve the "
                    "journal again, and the run goes on",
                    UNREACHABLE,
                )
            working.result()
        finally:
            for task in (working, ended):
                task.cancel()
            await asyncio.gather(working, ended, return_exceptions=True)


@asynccontextmanager
async def server_process(db: str, *, tools: Sequence[str]) -> AsyncIterator[ServerProcess]:
    """Serve a journal on a free port of this machine; raises Failure when that does not start."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",  # or a folder with a module http in it would hide Python's own
        *("-m", "stenograph", "serve", "--db", db, "--port", "0", "--without-tokens"),
        *(word for name in tools for word in ("--tools", name)),
        stdin=DEVNULL,
        stdout=DEVNULL,
        stderr=PIPE,
        env={**os.environ, "PYTHONPATH": python_path(), "PYTHONIOENCODING": "utf-8"},
    )
    try:
        server = ServerProcess(process, await address(process))
        listening = asyncio.create_task(pass_on(process))
        yield server
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
    await listening


async def address(process: Process) -> str:
    """Return the URL that a server tells when it listens; raises Failure with what it says else."""
    assert process.stderr is not None
    said = ""
    async for line in process.stderr:
        said = line.decode(errors="replace").strip()
        if found := LISTENING.match(said):
            return found[1]
    code = await process.wait()
    raise Failure(said.removeprefix("Error: ") or f"the server ended ({code})", code)


async def pass_on(process: Process) -> None:
    """Pass on what a server says beside its greeting and farewell."""
    assert process.stderr is not None
    async for line in process.stderr:
        said = line.decode(errors="replace").rstrip()
        if not said.startswith(("Journal ", "Stop with ", "Stopped.")):
            talk(f"server: {said}")


def python_path() -> str:
    """Return where Python finds this package, installed or not."""
    root = str(Path(stenograph.__file__).parent.parent)
    return os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
