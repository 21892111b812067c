"""``steno demo``: a real review of a real source, served and followed before your eyes."""

from __future__ import annotations

import asyncio

import click

from stenograph.cli.failures import TERMINATED
from stenograph.cli.settings import COLOR, settings

DEMO_DB = "steno-demo.db"


@click.command(short_help="Review a Python source, and watch it happen.")
@click.argument("file", required=False)
@click.option("--db", metavar="FILE", help=f"The journal's file.  [default: {DEMO_DB}]")
@COLOR
@click.pass_context
def demo(context: click.Context, file: str | None, db: str | None) -> None:
    """Review FILE, or a large module of Python's own, and watch it happen.

    Starts a server with its journal in a file, creates the code-review graph over HTTP, runs it,
    shows its events from the WebSocket as they are committed, and what came of it. The journal is
    kept. Exit code 1 when the review failed.
    """
    from stenograph.cli.demonstration import demonstrate

    try:
        code = asyncio.run(demonstrate(settings(), file, db or settings().db or DEMO_DB))
    except asyncio.CancelledError:  # SIGTERM; the server has ended
        code = TERMINATED
    context.exit(code)
