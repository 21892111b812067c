"""The inbox of an actor: messages in their order, and one wake-up for many."""

from __future__ import annotations

import asyncio
from typing import Any

from stenograph.engine.core.commands import Advance, Command
from stenograph.engine.executor.inbox import Inbox

COMMANDS: list[Command] = [Advance((str(number),)) for number in range(3)]


async def test_messages_come_out_in_the_order_of_their_coming() -> None:
    inbox = Inbox()
    for command in COMMANDS:
        inbox.put(command)
    assert [await inbox.get() for _ in COMMANDS] == [(command, None) for command in COMMANDS]
    assert len(inbox) == 0


async def test_a_reader_waits_for_the_first_message_and_has_its_reply() -> None:
    inbox, reply = Inbox(), asyncio.get_running_loop().create_future()
    reader = asyncio.create_task(inbox.get())
    await asyncio.sleep(0)
    inbox.put(COMMANDS[0], reply)
    assert await reader == (COMMANDS[0], reply)


async def test_many_messages_wake_a_reader_once() -> None:
    inbox, woken = Inbox(), 0

    async def read() -> list[Any]:
        nonlocal woken
        read = [await inbox.get()]
        woken += 1
        return [*read, *inbox.take_all()]

    reader = asyncio.create_task(read())
    await asyncio.sleep(0)
    for command in COMMANDS:
        inbox.put(command)
    assert [command for command, _ in await reader] == COMMANDS
    assert woken == 1


async def test_a_message_for_a_reader_who_is_gone_stays() -> None:
    inbox = Inbox()
    reader = asyncio.create_task(inbox.get())
    await asyncio.sleep(0)
    reader.cancel()
    inbox.put(COMMANDS[0])
    await asyncio.wait({reader})
    assert reader.cancelled()
    assert await inbox.get() == (COMMANDS[0], None)
