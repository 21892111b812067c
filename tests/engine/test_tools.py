"""Tools and predicates: what a function is called, may ask for, and when it is refused."""

from __future__ import annotations

import functools
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import pytest

from stenograph.engine.errors import ToolRefused
from stenograph.engine.tools.tools import (
    COUNT_MAX,
    Goto,
    Predicate,
    Rate,
    Registry,
    Tool,
    predicate,
    tool,
)

State: TypeAlias = dict[str, Any]


def plain(state: State) -> None:
    """Do nothing."""


async def plain_async(state: State) -> None:
    """Do nothing, later."""


class Counter:
    """Count calls."""

    def __call__(self, state: State, ctx: Any) -> None: ...

    def count(self, state: State) -> None: ...

    @classmethod
    def count_all(cls, state: State) -> None: ...

    @staticmethod
    def count_none(state: State) -> None: ...


class AsyncCounter:
    async def __call__(self, state: State) -> None: ...


def passing_on(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def compiled(source: str, name: str = "f") -> Any:
    """A function that has no source to be read."""
    namespace: dict[str, Any] = {}
    exec(source, namespace)
    return namespace[name]


def test_a_function_is_a_tool_by_decoration() -> None:
    made = tool(plain)
    assert isinstance(made, Tool)
    assert (made.name, made.effects, made.doc) == ("plain", "repeatable", "Do nothing.")
    assert (made.is_async, made.extras) == (False, frozenset())
    assert repr(made) == f"<tool plain {made.version}>"


def test_a_tool_is_declared_with_a_name_effects_and_a_version() -> None:
    made = tool(name="other name", effects="once", version="2")(plain)
    assert (made.name, made.effects, made.version) == ("other name", "once", "2")


def test_a_decorated_function_is_called_as_before() -> None:
    @tool
    def double(state: State, config: State) -> State:
        return {"n": 2 * state["n"] + config["m"]}

    assert double({"n": 3}, config={"m": 1}) == {"n": 7}


def test_a_tool_can_be_declared_anew_under_another_name() -> None:
    again = tool(name="again", effects="pure")(tool(Counter()))
    assert (again.name, again.effects, again.extras) == ("again", "pure", frozenset({"ctx"}))


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (plain, "plain"),
        (Counter(), "Counter"),
        (Counter().count, "count"),
        (Counter.count_all, "count_all"),
        (Counter.count_none, "count_none"),
        (functools.partial(plain), "plain"),
        (functools.partial(functools.partial(Counter())), "Counter"),
        (passing_on(plain), "plain"),
        (tool(plain), "plain"),
    ],
    ids=[
        "function", "object", "method", "class method", "static method", "partial",
        "partial of a partial of an object", "wrapped", "tool",
    ],
)  # fmt: skip
def test_a_tool_has_the_name_that_its_function_has(function: Any, name: str) -> None:
    assert tool(function).name == name
    assert Predicate(functools.partial(plain), name=None).name == "plain"


def test_a_partial_is_documented_as_its_function() -> None:
    assert tool(functools.partial(plain)).doc == "Do nothing."
    assert tool(Counter()).doc == "Count calls."
    assert tool(compiled("def f(state): pass")).doc == ""


@pytest.mark.parametrize(
    ("function", "is_async"),
    [
        (plain, False),
        (plain_async, True),
        (Counter(), False),
        (AsyncCounter(), True),
        (AsyncCounter().__call__, True),
        (functools.partial(plain_async), True),
        (passing_on(plain_async), False),
    ],
    ids=["sync", "async", "object", "async object", "async method", "async partial", "wrapped"],
)
def test_whether_a_tool_is_async_is_seen_from_what_is_called(function: Any, is_async: bool) -> None:
    """A plain function around an async one is called in a thread, and its result awaited."""
    assert tool(function).is_async is is_async


def all_by_place(state, config, ctx):  # type: ignore[no-untyped-def]
    ...


def by_name_alone(state: State, *, ctx: Any) -> None: ...


def with_defaults(state: State, limit: int = 3, config: Any = None) -> None: ...


def variable(*args: Any, **kwargs: Any) -> None: ...


def variable_named_as_extras(state: State, *config: Any, **ctx: Any) -> None: ...


def by_place_only(state: State, config: Any = None, /, *, ctx: Any = None) -> None: ...


