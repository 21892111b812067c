"""The words of reasons: what led to an event, in one sentence or a few."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from stenograph.engine.audit.candidates import Candidate
from stenograph.engine.core.events import ErrorInfo, Event, SignalReceived, TransitionTaken
from stenograph.engine.core.scopes import ROOT
from stenograph.engine.state.patch import target
from stenograph.engine.values import clean

VALUE_MAX: Final = 200
MESSAGE_MAX: Final = 1000
NAMES_MAX: Final = 10


class Known(Struct, frozen=True):
    """An event as sentences speak of it: its run is named when it is another."""

    type: str
    data: Any
    named: str


def sentences(
    event: Event,
    causes: Sequence[Event],
    edges: Sequence[Candidate],
    failures: Sequence[Event],
) -> Iterator[str]:
    """Yield why an event happened."""
    yield _TOLD[event.type](event.data, [_known(each, event) for each in causes])
    for edge in edges:
        yield _edge(edge)
    if len(failures) > 1:
        yield f"it began with {_event(_known(failures[-1], event))}"


def error_words(error: ErrorInfo) -> str:
    """Tell an error in a line."""
    return one_line(": ".join(part for part in (error.type, error.message) if part))


def one_line(text: str, most: int = MESSAGE_MAX) -> str:
    """Return a text as one line that cannot steer a terminal, cut at ``most`` characters."""
    text = clean(" ".join(text[: most + 1].split()), most + 1)
    letters = (each if each.isprintable() else ascii(each)[1:-1] for each in text)
    return "".join(letters) if len(text) <= most else "".join(letters)[:most] + "…"


def value_words(value: Any, most: int = VALUE_MAX) -> str:
    """Tell a JSON value in a line."""
    return one_line(msgspec.json.encode(value).decode(), most)


def names_words(names: Sequence[str]) -> str:
    """Tell names in a line, the first of them."""
    more = f" and {len(names) - NAMES_MAX:,} more" if len(names) > NAMES_MAX else ""
    return ", ".join(one_line(each, 40) for each in names[:NAMES_MAX]) + more


def place_words(data: Any) -> str:
    """Tell where something happened: ``review``, or ``lint in /check#1[0]/``; a later visit so."""
    node, scope = getattr(data, "node", ""), getattr(data, "scope", "")
    visit = getattr(data, "visit", 0)
    number = f", visit {visit}" if visit > 1 else ""
    within = f" in {one_line(scope)}" if scope not in ("", ROOT) else ""
    return f"{one_line(node)}{number}{within}" if node else one_line(scope)


def _at(data: Any) -> str:
    place = place_words(data)
    return f" of {place}" if place not in ("", ROOT) else ""


def _known(event: Event, told: Event) -> Known:
    other = "" if event.run_id == told.run_id else f" of run {one_line(event.run_id)}"
    return Known(event.type, event.data, f"event {event.seq}{other}")


def _event(event: Known) -> str:
    """Tell of an event in a few words: its type, where it happened, and its seq."""
    return f"{event.type}{_at(event.data)} ({event.named})"


def _after(causes: Sequence[Known]) -> str:
    """Tell what an event follows from."""
    return ", and ".join(_event(each) for each in causes[:3]) or "nothing in the run"


def _asked(data: Any, what: str) -> str:
    why = f": {one_line(data.reason)}" if getattr(data, "reason", "") else ""
    return f"{one_line(data.actor)} {what}{why}"


def _created(data: Any, causes: Sequence[Known]) -> str:
    if data.origin is not None:
        told = f"{one_line(data.actor)} forked run {one_line(data.origin.run_id)}"
        unknown = "" if causes else ", which is not here"
        return f"{told} after its event {data.origin.seq}{unknown}; everything goes on from there"
    started = f"{one_line(data.actor)} started graph {data.graph_id}@{data.version[:8]}"
    return f"{started}; everything in the run follows from this"


def _entered(data: Any, causes: Sequence[Known]) -> str:
    before = causes[0]
    if before.type == "node.attempt_failed":
        return f"{place_words(data)} was tried again (try {data.attempt}) after {_after(causes)}"
    if isinstance(before.data, TransitionTaken):
        way = f"{one_line(before.data.node)} went there ({before.data.reason})"
        rest = f", and {_after(causes[1:])}" if causes[1:] else ""
        return f"{place_words(data)} was entered because {way} by {before.named}{rest}"
    if before.type == "run.created":
        return f"{place_words(data)} was entered because the graph starts there"
    number = f" (try {data.attempt})" if data.attempt > 1 else ""
    return f"{place_words(data)} was entered{number} after {_after(causes)}"


