"""One engine a journal: the second is told who the first is."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from stenograph.journal import CannotOpen, JournalInUse, open_journal, open_journal_readonly


async def test_a_second_engine_is_told_who_holds_the_journal(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    async with open_journal(path):
        with pytest.raises(JournalInUse) as told:
            async with open_journal(path):
                pass
    sentence = str(told.value)
    assert (
        f"in use by the engine with process id {os.getpid()} on {socket.gethostname()}" in sentence
    )
    assert "stop that one first, or open it for reading only" in sentence


async def test_another_name_of_the_file_is_no_way_around(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to("test.db")
    async with open_journal(tmp_path / "test.db"):
        with pytest.raises(JournalInUse):
            async with open_journal(tmp_path / "link.db"):
                pass


async def test_a_refused_engine_disturbs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    async with open_journal(path):
        for _ in range(2):
            with pytest.raises(JournalInUse, match=str(os.getpid())):
                async with open_journal(path):
                    pass


async def test_the_lock_goes_with_its_holder_and_its_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    async with open_journal(path) as journal:
        pass
    lock = tmp_path / "test.db.lock"
    before = lock.stat().st_ino
    async with open_journal(path) as again:
        assert again.id == journal.id
    assert lock.stat().st_ino == before


async def test_what_an_earlier_holder_wrote_is_forgotten(tmp_path: Path) -> None:
    (tmp_path / "test.db.lock").write_text('{"pid":1,"host":"' + "x" * 500 + '","since":""}')
    async with open_journal(tmp_path / "test.db"):
        with pytest.raises(JournalInUse, match=f"process id {os.getpid()} on"):
            async with open_journal(tmp_path / "test.db"):
                pass


async def test_the_lock_is_freed_when_the_file_is_no_journal(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    path.write_bytes(b"not a database\n")
    for _ in range(2):
        with pytest.raises(CannotOpen, match="no SQLite file"):
            async with open_journal(path):
                pass


async def test_a_holder_that_has_not_said_its_name_holds_all_the_same(tmp_path: Path) -> None:
    with (tmp_path / "test.db.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(JournalInUse, match="in use by another engine"):
            async with open_journal(tmp_path / "test.db"):
                pass


async def test_a_folder_without_locks_is_no_place_for_a_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(file: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with pytest.raises(
        CannotOpen, match=r"cannot be locked \(No locks available\): use a local disk"
    ):
        async with open_journal(tmp_path / "test.db"):
            pass


async def test_readers_need_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    async with open_journal(path) as journal, open_journal_readonly(path) as beside:
        assert beside.id == journal.id
    (tmp_path / "test.db.lock").unlink()
    async with open_journal_readonly(path):
        assert not (tmp_path / "test.db.lock").exists()


async def test_a_forked_child_does_not_hold_its_parents_lock(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    child = killed_after_a_fork(path)
    try:
        async with open_journal(path) as journal:
            assert await journal.end() == 0
    finally:
        os.kill(child, signal.SIGKILL)


def killed_after_a_fork(path: Path) -> int:
    """Let a process open a journal, fork, and be killed; returns the id of the child that lives."""
    script = f"""
import asyncio, os, signal, time
from stenograph.journal import open_journal
async def main():
    async with open_journal({str(path)!r}):
        if (child := os.fork()) == 0:
            os.closerange(0, 3)
            time.sleep(60)
            os._exit(0)
        print(child, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    command = [sys.executable, "-W", "ignore", "-c", script]
    return int(subprocess.run(command, capture_output=True, check=False).stdout)
