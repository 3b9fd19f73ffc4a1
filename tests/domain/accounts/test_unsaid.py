"""Amounts that a venue names and does not say: nothing is made of them, neither zero nor what was before."""

from __future__ import annotations

from dataclasses import replace

from indexer.domain.accounts.amounts import Amounts, Slot
from indexer.domain.accounts.arrivals import Snapshot, Updated
from indexer.domain.accounts.merging import merge
from indexer.domain.accounts.state import WalletState
from tests.domain.accounts.builders import amounts
from tests.domain.accounts.test_state import after, at, frame, totals, whole


def _unsaid(snapshot: Snapshot, asset: str, said: Amounts = Amounts()) -> Snapshot:  # noqa: B008 - frozen
    return replace(snapshot, amounts={**snapshot.amounts, asset: said})


def test_an_asset_that_is_there_without_its_amount_is_neither_gone_nor_zero() -> None:
    state = merge(WalletState(), whole(1, BTC="2", EUR="100")).state
    for asked in range(2, 20):
        merged = merge(state, _unsaid(whole(asked, EUR="101"), "BTC"))
        assert merged.unsaid == (Slot("spot", "BTC"),)
        assert merged.state.known["BTC"].held.amounts == amounts("2", "0", "2")
        assert merged.state.known["EUR"].held.amounts.total == 101
        state = merged.state
    assert merge(state, whole(20, BTC="2", EUR="101")).unsaid == ()


def test_a_whole_wallet_without_amounts_is_not_empty() -> None:
    state = merge(WalletState(), whole(1, BTC="2")).state
    for asked in range(2, 200, 20):
        merged = merge(state, _unsaid(whole(asked), "BTC"))
        assert merged.changed == ()
        state = merged.state
    assert state.known["BTC"].held.amounts.total == 2


def test_what_is_free_is_not_taken_for_a_total_that_is_not_said() -> None:
    state = merge(WalletState(), whole(1, BTC="2")).state
    merged = merge(state, _unsaid(whole(2), "BTC", amounts("1")))
    assert (merged.changed, merged.unsaid) == ((), (Slot("spot", "BTC"),))


def test_an_asset_of_which_nothing_was_ever_said_is_not_known() -> None:
    merged = merge(WalletState(), _unsaid(whole(1, EUR="1"), "XYZ"))
    assert (set(merged.state.known), merged.unsaid) == ({"EUR"}, ())


def test_a_part_that_a_read_does_not_say_any_more_is_not_known() -> None:
    merged = after(whole(1, BTC="2"), _unsaid(whole(2), "BTC", amounts("2", None, "2")))
    assert [one.amounts for one in merged.changed] == [amounts("2", None, "2")]


def test_a_zero_that_a_read_does_not_say_any_more_is_not_known() -> None:
    zero = after(whole(1, BTC="2", EUR="1"), whole(2, BTC="0", EUR="1")).state
    merged = merge(zero, _unsaid(whole(3, EUR="1"), "BTC"))
    assert [one.amounts for one in merged.changed] == [Amounts()]
    again = merge(merged.state, _unsaid(whole(4, EUR="1"), "BTC"))
    assert (again.changed, again.unsaid, again.doubt) == ((), (), None)
    assert [one.amounts for one in merge(again.state, whole(5, BTC="0", EUR="1")).changed] == [amounts("0", "0", "0")]


def test_what_is_not_known_does_not_keep_an_emptied_wallet_from_being_empty() -> None:
    zero = after(whole(1, BTC="2"), whole(2, BTC="0")).state
    for asked in (100.0, 200.0, 300.0, 400.0, 500.0, 600.0):
        zero = merge(zero, whole(asked, BTC="0")).state
    unknown = merge(zero, _unsaid(whole(700), "BTC")).state
    assert unknown.known["BTC"].held.amounts == Amounts()
    assert merge(unknown, whole(800)).doubt != "the spot wallet came back empty"


def _told(received: float, said: Amounts) -> Updated:
    return replace(frame(received), amounts={"BTC": said})


def test_a_frame_that_names_an_asset_without_its_amount_is_a_reason_to_ask() -> None:
    for said in (Amounts(), amounts("1"), amounts(None, "0")):
        merged = after(whole(1, BTC="2"), _told(9, said))
        assert (totals(merged.state), merged.changed) == ({"BTC": "2"}, ())
        assert merged.ask is not None
        assert merged.state.gone == frozenset()
    unknown = after(whole(1, EUR="2"), _told(9, Amounts()))
    assert (totals(unknown.state), unknown.changed) == ({"EUR": "2"}, ())


def test_what_a_frame_leaves_out_of_an_unchanged_amount_is_still_known() -> None:
    merged = after(whole(1, BTC="2"), _told(9, amounts("2", None, "2")))
    assert (merged.changed, merged.state.known["BTC"].held.amounts) == ((), amounts("2", "0", "2"))
    assert at(9) == merged.state.known["BTC"].newest
