"""Verifying: stored records held against the hash chains that they are in, one after the other.

A pure core: it is given rows as they are stored, and trusts none of their fields.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Any, Final, Literal, TypeAlias

from msgspec import Struct

from stenograph.journal.record import GENESIS, RUN_ID, TIME, TYPE, chain_link

FINDINGS_MAX: Final = 100
"""Most findings that are kept; later ones are only counted."""
HASH_BYTES: Final = 32

Why: TypeAlias = Literal[
    "field",  # a field is not of the form that every record has
    "stream",  # a stream, its run id or its time is not what its records say
    "seq",  # a record is missing from a stream, doubled, or in another's place
    "offset",  # records of the journal are missing, or in another order
    "content",  # the run id, time, type or data is not what the hash says
    "hash",  # the hash was changed, and the content is what the next hash says
    "erased",  # what stands in place of erased data is not its hash
    "unreadable",  # the file is damaged here
    "index",  # an index of the file is not what its table says
    "schema",  # a table or trigger of the file is not as a journal has it
    "meta",  # what the journal was made with is not as it should be
    "checkpoint",  # a signed checkpoint says otherwise
    "signature",  # a checkpoint is not signed with the key, or was changed
    "line",  # a line of an exported run is not as it was written
    "order",  # a checkpoint does not follow the one before it
]


class Stored(Struct, frozen=True):
    """A record as its row stores it, beside its stream's; any field may hold anything."""

    offset: Any
    stream: Any
    run_id: Any
    created_at: Any
    seq: Any
    at: Any
    type: Any
    hash: Any
    erased: Any
    data: Any


