"""Typed tools: an object of the declared type is handed out, and what became of it comes back."""

from __future__ import annotations

import dataclasses
import functools
import math
import subprocess
import sys
from collections.abc import Callable, MutableMapping
from datetime import datetime
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Generic,
    Literal,
    NewType,
    Optional,
    TypedDict,
    TypeVar,
    cast,
    get_type_hints,
)

import msgspec
import pydantic
import pydantic.dataclasses
import pytest
from msgspec import UNSET, Meta, Raw, Struct

from stenograph.engine import Engine, GraphInvalid, Registry, Tool, ToolRefused, predicate, tool
from stenograph.engine.errors import Misfit
from stenograph.engine.state.state import OWN_MAX_BYTES, State
from stenograph.engine.tools.goto import Goto
from stenograph.engine.tools.shapes import Shape, shape_of
from stenograph.engine.tools.typed import Types
from stenograph.journal import MemoryJournal
from tests.engine import typed_tools
from tests.engine.typed_tools import (
    DataReview,
    DictReview,
    Found,
    Issue,
    ModelIssue,
    ModelReview,
    Review,
    Settings,
)

if TYPE_CHECKING:
    from collections.abc import Mapping as OnlyForCheckers

KINDS: list[Any] = [Review, DataReview, ModelReview]
T = TypeVar("T")


def typed(body: Callable[..., Any], state: Any, returns: Any = None) -> Tool:
    """A tool of this body, with such annotations."""

    def call(given: Any) -> Any:
        return body(given)

    call.__annotations__ = {"given": state, "return": returns}
    return tool(call)


def done(body: Callable[..., Any], kind: Any, **state: Any) -> tuple[Any, dict[str, Any]]:
    """What a tool returned, and its state afterwards."""
    returned = typed(body, kind).call(state)
    return returned, state


def set_on(name: str, value: Any) -> Callable[[Any], None]:
    return lambda state: setattr(state, name, value)


def misfit(kind: Any, **state: Any) -> str:
    with pytest.raises(Misfit) as caught:
        typed(lambda state: None, kind).call(state)
    assert caught.value.code == "state-mismatch"
    return str(caught.value)


# What is handed out


@pytest.mark.parametrize("kind", KINDS)
def test_a_tool_is_given_an_object_of_the_type_that_it_declares(kind: type) -> None:
    seen: list[Any] = []
    done(seen.append, kind, issues=[{"line": 3}], other=1)
    assert [type(each) for each in seen] == [kind]
    assert (seen[0].issues[0].line, seen[0].issues[0].text, seen[0].round) == (3, "", 0)


def test_a_typed_dict_is_a_plain_dict_of_the_keys_that_are_named() -> None:
    seen: list[Any] = []
    done(seen.append, DictReview, issues=[{"line": 3, "column": 1}], other=1)
    assert seen == [{"issues": [{"line": 3}]}]
    assert type(seen[0]) is dict


def test_values_become_what_the_type_says() -> None:
    class Timed(Struct):
        at: datetime
        marks: set[str]
        by_line: dict[int, str]

    state = {"at": "2026-11-21T08:00:00Z", "marks": ["a", "a"], "by_line": {"3": "x"}}
    seen: list[Any] = []
    returned, after = done(seen.append, Timed, **state)
    assert (seen[0].at.hour, seen[0].marks, seen[0].by_line) == (8, {"a"}, {3: "x"})
    assert (returned, after) == (None, state)


def test_a_type_that_forbids_other_keys_is_not_given_those_of_other_nodes() -> None:
    class Strict(Struct, forbid_unknown_fields=True):
        n: int = 0

    assert done(set_on("n", 2), Strict, n=1, other=5)[1] == {"n": 2, "other": 5}
    assert done(set_on("round", 2), ModelReview, issues=[], other=5)[1] == {
        "issues": [],
        "other": 5,
        "round": 2,
    }


