"""The words of a test that fails: where a played run goes another way than the recorded one, and why."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from msgspec import UNSET

from stenograph.engine.audit.changes import changes
from stenograph.engine.audit.reason_words import error_words, one_line, value_words
from stenograph.engine.audit.reasons import why
from stenograph.engine.audit.trails import Trails
from stenograph.engine.playing.playing import Played
from stenograph.engine.playing.scripts import RecordedRun

CHANGES_MAX: Final = 20
"""So many differences of a state are told; the rest are counted."""


def differences(recorded: RecordedRun, played: Played) -> str:
    """Return how what was played differs from what was recorded, for a person; empty: it does not.

    The first step that is another, and why it was taken; or else what is other in the last state.
    """
    expected, found = list(recorded.path), played.path
    same = next(
        (at for at, pair in enumerate(zip(expected, found, strict=False)) if pair[0] != pair[1]),
        min(len(expected), len(found)),
    )
    if same < max(len(expected), len(found)):
        return "\n".join(_parting(expected, played, same))
    told = changes(dict(recorded.final), played.run.state.to_values())
    lines = [
        f"  {one_line(each.path or '/')}: recorded {_value(each.old)}, now {_value(each.new)}"
        for each in islice(told, CHANGES_MAX)
    ]
    if not lines:
        return ""
    more = sum(1 for _ in told)
    lines += [f"  and {more:,} more"] if more else []
    return "\n".join(["the path is as recorded, but the last state is another:", *lines])


def _parting(expected: list[str], played: Played, at: int) -> Iterator[str]:
    found = played.path
    yield f"the run goes another way from step {at + 1} of {len(expected)} on:"
    if at:
        yield f"  before:   {expected[at - 1]}"
    yield f"  recorded: {expected[at] if at < len(expected) else 'nothing more'}"
    yield f"  now:      {found[at] if at < len(found) else 'nothing more'}"
    if at < len(played.lines):
        event = played.lines[at].event
        trails = Trails()
        for each in played.events[: event.seq - 1]:
            trails.note(each)
        for number, says in enumerate(why(trails, event).says):
            yield f"  {'because:  ' if not number else '          '}{says}"
    if (error := played.run.error) is not None:
        yield f"  the run failed: {error_words(error)}"
    if played.left_over:
        yield f"  {played.left_over}"


def _value(value: Any) -> str:
    return "nothing" if value is UNSET else value_words(value, 120)
