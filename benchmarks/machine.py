"""Where and of what figures were taken: date, machine, versions and commit."""

from __future__ import annotations

import os
import platform
import sqlite3
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

PACKAGES: Final = (
    "litestar",
    "msgspec",
    "aiosqlite",
    "uvicorn",
    "uvloop",
    "httptools",
    "websockets",
)
ROOT: Final = Path(__file__).parents[1]


def facts() -> dict[str, str]:
    """Return what a reader must know to compare figures with his own."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit(),
        "machine": f"{processor()}, {os.cpu_count()} cores, {memory()}",
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "versions": ", ".join(
            [f"Python {platform.python_version()}", f"SQLite {sqlite3.sqlite_version}", *packages()]
        ),
    }


def packages() -> list[str]:
    """Return the packages that matter, as far as they are installed."""
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return found


def commit() -> str:
    """Return the commit that is checked out, and whether something was changed since."""
    try:
        head = git("rev-parse", "--short=12", "HEAD")
        changed = git("status", "--porcelain", "--", "stenograph")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{head}{', with changes' if changed else ''}"


def git(*words: str) -> str:
    """Return what git says."""
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def processor() -> str:
    """Return the processor's name, where the system tells it."""
    return told(Path("/proc/cpuinfo"), "model name") or platform.machine()


def memory() -> str:
    """Return how much memory there is, where the system tells it."""
    kib = told(Path("/proc/meminfo"), "MemTotal").removesuffix(" kB")
    return f"{int(kib) / 2**20:.0f} GiB" if kib.isdigit() else "memory unknown"


def told(path: Path, name: str) -> str:
    """Return the value of the first line ``name: value`` of a file, or nothing."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return ""
    values = (
        value for key, _, value in (line.partition(":") for line in lines) if key.strip() == name
    )
    return next(values, "").strip()
