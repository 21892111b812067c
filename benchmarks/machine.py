"""Where and of what figures were taken: date, machine, disk, versions and commit."""

from __future__ import annotations

import os
import platform
import sqlite3
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from tempfile import TemporaryFile, gettempdir
from time import perf_counter
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
SYNCS: Final = 51


def facts(folder: Path | None = None) -> dict[str, str]:
    """Return what a reader must know to compare figures with his own; their files are in ``folder``."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit(),
        "machine": f"{processor()}, {os.cpu_count()} cores, {memory()}",
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "disk": disk(folder or Path(gettempdir())),
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
        changed = git("status", "--porcelain", "--", "stenograph", "benchmarks/*.py")
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


def disk(folder: Path) -> str:
    """Return a folder's file system, and how long it takes to sync 4 KiB more of a file."""
    took = []
    with TemporaryFile(dir=folder, buffering=0) as file:
        for _ in range(SYNCS):
            file.write(bytes(4096))
            begin = perf_counter()
            os.fsync(file.fileno())
            took.append(perf_counter() - begin)
    return f"{file_system(folder)}, {median(took) * 1000:.2g} ms a sync of 4 KiB"


def file_system(folder: Path) -> str:
    """Return the type of a folder's file system, where the system tells it."""
    try:
        mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return "file system unknown"
    over = [mount for mount in mounts if folder.resolve().is_relative_to(mount[1])]
    return (
        max(reversed(over), key=lambda mount: len(mount[1]))[2] if over else "file system unknown"
    )


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
