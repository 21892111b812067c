"""Events as rows for people: what each type says, in words and with a mark of its own.

Rows read the wire's JSON and not the engine's classes, so that an event of a later version is
still shown: its type, and what it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec
from msgspec import Struct

from stenograph.cli.marks import Mark
from stenograph.cli.text import count, printable, short, shortened, whole

Data: TypeAlias = dict[str, Any]
Values: TypeAlias = dict[str, Any]
Said: TypeAlias = tuple[Mark, str]

RUN: Final = "run"
"""What stands in the column of nodes when an event is about the run as a whole."""
PATCH_MAX: Final = 56
"""Most characters of a row that tells what changed."""
MESSAGE_MAX: Final = 1000


class Row(Struct, frozen=True):
    """One event: its mark, the node it is about, and what it says."""

    mark: Mark
    node: str
    phrase: str


class Teller:
    """Tells one run's events in order; it keeps the state, to say what a value was before."""

    def __init__(self, state: Mapping[str, Any] | None = None) -> None:
        self.values: Values = dict(state or {})

    def row(self, type_: str, data: bytes) -> Row:
        """Return the row of the next event; every event has one."""
        decoded = msgspec.json.decode(data)
        try:
            mark, phrase = ROWS[type_](decoded, self.values)
            return Row(mark, printable(decoded.get("node", RUN)), printable(phrase))
        except (AttributeError, LookupError, StopIteration, TypeError, ValueError):
            # A later version's type or field, or what is left of an event that was erased.
            return Row("unknown", RUN, printable(f"{type_} {short(decoded, MESSAGE_MAX)}"))


def created(data: Data, values: Values) -> Said:
    """Tell of a run's beginning: its graph, and the keys it was given."""
    values.update(data["state"])
    keys = ", ".join(data["state"]) or "nothing"
    return "begun", f"{data['graph_id']}@{data['version'][:8]} begins with {shortened(keys, 80)}"


def parked(data: Data, values: Values) -> Said:
    """Tell why a run stopped and needs a person."""
    return "waiting", f"parked ({data['reason']}): {sentence(data['message'])}"


def recovered(data: Data, values: Values) -> Said:
    """Tell that the engine took a run up again."""
    lost = data.get("lost", 0)
    again = f"; {count(lost, 'interrupted attempt')} to run again" if lost else ""
    return "again", f"taken up again{again}"


def cancelling(data: Data, values: Values) -> Said:
    """Tell who asked a run to stop, and why."""
    why = f": {sentence(data['reason'])}" if data.get("reason") else ""
    return "waiting", f"cancelling, asked by {data['actor']}{why}"


def cancelled(data: Data, values: Values) -> Said:
    """Tell that a run was stopped."""
    return "cancelled", "cancelled"


def completed(data: Data, values: Values) -> Said:
    """Tell that a run came to its end."""
    reason = data.get("reason", "end")
    return "done", "completed" if reason == "end" else f"completed ({reason})"


def failed(data: Data, values: Values) -> Said:
    """Tell why a run could not go on."""
    error = data["error"]
    where = f" in {error['node']}" if error.get("node") else ""
    return "failed", f"failed{where}: {told_error(error)}"


def limit_reached(data: Data, values: Values) -> Said:
    """Tell which limit stopped a run."""
    return "waiting", f"reached its limit: {data['limit']} {data['value']:,}"


def entered(data: Data, values: Values) -> Said:
    """Tell that an attempt at a node began."""
    visit = f", visit {data['visit']}" if data["visit"] > 1 else ""
    attempt = f", try {data['attempt']}" if data["attempt"] > 1 else ""
    return "running", f"entered{visit}{attempt}"


def attempt_failed(data: Data, values: Values) -> Said:
    """Tell of a try that is not the last."""
    when = data.get("retry_at")
    again = f"; again at {when[11:19]}" if when else ""
    return "again", f"try {data['attempt']} failed: {told_error(data['error'])}{again}"


def exited(data: Data, values: Values) -> Said:
    """Tell how a visit ended."""
    took = f"({data.get('duration_ms', 0.0):,.0f} ms)"
    if data["outcome"] == "ok":
        return "done", f"exited {took}"
    error = f": {told_error(data['error'])}" if data.get("error") else ""
    word = "timed out" if data["outcome"] == "timeout" else "failed"
    return "failed", f"{word} {took}{error}"


