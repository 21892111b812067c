"""Secrets: references in what is written down, values for tools, and nothing of them in any text."""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode
from typing import Any
from urllib.parse import quote, quote_plus

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stenograph.engine.errors import NotJson, SecretLeaked, SecretRefused, StateTooLarge
from stenograph.engine.state.masking import SECRET_MIN_CHARS
from stenograph.engine.state.state import State
from stenograph.engine.state.vault import SECRETS_MAX_BYTES, Vault, name_in, ref_of
from stenograph.engine.tools.draft import ABSENT
from stenograph.engine.values import encode
from tests.json_values import JSON, TEXTS

TOKEN = "sk live/4f+\"9'ä\\x"
REF = {"$secret": "token#1"}


def with_token(value: Any = TOKEN, *keys: str) -> Vault:
    return Vault({"token", *keys}, {"token#1": value})


# --- references -----------------------------------------------------------------------------


def test_a_reference_names_its_secret() -> None:
    assert ref_of("token#1") == REF
    assert name_in(REF) == "token#1"


@pytest.mark.parametrize("value", [None, "token#1", [], {}, {"$secret": 1}, {**REF, "more": 1}])
def test_anything_else_is_a_value(value: Any) -> None:
    assert name_in(value) is None


# --- from outside ---------------------------------------------------------------------------


def test_a_first_state_is_sealed_where_its_keys_are_secret() -> None:
    vault = Vault({"token"})
    sealed = vault.seal_given({"token": TOKEN, "user": "ada"})
    assert sealed.values == {"token": REF, "user": "ada"}
    assert sealed.secrets == {"token#1": encode(TOKEN)}
    assert vault.open(sealed.values) == {"token": TOKEN}


def test_a_signals_payload_is_sealed_as_the_next_value() -> None:
    sealed = with_token().seal_given({"token": "another"})
    assert (sealed.values, list(sealed.secrets)) == ({"token": ref_of("token#2")}, ["token#2"])


def test_what_poses_as_a_reference_is_refused() -> None:
    with pytest.raises(SecretRefused, match=r"'token' is a secret, .* give the value itself"):
        with_token().seal_given({"token": REF})


def test_what_looks_like_a_reference_under_another_key_opens_nothing() -> None:
    vault = with_token()
    assert vault.seal_given({"note": REF}).values == {"note": REF}
    assert vault.open({"note": REF}) == {}


def test_a_secret_is_json() -> None:
    with pytest.raises(NotJson, match="/token"):
        Vault({"token"}).seal_given({"token": {1, 2}})


def test_secrets_are_small() -> None:
    with pytest.raises(StateTooLarge, match=r"the secrets token have 262,145 bytes"):
        Vault({"token"}).seal_given({"token": "x" * (SECRETS_MAX_BYTES - 1)})
    assert Vault({"token"}).seal_given({"token": "x" * (SECRETS_MAX_BYTES - 2)}).secrets


# --- tools ----------------------------------------------------------------------------------


def test_a_tool_gets_the_values_fresh() -> None:
    vault = with_token({"user": ["ada"]})
    vault.open({"token": REF})["token"]["user"].clear()
    assert vault.open({"token": REF, "other": 1}) == {"token": {"user": ["ada"]}}


def test_a_forgotten_secret_is_missing_and_its_reference_stays() -> None:
    vault = Vault({"token", "plain"})
    state = {"token": REF, "plain": 1, "other": REF}
    assert (vault.open(state), vault.missing(state)) == ({}, ["token"])
    assert vault.seal(state, {"token": REF}).values == {"token": REF}
    assert with_token().missing({"token": REF}) == []


def test_an_unchanged_secret_keeps_its_reference() -> None:
    sealed = with_token().seal({"token": REF}, {"token": TOKEN, "plain": 1})
    assert (sealed.values, sealed.secrets) == ({"token": REF}, {})


def test_a_changed_secret_gets_a_new_reference() -> None:
    vault = with_token()
    sealed = vault.seal({"token": REF}, {"token": "rotated"})
    assert sealed.values == {"token": ref_of("token#2")}
    assert sealed.secrets == {"token#2": b'"rotated"'}
    assert vault.open(sealed.values) == {"token": "rotated"}
    assert vault.open({"token": REF}) == {"token": TOKEN}


