"""How Stenograph stands beside other engines on the same work: ``make bench-peers``.

Each engine does it in a fresh process and an environment of its own, as it is documented to be run
durably on one machine, in the fastest way that stays so; the engines take turns, ours among them. A
ratio of 5 says that ours makes five times as many.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, TypeAlias

from msgspec import Struct

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
from benchmarks.load import Load, load
from benchmarks.peers.environments import PEERS, CannotInstall, Environment, Peer, environment
from benchmarks.processes import free_port, post, process, steno_server, wait_for
from benchmarks.tools import THREE

Sample: TypeAlias = dict[str, float]
Rounds: TypeAlias = list[dict[str, Sample | None]]
Goals: TypeAlias = dict[str, Goal | None]
Installed: TypeAlias = dict[Peer, Environment]

HERE: Final = Environment(Path(sys.executable), "")
OURS: Final = "Stenograph"
IN_MEMORY: Final = "engine in memory"
PATIENCE_S: Final = 300.0
QUIET: Final = {"PYTHONWARNINGS": "ignore", "LANGSMITH_TRACING": "false", "DO_NOT_TRACK": "1"}


class Failed(Exception):
    """A peer's script ended without an answer; the message is what it said last."""


class Script(Struct, frozen=True):
    """A script in an engine's environment, and what it is asked; its folder goes second."""

    module: str
    home: Environment
    words: tuple[object, ...]


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
    yield from over_http(installed, asked)


def one_run(installed: Installed, asked: Asked) -> Iterator[Told]:
    """Yield steps a second of one run."""
    numbers = (1, asked.size(1_000, 20))
    scripts = scripts_of(installed, "w1", *numbers)
    goals: Goals = {}
    for peer, home in installed.items():
        names = [label(peer, home)]
        if peer.sync:
            names.append(f"{label(peer, home)}, without asyncio")
            scripts[names[1]] = Script(peer.module, home, ("w1-sync", *numbers))
        goals |= dict.fromkeys(names, goal(peer.one_run))
    yield from beside("one durable run", "steps/s", "steps_per_s", in_turns(scripts, asked), goals)


def many_runs(installed: Installed, asked: Asked) -> Iterator[Told]:
    """Yield steps a second of 200 runs at once, and the memory after them."""
    numbers = (asked.size(200, 5), asked.size(20, 5))
    scripts = scripts_of(installed, "w2", *numbers)
    scripts[IN_MEMORY] = Script("benchmarks.peers.memory_peer", HERE, ("w2", *numbers))
    rounds = in_turns(scripts, asked)
    name = f"{numbers[0]} runs at once"
    goals = {label(peer, home): goal(peer.many_runs) for peer, home in installed.items()}
    yield from beside(name, "steps/s", "steps_per_s", rounds, goals)
    goals = {IN_MEMORY: at_most(2.0), **dict.fromkeys(goals)}
    yield from beside(f"memory after {name}", "MB", "rss_mb", rounds, goals)


def on_disk(installed: Installed, asked: Asked) -> Iterator[Told]:
    """Yield the bytes on disk a step, beside LangGraph's checkpointer."""
    peers = {peer: home for peer, home in installed.items() if peer.name == "LangGraph"}
    if not peers:
        return
    steps = asked.size(300, 10)
    rounds = in_turns(scripts_of(peers, "w3", 1, steps), asked)
    for sample in (sample for each in rounds for sample in each.values() if sample):
        sample["bytes"] /= steps
    name = "on disk a step, with a constant of 100 KB in the state"
    goals: Goals = {label(peer, home): at_most(1 / 50) for peer, home in peers.items()}
    yield from beside(name, "bytes", "bytes", rounds, goals)


def over_http(installed: Installed, asked: Asked) -> Iterator[Told]:
    """Yield runs of three nodes a second over HTTP; all servers are up, and are asked in turns."""
    name = "3-node run over HTTP, concurrency 16"
    seconds = max(0.2, 7 * asked.seconds)  # a slow engine answers few requests in a short window
    with TemporaryDirectory(dir=asked.folder) as folder, ExitStack() as stack:
        client = stack.enter_context(load())
        port = stack.enter_context(steno_server(Path(folder) / "ours.db"))
        post(port, "/graph/create", THREE)
        asks = {OURS: partial(asked_at, client, port, "/graph/run", seconds)}
        goals: Goals = {}
        for peer, home in installed.items():
            if not peer.serves:
                continue
            (own := Path(folder) / peer.name).mkdir()
            try:
                port = stack.enter_context(serving(peer, home, own))
                answered(port, peer.serves)
            except (OSError, RuntimeError) as error:
                yield Skipped(f"{name}, beside {label(peer, home)}", str(error))
                continue
            client = stack.enter_context(load())  # each its own: one that loses its server ends
            asks[label(peer, home)] = partial(asked_at, client, port, peer.serves, seconds)
            goals[label(peer, home)] = goal(peer.http)
        measures = [partial(attempted, who, ask) for who, ask in asks.items()]
        interleaved(1, *measures)
        rounds = [
            dict(zip(asks, each, strict=True)) for each in interleaved(asked.rounds, *measures)
        ]
    yield from beside(name, "runs/s", "runs_per_s", rounds, goals)


