"""What runs in a worker process: it calls tools, one at a time, until the engine hangs up.

It imports little, since it starts while a run waits for it.
"""

from __future__ import annotations

import fcntl
import inspect
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import msgspec
from msgspec.msgpack import Decoder

from stenograph.engine.errors import NotJson, StateTooLarge
from stenograph.engine.executor.channel import IS_WORKER, Begun, Channel, Finished, Job, Said, pack
from stenograph.engine.tools.context import Context, LogLine, add
from stenograph.engine.tools.failure import Failure, failure_of
from stenograph.engine.tools.targets import resolve
from stenograph.engine.tools.tools import Goto, Tool
from stenograph.engine.tools.typed import caller_of, types_of
from stenograph.engine.values import canonical, clean, plain_key, pointer

WAIT_S: Final = 0.05
FLUSH_BYTES: Final = 64 * 1024


def main(socket_fd: int, life_fd: int) -> None:
    """Serve the engine at the other end of a socket; end at once when its process is gone."""
    IS_WORKER.set()
    for fd in (socket_fd, life_fd):
        os.set_inheritable(fd, False)
    die_with(life_fd)
    channel = Channel(socket.socket(fileno=socket_fd), Decoder(Job))
    # A child that a tool forks must not keep the socket open, nor speak for its parent.
    os.register_at_fork(after_in_child=channel.close)
    with suppress(OSError):  # the engine has hung up
        while (job := channel.receive()) is not None:
            channel.send(pack(Begun()))
            channel.send(answer(job, channel))


def die_with(life_fd: int) -> None:
    """End this process, and what it started, when the other end of a pipe is closed.

    On Linux the kernel sees to it, also while a call into C holds the interpreter's lock.
    """
    with suppress(AttributeError):  # F_SETSIG is Linux's own
        fcntl.fcntl(life_fd, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(life_fd, fcntl.F_SETSIG, signal.SIGKILL)
        flags = fcntl.fcntl(life_fd, fcntl.F_GETFL)
        fcntl.fcntl(life_fd, fcntl.F_SETFL, flags | os.O_ASYNC)
    threading.Thread(target=_watch, args=(life_fd,), name="stenograph-watch", daemon=True).start()


def _watch(life_fd: int) -> None:
    os.read(life_fd, 1)
    os.killpg(os.getpgrp(), signal.SIGKILL)  # pragma: no cover - nobody is left to count it


def answer(job: Job, channel: Channel[Job]) -> bytes:
    """Call the tool and return the message that says what came of it, after all that it said."""
    speaker = Speaker(channel)
    try:
        return pack(_call(job, speaker))
    except SystemExit:
        raise  # as a program of its own would: this process ends
    except (NotJson, StateTooLarge) as error:
        code = "not-json" if isinstance(error, NotJson) else "state-too-large"
        return pack(Failure((code,), str(error)))
    except BaseException as error:
        return pack(failure_of(error))
    finally:
        speaker.close()
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):  # the tool may have put anything there
                stream.flush()


class Speaker:
    """Sends what a tool logs: soon, many lines at once, and nothing after ``close``."""

    def __init__(self, channel: Channel[Job]) -> None:
        self._channel = channel
        self._lines: list[LogLine] = []
        self._bytes = 0
        self._closed = False
        self._adding, self._sending = threading.Lock(), threading.Lock()

    def put(self, line: LogLine) -> None:
        """Add a line, from any thread; waits while the engine does not keep up."""
        with self._adding:
            if self._closed:
                return
            is_first = not self._lines
            self._bytes += add(self._lines, line)
            is_much = self._bytes >= FLUSH_BYTES
        if is_much:
            self._flush()
        elif is_first:
            self._flush_soon()

    def close(self) -> None:
        """Send what is left."""
        with self._adding:
            self._closed = True
        self._flush()

    def _flush_soon(self) -> None:
        timer = threading.Timer(WAIT_S, self._flush)
        timer.daemon = True
        try:
            timer.start()
        except RuntimeError:  # there can be no more threads
            self._flush()

    def _flush(self) -> None:
        with self._sending:
            with self._adding:
                lines, self._lines, self._bytes = self._lines, [], 0
            if lines:
                with suppress(OSError):  # the engine has hung up
                    self._channel.send(pack(Said(lines)))


def _call(job: Job, speaker: Speaker) -> Finished:
    sys.path[:] = job.path
    found = resolve(job.target)
    if isinstance(found, Tool) and found.name == job.tool and found.version != job.version:
        raise RuntimeError(
            f"the source of tool {job.tool!r} has changed since the engine loaded it; start anew"
        )
    is_tool = isinstance(found, Tool)
    call = found.call if is_tool else caller_of(found, types_of(f"tool {job.tool!r}", found))
    state = msgspec.json.decode(job.state)
    offered = {"config": msgspec.json.decode(job.config), "ctx": _ctx(job, speaker)}
    value = call(state, **{name: offered[name] for name in job.extras})
    return _finished(job, state, value)


def _ctx(job: Job, speaker: Speaker) -> Context:
    return Context(job.site, now_us=lambda: time.time_ns() // 1000, write=speaker.put)


def _finished(job: Job, state: dict[Any, Any], value: Any) -> Finished:
    """Return what a tool did; raises NotJson or StateTooLarge."""
    goto, value = (value.to, value.update) if isinstance(value, Goto) else (None, value)
    value = {} if value is None or value is state else value
    other = "" if isinstance(value, Mapping) else clean(type(value).__name__, 200)
    if inspect.iscoroutine(value):
        value.close()
    update = {} if other else dict(value)
    before = msgspec.json.decode(job.state, type=dict[str, msgspec.Raw])
    in_place = _encoded({key: value for key, value in state.items() if key not in update})
    changed = {key: data for key, data in in_place.items() if data != bytes(before.get(key, b""))}
    returned = _encoded(update)
    size = sum(map(len, changed.values())) + sum(map(len, returned.values()))
    _check_size(size, job.state_bytes)
    gone = [key for key in before if key not in state]
    return Finished(changed=changed, gone=gone, returned=returned, goto=goto, other=other)


def _encoded(values: Mapping[Any, Any]) -> dict[str, bytes]:
    keys = {plain_key(key): value for key, value in values.items()}
    return {key: canonical(value, pointer(key))[0] for key, value in keys.items()}


def _check_size(size: int, most: int) -> None:
    if size > most:
        raise StateTooLarge(
            f"the state would grow to {size:,} bytes of JSON or more; it may have {most:,}"
        )
