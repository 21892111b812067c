"""The inbox of an actor: what it may be told, and the answers that those wait for who ask."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from msgspec import Struct

from stenograph.engine.core.commands import Asked, Command, Resume, Signal, Start, ToolReturned
from stenograph.engine.core.edges import Answers
from stenograph.engine.executor.attempt import Attempt, Result
from stenograph.engine.executor.lane import Events

Reply: TypeAlias = "asyncio.Future[int]"
"""How many events a command has made, once they are durable."""


class Patient(asyncio.Future[int]):
    """A reply to a command that nobody would ask again: it waits while the journal cannot write."""


def is_patient(reply: Reply | None) -> bool:
    """Tell whether a command waits while the journal cannot write, instead of being refused."""
    return reply is None or isinstance(reply, Patient)


class Settled(Struct, frozen=True):
    """An attempt came to its result."""

    attempt: Attempt
    result: Result


class Said(Struct, frozen=True):
    """An attempt has log lines to write."""

    attempt: Attempt


class Errand(Struct, frozen=True):
    """A command to be decided: which attempt it ends, what predicates have said, and who waits.

    ``said``: what the attempt has said and is still to be written, before what is decided.
    """

    command: Command
    attempt: Attempt | None = None
    answers: Mapping[Asked, Answers] = {}
    reply: Reply | None = None
    said: Events = []

    @property
    def secrets(self) -> Mapping[str, bytes]:
        """What is to be kept apart from the events of the command."""
        if isinstance(self.command, (Start, ToolReturned, Signal, Resume)):
            return self.command.secrets
        return {}


Message: TypeAlias = Command | Settled | Said | Errand


class Inbox:
    """Messages in the order of their coming, for one reader, who is woken once for many."""

    def __init__(self) -> None:
        self._messages: deque[tuple[Message, Reply | None]] = deque()
        self._awaited: asyncio.Future[None] | None = None
        """What the reader waits for, if he does."""

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, message: Message, reply: Reply | None = None) -> None:
        """Add a message; its ``reply`` is what somebody waits for."""
        self._messages.append((message, reply))
        resolve(self._awaited, None)

    async def get(self) -> tuple[Message, Reply | None]:
        """Take out the oldest message, as soon as there is one."""
        if not self._messages:
            self._awaited = asyncio.get_running_loop().create_future()
            await self._awaited
            self._awaited = None
        return self._messages.popleft()

    def refuse(self, error: Exception) -> None:
        """Refuse all that somebody asks; what happened to the run itself waits."""
        waiting, self._messages = self._messages, deque()
        for message, reply in waiting:
            if is_patient(reply):
                self._messages.append((message, reply))
            else:
                resolve(reply, error)

    def take_all(self) -> Iterator[tuple[Message, Reply | None]]:
        """Take out all messages."""
        while self._messages:
            yield self._messages.popleft()


def resolve(future: asyncio.Future[Any] | None, error: Exception | None, value: Any = None) -> None:
    """Answer whoever waits, if anybody still does."""
    if future is None or future.done():
        return
    if error is None:
        future.set_result(value)
    else:
        future.set_exception(error)
        future.exception()  # seen: nobody need wait for it
