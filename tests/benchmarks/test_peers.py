"""The comparison with other engines, as far as it goes without them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from benchmarks.figures import Asked, Figure, Skipped
from benchmarks.load import make
from benchmarks.peers.__main__ import HERE, OURS, Goals, Rounds, Script, beside, in_turns
from benchmarks.peers.environments import PEERS, CannotInstall, environment
from benchmarks.processes import HOST

SCRIPT = Script("benchmarks.peers.memory_peer", HERE, ("w2", 3, 4))
FAILING = Script("benchmarks.peers.nothing", HERE, ("w2", 3, 4))
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def test_a_peer_that_fails_is_told_and_the_others_are_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scripts = {OURS: SCRIPT, "one": SCRIPT, "another": FAILING}
    rounds = in_turns(scripts, Asked(rounds=2, folder=tmp_path))
    goals: Goals = {"one": None, "another": None}
    one, another = beside("steps", "steps/s", "steps_per_s", rounds, goals)
    assert isinstance(one, Figure)
    assert (one.against, one.rounds, one.beside) == ("one", 2, "")
    assert another == Skipped("steps, beside another", "it failed in every round")
    assert capsys.readouterr().err == "another: no answer, and exit code 1\n" * 2
    assert not list(tmp_path.iterdir())


def test_a_round_in_which_a_peer_failed_is_told() -> None:
    rounds: Rounds = [{OURS: {"x": 6.0}, "one": {"x": 2.0}}, {OURS: {"x": 6.0}, "one": None}]
    [one] = beside("steps", "steps/s", "x", rounds, {"one": None})
    assert isinstance(one, Figure)
    assert (one.ratio, one.rounds, one.beside) == (3, 1, "it failed in 1 of 2 rounds")


def test_a_failure_of_ours_is_not_laid_on_a_peer(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="no answer, and exit code 1"):
        in_turns({OURS: FAILING, "one": SCRIPT}, Asked(rounds=1, folder=tmp_path))


def test_what_a_peer_needs_and_is_not_here_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    [restate] = [peer for peer in PEERS if peer.node_package]
    with pytest.raises(CannotInstall, match=r"^npm cannot be started: No such file or directory$"):
        environment(restate, tmp_path)


async def test_a_run_on_its_way_when_the_time_is_over_counts() -> None:
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        await asyncio.sleep(0.05)
        writer.write(ANSWER)
        await reader.read()
        writer.close()

    async with await asyncio.start_server(slow, HOST, 0) as server:
        port = server.sockets[0].getsockname()[1]
        told = await make(port, "/", "{}", 0.001, 3)
    assert told["failed"] == 0
    assert 0 < told["per_s"] <= 3 / 0.05


async def test_a_connection_that_is_lost_while_it_is_answered_has_failed() -> None:
    async def gone(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        writer.close()

    async with await asyncio.start_server(gone, HOST, 0) as server:
        port = server.sockets[0].getsockname()[1]
        told = await make(port, "/", "{}", 0.001, 3)
    assert told["failed"] == 3