def test_a_deleted_secret_is_deleted() -> None:
    sealed = with_token().seal({"token": REF}, {"token": ABSENT})
    assert (sealed.values, sealed.secrets) == ({"token": ABSENT}, {})


@pytest.mark.parametrize(("old", "new"), [(1, True), (1, 1.0), (None, ABSENT), ([], {})])
def test_values_are_compared_as_json_has_them(old: Any, new: Any) -> None:
    assert with_token(old).seal({"token": REF}, {"token": new}).values != {"token": REF}


def test_a_tool_that_returns_a_reference_has_made_a_value_of_it() -> None:
    vault = with_token(TOKEN, "other")
    sealed = vault.seal({"token": REF}, {"other": REF})
    assert vault.open(sealed.values) == {"other": REF}


def test_a_name_is_never_given_twice() -> None:
    vault = with_token()
    names = [*vault.seal({}, {"token": 1}).secrets, *vault.seal({}, {"token": 2}).secrets]
    assert names == ["token#2", "token#3"]
    assert list(Vault({"token"}, after=40).seal({}, {"token": 1}).secrets) == ["token#41"]


def test_a_key_may_hold_anything_a_key_may() -> None:
    vault = Vault({"a#9", ""})
    sealed = vault.seal_given({"a#9": "value-1", "": "value-2"})
    assert list(sealed.secrets) == ["a#9#1", "#1"]
    assert Vault.stored({"a#9", ""}, sealed.secrets).open(sealed.values) == {
        "a#9": "value-1",
        "": "value-2",
    }


def test_a_draft_with_its_secrets_opened_and_sealed_changes_nothing() -> None:
    """The way of a tool that touches nothing, small state or large."""
    vault = with_token(["real"] * 3)
    for filling in ("", "x" * 20_000):
        state = State.from_values({"token": REF, "filling": [filling]})
        draft = state.draft()
        for key, value in vault.open(state).items():
            dict.__setitem__(draft, key, value)
        assert draft["token"] == ["real"] * 3
        for key, value in vault.seal(state, {"token": dict.get(draft, "token")}).values.items():
            dict.__setitem__(draft, key, value)
        assert state.update(draft, {}).patch == ()


# --- sub-graphs -----------------------------------------------------------------------------


def test_a_secret_that_goes_into_a_sub_graph_keeps_its_reference() -> None:
    inner = with_token().with_keys({"api"})
    sealed = inner.seal_across({"api": REF, "n": 1}, {"api"})
    assert (sealed.values, sealed.secrets) == ({"api": REF, "n": 1}, {})
    assert inner.open(sealed.values) == {"api": TOKEN}


def test_what_was_no_secret_is_sealed_where_it_becomes_one() -> None:
    vault = with_token()
    sealed = vault.seal_across({"token": REF}, {"other"})
    assert sealed.values == {"token": ref_of("token#2")}
    assert vault.open(sealed.values) == {"token": REF}


def test_vaults_of_one_run_know_each_others_secrets() -> None:
    outer = with_token()
    inner = outer.with_keys({"api"})
    inner.seal({}, {"api": "made inside"})
    assert outer.mask("it was made inside") == "it was [secret api]"


# --- masks ----------------------------------------------------------------------------------

SPELLINGS = [
    TOKEN,
    repr(TOKEN),
    repr(TOKEN.encode()),
    json.dumps(TOKEN),
    json.dumps(TOKEN, ensure_ascii=False),
    quote(TOKEN),
    quote(TOKEN, safe=""),
    quote(TOKEN, safe="").lower(),
    quote_plus(TOKEN),
    *(b64encode(b"u" * n + TOKEN.encode() + b":").decode() for n in range(5)),
    *(urlsafe_b64encode(b"u" * n + TOKEN.encode()).decode() for n in range(5)),
]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_usual_spelling_is_masked(spelling: str) -> None:
    vault = with_token()
    masked = vault.mask(f"before {spelling} after")
    assert "[secret token]" in masked
    assert masked.startswith("before ")
    assert masked.endswith(" after")
    assert vault.leak(encode(spelling)) == "token"


def test_a_text_without_secrets_stays_what_it_is() -> None:
    text = "nothing to see"
    assert with_token().mask(text) is text
    assert Vault({"token"}).mask(text) is text
    assert Vault({"token"}).mask_json(b'{"a":1}') == b'{"a":1}'


