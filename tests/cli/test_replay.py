"""``steno replay``: a run's events again, in the terminal."""

from __future__ import annotations

import pytest

from tests.cli.running import Server, seqs, steno


@pytest.fixture(scope="module")
def run(server: Server) -> str:
    words = ["run", "count", "-s", "to=2", "--id", "replay-1", "--follow"]
    assert steno("--url", server.url, *words).code == 0
    return "replay-1"


@pytest.mark.parametrize("place", ["url", "db"])
@pytest.mark.parametrize("words", [["--speed", "0"], ["--speed", "1000", "--max-gap", "0.01"]])
def test_a_run_is_played_again_to_its_end(
    server: Server, run: str, place: str, words: list[str]
) -> None:
    where = [f"--{place}", getattr(server, place)]
    every = steno(*where, "tail", run)
    done = steno(*where, "replay", run, *words)
    assert (done.code, done.out) == (0, every.out)
    later = steno(*where, "replay", run, *words, "--after", 9, "--type", "run.*")
    assert (later.code, seqs(later.out.splitlines())) == (0, [12])


def test_a_speed_that_is_none_is_refused(server: Server, run: str) -> None:
    assert steno("--url", server.url, "replay", run, "--speed", -1).code == 2
    assert steno("--url", server.url, "replay", "nobody").code == 4
