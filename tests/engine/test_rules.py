"""Rules: what a graph declares of its keys, ready for use."""

from __future__ import annotations

from stenograph.engine.errors import Fault
from stenograph.engine.graphs.graph import StateKey
from stenograph.engine.state.rules import NO_RULES, rules_of


def test_rules_hold_what_is_declared_and_nothing_else() -> None:
    keys = {
        "log": StateKey(reducer="append"),
        "n": StateKey(schema={"type": "integer"}),
        "token": StateKey(secret=True),
        "free": StateKey(),
    }
    rules = rules_of(keys)
    assert rules.reducers == {"log": "append"}
    assert list(rules.schemas) == ["n"]
    assert rules.secrets == {"token"}
    assert rules_of({}) == NO_RULES


def test_a_fault_leads_from_the_state_to_where_it_is() -> None:
    rules = rules_of({"a/b": StateKey(schema={"items": {"type": "integer"}})})
    assert rules.fault("a/b", [1, "x"]) == Fault("/a~1b/1", 'expected integer, found "x"')
    assert rules.fault("a/b", [1]) is None
    assert rules.fault("other", "x") is None


def test_nothing_is_told_of_a_secret() -> None:
    rules = rules_of({"token": StateKey(schema={"items": {"type": "integer"}}, secret=True)})
    assert rules.fault("token", ["hunter2"]) == Fault(
        "/token", "the secret does not fit its schema"
    )


def test_false_is_a_schema_too() -> None:
    assert rules_of({"a": StateKey(schema=False)}).fault("a", 1) is not None
