"""What the file hides of what was added over the API: told when it begins, and when it ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import structlog.testing

from indexer.app.hidden import Hidden, merged
from indexer.domain.accounts.amounts import AccountKey
from indexer.domain.watching import HiddenSolver, Solver, WatchedToken
from tests.actors.fakes import USDC, wallet

SHADE = HiddenSolver(Solver("shade", wallet(1)), "shade", (1, 8453))
ALL = Hidden((SHADE,), (WatchedToken(1, USDC),), (AccountKey("binance", "desk"),), frozenset({1}))
NONE = Hidden(chains=frozenset({1}))
APPLIED: dict[str, Any] = {
    "solvers": {"added": ["shade"]},
    "tokens": {"added": []},
    "exchanges": {},
    "nats": "unchanged",
}
SHOWN = {"name": "shade", "address": wallet(1), "by": "shade", "unwatchedOn": [1, 8453]}
TOKEN = {"chainId": 1, "address": USDC}
ACCOUNT = {"exchange": "binance", "name": "desk"}


def said(before: Hidden, after: Hidden) -> Sequence[tuple[str, str]]:
    with structlog.testing.capture_logs() as lines:
        after.tell(before)
    return [(line["event"], line["log_level"]) for line in lines]


def test_what_is_hidden_from_now_on_is_in_the_difference_and_in_the_log() -> None:
    assert merged(APPLIED, Hidden(), ALL) == {
        "solvers": {"added": ["shade"], "hidden": [SHOWN], "back": []},
        "tokens": {"added": [], "hidden": [TOKEN], "back": []},
        "exchanges": {"hidden": [ACCOUNT], "back": []},
        "nats": "unchanged",
    }
    assert said(Hidden(), ALL) == [
        ("solver_hidden", "warning"),
        ("token_hidden", "info"),
        ("account_hidden", "warning"),
    ]


def test_what_comes_back_is_in_the_difference_and_in_the_log() -> None:
    told = merged(APPLIED, ALL, NONE)
    assert told["solvers"]["back"] == [{"name": "shade", "address": wallet(1)}]
    assert (told["tokens"]["back"], told["exchanges"]["back"]) == ([TOKEN], [ACCOUNT])
    assert told["solvers"]["hidden"] == []
    assert said(ALL, NONE) == [("solver_back", "info"), ("token_back", "info"), ("account_back", "info")]


def test_a_token_of_a_chain_that_is_gone_is_not_back() -> None:
    assert merged(APPLIED, ALL, Hidden())["tokens"]["back"] == []


def test_what_was_hidden_before_is_not_told_again() -> None:
    told = merged(APPLIED, ALL, ALL)
    assert [told[part][key] for part in ("solvers", "tokens", "exchanges") for key in ("hidden", "back")] == [[]] * 6
    assert said(ALL, ALL) == []


def test_a_solver_that_is_watched_as_before_under_the_files_name_is_no_warning() -> None:
    same = Hidden((HiddenSolver(Solver("shade", wallet(1)), "other", ()),))
    assert said(Hidden(), same) == [("solver_hidden", "info")]


def test_all_that_is_hidden_is_in_the_status() -> None:
    assert ALL.json() == {"solvers": [SHOWN], "tokens": [TOKEN], "accounts": [ACCOUNT]}
