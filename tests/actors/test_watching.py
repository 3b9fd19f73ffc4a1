"""Who and what is watched: every rule, and who is told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NoReturn

import pytest
import structlog.testing

from actors.watching import WatchedChain, Watching
from indexer.domain.balances import Watch
from indexer.domain.chain import NATIVE, Address, BlockHash, Holding, TokenInfo
from indexer.domain.watching import HiddenSolver, Solver, WatchedToken
from indexer.errors import Impossible, NameTaken, NotFound, StoreUnavailable
from tests.actors.fakes import DAI, USDC, FakeTokenBook, FakeTokenNode, FakeWatchlist, wallet
from tests.clients.evm.builders import eventually

ETH = TokenInfo(18, "ETH", "ETH")
INFO = TokenInfo(6, "USDC", "USD Coin")
DAI_INFO = TokenInfo(18, "DAI", "Dai")
CHAINS = (WatchedChain("ethereum", 1, ETH, (USDC,)), WatchedChain("base", 8453, ETH))


class Desk:
    """Two chains, one solver in the file, and what was stored in earlier lives."""

    def __init__(
        self,
        solvers: Sequence[Solver] = (Solver("acme", wallet(0)),),
        watchlist: FakeWatchlist | None = None,
        book: FakeTokenBook | None = None,
    ) -> None:
        self.watchlist = watchlist or FakeWatchlist()
        self.book = book or FakeTokenBook()
        self.node = FakeTokenNode({USDC: INFO, DAI: DAI_INFO})
        self.told: list[tuple[int, Watch]] = []
        self.watching = Watching(
            chains=CHAINS,
            solvers=solvers,
            watchlist=self.watchlist,
            book=self.book,
            node=lambda _chain: self.node,
            changed=lambda chain, watch: self.told.append((chain, watch)),
        )

    async def loaded(self) -> Watching:
        await self.watching.load()
        return self.watching

    @property
    def told_chains(self) -> list[int]:
        return [chain for chain, _ in self.told]


# --- asking ----------------------------------------------------------------------------------------------------------


async def test_what_the_file_names_is_watched() -> None:
    desk = Desk([Solver("acme", wallet(0)), Solver("beta", wallet(1), (1,))])
    watching = await desk.loaded()
    assert watching.chains() == {"ethereum": 1, "base": 8453}
    assert watching.watch(1) == Watch(frozenset({USDC}), frozenset({wallet(0), wallet(1)}))
    assert watching.watch(8453) == Watch(frozenset(), frozenset({wallet(0)}))
    assert {solver.source for solver in watching.solvers()} == {"file"}
    assert desk.told == []


async def test_nothing_is_watched_on_a_chain_that_is_not_there() -> None:
    watching = await Desk([Solver("beta", wallet(1), (1,))]).loaded()
    assert watching.watch(137) == Watch()


async def test_what_was_added_in_an_earlier_life_is_watched_again() -> None:
    stored = FakeWatchlist([Solver("late", wallet(5))], [WatchedToken(8453, DAI, DAI_INFO)])
    watching = await Desk(watchlist=stored).loaded()
    assert watching.watch(8453) == Watch(frozenset({DAI}), frozenset({wallet(0), wallet(5)}))
    assert [(solver.name, solver.source) for solver in watching.solvers()] == [("acme", "file"), ("late", "api")]


@pytest.mark.parametrize("stored", [Solver("acme", wallet(5)), Solver("other", wallet(0))], ids=["name", "address"])
async def test_a_name_or_address_that_the_file_has_taken_since_is_the_files(stored: Solver) -> None:
    watching = await Desk(watchlist=FakeWatchlist([stored])).loaded()
    assert list(watching.solvers()) == [Solver("acme", wallet(0), source="file")]


async def test_a_token_from_both_is_listed_once_as_the_files_and_one_of_a_removed_chain_not_at_all() -> None:
    stored = FakeWatchlist([], [WatchedToken(1, USDC), WatchedToken(137, DAI)])
    watching = await Desk(watchlist=stored).loaded()
    assert [(token.chain_id, token.address, token.source) for token in watching.tokens()] == [(1, USDC, "file")]


async def test_tokens_are_listed_with_what_they_said_of_themselves() -> None:
    watching = await Desk(book=FakeTokenBook({(1, USDC): INFO})).loaded()
    assert [token.info for token in watching.tokens()] == [INFO]


# --- solvers ---------------------------------------------------------------------------------------------------------


async def test_a_new_solver_is_stored_and_told_to_every_chain() -> None:
    desk = Desk()
    watching = await desk.loaded()
    solver = await watching.add_solver("beta", wallet(1), None)
    assert solver == Solver("beta", wallet(1), None, "api")
    assert desk.watchlist.kept_solvers == {"beta": solver}
    assert desk.told_chains == [1, 8453]
    assert all(wallet(1) in watch.solvers for _, watch in desk.told)


async def test_a_solver_of_some_chains_concerns_those_alone() -> None:
    desk = Desk()
    watching = await desk.loaded()
    await watching.add_solver("beta", wallet(1), [8453])
    await watching.remove_solver("beta")
    assert desk.told_chains == [8453, 8453]
    assert wallet(1) not in watching.watch(1).solvers


@pytest.mark.parametrize("name", ["acme", "beta"], ids=["of the file", "of the API"])
async def test_a_name_is_given_once(name: str) -> None:
    watching = await Desk().loaded()
    await watching.add_solver("beta", wallet(1), None)
    with pytest.raises(NameTaken) as caught:
        await watching.add_solver(name, wallet(9), None)
    assert caught.value.field == "name"


async def test_an_address_has_one_name_and_the_refusal_says_which() -> None:
    watching = await Desk().loaded()
    with pytest.raises(Impossible, match="acme") as caught:
        await watching.add_solver("beta", wallet(0), None)
    assert caught.value.field == "address"


async def test_a_chain_must_be_configured_to_be_watched() -> None:
    desk = Desk()
    watching = await desk.loaded()
    with pytest.raises(Impossible, match="137") as caught:
        await watching.add_solver("beta", wallet(1), [1, 137])
    assert caught.value.field == "chains"
    assert (desk.watchlist.kept_solvers, desk.told) == ({}, [])


async def test_a_solver_that_cannot_be_stored_is_not_watched() -> None:
    desk = Desk()
    watching = await desk.loaded()
    desk.watchlist.trouble = StoreUnavailable("no primary")
    with pytest.raises(StoreUnavailable):
        await watching.add_solver("beta", wallet(1), None)
    assert ([solver.name for solver in watching.solvers()], desk.told) == (["acme"], [])


@pytest.mark.parametrize(
    ("other", "error"), [(("beta", wallet(2)), NameTaken), (("gamma", wallet(1)), Impossible)], ids=["name", "address"]
)
async def test_of_two_that_come_at_once_one_is_refused(other: tuple[str, Address], error: type[Exception]) -> None:
    desk = Desk()
    watching = await desk.loaded()
    results = await asyncio.gather(
        watching.add_solver("beta", wallet(1), None), watching.add_solver(*other, None), return_exceptions=True
    )
    assert [type(result) for result in results] == [Solver, error]
    assert len(desk.watchlist.kept_solvers) == 1


async def test_a_removed_solver_is_forgotten_and_told() -> None:
    desk = Desk()
    watching = await desk.loaded()
    await watching.add_solver("beta", wallet(1), None)
    desk.told.clear()
    await watching.remove_solver("beta")
    assert (desk.watchlist.kept_solvers, desk.told_chains) == ({}, [1, 8453])
    assert wallet(1) not in watching.watch(1).solvers
    assert (await watching.add_solver("beta", wallet(1), None)).name == "beta"


async def test_of_many_who_remove_a_solver_at_once_one_did_and_the_others_find_none() -> None:
    watching = await Desk().loaded()
    await watching.add_solver("beta", wallet(1), None)
    results = await asyncio.gather(*(watching.remove_solver("beta") for _ in range(5)), return_exceptions=True)
    assert [type(result) for result in results] == [type(None), *[NotFound] * 4]


async def test_a_solver_that_is_added_while_it_is_removed_is_there_afterwards() -> None:
    desk = Desk()
    watching = await desk.loaded()
    await watching.add_solver("beta", wallet(1), None)
    await asyncio.gather(watching.remove_solver("beta"), watching.add_solver("beta", wallet(2), None))
    assert [solver.address for solver in watching.solvers()] == [wallet(0), wallet(2)]
    assert [solver.address for solver in desk.watchlist.kept_solvers.values()] == [wallet(2)]


async def test_what_is_watched_anew_is_due_until_it_was_read() -> None:
    watching = await Desk().loaded()
    assert not watching.due(1)
    await watching.add_solver("beta", wallet(1), None)
    beta = frozenset({Holding(NATIVE, wallet(1)), Holding(USDC, wallet(1))})
    assert watching.due(1) == beta
    watching.was_read(1, beta)
    assert not watching.due(1)
    await watching.add_tokens(1, [DAI])
    assert watching.due(1) == {Holding(DAI, wallet(0)), Holding(DAI, wallet(1))}
    await watching.remove_solver("beta")
    assert watching.due(1) == {Holding(DAI, wallet(0))}


async def test_one_solver_more_costs_no_look_at_all_that_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    watching = await Desk().loaded()
    monkeypatch.setattr(Watch, "holdings", _never)
    await watching.add_solver("beta", wallet(1), None)
    assert watching.due(1) == {Holding(NATIVE, wallet(1)), Holding(USDC, wallet(1))}


async def test_what_is_watched_is_made_anew_when_it_changes_and_not_for_everyone_who_asks() -> None:
    watching = await Desk().loaded()
    before = watching.watch(1)
    assert watching.watch(1) is before
    await watching.add_solver("beta", wallet(1), None)
    assert watching.watch(1) == Watch(before.tokens, before.solvers | {wallet(1)})


async def test_a_token_that_was_asked_about_while_its_chain_went_is_told_to_nobody() -> None:
    desk = Desk()
    watching = await desk.loaded()
    adding = asyncio.create_task(watching.add_tokens(8453, [DAI]))
    await asyncio.sleep(0)
    watching.configure(CHAINS[:1], [Solver("acme", wallet(0))])
    assert await adding == ((), True)
    assert desk.told == []


async def test_on_a_chain_of_a_new_file_only_what_comes_later_is_due() -> None:
    watching = await Desk().loaded()
    watching.configure((*CHAINS, WatchedChain("polygon", 137, ETH, (USDC,))), [Solver("acme", wallet(0))])
    await watching.add_solver("beta", wallet(1), [137])
    assert {holding.solver for holding in watching.due(137)} == {wallet(1)}


async def test_a_solver_of_the_file_cannot_be_removed_here() -> None:
    watching = await Desk().loaded()
    with pytest.raises(Impossible, match="configuration file") as caught:
        await watching.remove_solver("acme")
    assert caught.value.field == "name"
    with pytest.raises(NotFound, match="nobody"):
        await watching.remove_solver("nobody")


# --- tokens ----------------------------------------------------------------------------------------------------------


async def test_a_new_token_is_asked_first_then_stored_then_told() -> None:
    desk = Desk()
    watching = await desk.loaded()
    tokens, is_new = await watching.add_tokens(8453, [DAI, DAI])
    assert (list(tokens), is_new) == ([WatchedToken(8453, DAI, DAI_INFO, "api")], True)
    assert desk.node.asked == [("probe", DAI)]
    assert desk.told == [(8453, watching.watch(8453))]
    assert DAI in watching.watch(8453).tokens
    assert desk.book.infos[8453, DAI] == DAI_INFO


async def test_tokens_that_are_watched_already_are_answered_and_nobody_is_asked_or_told() -> None:
    desk = Desk()
    watching = await desk.loaded()
    tokens, is_new = await watching.add_tokens(1, [USDC])
    assert ([token.source for token in tokens], is_new) == (["file"], False)
    assert (desk.node.asked, desk.told) == ([], [])


async def test_of_many_tokens_all_or_none_are_watched() -> None:
    desk = Desk()
    watching = await desk.loaded()
    with pytest.raises(Impossible, match=wallet(9)) as caught:
        await watching.add_tokens(8453, [DAI, wallet(9)])
    assert caught.value.field == "addresses[1]"
    assert (desk.watchlist.kept_tokens, desk.told, watching.watch(8453).tokens) == ({}, [], frozenset())


async def test_many_tokens_are_asked_about_side_by_side_and_listed_in_order() -> None:
    desk = Desk()
    watching = await desk.loaded()
    many = [wallet(index) for index in range(100, 140)]
    desk.node.tokens = dict.fromkeys(many, INFO)
    desk.node.gate.clear()
    adding = asyncio.create_task(watching.add_tokens(8453, many))
    await eventually(lambda: len(desk.node.asked) == 16)
    desk.node.gate.set()
    tokens, is_new = await adding
    assert ([token.address for token in tokens], is_new) == (many, True)


async def test_of_tokens_that_are_none_the_first_is_refused() -> None:
    desk = Desk()
    watching = await desk.loaded()
    with pytest.raises(Impossible) as caught:
        await watching.add_tokens(8453, [DAI, wallet(7), wallet(8)])
    assert caught.value.field == "addresses[1]"
    assert watching.watch(8453).tokens == frozenset()


async def test_a_token_added_twice_at_once_is_listed_once() -> None:
    desk = Desk()
    watching = await desk.loaded()
    results = await asyncio.gather(watching.add_tokens(8453, [DAI]), watching.add_tokens(8453, [DAI]))
    assert sorted(is_new for _, is_new in results) == [False, True]
    await watching.remove_token(8453, DAI)
    assert (watching.watch(8453).tokens, desk.watchlist.kept_tokens) == (frozenset(), {})


async def test_of_many_who_remove_a_token_at_once_one_did_and_the_others_find_none() -> None:
    watching = await Desk().loaded()
    await watching.add_tokens(8453, [DAI])
    results = await asyncio.gather(*(watching.remove_token(8453, DAI) for _ in range(5)), return_exceptions=True)
    assert [type(result) for result in results] == [type(None), *[NotFound] * 4]


async def test_a_token_belongs_to_its_chain() -> None:
    watching = await Desk().loaded()
    await watching.add_tokens(8453, [USDC])
    await watching.remove_token(8453, USDC)
    assert USDC in watching.watch(1).tokens
    with pytest.raises(NotFound):
        await watching.add_tokens(137, [USDC])


async def test_a_token_of_the_file_cannot_be_removed_here() -> None:
    watching = await Desk().loaded()
    with pytest.raises(Impossible, match="configuration file") as caught:
        await watching.remove_token(1, USDC)
    assert caught.value.field == "address"
    with pytest.raises(NotFound):
        await watching.remove_token(1, DAI)


# --- a new file ------------------------------------------------------------------------------------------------------


async def test_only_chains_whose_watch_differs_are_told_of_a_new_file() -> None:
    desk = Desk()
    watching = await desk.loaded()
    watching.configure(
        [WatchedChain("mainnet", 1, ETH, (USDC,)), WatchedChain("base", 8453, ETH, (DAI,))], [Solver("acme", wallet(0))]
    )
    assert desk.told == [(8453, Watch(frozenset({DAI}), frozenset({wallet(0)})))]
    assert watching.chains() == {"mainnet": 1, "base": 8453}


async def test_the_same_file_again_tells_nobody() -> None:
    desk = Desk()
    watching = await desk.loaded()
    watching.configure(CHAINS, [Solver("acme", wallet(0))])
    assert desk.told == []


async def test_a_new_chain_is_not_told_and_a_removed_one_neither() -> None:
    desk = Desk()
    watching = await desk.loaded()
    watching.configure(
        [CHAINS[0], WatchedChain("polygon", 137, TokenInfo(18, "POL", "POL"))], [Solver("acme", wallet(0))]
    )
    assert desk.told == []
    assert watching.watch(137).solvers == {wallet(0)}
    assert (await watching.describe(137, []))[NATIVE].symbol == "POL"


async def test_a_solver_that_leaves_the_file_is_not_watched_and_one_hidden_by_it_comes_back() -> None:
    desk = Desk(watchlist=FakeWatchlist([Solver("acme", wallet(5))]))
    watching = await desk.loaded()
    watching.configure(CHAINS, [])
    assert list(watching.solvers()) == [Solver("acme", wallet(5))]
    assert desk.told_chains == [1, 8453]


async def test_of_what_was_added_it_is_told_which_the_file_hides_and_where_it_is_watched_no_more() -> None:
    stored = [
        Solver("acme", wallet(5)),
        Solver("beta", wallet(1)),
        Solver("late", wallet(6)),
        Solver("part", wallet(2)),
    ]
    watching = await Desk(watchlist=FakeWatchlist(stored, [WatchedToken(1, USDC), WatchedToken(8453, USDC)])).loaded()
    watching.configure(
        CHAINS, [Solver("acme", wallet(0)), Solver("gamma", wallet(1)), Solver("part", wallet(2), chains=(1,))]
    )
    assert list(watching.hidden_solvers()) == [
        HiddenSolver(stored[0], "acme", (1, 8453)),
        HiddenSolver(stored[1], "gamma", ()),
        HiddenSolver(stored[3], "part", (8453,)),
    ]
    assert [solver.name for solver in watching.solvers()] == ["acme", "gamma", "part", "late"]
    assert [(token.chain_id, token.address) for token in watching.hidden_tokens()] == [(1, USDC)]
    watching.configure(CHAINS, [])
    assert list(watching.hidden_solvers()) == []


async def test_the_name_of_a_hidden_solver_is_taken_until_it_is_removed() -> None:
    desk = Desk(watchlist=FakeWatchlist([Solver("other", wallet(0))]))
    watching = await desk.loaded()
    with pytest.raises(NameTaken, match="hides"):
        await watching.add_solver("other", wallet(9), None)
    await watching.remove_solver("other")
    assert (desk.watchlist.kept_solvers, list(watching.hidden_solvers())) == ({}, [])
    await watching.add_solver("other", wallet(9), None)
    assert wallet(9) in watching.watch(1).solvers


async def test_a_hidden_solvers_address_may_be_added_under_another_name_and_is_that_ones_from_then_on() -> None:
    desk = Desk(watchlist=FakeWatchlist([Solver("acme", wallet(5))]))
    watching = await desk.loaded()
    await watching.add_solver("beta", wallet(5), None)
    assert list(desk.watchlist.kept_solvers) == ["beta"]
    watching.configure(CHAINS, [])
    assert [(solver.name, solver.address) for solver in watching.solvers()] == [("beta", wallet(5))]


# --- describing ------------------------------------------------------------------------------------------------------


async def test_a_token_is_asked_once_and_the_answer_is_kept() -> None:
    desk = Desk()
    watching = await desk.loaded()
    for _ in range(2):
        infos = await watching.describe(1, {USDC})
    assert infos == {NATIVE: ETH, USDC: INFO}
    assert desk.node.asked == [("describe", USDC)]
    assert desk.book.infos == {(1, USDC): INFO}


async def test_what_was_kept_is_not_asked_again_in_the_next_life() -> None:
    desk = Desk(book=FakeTokenBook({(1, USDC): INFO, (8453, DAI): DAI_INFO}))
    watching = await desk.loaded()
    assert await watching.describe(1, {USDC}) == {NATIVE: ETH, USDC: INFO}
    assert desk.node.asked == []


async def test_nor_of_a_chain_that_the_file_names_again_later() -> None:
    """What its balances were told with is what is held against what a token says now."""
    desk = Desk(book=FakeTokenBook({(137, USDC): INFO}))
    watching = await desk.loaded()
    watching.configure((*CHAINS, WatchedChain("polygon", 137, ETH, (USDC,))), [])
    assert await watching.describe(137, {USDC}) == {NATIVE: ETH, USDC: INFO}
    assert desk.node.asked == []


async def test_a_token_of_the_file_that_tells_nothing_is_described_all_the_same() -> None:
    watching = await Desk().loaded()
    assert await watching.describe(1, {USDC, wallet(9)}) == {NATIVE: ETH, USDC: INFO, wallet(9): TokenInfo()}


async def test_what_a_token_says_later_is_kept_once_that_is_ordered_and_said_once() -> None:
    desk = Desk(book=FakeTokenBook({(1, USDC): INFO}))
    watching = await desk.loaded()
    assert await watching.say_otherwise(1, {USDC}, BlockHash("0x09")) == {}
    desk.node.tokens = {USDC: TokenInfo(8, "NEW", "USD Coin")}
    told = await watching.say_otherwise(1, {USDC}, BlockHash("0x09"))
    assert desk.node.asked[-1] == ("ask again", USDC)
    assert (told, desk.book.infos) == ({USDC: TokenInfo(8, "NEW", "USD Coin")}, {(1, USDC): INFO})
    with structlog.testing.capture_logs() as logs:
        for _ in range(2):
            await watching.keep_told(1, told)
    assert [(entry["event"], entry["before"]["decimals"], entry["now"]["decimals"]) for entry in logs] == [
        ("token_changed", 6, 8)
    ]
    assert desk.book.infos == {(1, USDC): told[USDC]}
    assert [token.info for token in watching.tokens()] == [told[USDC]]
    assert await watching.say_otherwise(1, {USDC}, BlockHash("0x09")) == {}


async def test_what_a_token_says_that_nobody_answered_for_before_is_kept_and_no_change() -> None:
    desk = Desk()
    watching = await desk.loaded()
    told = await watching.say_otherwise(1, {DAI}, BlockHash("0x09"))
    assert told == {DAI: DAI_INFO}
    with structlog.testing.capture_logs() as logs:
        await watching.keep_told(1, told)
    assert (desk.book.infos, logs) == ({(1, DAI): DAI_INFO}, [])


def _never(_watch: Watch) -> NoReturn:
    raise AssertionError("it would grow with all that is watched")
