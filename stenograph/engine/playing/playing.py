"""Playing: a recorded run is made again by the pure core alone.

No tool is called, no time passes, nothing is stored: what came to the run then comes to it again,
one thing after the other in the same order, and its graph decides anew where that leads.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final, assert_never

import msgspec
from msgspec import Raw, Struct

from stenograph.engine.audit.reason_words import one_line
from stenograph.engine.bounds import WIDEST
from stenograph.engine.core.commands import (
    Advance,
    Asked,
    Cancel,
    Command,
    Due,
    Inheritance,
    Outside,
    Pause,
    Resume,
    Retry,
    Signal,
    Start,
    Stopped,
    TimeUp,
    ToolFailed,
    ToolReturned,
    Unanswered,
)
from stenograph.engine.core.commands import Place as Attempted
from stenograph.engine.core.decide import Decision, decide
from stenograph.engine.core.edges import Answers, compile_graph
from stenograph.engine.core.events import ErrorInfo, Event, Origin, PinnedGraph, RunLimits
from stenograph.engine.core.folding import evolve
from stenograph.engine.core.run import Run
from stenograph.engine.core.scopes import Scope, call_path, parent_of
from stenograph.engine.core.standing import due_at, running_at
from stenograph.engine.core.steps import refusal
from stenograph.engine.errors import EngineError, WriteRefused
from stenograph.engine.graphs.graph import Graph, Limits, as_data
from stenograph.engine.graphs.parse import ParsedGraph, parse_graph
from stenograph.engine.playing.path_words import PathLine, PathReader, standing_line
from stenograph.engine.playing.scripts import (
    Did,
    Failed,
    Place,
    RecordedRun,
    Returned,
    Signalled,
    Step,
    TimeCame,
)
from stenograph.engine.state.patch import PatchOp
from stenograph.engine.state.state import State, Update
from stenograph.engine.times import to_text, to_us
from stenograph.engine.values import encode

ACTOR: Final = "recording"


class Played(Struct, frozen=True, kw_only=True):
    """What a recorded run comes to when it is played.

    ``left_over``: the first thing that was recorded and found no place any more, in words.
    """

    lines: tuple[PathLine, ...]
    events: tuple[Event, ...]
    run: Run
    left_over: str

    @property
    def path(self) -> list[str]:
        """The steps that were taken, in words."""
        return [line.text for line in self.lines]


class AnyName(Collection[str]):
    """Knows every name: who plays a recorded run needs none of its tools."""

    def __contains__(self, name: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def play(recorded: RecordedRun, graph: Graph | Mapping[str, Any] | None = None) -> Played:
    """Make a recorded run again, in its own graph or in another, as far as the recording goes.

    Raises GraphInvalid, ValueError where there is no graph, or StateRefused for the first state.
    """
    player = _Player(recorded)
    player.begin(graph if graph is not None else recorded.graph)
    left_over = ""
    for step in recorded.outcomes:
        if left_over := player.take(step):
            break
    return player.played(left_over)


class _Player:
    """Tells a run what came to it then, and folds what follows."""

    def __init__(self, recorded: RecordedRun) -> None:
        self._recorded = recorded
        self._run, self._events = Run(id="recorded"), list[Event]()
        self._reader = PathReader()
        self._now_us = to_us(recorded.began)

    def begin(self, graph: Graph | Mapping[str, Any] | None) -> None:
        """Begin the run; raises GraphInvalid, StateRefused."""
        given = self._recorded
        if graph is None:
            raise ValueError("the recording has no graph: say in which to play it")
        refs = list(given.graphs)
        parsed = _parsed(graph, refs)
        pinned = {ref: _pinned(ref, _parsed(given.graphs[ref], refs)) for ref in refs}
        state = State.from_values(given.state, compile_graph(parsed.data).rules, WIDEST)
        of_graph = compile_graph(parsed.data).graph.limits
        start = Start(
            graph_id=parsed.id or "recorded",
            version=parsed.version,
            graph=parsed.data,
            state=state.to_json(),
            limits=msgspec.convert(given.limits, Limits) if given.limits else of_graph,
            tags={},
            actor=ACTOR,
            graphs=pinned,
            inheritance=_inheritance(given),
        )
        self._do(start)

    def take(self, step: Step) -> str:
        """Let something come to the run; returns why it cannot, if so."""
        try:
            command = self._command(step)
            if command is None:
                return f"recorded next: {_step(step)}, where the run does not stand now"
            self._do(command)
            if isinstance(command, Cancel):
                self._do(Stopped())
        except EngineError as refused:
            return f"recorded next: {_step(step)}, which is refused now: {one_line(str(refused))}"
        return ""

    def played(self, left_over: str) -> Played:
        """Return what the run has come to."""
        lines = self._reader.lines()
        if (standing := standing_line(self._run)) is not None:
            lines = [*lines, PathLine(standing, self._events[-1])]
        return Played(
            lines=tuple(lines), events=tuple(self._events), run=self._run, left_over=left_over
        )

    def _command(self, step: Step) -> Command | None:
        match step:
            case Returned():
                return self._returned(step)
            case Failed():
                return self._failed(step)
            case TimeCame(at=at):
                return self._due(at)
            case Signalled(name=name, payload=payload, scope=scope):
                return Signal(name=name, payload=encode(payload), actor=ACTOR, scope=scope)
            case Did():
                return self._did(step)
            case _:
                assert_never(step)

    def _did(self, did: Did) -> Command:
        limits = None if did.steps is None else RunLimits(did.steps, did.time_s)
        match did.what:
            case "pause":
                return Pause(actor=ACTOR, reason="")
            case "resume":
                return Resume(actor=ACTOR, limits=limits)
            case "retry":
                return Retry(actor=ACTOR, limits=limits)
            case "cancel":
                return Cancel(actor=ACTOR, reason="")
            case "time-up":
                return TimeUp(running_ms={})
            case _:
                assert_never(did.what)

    def _due(self, at: Place) -> Command | None:
        scope = self._scope(at)
        due = None if scope is None else due_at(self._run, scope.path)
        if scope is None or due is None:
            return None
        self._now_us = max(self._now_us, to_us(due))
        return Due(scope.path, due)

    def _failed(self, failed: Failed) -> Command | None:
        place = self._running(failed.at)
        if place is None:
            return None
        return ToolFailed(
            place=place,
            outcome="timeout" if failed.timeout else "error",
            error=ErrorInfo(failed.type, failed.message, node=place.node),
            types=(failed.type, *failed.bases),
            duration_ms=0.0,
        )

    def _returned(self, returned: Returned) -> Command | None:
        place = self._running(returned.at)
        if place is None:
            return None
        try:
            update = updated(self._run.scopes[place.scope], returned)
        except WriteRefused as refused:
            return ToolFailed(
                place=place,
                outcome="error",
                error=refusal(refused, place),
                types=(refused.code,),
                duration_ms=0.0,
            )
        return ToolReturned(place=place, update=update, goto=returned.goto, duration_ms=0.0)

    def _running(self, at: Place) -> Attempted | None:
        scope = self._scope(at)
        return None if scope is None else running_at(self._run, scope.path)

    def _scope(self, at: Place) -> Scope | None:
        """Return the scope that stands at a visit now, if one does."""
        try:
            path, _ = parent_of(f"{at}/")
        except ValueError:
            return None
        scope = self._run.scopes.get(path)
        position = None if scope is None else scope.position
        if position is None or call_path(path, position.node, position.visit) != f"{at}/":
            return None
        return scope

    def _do(self, command: Command) -> None:
        """Decide, and go on until that is all."""
        decision = self._decide(command)
        while True:
            for payload in decision.events:
                seq = self._run.seq + 1
                at = to_text(self._now_us)
                event = Event(seq, self._run.id, seq, at, payload.TYPE, payload, "")
                evolve(self._run, event)
                self._events.append(event)
                self._reader.note(event)
            if not decision.is_partial:
                return
            decision = self._decide(Advance(decision.rest))

    def _decide(self, command: Command) -> Decision:
        answers: dict[Asked, Answers] = {}
        while True:
            outside = Outside(
                version=lambda _: None,
                effects=lambda tool: "once" if tool in self._recorded.once else "repeatable",
                now_us=self._now_us,
                draw=0.5,
                answers=answers,
                bounds=WIDEST,
            )
            try:
                return decide(self._run, command, outside)
            except Unanswered as question:
                answers[question.asked] = self._answers(question)

    def _answers(self, question: Unanswered) -> Answers:
        said = self._recorded.predicates.get(call_path(*question.asked)[:-1], {})
        nothing = ErrorInfo("not-recorded", "nothing is recorded of what it says here")
        return {name: said.get(name, nothing) for name in question.names}


def updated(scope: Scope, returned: Returned) -> Update:
    """Return what an outcome changes of a scope's state, by its reducers; raises WriteRefused."""
    draft = scope.state.draft()
    for key in returned.dropped:
        draft.pop(key, None)
    for key, value in returned.put.items():
        draft[key] = value
    for key, items in returned.grew.items():
        held = draft.get(key)
        draft[key] = [*(held if isinstance(held, list) else []), *items]
    rules = compile_graph(scope.graph).rules
    return scope.state.update(draft, dict(returned.update), rules, WIDEST)


