"""The journal's protocol: what every journal promises, whichever stores it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Final, Protocol

from msgspec import Struct

from stenograph.journal.errors import JournalBusy, JournalError, JournalFailed, JournalFull
from stenograph.journal.record import NewRecord, Record
from stenograph.journal.stats import Stats
from stenograph.journal.verifying import Verdict

APPEND_MAX_RECORDS: Final = 1024
APPEND_MAX_BYTES: Final = 4 * 1024 * 1024
RECORD_MAX_BYTES: Final = 2 * 1024 * 1024
ADOPT_MAX_BYTES: Final = 64 * 1024 * 1024
ADOPT_MAX_RECORDS: Final = 500_000
"""Most that a stream which is adopted may have."""
PAGE_MAX: Final = 1000
"""Most records in a page; a reader asks again for more."""
PAGE_MAX_BYTES: Final = 4 * 1024 * 1024
"""A page ends with the record that reaches this many bytes of data, however few it then holds."""
VERIFY_MAX: Final = 10_000
"""Most records that one call verifies; a reader asks again for more."""
STREAMS_MAX: Final = 1000
"""Most streams in a page of the list."""
SNAPSHOT_MAX_BYTES: Final = 16 * 1024 * 1024
"""A larger snapshot is not kept."""


class Stream(Struct, frozen=True):
    """One stream as a list shows it.

    ``number`` is the stream's place in the order of creation: the cursor of the list.
    ``head`` is its last seq; ``created_at`` and ``updated_at`` the times of its first and last record.
    """

    number: int
    run_id: str
    head: int
    created_at: str
    updated_at: str
    labels: dict[str, str]


class Snapshot(Struct, frozen=True):
    """What somebody made of a stream's records up to ``seq``."""

    seq: int
    data: bytes


