"""A server as `steno serve` starts it stands all of the corpus, and is as well afterwards."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path

import httpx
import pytest

from tests.cli.running import command, environment, steno
from tests.figures import Figure
from tests.http import hostile_bodies, hostile_graphs, hostile_heads, hostile_sockets
from tests.http.attack import Attack, Tally, attack_all
from tests.http.tools import COUNT

PATIENCE = ("--head-s", "1", "--body-s", "1", "--send-s", "1")
WAITING = {"id": "waiting", "start": "a", "nodes": {"a": {"wait": {"signal": "go"}}}}


def corpus(every: int = 1) -> list[Attack]:
    """All there is; what takes long first, so that it takes its time beside the rest.

    It is made before the first is sent: whoever makes it meanwhile hears late that all is well.
    """
    kinds = chain(
        hostile_sockets.slow(),
        hostile_sockets.sockets(),
        hostile_bodies.bodies(),
        hostile_bodies.types(),
        hostile_heads.heads(),
        hostile_heads.targets(),
        hostile_graphs.attacks(),
    )
    return list(islice(kinds, 0, None, every))


def prepare(client: httpx.Client) -> None:
    """Begin a run which ends, and one that waits."""
    for graph, run_id in ((COUNT, "r"), (WAITING, "w")):
        assert client.post("/graph/create", json=graph).status_code == 200
        body = {"graph_id": graph["id"], "state": {"to": 3}, "run_id": run_id}
        assert client.post("/graph/run", json=body).status_code in (200, 202)


def assert_well(client: httpx.Client) -> None:
    """Assert that runs still end, and that the journal holds together."""
    body = {"graph_id": "count", "state": {"to": 3}, "run_id": "afterwards"}
    answer = client.post("/graph/run", json=body)
    assert answer.json()["state"]["n"] == 3, answer.text
    assert client.get("/journal/verify").json()["ok"] is True


@contextmanager
def serving(folder: Path, *words: str) -> Iterator[tuple[str, list[str]]]:
    """A server, its address and what it says; it must end as it should."""
    words = ("--tools", "tests.http.tools", "--port", "0", *PATIENCE, *words)
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command("serve", *words), cwd=folder, env=environment(), stderr=log
        )
    said: list[str] = []
    try:
        while not any(line.startswith("Stop with") for line in said):
            assert process.poll() is None, said
            time.sleep(0.05)
            said[:] = (folder / "log").read_text().splitlines()
        yield next(line.split()[2] for line in said if line.startswith("Listening")), said
    finally:
        process.terminate()
        code = process.wait(60)
        said[:] = (folder / "log").read_text().splitlines()
    assert code == 0, said


def stood(folder: Path, *words: str, token: str | None, sent: str | None, every: int) -> Tally:
    """Attack a server of our own with or without a token, and look after it."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    with (
        serving(folder, *words) as (url, said),
        httpx.Client(base_url=url, headers=headers, timeout=30) as client,
    ):
        prepare(client)
        tally = asyncio.run(attack_all(int(url.rpartition(":")[2]), corpus(every), sent))
        assert_well(client)
    assert [line for line in said if "ERROR" in line or "Traceback" in line] == []
    return tally


def with_tokens(folder: Path) -> str:
    """Return a new token for everything."""
    words = (
        "token",
        "create",
        "ann",
        "--tokens",
        folder / "tokens",
        "--scope",
        "read,run,control,admin",
    )
    return steno(*words).out.strip()


@pytest.mark.parametrize("who", ["nobody needs a token", "a good token", "no token"])
def test_the_corpus_is_answered_without_a_failure(who: str, tmp_path: Path, figure: Figure) -> None:
    if who == "nobody needs a token":
        tally = stood(tmp_path, token=None, sent=None, every=1)
    else:
        token = with_tokens(tmp_path)
        sent = token if who == "a good token" else None
        tally = stood(tmp_path, "--tokens", "tokens", token=token, sent=sent, every=6)
    assert tally.wrong == []
    assert tally.answers["5xx"] == 0
    assert tally.tried > 2000
    figure(f"hostile corpus, {who}: {tally}")
