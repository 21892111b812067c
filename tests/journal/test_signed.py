"""Signed checkpoints: what only they find, and what even they do not."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from unittest import mock

import msgspec
import pytest

from stenograph.journal import (
    CannotOpen,
    CannotSign,
    CheckpointRefused,
    Finding,
    JournalUnreadable,
    SigningKey,
    Witness,
    inspect_file,
    make_checkpoint,
    new_key,
    open_journal,
    open_stored,
    read_key,
    read_lines,
    read_public_key,
)
from tests.figures import Figure
from tests.journal.tampering import make_journal, renumbered, rows_of, some_record
from tests.journal.test_verifying import damage, harm

AT = "2026-11-21T09:00:00.000000Z"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("signed")
    asyncio.run(make_journal(folder / "journal.db"))
    new_key(folder / "key")
    return folder


@pytest.fixture
def journal(made: Path, tmp_path: Path) -> Path:
    path = tmp_path / "journal.db"
    path.write_bytes((made / "journal.db").read_bytes())
    return path


@pytest.fixture
def key(made: Path) -> SigningKey:
    return read_key(made / "key")


def witness_of(journal: Path, checkpoints: bytes, key: SigningKey) -> Witness:
    with open_stored(journal) as file:
        meta = file.meta()
    witness = Witness(read_lines(checkpoints), key.public, meta["id"], meta["created_at"])
    inspect_file(journal, watchers=[witness])
    witness.end()
    return witness


def findings_of(journal: Path, checkpoints: bytes, key: SigningKey) -> list[Finding]:
    return witness_of(journal, checkpoints, key).findings


async def write_more(journal: Path, number: int, run_id: str = "r-later") -> None:
    chance = random.Random(5)
    async with open_journal(journal) as it:
        head = await it.head(run_id)
        records = [some_record(chance, head + n) for n in range(1, number + 1)]
        await it.append(run_id, records, expected_seq=head)


def test_a_checkpoint_vouches_for_what_it_saw(journal: Path, key: SigningKey) -> None:
    lines = make_checkpoint(journal, key, at=AT)
    asyncio.run(write_more(journal, 7))
    witness = witness_of(journal, lines, key)
    assert (witness.findings, witness.sound, witness.unprotected) == ([], 200, 7)
    assert witness_of(journal, b"", key).unprotected == 207


def test_one_that_goes_on_from_another_reads_only_what_is_new(
    journal: Path, key: SigningKey
) -> None:
    first = make_checkpoint(journal, key, at=AT)
    asyncio.run(write_more(journal, 7))
    [line] = read_lines(first)
    with mock.patch("stenograph.journal.tally.tally_link", return_value="0" * 64) as link:
        make_checkpoint(journal, key, at=AT, previous=line)
    assert link.call_count == 7
    second = make_checkpoint(journal, key, at=AT, previous=line)
    alone = msgspec.json.decode(make_checkpoint(journal, key, at=AT))
    assert msgspec.json.decode(second)["digest"] == alone["digest"]
    witness = witness_of(journal, first + b"\n" + second + b"\n", key)
    assert (witness.findings, witness.unprotected) == ([], 0)


def test_of_an_empty_journal_there_is_one_too(tmp_path: Path, key: SigningKey) -> None:
    async def make() -> None:
        async with open_journal(tmp_path / "j.db"):
            pass

    asyncio.run(make())
    first = make_checkpoint(tmp_path / "j.db", key, at=AT)
    [line] = read_lines(first)
    second = make_checkpoint(tmp_path / "j.db", key, at=AT, previous=line)
    assert witness_of(tmp_path / "j.db", first + b"\n" + second, key).findings == []


@pytest.mark.parametrize("end", [0, 1, 100, 199])
def test_a_tail_that_was_cut_is_found(journal: Path, key: SigningKey, end: int) -> None:
    lines = make_checkpoint(journal, key, at=AT)
    harm(
        journal,
        f"DELETE FROM record WHERE offset > {end}",
        "DELETE FROM stream WHERE number NOT IN (SELECT stream FROM record)",
    )
    verdict = inspect_file(journal)
    assert verdict is not None
    assert {each.why for each in verdict.findings} <= {"erased"}  # cut off behind an erased run
    [finding] = findings_of(journal, lines, key)
    assert finding.why == "checkpoint"
    assert f"saw 200 records at {AT}, and there are {end}" in finding.detail
    with pytest.raises(CheckpointRefused, match="the journal was cut"):
        make_checkpoint(journal, key, at=AT, previous=read_lines(lines)[0])


def test_a_missing_run_is_found(journal: Path, key: SigningKey) -> None:
    lines = make_checkpoint(journal, key, at=AT)
    left = renumbered([row for row in rows_of(journal) if row.run_id != "order:7"])
    moves = [row for row in rows_of(journal) if row.run_id != "order:7"]
    streams = {old.stream: new.stream for old, new in zip(moves, left, strict=True)}
    harm(
        journal,
        "DELETE FROM record WHERE stream = (SELECT number FROM stream WHERE run_id = 'order:7')",
        "DELETE FROM stream WHERE run_id = 'order:7'",
        *(f"UPDATE stream SET number = {new} WHERE number = {old}" for old, new in streams.items()),
        *(
            f"UPDATE record SET offset = {new.offset}, stream = {new.stream} "
            f"WHERE offset = {old.offset}"
            for old, new in zip(moves, left, strict=True)
        ),
    )
    verdict = inspect_file(journal)
    assert verdict is not None
    assert verdict.ok
    assert findings_of(journal, lines, key)[0].why == "checkpoint"


def test_who_computes_all_hashes_anew_is_found(journal: Path, key: SigningKey) -> None:
    """The whole last record is another's, and its hash follows."""
    first = make_checkpoint(journal, key, at=AT)
    last = rows_of(journal)[-1]
    harm(journal, "DELETE FROM record WHERE offset = 200")
    asyncio.run(write_more(journal, 1, last.run_id))
    verdict = inspect_file(journal)
    assert verdict is not None
    assert verdict.ok
    [finding] = findings_of(journal, first, key)
    assert "the first 200 records are not those that it saw" in finding.detail


