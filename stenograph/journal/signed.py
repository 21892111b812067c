"""Signed checkpoints: what a journal held at a time, kept outside its file, one JSON line each."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from hashlib import sha256
from os import PathLike
from typing import Final, Literal

import msgspec
from msgspec import Struct

from stenograph.journal.errors import CheckpointRefused, JournalUnreadable
from stenograph.journal.keys import PublicKey, SigningKey
from stenograph.journal.stored import StoredFile, Unreadable, open_stored
from stenograph.journal.tally import Tally
from stenograph.journal.verifying import Finding, Stored, Why, told

SIGNATURE: Final = b',"signature":"%b"}'
LINE_MAX_BYTES: Final = 4096
"""Longest line that can be a checkpoint."""


class Checkpoint(Struct, frozen=True, kw_only=True):
    """What is signed: a journal held so many records, up to ``offset``, whose tally is ``digest``.

    ``journal`` and ``created_at`` are what the journal was made with, ``at`` is when it was looked
    at, ``previous`` the SHA-256 of the line before (None: it goes on from no other), ``key`` the
    id of the key.
    """

    checkpoint: Literal["stenograph/1"] = "stenograph/1"
    journal: str
    created_at: str
    records: int
    offset: int
    digest: str
    at: str
    previous: str | None
    key: str


class Line(Struct, frozen=True):
    """A line of a file of checkpoints: its number from 1, its bytes, and what it says, if anything."""

    number: int
    text: bytes
    checkpoint: Checkpoint | None
    signature: bytes

    @property
    def hash(self) -> str:
        """What the next line calls ``previous``."""
        return sha256(self.text).hexdigest()

    def is_signed_by(self, key: PublicKey) -> bool:
        """Tell whether the key has signed this line, byte for byte."""
        if self.checkpoint is None or self.checkpoint.key != key.id:
            return False
        message = msgspec.json.encode(self.checkpoint)
        return signed_line(message, self.signature) == self.text and key.has_signed(
            message, self.signature
        )


class _Signed(Checkpoint, frozen=True, kw_only=True, forbid_unknown_fields=True):
    signature: str


def signed_line(message: bytes, signature: bytes) -> bytes:
    """Return the line of a checkpoint, without its end: the signature comes last."""
    return message[:-1] + SIGNATURE % signature.hex().encode()


def read_lines(data: bytes) -> list[Line]:
    """Return the lines of a file of checkpoints; what is none says nothing."""
    return [
        read_line(number, text)
        for number, text in enumerate(data.removesuffix(b"\n").split(b"\n"), 1)
        if data
    ]


def read_line(number: int, text: bytes) -> Line:
    """Return one line, as far as it can be read."""
    try:
        found = msgspec.json.decode(text[: LINE_MAX_BYTES + 1], type=_Signed)
        signature = bytes.fromhex(found.signature)
    except ValueError:
        return Line(number, text, None, b"")
    fields = {name: getattr(found, name) for name in Checkpoint.__struct_fields__}
    return Line(number, text, Checkpoint(**fields), signature)


def make_checkpoint(
    path: str | PathLike[str], key: SigningKey, *, at: str, previous: Line | None = None
) -> bytes:
    """Return the line of a new checkpoint over the journal in a file, without its end.

    It goes on from ``previous`` and reads only what is new since; without it all is read. What it
    goes on from is not read again: where that was changed, the new one fails as the old one does.
    Raises CheckpointRefused when ``previous`` is not of this journal and key, or the journal has
    fewer records; CannotOpen, JournalUnreadable, CannotSign.
    """
    with open_stored(path) as file:
        try:
            tally, meta = begin(file, key, previous), file.meta()
            while page := file.records(tally.offset):
                tally.take_all(page)
        except (sqlite3.DatabaseError, Unreadable) as error:
            raise JournalUnreadable(f"{file.path}: cannot be read: {error}") from error
    message = msgspec.json.encode(
        Checkpoint(
            journal=told(meta.get("id")) or "",
            created_at=told(meta.get("created_at")) or "",
            records=tally.records,
            offset=tally.offset,
            digest=tally.digest,
            at=at,
            previous=None if previous is None else previous.hash,
            key=key.public.id,
        )
    )
    return signed_line(message, key.sign(message))


def begin(file: StoredFile, key: SigningKey, previous: Line | None) -> Tally:
    """Return the tally as the checkpoint before left it; raises CheckpointRefused."""
    if previous is None:
        return Tally()
    last = previous.checkpoint
    if last is None or not previous.is_signed_by(key.public):
        raise CheckpointRefused(
            f"line {previous.number}, which the new checkpoint would go on from, is not signed "
            "with this key, or was changed: begin a new file"
        )
    if last.journal != file.meta().get("id"):
        raise CheckpointRefused(
            f"the checkpoint before is of the journal {last.journal}, and this is another: "
            "begin a new file"
        )
    if last.offset and not any(
        row.offset == last.offset for row in file.records(last.offset - 1, 1)
    ):
        raise CheckpointRefused(
            f"the checkpoint before saw a record at offset {last.offset}, and there is none now: "
            "the journal was cut; steno verify tells more"
        )
    return Tally(last.digest, last.records, last.offset)


class Witness:
    """Holds the rows of a journal against signed checkpoints; whoever verifies gives it the rows."""

    def __init__(
        self, lines: Sequence[Line], key: PublicKey, journal_id: str, created_at: str
    ) -> None:
        self.findings: list[Finding] = []
        self.tally = Tally()
        self.sound = 0
        """How many records the checkpoints that hold vouch for."""
        self.journal_id, self.created_at = journal_id, created_at
        signed = [line for line in lines if self._is_signed(line, key)]
        self._check_order(lines, signed)
        self._waiting = sorted(
            (line for line in signed if self._is_ours(line)),
            key=lambda line: seen_by(line).records,
            reverse=True,
        )
        self.take_none()

    def take_none(self) -> None:
        """Compare with the checkpoints of a journal that has as many records as were taken."""
        while self._waiting and seen_by(self._waiting[-1]).records <= self.tally.records:
            self._compare(self._waiting.pop())

    def take(self, row: Stored) -> None:
        """Look at the next row of the journal."""
        self.tally.take(row)
        self.take_none()

    def end(self) -> None:
        """Find the checkpoints that saw more records than there are."""
        for line in reversed(self._waiting):
            seen = seen_by(line)
            self._find(
                "checkpoint",
                line,
                f"it saw {seen.records} records at {seen.at}, and there are {self.tally.records}: "
                "records were cut off, or taken out",
            )

    @property
    def unprotected(self) -> int:
        """How many records stand after the last checkpoint that holds: nothing vouches for them."""
        return self.tally.records - self.sound

    def _compare(self, line: Line) -> None:
        seen = seen_by(line)
        if (seen.records, seen.offset, seen.digest) == (
            self.tally.records,
            self.tally.offset,
            self.tally.digest,
        ):
            self.sound = seen.records
        else:
            self._find(
                "checkpoint",
                line,
                f"the first {seen.records} records are not those that it saw at {seen.at}; "
                f"the first {self.sound} are",
            )

    def _is_signed(self, line: Line, key: PublicKey) -> bool:
        if line.is_signed_by(key):
            return True
        self._find("signature", line, "it is not signed with this key, or was changed")
        return False

    def _is_ours(self, line: Line) -> bool:
        seen = seen_by(line)
        if (seen.journal, seen.created_at) == (self.journal_id, self.created_at):
            return True
        self._find("checkpoint", line, f"it is of another journal, {seen.journal}")
        return False

    def _check_order(self, lines: Sequence[Line], signed: Iterable[Line]) -> None:
        """Each line goes on from the one before it, unless it goes on from none."""
        before = {line.number: lines[line.number - 2].hash for line in signed if line.number > 1}
        for line in signed:
            previous = seen_by(line).previous
            if previous is not None and previous != before.get(line.number):
                self._find("order", line, "the line before it is not the one that it goes on from")

    def _find(self, why: Why, line: Line, detail: str) -> None:
        self.findings.append(Finding(why=why, detail=f"checkpoint {line.number}: {detail}"))


def seen_by(line: Line) -> Checkpoint:
    """Return what a line says that says something."""
    assert line.checkpoint is not None
    return line.checkpoint
