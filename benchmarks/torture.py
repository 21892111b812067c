"""Crash at every commit of every sample graph, and tell what was lost: ``make torture``."""

from __future__ import annotations

import asyncio
import logging
import sys

from tests.crashes import Tally, crash_everywhere
from tests.graphs import LARGER, SAMPLES


async def torture() -> int:
    """Print one line of figures; each fault in words on stderr."""
    tally = Tally()
    for name, sample in (SAMPLES | LARGER).items():
        for fault in await crash_everywhere(sample, tally):
            print(f"{name}: {fault}", file=sys.stderr)
    print(tally)
    return 1 if tally.lost or tally.doubled or tally.stuck else 0


if __name__ == "__main__":
    logging.disable()
    sys.exit(asyncio.run(torture()))
