"""Where a function stands: found again by another process, or refused before it is needed there."""

from __future__ import annotations

import functools
import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from stenograph.engine.errors import ToolRefused
from stenograph.engine.tools.targets import MAIN, Target, resolve, target_of
from stenograph.engine.tools.tools import Registry, tool

State = dict[str, Any]


def plain(state: State) -> None: ...


def wrapping(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any) -> Any:
        return function(*args)

    return wrapper


@wrapping
def wrapped(state: State) -> None: ...


@tool(process=True)
def declared(state: State) -> None: ...


class Home:
    @classmethod
    def of_class(cls, state: State) -> None: ...

    @staticmethod
    def static(state: State) -> None: ...

    def method(self, state: State) -> None: ...

    def __call__(self, state: State) -> None: ...


def nested() -> Callable[[State], None]:
    def inner(state: State) -> None: ...

    return inner


@pytest.fixture(autouse=True)
def _modules() -> Iterator[None]:
    modules, path = dict(sys.modules), list(sys.path)
    yield
    sys.path[:] = path
    for name in sys.modules.keys() - modules:
        del sys.modules[name]
    sys.modules.update(modules)


def load(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


SOURCE = "import sys\nwas_loaded = sys.modules[__name__]\ndef f(state): return {}\n"


@pytest.mark.parametrize(
    "function", [plain, wrapped, Home.of_class, Home.static], ids=lambda each: each.__name__
)
def test_a_function_is_found_by_its_module_and_its_name(function: Any) -> None:
    target = target_of("t", function)
    assert (target.module, target.name) == (__name__, function.__qualname__)
    assert target.file == os.path.abspath(__file__)
    assert resolve(target) == function


def test_a_function_that_was_declared_a_tool_is_found_as_that() -> None:
    assert resolve(target_of("t", declared.function)) is declared
    assert Registry([declared]).tools == {"declared": declared}


def test_a_builtin_is_found_without_a_file() -> None:
    target = target_of("t", len)
    assert target == Target("builtins", "len", None)
    assert resolve(target) is len


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (lambda state: None, "it is a lambda"),
        (nested(), "it is defined inside another function"),
        (Home().method, "it is a method of one object"),
        (Home(), "it is an object of type Home"),
        (functools.partial(plain), "it is an object of type partial"),
    ],
    ids=["lambda", "nested", "method", "object", "partial"],
)
def test_what_no_process_could_find_is_refused_where_it_is_declared(
    function: Any, why: str
) -> None:
    rule = "write it with def at the top of a module"
    with pytest.raises(
        ToolRefused, match=f"^tool 't' cannot run in a process of its own: {why}; {rule}$"
    ):
        tool(name="t", process=True)(function)


def test_what_is_something_else_by_its_name_is_refused_where_it_is_registered() -> None:
    hidden = tool(name="t", process=True)(wrapping(plain))
    with pytest.raises(ToolRefused, match=r"test_targets\.plain is not this function; write"):
        Registry([hidden])


def test_what_is_in_no_module_is_refused(tmp_path: Path) -> None:
    (tmp_path / "gone.py").write_text(SOURCE)
    module = load(tmp_path / "gone.py", "gone")
    del sys.modules["gone"]
    with pytest.raises(ToolRefused, match="its module gone is not among the imported ones"):
        target_of("t", module.f)


def test_a_module_is_found_by_its_file_when_it_cannot_be_imported(tmp_path: Path) -> None:
    path = tmp_path / "by_path.py"
    path.write_text(SOURCE)
    target = target_of("t", load(path, "by_path_1a2b").f)
    assert target == Target("by_path_1a2b", "f", str(path))
    del sys.modules["by_path_1a2b"]
    function = resolve(target)
    assert sys.modules["by_path_1a2b"].was_loaded is sys.modules["by_path_1a2b"]
    assert resolve(target) is function, "loaded once"


def test_a_module_of_the_same_name_elsewhere_is_not_taken_for_it(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "twin.py").write_text(SOURCE)
    sys.path.append(str(tmp_path / "a"))
    target = Target("twin", "was_loaded", str(tmp_path / "b" / "twin.py"))
    assert resolve(target).__file__ == target.file
    del sys.modules["twin"]
    target = Target("twin", "was_loaded", str(tmp_path / "a" / "twin.py"))
    assert resolve(target).__file__ == target.file


def test_a_package_that_is_not_there_is_no_hindrance(tmp_path: Path) -> None:
    path = tmp_path / "script"
    path.write_text(SOURCE)
    assert resolve(Target("no_such.package", "f", str(path)))({}) == {}


def test_a_module_that_cannot_be_loaded_says_why_each_time(tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text("1 / 0")
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            resolve(Target("broken", "f", str(path)))


SCRIPT = """
import asyncio, sys
import stenograph.engine.executor.attempt  # what follows is the least that makes a call
from stenograph.engine.executor.channel import Job
from stenograph.engine.executor.processes import Call, Processes
from stenograph.engine.tools.targets import target_of
from stenograph.engine.tools.tools import tool
from tests.sites import site

@tool(process=True)
def here(state):
    return {"name": __name__}

async def main():
    processes, done = Processes(1), asyncio.get_running_loop().create_future()
    job = Job(
        target=target_of("here", here.function), path=sys.path, tool="here", version=here.version,
        extras=here.extras, state=b"{}", config=b"{}", site=site(),
    )
    processes.submit(Call(job, begun=lambda: None, write=print,
                          ended=lambda end: done.get_loop().call_soon_threadsafe(done.set_result, end)))
    print((await done))
    await processes.close()

if __name__ == "__main__":
    asyncio.run(main())
"""


def run(*args: str, stdin: str = "", cwd: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(each for each in sys.path if each)
    return subprocess.run(
        [sys.executable, *args],
        input=stdin,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_tool_in_the_script_that_was_started_is_found(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    ended = run("script.py", cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert f"""{{'name': b'"{MAIN}"'}}""" in ended.stdout


def test_a_tool_in_a_module_that_was_started_is_found(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    ended = run("-m", "script", cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert """{'name': b'"script"'}""" in ended.stdout


def test_a_tool_that_was_typed_into_a_session_is_refused(tmp_path: Path) -> None:
    ended = run("-", stdin=SCRIPT, cwd=tmp_path)
    assert "it was typed into a session, not written in a file" in ended.stderr
