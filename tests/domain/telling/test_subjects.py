"""Every event has a subject, names are safe in it, and no two names share one."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.domain.telling.events import EVENT_TYPES
from indexer.domain.telling.subjects import ROOTS, Names, covers, subject_of, token
from tests.domain.samples import wallet

ACME, OTHER = wallet(1), wallet(2)
NAMES = Names(chains={1: "ethereum", 10: "op main.net"}, solvers={ACME: "acme desk"})


def subject(kind: str, stream: str, /, **data: Any) -> str:
    return subject_of({"type": kind, "stream": stream, "seq": 1, "id": "x", "data": data}, NAMES)


@pytest.mark.parametrize(
    ("kind", "stream", "data", "expected"),
    [
        ("balance.updated", "chain:1", {"solverAddress": ACME}, "balance.ethereum.acme%20desk"),
        ("balance.reverted", "chain:1", {"solverAddress": ACME}, "balance.ethereum.acme%20desk"),
        ("balance.updated", "chain:10", {"solverAddress": ACME}, "balance.op%20main%2Enet.acme%20desk"),
        ("balance.updated", "chain:137", {"solverAddress": OTHER}, f"balance.137.{OTHER}"),
        ("balance.updated", "exchange:binance:main", {}, "balance.binance.main"),
        ("balance.changed", "exchange:binance:eu.1", {}, "balance.binance.eu%2E1"),
        ("position.updated", "exchange:binance:main", {}, "positions.binance.main"),
        ("funding_fee", "exchange:binance:main", {}, "funding_fees.binance.main"),
        ("account.alert", "exchange:binance:main", {"kind": "stale_data"}, "alerts.stale_data"),
        ("alert.raised", "chain:1", {}, "alerts.raised"),
        ("stream.stale", "chain:1", {"chainId": 1}, "streams.chain:1"),
        ("stream.live", "exchange:binance:eu.1", {}, "streams.exchange:binance:eu%2E1"),
        ("chain.finalized", "chain:1", {"chainId": 1}, "streams.chain:1"),
        ("history.filled", "history:1", {"solverAddress": ACME}, "streams.history:1"),
        ("something.new", "somewhere:else", {}, "streams.somewhere:else"),
        ("balance.new", "somewhere:else", {}, "streams.somewhere:else"),
        ("balance.new", "chain:1", {}, "streams.chain:1"),
    ],
)
def test_each_kind_of_event_has_its_subject(kind: str, stream: str, data: Any, expected: str) -> None:
    assert subject(kind, stream, **data) == expected


@given(
    st.sampled_from(sorted(set(EVENT_TYPES.values()))) | st.from_regex(r"[a-z_]+(\.[a-z_]+)?", fullmatch=True),
    st.sampled_from(["chain:1", "history:10", "exchange:binance:main", "x"]) | st.text(min_size=1),
    st.dictionaries(st.sampled_from(["solverAddress", "kind"]), st.text(min_size=1)),
)
def test_whatever_the_event_is_its_subject_is_one_that_the_stream_takes(
    kind: str, stream: str, data: dict[str, str]
) -> None:
    found = subject(kind, stream, **data)
    parts = found.split(".")
    assert all(part and not set(part) & set(" \t\r\n*>") and part.isprintable() for part in parts)
    assert any(covers(f"{root}.>", found) for root in ROOTS)


@given(st.text(min_size=1))
def test_a_name_is_safe_and_can_be_read_back(name: str) -> None:
    safe = token(name)
    assert unquote(safe) == name
    assert not set(safe) & set(". *>\t\n\r\0")


@given(st.text(min_size=1), st.text(min_size=1))
def test_two_names_never_share_a_subject(one: str, other: str) -> None:
    assert (token(one) == token(other)) == (one == other)


PATTERN = st.lists(st.sampled_from(["a", "b", "*"]), min_size=1, max_size=3).flatmap(
    lambda parts: st.sampled_from([parts, [*parts, ">"], [">"]])
)
SUBJECT = st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=4)


@given(PATTERN, PATTERN, SUBJECT)
def test_who_covers_a_pattern_takes_all_that_agrees_with_it(wide: list[str], narrow: list[str], one: list[str]) -> None:
    if covers(".".join(wide), ".".join(narrow)) and agrees(narrow, one):
        assert agrees(wide, one)


def agrees(pattern: list[str], one: list[str]) -> bool:
    for index, part in enumerate(pattern):
        if part == ">":
            return len(one) > index
        if index == len(one) or part not in ("*", one[index]):
            return False
    return len(one) == len(pattern)


@pytest.mark.parametrize("wide", [">", "balance.>", "*.>"])
def test_the_usual_streams_cover_ours(wide: str) -> None:
    assert covers(wide, "balance.>")


@pytest.mark.parametrize("wide", ["balance.*.*", "balance", "*", "positions.>", "balance.*.>"])
def test_a_stream_that_takes_only_some_does_not_cover_ours(wide: str) -> None:
    assert not covers(wide, "balance.>")
