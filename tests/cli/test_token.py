"""``steno token``, and what the other commands do with one."""

from __future__ import annotations

import json
import os
import stat
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

import stenograph as st
from stenograph.cli.failures import failure_of
from stenograph.cli.text import redacted
from stenograph.http import Problem, RequestRefused
from stenograph.http.door.tokens import SCOPES, TOKEN
from tests.cli.running import (
    Server,
    graph_file,
    on_terminal,
    running,
    serving,
    steno,
    steno_process,
)
from tests.cli.tools import COUNT


def made(db: Path, name: str = "ann", *scopes: str) -> str:
    """Make a token for the server of a journal."""
    wanted = ",".join(scopes or SCOPES)
    done = steno("token", "create", name, "--scope", wanted, "--db", db, "-q")
    assert (done.code, done.err) == (0, "")
    return done.out.strip()


def made_in(store: Path) -> str:
    """Make a token in a file of tokens."""
    return steno("token", "create", "ann", "--scope", "run", "--tokens", store, "-q").out.strip()


def test_the_scopes_of_the_help_are_those_there_are() -> None:
    from stenograph.cli import token

    assert token.SCOPES == SCOPES


def test_a_token_is_printed_once_as_data_and_the_talk_is_beside_it(tmp_path: Path) -> None:
    db = tmp_path / "steno.db"
    done = steno("token", "create", "ann", "--scope", "read", "--scope", "run", "--db", db)
    text = done.out.rstrip("\n")
    assert TOKEN.fullmatch(text)
    assert done.err == (
        f"Token {text[6:18]} of ann is in {db}.tokens; it is shown only now: "
        "keep it in $STENO_TOKEN\n"
    )
    assert stat.S_IMODE(os.stat(f"{db}.tokens").st_mode) == 0o600
    for words in (["list", "--db", db], ["list", "--tokens", f"{db}.tokens", "-o", "table"]):
        listed = steno("token", *words)
        assert text[6:18] in listed.out
        assert text[19:] not in listed.out + listed.err


def test_tokens_are_made_where_a_server_with_the_same_variables_looks(tmp_path: Path) -> None:
    db, other = tmp_path / "a.db", tmp_path / "tokens"
    create = ("token", "create", "ann", "--scope", "read", "-q")
    assert steno(*create, STENO_DB=str(db)).code == 0
    assert steno(*create, STENO_DB=str(db), STENO_TOKENS=str(other)).code == 0
    assert steno(*create, "--db", tmp_path / "b.db", STENO_DB=str(db)).code == 0
    assert {each.name for each in tmp_path.iterdir()} == {"a.db.tokens", "tokens", "b.db.tokens"}


def test_tokens_are_listed_as_documents_or_as_a_table(tmp_path: Path) -> None:
    db = tmp_path / "steno.db"
    made(db, "ann", "run", "read")
    steno("token", "create", "ben", "--scope", "admin", "--expires", "30d", "--db", db)
    ann, ben = steno("--db", db, "token", "list").documents
    assert (ann["name"], ann["scopes"], ann["expires_at"]) == ("ann", ["read", "run"], None)
    lasts = datetime.fromisoformat(ben["expires_at"]) - datetime.fromisoformat(ben["created_at"])
    assert lasts == timedelta(days=30)
    assert ann.keys() == {"id", "name", "scopes", "created_at", "expires_at"}
    lines = on_terminal("token", "list", "--db", db, NO_COLOR="1").out.splitlines()
    assert lines[0].split() == ["id", "name", "scopes", "created", "expires"]
    assert "ann" in lines[1]
    assert lines[1].endswith("never")


def test_one_that_has_expired_is_listed_as_such(tmp_path: Path) -> None:
    db = tmp_path / "steno.db"
    made(db)
    path = Path(f"{db}.tokens")
    path.write_text(path.read_text().replace("null", '"2020-01-01T00:00:00Z"'))
    assert steno("token", "list", "--db", db, "-o", "table").out.endswith(" (expired)\n")