def _attempt_failed(data: Any, causes: Sequence[Known]) -> str:
    again = f"; it is tried again at {data.retry_at}" if data.retry_at else ""
    return f"try {data.attempt} of {place_words(data)} failed: {error_words(data.error)}{again}"


def _exited(data: Any, causes: Sequence[Known]) -> str:
    if data.error is None:
        return f"{place_words(data)} did what it is for, after {_after(causes)}"
    how = "ran out of time" if data.outcome == "timeout" else "failed"
    return f"{place_words(data)} {how}: {error_words(data.error)}"


def _patched(data: Any, causes: Sequence[Known]) -> str:
    keys = list(dict.fromkeys(target(op)[0] for op in data.patch))
    if causes[0].type == "fork.joined":
        how = "the branches of its fork were brought together"
    else:
        how = f"try {data.attempt} of it changed that"
    return f"{names_words(keys)} changed at {place_words(data)}: {how} ({causes[0].named})"


def _transition(data: Any, causes: Sequence[Known]) -> str:
    to = f"{names_words(data.fork)}, to join at {data.to}" if data.fork else one_line(data.to)
    why = {
        "next": "its next edge has no condition",
        "goto": "the tool said so",
        "loop-done": "its loop is done",
        "loop-cap": "its loop came to its cap",
        "no-edge-matched": "no edge was eligible",
        "error": "it failed, and an edge catches that",
        "timeout": "it ran out of time, and an edge catches that",
    }.get(data.reason, "it is the first edge that was eligible")
    label = f" “{one_line(data.label)}”" if data.label else ""
    return f"{place_words(data)} went to {to}{label}: {why}"


def _edge(edge: Candidate) -> str:
    """Tell of an edge why it was taken, or was not."""
    read = ", ".join(f"{one_line(k)} = {value_words(v)}" for k, v in edge.read.items())
    asked, word = (edge.when, "") if edge.when is not None else (edge.until, "until ")
    spelled = asked if isinstance(asked, str) else value_words(asked)
    condition = f"{word}{one_line(spelled)}" if asked is not None else "no condition"
    seen = f" ({read})" if read else ""
    cap = f", {(edge.taken or 0) + 1} of {edge.max}" if edge.max is not None else ""
    told = {
        "taken": f"was taken: {condition}{seen}{cap}",
        "false": f"was not taken: {one_line(spelled)} was {'true' if word else 'false'}{seen}",
        "capped": f"was not taken: it had been {edge.taken} times, its most",
        "outcome": f"was not taken: it is for {edge.on}",
        "later": "was not looked at: one before it was taken",
        "overridden": "was not looked at: the tool said where to go",
    }[edge.verdict]
    return f"edge {edge.edge} to {names_words(edge.to)} {told}"


def _fork_opened(data: Any, causes: Sequence[Known]) -> str:
    over = f" over {one_line(data.each)}" if data.each else ""
    what = f"{data.count:,} branches{over}, {data.need:,} to arrive at {one_line(data.join)}"
    return f"{place_words(data)} forked into {what}: its edge says so ({causes[0].named})"


def _branch_ended(data: Any, causes: Sequence[Known]) -> str:
    if data.outcome == "error":
        return f"branch {one_line(data.scope)} failed at {data.node}: {error_words(data.error)}"
    if data.outcome == "cancelled":
        who = _event(causes[0])
        return f"branch {one_line(data.scope)} was stopped: its fork was decided by {who}"
    return f"branch {one_line(data.scope)} arrived ({data.reason}) after {_after(causes)}"


def _joined(data: Any, causes: Sequence[Known]) -> str:
    if data.error is not None:
        return f"the branches of {place_words(data)} do not go together: {error_words(data.error)}"
    parts = {"arrived": data.arrived, "failed": data.failed, "stopped": data.cancelled}
    told = ", ".join(f"{number:,} {word}" for word, number in parts.items() if number)
    who = f"; {_event(causes[0])} decided it" if causes[0].type == "branch.ended" else ""
    return f"all that the fork of {place_words(data)} waited for is there ({told or 'none'}){who}"