@pytest.mark.parametrize(
    ("function", "extras"),
    [
        (all_by_place, {"config", "ctx"}),
        (by_name_alone, {"ctx"}),
        (with_defaults, {"config"}),
        (variable, set()),
        (variable_named_as_extras, set()),
        (by_place_only, {"ctx"}),
        (functools.partial(all_by_place, config={}), {"config", "ctx"}),
        (passing_on(all_by_place), {"config", "ctx"}),
    ],
)
def test_a_tool_gets_the_config_and_the_context_that_it_asks_for_by_name(
    function: Any, extras: set[str]
) -> None:
    assert tool(function).extras == extras


def nothing() -> None: ...


def keywords_only(*, state: State) -> None: ...


def anything_by_name(**state: Any) -> None: ...


def context_first(ctx: Any, state: State) -> None: ...


def more(state: State, db: Any, *, path: str) -> None: ...


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (nothing, "tool 'nothing' takes no state: its first parameter must be the state"),
        (keywords_only, "tool 'keywords_only' takes no state: its first parameter must be the state"),
        (anything_by_name, "tool 'anything_by_name' takes no state: .*"),
        (context_first, "tool 'context_first' takes no state: .*"),
        (more, "tool 'more' asks for db, path; after the state a tool may ask for config and ctx"),
        (max, "tool 'max' cannot be called: no signature found for builtin .*"),
        (5, "tool 'int' cannot be called: 5 is not a callable object"),
        ("my.tools", "tool 'str' cannot be called: 'my.tools' is not a callable object"),
        (Counter, "tool 'Counter' is a class; give a function, or an object to be called"),
        (functools.partial(Counter().count, {}), "tool 'count' takes no state: .*"),
        (lambda state: None, "a lambda has no name; write a function with def, .*: name=…"),
    ],
    ids=[
        "no parameters", "keywords only", "any keywords", "context first", "more", "builtin",
        "number", "text", "class", "partial that has its state", "lambda",
    ],
)  # fmt: skip
def test_what_cannot_be_called_with_a_state_is_refused(function: Any, sentence: str) -> None:
    with pytest.raises(ToolRefused, match=f"^{sentence}$"):
        tool(function)
    with pytest.raises(ToolRefused, match=f"^{sentence}$"):
        Registry([function])


def test_a_lambda_may_be_a_tool_or_a_predicate_under_a_name() -> None:
    assert tool(name="noop")(lambda state: None).name == "noop"
    assert predicate(name="always")(lambda state: True).name == "always"


def test_a_builtin_with_a_signature_may_be_a_tool() -> None:
    assert tool(len).name == "len"


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 129, "\ud800", 5])
def test_a_name_or_version_that_no_event_could_hold_is_refused(name: Any) -> None:
    rule = "it is text of 1 to 128 characters, none of them a control character"
    with pytest.raises(ToolRefused, match=f"is no name for a tool or predicate; {rule}"):
        tool(name=name)(plain)
    with pytest.raises(ToolRefused, match=f"is no version for a tool or predicate; {rule}"):
        tool(version=name)(plain)
    with pytest.raises(ToolRefused, match="is no name"):
        predicate(name=name)(plain)


def test_effects_are_one_of_three() -> None:
    misspelt: Any = "onec"
    with pytest.raises(
        ToolRefused, match="'plain': effects are repeatable, once or pure, not 'onec'"
    ):
        tool(effects=misspelt)(plain)


