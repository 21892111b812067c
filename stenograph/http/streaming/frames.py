"""What a socket sends: messages laid around the stored bytes, built once for all who follow."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

import msgspec
from msgspec import UNSET, Raw

from stenograph.engine import Filter, RunView, StatePatched, WaitView, decode
from stenograph.http.shapes.messages import CursorMessage, ErrorMessage, StatusMessage
from stenograph.http.shapes.wire import Problem
from stenograph.http.streaming.sifting import Part, Sieve
from stenograph.journal import Record, envelope, envelopes, is_erased

CACHE_MAX_CHARS: Final = 16 * 1024 * 1024
BATCH_MAX_BYTES: Final = 256 * 1024
"""About how large a frame of many events gets; an event is never split."""


Key: TypeAlias = tuple[int, int, int, bool, bool, Filter]


class Frames:
    """Messages for parts of a stream; the last ones are kept, since many follow the same run."""

    def __init__(self, cache_max_chars: int = CACHE_MAX_CHARS) -> None:
        self.cache_max_chars = cache_max_chars
        self.cached_chars = 0
        self._cache: OrderedDict[Key, Sequence[str]] = OrderedDict()

    def of(self, part: Part, sieve: Sieve, *, batch: bool, journal: str) -> Sequence[str]:
        """Return the messages for a part: one an event, or (``batch``) as few as may be.

        One without an event tells its cursor alone.
        """
        if not part.records:
            return [cursor_message(part.after, journal, whole=sieve.whole)]
        first, last = part.records[0].offset, part.records[-1].offset
        key = (first, last, part.after, batch, sieve.whole, sieve.wanted)
        known = self._cache.get(key)
        if known is None:
            messages = _batches(part, sieve, journal) if batch else map(log_message, part.records)
            known = [message.decode() for message in messages]
            self._keep(key, known)
        else:
            self._cache.move_to_end(key)
        return known

    def forget(self) -> None:
        """Let go of all messages: one may hold what was erased."""
        self._cache.clear()
        self.cached_chars = 0

    def _keep(self, key: Key, messages: Sequence[str]) -> None:
        self._cache[key] = messages
        self.cached_chars += sum(map(len, messages))
        while self.cached_chars > self.cache_max_chars:
            _, dropped = self._cache.popitem(last=False)
            self.cached_chars -= sum(map(len, dropped))


def log_message(record: Record) -> bytes:
    """Return the message for one event; ``node`` and ``result`` beside a change of the state."""
    beside = b""
    if record.type == StatePatched.TYPE and not is_erased(record):
        patched = decode(record).data
        assert isinstance(patched, StatePatched)
        node, result = msgspec.json.encode(patched.node), msgspec.json.encode(_result(patched))
        beside = b',"node":%b,"result":%b' % (node, result)
    return b'{"type":"log","log":%b%b}' % (envelope(record), beside)


def _result(patched: StatePatched) -> dict[str, Raw | list[Raw] | None]:
    """Return what changed, by key: the new value, the items added to a list, or null if removed."""
    result: dict[str, Raw | list[Raw] | None] = {}
    for op in patched.patch:
        key, _, tail = op.path[1:].partition("/")
        key = key.replace("~1", "/").replace("~0", "~")
        value = None if op.value is UNSET else op.value
        if tail and value is not None:
            added = result.setdefault(key, [])
            assert isinstance(added, list), "a list either grows or is replaced"
            added.append(value)
        else:
            result[key] = value
    return result


def _batches(part: Part, sieve: Sieve, journal: str) -> Iterator[bytes]:
    place = b"offset" if sieve.whole else b"seq"
    for records in _parts(part.records):
        # The last message tells how far was looked, and not only what was found.
        is_last = records[-1] is part.records[-1]
        yield b'{"type":"logs","logs":%b,"%b":%d,"journal":"%b"}' % (
            envelopes(records),
            place,
            part.after if is_last else sieve.place(records[-1]),
            journal.encode(),
        )


def _parts(page: Sequence[Record]) -> Iterator[Sequence[Record]]:
    if sum([len(record.data) for record in page]) <= BATCH_MAX_BYTES:  # as it mostly is
        yield page
        return
    part: list[Record] = []
    size = 0
    for record in page:
        if part and size + len(record.data) > BATCH_MAX_BYTES:
            yield part
            part, size = [], 0
        part.append(record)
        size += len(record.data)
    yield part


def cursor_message(after: int, journal: str, *, whole: bool) -> str:
    """Return the message that tells how far a filtered stream has come."""
    place = {"offset" if whole else "seq": after}
    return msgspec.json.encode(CursorMessage(**place, journal=journal)).decode()


def status_message(run: RunView, journal: str, *, sent: int) -> str:
    """Return the message that tells what a run is now, after its events up to ``sent``."""
    message = StatusMessage(
        status=run.status,
        done=run.done,
        seq=sent,
        run_id=run.id,
        graph_id=run.graph_id,
        journal=journal,
        message=sentence(run),
        error=run.error,
    )
    return msgspec.json.encode(message).decode()


def error_message(problem: Problem) -> str:
    """Return the message that tells why a socket is about to be closed."""
    return msgspec.json.encode(ErrorMessage(problem=problem)).decode()


def sentence(run: RunView) -> str:
    """Return what a run is now, for people."""
    match run.status:
        case "failed" if run.error is not None:
            where = f" in {run.error.node}" if run.error.node else ""
            return f"the run failed{where}: {run.error.type}: {run.error.message}"
        case "completed":
            steps = "1 step" if run.steps == 1 else f"{run.steps:,} steps"
            return f"the run completed after {steps} ({run.reason or 'end'})"
        case "cancelled":
            return f"the run was cancelled{f': {run.reason}' if run.reason else ''}"
        case "waiting" if run.waits:
            more = f", and {len(run.waits) - 1} more" if len(run.waits) > 1 else ""
            return f"the run waits in {run.waits[0].node} for {_awaited(run.waits[0])}{more}"
        case _:
            where = f" in {', '.join(run.current)}" if run.current else ""
            why = f": {run.reason}" if run.reason else ""
            return f"the run is {run.status}{where}{why}"


def _awaited(wait: WaitView) -> str:
    """Return what a scope waits for, for people."""
    until = f" until {wait.due_at}" if wait.due_at else ""
    match wait.kind:
        case "signal":
            return f"the signal {wait.signal!r}{until}"
        case "turn":
            return "its turn"
        case _:
            return str(wait.due_at)
