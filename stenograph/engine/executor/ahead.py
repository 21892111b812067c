"""Running ahead: what was decided need not be durable before a run goes on from one pure tool to the next."""

from __future__ import annotations

from stenograph.engine.core.decide import Decision
from stenograph.engine.core.edges import compile_graph
from stenograph.engine.core.run import Run
from stenograph.engine.core.standing import peek
from stenograph.engine.executor.inbox import Errand
from stenograph.engine.executor.world import World


def may_run_ahead(errand: Errand, decision: Decision, head: Run, world: World) -> bool:
    """Tell whether what was decided of ``head`` need not be durable before the run goes on.

    That is so while all that goes on are pure tools: what they do is done again after a crash, and
    nobody has seen it. Forks, and whatever somebody waits for, are left out.
    """
    attempt, run = errand.attempt, decision.run
    if attempt is None or not attempt.is_pure or not decision.events or decision.is_partial:
        return False
    if errand.reply or errand.said or errand.secrets:
        return False
    if run.status != "running" or run.halt or run.rerun or run.limits.time_s is not None:
        return False
    touched = [path for path in decision.touched if path in run.scopes]
    was_pure = _is_in_pure(head, attempt.place.scope, world)
    return was_pure and all(_is_in_pure(run, path, world) for path in touched)


def _is_in_pure(run: Run, path: str, world: World) -> bool:
    """Tell whether a pure node is all that a scope is in."""
    scope = peek(run, path)
    if scope is None or scope.fork is not None or scope.position is None:
        return False
    node = compile_graph(scope.graph).nodes[scope.position.node]
    return scope.position.phase == "running" and world.is_pure(node)
