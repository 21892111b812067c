"""The words of a diff: one sentence for all of it, and a text for people."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET

from stenograph.engine.audit.reason_words import error_words, names_words, one_line, value_words

if TYPE_CHECKING:
    from stenograph.engine.audit.changes import Change
    from stenograph.engine.audit.diff import DiffSide, Parting, RunDiff
    from stenograph.engine.audit.diff_visits import VisitDiff, VisitSide
    from stenograph.engine.audit.reasons import Reason

LINES_MAX: Final = 50
"""So many visits, and so many changes, of a text; the rest are counted."""
VALUE_MAX: Final = 60


def summary_of(diff: RunDiff) -> str:
    """Tell in a sentence how two runs differ."""
    if diff.same:
        return "the same in path, outcome and state"
    left, right = diff.left, diff.right
    parts = []
    if diff.parted is not None:
        parts.append(f"their paths part at {_where(diff.parted)}")
    elif diff.first is not None:
        parts.append(f"the same path, and the first difference at {_where(diff.first)}")
    if (number := len(diff.changes) + diff.changes_more) > 0:
        what = (
            "1 value of the state differs"
            if number == 1
            else f"{number:,} values of the state differ"
        )
        parts.append(what)
    if left.status != right.status:
        parts.append(f"left {left.status}, right {right.status}")
    return "; ".join(parts) or "they ended otherwise"


def lines_of(diff: RunDiff) -> Iterator[str]:
    """Yield a diff as text: both sides, where they part and why, visits, changes."""
    for name, side in (("left ", diff.left), ("right", diff.right)):
        yield f"{name}  {_side(side)}"
    yield diff.summary
    if diff.same:
        return
    if diff.common:
        is_one = diff.left.run_id == diff.right.run_id == diff.common_run
        of = "" if is_one else f" of run {one_line(diff.common_run)}"
        yield f"the very same events up to {diff.common}{of}"
    for what, parting in _partings(diff):
        yield ""
        yield f"{what} at {_where(parting)}:"
        sides = (("left ", diff.left, parting.left), ("right", diff.right, parting.right))
        for name, side, reason in sides:
            yield from _reason(name, side.run_id, reason)
    yield from _visits(diff)
    if diff.changes:
        yield ""
        yield "changes of the state, left → right:"
        yield from map(_change, diff.changes[:LINES_MAX])
        yield from _more(len(diff.changes) + diff.changes_more - LINES_MAX)


def _partings(diff: RunDiff) -> Iterator[tuple[str, Parting]]:
    if diff.first is not None and diff.first != diff.parted:
        yield "first difference", diff.first
    if diff.parted is not None:
        yield "their paths part", diff.parted


def _side(side: DiffSide) -> str:
    ended = f", {side.reason}" if side.reason not in ("", "end") else ""
    error = f": {error_words(side.error)}" if side.error is not None else ""
    what = f"{side.run_id}@{side.seq}  {side.graph_id}@{side.version[:8]}  {side.status}"
    return f"{what}{one_line(ended)}{error} ({_steps(side.steps)}, {_time(side.busy_ms)})"


def _where(parting: Parting) -> str:
    if parting.what == "start":
        return f"their start ({names_words(parting.keys) if parting.keys else 'another graph'})"
    return _place(parting)


def _place(what: Any) -> str:
    return f"{one_line(what.scope)}{one_line(what.node)}#{what.visit}"


def _reason(name: str, run_id: str, reason: Reason | None) -> Iterator[str]:
    if reason is None:
        yield f"  {name}  never came there"
        return
    first, *rest = reason.says
    # What a fork took over has the numbers of another run.
    of = "" if reason.run_id == run_id else f" of run {one_line(reason.run_id)}"
    yield f"  {name}  {reason.seq}{of}  {first}"
    for each in rest:
        yield f"           {each}"


def _visits(diff: RunDiff) -> Iterator[str]:
    both = [each for each in diff.visits if each.left and each.right]
    alike = sum(not each.differs for each in both) + diff.visits_more
    alone = len(diff.visits) - len(both)
    yield ""
    yield f"visits: {alike:,} alike, {len(both) + diff.visits_more - alike:,} differ, {alone:,} alone"
    differing = [each for each in diff.visits if each.differs]
    yield from map(_visit, differing[:LINES_MAX])
    yield from _more(len(differing) - LINES_MAX)


def _visit(pair: VisitDiff) -> str:
    told = f"left {_visit_side(pair.left)}, right {_visit_side(pair.right)}"
    return f"  {_place(pair)}: {told} [{', '.join(pair.differs)}]"


def _visit_side(side: VisitSide | None) -> str:
    if side is None:
        return "never"
    to = f" → {one_line(', '.join(islice(side.fork, 5)) or side.to)}" if side.to else ""
    took = "" if side.duration_ms is None else f" ({_time(side.duration_ms)})"
    return f"{side.outcome}{to}{took}"


def _change(change: Change) -> str:
    old, new = _value(change.old), _value(change.new)
    return f"  {one_line(change.path or '/')}: {old} → {new}"


def _value(value: Any) -> str:
    return "∅" if value is UNSET else value_words(value, VALUE_MAX)


def _more(number: int) -> Iterator[str]:
    if number > 0:
        yield f"  … {number:,} more"


def _steps(number: int) -> str:
    return f"{number:,} {'step' if number == 1 else 'steps'}"


def _time(ms: float) -> str:
    return f"{ms / 1000:,.2f} s" if ms >= 1000 else f"{ms:,.0f} ms"
