"""``steno checkpoint``: what a journal holds now, signed, to be kept elsewhere."""

from __future__ import annotations

import fcntl
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import click

from stenograph.cli.failures import USAGE, Failure
from stenograph.cli.output import talk
from stenograph.cli.settings import DB, QUIET, settings
from stenograph.cli.standard import write

if TYPE_CHECKING:
    from stenograph.journal import SigningKey

BEGINNING: Final = b'{"checkpoint":"stenograph/1",'
"""How every line begins. What does not is nothing that was left half written, and is left alone."""


@click.command(short_help="Sign what a journal holds now.")
@click.option("--key", metavar="FILE", help="The private key to sign with.")
@click.option(
    "--to", metavar="FILE", help="Go on from the last checkpoint in this file, and append to it."
)
@click.option("--new-key", metavar="FILE", help="Make a key: FILE, and FILE.pub for everybody.")
@DB
@QUIET
def checkpoint(key: str | None, to: str | None, new_key: str | None) -> None:
    """Write a signed checkpoint over the journal of --db: one line, to stdout or to a file.

    Keep checkpoints and key elsewhere than the journal: steno verify --checkpoints holds it to them.
    """
    place = settings()
    if (key is None) == (new_key is None):
        raise click.UsageError("give --key to sign with, or --new-key to make one")
    if new_key is not None:
        make_key(new_key, quiet=place.quiet)
        return
    if place.db is None:
        raise click.UsageError("name the journal's file with --db")
    from stenograph.journal import read_key

    signer = read_key(str(key))
    if to is None:
        write(line_of(place.db, signer, b"") + b"\n")
    else:
        append_checkpoint(place.db, signer, to)


def make_key(path: str, *, quiet: bool) -> None:
    """Make a key, and say what it is called."""
    from stenograph.journal import new_key

    made = new_key(path)
    if not quiet:
        talk(f"Key {made.id}: sign with {path}, which nobody else may have; verify with {path}.pub")


def append_checkpoint(db: str, key: SigningKey, path: str, *, only_new: bool = False) -> None:
    """Append a checkpoint to a file, and wait until it is durable; whoever does so too comes after.

    ``only_new``: not where the last one saw as many records. A last line that a crash has left half
    written says nothing, and is written over.

    Raises Failure when the file cannot be used, CheckpointRefused, CannotOpen, JournalUnreadable.
    """
    try:
        with open(path, "a+b") as file:
            # Or two would go on from the same line, and one of them not from the line before it.
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            before = whole_lines(file.read())
            line = line_of(db, key, before)
            if only_new and before and seen_in(line) == seen_in(before):
                return
            file.truncate(len(before))
            begin = b"\n" if before and not before.endswith(b"\n") else b""
            file.write(begin + line + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise Failure(f"{path} cannot be used: {error.strerror}", USAGE) from error


def whole_lines(data: bytes) -> bytes:
    """Return what a file holds without the beginning of a checkpoint that is its last line."""
    from stenograph.journal import read_lines

    begin = data.rfind(b"\n") + 1
    last = data[begin:]
    is_begun = last.startswith(BEGINNING) or BEGINNING.startswith(last)
    is_whole = not last or read_lines(last)[-1].checkpoint is not None
    return data if is_whole or not is_begun else data[:begin]


def seen_in(lines: bytes) -> int | None:
    """Return how many records the last checkpoint saw."""
    from stenograph.journal import read_lines

    last = read_lines(lines)[-1].checkpoint
    return None if last is None else last.records


def line_of(db: str, key: SigningKey, before: bytes) -> bytes:
    """Return a new checkpoint that goes on from the last of those before, if there is one."""
    from stenograph.journal import make_checkpoint, read_lines

    lines = read_lines(before)
    at = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return make_checkpoint(db, key, at=at, previous=lines[-1] if lines else None)
