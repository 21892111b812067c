"""An outlet: messages to one client, and the cursor of what it was sent."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stenograph.http.streaming.outlet import Gone, Leave, Outlet

LOGS = [f'{{"type":"log","log":{{"seq":{n},"offset":{n + 100}}}}}' for n in range(1, 41)]
BATCH = '{"type":"logs","logs":[],"seq":7,"offset":8}'


class Client:
    """Takes so many messages, and then does as it is told."""

    def __init__(self, most: int, then: BaseException | None = None) -> None:
        self.most, self.then = most, then
        self.taken: list[str] = []

    async def send(self, message: Any) -> None:
        if len(self.taken) == self.most:
            if self.then is not None:
                raise self.then
            await asyncio.Event().wait()
        self.taken.append(message["text"])


async def test_messages_go_out_in_their_order_and_move_the_cursor() -> None:
    client = Client(100)
    outlet = Outlet(client.send)
    assert outlet.after is None
    await outlet.send_part(LOGS, 50, whole=False)
    await outlet.send_part(["x" * 200_000], 51, whole=False)
    assert client.taken[:-1] == LOGS
    assert outlet.after == 51


@pytest.mark.parametrize(("whole", "after"), [(False, 23), (True, 123)])
async def test_who_is_left_in_the_midst_of_much_is_left_with_the_cursor_of_what_was_sent(
    whole: bool, after: int
) -> None:
    client = Client(23, Leave(1013))
    outlet = Outlet(client.send)
    with pytest.raises(Leave):
        await outlet.send_part(LOGS, 40, whole=whole)
    assert outlet.after == after


@pytest.mark.parametrize(("whole", "after"), [(False, 7), (True, 8)])
async def test_so_is_who_is_sent_many_events_a_message(whole: bool, after: int) -> None:
    outlet = Outlet(Client(1).send)
    sending = asyncio.create_task(outlet.send_part([BATCH, BATCH], 9, whole=whole))
    await asyncio.sleep(0)
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    assert outlet.after == after


async def test_who_was_sent_nothing_stays_where_it_was() -> None:
    outlet = Outlet(Client(0, Leave(1012)).send)
    outlet.after = 5
    with pytest.raises(Leave):
        await outlet.send_part(LOGS, 40, whole=False)
    assert outlet.after == 5


async def test_a_client_that_has_left_is_told_of_as_gone() -> None:
    with pytest.raises(Gone):
        await Outlet(Client(0, OSError()).send).send("one")
