"""``steno backup``: a copy of a journal, also while a server writes it."""

from __future__ import annotations

import click

from stenograph.cli.failures import DAMAGED, Failure
from stenograph.cli.output import talk
from stenograph.cli.settings import DB, QUIET, settings
from stenograph.cli.text import count


@click.command(short_help="Copy a journal, also while a server writes it.")
@click.argument("file")
@DB
@QUIET
def backup(file: str) -> None:
    """Copy the journal of --db to FILE, which must not be there yet, and verify the copy.

    A server that writes the journal is neither stopped nor held up.
    """
    place = settings()
    if place.db is None:
        raise click.UsageError("name the journal's file with --db")
    from stenograph.journal import back_up, inspect_file

    back_up(place.db, file)
    verdict = inspect_file(file)
    assert verdict is not None
    if not verdict.ok:
        raise Failure(f"{file} is a copy of a damaged journal: steno --db {file} verify", DAMAGED)
    if not place.quiet:
        talk(f"{file}: {count(verdict.records, 'record')} of journal {verdict.journal}, verified")
