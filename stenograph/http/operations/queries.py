"""What queries and headers may say: bounds once, and the small languages of Prefer and ETags."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from itertools import islice
from typing import Annotated, Final, TypeAlias

from litestar.params import HeaderParameter, QueryParameter

from stenograph.engine import Fault, did_you_mean
from stenograph.http.errors import Refused
from stenograph.http.shapes.requests import KEY_HEADER, KEY_PATTERN, KEY_WORDS
from stenograph.http.shapes.wire import WAIT_MAX_S
from stenograph.http.streaming.playback import SPEED_MAX, Playback
from stenograph.journal import Stream

NUMBER_MAX: Final = 2**63 - 1
"""The largest number that a journal can look for."""
GAP_MAX_S: Final = 86_400.0
SCOPE_MAX_CHARS: Final = 1024
FAULTS_MAX: Final = 100
"""Most that is told to be wrong with one query; thousands of names fit into one."""

After: TypeAlias = Annotated[
    int,
    QueryParameter(
        ge=0,
        description="The cursor: the `seq` (whole journal: `offset`) of the last event you hold",
    ),
]
Wait: TypeAlias = Annotated[
    int,
    QueryParameter(
        ge=0, description="Seconds to wait while there is nothing after the cursor; at most 300"
    ),
]
LastEventId: TypeAlias = Annotated[
    str | None,
    HeaderParameter(
        name="Last-Event-ID", description="What a browser sends by itself; wins over `after`"
    ),
]
At: TypeAlias = Annotated[
    int | None,
    QueryParameter(ge=1, description="As it was right after this event"),
]
Limit: TypeAlias = Annotated[
    int,
    QueryParameter(ge=1, description="Most items of the page; at most 1,000"),
]
Cursor: TypeAlias = Annotated[
    int | None,
    QueryParameter(ge=0, description="The `next` of the page before this one"),
]
JournalId: TypeAlias = Annotated[
    str | None,
    QueryParameter(description="The journal that the cursor belongs to; another one is refused"),
]
IfNoneMatch: TypeAlias = Annotated[
    str,
    HeaderParameter(
        name="If-None-Match", description="An `ETag` that you hold: 304 if it still holds"
    ),
]
PreferHeader: TypeAlias = Annotated[
    str,
    HeaderParameter(name="Prefer", description="`wait=S`: answer within S seconds, at most 300"),
]
Key: TypeAlias = Annotated[
    str | None,
    HeaderParameter(
        name=KEY_HEADER,
        description=f"{KEY_WORDS}; the same key and body again begin nothing, and are answered "
        "with the run that they began, and `Idempotency-Replayed: true`",
    ),
]
SignalScope: TypeAlias = Annotated[
    str | None,
    QueryParameter(
        name="scope",
        max_length=SCOPE_MAX_CHARS,
        description="The scope whose wait the signal is for; else whichever asks for it first",
    ),
]
Saw: TypeAlias = Annotated[
    int | None,
    QueryParameter(
        ge=0, le=NUMBER_MAX, description="The last event of the run that you had seen; recorded"
    ),
]
Types: TypeAlias = Annotated[
    list[str] | None,
    QueryParameter(
        name="type",
        description="Only events of this type, or of all that begin so: `node.*`; again for more",
    ),
]
Nodes: TypeAlias = Annotated[
    list[str] | None,
    QueryParameter(name="node", description="Only events about this node; again for more"),
]
Graphs: TypeAlias = Annotated[
    list[str] | None,
    QueryParameter(name="graph", description="Only events in runs of this graph; again for more"),
]
RunTags: TypeAlias = Annotated[
    list[str] | None,
    QueryParameter(
        name="tag",
        description="Only events in runs with this tag, `name:value`; several must all be there",
    ),
]
Speed: TypeAlias = Annotated[
    float,
    QueryParameter(
        ge=0,
        le=SPEED_MAX,
        description="Server-sent events only: so many times as fast as it happened; 0 is at once",
    ),
]
MaxGap: TypeAlias = Annotated[
    float | None,
    QueryParameter(
        ge=0,
        le=GAP_MAX_S,
        description="With `speed`: the longest wait between two events, in seconds",
    ),
]
Accept: TypeAlias = Annotated[str, HeaderParameter(name="Accept", include_in_schema=False)]


class Prefer:
    """The wait that a client prefers (RFC 7240); ``applied`` is None when it says nothing of it."""

    def __init__(self, header: str) -> None:
        self.wait_s: int | None = None
        self.applied: str | None = None
        for name, value in _preferences(header):
            if name == "respond-async":
                self.wait_s, self.applied = 0, "respond-async"
            elif name == "wait" and (match := re.fullmatch(r"0*([0-9]+)", value)):
                self.wait_s = WAIT_MAX_S if len(match[1]) > 9 else min(int(match[1]), WAIT_MAX_S)
                self.applied = f"wait={self.wait_s}"
            else:
                continue  # what is not understood is to be ignored
            return

    @property
    def headers(self) -> dict[str, str]:
        """The header that tells what was applied."""
        return {} if self.applied is None else {"Preference-Applied": self.applied}


def _preferences(header: str) -> Iterable[tuple[str, str]]:
    for each in header.split(","):
        name, _, value = each.partition(";")[0].partition("=")
        yield name.strip().lower(), value.strip().strip('"')


def cursor_of(after: int, last_event_id: str | None) -> int:
    """Return the cursor of a request; raises Refused for an event id that is none of ours."""
    if not last_event_id:
        return after
    if not re.fullmatch("[0-9]{1,19}", last_event_id):
        raise Refused("query-invalid", "Last-Event-ID is a number: that of the last event you hold")
    return int(last_event_id)


def playback_of(speed: str | None, max_gap: str | None) -> Playback:
    """Return the pace that the words of a query ask for; raises Refused."""
    pace = _number("speed", speed or "0", SPEED_MAX)
    return Playback(pace, None if max_gap is None else _number("max_gap", max_gap, GAP_MAX_S))


def _number(name: str, text: str, most: float) -> float:
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text) or float(text) > most:
        detail = f"{name} is a number from 0 to {most:,.0f}"
        raise Refused("query-invalid", detail, [Fault(f"/{name}", detail)])
    return float(text)


def check_names(given: Iterable[str], known: Collection[str]) -> None:
    """Raise Refused for a parameter that there is not: a filter that is misspelt would filter nothing."""
    unknown = (name for name in dict.fromkeys(given) if name not in known)
    faults = [
        Fault(f"/{name}", f"there is no parameter {name[:100]!r} here{did_you_mean(name, known)}")
        for name in islice(unknown, FAULTS_MAX)
    ]
    if faults:
        raise Refused("query-invalid", "; ".join(each.detail for each in faults[:3]), faults)


def check_key(key: str | None) -> None:
    """Raise Refused for what is no idempotency key."""
    if key is not None and not re.fullmatch(KEY_PATTERN, key):
        raise Refused("idempotency-key-invalid", f"{KEY_HEADER} has {KEY_WORDS}")


def etag_matches(header: str, etag: str) -> bool:
    """Tell whether an ``If-None-Match`` names ``etag`` (or anything)."""
    names = [each.strip().removeprefix("W/") for each in header.split(",")]
    return etag in names or "*" in names


def before(cursor: int | None) -> int | None:
    """Return a cursor of a list as a journal takes it: nothing lies beyond its largest number."""
    return None if cursor is None else min(cursor, NUMBER_MAX)


def next_cursor(streams: Sequence[Stream], limit: int) -> str | None:
    """Return the cursor of the page after a full one; a short page is the last."""
    return str(streams[-1].number) if len(streams) == limit else None
