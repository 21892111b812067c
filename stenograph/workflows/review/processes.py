"""A program run over one text: bounded in time and output, and gone when whoever waits is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

TIMEOUT_S: Final = 15.0
OUTPUT_MAX: Final = 16 * 1024 * 1024
"""Most bytes of output; a program that writes more is stopped there."""

_CHUNK: Final = 65_536


class Output(NamedTuple):
    """How a program ended and what it wrote; ``code`` is below 0 when a signal ended it.

    ``cut`` says that it wrote more than was allowed and was stopped there.
    """

    code: int
    stdout: bytes
    stderr: str
    cut: bool


async def run(
    command: Sequence[str],
    stdin: bytes,
    *,
    timeout_s: float = TIMEOUT_S,
    output_max: int = OUTPUT_MAX,
    env: Mapping[str, str] | None = None,
) -> Output:
    """Run a program, give it ``stdin``, and return what it wrote.

    Raises TimeoutError after ``timeout_s`` seconds and OSError when it cannot be started. However
    this ends, also by cancellation, the program has ended too.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=env,
    )
    assert process.stdin
    assert process.stdout
    assert process.stderr
    stop = partial(_stop, process)
    try:
        async with asyncio.timeout(timeout_s):
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_feed(process.stdin, stdin))
                out = tasks.create_task(_read(process.stdout, output_max, stop))
                err = tasks.create_task(_read(process.stderr, output_max, stop))
            code = await process.wait()
    except TimeoutError:
        name = Path(command[0]).name
        raise TimeoutError(f"{name} was stopped: it took longer than {timeout_s:g} s") from None
    finally:
        stop()
        # Reads the pipes to their end: with output left in one, wait() would not return.
        await process.communicate()
    stdout, stderr = out.result(), err.result()
    cut = max(len(stdout), len(stderr)) > output_max
    return Output(code, stdout[:output_max], stderr[:output_max].decode(errors="replace"), cut)


async def _feed(pipe: asyncio.StreamWriter, data: bytes) -> None:
    with suppress(BrokenPipeError, ConnectionResetError):  # it need not read all, or anything
        pipe.write(data)
        await pipe.drain()
    pipe.close()


async def _read(pipe: asyncio.StreamReader, limit: int, stop: Callable[[], None]) -> bytes:
    kept = bytearray()
    while chunk := await pipe.read(_CHUNK):
        if len(kept) > limit:
            continue  # what was still in the pipe when the program was stopped
        kept += chunk
        if len(kept) > limit:
            stop()
    return bytes(kept)


def _stop(process: asyncio.subprocess.Process) -> None:
    # Once, and never when it has ended: Popen.kill() takes the exit code away from asyncio.
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