def label(peer: Peer, home: Environment) -> str:
    """Return how a peer is named beside a figure."""
    return f"{peer.name} {home.version}"


def goal(times: float | None) -> Goal | None:
    """Return the goal to make so many times as much."""
    return None if times is None else at_least(times)


def scripts_of(installed: Installed, *words: object) -> dict[str, Script]:
    """Return our script and each peer's, by how they are named."""
    scripts = {OURS: Script("benchmarks.peers.ours", HERE, words)}
    return scripts | {
        label(peer, home): Script(peer.module, home, words) for peer, home in installed.items()
    }


def in_turns(scripts: dict[str, Script], asked: Asked) -> Rounds:
    """Return for each round what each script says; None where it failed."""
    measures = [
        partial(attempted, who, partial(sample, script, asked)) for who, script in scripts.items()
    ]
    return [dict(zip(scripts, each, strict=True)) for each in interleaved(asked.rounds, *measures)]


def attempted(who: str, ask: Callable[[], Sample]) -> Sample | None:
    """Return what comes of it, or None when a peer fails; our own failure is the benchmark's."""
    try:
        return ask()
    except (Failed, OSError, RuntimeError, subprocess.TimeoutExpired) as error:
        if who in (OURS, IN_MEMORY):
            raise
        print(f"{who}: {error}", file=sys.stderr)
        return None


def sample(script: Script, asked: Asked) -> Sample:
    """Run a script once in a folder of its own; returns what it says, and the bytes it left there."""
    with TemporaryDirectory(dir=asked.folder) as folder:
        return {**said(script, folder), "bytes": bytes_in(Path(folder))}


def said(script: Script, folder: str) -> Sample:
    """Return what a script says; raises Failed or TimeoutExpired."""
    name, *numbers = script.words
    words = ("-m", script.module, name, folder, *numbers)
    env = {**QUIET, **script.home.env}
    with process(*words, python=script.home.python, env=env) as started:
        out, _ = started.popen.communicate(timeout=PATIENCE_S)
    for each in out.splitlines():
        if each.startswith("RESULT "):
            told: Sample = json.loads(each.removeprefix("RESULT "))
            return told
    raise Failed(f"no answer, and exit code {started.popen.returncode}")


def beside(name: str, unit: str, what: str, rounds: Rounds, goals: Goals) -> Iterator[Told]:
    """Yield our figure beside each peer that has a goal, or None for one."""
    for who, to_reach in goals.items():
        pairs = pairs_of(rounds, what, who)
        lost = len(rounds) - len(pairs)
        if pairs:
            note = f"it failed in {lost} of {len(rounds)} rounds" if lost else ""
            yield compared(name, unit, pairs, against=who, goal=to_reach, beside=note)
        else:
            yield Skipped(f"{name}, beside {who}", "it failed in every round")


def pairs_of(rounds: Rounds, what: str, who: str) -> list[tuple[float, float]]:
    """Return ours and another's of each round in which it did not fail."""
    both = ((each[OURS], each[who]) for each in rounds)
    return [(ours[what], theirs[what]) for ours, theirs in both if ours and theirs]


def asked_at(client: Load, port: int, path: str, seconds: float) -> Sample:
    """Return the runs a second of a server; raises RuntimeError when one was not answered by 200."""
    return {"runs_per_s": client.per_s(port, path, BODY, seconds=seconds)}


def answered(port: int, path: str) -> None:
    """Wait for the right answer; who listens already may not know yet what he serves."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            answer = post(port, path, BODY)
            break
        except (OSError, RuntimeError):
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
    if answer["state"]["c"] != 3:
        raise RuntimeError(f"POST {path}: the wrong answer, {answer}")


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