@pytest.fixture
def version_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Ask for the version of what is called ``f`` in a module with the given source."""

    def ask(source: str) -> str:
        path = tmp_path / f"module{len(list(tmp_path.glob('*.py')))}.py"
        path.write_text(source)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, path.stem, module)
        spec.loader.exec_module(module)
        return tool(module.f() if isinstance(module.f, type) else module.f).version

    return ask


def test_the_version_changes_with_the_source_and_only_then(
    version_of: Callable[[str], str],
) -> None:
    one = version_of("def f(state):\n    return {'n': 1}\n")
    same = version_of("import os\n\ndef f(state):\n    return {'n': 1}\n")
    other = version_of("def f(state):\n    return {'n': 2}\n")
    assert one == same != other
    assert len(one) == 12


@pytest.mark.parametrize(
    "source",
    [
        "class f:\n    def __call__(self, state):\n        return {'n': 1}\n",
        "import functools\ndef g(state):\n    return {'n': 1}\nf = functools.partial(g)\n",
        "class C:\n    def m(self, state):\n        return {'n': 1}\nf = C().m\n",
        "import functools\ndef g(state):\n    return {'n': 1}\n"
        "@functools.wraps(g)\ndef f(state):\n    return g(state)\n",
    ],
    ids=["object", "partial", "method", "wrapped"],
)
def test_the_version_sees_through_what_stands_around_a_function(
    source: str, version_of: Callable[[str], str]
) -> None:
    other = source.replace("'n': 1", "'n': 2")
    assert version_of(source) == version_of(source)
    assert version_of(source) != version_of(other)


def test_without_a_source_the_version_is_that_of_the_code() -> None:
    source = "def f(state):\n    return [g for g in state if g in {'a', 'b', 'c'}] or 1"
    others = [source, source.replace("1", "2"), source.replace("'a'", "'x'")]
    others += [source.replace(" or ", " and "), source.replace(" if g in ", " if g not in ")]
    versions = [tool(compiled(each)).version for each in others]
    assert tool(compiled(source)).version == versions[0]
    assert len(set(versions)) == len(others)


def test_without_a_source_the_version_of_an_object_is_that_of_its_code() -> None:
    source = "class f:\n    def __call__(self, state): return 1"
    one, same, other = (
        tool(compiled(each)()).version for each in (source, source, source.replace("1", "2"))
    )
    assert one == same != other


def test_a_builtin_has_a_version_of_its_name() -> None:
    assert tool(len).version == tool(len).version != tool(abs).version


def test_a_registry_knows_tools_and_predicates_by_name() -> None:
    is_big = predicate(name="is_big")(lambda state: state["n"] > 5)
    registry = Registry([tool(plain), plain_async, Counter(), is_big])
    assert sorted(registry.tools) == ["Counter", "plain", "plain_async"]
    assert registry.predicates == {"is_big": is_big}
    assert is_big({"n": 6}) is True


def test_a_module_offers_the_tools_and_predicates_in_it_and_no_other_functions() -> None:
    module = ModuleType("module")
    vars(module).update(one=tool(plain), same=None, other=plain_async, ask=predicate(nothing_wrong))
    vars(module)["same"] = module.one
    registry = Registry([module])
    assert list(registry.tools) == ["plain"]
    assert list(registry.predicates) == ["nothing_wrong"]


def nothing_wrong(state: State) -> bool:
    return True


def test_a_name_is_given_to_one_tool() -> None:
    other = tool(name="plain")(plain_async)
    with pytest.raises(
        ToolRefused,
        match=r"two tools are called 'plain': .*\.plain and .*\.plain_async; "
        r"give one another name: @tool\(name=…\)",
    ):
        Registry([plain, other])
    with pytest.raises(
        ToolRefused, match=r"two predicates are called 'p': .* @predicate\(name=…\)"
    ):
        Registry([predicate(name="p")(plain), predicate(name="p")(nothing_wrong)])
    with pytest.raises(ToolRefused, match=r"Counter and .*\.plain;"):
        Registry([Counter(), tool(name="Counter")(plain)])


def test_a_tool_and_a_predicate_may_share_a_name() -> None:
    registry = Registry([tool(nothing_wrong), predicate(nothing_wrong)])
    assert list(registry.tools) == list(registry.predicates) == ["nothing_wrong"]


def test_what_is_the_same_may_be_offered_again() -> None:
    counter, ask = Counter(), predicate(nothing_wrong)
    again: list[Any] = [
        plain,
        tool(plain),
        counter,
        counter,
        counter.count,
        counter.count,
        ask,
        ask,
    ]
    registry = Registry([*again, predicate(nothing_wrong)])
    assert list(registry.tools) == ["plain", "Counter", "count"]


def test_two_objects_of_one_class_are_two_tools() -> None:
    with pytest.raises(ToolRefused, match="two tools are called 'count'"):
        Registry([Counter().count, Counter().count])


def test_a_plain_function_is_the_tool_it_was_declared_as() -> None:
    once = tool(effects="once")(plain)
    assert Registry([once, plain]).tools == {"plain": once}


def test_a_function_is_not_declared_in_two_ways() -> None:
    with pytest.raises(ToolRefused, match="two tools are called 'plain'"):
        Registry([tool(plain), tool(effects="once")(plain)])
    with pytest.raises(ToolRefused, match="two tools are called 'plain'"):
        Registry([tool(plain), tool(version="2")(plain)])


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (plain_async, "predicate 'plain_async' is async; it must answer at once"),
        (AsyncCounter(), "predicate 'AsyncCounter' is async; it must answer at once"),
        (
            functools.partial(plain_async),
            "predicate 'plain_async' is async; it must answer at once",
        ),
        (nothing, "predicate 'nothing' takes no state: its first parameter must be the state"),
        (by_name_alone, "predicate 'by_name_alone' asks for ctx; it is given the state only"),
        (Counter, "predicate 'Counter' is a class; .*"),
        (lambda state: True, "a lambda has no name; .*"),
    ],
    ids=["async", "async object", "async partial", "no state", "context", "class", "lambda"],
)
def test_what_cannot_answer_at_once_from_the_state_is_no_predicate(
    function: Any, sentence: str
) -> None:
    with pytest.raises(ToolRefused, match=f"^{sentence}$"):
        predicate(function)


def test_a_predicate_can_be_declared_anew_under_another_name() -> None:
    again = predicate(name="again")(predicate(nothing_wrong))
    assert (again.name, again({})) == ("again", True)


def test_a_goto_names_a_node_and_may_change_the_state() -> None:
    assert Goto("next").update == {}
    assert Goto("next", {"a": 1}).update == {"a": 1}
    for to in (5, None, ["next"]):
        with pytest.raises(TypeError, match="Goto takes the name of a node, not"):
            Goto(to)  # type: ignore[arg-type]


def test_a_tool_says_where_it_runs_and_how_much_at_once() -> None:
    made = tool(process=True, limit=2, rate=Rate(10, 60))(plain)
    assert (made.process, made.limit, made.rate) == (True, 2, Rate(10, 60.0))
    assert tool(rate=(10, 60))(plain).rate == Rate(10, 60.0)
    made = tool(plain)
    assert (made.process, made.limit, made.rate) == (False, None, None)


def test_an_async_tool_cannot_run_in_a_process() -> None:
    rule = "it is async; write it with def, or leave process=True out"
    with pytest.raises(ToolRefused, match=f"'plain_async' cannot run in a process .*: {rule}$"):
        tool(process=True)(plain_async)


@pytest.mark.parametrize("process", [1, None, "yes"])
def test_whether_a_tool_runs_in_a_process_is_true_or_false(process: Any) -> None:
    with pytest.raises(ToolRefused, match=r"^tool 'plain': process is True or False, not "):
        tool(process=process)(plain)


@pytest.mark.parametrize("limit", [0, -1, True, 1.5, "2", COUNT_MAX + 1])
def test_a_limit_is_a_number_of_attempts(limit: Any) -> None:
    with pytest.raises(
        ToolRefused, match=r"^tool 'plain': limit is a number from 1 to 1,000,000, not "
    ):
        tool(limit=limit)(plain)


@pytest.mark.parametrize(
    "rate",
    [5, "12", (1,), (1, 2, 3), (0, 1), (1, 0), (1, -1), (1.5, 1), (True, 1), (1, "1"),
     (1, float("nan")), (1, float("inf")), (COUNT_MAX + 1, 1), (1, 32 * 86_400), Rate(0), Rate(1, 0)],
    ids=repr,
)  # fmt: skip
def test_a_rate_is_so_many_starts_in_so_many_seconds(rate: Any) -> None:
    with pytest.raises(ToolRefused, match=r"^tool 'plain': rate is \(starts, seconds\), 1 to "):
        tool(rate=rate)(plain)


@pytest.mark.parametrize("flow", [{"process": True}, {"limit": 1}, {"rate": (1, 1)}], ids=repr)
def test_a_function_is_not_declared_with_and_without_a_flow(flow: Any) -> None:
    with pytest.raises(ToolRefused, match="two tools are called 'plain'"):
        Registry([tool(plain), tool(**flow)(plain)])
    assert list(Registry([tool(**flow)(plain), tool(**flow)(plain)]).tools) == ["plain"]
