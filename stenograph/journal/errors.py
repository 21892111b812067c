"""What can go wrong in a journal.

JournalError
├── WrongExpectedSeq    the stream has moved on: read again, decide again
├── AppendTooLarge      over the limits of one append: send less
├── CursorUnknown       a cursor beyond the head, or of another journal
├── JournalBusy         another program is writing to the file: try again later
├── JournalFull         the disk is full: nothing was written; it goes on by itself
├── JournalUnreadable   the stored records cannot be read, and why
├── CannotBackUp        a copy cannot be written there, and why
├── CannotSign          a key cannot be read or made, or nothing is there to sign with
├── CheckpointRefused   the checkpoint before does not go on to this journal, and why
├── CannotOpen          the file cannot serve as a journal, and why
│   ├── NotAJournal     it is something else
│   ├── DamagedFile     SQLite finds its first pages damaged
│   └── JournalInUse    another engine holds it
└── JournalFailed       an I/O error: nothing is acknowledged any more; reading goes on
"""

from __future__ import annotations


class JournalError(Exception):
    """The base of all errors of this room."""


class WrongExpectedSeq(JournalError):
    """The stream has moved on since the caller read it: read again, decide again."""

    def __init__(self, run_id: str, *, expected: int, actual: int) -> None:
        super().__init__(f"{run_id}: expected seq {expected}, found {actual}")
        self.run_id, self.expected, self.actual = run_id, expected, actual


class AppendTooLarge(JournalError):
    """One append is over a limit; nothing of it was written."""


class CursorUnknown(JournalError):
    """A cursor beyond the head, or of another journal; the caller's past is not ours."""

    def __init__(self, *, after: int, head: int) -> None:
        super().__init__(
            f"cursor {after} is beyond the head, which is {head}; "
            "it belongs to another journal, or to a history that was lost: start again from 0"
        )
        self.after, self.head = after, head


class JournalBusy(JournalError):
    """Another program was writing to the file; nothing was written: try again later."""


class JournalFull(JournalError):
    """The disk is full; nothing was written, and nothing is lost: make room, and append again."""


class JournalUnreadable(JournalError):
    """The stored records cannot be read: damage, or an I/O error; the message says which."""


class CannotBackUp(JournalError):
    """A copy cannot be written where it should be; the message says why."""


class CannotSign(JournalError):
    """A key cannot be read or made, or the package that signs is missing; the message says which."""


class CheckpointRefused(JournalError):
    """The checkpoint before does not go on to this journal: it was cut, changed, or is another."""


class CannotOpen(JournalError):
    """The file cannot serve as a journal; the message says why and what to do."""


class NotAJournal(CannotOpen):
    """The file is something else, or of a later format."""


class DamagedFile(CannotOpen):
    """The file's first pages are such that SQLite cannot open it."""


class JournalInUse(CannotOpen):
    """Another engine holds the journal; the message names the holder."""


class JournalFailed(JournalError):
    """An I/O error on commit: nothing is acknowledged any more, reading goes on."""
