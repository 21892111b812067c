"""How Stenograph stands beside other engines on the same work: ``make bench-peers``.

Each engine does it in a fresh process and an environment of its own, as it is documented to be run
durably on one machine; the engines take turns, ours among them. A ratio of 5 says that ours makes
five times as many.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, TypeAlias

from benchmarks import figures
from benchmarks.disk import bytes_in
from benchmarks.figures import (
    Asked,
    Goal,
    Skipped,
    Told,
    at_least,
    at_most,
    compared,
    interleaved,
)
from benchmarks.http_runs import BODY
from benchmarks.load import load
from benchmarks.peers.environments import PEERS, CannotInstall, Environment, Peer, environment
from benchmarks.processes import free_port, post, process, steno_server, wait_for
from benchmarks.tools import THREE

Sample: TypeAlias = dict[str, float]
Installed: TypeAlias = dict[Peer, Environment]

HERE: Final = Environment(Path(sys.executable), "")
OURS: Final = "benchmarks.peers.ours"
IN_MEMORY: Final = "benchmarks.peers.memory_peer"
PATIENCE_S: Final = 300.0
QUIET: Final = {"PYTHONWARNINGS": "ignore", "LANGSMITH_TRACING": "false", "DO_NOT_TRACK": "1"}


class Failed(Exception):
    """A peer's script ended without an answer; the message is what it said last."""


def measure(asked: Asked) -> Iterator[Told]:
    """Yield the figures beside each peer that could be installed, and why others are missing."""
    installed: Installed = {}
    for peer in PEERS:
        try:
            installed[peer] = environment(peer)
        except CannotInstall as error:
            yield Skipped(peer.name, f"it cannot be installed here: {error}")
    yield from one_run(installed, asked)
    yield from many_runs(installed, asked)
    yield from on_disk(installed, asked)
    for peer, home in installed.items():
        if peer.serves:
            yield over_http(peer, home, asked)


def one_run(installed: Installed, asked: Asked) -> Iterator[Told]:
    """Yield steps a second of one run."""
    words = ("w1", 1, asked.size(1_000, 20))
    rounds = in_turns(installed, words, asked)
    for peer, home in installed.items():
        goal = at_least(peer.one_run) if peer.one_run else None
        yield beside("one durable run", "steps/s", "steps_per_s", rounds, peer, home, goal)


def many_runs(installed: Installed, asked: Asked) -> Iterator[Told]:
    """Yield steps a second of 200 runs at once, and the memory after them."""
    words = ("w2", asked.size(200, 5), asked.size(20, 5))
    rounds = in_turns(installed, words, asked, memory=True)
    name = f"{words[1]} runs at once"
    for peer, home in installed.items():
        goal = at_least(peer.many_runs) if peer.many_runs else None
        yield beside(name, "steps/s", "steps_per_s", rounds, peer, home, goal)
    pairs = pairs_of(rounds, "rss_mb", IN_MEMORY)
    yield compared(
        f"memory after {name}", "MB", pairs, against="engine in memory", goal=at_most(2.0)
    )
    for peer, home in installed.items():
        yield beside(f"memory after {name}", "MB", "rss_mb", rounds, peer, home, None)


def on_disk(installed: Installed, asked: Asked) -> Iterator[Told]:
    """Yield the bytes on disk a step, beside LangGraph's checkpointer."""
    peers = {peer: home for peer, home in installed.items() if peer.name == "LangGraph"}
    steps = asked.size(300, 10)
    rounds = in_turns(peers, ("w3", 1, steps), asked, rounds=1)
    for each in rounds:
        for sample in each.values():
            if sample:
                sample["bytes"] /= steps
    name = "on disk a step, with a constant of 100 KB in the state"
    for peer, home in peers.items():
        yield beside(name, "bytes", "bytes", rounds, peer, home, at_most(1 / 50))


def in_turns(
    installed: Installed,
    words: tuple[object, ...],
    asked: Asked,
    *,
    memory: bool = False,
    rounds: int | None = None,
) -> list[dict[str, Sample | None]]:
    """Return for each round what each engine's process says, by module; None where it failed."""
    scripts = {OURS: HERE, **({IN_MEMORY: HERE} if memory else {})}
    scripts |= {peer.module: home for peer, home in installed.items()}
    measures = [partial(sample, module, home, words, asked) for module, home in scripts.items()]
    return [
        dict(zip(scripts, samples, strict=True))
        for samples in interleaved(rounds or asked.rounds, *measures)
    ]


