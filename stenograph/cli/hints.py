"""Hints: command lines to type next, spelled so that they work where this one did."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

from stenograph.cli.settings import Settings


def steno(settings: Settings, *words: str) -> str:
    """Return a command line that asks the same place."""
    place = []
    if settings.db:
        place = ["--db", settings.db]
    elif settings.url:
        place = ["--url", settings.url]
    return f"{program()} {shlex.join([*place, *words])}"


def steno_write(settings: Settings, *words: str) -> str:
    """Return a command line that writes; a file is only read, so it asks the server by default."""
    return steno(Settings(url=settings.url), *words)


def program() -> str:
    """Return what to type for this program: its name when the shell finds it, else its path."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return "python -m stenograph"
    found = shutil.which(called.name)
    if found is not None and called.exists() and called.samefile(found):
        return called.name
    return shlex.quote(sys.argv[0])
