"""The journal: an append-only log of records, knowing nothing of graphs or HTTP."""

from stenograph.journal.apart import AT_ONCE_BYTES, are_few
from stenograph.journal.apart import apart as run_apart
from stenograph.journal.apart import at_length as run_at_length
from stenograph.journal.apart import briefly as run_briefly
from stenograph.journal.backup import back_up
from stenograph.journal.erasure import expected_hash, is_erased
from stenograph.journal.errors import (
    AppendTooLarge,
    CannotBackUp,
    CannotOpen,
    CannotSign,
    CheckpointRefused,
    CursorUnknown,
    DamagedFile,
    JournalBusy,
    JournalError,
    JournalFailed,
    JournalFull,
    JournalInUse,
    JournalUnreadable,
    NotAJournal,
    WrongExpectedSeq,
)
from stenograph.journal.files import Durability
from stenograph.journal.inspection import inspect_file
from stenograph.journal.keys import PublicKey, SigningKey, new_key, read_key, read_public_key
from stenograph.journal.limits import LABEL_MAX_BYTES, LABELS_MAX
from stenograph.journal.memory import MemoryJournal
from stenograph.journal.protocol import (
    ADOPT_MAX_BYTES,
    ADOPT_MAX_RECORDS,
    APPEND_MAX_BYTES,
    APPEND_MAX_RECORDS,
    PAGE_MAX,
    PAGE_MAX_BYTES,
    RECORD_MAX_BYTES,
    SNAPSHOT_MAX_BYTES,
    STREAMS_MAX,
    VERIFY_MAX,
    Journal,
    Snapshot,
    Stream,
)
from stenograph.journal.querying import (
    ROWS,
    ROWS_MAX,
    TIME_MAX_S,
    TIME_S,
    QueryRefused,
    Table,
    query,
)
from stenograph.journal.reading import ReadableJournal
from stenograph.journal.readonly import open_journal_readonly
from stenograph.journal.record import (
    GENESIS,
    Envelope,
    NewRecord,
    Record,
    chain_hash,
    chain_link,
    envelope,
    envelopes,
)
from stenograph.journal.signed import Checkpoint, Witness, make_checkpoint, read_lines
from stenograph.journal.sqlite import SqliteJournal, open_journal
from stenograph.journal.stats import Histogram, Stats
from stenograph.journal.stored import open_stored
from stenograph.journal.verifying import Finding, Verdict

__all__ = (
    "ADOPT_MAX_BYTES",
    "ADOPT_MAX_RECORDS",
    "APPEND_MAX_BYTES",
    "APPEND_MAX_RECORDS",
    "AT_ONCE_BYTES",
    "GENESIS",
    "LABELS_MAX",
    "LABEL_MAX_BYTES",
    "PAGE_MAX",
    "PAGE_MAX_BYTES",
    "RECORD_MAX_BYTES",
    "ROWS",
    "ROWS_MAX",
    "SNAPSHOT_MAX_BYTES",
    "STREAMS_MAX",
    "TIME_MAX_S",
    "TIME_S",
    "VERIFY_MAX",
    "AppendTooLarge",
    "CannotBackUp",
    "CannotOpen",
    "CannotSign",
    "Checkpoint",
    "CheckpointRefused",
    "CursorUnknown",
    "DamagedFile",
    "Durability",
    "Envelope",
    "Finding",
    "Histogram",
    "Journal",
    "JournalBusy",
    "JournalError",
    "JournalFailed",
    "JournalFull",
    "JournalInUse",
    "JournalUnreadable",
    "MemoryJournal",
    "NewRecord",
    "NotAJournal",
    "PublicKey",
    "QueryRefused",
    "ReadableJournal",
    "Record",
    "SigningKey",
    "Snapshot",
    "SqliteJournal",
    "Stats",
    "Stream",
    "Table",
    "Verdict",
    "Witness",
    "WrongExpectedSeq",
    "are_few",
    "back_up",
    "chain_hash",
    "chain_link",
    "envelope",
    "envelopes",
    "expected_hash",
    "inspect_file",
    "is_erased",
    "make_checkpoint",
    "new_key",
    "open_journal",
    "open_journal_readonly",
    "open_stored",
    "query",
    "read_key",
    "read_lines",
    "read_public_key",
    "run_apart",
    "run_at_length",
    "run_briefly",
)