def test_a_model_that_allows_other_keys_is_given_all() -> None:
    class Open(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(extra="allow")
        n: int

    assert done(set_on("other", 6), Open, n=1, other=5, more=1)[1] == {
        "n": 1,
        "other": 6,
        "more": 1,
    }


def test_of_a_large_state_only_what_the_type_names_is_looked_at() -> None:
    state = State.from_values({"issues": [], "other": ["x" * OWN_MAX_BYTES], "round": 1})
    draft = state.draft()
    typed(set_on("round", 2), Review).call(draft)
    assert draft.is_lent
    assert draft.touched() == ["round"]
    assert [op.path for op in state.update(draft, {}).patch] == ["/round"]


class Texts(TypedDict, total=False):
    any: Annotated[str | None, Meta(description="any text")]
    plain: str
    short: Annotated[str, Meta(max_length=3)]


def test_a_typed_dict_is_given_long_texts_as_they_are_and_checked() -> None:
    text = "é\n" * 10**6
    state: dict[str, Any] = {"any": text, "plain": text, "short": "abc"}

    def body(given: Texts) -> None:
        assert given == state
        assert given["any"] is given["plain"] is text
        given["plain"] += "!"

    given = dict(state)
    tool(body).call(given)
    assert given == {**state, "plain": text + "!"}
    with pytest.raises(Misfit, match=r"^/short has at most 3 characters$"):
        tool(body).call({"any": text, "short": "abcd"})
    with pytest.raises(Misfit, match=r"^/plain is null, not text$"):
        tool(body).call({"any": None, "plain": None})


def test_what_is_annotated_as_a_dict_is_called_as_ever() -> None:
    def with_mapping(state: MutableMapping[str, Any]) -> None: ...
    def with_unseen(state: OnlyForCheckers[str, Any]) -> None: ...
    def with_dict(state: dict) -> None: ...  # type: ignore[type-arg]
    def with_union(state: Review | dict[str, Any]) -> None: ...
    def with_optional(state: Optional[dict[str, Any]]) -> None: ...  # noqa: UP045
    def with_nothing(state, config): ...  # type: ignore[no-untyped-def]

    with_unseen.__annotations__["state"] = "typing.Mapping[str, OnlyForCheckers]"
    for function in (with_mapping, with_unseen, with_dict, with_union, with_optional, with_nothing):
        made = tool(function)
        assert made.types.are_none
        assert made.call is function


# What comes back


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_set_and_what_grew_is_the_change(kind: type) -> None:
    def body(state: Any) -> None:
        state.notes.append("b")
        state.verdict = "fine"

    _, after = done(body, kind, issues=[], notes=["a"], other=1)
    assert after == {"issues": [], "notes": ["a", "b"], "verdict": "fine", "other": 1}


@pytest.mark.parametrize("kind", KINDS)
def test_a_default_that_nobody_touched_is_not_written(kind: type) -> None:
    assert done(lambda state: state, kind, issues=[]) == (None, {"issues": []})
    assert done(set_on("round", 0), kind, issues=[])[1] == {"issues": []}
    assert done(set_on("round", 1), kind, issues=[])[1] == {"issues": [], "round": 1}


@pytest.mark.parametrize("kind", KINDS)
def test_a_list_that_was_a_default_and_grew_is_written(kind: type) -> None:
    assert done(lambda state: state.notes.append("a"), kind, issues=[])[1] == {
        "issues": [],
        "notes": ["a"],
    }


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_back_at_its_default_is_written(kind: type) -> None:
    assert done(set_on("round", 0), kind, issues=[], round=3)[1] == {"issues": [], "round": 0}


def test_a_struct_that_omits_defaults_is_written_whole() -> None:
    class Terse(Struct, omit_defaults=True):
        n: int = 0

    assert done(set_on("n", 0), Terse, n=3)[1] == {"n": 0}


def test_a_typed_dict_is_changed_like_any_dict() -> None:
    def body(state: Any) -> None:
        state["issues"].append({"line": 1})
        del state["verdict"]
        state["new"] = {3: True}

    _, after = done(body, DictReview, issues=[], verdict="x", other=1)
    assert after == {"issues": [{"line": 1}], "other": 1, "new": {"3": True}}


def test_what_is_unset_is_removed() -> None:
    assert done(set_on("hint", UNSET), Review, issues=[], hint="x")[1] == {"issues": []}
    assert done(set_on("hint", UNSET), Review, issues=[])[1] == {"issues": []}


@pytest.mark.parametrize("kind", [*KINDS, DictReview])
def test_a_dict_that_is_returned_comes_on_top(kind: Any) -> None:
    returned, after = done(lambda state: {"round": 2, "new": [1]}, kind, issues=[], round=1)
    assert (returned, after) == ({"round": 2, "new": [1]}, {"issues": [], "round": 1})


def test_a_dict_that_is_returned_may_hold_objects() -> None:
    returned, _ = done(lambda state: {"issues": [*state.issues, Issue(2)]}, Review, issues=[])
    assert returned == {"issues": [{"line": 2, "text": ""}]}
    returned, _ = done(lambda state: {"by": {"a": ModelIssue(line=2)}}, Review, issues=[])
    assert returned == {"by": {"a": {"line": 2, "text": ""}}}


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_object_returned_says_no_more_than_what_was_done_to_it(kind: type) -> None:
    def body(state: Any) -> Any:
        state.round = 2
        return state

    assert done(body, kind, issues=[]) == (None, {"issues": [], "round": 2})


AGAIN: dict[type, Callable[..., Any]] = {
    Review: msgspec.structs.replace,
    DataReview: dataclasses.replace,
    ModelReview: lambda state, **changes: state.model_copy(update=changes),
}


@pytest.mark.parametrize("kind", KINDS)
def test_another_object_of_the_type_says_what_is_different(kind: type) -> None:
    state = {"issues": [{"line": 1}], "notes": ["a"]}
    returned, after = done(lambda given: AGAIN[kind](given, round=2), kind, **state)
    assert (returned, after) == ({"round": 2}, state)


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_done_to_the_object_is_not_said_again_by_another(kind: type) -> None:
    def body(state: Any) -> Any:
        before = AGAIN[kind](state)
        state.notes.append("b")
        state.round = 2
        return AGAIN[kind](before, verdict="x")

    returned, after = done(body, kind, issues=[], notes=["a"])
    assert (returned, after) == (
        {"round": 0, "verdict": "x"},
        {"issues": [], "notes": ["a", "b"], "round": 2},
    )


def test_an_object_of_another_type_is_a_mapping_of_its_fields() -> None:
    returned, after = done(lambda state: Found([Issue(1)], 0), Review, issues=[])
    assert (returned, after) == ({"issues": [{"line": 1, "text": ""}], "round": 0}, {"issues": []})
    returned, _ = done(lambda state: ModelIssue(line=2), Review, issues=[])
    assert returned == {"line": 2, "text": ""}


def test_a_goto_takes_objects_as_well() -> None:
    returned, _ = done(lambda state: Goto("b", Found([], 1)), Review, issues=[])  # type: ignore[arg-type]
    assert returned == Goto("b", {"issues": [], "round": 1})
    assert done(lambda state: Goto("b"), Review, issues=[])[0] == Goto("b")
    assert done(lambda state: Goto("b", state), Review, issues=[])[0] == Goto("b")


def test_a_tool_of_a_dict_may_return_an_object() -> None:
    made = typed(lambda state: Found([], 1), dict[str, Any], "Found | Goto | None")
    assert made.call({"n": 1}) == {"issues": [], "round": 1}
    same = {"n": 1}
    assert typed(lambda state: state, dict[str, Any], Found).call(same) is same
    update = {"n": {1, 2}}
    assert typed(lambda state: update, dict[str, Any], Found).call(same) is update


def test_what_no_tool_may_return_is_passed_on_to_be_refused() -> None:
    assert done(lambda state: 3, Review, issues=[])[0] == 3


def test_names_are_those_in_json() -> None:
    class Renamed(Struct, rename="camel"):
        open_issues: int
        last_word: str = ""

    class Aliased(pydantic.BaseModel):
        open_issues: int = pydantic.Field(alias="openIssues")
        last_word: str = pydantic.Field("", alias="lastWord")

    for kind in (Renamed, Aliased):
        _, after = done(set_on("last_word", "b"), kind, openIssues=1, open_issues=9)
        assert after == {"openIssues": 1, "open_issues": 9, "lastWord": "b"}
    returned, _ = done(lambda state: Renamed(2), Renamed, openIssues=1)
    assert returned == {"openIssues": 2}


def test_a_model_reads_by_any_of_its_aliases() -> None:
    class Wide(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(extra="forbid", validate_by_name=True)
        n: int = pydantic.Field(0, validation_alias=pydantic.AliasChoices("a", "b"))
        deep: int = pydantic.Field(0, validation_alias=pydantic.AliasPath("c", 0))

    seen: list[Any] = []
    for state in ({"a": 1, "x": 0}, {"b": 1}, {"n": 1, "c": [2], "x": 0}):
        done(seen.append, Wide, **state)
    assert [(each.n, each.deep) for each in seen] == [(1, 0), (1, 0), (1, 2)]


def test_numbers_that_differ_only_in_kind_are_a_change() -> None:
    class Loose(Struct):
        n: Any = None

    assert done(set_on("n", True), Loose, n=1)[1]["n"] is True
    assert type(done(set_on("n", 1.0), Loose, n=1)[1]["n"]) is float
    assert math.isnan(done(set_on("n", math.nan), Loose, n=None)[1]["n"])
    assert done(set_on("n", 1 << 70), Loose, n=None)[1]["n"] == 1 << 70


def test_json_that_was_left_as_text_comes_back_as_values() -> None:
    class Lazy(Struct):
        data: Raw
        n: int = 0

    assert done(set_on("n", 1), Lazy, data={"a": [1]})[1] == {"data": {"a": [1]}, "n": 1}
    assert done(set_on("data", Raw(b"[2]")), Lazy, data=1)[1] == {"data": [2]}


class Unsayable(pydantic.BaseModel):
    x: Any = None


@pytest.mark.parametrize(
    ("body", "kind", "path"),
    [
        (set_on("verdict", object()), Review, "/verdict"),
        (lambda state: {"a/b": [object()]}, Review, "/a~1b"),
        (set_on("x", object()), Unsayable, "a field"),
        (lambda state: {"a": Unsayable(x=object())}, Review, "a field"),
    ],
    ids=["set", "returned", "in a model", "in a model within"],
)
def test_what_json_cannot_say_is_refused_with_its_place(body: Any, kind: Any, path: str) -> None:
    with pytest.raises(Misfit, match=f"^{path} .*cannot be written as JSON") as caught:
        done(body, kind, issues=[])
    assert caught.value.code == "not-json"


# What does not fit


@pytest.mark.parametrize("kind", [*KINDS, DictReview])
@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        ({"issues": [{"line": "x"}]}, "/issues/0/line is text, not an integer"),
        ({"issues": [{"line": 1}, {"line": 1.5}]}, "/issues/1/line is a fraction, not an integer"),
        ({"issues": [{}]}, "/issues/0/line is missing"),
        ({}, "/issues is missing"),
        ({"issues": None}, "/issues is null, not a list"),
        ({"issues": [3]}, "/issues/0 is an integer, not an object"),
        ({"issues": [], "notes": {"a": 1}}, "/notes is an object, not a list"),
        ({"issues": [], "notes": [[]]}, "/notes/0 is a list, not text"),
    ],
)
def test_what_does_not_fit_is_told_in_one_sentence(kind: Any, state: Any, sentence: str) -> None:
    assert misfit(kind, **state) == sentence