def sample(
    module: str, home: Environment, words: tuple[object, ...], asked: Asked
) -> Sample | None:
    """Run a script once in a folder of its own; returns what it says, and the bytes it left there."""
    with TemporaryDirectory(dir=asked.folder) as folder:
        try:
            return {**script(module, home, words, folder), "bytes": bytes_in(Path(folder))}
        except (Failed, subprocess.TimeoutExpired) as error:
            print(f"{module}: {error}", file=sys.stderr)
            return None


def script(module: str, home: Environment, words: tuple[object, ...], folder: str) -> Sample:
    """Return what a script says; raises Failed or TimeoutExpired."""
    name, *numbers = words
    line = [home.python, "-m", module, name, folder, *numbers]
    with process(*line[1:], python=home.python, env={**QUIET, **home.env}) as started:
        out, _ = started.popen.communicate(timeout=PATIENCE_S)
    for each in out.splitlines():
        if each.startswith("RESULT "):
            told: Sample = json.loads(each.removeprefix("RESULT "))
            return told
    raise Failed(f"no answer, and exit code {started.popen.returncode}")


def beside(
    name: str,
    unit: str,
    what: str,
    rounds: list[dict[str, Sample | None]],
    peer: Peer,
    home: Environment,
    goal: Goal | None,
) -> Told:
    """Return our figure beside a peer's."""
    pairs = pairs_of(rounds, what, peer.module)
    against = f"{peer.name} {home.version}"
    if not pairs:
        return Skipped(f"{name}, beside {against}", "its script failed")
    return compared(name, unit, pairs, against=against, goal=goal)


def pairs_of(
    rounds: list[dict[str, Sample | None]], what: str, module: str
) -> list[tuple[float, float]]:
    """Return ours and another's of each round in which neither failed."""
    both = ((each[OURS], each[module]) for each in rounds)
    return [(ours[what], theirs[what]) for ours, theirs in both if ours and theirs]


def over_http(peer: Peer, home: Environment, asked: Asked) -> Told:
    """Return our runs of three nodes a second over HTTP beside a peer's."""
    name = "3-node run over HTTP, concurrency 16"
    against = f"{peer.name} {home.version}"
    with TemporaryDirectory(dir=asked.folder) as folder, ExitStack() as stack:
        (own := Path(folder) / "peer").mkdir()
        ours = stack.enter_context(steno_server(Path(folder) / "ours.db"))
        try:
            theirs = stack.enter_context(serving(peer, home, own))
        except RuntimeError as error:
            return Skipped(f"{name}, beside {against}", str(error))
        client = stack.enter_context(load())
        post(ours, "/graph/create", THREE)
        for port, path in ((ours, "/graph/run"), (theirs, peer.serves)):
            assert answered(port, path)["state"]["c"] == 3, against
        # A slow engine answers few requests in a short window.
        per_s = partial(client.per_s, body=BODY, seconds=max(1.0, 2.5 * asked.seconds))
        measures = partial(per_s, ours, "/graph/run"), partial(per_s, theirs, peer.serves)
        interleaved(1, *measures)
        pairs = interleaved(asked.rounds, *measures)
    goal = at_least(peer.http) if peer.http else None
    return compared(name, "runs/s", pairs, against=against, goal=goal)


def answered(port: int, path: str) -> Any:
    """Return the first answer; who listens already may not know yet what he serves."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            return post(port, path, BODY)
        except (OSError, RuntimeError):
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


@contextmanager
def serving(peer: Peer, home: Environment, folder: Path) -> Iterator[int]:
    """Serve a peer; gives the port."""
    port = free_port()
    words = ("-m", peer.module, "serve", folder, port)
    env = {**QUIET, **home.env}
    with process(*words, python=home.python, env=env) as started:
        wait_for(port, started.popen)
        yield port


if __name__ == "__main__":
    figures.main(__doc__, measure, rounds=5)
