"""One engine a journal: a lock file that tells who holds it, and goes free with its holder.

The kernel drops a flock with the process that took it, however that ends. The file itself is
never unlinked: a second engine could then lock a new one beside the old.
"""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from stenograph.journal.errors import CannotOpen, JournalInUse

_held: set[int] = set()


def _let_go() -> None:  # pragma: no cover - in a child that no test sees the end of
    """Close in a forked child what only its parent holds, or the lock would outlive the parent."""
    for file in _held:
        os.close(file)
    _held.clear()


os.register_at_fork(after_in_child=_let_go)


class Holder(Struct):
    """Who holds a journal, as its lock file tells."""

    pid: int
    host: str
    since: str


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the journal at ``path``; raises JournalInUse when another holds it."""
    lock_path = path.with_name(f"{path.name}.lock")
    try:
        file = os.open(lock_path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise CannotOpen(
            f"{path}: its lock file {lock_path.name} cannot be written ({error.strerror}): "
            "choose a folder you can write to"
        ) from error
    try:
        take(file, path)
        _held.add(file)
        yield
    finally:
        _held.discard(file)
        os.close(file)


def take(file: int, path: Path) -> None:
    """Lock the file for this process and write down its name."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise JournalInUse(
            f"{path} is in use by {holder(file)}: stop that one first, or open it for reading only"
        ) from error
    except OSError as error:
        raise CannotOpen(
            f"{path}: its folder cannot be locked ({error.strerror}): use a local disk"
        ) from error
    since = datetime.now(UTC).isoformat(timespec="seconds")
    name = msgspec.json.encode(Holder(os.getpid(), socket.gethostname(), since))
    with suppress(OSError):  # a full disk: what counts is the lock, and not the holder's name
        os.ftruncate(file, 0)
        os.pwrite(file, name, 0)


def holder(file: int) -> str:
    """Return who holds the lock, in words."""
    try:
        found = msgspec.json.decode(os.pread(file, 4096, 0), type=Holder)
    except msgspec.DecodeError:  # it has locked the file and not yet written its name
        return "another engine"
    return f"the engine with process id {found.pid} on {found.host} since {found.since}"
