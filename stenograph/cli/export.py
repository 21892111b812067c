"""``steno export``: a run as one file that can be read, verified and forked elsewhere."""

from __future__ import annotations

import asyncio
import os
import zlib
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import BinaryIO

import click

from stenograph.cli.failures import USAGE, Failure
from stenograph.cli.output import Output
from stenograph.cli.settings import Settings, place_options, settings
from stenograph.cli.sources import find_run, open_source
from stenograph.cli.standard import write
from stenograph.cli.text import count


@click.command(short_help="Write a run to one file.")
@click.argument("run")
@click.argument("file", required=False)
@place_options
def export(run: str, file: str | None) -> None:
    """Write all events of a run to FILE, which must not be there yet, or to stdout.

    A FILE that ends with .gz is compressed. Secrets are not in it; a run that goes on is exported
    up to now. RUN is an id, how one id alone begins, or @last.
    """
    asyncio.run(exported(Output(settings()), settings(), run, file))


async def exported(output: Output, place: Settings, name: str, file: str | None) -> None:
    """Write a run as it is now, verified on its way."""
    async with open_source(place) as source:
        run_id = await find_run(source, name)
        pieces = source.export(run_id)
        if file is None or file == "-":
            events = await put(pieces, write)
        else:
            events = await to_file(pieces, Path(file))
            output.talk(f"-- {file}: {count(events, 'event')} of {run_id}, verified")


async def to_file(pieces: AsyncGenerator[bytes, None], path: Path) -> int:
    """Write pieces to a new file, which is there once it is whole; returns how many events."""
    with new_file(path) as file:
        if path.suffix != ".gz":
            return await put(pieces, file.write)
        packing = zlib.compressobj(6, zlib.DEFLATED, 31)  # no time stands in it
        events = await put(pieces, lambda data: file.write(packing.compress(data)))
        file.write(packing.flush())
        return events


@contextmanager
def new_file(path: Path, *, over: bool = False) -> Iterator[BinaryIO]:
    """Open a file to be written that is there, by its name, once all went well; raises Failure.

    Only then it takes the place of what has that name, with ``over``; else that is refused.
    """
    if not over and os.path.lexists(path):
        raise Failure(f"{path} is there already: name another file", USAGE)
    part = path.with_name(f"{path.name}.part")
    try:
        with open(part, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if over:
            os.replace(part, path)
        else:
            os.link(part, path)  # which never overwrites, as a rename would
    except FileExistsError as error:
        raise Failure(f"{error.filename2 or part} is there already: name another", USAGE) from error
    except OSError as error:
        part.unlink(missing_ok=True)
        raise Failure(f"{path} cannot be written: {error.strerror}", USAGE) from error
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    part.unlink(missing_ok=True)


async def put(pieces: AsyncGenerator[bytes, None], into: Callable[[bytes], object]) -> int:
    """Write pieces as they come; returns how many events. Raises ExportRefused for what is not whole."""
    from stenograph.engine import ExportReader

    reader = ExportReader(keep=False, most=None)
    async with aclosing(pieces):  # also where what is written to is full
        async for piece in pieces:
            reader.feed(piece)
            into(piece)
    return reader.end().head