def test_where_no_token_is_left_the_list_says_how_to_make_one(tmp_path: Path) -> None:
    db = tmp_path / "steno.db"
    token = made(db)
    assert (
        steno("token", "revoke", "ann", "--db", db).err
        == f"Token {token[6:18]} of ann is revoked\n"
    )
    done = steno("token", "list", "--db", db, "-o", "table")
    assert (done.out, done.err) == (
        "",
        "There are no tokens. Make one: steno token create NAME --scope read\n",
    )


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["create", "a b", "--scope", "read"], "'a b' is no name for a token"),
        (["create", "ann"], "Missing option '--scope'"),
        (["create", "ann", "--scope", "read,write"], "'write' is no scope; there is read, run"),
        (["create", "ann", "--scope", "read", "--expires", "soon"], "'soon' is no time up to ten"),
        (["create", "ann", "--scope", "read", "--expires", "0d"], "'0d' is no time up to ten"),
        (["create", "ann", "--scope", "read", "--expires", "600w"], "'600w' is no time up to ten"),
        (["list"], "there is no such file of tokens; make one: steno token create NAME"),
        (["revoke", "ann"], "there is no token ann"),
    ],
)
def test_what_cannot_be_done_with_tokens_is_2(tmp_path: Path, words: list[str], why: str) -> None:
    done = steno("token", *words, "--tokens", tmp_path / "tokens")
    assert (done.code, done.out) == (2, "")
    assert why in done.err


@pytest.fixture
def served(tmp_path: Path) -> Any:
    """A server with a token for everything, and its text."""
    token = made(tmp_path / "steno.db")
    with serving("--db", tmp_path / "steno.db", "--port", "0") as server:
        yield server, token


def test_a_server_beside_whose_journal_are_tokens_needs_one(served: tuple[Server, str]) -> None:
    server, token = served
    assert (
        f"Tokens {server.said[2].split()[1].rstrip(':')}: nobody is served without one"
        in server.said
    )
    assert httpx.get(f"{server.url}/runs").status_code == 401
    headers = {"Authorization": f"Bearer {token}"}
    assert httpx.get(f"{server.url}/runs", headers=headers).status_code == 200


def test_every_command_takes_the_token_from_the_environment_or_an_option(
    tmp_path: Path, served: tuple[Server, str]
) -> None:
    server, token = served
    file = graph_file(tmp_path, COUNT)
    words = ["--url", server.url, "run", file, "-s", "to=2", "--id", "r", "--follow"]
    assert steno(*words, STENO_TOKEN=token).code == 0
    assert steno("--url", server.url, "--token", token, "runs").documents[0]["id"] == "r"
    done = steno("--url", server.url, "tail", "r", "--token", token)
    assert done.documents[0]["data"]["actor"] == "ann"


@pytest.mark.parametrize("words", [["runs"], ["tail", "r"], ["cancel", "r"]])
def test_without_a_token_the_error_says_so(served: tuple[Server, str], words: list[str]) -> None:
    server, _ = served
    done = steno("--url", server.url, *words)
    assert done.code == 2
    assert done.err == "Error: the server needs a token: give one in $STENO_TOKEN\n"


@pytest.mark.parametrize(("status", "code"), [(429, 6), (503, 3), (403, 2)])
def test_who_may_come_again_later_is_not_told_of_a_mistake(status: int, code: int) -> None:
    problem = Problem(
        type="/problems/x", title="x", status=status, detail="come again", instance="/"
    )
    failure = failure_of(RequestRefused(problem))
    assert failure is not None
    assert (failure.message, failure.exit_code) == ("come again", code)