class Bounded(Struct):
    by: dict[str, Annotated[int, Meta(ge=0)]] = {}
    when: datetime | None = None
    issue: Settings | None = None
    either: int | str | None = None

    def __post_init__(self) -> None:
        if self.either == "no":
            raise ValueError("Either will not do")


class BoundedModel(pydantic.BaseModel):
    way: pydantic.PositiveInt | list[pydantic.PositiveInt] = 1
    inner: ModelReview | None = None

    @pydantic.model_validator(mode="after")
    def _odd(self) -> BoundedModel:
        if self.way == 2:
            raise ValueError("way is even")
        return self


@pytest.mark.parametrize(
    ("kind", "state", "sentence"),
    [
        (Bounded, {"by": {"a/b": -1}}, "/by/a~1b is at least 0"),
        (Bounded, {"when": "now"}, "/when does not fit: invalid RFC3339 encoded datetime"),
        (Bounded, {"issue": {"stirct": 1}}, "/issue/stirct is a key that its type forbids"),
        (Bounded, {"either": []}, "/either is a list, not an integer or text or null"),
        (Bounded, {"either": "no"}, "the state does not fit: either will not do"),
        (BoundedModel, {"way": "x"}, "/way is text, not an integer"),
        (BoundedModel, {"way": [0]}, "/way is a list, not an integer"),
        (BoundedModel, {"way": -1}, "/way does not fit: Input should be greater than 0"),
        (BoundedModel, {"way": 2}, "the state does not fit: Value error, way is even"),
        (
            BoundedModel,
            {"inner": {"issues": [], "stirct": 1}},
            "/inner/stirct is a key that its type forbids",
        ),
    ],
)
def test_what_a_type_asks_beyond_kinds_is_told_as_well(
    kind: Any, state: Any, sentence: str
) -> None:
    assert misfit(kind, **state) == sentence


