"""What a socket sends: messages laid around the stored bytes, built once for all who follow."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
from msgspec import UNSET, Raw

from stenograph.engine import RunView, StatePatched, WaitView, decode
from stenograph.http.wire import ErrorMessage, Problem, StatusMessage
from stenograph.journal import Record, envelope

CACHE_MAX_CHARS: Final = 16 * 1024 * 1024
BATCH_MAX_BYTES: Final = 256 * 1024
"""About how large a frame of many events gets; an event is never split."""


class Frames:
    """Messages for pages of records; the last ones are kept, since many follow the same run.

    ``whole`` tells pages of the whole journal from pages of a run.
    """

    def __init__(self, cache_max_chars: int = CACHE_MAX_CHARS) -> None:
        self.cache_max_chars = cache_max_chars
        self.cached_chars = 0
        self._cache: OrderedDict[tuple[int, int, bool, bool], Sequence[str]] = OrderedDict()

    def of(
        self, page: Sequence[Record], *, batch: bool, whole: bool, journal: str
    ) -> Sequence[str]:
        """Return the messages for a page: one an event, or (``batch``) as few as may be."""
        key = (page[0].offset, page[-1].offset, batch, whole)
        known = self._cache.get(key)
        if known is None:
            messages = _batches(page, whole, journal) if batch else map(log_message, page)
            known = [message.decode() for message in messages]
            self._keep(key, known)
        else:
            self._cache.move_to_end(key)
        return known

    def _keep(self, key: tuple[int, int, bool, bool], messages: Sequence[str]) -> None:
        self._cache[key] = messages
        self.cached_chars += sum(map(len, messages))
        while self.cached_chars > self.cache_max_chars:
            _, dropped = self._cache.popitem(last=False)
            self.cached_chars -= sum(map(len, dropped))


def log_message(record: Record) -> bytes:
    """Return the message for one event; ``node`` and ``result`` beside a change of the state."""
    beside = b""
    if record.type == StatePatched.TYPE:
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


def _batches(page: Sequence[Record], whole: bool, journal: str) -> Iterator[bytes]:
    place = b"offset" if whole else b"seq"
    for records in _parts(page):
        last = records[-1]
        yield b'{"type":"logs","logs":[%b],"%b":%d,"journal":"%b"}' % (
            b",".join(map(envelope, records)),
            place,
            last.offset if whole else last.seq,
            journal.encode(),
        )


def _parts(page: Sequence[Record]) -> Iterator[list[Record]]:
    part: list[Record] = []
    size = 0
    for record in page:
        if part and size + len(record.data) > BATCH_MAX_BYTES:
            yield part
            part, size = [], 0
        part.append(record)
        size += len(record.data)
    yield part


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
