"""``steno resume`` and ``steno retry``: let a run that stands still go on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from stenograph.cli.control import controlled, if_seq_option, key_option
from stenograph.cli.hints import steno
from stenograph.cli.output import Output
from stenograph.cli.settings import Settings, place_options, settings
from stenograph.cli.sources import ServerSource, Source, records
from stenograph.cli.values import Seconds, json_of

if TYPE_CHECKING:
    from stenograph.engine import Limits, RunView
    from stenograph.http import Client

F = TypeVar("F", bound=Callable[..., Any])


def limit_options(command: F) -> F:
    """Let a command take new limits."""
    steps = click.option(
        "--steps",
        type=click.IntRange(1, 1_000_000_000),
        help="How many nodes it may enter in all, before it parks.",
    )
    time_s = click.option(
        "--time-s",
        type=Seconds(min=0, min_open=True),
        help="How many seconds it may have nodes running in all, before it parks.",
    )
    return steps(time_s(command))


@click.command(short_help="Let a paused or parked run go on.")
@click.argument("run")
@limit_options
@click.option(
    "--result",
    metavar="JSON",
    help="What a node returned whose effects did happen: JSON, @FILE, or - for stdin.",
)
@click.option("--scope", metavar="SCOPE", help="Only if it is a node there that parked the run.")
@key_option
@if_seq_option
@place_options
def resume(
    run: str,
    steps: int | None,
    time_s: float | None,
    result: str | None,
    scope: str | None,
    key: str | None,
    if_seq: int | None,
) -> None:
    """Let a paused or parked run go on, with other limits if given.

    RUN is an id, how one id alone begins, or @last. A run that is parked over a node's effects
    enters the node again; with --result it does not, and goes on with that.
    Exit code 6 when the run is neither paused nor parked.
    """
    given = None if result is None else json_of(result, "--result")
    if given is not None and not isinstance(given, dict):
        raise click.UsageError("--result: what a node returns is a JSON object")

    async def ask(client: Client, run_id: str) -> RunView:
        limits = await limits_of(ServerSource(client), run_id, steps, time_s)
        return await client.resume(
            run_id, limits=limits, result=given, scope=scope, key=key, if_seq=if_seq
        )

    asyncio.run(going_on(Output(settings()), settings(), run, ask))


@click.command(short_help="Let a failed run try again what failed.")
@click.argument("run")
@limit_options
@key_option
@if_seq_option
@place_options
def retry(
    run: str, steps: int | None, time_s: float | None, key: str | None, if_seq: int | None
) -> None:
    """Reopen a failed run where it failed; what had finished does not run again.

    RUN is an id, how one id alone begins, or @last. Exit code 6 when the run has not failed.
    """

    async def ask(client: Client, run_id: str) -> RunView:
        limits = await limits_of(ServerSource(client), run_id, steps, time_s)
        return await client.retry(run_id, limits=limits, key=key, if_seq=if_seq)

    asyncio.run(going_on(Output(settings()), settings(), run, ask))


async def going_on(
    output: Output, place: Settings, name: str, ask: Callable[[Client, str], Awaitable[RunView]]
) -> None:
    """Ask a run to go on, write what it is then, and say how to watch it."""
    found = await controlled(output, place, name, ask)
    if output.tables:
        output.talk(f"-- watch it: {steno(place, 'tail', found.id)}")


async def limits_of(
    source: Source, run_id: str, steps: int | None, time_s: float | None
) -> Limits | None:
    """Return new limits for a run: one that is not given stays as it is. None when none is given."""
    from stenograph.engine import Limits

    if steps is None and time_s is None:
        return None
    if steps is None or time_s is None:
        now = await limits_now(source, run_id)
        steps = now["steps"] if steps is None else steps
        time_s = now.get("time_s") if time_s is None else time_s
    return Limits(steps=steps, time_s=time_s)


async def limits_now(source: Source, run_id: str) -> dict[str, Any]:
    """Return the limits of a run, as somebody set them last."""
    limits: dict[str, Any] = {}
    async for record in records(source, run_id):
        if record.type in ("run.created", "run.resumed", "run.retried"):
            limits = msgspec.json.decode(record.data).get("limits") or limits
    return limits