class Finding(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that is wrong: where, why, and up to which ``seq`` its run is sound."""

    why: Why
    detail: str
    offset: int | None = None
    run_id: str | None = None
    seq: int | None = None
    sound_seq: int | None = None


class Verdict(Struct, frozen=True, kw_only=True):
    """What verifying came to, for a run or for the whole journal.

    ``sound`` is the last cursor (``seq`` of a run, ``offset`` of a journal) before the first
    finding. ``runs`` counts the streams that begin in it, so that parts add up. ``next`` is where to
    go on when only a part was checked, else None. ``faults`` counts all findings, of which
    ``findings`` holds the first.
    """

    ok: bool
    journal: str
    run_id: str | None
    records: int
    runs: int
    erased: int
    after: int
    sound: int
    next: int | None
    faults: int
    findings: list[Finding]


class Reached(Struct, frozen=True):
    """Where a stream ended, as far as it was checked.

    After a record whose hash is not that of its content, ``other`` is the hash that the content
    has, and ``doubt`` the place of the finding: the next record tells which of the two was changed.
    """

    run_id: Any
    seq: int
    hash: str
    other: str | None = None
    doubt: int = -1
    sound: int | None = None
    """The last seq before the stream's first finding; None while there is none."""


class Findings:
    """The first findings, and the count of all."""

    def __init__(self) -> None:
        self.kept: list[Finding] = []
        self.count = 0

    def add(self, finding: Finding) -> int:
        """Take in a finding, and return its place, or -1 if it is only counted."""
        self.count += 1
        if len(self.kept) == FINDINGS_MAX:
            return -1
        self.kept.append(finding)
        return len(self.kept) - 1

    def amend(self, place: int, why: Why, detail: str) -> None:
        """Say better why something is wrong."""
        if place >= 0:
            old = self.kept[place]
            self.kept[place] = Finding(
                why=why,
                detail=detail,
                offset=old.offset,
                run_id=old.run_id,
                seq=old.seq,
                sound_seq=old.sound_seq,
            )


class Checker:
    """Takes rows in the order of a journal's offsets, or of one run's seqs, and finds what is wrong.

    ``whole``: all records of a journal come, so that none may be missing between two offsets.
    ``heads`` are those of the streams that begin before what comes. ``after`` is the cursor before
    it, ``offset`` the last offset before it, or None when that is not known.
    """

    def __init__(
        self,
        *,
        whole: bool = True,
        after: int = 0,
        offset: int | None = 0,
        heads: dict[Any, Reached] | None = None,
    ) -> None:
        self.whole = whole
        self.cursor = after
        """The ``offset``, or of one run the ``seq``, of the last row."""
        self.offset = offset
        self.heads: dict[Any, Reached] = dict(heads or {})
        self.last_stream: int | None = None if after else 0
        self.findings = Findings()
        self.records = self.erased = 0
        self.begun_before = 0
        """How many of the journal's streams begin before what comes."""
        self.sound: int | None = None
        """The last cursor before the first finding; None while there is none."""

    def copy(self) -> Checker:
        """Return one that goes on from here by itself; it has the findings so far."""
        copied = Checker(whole=self.whole, after=self.cursor, offset=self.offset, heads=self.heads)
        copied.last_stream, copied.sound = self.last_stream, self.sound
        copied.records, copied.erased = self.records, self.erased
        copied.begun_before = self.begun_before
        copied.findings.kept, copied.findings.count = self.findings.kept[:], self.findings.count
        return copied

    def take(self, row: Stored) -> None:
        """Check one row against those before it."""
        before = self.findings.count
        self.records += 1
        self._check_offset(row)
        if self._check_fields(row):
            self.erased += row.erased
            self._check_place(row)
        if self.sound is None and self.findings.count > before:
            self.sound = self.cursor
        cursor = row.offset if self.whole else row.seq
        self.cursor = cursor if is_number(cursor) else self.cursor

    def find(self, why: Why, detail: str, row: Stored | None = None) -> int:
        """Note something that is wrong, in a row or with the whole."""
        if row is None:
            return self.findings.add(Finding(why=why, detail=detail))
        return self.findings.add(
            Finding(
                why=why,
                detail=detail,
                offset=row.offset if is_number(row.offset) else None,
                run_id=told(row.run_id),
                seq=row.seq if is_number(row.seq) else None,
                sound_seq=self._sound_seq(row),
            )
        )

    def skip(self, to: int | None, reason: str) -> None:
        """Note that what follows cannot be read, and go on behind a cursor, if there is one."""
        self.sound = self.cursor if self.sound is None else self.sound
        until = "to the end" if to is None else f"up to {to}"
        self.find("unreadable", f"from {self.cursor + 1} {until} cannot be read: {reason}")
        if to is not None:
            self.offset, self.last_stream, self.cursor = None, None, to

    def _sound_seq(self, row: Stored) -> int | None:
        head = self.heads.get(row.stream)
        if head is None:
            return None
        return head.seq if head.sound is None else head.sound

    def _check_offset(self, row: Stored) -> None:
        """Offsets rise, and in a whole journal by one."""
        if not is_number(row.offset) or row.offset < 1:
            self.find("offset", f"{row.offset!r} is no offset", row)
            return
        last, self.offset = self.offset, row.offset
        if last is None:
            return
        if row.offset <= last:
            self.find("offset", f"offset {row.offset} comes after {last}", row)
        elif self.whole and row.offset != last + 1:
            missing = f"{last + 1} to {row.offset - 1}" if row.offset > last + 2 else f"{last + 1}"
            self.find("offset", f"offset {missing} is missing before it", row)

    def _check_fields(self, row: Stored) -> bool:
        """Tell whether the fields are such that the chain can be computed over them."""
        wrong = False
        for name, is_sound in fields_of(row):
            if not is_sound:
                why: Why = "erased" if name in ("erased", "stand-in") else "field"
                why = "stream" if name in ("run id", "stream", "beginning") else why
                self.find(why, WRONG[name], row)
                wrong = True
        if wrong and is_number(row.stream) and is_number(row.seq) and isinstance(row.hash, bytes):
            self._go_on(row, self.heads.get(row.stream))
        return not wrong

    def _check_place(self, row: Stored) -> None:
        """The row is the next of its stream, and its hash binds it to all before."""
        head = self.heads.get(row.stream)
        if head is None:
            self._check_beginning(row)
            head = Reached(row.run_id, 0, GENESIS)
        elif head.run_id != row.run_id:
            self.find("stream", f"the run id of its stream was {told(head.run_id)}", row)
        if row.seq != head.seq + 1:
            self.find("seq", f"seq {row.seq} stands where {head.seq + 1} belongs", row)
            self._go_on(row, head)
        elif row.seq == 1 and row.created_at != row.at:
            self.find("stream", "its stream does not begin at the time of its first record", row)
            self._check_hash(row, head)
        else:
            self._check_hash(row, head)

    def _check_beginning(self, row: Stored) -> None:
        """Streams are numbered in the order that they begin in."""
        if self.whole and self.last_stream is not None and row.stream != self.last_stream + 1:
            belongs = self.last_stream + 1
            self.find("stream", f"stream {row.stream} begins where {belongs} belongs", row)
        if self.whole and (self.last_stream is None or row.stream > self.last_stream):
            self.last_stream = row.stream

    def _check_hash(self, row: Stored, head: Reached) -> None:
        stored = row.hash.hex()
        expected = link(row, head.hash)
        if expected == stored:
            self.heads[row.stream] = Reached(row.run_id, row.seq, stored, sound=head.sound)
        elif head.other is not None and link(row, head.other) == stored:
            self.findings.amend(
                head.doubt, "hash", "its hash was changed; its content is what the next hash says"
            )
            self.heads[row.stream] = Reached(row.run_id, row.seq, stored, sound=head.sound)
        else:
            place = self.find("content", CONTENT[bool(row.erased)], row)
            self._go_on(row, head, other=expected, doubt=place)

    def _go_on(
        self, row: Stored, head: Reached | None, *, other: str | None = None, doubt: int = -1
    ) -> None:
        """Go on from a bad record, so that what else is bad is found by itself."""
        sound = 0 if head is None else head.seq if head.sound is None else head.sound
        self.heads[row.stream] = Reached(row.run_id, row.seq, row.hash.hex(), other, doubt, sound)


CONTENT: Final = {
    False: "its run id, time, type or data is not what its hash says, or a record before is missing",
    True: "what stands in place of its data, or its run id, time or type, is not what its hash says",
}
WRONG: Final = {
    "run id": "its run id is none",
    "stream": "it belongs to no stream",
    "beginning": "the time at which its stream begins is none",
    "seq": "its seq is none",
    "time": "its time is none",
    "type": "its type is none",
    "hash": "its hash is none",
    "erased": "it is neither erased nor not: the mark is 0 or 1",
    "stand-in": "it is marked as erased, and what stands in place of its data is no hash",
    "data": "its data is no bytes",
}


def fields_of(row: Stored) -> Iterable[tuple[str, bool]]:
    """Yield what each field is called, and whether it is of the form that the journal writes."""
    is_stream = is_number(row.stream) and row.run_id is not None
    yield "stream", is_stream
    if is_stream:
        yield "run id", matches(RUN_ID, row.run_id)
        yield "beginning", matches(TIME, row.created_at)
    yield "seq", is_number(row.seq) and row.seq >= 1
    yield "time", matches(TIME, row.at)
    yield "type", matches(TYPE, row.type)
    yield "hash", isinstance(row.hash, bytes) and len(row.hash) == HASH_BYTES
    is_mark = is_number(row.erased) and row.erased in (0, 1)
    yield "erased", is_mark
    is_bytes = isinstance(row.data, bytes)
    yield "data", is_bytes
    if is_mark and row.erased and is_bytes:
        yield "stand-in", len(row.data) == HASH_BYTES


def link(row: Stored, previous: str) -> str:
    """Return the hash that a row of sound fields has after ``previous``."""
    digest = row.data if row.erased else sha256(row.data).digest()
    return chain_link(row.run_id, row.seq, previous, row.at, row.type, digest.hex())


def matches(pattern: Any, value: Any) -> bool:
    """Tell whether a value is a text that is of a form as a whole."""
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def is_number(value: Any) -> bool:
    """Tell whether a value is a whole number."""
    return type(value) is int


def told(value: Any) -> str | None:
    """Return a name as it can be told; bytes that are no UTF-8 as escapes."""
    if value is None:
        return None
    return (
        value.encode(errors="backslashreplace").decode() if isinstance(value, str) else repr(value)
    )
