"""The engine against a model of it: whatever people, tools, time and crashes do, both say the same."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from contextlib import suppress
from random import Random
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from stenograph.engine import Limits, RunFinished, fold
from stenograph.engine.core.events import TERMINAL
from stenograph.engine.core.standing import places
from stenograph.engine.core.views import view
from stenograph.engine.errors import NotHeld, SignalRefused, UnknownSignal
from stenograph.journal import JournalFailed
from tests.crashes import MOMENTS, Moment
from tests.model import Ask, Call, Model, Sleep, Split, Step, Sub, as_graphs
from tests.stage import Stage

EXAMPLES = int(os.environ.get("MACHINE_EXAMPLES", "150"))
STEPS = int(os.environ.get("MACHINE_STEPS", "25"))
ENDED = ("completed", "failed", "cancelled")

calls = st.builds(
    Call,
    attempts=st.integers(1, 3),
    delay_s=st.sampled_from([0.0, 7.0]),
    times=st.integers(1, 3),
)
asks = st.builds(Ask, timeout_s=st.sampled_from([None, 11.0, 31.0]))
sleeps = st.builds(Sleep, for_s=st.sampled_from([5.0, 17.0]))
moments: st.SearchStrategy[Moment | None] = st.sampled_from([None, None, None, *MOMENTS])
leaves = st.one_of(calls, calls, asks, sleeps)


def programs(
    steps: st.SearchStrategy[Step], longest: int = 2
) -> st.SearchStrategy[tuple[Step, ...]]:
    return st.lists(steps, min_size=1, max_size=longest).map(tuple)


@st.composite
def splits(draw: st.DrawFn, inner: st.SearchStrategy[Step]) -> Split:
    """Draw a fork, static or a map, with what it needs and its width."""
    items = draw(st.sampled_from([None, None, 0, 2, 3]))
    bodies = draw(st.lists(programs(inner), min_size=2, max_size=3)) if items is None else None
    count = len(bodies) if bodies is not None else items or 0
    need = draw(st.none() | st.integers(1, count)) if count else None
    width = draw(st.none() | st.integers(1, 2))
    chosen = tuple(bodies) if bodies is not None else (draw(programs(inner)),)
    return Split(bodies=chosen, items=items, need=need, width=width)


def subs(inner: st.SearchStrategy[Step]) -> st.SearchStrategy[Step]:
    return st.builds(Sub, body=programs(inner), timeout_s=st.sampled_from([None, 23.0]))


def within(inner: st.SearchStrategy[Step]) -> st.SearchStrategy[Step]:
    return st.one_of(splits(inner), subs(inner))


steps = st.recursive(leaves, within, max_leaves=6)


def has(kind: type, program: tuple[Step, ...]) -> bool:
    """Tell whether there is a step of a kind in a program, at any depth."""
    for step in program:
        inner = (
            step.bodies
            if isinstance(step, Split)
            else (step.body,)
            if isinstance(step, Sub)
            else ()
        )
        if isinstance(step, kind) or any(has(kind, body) for body in inner):
            return True
    return False


class Machine(RuleBasedStateMachine):
    """One run of a drawn program, on an engine and in the model."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.stage = Stage()
        self.value = 0
        self.do(self.stage.open())

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    async def both(
        self,
        engine: Callable[[], Coroutine[Any, Any, Any]],
        model: Callable[[], None],
        moment: Moment | None,
    ) -> None:
        """Have something happen to both; the engine may crash in the commit of it."""
        if moment is None:
            await engine()
            model()
        else:
            self.stage.die_at(1, moment)
            with suppress(JournalFailed):
                await engine()
            await self.stage.settle()
            if self.stage.faults.died.is_set():
                if moment != "before":
                    model()
                self.model.crash()
            else:  # it had nothing to write
                model()
                self.model.crash()
            await self.stage.restart(crash=True)
        await self.stage.settle()
        self.model.rest()

    @initialize(program=programs(steps, 3), limit=st.integers(1, 6), early=st.integers(0, 3))
    def start(self, program: tuple[Step, ...], limit: int, early: int) -> None:
        """Start a run; with a small limit where the order of branches has no say in it."""
        self.program = program
        self.limit = 10_000 if has(Split, program) else limit
        state = {"log": [], "total": 0, "go": [], **{f"items{n}": [0] * n for n in (0, 2, 3)}}
        self.model = Model(program, dict(state), self.limit)
        self.model.rest()

        async def begin() -> None:
            for graph in as_graphs("g", program):
                await self.stage.engine.create_graph(graph)
            await self.stage.engine.start("g", state, run_id="run", limits=Limits(steps=self.limit))
            await self.stage.settle()

        self.do(begin())
        for _ in range(early):
            if has(Ask, program) and self.model.status not in ENDED:
                self.send(None)

    @precondition(lambda self: self.stage.held)
    @rule(data=st.data(), fails=st.booleans(), moment=moments)
    def let_a_tool_go(self, data: st.DataObject, fails: bool, moment: Moment | None) -> None:
        self.let_go(data.draw(st.sampled_from(sorted(self.stage.held))), fails, moment)

    @rule(draw=st.randoms(use_true_random=False), times=st.integers(2, 8))
    def let_it_go_on(self, draw: Random, times: int) -> None:
        """Do several times what brings the run nearer to its end."""
        for _ in range(times):
            if self.stage.held:
                self.let_go(draw.choice(sorted(self.stage.held)), draw.random() < 0.1, None)
            elif any(kind == "signal" for _, _, kind in self.model.waits()):
                self.send(None)
            self.pass_time(draw.choice([1.0, 12.0]))

    def let_go(self, name: str, fails: bool, moment: Moment | None) -> None:
        self.value += 1
        value = self.value

        async def let_go() -> None:
            if fails:
                await self.stage.fail(name)
            else:
                await self.stage.finish(name, {"log": [value], "total": value})

        def told() -> None:
            if fails:
                self.model.fail(name)
            else:
                self.model.finish(name, value)

        self.do(self.both(let_go, told, moment))

    @rule(times=st.integers(1, 4), moment=moments)
    def signal(self, times: int, moment: Moment | None) -> None:
        for _ in range(times):
            if not has(Ask, self.program) or self.model.status in ENDED:
                self.signals_are_refused()
            else:
                self.refused(self.stage.engine.signal("run", "go", "no integer"), SignalRefused)
                self.send(moment)

    def signals_are_refused(self) -> None:
        refusal = RunFinished if self.model.status in ENDED else UnknownSignal
        for name in ("go", "stop"):
            self.refused(self.stage.engine.signal("run", name, 1), refusal)

    def send(self, moment: Moment | None) -> None:
        self.value += 1
        value = self.value

        async def send() -> None:
            await self.stage.engine.signal("run", "go", value)

        self.do(self.both(send, lambda: self.model.signal(value), moment))

    @rule(moment=moments)
    def pause(self, moment: Moment | None) -> None:
        async def pause() -> None:
            await self.stage.engine.pause("run")

        if self.model.status in ENDED:
            self.refused(pause(), RunFinished)
        else:
            self.do(self.both(pause, self.model.pause, moment))

    @rule(more=st.none() | st.integers(0, 3), moment=moments)
    def resume(self, more: int | None, moment: Moment | None) -> None:
        limit = None if more is None else max(1, self.model.entered + more)

        async def resume() -> None:
            limits = None if limit is None else Limits(steps=limit)
            await self.stage.engine.resume("run", limits=limits)

        if self.model.status not in ("paused", "parked"):
            self.refused(resume(), NotHeld)
        elif limit is None or not has(Split, self.program):
            self.do(self.both(resume, lambda: self.model.resume(limit), moment))

    @rule(moment=moments)
    def retry(self, moment: Moment | None) -> None:
        async def retry() -> None:
            await self.stage.engine.retry("run")

        if self.model.status != "failed":
            self.refused(retry(), NotHeld)
        else:
            self.do(self.both(retry, self.model.retry, moment))

    @precondition(lambda self: self.value > 6)
    @rule(moment=moments)
    def cancel(self, moment: Moment | None) -> None:
        async def cancel() -> None:
            await self.stage.engine.cancel("run", reason="enough")

        if self.model.status in ("completed", "failed"):
            self.refused(cancel(), RunFinished)
        else:
            self.do(self.both(cancel, self.model.cancel, moment))

    @rule(seconds=st.sampled_from([0.0, 5.0, 6.0, 11.0, 40.0]))
    def let_time_pass(self, seconds: float) -> None:
        self.pass_time(seconds)

    def pass_time(self, seconds: float) -> None:
        self.do(self.stage.pass_time(seconds))
        self.model.pass_time(seconds)
        self.model.rest()

    @rule(crash=st.booleans())
    def restart(self, crash: bool) -> None:
        self.model.crash()
        self.model.rest()
        self.do(self.stage.restart(crash=crash))

    def refused(self, asked: Coroutine[Any, Any, Any], refusal: type[Exception]) -> None:
        """See something refused, which leaves no trace."""
        before = self.do(self.stage.store.end())
        try:
            self.do(asked)
        except refusal:
            pass
        else:
            raise AssertionError(f"this is to be refused as {refusal.__name__}")
        self.do(self.stage.settle())
        assert self.do(self.stage.store.end()) == before

    @invariant()
    def the_engine_says_what_the_model_says(self) -> None:
        seen = self.do(self.stage.engine.get("run"))
        model = self.model
        assert seen.status == model.status
        assert {key: value for key, value in seen.state.items() if key in model.root.state} == (
            model.root.state
        )
        assert {(each.scope, each.node, each.kind) for each in seen.waits} == model.waits()
        assert sorted(self.stage.held) == model.tools()
        if seen.status == "parked":
            assert seen.reason == model.reason

    @invariant()
    def the_history_is_whole(self) -> None:
        events = self.do(self.stage.events())
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        last = max((i for i, event in enumerate(events) if event.type == "run.retried"), default=0)
        ends = [i for i, event in enumerate(events) if event.type in TERMINAL and i >= last]
        assert ends == ([len(events) - 1] if self.model.status in ENDED else [])
        run = fold(events)
        assert view(run) == self.do(self.stage.engine.get("run"))
        phases = [scope.position.phase for scope in run.scopes.values() if scope.position]
        assert {k: n for k, n in run.phases.items() if n} == {k: phases.count(k) for k in phases}
        under_way = [f"run{at.scope}{at.node}#{at.visit}.{at.attempt}" for at in places(run)]
        assert sorted(self.stage.held) == sorted(under_way)
        assert not self.stage.doubled
        if run.status != "running":
            assert not self.stage.engine._actors.active

    def teardown(self) -> None:
        try:
            if hasattr(self, "model"):
                self.do(self.bring_to_its_end())
        finally:
            self.do(self.stage.close())
            self.loop.close()

    async def bring_to_its_end(self) -> None:
        """Let everything go, give every signal, let all time pass: the run must end."""
        engine = self.stage.engine
        for _ in range(200):
            seen = await engine.get("run")
            if seen.done:
                return
            if seen.status in ("paused", "parked"):
                await engine.resume("run", limits=Limits(steps=10_000))
            elif any(wait.kind == "signal" for wait in seen.waits):
                await engine.signal("run", "go", 1)
            for name in list(self.stage.held):
                self.stage.held[name].set_result({})
            await self.stage.pass_time(100)
        raise AssertionError(f"the run is stuck: {seen}")


TestMachine = Machine.TestCase
TestMachine.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