def _parsed(graph: Graph | Mapping[str, Any], refs: list[str]) -> ParsedGraph:
    data = as_data(graph) if isinstance(graph, Graph) else dict(graph)
    ids = [ref.partition("@")[0] for ref in refs]
    any_name = AnyName()
    return parse_graph(data, tools=any_name, predicates=any_name, graphs=ids, bounds=WIDEST)


def _pinned(ref: str, parsed: ParsedGraph) -> PinnedGraph:
    graph_id = ref.partition("@")[0]
    return PinnedGraph(graph_id=graph_id, version=parsed.version, graph=Raw(parsed.data))


def _inheritance(recorded: RecordedRun) -> Inheritance | None:
    fork = recorded.fork
    if fork is None:
        return None
    return Inheritance(
        origin=msgspec.convert(fork["origin"], Origin),
        data=encode(fork["inherited"]),
        patches={
            path: msgspec.json.decode(encode(ops), type=tuple[PatchOp, ...])
            for path, ops in fork.get("patches", {}).items()
        },
    )


def _step(step: Step) -> str:
    match step:
        case Returned(at=at):
            return f"{one_line(at)} returned"
        case Failed(at=at, type=type_):
            return f"{one_line(at)} failed, {one_line(type_)}"
        case TimeCame(at=at):
            return f"the time of {one_line(at)} came"
        case Signalled(name=name):
            return f"the signal {one_line(name)}"
        case Did(what=what):
            return what
        case _:
            assert_never(step)
