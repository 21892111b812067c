"""What a worker does with a call, seen from within: the parts that a killed one cannot tell of."""

from __future__ import annotations

import sys
import threading
from typing import Any, cast

import pytest
from msgspec.structs import replace

from stenograph.engine.errors import StateTooLarge
from stenograph.engine.executor.channel import Channel, Job
from stenograph.engine.executor.worker import Speaker, _call
from stenograph.engine.tools.context import LogLine
from stenograph.engine.tools.lines import FLUSH_BYTES
from stenograph.engine.tools.targets import target_of
from tests.graphs import square
from tests.sites import site


class Heard:
    """The engine's end: what has been sent to it."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send(self, data: bytes) -> None:
        self.sent.append(data)


def speaker(heard: Heard) -> Speaker:
    return Speaker(cast("Channel[Job]", heard))


def job(state: bytes = b'{"n":3}') -> Job:
    return Job(
        target=target_of(square.name, square.function),
        path=list(sys.path),
        tool=square.name,
        version=square.version,
        extras=square.extras,
        state=state,
        config=b"{}",
        site=site(),
    )


def line(text: str = "hello") -> LogLine:
    return LogLine(1, "info", text, b"")


def test_a_call_comes_back_with_what_it_returned() -> None:
    assert _call(job(), speaker(Heard())).returned == {"n": b"9"}


def test_a_tool_whose_source_has_changed_is_not_called() -> None:
    with pytest.raises(RuntimeError, match="has changed since the engine loaded it"):
        _call(replace(job(), version="another"), speaker(Heard()))


def test_what_a_state_cannot_hold_is_not_sent_back() -> None:
    with pytest.raises(StateTooLarge):
        _call(replace(job(), state_bytes=0), speaker(Heard()))


def test_many_lines_are_sent_at_once_and_none_after_the_end() -> None:
    heard = Heard()
    speaking = speaker(heard)
    speaking.put(line("x" * FLUSH_BYTES))
    assert len(heard.sent) == 1
    speaking.close()
    speaking.put(line())
    assert len(heard.sent) == 1


def test_without_a_thread_to_wait_in_a_line_is_sent_now(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(timer: Any) -> None:
        raise RuntimeError("can't start new thread")

    heard = Heard()
    monkeypatch.setattr(threading.Timer, "start", refuse)
    speaker(heard).put(line())
    assert len(heard.sent) == 1
