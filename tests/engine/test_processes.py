"""Tools in worker processes: as in a thread, and besides they can be stopped, and may die."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stenograph.engine.executor.attempt import Attempt, Result, Returned
from stenograph.engine.executor.channel import IS_WORKER
from stenograph.engine.executor.processes import Ending, Processes
from stenograph.engine.state.state import State
from stenograph.engine.tools.context import LogLine
from stenograph.engine.tools.tools import Goto, Tool, tool
from tests.clocks import VirtualClock
from tests.engine import process_tools as tools
from tests.sites import PLACE, site
from tests.worlds import world

SOON_S = 60


@pytest.fixture(scope="module")
def shared() -> Iterator[Processes]:
    """Workers for the whole file, since one takes a while to start."""
    processes = Processes(2)
    yield processes
    asyncio.run(processes.close())


class Trial:
    """One attempt in a worker, on a clock that stands still."""

    def __init__(self, processes: Processes, tool: Tool, **state: Any) -> None:
        self.clock = VirtualClock()
        self.result: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.lines: list[LogLine] = []
        self.spoke = asyncio.Event()
        self.draft = State.from_values(state).draft()
        self.attempt = Attempt(
            PLACE,
            tool,
            {"a": 1},
            5,
            world(self.clock, processes=processes),
            site=site,
            settled=self.settle,
            said=self.take,
        )
        self.attempt.start(self.draft)

    def settle(self, attempt: Attempt, result: Result) -> None:
        self.take(attempt)
        self.result.set_result(result)

    def take(self, attempt: Attempt) -> None:
        self.lines += attempt.take_lines()
        self.spoke.set()

    async def ended(self) -> Any:
        return await asyncio.wait_for(self.result, SOON_S)

    async def has_begun(self) -> None:
        await until(lambda: self.attempt.has_begun)

    async def said(self) -> dict[str, Any]:
        """The fields of the first line, as soon as it is there."""
        await until(
            lambda: len(self.clock.timers) > 1 or self.lines
        )  # the line, and the time limit
        self.clock.advance(0.1)
        await asyncio.wait_for(self.spoke.wait(), SOON_S)
        fields: dict[str, Any] = json.loads(self.lines[0].fields)
        return fields


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(SOON_S):
        while not condition():  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.005)


async def result_of(processes: Processes, tool: Tool, **state: Any) -> Any:
    return await Trial(processes, tool, **state).ended()


async def pid_of(processes: Processes) -> int:
    result = await result_of(processes, tools.pid)
    return int(result.value["pid"])


def is_gone(pid: int) -> bool:
    """Tell whether a process has ended; one that nobody has waited for yet has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):  # the latter when it goes while it is read
        return True


def is_known(pid: int) -> bool:
    """Tell whether a process has not ended, or has and nobody has waited for it."""
    return Path(f"/proc/{pid}").exists()


async def test_a_tool_runs_in_another_process_with_a_plain_dict(shared: Processes) -> None:
    result = await result_of(shared, tools.pid)
    assert result.value["pid"] not in (os.getpid(), os.getppid())
    assert result.value["group"] == result.value["pid"], "a Ctrl-C is not for it"
    assert result.value["type"] == "dict"


async def test_what_it_changed_in_place_and_what_it_returned_come_back(shared: Processes) -> None:
    values = {"list": [1, 2], "gone": 1, "same": {"x": 1.5}, "nan": None}
    trial = Trial(shared, tools.change, **values)
    result = await trial.ended()
    assert result == Returned({"returned": [1, 2]})
    assert sorted(trial.draft.touched()) == ["gone", "list", "new"]
    assert dict(trial.draft) == {
        "list": [1, 2, 3],
        "same": {"x": 1.5},
        "new": {"a": None},
        "nan": None,
    }


async def test_a_large_state_comes_and_goes_whole(shared: Processes) -> None:
    trial = Trial(shared, tools.change, list=["x" * 100] * 15_000, gone=0, nan=1)
    assert await trial.ended() == Returned({"returned": [1, 2]})
    assert (len(trial.draft["list"]), trial.draft["nan"]) == (15_001, None)


async def test_a_state_that_is_returned_unchanged_changes_nothing(shared: Processes) -> None:
    trial = Trial(shared, tools.change_nothing, a=[1], b=1e22, c="ä\u2028")
    assert await trial.ended() == Returned({})
    assert trial.draft.touched() == []


async def test_a_goto_comes_back(shared: Processes) -> None:
    assert await result_of(shared, tools.go) == Returned(Goto("there", {"n": 2}))
    trial = Trial(shared, tools.go_with_state, n=1)
    assert await trial.ended() == Returned(Goto("there", {}))
    assert trial.draft["n"] == 3