def _wait_opened(data: Any, causes: Sequence[Known]) -> str:
    what = {
        "signal": f"signal {one_line(data.signal or '')}",
        "time": "a time",
        "delay": "the time of its start",
        "turn": "its turn, as the graph allows no more runs now",
    }[data.kind]
    return f"{place_words(data)} waits for {what}, after {_after(causes)}"


def _wait_resolved(data: Any, causes: Sequence[Known]) -> str:
    for cause in causes:
        if isinstance(cause.data, SignalReceived):
            who = f"{one_line(cause.data.actor)} gave {one_line(cause.data.name)}"
            return f"{place_words(data)} goes on: {who} ({cause.named})"
    why = {
        "signal": "the signal came before the fork",
        "time": "its time came",
        "timeout": "no signal came in time",
        "turn": "its turn came",
    }
    return f"{place_words(data)} goes on: {why[data.reason]}, after {_after(causes)}"


def _signal(data: Any, causes: Sequence[Known]) -> str:
    saw = f", having seen event {data.saw}" if data.saw is not None else ""
    asked = causes[0].type == "wait.opened"
    for_ = f"for {_event(causes[0])}" if asked else "before anything waited for it"
    return f"{one_line(data.actor)} gave signal {one_line(data.name)}{saw}, {for_}"


def _timer_set(data: Any, causes: Sequence[Known]) -> str:
    return f"{place_words(data)} is to be told at {data.due_at}, as {_after(causes)} asks"


def _timer_fired(data: Any, causes: Sequence[Known]) -> str:
    return f"the time {data.due_at} came, for which {_after(causes)} had asked"


def _log(data: Any, causes: Sequence[Known]) -> str:
    said = one_line(data.message, VALUE_MAX)
    return f"the tool of {place_words(data)} said “{said}” in try {data.attempt}"


def _let_on(data: Any, causes: Sequence[Known]) -> str:
    limits = "" if data.limits is None else f", up to {data.limits.steps:,} steps"
    return f"{one_line(data.actor)} let the run go on after {_after(causes)}{limits}"


def _migrated(data: Any, causes: Sequence[Known]) -> str:
    return f"{one_line(data.actor)} had the run go on in {data.graph_id}@{data.version[:8]}"


def _parked(data: Any, causes: Sequence[Known]) -> str:
    return f"the engine needs a person ({data.reason}): {one_line(data.message)}"


def _recovered(data: Any, causes: Sequence[Known]) -> str:
    return f"the engine started anew and took the run up; {data.lost:,} attempts were cut off"


def _limit(data: Any, causes: Sequence[Known]) -> str:
    return f"the run came to its limit, {data.value:,} {data.limit}, set by {_after(causes)}"


def _completed(data: Any, causes: Sequence[Known]) -> str:
    return f"the run came to its end ({data.reason}) after {_after(causes)}"


def _failed(data: Any, causes: Sequence[Known]) -> str:
    where = place_words(data)
    return f"the run failed{f' at {where}' if where else ''}: {error_words(data.error)}"


_TOLD: Final[dict[str, Callable[[Any, Sequence[Known]], str]]] = {
    "run.created": _created,
    "run.pausing": lambda data, causes: _asked(data, "asked the run to pause"),
    "run.paused": lambda data, causes: f"nothing is under way any more, after {_after(causes)}",
    "run.resumed": _let_on,
    "run.retried": _let_on,
    "run.migrated": _migrated,
    "run.parked": _parked,
    "run.recovered": _recovered,
    "run.cancelling": lambda data, causes: _asked(data, "asked the run to stop"),
    "run.cancelled": lambda data, causes: f"the run has stopped, after {_after(causes)}",
    "run.completed": _completed,
    "run.failed": _failed,
    "limit.reached": _limit,
    "node.entered": _entered,
    "node.attempt_failed": _attempt_failed,
    "node.exited": _exited,
    "state.patched": _patched,
    "transition.taken": _transition,
    "fork.opened": _fork_opened,
    "branch.ended": _branch_ended,
    "fork.joined": _joined,
    "wait.opened": _wait_opened,
    "wait.resolved": _wait_resolved,
    "signal.received": _signal,
    "timer.set": _timer_set,
    "timer.fired": _timer_fired,
    "log": _log,
}
"""What each type of event says of its reason. Those of graphs have no place in a run."""
