"""The crew of a run: the attempts that are under way, and those being stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import partial

from stenograph.engine.core.commands import Place
from stenograph.engine.core.edges import CompiledGraph, compile_graph
from stenograph.engine.core.events import ErrorInfo
from stenograph.engine.core.run import Run
from stenograph.engine.core.secrecy import Secrecy, secret_keys
from stenograph.engine.core.standing import running_at
from stenograph.engine.executor.attempt import Attempt, Raised, Result
from stenograph.engine.executor.recall import Recall
from stenograph.engine.executor.world import STOP_GRACE_S, World
from stenograph.engine.graphs.graph import TIMEOUT_S
from stenograph.engine.tools.site import Site


class Crew:
    """Makes what runs be what the run says should run: one attempt a scope at most.

    ``settled`` is told each result, ``said`` when an attempt has log lines to write.
    """

    def __init__(
        self,
        run: Run,
        world: World,
        *,
        settled: Callable[[Attempt, Result], None],
        said: Callable[[Attempt], None],
    ) -> None:
        self._run, self._world = run, world
        self._secrecy = Secrecy(None)
        self._recall: Recall | None = None
        self._settled, self._said = settled, said
        self._attempts: dict[str, Attempt] = {}
        self._stopping: list[asyncio.Task[None]] = []

    def share(self, secrecy: Secrecy) -> None:
        """Give the tools the secrets of the run."""
        self._secrecy = secrecy

    def recall(self, recall: Recall) -> None:
        """Have attempts answered from a recording, where they are the same."""
        self._recall = recall

    def __len__(self) -> int:
        return len(self._attempts)

    def scopes(self) -> list[str]:
        """Return the scopes in which an attempt is under way."""
        return list(self._attempts)

    def running_ms(self) -> dict[str, float]:
        """Return for how long each attempt has run, by scope."""
        return {path: attempt.running_ms() for path, attempt in self._attempts.items()}

    def follow(self, paths: Iterable[str], run: Run) -> None:
        """Start and stop attempts in these scopes, as ``run`` says, which may be ahead of the journal."""
        for path in paths:
            wanted = running_at(run, path)
            attempt = self._attempts.get(path)
            if attempt is not None and attempt.place != wanted:
                self._give_up(path)
            if wanted is not None and path not in self._attempts:
                self._begin(wanted, run)

    def answer(self, *, is_idle: bool) -> None:
        """Have the next attempt answered that a recording answers; ``is_idle``: no more is to come."""
        assert self._recall is not None, "only a rerun is answered"
        self._recall.answer(self._attempts, is_idle=is_idle)

    def let_go(self, attempt: Attempt) -> None:
        """Forget an attempt that came to its result."""
        if self._attempts.get(attempt.place.scope) is attempt:
            del self._attempts[attempt.place.scope]

    def keep(self, attempt: Attempt) -> None:
        """Hold on to an abandoned task until it ends: the loop itself only knows it weakly."""
        if attempt.task is not None and not attempt.task.done():
            self._stopping.append(attempt.task)
            self._world.strays.add(attempt.task)
            attempt.task.add_done_callback(self._world.strays.discard)

    def when_stopped(self, tell: Callable[[], None]) -> None:
        """Tell when all have stopped that were told to, or have had STOP_GRACE_S to do so."""
        self._stopping = [task for task in self._stopping if not task.done()]
        if not self._stopping:
            tell()
            return
        timer = self._world.clock.call_later(STOP_GRACE_S, tell)
        left = len(self._stopping)

        def stopped(_: object) -> None:
            nonlocal left
            left -= 1
            if not left:
                timer.cancel()
                tell()

        for task in self._stopping:
            task.add_done_callback(stopped)

    def close(self) -> None:
        """Stop everything."""
        for path in list(self._attempts):
            self._give_up(path)

    def _give_up(self, path: str) -> None:
        attempt = self._attempts.pop(path)
        attempt.abandon()
        self.keep(attempt)

    def _begin(self, place: Place, run: Run) -> None:
        graph = compile_graph(run.scopes[place.scope].graph)
        node = graph.nodes[place.node]
        attempt = Attempt(
            place,
            None if node.tool is None else self._world.registry.tools.get(node.tool),
            node.node.config,
            node.node.timeout_s or TIMEOUT_S,
            self._world,
            site=partial(self._site, place, graph),
            settled=self._settled,
            said=self._said,
            is_pure=self._world.is_pure(node),
        )
        self._attempts[place.scope] = attempt
        if self._recall is None or node.tool is None:
            self._start(attempt, node.tool, run)
        else:
            begin = partial(self._start, attempt, node.tool, run)
            self._recall.hold(attempt, begin, partial(self._refuse, attempt))

    def _start(self, attempt: Attempt, tool: str | None, run: Run) -> None:
        """Begin an attempt, if there is all that it needs."""
        scope = run.scopes[attempt.place.scope]
        try:
            keys = secret_keys(scope.graph) if self._secrecy else ()
            draft = self._secrecy.draft(scope.state, keys)
        except LookupError as error:
            self._refuse(attempt, ErrorInfo("secret-forgotten", str(error)), "LookupError")
            return
        if attempt.tool is None and tool is not None:
            message = f"there is no tool {tool!r} here; start with the module that offers it"
            self._refuse(attempt, ErrorInfo("UnknownTool", message), "UnknownTool")
        else:
            attempt.start(draft)

    def _refuse(self, attempt: Attempt, error: ErrorInfo, kind: str) -> None:
        self._settled(attempt, Raised(error, (kind,)))

    def _site(self, place: Place, graph: CompiledGraph) -> Site:
        return Site(
            run_id=self._run.id,
            scope=place.scope,
            node=place.node,
            visit=place.visit,
            attempt=place.attempt,
            start=graph.graph.start,
            is_last=not graph.nodes[place.node].edges,
            folder=self._world.folder,
            traceparent=self._run.traceparent,
            is_traced=self._world.is_traced,
        )