class Shelf(Struct, rename={"odd": "o.d[d"}):
    by: dict[str, dict[str, list[Issue]]] = {}
    odd: dict[str, int] = {}


def test_the_place_names_the_key_of_an_object_of_many() -> None:
    fine = {f"b{number}": [{"line": 1}] for number in range(100)}
    for wrong in ("b0", "b57", "b99"):
        spoilt = {**fine, wrong: [{"line": 1}, {"line": "x"}]}
        by = {"a": fine, "b": spoilt, "c": spoilt}
        assert misfit(Shelf, by=by) == f"/by/b/{wrong}/1/line is text, not an integer"


def test_a_place_that_cannot_be_read_is_told_as_far_as_it_can() -> None:
    sentence = misfit(Shelf, **{"o.d[d": {"a": "x"}})
    assert sentence == "/o/d/* is text, not an integer"


# Where types are found


class Page(Struct, Generic[T]):
    items: list[T]


def test_a_generic_type_is_checked_as_it_is_filled_in() -> None:
    assert misfit(Page[int], items=["x"]) == "/items/0 is text, not an integer"


def test_an_annotation_may_say_more_than_the_type() -> None:
    assert misfit(Annotated[Review, "the state"]) == "/issues is missing"
    assert misfit(type("Alias", (), {"__value__": Review})) == "/issues is missing"


