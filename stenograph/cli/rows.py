"""Events as rows for people: what each type says, in words and with a mark of its own.

Rows read the wire's JSON and not the engine's classes, so that an event of a later version is
still shown: its type, and what it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import UNSET, Struct

from stenograph.cli.known import Known, States
from stenograph.cli.marks import Mark
from stenograph.cli.phrases import MESSAGE_MAX, Data, Said, sentence, told_error
from stenograph.cli.places import ROOT, RUN, place
from stenograph.cli.rows_flow import FLOW
from stenograph.cli.text import printable, short, shortened, whole

PATCH_MAX: Final = 56
"""Most characters of a row that tells what changed."""


class Row(Struct, frozen=True):
    """One event: its mark, the node it is about, and what it says."""

    mark: Mark
    node: str
    phrase: str


class Teller:
    """Tells one run's events in order; it keeps the state, to say what a value was before."""

    def __init__(self, state: Mapping[str, Any] | None = None) -> None:
        self._states = States(state)

    def row(self, type_: str, data: bytes) -> Row:
        """Return the row of the next event; every event has one."""
        decoded = msgspec.json.decode(data)
        if isinstance(decoded, dict) and "$erased" in decoded:
            return Row("cancelled", RUN, printable(f"{type_}, erased"))
        try:
            mark, phrase = self._said(type_, decoded)
            where = RUN if type_.startswith("run.") else place(decoded)
            return Row(mark, printable(where), printable(phrase))
        except (AttributeError, LookupError, StopIteration, TypeError, ValueError):
            # A later version's type or field.
            return Row("unknown", RUN, printable(f"{type_} {short(decoded, MESSAGE_MAX)}"))

    def _said(self, type_: str, data: Data) -> Said:
        scope = data.get("scope") or ROOT
        if type_ in CHANGES:
            return CHANGES[type_](data, self._states.of(scope))
        said = PLAIN[type_](data)
        self._states.note(type_, scope)
        return said


def created(data: Data, known: Known) -> Said:
    """Tell of a run's beginning: its graph, and the keys it was given."""
    for key, value in data["state"].items():
        known.set(key, value)
    keys = ", ".join(data["state"]) or "nothing"
    graph = f"{data['graph_id']}@{data['version'][:8]}"
    if origin := data.get("origin"):
        begins = f"goes on from event {origin['seq']} of {origin['run_id']}"
    else:
        begins = "begins"
    return "begun", f"{graph} {begins} with {shortened(keys, 80)}"


def entered(data: Data) -> Said:
    """Tell that an attempt at a node began."""
    visit = f", visit {data['visit']}" if data["visit"] > 1 else ""
    attempt = f", try {data['attempt']}" if data["attempt"] > 1 else ""
    graph = f", runs graph {data['graph']}" if data.get("graph") else ""
    return "running", f"entered{visit}{attempt}{graph}"


def attempt_failed(data: Data) -> Said:
    """Tell of a try that is not the last."""
    when = data.get("retry_at")
    again = f"; again at {when[11:19]}" if when else ""
    return "again", f"try {data['attempt']} failed: {told_error(data['error'])}{again}"


def exited(data: Data) -> Said:
    """Tell how a visit ended."""
    took = f"({data.get('duration_ms', 0.0):,.0f} ms)"
    if data["outcome"] == "ok":
        return "done", f"exited {took}"
    error = f": {told_error(data['error'])}" if data.get("error") else ""
    word = "timed out" if data["outcome"] == "timeout" else "failed"
    return "failed", f"{word} {took}{error}"


def patched(data: Data, known: Known) -> Said:
    """Tell what changed in the state, as far as a line goes; values before mere sizes."""
    changes = [change(op, known) for op in data["patch"]]
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


def change(op: Data, known: Known) -> Change:
    """Tell one operation of a patch, and carry it out."""
    key, grown = target(op["path"])
    name = shortened(key, 40)
    if grown:
        known.grow(key, op["value"])
        return Change(f"{name}: + {short(op['value'])}", whole(op["value"]) is None)
    before = known.get(key)
    old = short(before) if before is not UNSET else "∅" if op["op"] == "add" else "?"
    if op["op"] == "remove":
        known.set(key, UNSET)
        return Change(f"{name}: {old} → ∅", is_size=False)
    known.set(key, op["value"])
    new = short(op["value"])
    told = f"another {new}" if old == new else f"{old} → {new}"
    return Change(f"{name}: {told}", whole(op["value"]) is None)


def target(path: str) -> tuple[str, bool]:
    """Return the key that a patch's path names, and whether the list there grows."""
    key, _, tail = path.removeprefix("/").partition("/")
    return key.replace("~1", "/").replace("~0", "~"), bool(tail)


def transition(data: Data) -> Said:
    """Tell where a run goes on, and why."""
    why = reason(data)
    label = f" “{data['label']}”" if data.get("label") else ""
    to = shortened(", ".join(data.get("fork", ())) or data["to"], 80)
    return "going", f"→ {to}{label}{f' [{why}]' if why else ''}"


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


def log(data: Data) -> Said:
    """Tell what a tool said."""
    level = data.get("level", "info")
    prefix = "" if level == "info" else f"{level}: "
    fields = [f"{key}={short(value)}" for key, value in data.get("fields", {}).items()]
    return "said", "  ".join([prefix + sentence(data["message"]), *fields])


CHANGES: Final[Mapping[str, Callable[[Data, Known], Said]]] = {
    "run.created": created,
    "state.patched": patched,
}
"""The types that change a state, and what they say of it."""
PLAIN: Final[Mapping[str, Callable[[Data], Said]]] = {
    "node.entered": entered,
    "node.attempt_failed": attempt_failed,
    "node.exited": exited,
    "transition.taken": transition,
    "log": log,
    **FLOW,
}