async def test_a_tool_is_told_who_calls_and_given_its_config(shared: Processes) -> None:
    result = await result_of(shared, tools.tell)
    assert result.value["who"] == ["run", "/", "node", 2, 3, "run/node/2"]
    assert result.value["config"] == {"a": 1, "seen": True}
    assert (await result_of(shared, tools.tell)).value["config"] == {"a": 1, "seen": True}


async def test_lines_arrive_while_the_tool_runs(shared: Processes, tmp_path: Path) -> None:
    async with asyncio.timeout(SOON_S):
        trial = Trial(shared, tools.talk_and_wait, until=str(tmp_path / "go"))
        fields = await trial.said()
        assert not trial.result.done()
        assert (trial.lines[0].message, trial.lines[0].level) == ("I am", "warning")
        assert not is_gone(fields["pid"])
        (tmp_path / "go").touch()
        assert await trial.ended() == Returned({})
        assert len(trial.lines) == 1


async def test_many_lines_come_in_their_order_before_the_result(shared: Processes) -> None:
    trial = Trial(shared, tools.chatter, lines=3000, size=100)
    assert isinstance(await trial.ended(), Returned)
    assert [each.message for each in trial.lines] == [str(n) for n in range(3000)]


async def test_what_is_said_after_the_end_is_dropped(shared: Processes, tmp_path: Path) -> None:
    async with closing(Processes(1)) as processes:
        trial = Trial(processes, tools.talk_too_late)
        await trial.ended()
        wait = Trial(processes, tools.talk_and_wait, until=str(tmp_path / "go"))
        await wait.said()
        await asyncio.sleep(0.2)  # until after it was said
        (tmp_path / "go").touch()
        await wait.ended()
        assert [each.message for each in trial.lines + wait.lines] == ["in time", "I am"]


async def test_lines_arrive_where_there_can_be_no_more_threads(shared: Processes) -> None:
    trial = Trial(shared, tools.talk_without_threads)
    await trial.ended()
    assert [each.message for each in trial.lines] == ["all the same"]


async def test_very_many_steps_of_progress_cost_a_handful_of_lines(shared: Processes) -> None:
    trial = Trial(shared, tools.advance, steps=200_000)
    await trial.ended()
    assert 1 <= len(trial.lines) <= 10
    assert json.loads(trial.lines[-1].fields) == {"done": 200_000, "total": 200_000}


async def test_an_exception_tells_its_type_its_bases_its_message_and_its_traceback(
    shared: Processes,
) -> None:
    trial = Trial(shared, tools.fail, n=1)
    result = await trial.ended()
    assert result.types == ("KeyError", "LookupError", "Exception", "BaseException")
    assert (result.error.type, result.error.message) == ("KeyError", "'colour'")
    assert 'raise dict[str, int]()["colour"]' in result.error.traceback
    assert "stenograph/engine/executor/worker.py" not in result.error.traceback
    assert trial.draft["n"] == 1, "what was half done is dropped"


@pytest.mark.parametrize(
    ("how", "code"),
    [("exit", "3"), ("_exit", "4"), ("kill", "-9 (SIGKILL)"), ("segfault", "-11 (SIGSEGV)")],
)
async def test_the_death_of_a_worker_is_an_error_with_its_exit_code(
    shared: Processes, how: str, code: str
) -> None:
    result = await result_of(shared, tools.die, how=how)
    assert (result.error.type, result.types) == ("ProcessDied", ("ProcessDied",))
    assert result.error.message == f"the worker process ended with exit code {code}"
    assert not result.timed_out


@pytest.mark.parametrize(
    ("what", "error"),
    [
        ("set", "not-json: /a/b is of type set; a state holds JSON values only"),
        ("nan", "not-json: /a is nan, which JSON cannot write; use null or text"),
        ("key", "not-json: the value has the key 5; keys are text"),
        ("in place", "not-json: /a is of type set; a state holds JSON values only"),
        (
            "large",
            "state-too-large: the state would grow to 5,000,002 bytes of JSON or more; "
            "it may have 4,194,304",
        ),
    ],
)
async def test_what_no_state_can_hold_is_an_error(shared: Processes, what: str, error: str) -> None:
    result = await result_of(shared, tools.misreturn, what=what)
    assert f"{result.error.type}: {result.error.message}" == error
    assert result.types == (result.error.type,)


@pytest.mark.parametrize(
    ("what", "kind"), [("object", "ellipsis"), ("list", "list"), ("coroutine", "coroutine")]
)
async def test_of_what_no_tool_may_return_the_type_comes_back(
    shared: Processes, what: str, kind: str
) -> None:
    result = await result_of(shared, tools.misreturn, what=what)
    assert type(result.value).__name__ == kind


