"""Work that takes a while, in a thread of its own that ends with it, beside the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


async def apart(work: Callable[[], T]) -> T:
    """Return what ``work`` returns. Who is cancelled meanwhile leaves it to end by itself."""
    executor = ThreadPoolExecutor(1)
    try:
        return await asyncio.get_running_loop().run_in_executor(executor, work)
    finally:
        # The loop's own executor would keep its thread for as long as the process lives.
        executor.shutdown(wait=False)
