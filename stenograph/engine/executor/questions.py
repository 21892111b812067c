"""Questions: the predicates that decisions wait for, asked beside the inbox, which goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from msgspec.structs import replace

from stenograph.engine.core.commands import Unanswered
from stenograph.engine.executor.asking import ask
from stenograph.engine.executor.attempt import Attempt
from stenograph.engine.executor.inbox import Errand, resolve
from stenograph.engine.executor.world import World


class Questions:
    """Asks what an errand depends on; ``answered`` is given the errand with the answers."""

    def __init__(self, world: World, answered: Callable[[Errand], None]) -> None:
        self._world, self._answered = world, answered
        self._errands: dict[asyncio.Task[None], Errand] = {}

    def __len__(self) -> int:
        return len(self._errands)

    def ask(self, errand: Errand, question: Unanswered) -> None:
        """Ask predicates for an errand's sake."""
        task = asyncio.get_running_loop().create_task(self._ask(errand, question))
        self._errands[task] = errand

    def keep(self, is_on: Callable[[Attempt], bool]) -> None:
        """Drop the questions of attempts that are over for the run."""
        for task, errand in list(self._errands.items()):
            if errand.attempt is not None and not is_on(errand.attempt):
                task.cancel()
                del self._errands[task]

    def close(self, error: Exception) -> None:
        """Drop all; whoever waits for one is told why."""
        for task, errand in self._errands.items():
            task.cancel()
            resolve(errand.reply, error)

    async def _ask(self, errand: Errand, question: Unanswered) -> None:
        world = self._world
        said = await ask(
            question.names,
            question.state,
            registry=world.registry,
            threads=world.asking,
            clock=world.clock,
        )
        known = {**errand.answers.get(question.asked, {}), **said}
        self._errands.pop(asyncio.current_task(), None)  # type: ignore[arg-type]
        self._answered(replace(errand, answers={**errand.answers, question.asked: known}))