async def test_a_tool_whose_source_has_changed_since_is_not_run(
    shared: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools.pid, "version", "older")
    result = await result_of(shared, tools.pid)
    assert result.error.message == (
        "the source of tool 'pid' has changed since the engine loaded it; start anew"
    )


async def test_a_tool_declared_anew_under_another_name_is_that_function(shared: Processes) -> None:
    again = tool(name="again", version="2", process=True)(tools.pid)
    assert (await result_of(shared, again)).value["type"] == "dict"


async def test_a_result_that_cannot_be_sent_is_an_error(shared: Processes) -> None:
    result = await result_of(shared, tools.misreturn, what="surrogate")
    assert result.error.type == "UnicodeEncodeError"


@pytest.mark.parametrize("tool", [tools.burn, tools.burn_deaf], ids=["burning", "deaf"])
async def test_a_tool_that_is_out_of_time_is_stopped(shared: Processes, tool: Tool) -> None:
    trial = Trial(shared, tool)
    pid = (await trial.said())["pid"]
    trial.clock.advance(5)
    result = await trial.ended()
    assert (result.timed_out, result.error.type) == (True, "TimeoutError")
    await until(lambda: is_gone(pid))
    assert await pid_of(shared) != pid


async def test_what_a_tool_started_is_stopped_with_it(shared: Processes) -> None:
    trial = Trial(shared, tools.start_another)
    pid = (await trial.said())["pid"]
    trial.attempt.abandon()
    trial.attempt.abandon()
    await until(lambda: is_gone(pid))
    assert not trial.result.done()


async def test_a_child_that_a_tool_forked_does_not_speak_for_it() -> None:
    async with closing(Processes(1)) as processes:
        result = await result_of(processes, tools.fork_and_return_twice)
        assert result.value["child"] > 0
        assert await pid_of(processes) > 0
        result = await result_of(processes, tools.fork_and_die)
        assert result.error.message == "the worker process ended with exit code 4"


async def test_time_counts_from_when_the_worker_has_the_call() -> None:
    async with closing(Processes(1)) as processes:
        first = Trial(processes, tools.burn)
        second = Trial(processes, tools.pid)
        assert (first.attempt.has_begun, second.attempt.has_begun) == (False, False)
        await first.has_begun()
        second.clock.advance(60)
        assert not second.result.done()
        first.attempt.abandon()
        assert isinstance(await second.ended(), Returned)
        assert second.attempt.running_ms() == 0


async def test_a_call_that_is_abandoned_while_it_waits_is_never_made() -> None:
    async with closing(Processes(1)) as processes:
        first, second = Trial(processes, tools.burn), Trial(processes, tools.pid)
        second.attempt.abandon()
        await first.has_begun()
        first.attempt.abandon()
        third = Trial(processes, tools.pid)
        third_pid = (await third.ended()).value["pid"]
        assert await pid_of(processes) == third_pid
        assert not second.result.done()


async def test_a_call_that_is_abandoned_while_its_worker_starts_is_never_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    starting, go, start = threading.Event(), threading.Event(), subprocess.Popen

    def slowly(*args: Any, **options: Any) -> Any:
        starting.set()
        assert go.wait(SOON_S)
        return start(*args, **options)

    monkeypatch.setattr("stenograph.engine.executor.processes.subprocess.Popen", slowly)
    async with closing(Processes(1)) as processes:
        trial = Trial(processes, tools.burn)
        assert starting.wait(SOON_S)
        trial.attempt.abandon()
        go.set()
        assert await pid_of(processes) > 0
        assert not trial.attempt.has_begun


async def test_a_call_that_ends_as_it_is_abandoned_changes_nothing(shared: Processes) -> None:
    trial = Trial(shared, tools.change, list=[], gone=1, nan=1)
    call = trial.attempt._process_call
    assert call is not None
    ended, told = threading.Event(), call.ended

    def hear(ending: Ending) -> None:
        told(ending)
        ended.set()

    call.ended = hear
    assert ended.wait(SOON_S)  # the loop stands still, and has not heard of the end
    trial.attempt.abandon()
    await asyncio.sleep(0)
    assert not trial.result.done()
    assert trial.draft.touched() == []


async def test_a_worker_is_used_again() -> None:
    async with closing(Processes(1)) as processes:
        assert await pid_of(processes) == await pid_of(processes)


async def test_a_worker_that_died_while_it_was_idle_is_replaced() -> None:
    async with closing(Processes(1)) as processes:
        pid = await pid_of(processes)
        os.kill(pid, signal.SIGKILL)
        assert await pid_of(processes) != pid


