"""Every kind of run under every operation: the right exit code, and a sentence where it is refused."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from msgspec import Struct

from tests.cli.running import PATIENCE_S, Done, graph_file, serving, steno
from tests.cli.tools import BOOM, COUNT, GATED, VOTES

NEXT: Final = {**GATED, "nodes": {**GATED["nodes"], "next": {}}}
LIMITED: Final = {**COUNT, "id": "limited", "limits": {"steps": 3}}
SECRET: Final = {**GATED, "id": "secret", "state": {"token": {"secret": True}}}
HIDDEN: Final = "a-hidden-value"

ENDED: Final = ("finished", "failed", "cancelled", "fork", "rerun", "imported")
RESTING: Final = (
    "waiting", "parked", "item", "item-again", "migrated", "imported-unfinished", "secret",
)  # fmt: skip
KINDS: Final = (*ENDED, *RESTING, "erased")

OPERATIONS: Final[dict[str, list[object]]] = {
    "show": ["show", "RUN"],
    "show --at": ["show", "RUN", "--at", 1],
    "show beyond": ["show", "RUN", "--at", 999],
    "tail": ["tail", "RUN", "--no-follow"],
    "why": ["why", "RUN", 1],
    "blame": ["blame", "RUN"],
    "diff": ["diff", "RUN", "finished"],
    "verify": ["verify", "RUN"],
    "pytest": ["pytest", "RUN"],
    "check": ["rerun", "RUN", "--check"],
    "rerun": ["rerun", "RUN"],
    "fork": ["fork", "RUN", "--at", 1],
    "migrate": ["migrate", "RUN", "NEXT", "--dry-run"],
    "export": ["export", "RUN", "FILE"],
}
REFUSED: Final = {
    "erased": dict.fromkeys(set(OPERATIONS) - {"tail", "verify"}, 4),
    "migrated": {"pytest": 2},
    "secret": {"rerun": 2, "migrate": 2},
    "parked": {"migrate": 0},
    "item": {"migrate": 2},
    "item-again": {"migrate": 2},
    "imported-unfinished": {"migrate": 6},
    "cancelled": {"rerun": 75},
}
"""Exit codes that are other than ``expected`` has them."""
LIKE_FINISHED: Final = ("finished", "fork", "rerun", "imported")


def expected(kind: str, operation: str) -> int:
    """Return the exit code of an operation on a run of some kind."""
    resting = kind in RESTING
    codes = {
        "show beyond": 2,
        "diff": int(kind not in LIKE_FINISHED),
        "rerun": 75 if resting else 0,
        "migrate": 0 if resting else 6,
    }
    return REFUSED.get(kind, {}).get(operation, codes.get(operation, 0))


class World(Struct):
    """Two servers, of which the first has a run of every kind, and a folder."""

    url: str
    elsewhere: str
    folder: Path

    def steno(self, kind: str, operation: str) -> Done:
        names = {"RUN": kind, "NEXT": self.folder / "next.json", "FILE": self.file(kind)}
        words = [names.get(str(word), word) for word in OPERATIONS[operation]]
        return steno("--url", self.url, "-o", "table", *words)

    def file(self, kind: str) -> Path:
        return self.folder / f"{kind}.ndjson"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("matrix")
    graph_file(folder, NEXT, "next.json")
    with (
        serving("--db", folder / "here.db", "--port", "0") as here,
        serving("--memory", "--port", "0") as there,
        httpx.Client(base_url=here.url, timeout=PATIENCE_S) as http,
        httpx.Client(base_url=there.url, timeout=PATIENCE_S) as other,
    ):
        populate(http, other)
        yield World(here.url, there.url, folder)


def populate(http: httpx.Client, other: httpx.Client) -> None:
    """Make a run of every kind."""
    begin(http, COUNT, "finished", "completed", to=2)
    begin(http, BOOM, "failed", "failed")
    begin(http, GATED, "waiting", "waiting")
    begin(http, LIMITED, "parked", "parked", to=9)
    begin(http, GATED, "cancelled", "waiting")
    post(http, "/runs/cancelled/cancel", "cancelled", "cancelled")
    post(http, "/runs/finished/fork", "fork", "completed", at=4, id="fork")
    begin(http, VOTES, "votes", "waiting", people=["a", "b"])
    change: dict[str, Any] = {"scope": "/split#1[0]/", "state": {"note": 1}}
    post(http, "/runs/votes/fork", "item", "waiting", at=9, id="item", **change)
    post(http, "/runs/item/fork", "item-again", "waiting", at=1, id="item-again", **change)
    post(http, "/runs/finished/rerun", "rerun", "completed", id="rerun")
    begin(http, GATED, "migrated", "waiting")
    post(http, "/runs/migrated/migrate", "migrated", "waiting", graph=NEXT)
    begin(other, COUNT, "imported", "completed", to=2)
    begin(other, GATED, "imported-unfinished", "waiting")
    for run_id in ("imported", "imported-unfinished"):
        file = other.get(f"/runs/{run_id}/export").content
        lines = {"content-type": "application/x-ndjson"}
        assert http.post("/runs/import", content=file, headers=lines).is_success
    begin(http, COUNT, "erased", "completed", to=2)
    post(http, "/runs/erased/erase")
    begin(http, SECRET, "secret", "waiting", token=HIDDEN)


def begin(http: httpx.Client, graph: object, run_id: str, status: str, **state: object) -> None:
    post(http, "/runs", run_id, status, graph=graph, id=run_id, state=state)


def post(http: httpx.Client, path: str, run_id: str = "", status: str = "", **body: object) -> None:
    """Ask for something, and wait until a run has come to a status."""
    answer = http.post(path, json=body)
    assert answer.is_success, answer.text
    until = time.monotonic() + PATIENCE_S
    while run_id and http.get(f"/runs/{run_id}").json()["status"] != status:
        assert time.monotonic() < until, f"{run_id} never was {status}"
        time.sleep(0.01)


@pytest.mark.parametrize("kind", KINDS)
def test_every_operation_on_a_run_ends_with_its_code_and_a_sentence(
    world: World, kind: str
) -> None:
    for operation in OPERATIONS:
        done = world.steno(kind, operation)
        told = f"{operation} of {kind}: {done}"
        assert done.code == expected(kind, operation), told
        assert HIDDEN not in done.out + done.err, told
        if done.code not in (0, 1, 75):
            assert ("Error: run " in done.err) or "cannot go on" in done.out, told


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_read_over_http_is_an_answer_or_a_problem(world: World, kind: str) -> None:
    with httpx.Client(base_url=f"{world.url}/runs/{kind}", timeout=PATIENCE_S) as http:
        for path in ("", "/state", "/state?at=1", "/state?at=999", "/visits", "/why?seq=1", "/blame",
                     "/blame?path=/nothing", "/events", "/verify", "/rerun", "/export",
                     *(f"/diff/{other}" for other in KINDS)):  # fmt: skip
            answer = http.get(path)
            assert answer.status_code < 500, (path, answer.text)
            assert HIDDEN not in answer.text
            if not answer.is_success:
                assert {"title", "detail"} <= answer.json().keys(), (path, answer.text)


@pytest.mark.parametrize("kind", ["failed", "parked", "item-again", "migrated", "secret"])
def test_a_fork_of_any_goes_elsewhere_and_is_verified_and_erased_there(
    world: World, kind: str
) -> None:
    file = world.folder / f"there-{kind}.ndjson"
    there = ("--url", world.elsewhere, "-o", "table")
    assert steno("--url", world.url, "fork", kind, "--at", 1, "--id", f"of-{kind}").code == 0
    assert steno("--url", world.url, "export", f"of-{kind}", file).code == 0
    assert steno("verify", file).code == 0
    run_id = f"of-{kind}"
    for words in (["import", file], ["show", run_id], ["blame", run_id], ["verify", run_id]):
        done = steno(*there, *words)
        assert done.code == 0, (words, done)
    assert steno(*there, "erase", run_id).code == 0
    assert steno(*there, "show", run_id).code == 4
    assert steno(*there, "verify", run_id).code == 0


@pytest.mark.parametrize("kind", [kind for kind in RESTING if kind != "imported-unfinished"])
def test_what_has_not_ended_is_not_erased(world: World, kind: str) -> None:
    done = steno("--url", world.url, "erase", kind)
    assert (done.code, "has not ended" in done.err) == (6, True), done


def test_the_views_and_the_chains_hold_all_kinds(world: World) -> None:
    for view in ("runs", "visits", "attempts", "transitions", "events"):
        done = steno("--url", world.url, "sql", f"SELECT * FROM {view}")
        assert (done.code, HIDDEN in done.out) == (0, False), done
    assert steno("--url", world.url, "verify").code == 0
    assert steno("--db", world.folder / "here.db", "verify").code == 0
