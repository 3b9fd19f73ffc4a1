"""What is told of what a venue says, which alerts are on, and whether its stream can be believed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from indexer.domain.accounts import alerts, judging
from indexer.domain.accounts.alerts import AlertKey, Raised
from indexer.domain.accounts.amounts import AssetBalance, Slot
from indexer.domain.accounts.arrivals import Snapshot, Updated
from indexer.domain.accounts.changes import ChangeThreshold
from indexer.domain.accounts.facts import AssetChanged, AssetUpdated
from indexer.domain.accounts.hearing import DEAD_SECONDS, LATE_SECONDS, Hearing
from indexer.domain.accounts.judging import Rules, Verdict, judge
from indexer.domain.accounts.merging import merge
from indexer.domain.accounts.state import WalletState
from indexer.domain.accounts.validation import Finding, findings
from tests.domain.accounts.builders import ACCOUNT, TIME, USDT, amounts

BTC = Slot("spot", "BTC")


def judged(state: WalletState, asked: float, total: str, rules: Rules | None = None, baseline: str = "1") -> Verdict:
    snapshot = Snapshot("spot", {"BTC": amounts(total, "0", total)}, "wallet", "rest", asked, asked, TIME)
    return judge(ACCOUNT, merge(state, snapshot), state, rules or Rules(), {BTC: Decimal(baseline)}, asked)


def test_a_first_amount_is_told_as_first_and_a_later_one_by_its_source() -> None:
    first = judged(WalletState(), 1, "1")
    second = judged(first.state, 2, "1.001")
    causes = [fact.cause for verdict in (first, second) for fact in verdict.facts if isinstance(fact, AssetUpdated)]
    assert causes == ["first", "rest"]


def test_what_breaks_a_rule_is_kept_out_until_it_is_right_again() -> None:
    good = judged(WalletState(), 1, "1")
    bad = judged(good.state, 2, "-5")
    assert bad.facts == ()
    assert ("negative_balance", "error") in [(one.kind, one.severity) for one in bad.findings]
    again = judged(bad.state, 3, "2")
    assert [fact.previous for fact in again.facts if isinstance(fact, AssetUpdated)] == [amounts("1", "0", "1")]
    assert again.findings == ()


def test_a_change_beyond_the_threshold_is_told_twice() -> None:
    rules = Rules(change=ChangeThreshold(percent=Decimal(10)))
    first = judged(WalletState(), 1, "1", rules)
    small = judged(first.state, 2, "1.05", rules)
    assert [type(fact) for fact in small.facts] == [AssetUpdated]
    large = judged(small.state, 3, "1.2", rules)
    assert [type(fact) for fact in large.facts] == [AssetUpdated, AssetChanged]


def test_another_measure_is_no_change_of_the_balance() -> None:
    first = judged(WalletState(), 1, "1")
    snapshot = Snapshot("spot", {"BTC": amounts("9", "0", "9")}, "equity", "rest", 2, 2, TIME)
    verdict = judge(ACCOUNT, merge(first.state, snapshot), first.state, Rules(), {BTC: Decimal(1)}, 2)
    assert [fact.change for fact in verdict.facts] == [None]


def test_an_alert_is_told_once_when_it_begins_and_once_when_it_is_over() -> None:
    finding = Finding("negative_balance", "error", "total is -1", USDT)
    on = alerts.judged({}, [finding], [USDT])
    assert [(one.kind, one.cleared) for one in alerts.told(ACCOUNT, {}, on)] == [("negative_balance", False)]
    still = alerts.judged(on, [finding], [USDT])
    assert alerts.told(ACCOUNT, on, still) == ()
    over = alerts.judged(still, [], [USDT])
    assert [(one.asset, one.cleared) for one in alerts.told(ACCOUNT, still, over)] == [("USDT", True)]


def test_what_was_not_looked_at_stays_as_it_is() -> None:
    on = alerts.judged({}, [Finding("negative_balance", "error", "", USDT)], [USDT])
    assert alerts.judged(on, [], [BTC]) == on
    both = alerts.raised(on, AlertKey("authentication"), Raised("error", "invalid key"))
    assert alerts.cleared(both, [AlertKey("authentication")]) == on


def test_a_stream_without_a_sign_of_life_is_dead() -> None:
    hearing = Hearing().opened(frozenset({"spot"}), 0)
    assert hearing.talks(DEAD_SECONDS)
    assert hearing.is_dead(DEAD_SECONDS + 1)
    assert hearing.alive(DEAD_SECONDS).talks(DEAD_SECONDS + 1)
    assert not hearing.talks(0, "margin")
    assert not Hearing().is_dead(1e9)


def test_a_stream_that_does_not_tell_what_a_read_found_is_not_believed() -> None:
    hearing = Hearing().opened(frozenset({"spot"}), 0).found([BTC], 10)
    assert hearing.forgotten(10 + LATE_SECONDS) == ()
    assert hearing.forgotten(10.1 + LATE_SECONDS) == (BTC,)
    assert hearing.told([BTC], 11).forgotten(20) == ()


def test_what_the_stream_told_a_moment_before_the_read_found_it_is_not_forgotten() -> None:
    hearing = Hearing().opened(frozenset({"spot"}), 0).told([BTC], 9).found([BTC], 10)
    assert hearing.forgotten(99) == ()


def test_of_a_frame_only_what_it_names_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a wallet with a thousand coins each frame of one of them took 37 ms on two busy cores."""
    many = {f"C{number}": amounts("1", "0", "1") for number in range(1_000)}
    first = merge(WalletState(), Snapshot("spot", many, "wallet", "rest", 1, 1, TIME)).state
    looked_at: list[str] = []

    def counted(held: AssetBalance, *others: Any) -> tuple[Finding, ...]:
        looked_at.append(held.slot.asset)
        return findings(held, *others)

    monkeypatch.setattr(judging, "findings", counted)
    frame = Updated("spot", {"C7": amounts("2", "0", "2"), "C8": amounts("1", "0", "1")}, "wallet", 99, TIME)
    verdict = judge(ACCOUNT, merge(first, frame), first, Rules(), {}, 2)
    assert looked_at == ["C7", "C8"]
    assert [slot.asset for slot in verdict.judged] == ["C7", "C8"]
    assert [fact.slot.asset for fact in verdict.facts] == ["C7"]
    assert len(verdict.state.known) == 1_000
