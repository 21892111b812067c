"""The words of reruns and checks: what was answered, what was run anew and why, what differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from stenograph.cli.places import place
from stenograph.cli.text import count, short

if TYPE_CHECKING:
    from stenograph.engine import CheckDifference, CheckOutcome, CheckReport, RerunReport

LINES_MAX: Final = 20
"""So many visits that were run anew, and so many differences; the rest are counted."""
WHY: Final[Mapping[str, str]] = {
    "new": "not in the recording",
    "cut-off": "did not end in the recording",
    "named": "the tool was named",
    "tool": "another tool",
    "version": "another version of the tool",
    "config": "another config",
    "timeout": "another time limit",
    "retry": "failed, and is tried again by other rules",
    "state": "another state",
    "rules": "its keys are declared otherwise",
    "secret": "the recording has no secrets",
}
SKIPPED: Final[Mapping[str, str]] = {
    "once": "with effects: once",
    "no-tool": "whose tool is not here",
    "secret": "of a graph with secrets",
    "not-named": "of tools that were not named",
    "no-outcome": "that did not end",
    "no-time": "because the time was up: give more with --time-s",
}


def rerun_lines(report: RerunReport) -> Iterator[str]:
    """Yield the report of a rerun as text."""
    from stenograph.engine import lines_of

    yield f"run {report.run_id}  rerun of {report.rerun_of}@{report.rerun_of_seq}  {report.status}"
    yield f"{count(report.reused, 'attempt')} answered from the recording, {report.executed:,} run anew"
    anew = [each for each in report.visits if each.why is not None]
    for each in anew[:LINES_MAX]:
        at = f"{place({'scope': each.scope, 'node': each.node})}#{each.visit}"
        yield f"  {each.seq}  {at}  {each.tool}: {WHY[str(each.why)]}"
    if report.executed > LINES_MAX:
        yield f"  … {report.executed - LINES_MAX:,} more"
    if not report.done and report.first is None:
        yield "so far the same in path, outcome and state"
        return
    yield ""
    yield from lines_of(report.diff)


def check_lines(report: CheckReport) -> Iterator[str]:
    """Yield the report of a check as text."""
    number = len(report.differences) + report.differences_more
    found = f", {number:,} otherwise" if number else ", all as recorded" if report.checked else ""
    yield f"run {report.run_id}@{report.seq}  {count(report.checked, 'attempt')} checked{found}"
    for why, times in report.skipped.items():
        yield f"  {times:,} left out {SKIPPED[why]}"
    for each in report.differences[:LINES_MAX]:
        yield ""
        yield from _difference(each)
    if number > LINES_MAX:
        yield f"  … {number - LINES_MAX:,} more"


def _difference(each: CheckDifference) -> Iterator[str]:
    at = f"{place({'scope': each.scope, 'node': each.node})}#{each.visit}"
    version = "the same version" if each.version == each.recorded_version else "another version"
    yield f"{each.seq}  {at}  {each.tool}, {version}"
    then, now = _outcome(each.recorded), _outcome(each.found)
    if then != now:
        yield f"  was {then}, is {now}"
    for change in each.changes[:LINES_MAX]:
        yield f"  {change.path or '/'}: {_value(change.old)} → {_value(change.new)}"
    if len(each.changes) > LINES_MAX:
        yield f"  … {len(each.changes) - LINES_MAX:,} more"


def _outcome(outcome: CheckOutcome) -> str:
    goto = f", goto {outcome.goto}" if outcome.goto is not None else ""
    error = outcome.error
    return f"{outcome.outcome}{goto}" if error is None else f"{error.type}: {error.message}"


def _value(value: Any) -> str:
    from msgspec import UNSET

    return "∅" if value is UNSET else short(value)
