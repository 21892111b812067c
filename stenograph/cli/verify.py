"""``steno verify``: whether what is stored is what was written, and what checkpoints say of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec
from msgspec.structs import replace

from stenograph.cli.failures import DAMAGED, NO_SUCH_RUN, USAGE, Failure
from stenograph.cli.output import Output
from stenograph.cli.settings import Settings, place_options, settings
from stenograph.cli.sources import (
    SHOWN_MAX,
    ServerSource,
    find_run,
    is_export,
    open_client,
    reading,
)
from stenograph.cli.text import count, printable

if TYPE_CHECKING:
    from stenograph.journal import Finding, Verdict, Witness

UNSEEN: Final = "without a checkpoint, a tail cut off or a rewriting of it all goes unseen"
REWRITTEN: Final = "a rewriting of it all goes unseen: compare its last hash with the journal's"
"""What is said of an exported file instead: its last line would be missing."""


@click.command(short_help="Tell whether what is stored is what was written.")
@click.argument("run", required=False)
@click.option(
    "--checkpoints", metavar="FILE", help="Signed checkpoints to hold the journal against."
)
@click.option("--public-key", metavar="FILE", help="The key that they are signed with.")
@place_options
def verify(run: str | None, checkpoints: str | None, public_key: str | None) -> None:
    """Hold a run against its hashes, or without RUN the whole journal.

    With --db it reads the file itself, also one that is damaged. Exit code 5: something was found.
    RUN is an id, how one id alone begins, @last, or the FILE.ndjson of an exported run.
    """
    place = settings() if run is None else reading(settings(), run)
    if (checkpoints is None) != (public_key is None):
        raise click.UsageError("--checkpoints and --public-key go together")
    if checkpoints is not None and (run is not None or place.db is None):
        raise click.UsageError("checkpoints are over a whole journal: name its file with --db")
    output = Output(place)
    if place.db is None:
        tell(output, asyncio.run(asked(place, run)), place.server)
    elif is_export(place.db):
        from stenograph.cli.export_source import inspect_export

        tell(output, inspect_export(place.db), place.db, unseen=REWRITTEN)
    elif checkpoints is not None and public_key is not None:
        witness = read_witness(place.db, checkpoints, public_key)
        tell(output, inspected(place.db, None, witness), place.db, witness)
    else:
        tell(output, inspected(place.db, run), place.db)


async def asked(place: Settings, name: str | None) -> Verdict:
    """Return what a server finds, part by part."""
    from stenograph.journal import Verdict

    async with open_client(place) as client:
        run_id = None if name is None else await find_run(ServerSource(client), name)
        part = await client.verify(run_id)
        whole = Verdict(**msgspec.structs.asdict(part))
        while whole.next is not None:
            part = await client.verify(run_id, after=whole.next)
            whole = joined(whole, Verdict(**msgspec.structs.asdict(part)))
    return whole


def joined(first: Verdict, second: Verdict) -> Verdict:
    """Return the verdict over two parts that follow each other."""
    return replace(
        first,
        ok=first.ok and second.ok,
        records=first.records + second.records,
        runs=first.runs if first.run_id is not None else first.runs + second.runs,
        erased=first.erased + second.erased,
        sound=second.sound if first.ok else first.sound,
        next=second.next,
        faults=first.faults + second.faults,
        findings=first.findings + second.findings,
    )


def inspected(path: str, name: str | None, witness: Witness | None = None) -> Verdict:
    """Return what a file's rows come to; raises Failure, CannotOpen, JournalUnreadable."""
    from stenograph.journal import inspect_file

    run_id = None if name is None else named_in(path, name)
    verdict = inspect_file(path, run_id, watchers=[witness] if witness else [])
    assert verdict is not None  # the name was found a moment ago, and no run ever goes
    if witness is None:
        return verdict
    witness.end()
    found = witness.findings
    return replace(
        verdict,
        ok=verdict.ok and not found,
        faults=verdict.faults + len(found),
        findings=[*found, *verdict.findings],
    )