def test_a_token_that_lacks_a_scope_is_told_which(
    tmp_path: Path, served: tuple[Server, str]
) -> None:
    server, _ = served
    reader = made(tmp_path / "steno.db", "reader", "read")
    done = steno("--url", server.url, "runs", STENO_TOKEN=reader)
    while done.code:  # it is known within a second
        assert "no token that is known here" in done.err
        done = steno("--url", server.url, "runs", STENO_TOKEN=reader)
    done = steno("--url", server.url, "sql", "SELECT 1", STENO_TOKEN=reader)
    assert done.err == "Error: this needs the scope admin, and the token reader has read\n"


def test_a_stream_ends_when_its_token_is_revoked(
    tmp_path: Path, served: tuple[Server, str]
) -> None:
    server, token = served
    reader = made(tmp_path / "steno.db", "reader", "read")
    file = graph_file(tmp_path, COUNT)
    while steno("--url", server.url, "runs", STENO_TOKEN=reader).code:
        pass  # it is known within a second
    with running("--url", server.url, "tail", "--all", STENO_TOKEN=reader) as tail:
        steno("--url", server.url, "run", file, "-s", "to=1", STENO_TOKEN=token)
        assert tail.lines(1)
        steno("token", "revoke", "reader", "--db", tmp_path / "steno.db")
        while tail.process.poll() is None:
            words = ["--url", server.url, "run", file, "-s", "to=1"]
            assert steno(*words, STENO_TOKEN=token).code == 0
        done = tail.done()
    assert done.code == 2
    assert "no token that is known here, or it was revoked" in done.err


SECRET = "steno_0123456789ab_" + "cd" * 32


@pytest.mark.parametrize(
    "words",
    [
        ["runs", SECRET],
        ["runs", f"--tokn={SECRET}"],
        [SECRET],
        ["runs", "--url", f"http://127.0.0.1:1/{SECRET}"],
        ["runs", "--url", "http://127.0.0.1:1", "--token", SECRET],
        ["runs", "--url", "http://127.0.0.1:1", "--token", f"{SECRET} "],
        ["runs", "--url", "http://ann:b@127.0.0.1:1", "--token", SECRET],
        ["tail", "--url", "http://127.0.0.1:1", "--token", SECRET],
    ],
)
def test_no_error_ever_shows_a_token(words: list[str]) -> None:
    done = steno(*words)
    assert done.code in (2, 3)
    assert "cdcd" not in done.out + done.err


def test_what_is_no_token_is_not_sent() -> None:
    done = steno("runs", "--token", "two words")
    assert done.code == 2
    assert "the token is none: it is of visible ASCII" in done.err
    assert "two words" not in done.err


def test_of_a_token_its_id_may_be_shown() -> None:
    assert redacted(f"a {SECRET} b {SECRET}") == "a steno_0123456789ab_… b steno_0123456789ab_…"


@pytest.mark.parametrize("place", [["--memory"], ["--db", "steno.db"]])
def test_others_are_not_served_without_tokens(tmp_path: Path, place: list[str]) -> None:
    done = steno_process("serve", "--host", "0.0.0.0", "--port", "0", *place, cwd=tmp_path)
    where = "--tokens FILE" if place == ["--memory"] else "--db steno.db"
    assert (done.code, done.err) == (
        2,
        "Error: others than this machine reach 0.0.0.0: make a token first (steno token create "
        f"NAME --scope read {where}), or say --without-tokens\n",
    )
    assert os.listdir(tmp_path) == []


def test_others_are_served_where_that_is_asked_for_and_sql_is_not() -> None:
    with serving("--memory", "--host", "0.0.0.0", "--port", "0", "--without-tokens") as server:
        assert "Without tokens: whoever reaches this may do everything" in server.said
        url = server.url.replace("0.0.0.0", "127.0.0.1")
        assert httpx.get(f"{url}/runs").status_code == 200
        answer = httpx.post(f"{url}/sql", json={"sql": "SELECT 1"})
        assert answer.json()["type"] == "/problems/sql-off"


