"""The peers' environments: one each, made with pip from the index that is set, and used again.

They keep the versions that were the newest when they were made; ``make clean`` removes them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from platform import python_version
from typing import Final

from msgspec import Struct

FOLDER: Final = Path(__file__).parents[2] / ".peers"
PIP: Final = ("--quiet", "--disable-pip-version-check", "--no-input", "--prefer-binary")
NPM: Final = ("--no-audit", "--no-fund", "--loglevel=error")


class Peer(Struct, frozen=True):
    """An engine to compare with: its packages, and the goals for ours, as multiples of its own.

    ``sync``: it has an API without asyncio too, which is the faster one for one run at a time.
    """

    name: str
    module: str
    packages: tuple[str, ...]
    version_of: str
    one_run: float | None = None
    many_runs: float | None = None
    http: float | None = None
    serves: str = ""
    node_package: str = ""
    sync: bool = False


PEERS: Final = (
    Peer(
        "LangGraph",
        "benchmarks.peers.langgraph_peer",
        ("langgraph", "langgraph-checkpoint-sqlite", "fastapi", "uvicorn[standard]"),
        "langgraph",
        one_run=5,
        many_runs=60,
        http=15,
        serves="/graph/run",
        sync=True,
    ),
    Peer(
        "DBOS",
        "benchmarks.peers.dbos_peer",
        ("dbos", "fastapi", "uvicorn[standard]"),
        "dbos",
        one_run=6,
        many_runs=100,
        serves="/graph/run",
    ),
    Peer(
        "Restate",
        "benchmarks.peers.restate_peer",
        ("restate-sdk", "hypercorn"),
        "restate-sdk",
        one_run=4,
        many_runs=20,
        http=10,
        serves="/bench/three",
        node_package="@restatedev/restate-server",
    ),
    Peer(
        "Burr",
        "benchmarks.peers.burr_peer",
        ("burr", "aiosqlite"),
        "burr",
        one_run=3,
        many_runs=8,
        sync=True,
    ),
)


class CannotInstall(Exception):
    """A peer cannot be had here; the message says why."""


class Environment(Struct, frozen=True):
    """Where a peer is installed."""

    python: Path
    version: str
    env: dict[str, str] = {}


def environment(peer: Peer, folder: Path = FOLDER) -> Environment:
    """Return where a peer is installed, and install it first if need be; raises CannotInstall."""
    home = folder / peer.name.lower()
    python = home / "bin" / "python"
    stamp = home / f"installed-{python_version()}"  # another interpreter is another environment
    if not stamp.exists():
        print(f"Installing {peer.name} into {home} …", file=sys.stderr)
        if peer.node_package:
            run(["npm", "--version"])
        run([sys.executable, "-m", "venv", "--clear", home])
        if peer.node_package:
            run(["npm", "install", *NPM, "--prefix", home, peer.node_package])
        run([python, "-m", "pip", "install", *PIP, *peer.packages])
        stamp.touch()
    code = f"from importlib.metadata import version; print(version('{peer.version_of}'))"
    version = run([python, "-c", code]).strip()
    if not peer.node_package:
        return Environment(python, version)
    package = home / "node_modules" / peer.node_package / "package.json"
    server = json.loads(package.read_text())["version"]
    return Environment(python, f"{server} (SDK {version})", server_of(home))


def server_of(home: Path) -> dict[str, str]:
    """Return the variable that names Restate's binary, which lies in a package a platform."""
    found = list(home.glob("node_modules/@restatedev/*/bin/restate-server"))
    if not found:
        raise CannotInstall("npm brought no binary of its server for this platform")
    return {"RESTATE_SERVER": str(found[0])}


def run(words: list[str | Path]) -> str:
    """Run a command and return what it wrote; raises CannotInstall."""
    try:
        done = subprocess.run(
            list(map(str, words)), capture_output=True, text=True, timeout=900, check=True
        )
    except subprocess.CalledProcessError as error:
        last = (error.stderr or error.stdout).strip().splitlines()[-1:]
        raise CannotInstall(
            " ".join([f"{words[0]} ended with {error.returncode}:", *last])
        ) from error
    except OSError as error:
        raise CannotInstall(f"{words[0]} cannot be started: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise CannotInstall(f"{words[0]} was not done after {error.timeout:.0f} s") from error
    return done.stdout
