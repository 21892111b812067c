"""A file with the id of the process that serves."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from stenograph.cli.failures import USAGE, Failure


def write_pid(path: Path) -> None:
    """Write this process's id into a file; raises Failure."""
    try:
        path.write_text(f"{os.getpid()}\n", "utf-8")
    except OSError as error:
        raise Failure(f"{path}: cannot be written: {error.strerror or error}", USAGE) from error


def forget(path: Path) -> None:
    """Remove our own pid file; another server's is left alone."""
    with suppress(OSError):
        if path.read_text("utf-8").strip() == str(os.getpid()):
            path.unlink()
