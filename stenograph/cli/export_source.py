"""Exported runs, read as a journal that holds nothing else: verified first, in memory alone."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

from msgspec.structs import replace

from stenograph.cli.failures import DAMAGED, USAGE, Failure
from stenograph.cli.file_source import FileSource
from stenograph.cli.only import ALL, Only
from stenograph.engine import (
    ExportedRun,
    ExportHeader,
    ExportReader,
    ExportRefused,
    RunExists,
    RunView,
)
from stenograph.http import RunItem
from stenograph.journal import Finding, Record, Verdict
from stenograph.opening import open as open_engine

PIECE: Final = 1024 * 1024


@asynccontextmanager
async def open_exports(paths: Sequence[str]) -> AsyncIterator[ExportSource]:
    """Open the files of exported runs for reading; raises Failure."""
    async with open_engine(":memory:", recover=False) as engine:
        source = ExportSource(engine)
        for path in paths:
            try:
                source.files[path] = (await engine.import_run(read_file(path))).id
            except ExportRefused as error:
                raise Failure(f"{path}: {error}", DAMAGED) from error
            except RunExists as error:
                told = f"{path} is of the same run as another file, at another event"
                raise Failure(f"{told}: name one, and events of it as FILE@SEQ", USAGE) from error
        yield source


class ExportSource(FileSource):
    """The runs of some files; what is in them is all that there will be.

    That they were imported into a journal of its own for this is nobody's business.
    """

    async def get(self, run_id: str) -> RunView:
        """Return a run as it is in its file; raises UnknownRun."""
        return replace(await super().get(run_id), imported=False)

    async def runs(
        self, labels: Mapping[str, str], before: str | None, limit: int
    ) -> tuple[list[RunItem], str | None]:
        """Return a page of runs, and the cursor of the next one."""
        items, following = await super().runs(labels, before, limit)
        return [replace(item, imported=False) for item in items], following

    async def follow(
        self, run_id: str, *, after: int, only: Only = ALL
    ) -> AsyncGenerator[list[Record], None]:
        """Yield pages of a run's records, up to the last in the file."""
        while page := await self.read(run_id, after=after):
            after = page[-1].seq
            if passed := (await self._sieve(only, whole=False).part(page)).records:
                yield list(passed)

    async def follow_all(
        self, *, after: int, only: Only = ALL
    ) -> AsyncGenerator[list[Record], None]:
        """Yield pages of all records that there are."""
        while page := await self.read_all(after=after):
            after = page[-1].offset
            if passed := (await self._sieve(only, whole=True).part(page)).records:
                yield list(passed)


def read_file(path: str) -> ExportedRun:
    """Return the run in a file; raises ExportRefused, Failure."""
    reader = ExportReader()
    for piece in pieces_of(path):
        reader.feed(piece)
    return reader.run()


def inspect_export(path: str) -> Verdict:
    """Hold a file against its hashes; raises Failure where it cannot be read."""
    reader = ExportReader(keep=False, most=None)
    findings: list[Finding] = []
    try:
        for piece in pieces_of(path):
            reader.feed(piece)
        reader.end()
    except ExportRefused as error:
        told = f"line {error.line}: {error.why}"
        findings = [Finding(why="line", detail=told, sound_seq=error.sound)]
    header: ExportHeader | None = reader.header
    return Verdict(
        ok=not findings,
        journal=header.journal if header else "",
        run_id=header.run_id if header else "",
        records=reader.seq,
        runs=1 if header else 0,
        erased=0,
        after=0,
        sound=reader.seq,
        next=None,
        faults=len(findings),
        findings=findings,
    )


def pieces_of(path: str) -> Iterator[bytes]:
    """Yield a file piece by piece; raises Failure."""
    try:
        with open(path, "rb") as file:
            while piece := file.read(PIECE):
                yield piece
    except OSError as error:
        raise Failure(f"{path} cannot be read: {error.strerror}", USAGE) from error
