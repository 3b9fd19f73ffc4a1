"""`${NAME}` and `${NAME:-default}`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.config.environment import Expansion, expand

names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,10}", fullmatch=True)
plain = st.text(max_size=30).filter(lambda text: "$" not in text)
inner = st.text(max_size=20).filter(lambda text: not set(text) & set("${}"))


@given(plain)
def test_a_text_without_variables_stays_as_it_is(text: str) -> None:
    assert expand(text, {}) == Expansion(text)


@given(plain, names, st.text(max_size=20), plain)
def test_a_variable_is_replaced_by_exactly_what_it_holds(before: str, name: str, value: str, after: str) -> None:
    text = f"{before}${{{name}}}{after}"
    assert expand(text, {name: value}) == Expansion(f"{before}{value}{after}", is_changed=True, written=text)


@given(names, inner, st.text(max_size=20))
def test_the_default_stands_for_unset_and_for_empty(name: str, default: str, value: str) -> None:
    text = f"${{{name}:-{default}}}"
    assert expand(text, {}).text == default
    assert expand(text, {}).unset == ()
    assert expand(text, {name: value}).text == (value or default)
    assert expand(text, {name: value}).written == f"${{{name}}}"


@given(st.lists(names, max_size=5))
def test_every_unset_variable_is_named_once(wanted: list[str]) -> None:
    text = "/".join(f"${{{name}}}" for name in wanted)
    assert expand(text, {}).unset == tuple(dict.fromkeys(wanted))


@given(st.text(alphabet="${}:-aA_1 ", max_size=40), st.dictionaries(names, st.text(max_size=5)))
def test_whatever_is_written_is_read_or_called_broken(text: str, environ: dict[str, str]) -> None:
    expansion = expand(text, environ)
    if "${" not in text:
        assert expansion == Expansion(text)


def test_a_variable_within_a_default_is_told_once_as_what_it_is() -> None:
    assert (expand("${A:-${B}}", {}).is_broken, expand("${A:-${B}}", {}).unset) == (True, ())
    assert expand("${A} ${B:-${C}}", {}).unset == ("A",)


@pytest.mark.parametrize("text", ["${", "${}", "${1A}", "${A", "${A:-${B}}", "${A-x}", "x ${A B}"])
def test_what_begins_like_a_variable_and_is_none_is_broken(text: str) -> None:
    assert expand(text, {"A": "a", "B": "b"}).is_broken


def test_what_a_variable_holds_is_not_expanded_again() -> None:
    assert expand("${A}", {"A": "${B}", "B": "b"}).text == "${B}"
    assert not expand("${A}", {"A": "${B}"}).is_broken
