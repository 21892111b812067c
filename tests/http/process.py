"""A server as a process of its own: `python -m tests.http.process FILE` prints its address."""

from __future__ import annotations

import asyncio
import sys

import stenograph as st
from stenograph.http import create_app, serve
from tests.http.tools import TOOLS


async def main(path: str) -> None:
    app = create_app(lambda: st.open(path, tools=TOOLS, durability="normal"))
    await serve(app, port=0, started=lambda url, engine: print(url, flush=True))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
