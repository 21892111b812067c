"""A real browser without a window, told what to do over its debugging protocol."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect

PATIENCE_S = 60
LOOK_AGAIN_S = 0.05
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-proxy-server",
    "--remote-debugging-port=0",
)


def need_browser() -> str:
    """Return the path of a browser; without one the test is skipped, but in CI it fails."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        told = f"there is no browser here: none of {', '.join(NAMES)} is on the PATH"
        if os.environ.get("CI") == "true":
            pytest.fail(told)
        pytest.skip(told)
    return found


class Page:
    """A page of the browser; scripts run in it as its own."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = count(1)

    async def ask(self, method: str, **parameters: Any) -> Any:
        """Ask the browser for something, and return its answer."""
        number = next(self._numbers)
        await self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(await self._socket.recv())
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]

    async def value(self, script: str) -> Any:
        """Return the value of an expression in the page."""
        found = await self.ask("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def go(self, url: str) -> None:
        """Open a URL, and return once it is loaded."""
        await self.ask("Page.navigate", url=url)
        await self.until(f"document.readyState + location.href === 'complete{url}'")

    async def until(self, condition: str) -> None:
        """Return as soon as something holds in the page."""
        for _ in range(int(PATIENCE_S / LOOK_AGAIN_S)):
            if await self.value(condition):
                return
            await asyncio.sleep(LOOK_AGAIN_S)
        raise AssertionError(f"it never came to hold: {condition}")


@asynccontextmanager
async def browsing(folder: Path) -> AsyncIterator[Page]:
    """A browser with an empty page; its profile lies in ``folder``. It ends with the block."""
    process = await asyncio.create_subprocess_exec(
        need_browser(),
        *(*OPTIONS, f"--user-data-dir={folder}", "about:blank"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        port = await port_of(process, folder / "DevToolsActivePort")
        async with connect(await page_address(port), max_size=None, proxy=None) as socket:
            yield Page(socket)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def port_of(process: asyncio.subprocess.Process, file: Path) -> int:
    """Return the port that the browser listens on, as soon as it has written it down."""
    while not (file.exists() and (lines := file.read_text().splitlines())):  # noqa: ASYNC240
        assert process.returncode is None, "the browser did not start"
        await asyncio.sleep(0.05)
    return int(lines[0])


async def page_address(port: int) -> str:
    """Return where the first page is debugged."""
    async with httpx.AsyncClient(trust_env=False) as http:
        pages = (await http.get(f"http://127.0.0.1:{port}/json")).json()
    address: str = next(each["webSocketDebuggerUrl"] for each in pages if each["type"] == "page")
    return address
