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
from msgspec import Raw, Struct

from stenograph.engine.errors import ExportRefused
from stenograph.engine.parse import ID_PATTERN
from stenograph.journal import ADOPT_MAX_BYTES, GENESIS, Record, chain_hash, envelope

FORMAT: Final = "run/1"
EXPORT_MAX_BYTES: Final = ADOPT_MAX_BYTES
"""Most bytes of a file that is read, uncompressed."""
LINE_MAX_BYTES: Final = 4 * 1024 * 1024
"""Most bytes of one line: more than the largest record has."""
GZIP: Final = b"\x1f\x8b"
_DIGEST: Final = re.compile(rb'\{"sha256":"([0-9a-f]{64})"\}')
_PIECE: Final = 256 * 1024


class GraphUsed(Struct, frozen=True):
    """A graph that the run is of, or that one of its nodes runs."""

    graph_id: str
    version: str


class ToolUsed(Struct, frozen=True):
    """A tool that was called, in a version that was."""

    name: str
    version: str | None


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


class _Line(Struct, frozen=True):
    """A record as its line says it."""

    offset: int
    run_id: str
    seq: int
    at: str
    type: str
    data: Raw
    hash: str


class ExportReader:
    """Reads a file as it comes, gzip or not, and checks it line by line: ``feed``, then ``end``.

    ``keep`` says whether the records are held, for ``run``; without, memory stays at one line.
    """

    def __init__(self, *, keep: bool = True) -> None:
        self.header: ExportHeader | None = None
        self.seq = 0
        """The last event that is sound."""
        self._keep, self._records = keep, list[Record]()
        self._hash = GENESIS
        self._digest = sha256()
        self._begun = bytearray()
        self._inflate: zlib._Decompress | None = None
        self._start = b""
        self._given = self._size = self._lines = 0
        self._is_whole = False

    def feed(self, data: bytes) -> None:
        """Take the next bytes, of any number; raises ExportRefused."""
        self._given += len(data)
        if self._given > EXPORT_MAX_BYTES:  # compressed nothing has no end either
            raise self._refused(f"a file may have {EXPORT_MAX_BYTES:,} bytes")
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
            yield data
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
        self._size += len(data)
        if self._size > EXPORT_MAX_BYTES:
            raise self._refused(f"a file may have {EXPORT_MAX_BYTES:,} bytes, uncompressed")
        *whole, rest = data.split(b"\n")
        for line in whole:
            self._begun += line
            self._line(bytes(self._begun))
            self._begun.clear()
        self._begun += rest
        if len(self._begun) > LINE_MAX_BYTES:
            raise self._refused(f"a line may have {LINE_MAX_BYTES:,} bytes")

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
        if not ID_PATTERN.fullmatch(header.run_id):
            raise self._refused(f"{header.run_id[:140]!r} is no run's id")
        return header

    def _record(self, header: ExportHeader, line: bytes) -> None:
        try:
            read = msgspec.json.decode(line, type=_Line)
            record = Record(
                offset=read.offset,
                run_id=read.run_id,
                seq=read.seq,
                at=read.at,
                type=read.type,
                data=bytes(read.data),
                hash=read.hash,
            )
            is_ours = envelope(record) == line
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            is_ours = False
        if not is_ours:
            raise self._refused("it is no event as every journal writes it")
        if record.seq != self.seq + 1:
            raise self._refused(f"event {record.seq} stands where {self.seq + 1} belongs")
        if record.run_id != header.run_id:
            raise self._refused(f"it is an event of {record.run_id[:140]}, not of {header.run_id}")
        at = (record.run_id, record.seq, self._hash, record.at, record.type, record.data)
        if chain_hash(*at) != record.hash:
            raise self._refused("its time, type, data or hash was changed")
        self.seq, self._hash = record.seq, record.hash
        if self._keep:
            self._records.append(record)

    def _close(self, header: ExportHeader, digest: str) -> None:
        if (header.head, header.hash) != (self.seq, self._hash):
            told = f"the first line promises events up to {header.head}"
            raise self._refused(f"{told}, and they end otherwise, after {self.seq}")
        if digest != self._digest.hexdigest():
            raise self._refused("the SHA-256 is not that of what stands before it")
        self._is_whole = True

    def _refused(self, why: str) -> ExportRefused:
        return ExportRefused(why, line=max(1, self._lines), sound=self.seq)


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