class Later:
    """Typed tools that are no functions of a module."""

    def method(self, state: ToCome) -> dict[str, Any]:
        return {"n": state.n + 1}

    def __call__(self, state: ToCome) -> dict[str, Any]:
        return {"n": state.n + 2}


def beside(extra: int, state: ToCome) -> dict[str, Any]:
    return {"n": state.n + extra}


@functools.wraps(beside)
def wrapping(*args: Any) -> Any:
    return beside(4, *args[1:])


def for_checkers_only(state: OnlyForCheckers[str, int]) -> None: ...


def with_prose(state: Any, config: "the settings") -> None: ...  # type: ignore[valid-type]  # noqa: F722


def test_a_type_may_be_defined_after_the_tool() -> None:
    partial = functools.partial(beside, 3)
    for function, n in ((Later().method, 1), (Later(), 2), (partial, 3)):
        assert tool(name="later")(function).call({"n": 0}) == {"n": n}


class ToCome(Struct):
    n: int


def test_an_annotation_that_stands_for_nothing_is_refused_when_it_is_registered() -> None:
    for function, name in ((for_checkers_only, "OnlyForCheckers"), (with_prose, "the settings")):
        made = tool(function)
        with pytest.raises(ToolRefused, match=f"the type .*{name}.* cannot be resolved"):
            Registry([made])
    asks = predicate(for_checkers_only)
    with pytest.raises(ToolRefused, match=r"^predicate 'for_checkers_only': the type"):
        Registry([asks])


