"""Resting: what a run needs that does not go on by itself, and the command line that gives it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
from msgspec import Struct

from stenograph.cli.hints import steno, steno_write
from stenograph.cli.phrases import sentence
from stenograph.cli.places import place as place_of
from stenograph.cli.settings import Settings
from stenograph.cli.text import count, printable
from stenograph.cli.times import local

if TYPE_CHECKING:
    from stenograph.engine import RunView, WaitView
    from stenograph.journal import Record

WAITS_MAX: Final = 5
"""How many waits are told one by one."""
PAYLOAD_MAX: Final = 200
DEPTH_MAX: Final = 3
WITHOUT_SCHEMA: Final = {"ok": True}
EXAMPLES: Final[dict[str, Any]] = {
    "boolean": True, "integer": 1, "number": 1.5, "string": "text", "array": [], "null": None,
}  # fmt: skip


class Need(NamedTuple):
    """What a run needs, and the command line that gives it."""

    what: str
    command: str


class Parking(Struct):
    """Why a run parked last, as its events tell it."""

    message: str = ""
    option: str = ""
    value: float = 0
    is_too_long: bool = False

    def note(self, record: Record) -> None:
        """Take in the next event."""
        if record.type not in ("run.parked", "limit.reached"):
            return
        data = msgspec.json.decode(record.data)
        if record.type == "run.parked":
            self.message = sentence(data.get("message", ""))
            return
        self.is_too_long = data.get("limit") == "events"
        if data.get("limit") in ("steps", "time_s"):
            self.option, self.value = f"--{data['limit']}".replace("_", "-"), data["value"]


def rests(run: RunView) -> bool:
    """Tell whether a run does not go on before a person does something."""
    if run.status == "waiting":
        return bool(run.waits) and all(wait.kind == "signal" for wait in run.waits)
    return run.status in ("paused", "parked")


def needs(run: RunView, parking: Parking, place: Settings) -> Iterator[Need]:
    """Yield what a run needs to go on, each with what to type."""
    if run.imported:
        if not run.done:
            fork = steno_write(place, "fork", run.id, "--at", str(run.seq))
            yield Need("it was imported, and is only read here; to go on in another run", fork)
        return
    match run.status:
        case "waiting":
            yield from answers(run, place)
        case "paused":
            why = f": {sentence(run.reason)}" if run.reason else ""
            yield Need(f"it is paused{why}; to go on", steno_write(place, "resume", run.id))
        case "parked":
            yield from ways_on(run, parking, place)
        case "failed":
            yield Need("to try again what failed", steno_write(place, "retry", run.id))
        case _:
            pass


def ways_on(run: RunView, parking: Parking, place: Settings) -> Iterator[Need]:
    """Yield how a parked run can go on."""
    resume = steno_write(place, "resume", run.id)
    why = f"it is parked ({run.reason}): {parking.message}"
    match run.reason:
        case "limit" if parking.is_too_long:
            fork = steno_write(place, "fork", run.id, "--at", str(run.seq))
            yield Need(f"it is parked ({run.reason}): {parking.message}", fork)
        case "limit":
            more = parking.value * 2 if parking.option == "--time-s" else run.steps * 2
            option = parking.option or "--steps"
            yield Need(f"{why}; to go on", f"{resume} {option} {more:.12g}")
        case "effects-once":
            if run.parked is not None and run.parked.scope != "/":
                resume = steno_write(place, "resume", run.id, "--scope", run.parked.scope)
            yield Need(f"{why}; if it did happen", f"{resume} --result JSON")
            yield Need("if it did not, to run it again", resume)
        case _:
            yield Need(f"{why}; to go on", resume)


def answers(run: RunView, place: Settings) -> Iterator[Need]:
    """Yield each signal that a run waits for, with the command that gives it."""
    waits = [wait for wait in run.waits if wait.kind == "signal"]
    often = Counter(wait.signal for wait in waits)
    for wait in waits[:WAITS_MAX]:
        words = ["signal", run.id, str(wait.signal), payload(wait)]
        if often[wait.signal] > 1:
            words += ["--scope", wait.scope]
        until = f" until {local(wait.due_at)}" if wait.due_at else ""
        at = place_of({"scope": wait.scope, "node": wait.node})
        what = f"{at} waits for signal {wait.signal}{until}"
        yield Need(printable(what), printable(steno_write(place, *words)))
    if len(waits) > WAITS_MAX:
        more = count(len(waits) - WAITS_MAX, "signal")
        yield Need(f"it waits for {more} more", steno(place, "show", run.id, "-o", "json"))


def payload(wait: WaitView) -> str:
    """Return a payload that looks as a wait asks for it; a long one is better put into a file."""
    value = WITHOUT_SCHEMA if wait.schema is None else example(wait.schema)
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= PAYLOAD_MAX else "@payload.json"


def example(schema: Any, depth: int = DEPTH_MAX) -> Any:
    """Return a value of a JSON Schema's kind, with the keys that it requires."""
    if not isinstance(schema, dict):
        return WITHOUT_SCHEMA
    for word in ("const", "default"):
        if word in schema:
            return schema[word]
    for word in ("examples", "enum"):
        if schema.get(word):
            return schema[word][0]
    kind = schema.get("type", "object")
    kind = kind[0] if isinstance(kind, list) and kind else kind
    if kind != "object":
        return schema.get("minimum", EXAMPLES.get(str(kind)))
    properties = schema.get("properties", {})
    keys = schema.get("required") or list(properties)
    return {
        key: example(properties.get(key, {"type": "string"}), depth - 1) for key in keys if depth
    }