def named_in(path: str, name: str) -> str:
    """Return the id of the run that is meant, from the file's streams alone; raises Failure."""
    from stenograph.journal import open_stored

    with open_stored(path) as file:
        if file.number(name) is not None:
            return name
        found = file.named("" if name == "@last" else name, SHOWN_MAX + 1)
    if not found:
        raise Failure(f"there is no run {name} in {path}", NO_SUCH_RUN)
    if len(found) > 1 and name != "@last":
        some = ", ".join(found[:SHOWN_MAX]) + (", …" if len(found) > SHOWN_MAX else "")
        raise Failure(f"several runs begin with {name}: {some}; write more of the id", USAGE)
    return found[0]


def read_witness(path: str, checkpoints: str, public_key: str) -> Witness:
    """Return who holds a journal's file against checkpoints. Raises CannotSign, Failure."""
    from stenograph.journal import Witness, open_stored, read_lines, read_public_key

    try:
        lines = read_lines(Path(checkpoints).read_bytes())
    except OSError as error:
        raise Failure(f"{checkpoints} cannot be read: {error.strerror}", USAGE) from error
    with open_stored(path) as file:
        meta = file.meta()
    return Witness(
        lines, read_public_key(public_key), str(meta.get("id")), str(meta.get("created_at"))
    )


def tell(
    output: Output,
    verdict: Verdict,
    where: str,
    witness: Witness | None = None,
    unseen: str = UNSEEN,
) -> None:
    """Write what was found; raises Failure when anything was."""
    if output.tables:
        for line in lines_of(verdict, where, witness, unseen):
            output.line(line)
    else:
        document: dict[str, Any] = msgspec.structs.asdict(verdict)
        if witness is not None:
            document |= {"vouched": witness.sound, "unprotected": witness.unprotected}
        output.document(document)
    if not verdict.ok:
        unit = "seq" if verdict.run_id is not None else "offset"
        raise Failure(
            f"{where}: {count(verdict.faults, 'thing')} found to be wrong; "
            f"sound up to {unit} {verdict.sound}",
            DAMAGED,
        )


def lines_of(verdict: Verdict, where: str, witness: Witness | None, unseen: str) -> list[str]:
    """Return a verdict in words."""
    run = f"run {verdict.run_id}" if verdict.run_id else "what is left of a run"
    what = f"journal {verdict.journal}" if verdict.run_id is None else run
    among = f" of {count(verdict.runs, 'stream')}" if verdict.run_id is None else ""
    erased = f", {verdict.erased:,} of them erased" if verdict.erased else ""
    lines = [f"{what} in {where}: {count(verdict.records, 'record')}{among}{erased}"]
    lines += [printable(in_words(finding)) for finding in verdict.findings]
    if verdict.faults > len(verdict.findings):
        lines.append(f"… and {verdict.faults - len(verdict.findings):,} more")
    if verdict.ok:
        lines.append("every hash follows from the one before it, and nothing is missing between")
    if witness is not None:
        lines.append(
            f"checkpoints vouch for the first {count(witness.sound, 'record')}; "
            f"{count(witness.unprotected, 'record')} after them are unprotected"
        )
    elif verdict.ok:
        lines.append(unseen)
    return lines


def in_words(finding: Finding) -> str:
    """Return a finding as a line: ``offset 12, r-1 seq 5: its hash was changed (content)``."""
    places = []
    if finding.offset is not None:
        places.append(f"offset {finding.offset}")
    if finding.run_id is not None:
        places.append(f"{finding.run_id} seq {finding.seq}")
    before = (
        "" if finding.sound_seq is None else f"; its run is sound up to seq {finding.sound_seq}"
    )
    where = ", ".join(places) + ": " if places else ""
    return f"{where}{finding.detail} ({finding.why}){before}"
