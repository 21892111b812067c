"""Records: the bytes that every reader gets, and the chain that holds them together."""

from __future__ import annotations

import json
from hashlib import sha256

from stenograph.journal import (
    GENESIS,
    Record,
    chain_hash,
    chain_link,
    envelope,
    envelopes,
    expected_hash,
)
from stenograph.journal.erasure import erased_data

AT = "2026-11-20T22:55:01.123456Z"
FIRST = "21c1fa5e74521249d749a99e014d9bbb0961eb06de24da6a438e3fe1818eb95c"


def record(data: bytes, hash_: str) -> Record:
    return Record(offset=7, run_id="run-1", seq=1, at=AT, type="note", data=data, hash=hash_)


def test_the_chain_is_the_same_on_every_machine_and_in_every_version() -> None:
    """As anybody would compute it by hand, with nothing of ours."""
    link = ["stenograph/1", "run-1", 1, "0" * 64, AT, "note", sha256(b'{"a":1}').hexdigest()]
    by_hand = sha256(json.dumps(link, separators=(",", ":")).encode()).hexdigest()
    assert chain_hash("run-1", 1, GENESIS, AT, "note", b'{"a":1}') == by_hand == FIRST


def test_any_change_changes_the_hash() -> None:
    hashes = {
        chain_hash("run-1", 1, GENESIS, AT, "note", b"{}"),
        chain_hash("run-2", 1, GENESIS, AT, "note", b"{}"),
        chain_hash("run-1", 2, GENESIS, AT, "note", b"{}"),
        chain_hash("run-1", 1, "1" * 64, AT, "note", b"{}"),
        chain_hash("run-1", 1, GENESIS, AT.replace("2026", "2027"), "note", b"{}"),
        chain_hash("run-1", 1, GENESIS, AT, "log", b"{}"),
        chain_hash("run-1", 1, GENESIS, AT, "note", b"[]"),
    }
    assert len(hashes) == 7


def test_the_envelope_is_json_around_the_data_as_it_is() -> None:
    sent = envelope(record(b'{"n": 1.50, "text": "\xc3\xa9"}', "0" * 64))
    assert sent == (
        b'{"offset":7,"run_id":"run-1","seq":1,"at":"2026-11-20T22:55:01.123456Z","type":"note",'
        b'"data":{"n": 1.50, "text": "\xc3\xa9"},"hash":"' + b"0" * 64 + b'"}'
    )
    assert json.loads(sent)["data"] == {"n": 1.5, "text": "é"}


def test_the_envelopes_of_a_page_are_each_the_same_as_alone() -> None:
    several = [record(b'{"n": %d}' % n, f"{n:064x}") for n in range(3)]
    assert envelopes(several) == b"[%b]" % b",".join(map(envelope, several))
    assert envelopes([]) == b"[]"


def test_an_erased_record_still_verifies() -> None:
    right = chain_hash("run-1", 1, GENESIS, AT, "note", b'"secret"')
    digest = sha256(b'"secret"')
    erased = record(erased_data(digest.digest()), right)
    assert json.loads(erased.data) == {"$erased": digest.hexdigest()}
    assert expected_hash(erased, GENESIS) == right
    assert expected_hash(record(b'"secret"', right), GENESIS) == right
    assert right == chain_link("run-1", 1, GENESIS, AT, "note", digest.hexdigest())


def test_a_record_erased_to_hide_a_change_does_not_verify() -> None:
    right = chain_hash("run-1", 1, GENESIS, AT, "note", b'"secret"')
    forged = record(erased_data(sha256(b'"another"').digest()), right)
    assert expected_hash(forged, GENESIS) != right