def test_what_stands_after_the_last_checkpoint_can_be_changed_unseen(
    journal: Path, key: SigningKey
) -> None:
    first = make_checkpoint(journal, key, at=AT)
    asyncio.run(write_more(journal, 3))
    harm(journal, "DELETE FROM record WHERE offset > 201")
    witness = witness_of(journal, first, key)
    assert (witness.findings, witness.unprotected) == ([], 1)


def test_what_was_erased_is_vouched_for_all_the_same(journal: Path, key: SigningKey) -> None:
    lines = make_checkpoint(journal, key, at=AT)
    harm(journal, "UPDATE record SET erased = 1, data = sha256(data) WHERE erased = 0")
    assert findings_of(journal, lines, key) == []


@pytest.mark.parametrize("key_of_meta", ["id", "created_at"])
def test_every_flip_of_what_the_journal_was_made_with_is_found(
    journal: Path, key: SigningKey, key_of_meta: str
) -> None:
    lines = read_lines(make_checkpoint(journal, key, at=AT))
    with open_stored(journal) as file:
        meta = file.meta()
    for place in range(len(meta[key_of_meta])):
        for bit in range(8):
            data = bytearray(meta[key_of_meta].encode())
            data[place] ^= 1 << bit
            changed = {**meta, key_of_meta: data.decode(errors="surrogateescape")}
            witness = Witness(lines, key.public, changed["id"], changed["created_at"])
            assert "another journal" in witness.findings[0].detail


def test_every_flip_of_a_checkpoint_is_found(
    journal: Path, key: SigningKey, figure: Figure
) -> None:
    first = make_checkpoint(journal, key, at=AT)
    lines = first + b"\n" + make_checkpoint(journal, key, at=AT, previous=read_lines(first)[0])
    lines += b"\n"
    flips = 0
    for place in range(len(lines)):
        for bit in range(8):
            data = bytearray(lines)
            data[place] ^= 1 << bit
            assert Witness(read_lines(bytes(data)), key.public, "", "").findings[0].why in (
                "signature",
                "order",
            )
            flips += 1
    figure(f"flips of bits in checkpoints: {flips:,} of {flips:,} found")


def test_a_checkpoint_that_was_taken_out_is_found(journal: Path, key: SigningKey) -> None:
    lines: list[bytes] = []
    for _ in range(3):
        previous = read_lines(b"\n".join(lines))[-1] if lines else None
        lines.append(make_checkpoint(journal, key, at=AT, previous=previous))
    assert findings_of(journal, b"\n".join(lines), key) == []
    [finding] = findings_of(journal, b"\n".join([lines[0], lines[2]]), key)
    assert finding.why == "order"
    # Without the last, the others still hold; nobody can tell that it was there.
    assert findings_of(journal, b"\n".join(lines[:2]), key) == []


