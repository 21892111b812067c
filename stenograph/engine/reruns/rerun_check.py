"""Checks of recordings: today's tools are run on recorded states, and compared; no run is made."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Annotated, Any, Final, Literal, TypeAlias

from msgspec import Meta, Struct, field

from stenograph.engine.audit.changes import Change, changes
from stenograph.engine.core.commands import Place, ToolReturned
from stenograph.engine.core.edges import CompiledNode, compile_graph
from stenograph.engine.core.events import (
    ErrorInfo,
    NodeAttemptFailed,
    NodeEntered,
    NodeExited,
    StatePatched,
    TransitionTaken,
)
from stenograph.engine.core.run import Run
from stenograph.engine.core.scopes import Scope
from stenograph.engine.core.secrecy import Secrecy, all_secret_keys
from stenograph.engine.errors import RerunRefused
from stenograph.engine.executor.actors import Actors
from stenograph.engine.executor.attempt import Attempt, Recalled, Result
from stenograph.engine.executor.recordings import Recorded, Recording, Turn, turn_of
from stenograph.engine.executor.results import to_command
from stenograph.engine.executor.world import World
from stenograph.engine.graphs.graph import TIMEOUT_S, Outcome
from stenograph.engine.reruns.reruns import unknown_tools
from stenograph.engine.state.patch import PatchOp, target
from stenograph.engine.state.state import State
from stenograph.engine.state.vault import name_in_json
from stenograph.engine.stored.histories import Histories
from stenograph.engine.tools.site import Site
from stenograph.engine.tools.tools import Tool

Skipped: TypeAlias = Literal["once", "no-tool", "secret", "not-named", "no-outcome", "no-time"]
"""Why an attempt is not checked: its effect is once, its tool is not here, its graph has secrets, it
did not come to an end, or the time of the check was up."""
CheckTime: TypeAlias = Annotated[float, Meta(gt=0, le=3600)]
CHECK_S: Final = 60.0
DIFFERENCES_MAX: Final = 1000


class CheckOutcome(Struct, frozen=True, kw_only=True):
    """What came of an attempt: ``goto`` is where its tool said to go."""

    outcome: Outcome
    error: ErrorInfo | None = None
    goto: str | None = None


class CheckDifference(Struct, frozen=True, kw_only=True):
    """An attempt whose tool does otherwise today; ``seq``: the event that recorded its end.

    ``changes`` turn the state as it was recorded after it into what it would be.
    """

    seq: int
    scope: str
    node: str
    visit: int
    attempt: int
    tool: str
    recorded_version: str | None
    version: str
    recorded: CheckOutcome
    found: CheckOutcome
    changes: tuple[Change, ...] = ()


class CheckReport(Struct, frozen=True, kw_only=True):
    """What a check found: how many attempts were ``checked``, and why others were ``skipped``.

    At most 1,000 ``differences``; ``differences_more`` counts the rest.
    """

    run_id: str
    seq: int
    same: bool
    checked: int
    skipped: dict[Skipped, int]
    differences: tuple[CheckDifference, ...]
    differences_more: int


class Checks:
    """Runs tools on what they were given in a recording, one after the other."""

    def __init__(self, world: World, histories: Histories, actors: Actors) -> None:
        self._world, self._histories, self._actors = world, histories, actors

    async def check(self, run_id: str, tools: Sequence[str], time_s: CheckTime) -> CheckReport:
        """Check a run as far as it has come; with ``tools``, those alone.

        What is not checked after ``time_s`` is left out, and a call under way is given up.
        Raises UnknownRun, or RerunRefused for a name that is no tool's.
        """
        recorded = await self._actors.load(run_id)
        seq = recorded.seq
        if faults := unknown_tools(recorded, tools, self._world.registry):
            raise RerunRefused(run_id, faults)
        until = asyncio.get_running_loop().time() + time_s
        tally, recording = _Tally(until), Recording()
        standing: dict[str, _Standing] = {}
        ended: list[_Standing] = []
        async for event in self._histories.events(run_id, to=seq):
            data = event.data
            if not isinstance(data, StatePatched | TransitionTaken):
                await self._compare_all(recording, ended, tally)
            recording.note(event)
            if isinstance(data, NodeEntered) and data.tool is not None:
                tally.not_ended(standing.pop(data.scope, None))
                scope, tool = recording.run.scopes[data.scope], self._tool(data.tool)
                why = _why_not(recording.run, scope, tool, tools)
                if why is not None or tool is None:
                    tally.skipped[why or "no-tool"] += 1
                else:
                    turn = turn_of(recording.run, scope)
                    standing[data.scope] = _Standing(turn, scope.copy(), tool)
            elif isinstance(data, NodeExited | NodeAttemptFailed) and data.scope in standing:
                ended.append(standing.pop(data.scope))
        await self._compare_all(recording, ended, tally)
        for each in standing.values():
            tally.not_ended(each)
        return CheckReport(
            run_id=run_id,
            seq=seq,
            same=not tally.differences,
            checked=tally.checked,
            skipped=dict(+tally.skipped),
            differences=tuple(tally.differences),
            differences_more=tally.more,
        )

    async def _compare_all(
        self, recording: Recording, ended: list[_Standing], tally: _Tally
    ) -> None:
        """Compare attempts of which all is known now, and forget what came of them."""
        for each in ended:
            known = recording.answers.pop(each.turn, None)
            if known is None:
                tally.not_ended(each)
                continue
            if asyncio.get_running_loop().time() >= tally.until:
                tally.skipped["no-time"] += 1
                continue
            try:
                async with asyncio.timeout_at(tally.until):
                    tally.note(await self._compare(recording.run, each.scope, each.tool, known))
            except TimeoutError:
                tally.skipped["no-time"] += 1
        ended.clear()

    def _tool(self, name: str) -> Tool | None:
        return self._world.registry.tools.get(name)

    async def _compare(
        self, run: Run, scope: Scope, tool: Tool, known: Recorded
    ) -> CheckDifference | None:
        """Run a tool where a scope stood; returns how that is other than what is recorded."""
        attempt, result = await self._try(run.id, scope, tool)
        assert not isinstance(result, Recalled), "the tool was called"
        command = to_command(attempt, result, scope, Secrecy(None), self._world.bounds)
        run.scopes[scope.path].state.regain(scope.state)
        if isinstance(command, ToolReturned):
            now = CheckOutcome(outcome="ok", goto=command.goto)
            patch = command.update.patch
        else:
            now, patch = CheckOutcome(outcome=command.outcome, error=command.error), ()
        then = CheckOutcome(outcome=known.outcome, error=known.error, goto=known.goto)
        if _leads_nowhere(now, then):
            return None
        recorded, found = _after(scope.state, known.patch, patch)
        told = () if patch == known.patch else tuple(changes(recorded, found))
        if not told and _essence(now) == _essence(then):
            return None
        place = attempt.place
        return CheckDifference(
            seq=known.seq,
            scope=place.scope,
            node=place.node,
            visit=place.visit,
            attempt=place.attempt,
            tool=tool.name,
            recorded_version=known.asked.version,
            version=tool.version,
            recorded=then,
            found=now,
            changes=told,
        )

    async def _try(self, run_id: str, scope: Scope, tool: Tool) -> tuple[Attempt, Result]:
        """Call a tool as the engine does, and return what came of it."""
        done: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        graph, node, at = compile_graph(scope.graph), _node(scope), scope.position
        assert at is not None, "an attempt is made where a scope stands"

        def settled(_: Attempt, result: Result) -> None:
            with suppress(asyncio.InvalidStateError):  # nobody waits for it any more
                done.set_result(result)

        attempt = Attempt(
            Place(scope.path, at.node, at.visit, at.attempt),
            tool,
            node.node.config,
            node.node.timeout_s or TIMEOUT_S,
            self._world,
            site=lambda: Site(
                run_id=run_id,
                scope=scope.path,
                node=at.node,
                visit=at.visit,
                attempt=at.attempt,
                start=graph.graph.start,
                is_last=not node.edges,
                folder=self._world.folder,
            ),
            settled=settled,
            said=_drop_lines,
        )
        try:
            attempt.start(scope.state.draft())
            return attempt, await done
        finally:
            attempt.abandon()
            if attempt.task is not None and not attempt.task.done():
                self._world.strays.add(attempt.task)
                attempt.task.add_done_callback(self._world.strays.discard)


class _Standing(Struct, frozen=True):
    """An attempt as it was entered."""

    turn: Turn
    scope: Scope
    tool: Tool


class _Tally(Struct):
    """What a check has found so far; ``until`` is when its time is up, by the clock of the loop."""

    until: float
    checked: int = 0
    skipped: Counter[Skipped] = field(default_factory=Counter)
    differences: list[CheckDifference] = []
    more: int = 0

    def note(self, other: CheckDifference | None) -> None:
        """Count an attempt that was checked, and how it is other, if it is."""
        self.checked += 1
        if other is not None and len(self.differences) < DIFFERENCES_MAX:
            self.differences.append(other)
        elif other is not None:
            self.more += 1

    def not_ended(self, attempt: _Standing | None) -> None:
        """Count an attempt that did not come to an end."""
        self.skipped["no-outcome"] += attempt is not None


def _drop_lines(attempt: Attempt) -> None:
    attempt.take_lines()


def _why_not(run: Run, scope: Scope, tool: Tool | None, tools: Sequence[str]) -> Skipped | None:
    """Return why an attempt is not to be made again, if so."""
    node = _node(scope)
    if tools and node.tool not in tools:
        return "not-named"
    if tool is None:
        return "no-tool"
    if (node.node.effects or tool.effects) == "once":
        return "once"
    if not all_secret_keys(run):
        return None
    has_secret = any(name_in_json(data) is not None for _, data in scope.state.raw())
    return "secret" if has_secret or compile_graph(scope.graph).rules.secrets else None


def _node(scope: Scope) -> CompiledNode:
    assert scope.position is not None, "an attempt is made where a scope stands"
    return compile_graph(scope.graph).nodes[scope.position.node]


def _after(state: State, *patches: tuple[PatchOp, ...]) -> Iterator[dict[str, Any]]:
    """Yield what each of the patches makes of the keys that they change."""
    keys = {target(op)[0] for patch in patches for op in patch}
    for patch in patches:
        after = State({key: data for key, data in state.raw() if key in keys})
        after.apply(patch)
        yield after.to_values()


def _leads_nowhere(now: CheckOutcome, then: CheckOutcome) -> bool:
    """Tell whether a tool says to go to the same node that it could not go to then."""
    error = then.error
    if error is None or error.type != "UnknownNode" or now.goto is None:
        return False
    return error.message.startswith(f"the tool said to go to {now.goto!r},")


def _essence(outcome: CheckOutcome) -> tuple[object, ...]:
    """Return what must be the same; where in the code an error was raised need not be."""
    error = outcome.error
    told = None if error is None else (error.type, error.message)
    return outcome.outcome, outcome.goto, told