def test_a_return_annotation_that_stands_for_nothing_is_left_alone() -> None:
    def wrong(state: dict[str, Any]) -> Nowhere: ...  # type: ignore[name-defined]  # noqa: F821

    assert tool(wrong).types == Types()


def test_a_type_that_cannot_be_read_from_json_is_refused() -> None:
    class Two(Struct):
        either: Issue | Settings

    with pytest.raises(ToolRefused, match=r"^tool 'call': the type of 'given', .*Two cannot be"):
        Registry([typed(lambda state: None, Two)])
    assert typed(lambda state: None, dict, Two).types == Types()


class AsList(Struct, array_like=True):
    n: int


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (AsList, "AsList is written as a list, and a state is an object"),
        (Review | Settings, "leaves open which it is; name one"),
    ],
)
def test_a_type_that_no_state_can_have_is_refused(kind: Any, why: str) -> None:
    with pytest.raises(ToolRefused, match=why):
        Registry([typed(lambda state: None, kind)])


NAMED: Any = cast("Any", NewType)("Named", Review)
BOUND: Any = cast("Any", TypeVar)("BOUND", bound=Review)


@pytest.mark.parametrize("kind", [Review | None, Annotated[NAMED | None, "it"], BOUND])
def test_a_type_is_found_behind_what_says_no_more_of_a_state(kind: Any) -> None:
    assert isinstance(typed(lambda state: None, kind).types.state, Shape)
    assert done(set_on("round", 2), kind, issues=[])[1]["round"] == 2


def test_a_model_that_is_not_written_as_an_object_is_told() -> None:
    class Text(pydantic.BaseModel):
        n: int = 0

        @pydantic.model_serializer
        def text(self) -> str:
            return str(self.n)

    with pytest.raises(Misfit, match="Text is written by its serializer as str, not as an object"):
        done(lambda state: None, Text)


class Within(Struct):
    first: ModelIssue
    more: list[ModelIssue] = []


def test_models_may_stand_within_other_types() -> None:
    def grow(state: Within) -> None:
        state.first.line += 1
        state.more.append(ModelIssue(line=9))

    _, after = done(grow, Within, first={"line": 1})
    assert (after["first"]["line"], after["more"][0]["line"]) == (2, 9)
    for state, path in (
        ({"first": {"line": 1}, "more": [{"line": "x"}]}, "/more/0"),
        (
            {"first": {}},
            "/first",
        ),
    ):
        with pytest.raises(Misfit, match="/line is ") as caught:
            done(grow, Within, **state)
        assert caught.value.path == path


class Opaque:
    pass


class HoldsOpaque(Struct):
    it: Opaque


def test_what_nobody_can_read_from_json_is_told() -> None:
    with pytest.raises(Misfit, match="/it does not fit: is of type Opaque, which cannot be read"):
        done(lambda state: None, HoldsOpaque, it=1)


@pydantic.dataclasses.dataclass
class OfPydantic:
    n: pydantic.PositiveInt


class Twofold(pydantic.BaseModel):
    n: int = pydantic.Field(validation_alias=pydantic.AliasChoices("count", "number"))


