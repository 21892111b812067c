"""``steno import``: a run that was exported elsewhere, taken in by a server."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from typing import Final

import click

from stenograph.cli.documents import run_document
from stenograph.cli.failures import DAMAGED, Failure
from stenograph.cli.output import Output
from stenograph.cli.settings import Settings, place_options, settings
from stenograph.cli.sources import open_client
from stenograph.cli.text import count

PIECE: Final = 1024 * 1024


@click.command("import", short_help="Take in a run that was exported elsewhere.")
@click.argument("file")
@place_options
def import_(file: str) -> None:
    """Verify the exported run in FILE (- is stdin), and have the server take it in.

    It is only read there, and forked: nothing of it is ever executed. Exit code 5 when the file is
    not as it was written, 6 when another run has its id.
    """
    # Read before there is a loop: it would keep Ctrl-C from ending a read that waits.
    pieces, events = read(file)
    asyncio.run(imported(Output(settings()), settings(), pieces, events))


def read_stdin() -> Iterator[bytes]:
    """Yield what comes in, piece by piece."""
    while piece := sys.stdin.buffer.read(PIECE):
        yield piece


def read(file: str) -> tuple[list[bytes], int]:
    """Return a file in pieces and how many events it has; raises Failure."""
    from stenograph.cli.export_source import pieces_of
    from stenograph.engine import ExportReader, ExportRefused

    reader, pieces = ExportReader(keep=False), list[bytes]()
    try:
        for piece in read_stdin() if file == "-" else pieces_of(file):
            reader.feed(piece)  # what the server would refuse is not sent, nor read on
            pieces.append(piece)
        return pieces, reader.end().head
    except ExportRefused as error:
        raise Failure(f"{'stdin' if file == '-' else file}: {error}", DAMAGED) from error


async def imported(output: Output, place: Settings, pieces: list[bytes], events: int) -> None:
    """Send a file, and say what came of it."""
    async with open_client(place) as client:
        run = await client.import_run(b"".join(pieces))
    if output.tables:
        output.line(f"run {run.id}  {run.status} at seq {run.seq}")
    else:
        output.document(run_document(run))
    was = "was there already, the same" if run.replayed else f"{count(events, 'event')} imported"
    rest = "; it is only read here, and forked" if run.imported else ""  # else it is from here
    output.talk(f"-- {run.id}: {was}{rest}")
