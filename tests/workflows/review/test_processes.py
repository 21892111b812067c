from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

import pytest

from stenograph.workflows.review.processes import Output, run

SLEEPY = "import os, sys, time; open(sys.argv[1], 'w').write(f'{os.getpid()}\\n'); time.sleep(600)"


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", code, *arguments]


def pid_in(path: Path) -> int:
    while not (path.exists() and path.read_text().endswith("\n")):
        time.sleep(0.01)
    return int(path.read_text())


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_program_is_given_its_input_and_asked_for_its_output() -> None:
    big = b"\x00\xff" * 1_000_000
    echo = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())"
    assert await run(python(echo), big) == Output(0, big, "", cut=False)


async def test_its_exit_code_and_complaint_are_told() -> None:
    output = await run(python("import sys; sys.exit('no: \\udcff')"), b"")
    assert output.code == 1
    assert output.stderr.startswith("no: ")


async def test_it_need_not_read_its_input() -> None:
    assert (await run(python("pass"), b"x" * 5_000_000)).code == 0


async def test_it_gets_the_environment_it_is_given() -> None:
    code = "import os; print(os.environ.get('GREETING'), end='')"
    env = {**os.environ, "GREETING": "hello"}
    assert (await run(python(code), b"", env=env)).stdout == b"hello"


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
async def test_one_that_writes_without_end_is_stopped(stream: str) -> None:
    endless = f"import sys\nwhile True: sys.{stream}.write('y' * 1000)"
    output = await run(python(endless), b"", output_max=100_000)
    assert output.cut
    assert output.code < 0
    assert len(output.stdout) + len(output.stderr) == 100_000


async def test_one_that_writes_no_more_than_it_may_is_not_stopped() -> None:
    output = await run(python("print('y' * 99, flush=True); print()"), b"", output_max=101)
    assert (output.code, output.cut, len(output.stdout)) == (0, False, 101)


async def test_one_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError, match=r"was stopped: it took longer than 2 s"):
        await run(python(SLEEPY, str(tmp_path / "pid")), b"", timeout_s=2)
    assert not is_alive(await asyncio.to_thread(pid_in, tmp_path / "pid"))


async def test_one_that_closes_its_output_and_stays_is_stopped_too() -> None:
    silent = "import os, time; os.closerange(0, 3); time.sleep(600)"
    with pytest.raises(TimeoutError, match=r"was stopped: it took longer than 1 s"):
        await run(python(silent), b"", timeout_s=1)


async def test_it_is_gone_when_whoever_waits_is_cancelled(tmp_path: Path) -> None:
    waiting = asyncio.create_task(run(python(SLEEPY, str(tmp_path / "pid")), b"x" * 5_000_000))
    pid = await asyncio.to_thread(pid_in, tmp_path / "pid")
    assert is_alive(pid)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not is_alive(pid)


async def test_one_that_cannot_be_started_is_an_os_error() -> None:
    with pytest.raises(FileNotFoundError):
        await run(["no-such-program"], b"")