class Journal(Protocol):
    """An append-only log of records in streams, each with a gap-free ``seq`` of its own."""

    @property
    def id(self) -> str:
        """The journal's random id, made with it; a cursor belongs to one journal."""

    @property
    def failure(self) -> JournalFailed | None:
        """Why nothing can be appended any more, or None while all is well."""

    @property
    def stats(self) -> Stats:
        """What has happened in it since it was opened, as plain numbers."""

    @property
    def subscribers(self) -> int:
        """How many follow a stream or the whole journal now."""

    @property
    def lag(self) -> int:
        """How many events the slowest of those who are live is behind; at least, if it is far."""

    @property
    def wal_bytes(self) -> int:
        """How large the write-ahead log is; 0 where there is none."""

    @property
    def obstacle(self) -> JournalBusy | JournalFull | None:
        """Why nothing can be appended for now, or None; it goes away by itself."""

    @property
    def trouble(self) -> JournalError | None:
        """What ails it: a failure, an obstacle, or damage that a reader has met. None: it is well."""

    async def append(
        self,
        run_id: str,
        records: Sequence[NewRecord],
        *,
        expected_seq: int,
        labels: Mapping[str, str] | None = None,
        secrets: Mapping[str, bytes] | None = None,
        forget_secrets: bool = False,
        erase: bool = False,
    ) -> list[Record]:
        """Write all records or none, if the stream still ends at ``expected_seq`` (0: has none).

        Returns them as committed, once they are durable. ``labels`` are set on the stream in the
        same transaction; those not named stay. Who is cancelled while waiting must read again:
        the append may have happened. ``records`` is not empty.

        ``secrets`` are small values that no record holds, kept beside the stream by name (1 to 300
        characters; a name given again has the later value). With ``forget_secrets`` those that the
        stream had are forgotten, and the new ones then kept: all in the same transaction.

        With ``erase`` all records that the stream had until then are erased in the same transaction:
        the SHA-256 of their data stands in its place, so that the chain still verifies. Its secrets
        go with them, and all labels but those that are given now. What was written over is soon in
        no file any more.

        Raises WrongExpectedSeq, AppendTooLarge, JournalBusy, JournalFull or JournalFailed; then
        nothing was written (after JournalFailed the outcome is known only once the journal is opened anew).
        Raises ValueError for a run id, type or time that is not of the form that readers rely on.
        """

    async def adopt(
        self,
        run_id: str,
        records: Sequence[NewRecord],
        *,
        labels: Mapping[str, str],
        snapshots: Sequence[Snapshot] = (),
        version: int = 0,
    ) -> list[Record]:
        """Write a whole stream that comes from elsewhere, all in one transaction: as ``append`` to none.

        It has the same hashes as there, which bind neither offsets nor journals. At most 64 MiB and
        500,000 records; who else appends waits meanwhile. ``snapshots`` of it, all of one ``version``,
        go with it: see ``keep_snapshot``. Raises as ``append``: WrongExpectedSeq
        when there is a stream of that id.
        """

    async def secrets(self, run_id: str) -> dict[str, bytes]:
        """Return what is kept beside a stream by name, and was not forgotten; see ``append``."""

    def keep_snapshot(self, run_id: str, snapshot: Snapshot, *, version: int) -> None:
        """Keep what was made of a stream's records up to a committed ``seq``: a cache, and no more.

        Returns at once. The snapshot goes with a later commit of anybody's, so that nobody waits for
        it, and is lost when none comes, when the next one for the stream comes first, when it has
        more than 16 MiB, or when the stream was erased. ``version`` says how its data is to be read.
        Raises ValueError for what is no run id.
        """

    async def snapshot(
        self, run_id: str, *, version: int, at: int | None = None
    ) -> Snapshot | None:
        """Return the latest snapshot of that version that is kept of a stream, up to ``at`` if given."""

    async def head(self, run_id: str) -> int:
        """Return the stream's last seq; 0 when it has no record."""

    async def end(self) -> int:
        """Return the journal's last offset; 0 when it has no record."""

    async def read(self, run_id: str, *, after: int = 0, limit: int = PAGE_MAX) -> list[Record]:
        """Return up to ``limit`` records of a stream with ``seq > after``, in order.

        Large records make a page short of ``limit``: only an empty page says that no more follow.
        """

    async def read_all(self, *, after: int = 0, limit: int = PAGE_MAX) -> list[Record]:
        """Return up to ``limit`` records of all streams with ``offset > after``: as ``read``."""

    def tail(self, run_id: str, *, after: int = 0) -> AsyncGenerator[list[Record], None]:
        """Yield every record of a stream with ``seq > after`` once, in order, then wait for more.

        Yields pages as they come, never an empty one, and never ends by itself but when the
        journal is closed. Raises CursorUnknown when ``after`` is beyond the head at the start.
        A slow reader costs one page of memory and delays nobody.
        """

    def tail_all(self, *, after: int = 0) -> AsyncGenerator[list[Record], None]:
        """Yield every record of the journal with ``offset > after``: as ``tail``, by offset."""

    async def verify(
        self, run_id: str | None = None, *, after: int = 0, limit: int = VERIFY_MAX
    ) -> Verdict | None:
        """Hold a run, or the whole journal, against its hashes: as it is stored, and as it lies there.

        Looks at up to ``limit`` records with a ``seq`` (whole journal: ``offset``) over ``after``;
        ``next`` of the verdict tells where to go on. Returns None when there is no such run. What
        concerns a file as a whole, ``inspect_file`` checks, which looks at all of it.
        """

    async def stream(self, run_id: str) -> Stream | None:
        """Return one stream as a list shows it, or None when it has no record."""

    async def count_labels(self, label: str) -> dict[str, int]:
        """Return how many streams carry each value of a label.

        Only the first call looks at them all; from then on they are counted as they change.
        """

    async def streams(
        self, labels: Mapping[str, str], *, before: int | None = None, limit: int = 50
    ) -> list[Stream]:
        """Return the streams that carry all of ``labels``, newest first.

        ``before`` is the number of the last stream of the page before this one.
        """