class Rooted(pydantic.RootModel[dict[str, int]]): ...


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (OfPydantic, "is a dataclass of pydantic; take a model"),
        (Rooted, "is a RootModel"),
        (Twofold, "writes 'n' as 'n' and reads it under another name"),
    ],
)
def test_of_pydantic_only_models_with_fields_are_taken(kind: type, why: str) -> None:
    with pytest.raises(ToolRefused, match=f"{kind.__name__} {why}"):
        Registry([typed(lambda state: None, kind)])


def test_pydantic_is_not_imported() -> None:
    code = (
        "import sys, stenograph as st\n"
        "def f(state: int, config: dict) -> list[int]: ...\n"
        "assert st.tool(f).types.are_none\n"
        "assert 'pydantic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# Schemas


def test_a_type_has_a_schema() -> None:
    types = typed_tools.in_a_thread.types
    assert types.state is not None
    assert types.state.schema is not None
    assert types.state.schema["$defs"]["Review"]["required"] == ["issues"]
    assert types.config is not None
    assert types.returns is not None


def test_a_models_schema_is_that_of_what_is_taken_or_of_what_is_returned() -> None:
    class Twofold(pydantic.BaseModel):
        n: int = pydantic.Field(
            validation_alias=pydantic.AliasChoices("taken", "given"), serialization_alias="given"
        )

    for written, name in ((False, "taken"), (True, "given")):
        shape = shape_of(Twofold, written=written)
        assert shape is not None
        assert shape.schema is not None
        assert list(shape.schema["properties"]) == [name]


def test_what_is_no_class_is_no_such_type() -> None:
    assert shape_of(Literal["a"]) is None


def test_a_type_without_a_schema_is_none_the_worse_for_it() -> None:
    class Odd(Struct):
        x: ModelIssue | None = None

    shape = shape_of(Odd)
    assert shape is not None
    assert shape.schema is None


# In an engine


def one(name: str, **node: Any) -> dict[str, Any]:
    return {"start": "a", "nodes": {"a": {"tool": name, **node}}}


def engine() -> Engine:
    return Engine(
        MemoryJournal(), tools=[typed_tools, tool(process=True)(typed_tools.plain_in_a_process)]
    )


async def test_typed_tools_run_wherever_tools_run() -> None:
    strict = {"config": {"strict": True, "words": ["b", "a"]}}
    async with engine() as opened:
        loop = await opened.run(one("on_the_loop"), {"issues": [], "other": 1})
        assert loop.state == {"issues": [{"line": 0, "text": "a"}], "round": 1, "other": 1}
        thread = await opened.run(one("in_a_thread", **strict), {"issues": []})
        assert thread.state == {
            "issues": [{"line": 7, "text": ""}],
            "round": 1,
            "verdict": "strict",
        }
        process = await opened.run(one("in_a_process", **strict), {"issues": []})
        assert process.state == {"issues": [{"line": 9, "text": ""}], "notes": ["a", "b"]}
        plain = await opened.run(one("plain_in_a_process"), {"issues": [], "round": 2})
        assert plain.state == {"issues": [{"line": 1, "text": ""}], "round": 3}


@pytest.mark.parametrize("name", ["on_the_loop", "plain_in_a_process"])
async def test_a_state_that_does_not_fit_is_the_nodes_error(name: str) -> None:
    graph = one(name, next=[{"to": "b", "on": "error", "when": "error.type == 'state-mismatch'"}])
    graph["nodes"]["b"] = {}
    async with engine() as opened:
        caught = await opened.run(graph, {"issues": [{"line": "x"}]})
        failed = await opened.run(one(name), {"issues": [{"line": "x"}]})
    assert caught.status == "completed"
    assert failed.error is not None
    assert (failed.error.type, failed.error.message, failed.error.traceback) == (
        "state-mismatch",
        "/issues/0/line is text, not an integer",
        "",
    )


async def test_predicates_are_typed_as_well() -> None:
    graph = one("in_a_thread", config={"strict": False})
    graph["nodes"]["a"]["next"] = [{"to": "b", "when": {"fn": "is_clean"}}, {"to": "$end"}]
    graph["nodes"]["b"] = {}
    async with engine() as opened:
        run = await opened.run(graph, {"issues": []})
        assert [visit.node for visit in await opened.visits(run.id)] == ["a"]
        spoilt = {**graph, "nodes": {**graph["nodes"], "a": {"next": graph["nodes"]["a"]["next"]}}}
        failed = await opened.run(spoilt, {"issues": 3})
    assert failed.error is not None
    assert "/issues is an integer, not a list" in failed.error.message


async def test_a_config_that_does_not_fit_is_refused_with_the_graph() -> None:
    async with engine() as opened:
        for config, pointer, detail in (
            ({"strict": 1}, "/nodes/a/config/strict", "is an integer, not true or false"),
            ({}, "/nodes/a/config/strict", "is missing"),
            ({"strict": True, "x": 1}, "/nodes/a/config/x", "is a key that its type forbids"),
        ):
            with pytest.raises(GraphInvalid) as caught:
                await opened.create_graph(one("in_a_thread", config=config))
            (fault,) = caught.value.faults
            assert (fault.pointer, fault.detail) == (pointer, detail)


def configured(function: Callable[..., Any]) -> Tool:
    function.__annotations__ = get_type_hints(function)
    return tool(name="configured")(function)


async def test_a_config_that_no_longer_fits_is_the_nodes_error() -> None:
    def old(state: dict[str, Any], config: dict[str, Any]) -> None: ...
    def new(state: dict[str, Any], config: Settings) -> None: ...

    journal = MemoryJournal()
    async with journal:
        async with Engine(journal, tools=[configured(old)]) as opened:
            await opened.create_graph({"id": "g", **one("configured")})
        async with Engine(journal, tools=[configured(new)]) as opened:
            run = await opened.run("g", {"n": 1})
    assert run.error is not None
    assert (run.error.type, run.error.message) == ("config-mismatch", "/strict is missing")


def test_a_validator_that_breaks_breaks_no_creation_of_a_graph() -> None:
    class Broken(pydantic.BaseModel):
        @pydantic.model_validator(mode="before")
        @classmethod
        def _break(cls, data: Any) -> Any:
            raise OSError("no disk")

    fault = Types(config=shape_of(Broken)).config_fault({})
    assert fault is not None
    assert fault.detail == "cannot be checked: OSError"
    assert Types().config_fault({}) is None


class Key(Struct):
    api_key: str
    length: int = 0


def measure(state: Key) -> dict[str, Any]:
    state.length = len(state.api_key)
    return {}


def renew(state: Key) -> Key:
    return Key(state.api_key[::-1], 1)


async def test_a_typed_tool_is_given_secrets_and_may_change_them() -> None:
    graph: dict[str, Any] = {
        "start": "a",
        "nodes": {
            "a": {"tool": "measure", "next": "b"},
            "b": {"tool": "renew", "next": "c"},
            "c": {"tool": "measure"},
        },
        "state": {"api_key": {"secret": True}},
    }
    async with Engine(MemoryJournal(), tools=[tool(measure), tool(renew)]) as opened:
        run = await opened.run(graph, {"api_key": "sk-12345"})
        stored = [record.data for record in await opened.journal.read(run.id, after=0)]
    assert run.state == {"api_key": {"$secret": "api_key#2"}, "length": 8}
    assert not [data for data in stored if b"sk-12345" in data or b"54321-ks" in data]


async def test_a_reducer_meets_what_is_returned_and_not_what_was_there() -> None:
    def grow(state: Found) -> Found:
        return msgspec.structs.replace(state, round=2)

    graph = {**one("grow"), "state": {"issues": {"reducer": "concat"}, "round": {"reducer": "add"}}}
    async with Engine(MemoryJournal(), tools=[tool(grow)]) as opened:
        run = await opened.run(graph, {"issues": [{"line": 1}], "round": 1})
    assert run.state == {"issues": [{"line": 1}], "round": 3}