def patched(data: Data, values: Values) -> Said:
    """Tell what changed in the state, as far as a line goes; values before mere sizes."""
    changes = [change(op, values) for op in data["patch"]]
    changes.sort(key=lambda each: each.is_size)
    line = changes[0].text
    for number, one in enumerate(changes[1:], 1):
        if len(line) + len(one.text) > PATCH_MAX:
            return "patched", f"{line}, … {len(changes) - number} more"
        line += f", {one.text}"
    return "patched", line


class Change(NamedTuple):
    """One change of the state, and whether it tells a size where the value is too long."""

    text: str
    is_size: bool


def change(op: Data, values: Values) -> Change:
    """Tell one operation of a patch, and carry it out."""
    key, grown = target(op["path"])
    name = shortened(key, 40)
    if grown:
        if key in values:
            values[key].append(op["value"])
        return Change(f"{name}: + {short(op['value'])}", whole(op["value"]) is None)
    old = short(values.pop(key)) if key in values else "∅" if op["op"] == "add" else "?"
    if op["op"] == "remove":
        return Change(f"{name}: {old} → ∅", is_size=False)
    values[key] = op["value"]
    new = short(op["value"])
    told = f"another {new}" if old == new else f"{old} → {new}"
    return Change(f"{name}: {told}", whole(op["value"]) is None)


def target(path: str) -> tuple[str, bool]:
    """Return the key that a patch's path names, and whether the list there grows."""
    key, _, tail = path.removeprefix("/").partition("/")
    return key.replace("~1", "/").replace("~0", "~"), bool(tail)


def transition(data: Data, values: Values) -> Said:
    """Tell where a run goes on, and why."""
    why = reason(data)
    label = f" “{data['label']}”" if data.get("label") else ""
    return "going", f"→ {data['to']}{label}{f' [{why}]' if why else ''}"


def reason(data: Data) -> str:
    """Tell the condition of the edge that was taken; else the reason, unless it is the plain one."""
    if data["reason"] not in ("branch", "loop"):
        return "" if data["reason"] == "next" else str(data["reason"])
    edge = next(one for one in data["considered"] if one["edge"] == data["edge"])
    parts = [condition(edge[word], word) for word in ("when", "until") if word in edge]
    if most := edge.get("max"):
        parts.append(f"{edge.get('taken', 0) + 1} of {most}")
    return ", ".join(parts)


def condition(asked: Any, word: str) -> str:
    """Tell a condition as its author spelled it."""
    text = asked if isinstance(asked, str) else short(asked, 80)
    return text if word == "when" else f"until {text}"


def log(data: Data, values: Values) -> Said:
    """Tell what a tool said."""
    level = data.get("level", "info")
    prefix = "" if level == "info" else f"{level}: "
    fields = [f"{key}={short(value)}" for key, value in data.get("fields", {}).items()]
    return "said", "  ".join([prefix + sentence(data["message"]), *fields])


def graph_created(data: Data, values: Values) -> Said:
    """Tell that a graph, or a version of it, was stored."""
    return "begun", f"graph {data['graph_id']}@{data['version'][:8]} stored"


def told_error(error: Data) -> str:
    """Tell an error in a line."""
    return sentence(": ".join(part for part in (error["type"], error["message"]) if part))


def sentence(text: str) -> str:
    """Return a message as one line that is safe to show."""
    return shortened(printable(" ".join(text.split())), MESSAGE_MAX)


ROWS: Final[Mapping[str, Callable[[Data, Values], Said]]] = {
    "run.created": created,
    "run.parked": parked,
    "run.recovered": recovered,
    "run.cancelling": cancelling,
    "run.cancelled": cancelled,
    "run.completed": completed,
    "run.failed": failed,
    "limit.reached": limit_reached,
    "node.entered": entered,
    "node.attempt_failed": attempt_failed,
    "node.exited": exited,
    "state.patched": patched,
    "transition.taken": transition,
    "log": log,
    "graph.created": graph_created,
}