async def test_a_worker_without_calls_ends_after_a_while() -> None:
    async with closing(Processes(1, idle_s=0.01)) as processes:
        pid = await pid_of(processes)
        await until(lambda: not is_known(pid))
        assert await pid_of(processes) != pid


async def test_workers_work_at_the_same_time_and_no_more_than_the_limit(tmp_path: Path) -> None:
    async with closing(Processes(2)) as processes:
        go = str(tmp_path / "go")
        trials = [Trial(processes, tools.talk_and_wait, until=go) for _ in range(3)]
        pids = {(await trial.said())["pid"] for trial in trials[:2]}
        assert len(pids) == 2
        assert not trials[2].attempt.has_begun
        (tmp_path / "go").touch()
        for trial in trials:
            await trial.ended()
        assert json.loads(trials[2].lines[0].fields)["pid"] in pids


async def test_closing_ends_all_workers_and_leaves_nothing_behind() -> None:
    before, threads = set(os.listdir("/proc/self/fd")), set(threading.enumerate())
    processes = Processes(2)
    idle = await pid_of(processes)
    trial = Trial(processes, tools.burn)
    Trial(processes, tools.burn)
    Trial(processes, tools.burn)
    busy = (await trial.said())["pid"]
    await processes.close()
    await processes.close()
    gc.collect()  # what was left open would warn
    assert not is_known(idle)
    assert not is_known(busy)
    assert set(os.listdir("/proc/self/fd")) == before
    new = set(threading.enumerate()) - threads
    assert "stenograph-worker" not in {each.name for each in new}
    assert not trial.result.done()


async def test_a_pool_that_was_never_used_closes_at_once() -> None:
    await Processes().close()


async def test_a_process_that_cannot_be_started_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    before = set(os.listdir("/proc/self/fd"))
    async with closing(Processes(1)) as processes:
        result = await result_of(processes, tools.pid)
    assert result.error.type == "ProcessDied"
    assert result.error.message.startswith("no worker process could be started: ")
    assert set(os.listdir("/proc/self/fd")) == before


async def test_a_worker_that_dies_at_its_start_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stenograph.engine.executor.processes._BOOT", "raise SystemExit(7)")
    async with closing(Processes(1)) as processes:
        result = await result_of(processes, tools.pid)
    assert result.error.message == "the worker process ended with exit code 7"


async def test_from_a_worker_no_other_is_started() -> None:
    processes = Processes()
    IS_WORKER.set()
    try:
        result = await result_of(processes, tools.pid)
    finally:
        IS_WORKER.clear()
    assert "if __name__ == '__main__'" in result.error.message


async def test_a_worker_inherits_no_file_of_the_engine(tmp_path: Path) -> None:
    with (tmp_path / "journal").open("w") as file:
        async with closing(Processes(1)) as processes:
            pid = await pid_of(processes)
            held = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        assert file.name not in held
        assert len([each for each in held if each.startswith("socket:")]) == 1


class closing:
    def __init__(self, processes: Processes) -> None:
        self.processes = processes

    async def __aenter__(self) -> Processes:
        return self.processes

    async def __aexit__(self, *error: object) -> None:
        await self.processes.close()


PARENT = """
import asyncio, sys
from stenograph.engine.executor.channel import Job
from stenograph.engine.executor.processes import Call, Processes
from stenograph.engine.tools.targets import target_of
from tests.engine import process_tools as tools
from tests.sites import site

def call(tool, state):
    job = Job(
        target=target_of(tool.name, tool.function), path=sys.path, tool=tool.name,
        version=tool.version, extras=tool.extras, state=state, config=b"{}",
        site=site(),
    )
    return Call(job, begun=lambda: None, write=lambda line: print(line.fields.decode(), flush=True),
                ended=print)

processes = Processes(2)
processes.submit(call(tools.burn, b"{}"))
processes.submit(call(tools.burn_in_c, sys.argv[1].encode()))
sys.stdin.read()
"""


def test_workers_die_with_their_parent_even_when_it_is_killed(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, json.dumps({"file": str(file)})],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    with parent:
        assert parent.stdout is not None
        pid = json.loads(parent.stdout.readline())["pid"]
        tools.wait_for(lambda: file.exists() and file.read_text())
        in_c = int(file.read_text())
        assert not is_gone(pid)
        assert not is_gone(in_c)
        parent.kill()
    tools.wait_for(lambda: is_gone(pid) and is_gone(in_c))
    assert is_gone(pid)
    assert is_gone(in_c)


async def test_a_worker_writes_where_the_engine_writes(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "go").touch()
    async with closing(Processes(1)) as processes:
        await result_of(processes, tools.talk_and_wait, until=str(tmp_path / "go"))
    assert capfd.readouterr().out == "to the output of the engine\n"
