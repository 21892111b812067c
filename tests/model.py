"""What a run must be, said a second time: programs of a small family, interpreted directly.

No events, no fold, no decisions: a scope is an object that walks through its steps. A program is a
list of steps; ``as_graph`` spells it as a graph for the real engine.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, TypeAlias

from msgspec import Struct, field

KEYS = {"log": "concat", "total": "add", "go": "append"}
LOST_MAX = 3


class Call(Struct, frozen=True):
    """A tool, tried so often, with so many seconds between; entered so often in a row."""

    attempts: int = 1
    delay_s: float = 0.0
    times: int = 1


class Ask(Struct, frozen=True):
    """A wait for the signal ``go``; after ``timeout_s`` it goes on without."""

    timeout_s: float | None = None


class Sleep(Struct, frozen=True):
    """A wait for a time."""

    for_s: float


class Sub(Struct, frozen=True):
    """A sub-graph, which may take so long."""

    body: tuple[Step, ...]
    timeout_s: float | None = None


class Split(Struct, frozen=True):
    """A fork: static, or with ``items`` a map of its one body."""

    bodies: tuple[tuple[Step, ...], ...]
    items: int | None = None
    need: int | None = None
    width: int | None = None

    @property
    def count(self) -> int:
        return len(self.bodies) if self.items is None else self.items


Step: TypeAlias = Call | Ask | Sleep | Sub | Split


def as_graphs(name: str, steps: tuple[Step, ...]) -> list[dict[str, Any]]:
    """Return a program as a graph, with those that it calls before it."""
    inner: list[dict[str, Any]] = []
    nodes: dict[str, Any] = {}
    _lay(steps, "", nodes, inner, name)
    keys = {key: {"reducer": reducer} for key, reducer in KEYS.items()}
    return [*inner, {"id": name, "start": next(iter(nodes)), "nodes": nodes, "state": keys}]


def _lay(
    steps: tuple[Step, ...], at: str, nodes: dict[str, Any], inner: list[dict[str, Any]], name: str
) -> None:
    for index, step in enumerate(steps):
        here, after = f"{at}{index}", f"{at}{index + 1}" if index + 1 < len(steps) else None
        node: dict[str, Any] = {"next": after}
        nodes[here] = node
        match step:
            case Call(attempts=attempts, delay_s=delay_s, times=times):
                retry = {"attempts": attempts, "delay_s": delay_s, "factor": 1, "jitter": False}
                node |= {"tool": "hold", "timeout_s": 1e8, "retry": retry}
                if times > 1:
                    onward = [{"to": after}] if after else []
                    node["next"] = [{"to": here, "max": times - 1}, *onward]
            case Ask(timeout_s=timeout_s):
                node["wait"] = {"signal": "go", "schema": {"type": "integer"}}
                if timeout_s is not None:
                    node["wait"]["timeout_s"] = timeout_s
                    ways = [{"to": after or "$end"}, {"to": after or "$end", "on": "timeout"}]
                    node["next"] = ways
            case Sleep(for_s=for_s):
                node["wait"] = {"for_s": for_s}
            case Sub(body=body, timeout_s=timeout_s):
                inner += as_graphs(f"{name}.{here}", body)
                node |= {"graph": f"{name}.{here}", "timeout_s": timeout_s}
            case Split():
                joined = f"{here}j"
                bodies = [f"{here}{chr(97 + each)}" for each in range(len(step.bodies))]
                edge: dict[str, Any] = {"to": [f"{body}0" for body in bodies], "join": joined}
                if step.items is not None:
                    edge |= {"to": f"{bodies[0]}0", "each": f"items{step.items}"}
                edge |= {"need": step.need, "width": step.width}
                node["next"] = {key: value for key, value in edge.items() if value is not None}
                for each, body in zip(bodies, step.bodies, strict=True):
                    _lay(body, each, nodes, inner, name)
                nodes[joined] = {"next": after}


class Scope(Struct, eq=False):
    """A scope on its way through ``steps``: at which it stands, and in what phase."""

    path: str
    at: str
    steps: tuple[Step, ...]
    state: dict[str, Any]
    parent: Scope | None = None
    phase: Literal[
        "enter", "router", "tool", "wait", "back-off", "call", "fork", "failed", "done"
    ] = "enter"
    index: int = 0
    times: int = 0
    attempt: int = 0
    tries: int = 0
    lost: int = 0
    due: float | None = None
    since: int = 0
    is_joined: bool = False
    stopped: bool = False
    children: list[Scope] = field(default_factory=list)

    @property
    def step(self) -> Any:
        return self.steps[self.index]

    @property
    def node(self) -> str:
        return f"{self.at}{self.index}" + "j" * self.is_joined

    @property
    def name(self) -> str:
        return f"run{self.path}{self.node}#{self.times + 1}.{self.attempt}"

    def live(self) -> Iterator[Scope]:
        """Yield this scope and those within it that go on, the outer first."""
        if not self.stopped and self.phase not in ("done", "failed"):
            yield self
            for child in self.children:
                yield from child.live()

    def all(self) -> Iterator[Scope]:
        yield self
        for child in self.children:
            yield from child.all()


class Model:
    """A run of a program, as the rules of the design say it must be."""

    def __init__(self, steps: tuple[Step, ...], state: dict[str, Any], limit: int) -> None:
        self.root = Scope("/", "", steps, state)
        self.status = "running"
        self.reason = ""  # why it is parked
        self.halt = ""  # why it begins nothing new, although it has not come to rest yet
        self.limit, self.entered, self.now, self.clock = limit, 0, 0.0, 0
        self.signals: list[int] = []
        self.ready: list[Scope] = [self.root]
        self.routers: list[Scope] = []
        self.judged: Scope | None = None  # what a person must judge
        self._settle()

    # What happens

    def finish(self, name: str, value: int) -> None:
        scope = self._tool(name)
        scope.state = {
            **scope.state,
            "log": [*scope.state["log"], value],
            "total": scope.state["total"] + value,
        }
        self._left(scope)
        self._settle()

    def fail(self, name: str) -> None:
        scope = self._tool(name)
        scope.tries += 1
        if scope.tries < scope.step.attempts:
            scope.phase, scope.due = "back-off", self.now + scope.step.delay_s
        else:
            self._fail(scope)
        self._settle()

    def signal(self, value: int) -> None:
        self.signals.append(value)
        waiting = [each for each in self._at("wait") if isinstance(each.step, Ask)]
        self.ready += sorted(waiting, key=lambda each: each.since)[:1]
        self._settle()

    def pause(self) -> None:
        if self.status in ("running", "waiting"):
            self.halt = "pause"
            self._settle()

    def resume(self, limit: int | None) -> None:
        self.limit = limit or self.limit
        self.halt, self.status, self.reason = "", "running", ""
        if self.judged is not None:
            self.judged.lost, self.judged = 0, None
        self._look()

    def retry(self) -> None:
        self.halt, self.status = "", "running"
        for scope in self.root.all():
            if scope.phase == "failed" or (
                scope.stopped and scope.phase in ("tool", "router", "wait", "back-off")
            ):
                scope.phase, scope.due, scope.tries = "enter", None, 0
            elif scope.phase == "call" and scope.step.timeout_s is not None:
                scope.due = self.now + scope.step.timeout_s
            scope.stopped, scope.lost = False, 0
        self._look()

    def cancel(self) -> None:
        self.status, self.reason = "cancelled", "enough"

    def crash(self) -> None:
        """Lose what runs, and begin it again."""
        if self.status in ("running", "waiting"):
            self.routers.clear()
            for scope in self._at("tool", "router"):
                scope.phase, scope.lost = "enter", scope.lost + 1
            self._look()

    def rest(self) -> None:
        """Do all that is done by itself, while no tool comes back and no time passes."""
        self.pass_time(0)
        while self.routers:
            scope = self.routers.pop(0)
            if scope.phase == "router" and scope in self.root.live():
                if scope.is_joined:
                    self._left(scope)
                else:
                    scope.phase = "fork"
                    self.ready.append(scope)
                self._settle()
            self.pass_time(0)

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        while self._goes_on() and (due := self._due()):
            first = min(due, key=lambda each: (each.due, each.path))
            self._ring(first)
            self._settle()

    # What is to be seen

    def tools(self) -> list[str]:
        if self.status not in ("running", "waiting"):
            return []
        return sorted(scope.name for scope in self._at("tool"))

    def waits(self) -> set[tuple[str, str, str]]:
        if self.status in ("completed", "failed", "cancelled"):
            return set()
        return {
            (each.path, each.node, "signal" if isinstance(each.step, Ask) else "time")
            for each in self._at("wait")
        }

    # How

    def _at(self, *phases: str) -> list[Scope]:
        return [scope for scope in self.root.live() if scope.phase in phases]

    def _tool(self, name: str) -> Scope:
        return next(scope for scope in self._at("tool") if scope.name == name)

    def _goes_on(self) -> bool:
        return self.status in ("running", "waiting") and not self.halt

    def _due(self) -> list[Scope]:
        timed = self._at("wait", "back-off", "call")
        return [each for each in timed if each.due is not None and each.due <= self.now]

    def _ring(self, scope: Scope) -> None:
        scope.due = None
        if scope.phase == "back-off":
            scope.phase = "enter"
            self.ready.append(scope)
        elif scope.phase == "call":
            scope.children = []
            self._fail(scope)
        else:
            self._left(scope)

    def _look(self) -> None:
        """Look at everything: after a crash, and when a person lets the run go on."""
        self.ready = list(self.root.live())
        doubtful = [each for each in self.ready if each.phase == "enter" and each.lost >= LOST_MAX]
        if doubtful and self._goes_on():
            self.judged = doubtful[0]
            self.status, self.reason = "parked", "crash-loop"
        self._settle()

    def _settle(self) -> None:
        while self.ready and self.status in ("running", "waiting"):
            scope = self.ready.pop(0)
            if scope.phase == "fork":
                self._tend(scope)
            elif self._goes_on() and scope in self.root.live():
                if scope.phase == "enter":
                    self._enter(scope)
                elif scope.phase == "wait" and isinstance(scope.step, Ask) and self.signals:
                    value = self.signals.pop(0)
                    scope.state = {**scope.state, "go": [*scope.state["go"], value]}
                    self._left(scope)
        if self.status not in ("running", "waiting"):
            return
        if self.halt and not self._at("tool", "router"):
            self.status = "paused" if self.halt == "pause" else "parked"
            self.reason = "limit" if self.halt == "limit" else ""
        else:
            idle = self._at("wait") and not self._at("tool", "router", "back-off")
            self.status = "waiting" if idle else "running"

    def _is_at_limit(self) -> bool:
        if self.entered >= self.limit:
            self.halt = "limit"
        return self.halt == "limit"

    def _enter(self, scope: Scope) -> None:
        if scope.attempt == 0:
            if self._is_at_limit():
                return
            self.entered += 1
        scope.attempt += 1
        match scope.step:
            case Split():
                scope.phase = "router"
                self.routers.append(scope)
            case Call():
                scope.phase = "tool"
            case Ask(timeout_s=timeout_s):
                self._wait(scope, timeout_s)
            case Sleep(for_s=for_s):
                self._wait(scope, for_s)
            case Sub(body=body, timeout_s=timeout_s):
                scope.phase = "call"
                scope.due = None if timeout_s is None else self.now + timeout_s
                path = f"{scope.path}{scope.node}#1/"
                scope.children = [Scope(path, "", body, scope.state, scope)]
                self.ready.append(scope.children[0])
            case step:
                raise AssertionError(f"no step: {step!r}")

    def _wait(self, scope: Scope, seconds: float | None) -> None:
        self.clock += 1
        scope.phase, scope.since = "wait", self.clock
        scope.due = None if seconds is None else self.now + seconds
        self.ready.append(scope)

    def _left(self, scope: Scope) -> None:
        """Go on behind a node that was left well."""
        scope.attempt = scope.tries = scope.lost = 0
        scope.due, scope.phase = None, "enter"
        if isinstance(scope.step, Call) and scope.times + 1 < scope.step.times:
            scope.times += 1
        elif scope.index + 1 < len(scope.steps):
            scope.index, scope.times, scope.is_joined = scope.index + 1, 0, False
        else:
            scope.phase = "done"
            self._ended(scope)
            return
        self.ready.append(scope)

    def _ended(self, scope: Scope) -> None:
        parent = scope.parent
        if parent is None:
            self.status = "completed"
        elif parent.phase == "call":
            parent.state, parent.children = scope.state, []
            self._left(parent)
        else:
            self.ready.append(parent)

    def _fail(self, scope: Scope) -> None:
        scope.phase = "failed"
        parent = scope.parent
        if parent is None:
            self.status = "failed"
        elif parent.phase == "call":
            self._fail_through(parent)
        else:
            _stop(scope)
            scope.stopped = False
            self.ready.append(parent)

    def _fail_through(self, scope: Scope) -> None:
        """Fail a scope for what failed within it, where a retry goes on."""
        if scope.parent is None:
            self.status = "failed"
        elif scope.parent.phase == "call":
            self._fail_through(scope.parent)
        else:
            _stop(scope)
            self.ready.append(scope.parent)

    def _tend(self, scope: Scope) -> None:
        """Enter one more branch, or join, or fail."""
        split, branches = scope.step, scope.children
        need = split.count if split.need is None else min(split.need, split.count)
        arrived = [each for each in branches if each.phase == "done"]
        open_ = [each for each in branches if each in list(scope.live())]
        failed = len(branches) - len(arrived) - len(open_)
        if split.count - failed < need:
            _stop_open(branches)
            self._fail_through(scope)
        elif len(arrived) >= need:
            self._join(scope, arrived)
        elif (
            len(branches) < split.count
            and len(open_) < (split.width or split.count)
            and self._goes_on()
            and not self._is_at_limit()
        ):
            index = len(branches)
            body = split.bodies[0 if split.items is not None else index]
            at = f"{scope.node}{chr(97 + (0 if split.items is not None else index))}"
            path = f"{scope.path}{scope.node}#1[{index}]/"
            branch = Scope(path, at, body, scope.state, scope)
            branches.append(branch)
            self.ready.append(scope)
            self._enter(branch)

    def _join(self, scope: Scope, arrived: list[Scope]) -> None:
        old = scope.state
        new = dict(old)
        for branch in arrived:
            for key in ("log", "go"):
                new[key] = [*new[key], *branch.state[key][len(old[key]) :]]
            new["total"] += branch.state["total"] - old["total"]
        scope.state, scope.children = new, []
        scope.is_joined, scope.attempt, scope.phase = True, 0, "enter"
        self.ready.append(scope)


def _stop(scope: Scope) -> None:
    for each in scope.all():
        if each.phase not in ("done",):
            each.stopped = True


def _stop_open(branches: list[Scope]) -> None:
    for branch in branches:
        if branch.phase != "done":
            _stop(branch)