@pytest.mark.parametrize("number", [123456, -123456, 1234.56, 1e15 + 0.5])
def test_long_numbers_are_masked(number: float) -> None:
    assert with_token(number).mask(f"pin {number}").lstrip("pin -") == "[secret token]"


@pytest.mark.parametrize("value", ["short", 12345, True, None, 1e16, {"password": "short"}])
def test_what_is_short_is_not_looked_for(value: Any) -> None:
    text = f"it is {value} or {json.dumps(value)} password"
    assert with_token(value).mask(text) == text


def test_all_leaves_of_a_secret_are_masked_longest_first() -> None:
    vault = with_token({"user": "ada-lovelace", "keys": ["ada-love", 987654]})
    assert vault.mask("ada-lovelace ada-love 987654") == " ".join(["[secret token]"] * 3)


def test_json_stays_json() -> None:
    vault = Vault({'a"k'}, {'a"k#1': ["secret-1", 123456]})
    masked = vault.mask_json(b'{"secret-1":["secret-1",123456,7,true,null]}')
    mark = '[secret a"k]'
    assert msgspec.json.decode(masked) == {mark: [mark, mark, 7, True, None]}


def test_a_secret_made_of_json_is_left_out_with_all_around_it() -> None:
    vault = with_token('"a":"b"')
    assert vault.mask_json(b'{"a":"b"}') == b'{"omitted":"a secret was in it"}'


@pytest.mark.parametrize("value", ["secret", "[secret", "token]", "******", "[secret token]"])
def test_a_secret_that_is_in_its_own_mask_is_not_in_what_is_masked(value: str) -> None:
    masked = with_token(value).mask(f"a {value} b {value}{value}")
    assert value not in masked
    assert masked.startswith("a ")


def test_two_secrets_that_each_stand_in_the_marks_are_cut_out() -> None:
    vault = Vault({"a", "b"}, {"a#1": "secret", "b#1": "x***yz"})
    assert vault.mask("xsecretyz") == "xyz"


def test_references_are_no_leak_and_posing_ones_are() -> None:
    vault = with_token("secret")
    assert vault.leak(encode([REF, "plain"])) is None
    assert vault.leak(b'"the secret"') == "token"
    assert with_token("token#2").leak(encode(ref_of("token#2"))) == "token"


def test_a_leak_names_the_key_and_the_place_and_not_the_secret() -> None:
    vault = with_token()
    vault.check(b'"harmless"', "the key 'note'")
    with pytest.raises(SecretLeaked, match="the secret 'token' is in the key 'note'") as leaked:
        vault.check(encode(["x" + TOKEN]), "the key 'note'")
    assert (leaked.value.key, TOKEN in str(leaked.value)) == ("token", False)


# --- laws -----------------------------------------------------------------------------------

LONG = st.text(st.characters(exclude_categories=["Cs"]), min_size=SECRET_MIN_CHARS, max_size=20)
AWKWARD = st.text("secrt []*tokn", min_size=SECRET_MIN_CHARS, max_size=9)


@given(st.lists(LONG | AWKWARD, min_size=1, max_size=3), st.lists(TEXTS | AWKWARD, max_size=4))
def test_what_is_masked_holds_no_secret(secrets: list[str], around: list[str]) -> None:
    vault = with_token(secrets)
    text = "".join(part for pair in zip(around, secrets * 2, strict=False) for part in pair)
    text += secrets[0]
    masked = vault.mask(text)
    assert not [secret for secret in secrets if secret in masked]
    assert vault.mask(masked) == masked


@given(st.lists(LONG, min_size=1, max_size=3), JSON)
def test_json_that_is_masked_leaks_nothing(secrets: list[str], value: Any) -> None:
    vault = with_token(secrets)
    data = encode({"value": value, "secrets": [*secrets, {secrets[0]: value}]})
    assert vault.leak(data) == "token"
    masked = vault.mask_json(data)
    assert vault.leak(masked) is None
    msgspec.json.decode(masked)


@given(JSON, JSON)
def test_what_is_sealed_opens_to_itself(first: Any, second: Any) -> None:
    vault = Vault({"token"})
    for value in (first, second):
        sealed = vault.seal({}, {"token": value})
        assert encode(vault.open(sealed.values)) == encode({"token": value})
        again = vault.seal(sealed.values, vault.open(sealed.values))
        assert (again.values, again.secrets) == (sealed.values, {})