def test_another_key_has_signed_nothing(journal: Path, key: SigningKey, tmp_path: Path) -> None:
    new_key(tmp_path / "other")
    other = read_key(tmp_path / "other")
    lines = make_checkpoint(journal, other, at=AT)
    assert [finding.why for finding in findings_of(journal, lines, key)] == ["signature"]
    renamed = lines.replace(other.public.id.encode(), key.public.id.encode())
    assert [finding.why for finding in findings_of(journal, renamed, key)] == ["signature"]
    with pytest.raises(CheckpointRefused, match="not signed with this key"):
        make_checkpoint(journal, key, at=AT, previous=read_lines(lines)[0])
    with pytest.raises(CheckpointRefused, match="not signed with this key"):
        make_checkpoint(journal, key, at=AT, previous=read_lines(b"{}")[0])


def test_another_journals_checkpoint_is_refused(
    journal: Path, key: SigningKey, tmp_path: Path
) -> None:
    asyncio.run(make_journal(tmp_path / "other.db"))
    lines = make_checkpoint(tmp_path / "other.db", key, at=AT)
    [finding] = findings_of(journal, lines, key)
    assert "of another journal" in finding.detail
    with pytest.raises(CheckpointRefused, match="this is another"):
        make_checkpoint(journal, key, at=AT, previous=read_lines(lines)[0])


def test_of_what_cannot_be_read_nothing_is_signed(
    journal: Path, key: SigningKey, tmp_path: Path
) -> None:
    damage(journal, rows_of(journal)[120].data)
    with pytest.raises(JournalUnreadable):
        make_checkpoint(journal, key, at=AT)
    with pytest.raises(CannotOpen):
        make_checkpoint(tmp_path / "none", key, at=AT)


def test_fields_that_are_none_have_a_tally_of_their_own(journal: Path, key: SigningKey) -> None:
    lines = make_checkpoint(journal, key, at=AT)
    harm(journal, "UPDATE record SET hash = 'text' WHERE offset = 3")
    assert findings_of(journal, lines, key)[0].why == "checkpoint"


def test_a_private_key_is_for_its_owner_alone(tmp_path: Path) -> None:
    made = new_key(tmp_path / "key")
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert (
        read_public_key(tmp_path / "key.pub").id == read_key(tmp_path / "key").public.id == made.id
    )
    with pytest.raises(CannotSign, match="never overwritten"):
        new_key(tmp_path / "key")
    with pytest.raises(CannotSign, match="cannot be written"):
        new_key(tmp_path / "no" / "key")
    os.chmod(tmp_path / "key", 0o640)
    with pytest.raises(CannotSign, match="chmod 600"):
        read_key(tmp_path / "key")


def test_what_is_no_key_is_refused(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    with pytest.raises(CannotSign, match="cannot be read"):
        read_key(tmp_path / "none")
    other = X25519PrivateKey.generate()
    private = other.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    public = other.public_key().public_bytes(
        form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo
    )
    for data, why in ((b"text", "holds no"), (private, "another kind"), (public, "holds no")):
        (tmp_path / "key").write_bytes(data)
        (tmp_path / "key").chmod(0o600)
        with pytest.raises(CannotSign, match=why):
            read_key(tmp_path / "key")
    for data, why in ((b"text", "holds no"), (public, "another kind")):
        (tmp_path / "key").write_bytes(data)
        with pytest.raises(CannotSign, match=why):
            read_public_key(tmp_path / "key")


def test_without_the_package_that_signs_one_sentence_says_so(made: Path) -> None:
    hidden = {"cryptography.hazmat.primitives.serialization": None}
    with mock.patch.dict(sys.modules, hidden), pytest.raises(CannotSign, match=r"stenograph\[sig"):
        read_key(made / "key")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_openssl_can_check_a_checkpoint(journal: Path, key: SigningKey, made: Path) -> None:
    line = make_checkpoint(journal, key, at=AT)
    message, _, rest = line.rpartition(b',"signature":"')
    (journal.parent / "message").write_bytes(message + b"}")
    (journal.parent / "signature").write_bytes(bytes.fromhex(rest[:-2].decode()))
    words = ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", str(made / "key.pub")]
    words += ["-in", "message", "-sigfile", "signature"]
    done = subprocess.run(words, cwd=journal.parent, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
