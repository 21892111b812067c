"""The journal: an append-only log of records, knowing nothing of graphs or HTTP."""

from stenograph.journal.erasure import expected_hash
from stenograph.journal.errors import (
    AppendTooLarge,
    CannotOpen,
    CursorUnknown,
    JournalBusy,
    JournalError,
    JournalFailed,
    JournalInUse,
    JournalUnreadable,
    NotAJournal,
    WrongExpectedSeq,
)
from stenograph.journal.files import Durability
from stenograph.journal.limits import LABEL_MAX_BYTES, LABELS_MAX
from stenograph.journal.memory import MemoryJournal
from stenograph.journal.protocol import (
    APPEND_MAX_BYTES,
    APPEND_MAX_RECORDS,
    PAGE_MAX,
    PAGE_MAX_BYTES,
    RECORD_MAX_BYTES,
    STREAMS_MAX,
    Journal,
    Stream,
)
from stenograph.journal.reading import ReadableJournal
from stenograph.journal.readonly import open_journal_readonly
from stenograph.journal.record import (
    GENESIS,
    NewRecord,
    Record,
    chain_hash,
    chain_link,
    envelope,
)
from stenograph.journal.sqlite import SqliteJournal, open_journal

__all__ = (
    "APPEND_MAX_BYTES",
    "APPEND_MAX_RECORDS",
    "GENESIS",
    "LABELS_MAX",
    "LABEL_MAX_BYTES",
    "PAGE_MAX",
    "PAGE_MAX_BYTES",
    "RECORD_MAX_BYTES",
    "STREAMS_MAX",
    "AppendTooLarge",
    "CannotOpen",
    "CursorUnknown",
    "Durability",
    "Journal",
    "JournalBusy",
    "JournalError",
    "JournalFailed",
    "JournalInUse",
    "JournalUnreadable",
    "MemoryJournal",
    "NewRecord",
    "NotAJournal",
    "ReadableJournal",
    "Record",
    "SqliteJournal",
    "Stream",
    "WrongExpectedSeq",
    "chain_hash",
    "chain_link",
    "envelope",
    "expected_hash",
    "open_journal",
    "open_journal_readonly",
)
