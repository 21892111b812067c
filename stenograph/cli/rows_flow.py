"""Rows of what a run goes through as a whole: its beginning and end, what people do, its waits,
its forks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from stenograph.cli.phrases import Data, Said, asked_by, failure, sentence, told_error
from stenograph.cli.text import count, short, shortened
from stenograph.cli.times import local

NAMES_MAX: Final = 80


def pausing(data: Data) -> Said:
    """Tell who asked a run to pause, and why."""
    return "waiting", f"pausing, {asked_by(data)}"


def paused(data: Data) -> Said:
    """Tell that nothing of a run is under way any more."""
    return "waiting", "paused"


def resumed(data: Data) -> Said:
    """Tell who let a run go on, and how far."""
    return "again", f"resumed by {data['actor']}{up_to(data)}"


def retried(data: Data) -> Said:
    """Tell who reopened a run that had failed."""
    return "again", f"retried by {data['actor']}{up_to(data)}"


def migrated(data: Data) -> Said:
    """Tell who had a run go on in another graph."""
    return "going", f"goes on in {data['graph_id']}@{data['version'][:8]}, by {data['actor']}"


def up_to(data: Data) -> str:
    """Tell new limits, when there are some."""
    limits = data.get("limits")
    if limits is None:
        return ""
    time = f" and {limits['time_s']:g} s" if limits.get("time_s") is not None else ""
    return f", up to {limits['steps']:,} steps{time}"


def parked(data: Data) -> Said:
    """Tell why a run stopped and needs a person."""
    return "waiting", f"parked ({data['reason']}): {sentence(data['message'])}"


def recovered(data: Data) -> Said:
    """Tell that the engine took a run up again."""
    lost = data.get("lost", 0)
    again = f"; {count(lost, 'interrupted attempt')} to run again" if lost else ""
    return "again", f"taken up again{again}"


def cancelling(data: Data) -> Said:
    """Tell who asked a run to stop, and why."""
    return "waiting", f"cancelling, {asked_by(data)}"


def cancelled(data: Data) -> Said:
    """Tell that a run was stopped."""
    return "cancelled", "cancelled"


def erased(data: Data) -> Said:
    """Tell who had a run erased, and why."""
    return "cancelled", f"erased, {asked_by(data)}"


def completed(data: Data) -> Said:
    """Tell that a run came to its end."""
    reason = data.get("reason", "end")
    return "done", "completed" if reason == "end" else f"completed ({reason})"


def failed(data: Data) -> Said:
    """Tell why a run could not go on."""
    return "failed", failure(data)


def limit_reached(data: Data) -> Said:
    """Tell which limit stopped a run."""
    return "waiting", f"reached its limit: {data['limit']} {data['value']:,}"


def fork_opened(data: Data) -> Said:
    """Tell into what a scope forked, and where its branches meet again."""
    branches = count(data["count"], "branch", "branches")
    over = f" over {data['each']}" if data.get("each") else ""
    width = f", {data['width']:,} at a time" if data.get("width") else ""
    need = f", {data['need']:,} needed" if data["need"] < data["count"] else ""
    targets = shortened(", ".join(data["targets"]), NAMES_MAX)
    return "going", f"{branches}{over}: {targets}{width}; to join at {data['join']}{need}"


def branch_ended(data: Data) -> Said:
    """Tell what became of a branch."""
    match data["outcome"]:
        case "ok":
            reason = data.get("reason") or "end"
            if reason == "joined":
                return "done", "branch has arrived"
            return "done", "branch ended" if reason == "end" else f"branch ended ({reason})"
        case "cancelled":
            return "cancelled", "branch stopped"
        case _:
            return "failed", f"branch {failure(data, 'failed_in')}"


def fork_joined(data: Data) -> Said:
    """Tell that branches were brought together, or could not be."""
    if data.get("error"):
        return "failed", f"cannot join at {data['join']}: {told_error(data['error'])}"
    parts = [f"{data['arrived']:,} arrived"]
    parts += [f"{data[word]:,} {word}" for word in ("failed", "cancelled") if data.get(word)]
    return "going", f"joined at {data['join']}: {', '.join(parts)}"


def wait_opened(data: Data) -> Said:
    """Tell what a scope waits for."""
    match data["kind"]:
        case "signal":
            return "waiting", f"waits for signal {data['signal']}"
        case "time":
            return "waiting", "waits for its time"
        case "delay":
            return "waiting", "waits for the start it was given"
        case _:
            return "waiting", "waits for its turn"


def wait_resolved(data: Data) -> Said:
    """Tell how a wait ended."""
    match data["reason"]:
        case "signal":
            return "begun", f"takes signal {data['signal_seq']}"
        case "timeout":
            return "failed", "no signal came in time"
        case "turn":
            return "begun", "its turn has come"
        case _:
            return "begun", "goes on"


def signal_received(data: Data) -> Said:
    """Tell what input somebody gave."""
    saw = f", who saw {data['saw']}" if data.get("saw") is not None else ""
    return (
        "said",
        f"signal {data['name']} from {data['actor']}{saw}: {short(data['payload'])}",
    )


def timer_set(data: Data) -> Said:
    """Tell until when a scope waits at most."""
    return "waiting", f"until {local(data['due_at'])}"


def timer_fired(data: Data) -> Said:
    """Tell that a time came."""
    return "begun", "its time has come"


def graph_created(data: Data) -> Said:
    """Tell that a graph, or a version of it, was stored."""
    return "begun", f"graph {data['graph_id']}@{data['version'][:8]} stored"


FLOW: Final[Mapping[str, Callable[[Data], Said]]] = {
    "run.pausing": pausing,
    "run.paused": paused,
    "run.resumed": resumed,
    "run.retried": retried,
    "run.migrated": migrated,
    "run.parked": parked,
    "run.recovered": recovered,
    "run.cancelling": cancelling,
    "run.cancelled": cancelled,
    "run.erased": erased,
    "run.completed": completed,
    "run.failed": failed,
    "limit.reached": limit_reached,
    "fork.opened": fork_opened,
    "branch.ended": branch_ended,
    "fork.joined": fork_joined,
    "wait.opened": wait_opened,
    "wait.resolved": wait_resolved,
    "signal.received": signal_received,
    "timer.set": timer_set,
    "timer.fired": timer_fired,
    "graph.created": graph_created,
}
