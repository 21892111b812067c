"""A run as one file: a line that says what it is, a line an event, and a digest of all before it.

A pure core: it is given bytes, trusts none of them, and never executes anything.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Final

import msgspec
from msgspec import Struct

from stenograph.engine.core.events import UnknownEvent
from stenograph.engine.errors import ExportRefused
from stenograph.engine.export.used import GraphUsed, ToolUsed, Used
from stenograph.engine.graphs.duplicates import duplicate_keys
from stenograph.engine.graphs.parse import ID_PATTERN
from stenograph.engine.times import is_time
from stenograph.journal import (
    ADOPT_MAX_BYTES,
    GENESIS,
    RECORD_MAX_BYTES,
    Envelope,
    Record,
    chain_hash,
    envelope,
)

FORMAT: Final = "run/1"
EXPORT_MAX_BYTES: Final = ADOPT_MAX_BYTES
"""Most bytes of a file whose run is kept in memory, uncompressed."""
LINE_MAX_BYTES: Final = 4 * 1024 * 1024
"""Most bytes of one line: more than the largest record has."""
GZIP: Final = b"\x1f\x8b"
_DIGEST: Final = re.compile(rb'\{"sha256":"([0-9a-f]{64})"\}')
_PIECE: Final = 256 * 1024


class ExportHeader(Struct, frozen=True, kw_only=True):
    """The first line: which run it is, from which journal, and how far it had come.

    ``head`` and ``hash`` are those of the last event; ``exported_at`` is told by the exporter's clock.
    """

    stenograph: str
    run_id: str
    journal: str
    head: int
    hash: str
    graphs: list[GraphUsed]
    tools: list[ToolUsed]
    exported_at: str


class ExportedRun(Struct, frozen=True):
    """A run that was read from a file, whose every hash holds."""

    header: ExportHeader
    records: list[Record]


class ExportReader:
    """Reads a file as it comes, gzip or not, and checks it line by line: ``feed``, then ``end``.

    ``keep`` says whether the records are held, for ``run``; without, memory stays at one line.
    ``most`` is how many bytes a file may have, compressed and not; None: as many as it has.
    """

    def __init__(self, *, keep: bool = True, most: int | None = EXPORT_MAX_BYTES) -> None:
        self.header: ExportHeader | None = None
        self.seq = 0
        """The last event that is sound."""
        self.size = 0
        """How many bytes were read, uncompressed."""
        self._keep, self._most, self._records = keep, most, list[Record]()
        self._used, self._hash, self._offset = Used(), GENESIS, 0
        self._digest = sha256()
        self._begun = bytearray()
        self._inflate: zlib._Decompress | None = None
        self._start = b""
        self._given = self._lines = 0
        self._is_whole = False

    def feed(self, data: bytes) -> None:
        """Take the next bytes, of any number; raises ExportRefused."""
        self._given += len(data)
        self._check_size(self._given, "")  # compressed nothing has no end either
        if len(self._start) < len(GZIP):
            self._start += data
            if len(self._start) < len(GZIP):
                return
            data = self._start
            if data.startswith(GZIP):
                self._inflate = zlib.decompressobj(wbits=31)
        for piece in self._plain(data):
            self._take(piece)

    def end(self) -> ExportHeader:
        """Say that nothing more comes; returns the header, or raises ExportRefused."""
        if self._inflate is not None and not self._inflate.eof:
            raise self._refused("the compressed file is cut off")
        if self._begun or not self._is_whole or self.header is None:
            raise self._refused(
                "the file is cut off: its last line is the SHA-256 of all before it"
            )
        return self.header

    def run(self) -> ExportedRun:
        """Return the run, once the file has ended; raises ExportRefused."""
        return ExportedRun(self.end(), self._records)

    def _plain(self, data: bytes) -> Iterator[bytes]:
        if self._inflate is None:
            for at in range(0, len(data), _PIECE):
                yield data[at : at + _PIECE]
            return
        try:
            while data:
                if self._inflate.eof:
                    raise self._refused("something follows the end of the compressed file")
                yield self._inflate.decompress(data, _PIECE)
                data = self._inflate.unconsumed_tail or self._inflate.unused_data
        except zlib.error as error:
            raise self._refused(f"it cannot be decompressed: {error}") from None

    def _take(self, data: bytes) -> None:
        self.size += len(data)
        self._check_size(self.size, ", uncompressed")
        *whole, rest = data.split(b"\n")
        for line in whole:
            self._begin(line)
            self._line(bytes(self._begun))
            self._begun.clear()
        self._begin(rest)

    def _begin(self, part: bytes) -> None:
        if len(self._begun) + len(part) > LINE_MAX_BYTES:
            raise self._refused(f"a line may have {LINE_MAX_BYTES:,} bytes")
        self._begun += part

    def _check_size(self, size: int, how: str) -> None:
        if self._most is not None and size > self._most:
            raise self._refused(f"a file may have {self._most:,} bytes{how}")

    def _line(self, line: bytes) -> None:
        self._lines += 1
        if self._is_whole:
            raise self._refused("something follows the line with the SHA-256")
        if self.header is None:
            self.header = self._header(line)
        elif match := _DIGEST.fullmatch(line):
            self._close(self.header, match[1].decode())
            return
        else:
            self._record(self.header, line)
        self._digest.update(line + b"\n")

    def _header(self, line: bytes) -> ExportHeader:
        try:
            header = msgspec.json.decode(line, type=ExportHeader)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise self._refused("it does not begin as an exported run does") from None
        if header.stenograph != FORMAT:
            told = f"it is of format {header.stenograph[:40]!r}, and this reads {FORMAT!r}"
            raise self._refused(f"{told}: use a later version")
        for name in (header.run_id, header.journal):
            if not ID_PATTERN.fullmatch(name):
                raise self._refused(f"{name[:140]!r} is no id of a run or a journal")
        if not (is_time(header.exported_at) and is_sound(line)):
            raise self._refused("its first line is not as every exporter writes it")
        return header

    def _record(self, header: ExportHeader, line: bytes) -> None:
        record = record_in(line)
        if record is None:
            raise self._refused("it is no event as every journal writes it")
        if record.seq != self.seq + 1:
            raise self._refused(f"event {record.seq} stands where {self.seq + 1} belongs")
        if record.run_id != header.run_id:
            raise self._refused(f"it is an event of {record.run_id[:140]}, not of {header.run_id}")
        at = (record.run_id, record.seq, self._hash, record.at, record.type, record.data)
        if chain_hash(*at) != record.hash:
            raise self._refused("its time, type, data or hash was changed")
        if record.offset <= self._offset:
            raise self._refused(f"its offset {record.offset} does not follow {self._offset}")
        try:
            self._used.note(record)
        except UnknownEvent as error:
            raise self._refused(str(error)) from None
        self.seq, self._hash, self._offset = record.seq, record.hash, record.offset
        if self._keep:
            self._records.append(record)

    def _close(self, header: ExportHeader, digest: str) -> None:
        if (header.head, header.hash) != (self.seq, self._hash):
            told = f"the first line promises events up to {header.head}"
            raise self._refused(f"{told}, and they end otherwise, after {self.seq}")
        if (header.graphs, header.tools) != (self._used.graphs, self._used.tools):
            raise self._refused("the first line names other graphs or tools than its events")
        if digest != self._digest.hexdigest():
            raise self._refused("the SHA-256 is not that of what stands before it")
        self._is_whole = True

    def _refused(self, why: str) -> ExportRefused:
        return ExportRefused(why, line=max(1, self._lines), sound=self.seq)


def record_in(line: bytes) -> Record | None:
    """Return the event that a line tells of, or None where no journal would write it so."""
    try:
        read = msgspec.json.decode(line, type=Envelope)
        record = Record(
            offset=read.offset,
            run_id=read.run_id,
            seq=read.seq,
            at=read.at,
            type=read.type,
            data=bytes(read.data),
            hash=read.hash,
        )
        is_ours = (
            envelope(record) == line
            and len(record.data) <= RECORD_MAX_BYTES
            and is_time(record.at)
            and is_sound(record.data)
        )
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    return record if is_ours else None


def is_sound(text: bytes) -> bool:
    """Tell whether a JSON text is UTF-8 throughout, and no name stands twice in an object of it."""
    try:
        # What comes back the same had nothing twice, and nearly all does: a tenth of the time.
        return msgspec.json.encode(msgspec.json.decode(text)) == text or not duplicate_keys(text)
    except (ValueError, OverflowError, RecursionError):
        return False


def read_export(pieces: Iterable[bytes]) -> ExportedRun:
    """Return the run in a file that is given piece by piece; raises ExportRefused."""
    reader = ExportReader()
    for piece in pieces:
        reader.feed(piece)
    return reader.run()


class ExportWriter:
    """Writes a file: ``begin``, ``add`` for each page of records, then ``end``."""

    def __init__(self) -> None:
        self._digest = sha256()

    def begin(self, header: ExportHeader) -> bytes:
        """Return the first line."""
        return self._noted(msgspec.json.encode(header) + b"\n")

    def add(self, records: Iterable[Record]) -> bytes:
        """Return the lines of records."""
        return self._noted(b"".join(envelope(record) + b"\n" for record in records))

    def end(self) -> bytes:
        """Return the last line."""
        return b'{"sha256":"%b"}\n' % self._digest.hexdigest().encode()

    def _noted(self, data: bytes) -> bytes:
        self._digest.update(data)
        return data
