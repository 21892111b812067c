"""Checkpoints that a server signs: when it starts, now and then, and once its journal is closed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import click
from msgspec import Struct

from stenograph.cli.checkpoint import append_checkpoint
from stenograph.journal import JournalError

if TYPE_CHECKING:
    from stenograph.journal import SigningKey

_log: Final = logging.getLogger("stenograph.cli")


class Checkpointing(Struct, frozen=True):
    """Over which journal, signed with what, written where, and how many seconds apart."""

    db: str
    key: SigningKey
    path: str
    every_s: float

    def write(self) -> None:
        """Append a checkpoint, if there is anything new; raises as ``append_checkpoint``."""
        append_checkpoint(self.db, self.key, self.path, only_new=True)

    def try_to_write(self) -> None:
        """Append a checkpoint; what goes wrong is logged, and no reason to stop."""
        try:
            self.write()
        except (JournalError, click.ClickException) as error:
            _log.error("no checkpoint was written: %s", error)


@asynccontextmanager
async def at_the_end(checkpointing: Checkpointing | None) -> AsyncIterator[None]:
    """Sign what the journal holds once all that is within has ended."""
    try:
        yield
    finally:
        if checkpointing is not None:
            checkpointing.try_to_write()


@asynccontextmanager
async def now_and_then(checkpointing: Checkpointing | None) -> AsyncIterator[None]:
    """Sign what the journal holds now, and from time to time; raises when that fails at once."""
    if checkpointing is None:
        yield
        return
    with ThreadPoolExecutor(1) as thread:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(thread, checkpointing.write)

        async def repeat() -> None:
            while True:
                await asyncio.sleep(checkpointing.every_s)
                await loop.run_in_executor(thread, checkpointing.try_to_write)

        repeating = asyncio.create_task(repeat())
        try:
            yield
        finally:
            repeating.cancel()
            await asyncio.wait({repeating})
