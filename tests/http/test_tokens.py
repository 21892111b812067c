"""The file of tokens: hashes alone, replaced as a whole, and never a broken one taken for good."""

from __future__ import annotations

import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from stenograph.http.door.known_tokens import KnownTokens
from stenograph.http.door.tokens import (
    FILE_MAX_BYTES,
    TOKEN,
    TokensRefused,
    create_token,
    masked,
    read_tokens,
    revoke_token,
)

NOW = datetime(2026, 11, 21, 12, 30, 15, 999, tzinfo=UTC)


def make(path: Path, name: str = "ann", *scopes: Any, **options: Any) -> str:
    return create_token(path, name, scopes or ("read",), now=NOW, **options)


def known(path: Path) -> tuple[KnownTokens, list[float]]:
    """What a server knows of a file, and the time, which a test may put forward."""
    time = [0.0]
    at = NOW.timestamp()
    return KnownTokens(str(path), clock=lambda: time[0], now=lambda: at + time[0]), time


def test_a_token_is_in_its_file_as_a_hash_alone(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    text = make(path, "ann", "run", "read")
    assert TOKEN.fullmatch(text)
    assert text.rpartition("_")[2] not in path.read_text()
    assert json.loads(path.read_text()) == {
        "format": "stenograph/tokens/1",
        "tokens": [
            {
                "id": text[6:18],
                "name": "ann",
                "hash": sha256(text.encode()).hexdigest(),
                "scopes": ["read", "run"],
                "created_at": "2026-11-21T12:30:15Z",
                "expires_at": None,
            }
        ],
    }


def test_of_a_token_its_id_alone_may_be_told(tmp_path: Path) -> None:
    text = make(tmp_path / "tokens")
    assert masked(f"/runs/{text}/x") == f"/runs/{text[:18]}_.../x"
    assert masked("/runs/steno_1") == "/runs/steno_1"


def test_only_its_owner_can_read_the_file_also_after_a_change(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    modes = []
    for name in ("ann", "ben"):
        make(path, name)
        modes.append(stat.S_IMODE(path.stat().st_mode))
        path.chmod(0o644)
    assert modes == [0o600, 0o600]
    assert os.listdir(tmp_path) == ["tokens"]


def test_a_link_to_the_file_stays_one(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "tokens")
    make(link)
    assert link.is_symlink()
    assert len(read_tokens(tmp_path / "tokens")) == 1


def test_tokens_made_at_the_same_time_are_all_there(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: make(tmp_path / "tokens", f"n{n}"), range(24)))
    assert len(read_tokens(tmp_path / "tokens")) == 24


@pytest.mark.parametrize("which", ["id", "name"])
def test_a_token_is_revoked_by_its_id_or_its_name(tmp_path: Path, which: str) -> None:
    path = tmp_path / "tokens"
    text = make(path)
    make(path, "ben")
    assert revoke_token(path, text[6:18] if which == "id" else "ann").name == "ann"
    assert [token.name for token in read_tokens(path).values()] == ["ben"]


def test_what_is_not_there_cannot_be_revoked(tmp_path: Path) -> None:
    make(tmp_path / "tokens")
    with pytest.raises(TokensRefused, match="there is no token ben"):
        revoke_token(tmp_path / "tokens", "ben")


@pytest.mark.parametrize(
    "name", ["", "a b", "http", "engine", "0123456789ab", "x" * 65, ".x", "ann\n", "änn"]
)
def test_a_name_is_one_that_events_can_tell_apart(tmp_path: Path, name: str) -> None:
    with pytest.raises(TokensRefused, match="is no name for a token"):
        make(tmp_path / "tokens", name)
    assert os.listdir(tmp_path) == []


def test_a_name_is_given_once(tmp_path: Path) -> None:
    make(tmp_path / "tokens")
    with pytest.raises(TokensRefused, match="there is a token ann: revoke it"):
        make(tmp_path / "tokens")


def test_a_file_that_cannot_be_written_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(TokensRefused, match="cannot be written: No such file or directory"):
        make(tmp_path / "nowhere" / "tokens")


def test_a_change_that_fails_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tokens"
    make(path)

    def broken(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("stenograph.http.door.tokens.os.fsync", broken)
    with pytest.raises(TokensRefused, match="No space left on device"):
        make(path, "ben")
    assert (os.listdir(tmp_path), len(read_tokens(path))) == (["tokens"], 1)


GOOD = {
    "id": "0123456789ab",
    "name": "ann",
    "hash": "0" * 64,
    "scopes": ["read"],
    "created_at": "2026-11-21T12:30:15Z",
}


def file_of(*tokens: object) -> str:
    return json.dumps({"format": "stenograph/tokens/1", "tokens": tokens})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "truncated"),
        ("\xff", "no file of tokens"),
        ("[" * 100_000, "no file of tokens"),
        ('{"format": "stenograph/tokens/2", "tokens": []}', "Invalid enum value"),
        (file_of({**GOOD, "scopes": []}), "length >= 1"),
        (file_of({**GOOD, "scopes": ["write"]}), "Invalid enum value 'write'"),
        (file_of({**GOOD, "hash": "0" * 63}), "hash"),
        (file_of({**GOOD, "name": "0" * 12}), "name"),
        (file_of({**GOOD, "name": "engine"}), "engine is who events name"),
        (file_of({**GOOD, "created_at": "2026-11-21T12:30:15"}), "timezone"),
        (file_of({**GOOD, "secret": "x"}), "unknown field `secret`"),
        (file_of(GOOD, {**GOOD, "name": "ben"}), "stands there twice"),
        (file_of(GOOD, {**GOOD, "id": "f" * 12}), "stands there twice"),
        (" " * FILE_MAX_BYTES + file_of(GOOD), "more than a MiB"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "tokens"
    path.write_bytes(text.encode("latin-1"))
    path.chmod(0o600)
    with pytest.raises(TokensRefused, match=why):
        read_tokens(path)


def test_a_file_that_others_can_write_is_refused(tmp_path: Path) -> None:
    make(tmp_path / "tokens")
    (tmp_path / "tokens").chmod(0o620)
    with pytest.raises(TokensRefused, match="can be written by others: chmod 600 it"):
        read_tokens(tmp_path / "tokens")


def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "tokens", 0o600)
    with pytest.raises(TokensRefused, match="no file"):
        read_tokens(tmp_path / "tokens")
    with pytest.raises(TokensRefused, match="cannot be read: Is a directory"):
        read_tokens(tmp_path)
    with pytest.raises(TokensRefused, match="make one: steno token create NAME --scope read"):
        read_tokens(tmp_path / "none")


def test_a_token_is_found_by_all_of_its_text_and_nothing_less(tmp_path: Path) -> None:
    text = make(tmp_path / "tokens")
    tokens, _ = known(tmp_path / "tokens")
    found = tokens.find(text)
    assert found is not None
    assert found.name == "ann"
    other = "0" if text[-1] != "0" else "1"
    wrong = [text[:-1], text[:-1] + other, text + "0", text.upper(), "", "steno__", "ä" * 83]
    assert [tokens.find(each) for each in wrong] == [None] * 7
    assert tokens.find(text[:6] + "0" * 12 + text[18:]) is None


def test_an_unknown_id_is_held_against_a_hash_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that it takes as long, and says nothing of which ids there are."""
    text = make(tmp_path / "tokens")
    tokens, _ = known(tmp_path / "tokens")
    compared: list[tuple[type, type]] = []

    def note(a: bytes, b: bytes) -> bool:
        compared.append((type(a), type(b)))
        return a == b

    monkeypatch.setattr("stenograph.http.door.known_tokens.hmac.compare_digest", note)
    tokens.find(text)
    tokens.find(text[:6] + "0" * 12 + text[18:])
    assert compared == [(bytes, bytes)] * 2


def test_a_token_expires(tmp_path: Path) -> None:
    text = make(tmp_path / "tokens", expires_at=NOW + timedelta(seconds=60))
    tokens, time = known(tmp_path / "tokens")
    found = tokens.find(text)
    assert found is not None
    held = []
    for time[0] in (0, 58, 61):
        held.append(tokens.holds(found))
    assert held == [True, True, False]


def test_a_change_of_the_file_is_known_half_a_second_later(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    ann = make(path)
    tokens, time = known(path)
    found = tokens.find(ann)
    ben = make(path, "ben")
    assert tokens.find(ben) is None
    time[0] = 0.5
    assert tokens.find(ben) is not None
    assert len(tokens) == 2
    assert found is not None
    assert tokens.holds(found)
    revoke_token(path, "ann")
    time[0] = 1.0
    assert tokens.find(ann) is None
    assert not tokens.holds(found)


def test_a_token_whose_scopes_change_is_another(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    ann = make(path, "ann", "read", "admin")
    tokens, time = known(path)
    found = tokens.find(ann)
    assert found is not None
    path.write_text(path.read_text().replace('"admin"', '"run"'))
    time[0] = 1
    assert not tokens.holds(found)


def test_a_file_that_breaks_leaves_the_last_good_one_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "tokens"
    ann = make(path)
    tokens, time = known(path)
    good = path.read_bytes()
    told = []
    for time[0], text in enumerate([b"{", b"{", None, good], 1):
        path.unlink() if text is None else path.write_bytes(text)
        assert tokens.find(ann) is not None
        told.append(tokens.look().partition(": ")[2][:20])
    assert told == ["no file of tokens: I", "no file of tokens: I", "there is no such fil", ""]
    assert [each.levelname for each in caplog.records] == ["ERROR"] * 3 + ["WARNING"]
    assert ann not in caplog.text


def test_a_file_that_is_broken_at_the_start_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TokensRefused):
        KnownTokens(str(tmp_path / "none"))
