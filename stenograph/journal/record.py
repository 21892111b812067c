"""What the journal stores: records, their hash chain, and the one envelope laid around them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import sha256
from typing import Final

import msgspec
from msgspec import Raw, Struct

CHAIN: Final = "stenograph/1"
GENESIS: Final = "0" * 64
"""The hash before a stream's first record."""

RUN_ID: Final = re.compile(r"(?:graph/)?[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
TYPE: Final = re.compile(r"[a-z][a-z0-9_.]{0,127}")
TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
"""What run ids, types and times look like: nothing in them is ever escaped."""


class NewRecord(Struct, frozen=True, gc=False):
    """A record on its way into the journal; position and hash are given at commit.

    ``data`` is one JSON value in UTF-8, encoded once and never again. (``gc=False``: a record
    refers to text, bytes and numbers alone, so the garbage collector need not walk through many.)
    ``at`` is RFC 3339 in UTC with microseconds: ``2026-11-20T22:55:01.123456Z``.
    """

    type: str
    data: bytes
    at: str


class Record(Struct, frozen=True, gc=False):
    """A record as committed: immutable, and the same bytes for every reader.

    ``offset`` is its position in the whole journal (strictly rising, may have gaps);
    ``seq`` its position in its stream (1, 2, 3… without gaps); ``hash`` 64 hex digits.
    """

    offset: int
    run_id: str
    seq: int
    at: str
    type: str
    data: bytes
    hash: str


def chain_hash(run_id: str, seq: int, previous: str, at: str, type_: str, data: bytes) -> str:
    """Return the hash of record ``seq``, bound to all before it by ``previous``.

    SHA-256 over the UTF-8 JSON array of the chain's name, run id, seq, previous hash, time, type
    and the SHA-256 of the data: so erased data still verifies, by the hash that stays.
    """
    return chain_link(run_id, seq, previous, at, type_, sha256(data).hexdigest())


def chain_link(run_id: str, seq: int, previous: str, at: str, type_: str, digest: str) -> str:
    """Return the same hash from the data's SHA-256 alone, as an erased record has it."""
    return link_digest(run_id, seq, previous, at, type_, digest).hex()


def link_digest(run_id: str, seq: int, previous: str, at: str, type_: str, digest: str) -> bytes:
    """Return the same hash as the bytes that a file stores."""
    link = msgspec.json.encode((CHAIN, run_id, seq, previous, at, type_, digest))
    return sha256(link).digest()


def envelope(record: Record) -> bytes:
    """Return a record as every reader gets it: socket, page, NDJSON and export alike.

    ``data`` goes in verbatim.
    """
    return _ENCODER.encode(_enveloped(record))


def envelopes(records: Iterable[Record]) -> bytes:
    """Return the JSON array of the envelopes: in one go it takes a third less."""
    return _ENCODER.encode([_enveloped(record) for record in records])


class Envelope(Struct, frozen=True, gc=False):
    """A record as it is told, with its data as it lies there."""

    offset: int
    run_id: str
    seq: int
    at: str
    type: str
    data: Raw
    hash: str


_ENCODER: Final = msgspec.json.Encoder()


def _enveloped(record: Record) -> Envelope:
    return Envelope(
        record.offset,
        record.run_id,
        record.seq,
        record.at,
        record.type,
        Raw(record.data),
        record.hash,
    )
