"""How long it takes from starting the server's process to the end of the first run over HTTP.

The graph is created and run as soon as the port answers. The ceiling is an interpreter that imports
the framework and the server, and ends.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from benchmarks import figures
from benchmarks.figures import Asked, Figure, at_most, compared, interleaved
from benchmarks.http_runs import BODY
from benchmarks.processes import post, steno_server
from benchmarks.tools import THREE


def measure(asked: Asked) -> Iterator[Figure]:
    """Yield the figure."""
    with TemporaryDirectory(dir=asked.folder) as folder:
        pairs = interleaved(asked.rounds, lambda: started_ms(Path(folder)), imported_ms)
    yield compared(
        "process start to first run over HTTP",
        "ms",
        pairs,
        against="import litestar, uvicorn",
        goal=at_most(2.0),
    )


def started_ms(folder: Path) -> float:
    """Return how long a new server takes, on a journal of its own, to have run a graph."""
    with TemporaryDirectory(dir=folder) as own:
        begin = perf_counter()
        with steno_server(Path(own) / "new.db") as port:
            post(port, "/graph/create", THREE)
            done = post(port, "/graph/run", BODY)
            took = perf_counter() - begin
        assert done["status"] == "completed", done
        return took * 1000


def imported_ms() -> float:
    """Return how long the imports take, in a process of their own."""
    begin = perf_counter()
    subprocess.run([sys.executable, "-c", "import litestar, uvicorn"], check=True)
    return (perf_counter() - begin) * 1000


if __name__ == "__main__":
    figures.main(__doc__, measure)
