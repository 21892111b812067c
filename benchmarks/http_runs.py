"""How many synchronous runs of three nodes a second the server answers, 16 clients at a time.

The ceilings are a Litestar handler that echoes the same JSON, and an engine that keeps runs in dicts
(in_memory.py) behind the same Litestar and uvicorn. All three servers are up at once and are asked
in turns, by a client of ours in a process of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from benchmarks import checked, figures
from benchmarks.figures import Asked, Figure, at_least, compared, interleaved
from benchmarks.load import load
from benchmarks.processes import free_port, post, process, steno_server, wait_for
from benchmarks.tools import THREE

BODY: Final[dict[str, Any]] = {"graph_id": "three", "initial_state": {"n": 1}, "wait": True}
NAME: Final = "3-node run over HTTP, concurrency 16"


def measure(asked: Asked) -> Iterator[Figure]:
    """Yield the figure beside each of its ceilings."""
    plain = free_port()
    with (
        TemporaryDirectory(dir=asked.folder) as folder,
        steno_server(db := Path(folder) / "http.db") as ours,
        process("-m", "benchmarks.in_memory", plain) as served,
        load() as client,
    ):
        wait_for(plain, served.popen)
        post(ours, "/graph/create", THREE)
        done = post(ours, "/graph/run", BODY)
        assert (done["status"], done["state"]["c"]) == ("completed", 3), done
        assert post(plain, "/graph/run", BODY)["state"]["c"] == 3
        per_s = partial(client.per_s, body=BODY, seconds=max(0.2, asked.seconds))
        measures = (
            partial(per_s, ours, "/graph/run"),
            partial(per_s, plain, "/echo"),
            partial(per_s, plain, "/graph/run"),
        )
        interleaved(1, *measures)  # what is imported and compiled at first is no part of it
        rounds = interleaved(asked.rounds, *measures)
        ends = checked.ends(db)
        assert {ends[run] for run in ends if not run.startswith("graph/")} == {done["seq"]}
    pairs = [(run, echo) for run, echo, _ in rounds]
    yield compared(NAME, "runs/s", pairs, against="Litestar echo", goal=at_least(0.45))
    pairs = [(run, memory) for run, _, memory in rounds]
    yield compared(NAME, "runs/s", pairs, against="engine in memory", goal=at_least(0.8))


if __name__ == "__main__":
    figures.main(__doc__, measure)