def test_others_are_served_with_tokens_and_so_is_sql(tmp_path: Path) -> None:
    token = made(tmp_path / "steno.db")
    with serving("--db", tmp_path / "steno.db", "--host", "0.0.0.0", "--port", "0") as server:
        url = server.url.replace("0.0.0.0", "127.0.0.1")
        assert httpx.get(f"{url}/runs").status_code == 401
        headers = {"Authorization": f"Bearer {token}"}
        sql = {"sql": "SELECT count(*) AS n FROM runs"}
        assert httpx.post(f"{url}/sql", json=sql, headers=headers).json()["rows"] == [[0]]


def test_tokens_beside_a_journal_are_left_alone_where_none_are_to_be_needed(tmp_path: Path) -> None:
    made(tmp_path / "steno.db")
    with serving("--db", tmp_path / "steno.db", "--port", "0", "--without-tokens") as server:
        assert httpx.get(f"{server.url}/runs").status_code == 200


READS = """
import stenograph as st

@st.tool
def read(state, ctx):
    return {"text": ctx.data(state["path"]).read_text()}
"""


def test_neither_tokens_nor_the_key_of_checkpoints_are_data(tmp_path: Path) -> None:
    (tmp_path / "reads.py").write_text(READS)
    (tmp_path / "fine.txt").write_text("fine")
    assert steno("checkpoint", "--new-key", tmp_path / "key.pem").code == 0
    words = [
        *("--db", tmp_path / "steno.db", "--data", tmp_path, "--port", "0"),
        *("--tokens", tmp_path / "who.json", "--tools", tmp_path / "reads.py"),
        *("--checkpoints", tmp_path / "signed", "--checkpoint-key", tmp_path / "key.pem"),
    ]
    token = made_in(tmp_path / "who.json")
    graph = {"id": "g", "start": "read", "nodes": {"read": {"tool": "read"}}}
    headers = {"Authorization": f"Bearer {token}"}
    with serving(*words) as server, httpx.Client(base_url=server.url, headers=headers) as client:
        client.post("/graph/create", json=graph).raise_for_status()
        statuses = {
            path: client.post("/graph/run", json={"graph_id": "g", "state": {"path": path}}).json()[
                "status"
            ]
            for path in ("fine.txt", "who.json", "key.pem", "steno.db")
        }
    assert statuses == {
        "fine.txt": "completed",
        "who.json": "failed",
        "key.pem": "failed",
        "steno.db": "failed",
    }


def test_a_broken_file_of_tokens_is_an_error_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "steno.db.tokens").write_text("{")
    (tmp_path / "steno.db.tokens").chmod(0o600)
    done = steno("serve", "--db", tmp_path / "steno.db", "--port", "0")
    assert done.code == 2
    assert f"{tmp_path / 'steno.db.tokens'}: no file of tokens" in done.err
    done = steno("serve", "--memory", "--port", "0", "--tokens", tmp_path / "none")
    assert done.err.startswith(f"Error: {tmp_path / 'none'}: there is no such file of tokens")


def test_tokens_are_needed_or_not() -> None:
    done = steno("serve", "--memory", "--tokens", "x", "--without-tokens")
    assert (done.code, "exclude each other" in done.err) == (2, True)


def test_the_demonstration_needs_no_token_whatever_lies_beside_its_journal(tmp_path: Path) -> None:
    made(tmp_path / "demo.db")
    source = tmp_path / "small.py"
    source.write_text("def f(x):\n    return x\n")
    done = steno_process("demo", source, "--db", tmp_path / "demo.db", STENO_TOKEN="nonsense")
    assert (done.code, done.err) == (0, "")


def test_the_client_in_python_sends_its_token(served: tuple[Server, str]) -> None:
    server, token = served
    with st.SyncClient(server.url, token=token) as client:
        assert client.runs().items == []
    with st.SyncClient(server.url) as client, pytest.raises(Exception, match="needs a token"):
        client.runs()
    assert token not in repr(vars(client))
    assert json.loads(httpx.get(f"{server.url}/healthz").text) == {"status": "ok"}
