"""Tells all balances of a token again when it says something else of itself, or the file of the native coin.

And all of a chain once somebody follows it again: clients that came while nobody did were not told of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from actors.chains.books.bookkeeping import Bookkeeper
from actors.chains.books.ledger import Ledger
from actors.chains.followed import Followed
from actors.chains.nodes import Node, Tokens
from actors.chains.reading.unanswered import Unanswered
from indexer.domain.balances import BalanceUpdated
from indexer.domain.chain import NATIVE, Address, BlockHash, Head, Holding, TokenInfo
from indexer.domain.following.views import Readings
from indexer.domain.tokens import NOTHING_TOLD

PART: Final = 500
"""Balances in one turn, as elsewhere."""

WORDLESS: Final = (None, NOTHING_TOLD)


class Retelling:
    """What a token says is kept once its balances are told with it: cut off before, it is found out again.

    Or it says again what is kept: then the next life tells that of those that were told otherwise.
    """

    def __init__(
        self,
        *,
        chain_id: int,
        node: Node,
        book: Bookkeeper,
        unanswered: Unanswered,
        ledger: Ledger,
        tokens: Tokens,
        followed: Followed,
    ) -> None:
        self._chain_id = chain_id
        self._node = node
        self._book = book
        self._unanswered = unanswered
        self._ledger = ledger
        self._tokens = tokens
        self._followed = followed
        self.told: dict[Address, TokenInfo] = {}
        """What is not kept yet."""
        self._words: Mapping[Holding, TokenInfo | None] = {}
        """Until this life begins: with what each balance was told last."""
        self._misnamed: frozenset[Holding] = frozenset()
        """An earlier life told them with words that it did not keep: the token is asked which are right."""
        self.owed: frozenset[Holding] = frozenset()
        """What is to be told again."""
        self._overtaken: frozenset[tuple[Holding, BlockHash]] = frozenset()
        """They moved before their turn came, which told it: their record in that block did."""

    def changed(self, infos: Mapping[Address, TokenInfo]) -> None:
        """From now on these say so of themselves; while some of it is not told, every round finds it again."""
        infos = {token: info for token, info in infos.items() if self.told.get(token) != info}
        self.told |= infos
        self._book.infos = dict(self._book.infos) | {str(token): info for token, info in infos.items()}
        self.owed |= {holding for holding in self._ledger.balances if holding.token in infos}

    def load(self, words: Mapping[Holding, TokenInfo | None]) -> None:
        self._words = words
        self._overtaken = first_told(self._ledger.above(-1))

    def begin(self) -> None:
        """The file may call the native coin otherwise than it did when these were told; or nobody had been asked.

        A token of which nothing is known is told again once it is.
        """
        infos = self._book.infos
        otherwise = frozenset(key for key, info in self._words.items() if info != infos.get(key.token, info))
        self._misnamed = frozenset(key for key in otherwise if key.token != NATIVE and self._words[key] not in WORDLESS)
        self.owed |= otherwise - self._misnamed
        self._words = {}

    @property
    def untold(self) -> frozenset[Holding]:
        """Clients have other words of them, or may have: that they hold what they held is not all there is to tell."""
        return self.owed | self._misnamed

    @property
    def misnamed(self) -> frozenset[str]:
        return frozenset(holding.token for holding in self._misnamed)

    def asked(self, tokens: frozenset[str]) -> None:
        """What they say now is known: the same as is kept, unless `changed` was told of it.

        Some may have been told with that since.
        """
        known = frozenset(holding for holding in self._misnamed if holding.token in tokens)
        if not known:
            return
        last = {update.holding: update for update in self._ledger.above(-1) if update.holding in known}
        rightly = {holding: update for holding, update in last.items() if update.info == self._book.info(holding)}
        self._overtaken |= {_place(update) for update in rightly.values()}
        self._misnamed -= known
        self.owed |= known - rightly.keys()

    def taken_back(self, updates: Iterable[BalanceUpdated]) -> None:
        """By a reorg: where one of them was what told it, the record below is of an earlier word."""
        self.owed |= {one.holding for one in updates if one.change == 0 or _place(one) in self._overtaken}

    async def tell(self, tip: Head) -> bool:
        """A part of it; whether there is more that need not wait for another block."""
        if not (self.owed or self.told or self._ledger.untold):
            return False
        updates = self._ledger.above(tip.number - 1)
        recorded = {update.holding: update.info for update in updates}
        before = self.owed
        self.owed = frozenset(holding for holding in before if self._is_owed(holding, recorded.get(holding)))
        if overtaken := before - self.owed:
            there = {_place(update) for update in self._ledger.above(-1)}  # the others no reorg takes back any more
            self._overtaken &= there
            self._overtaken |= {_place(update) for update in updates if update.holding in overtaken}
        # Of a balance there is one record in a block; and of what cannot be read, none before it can.
        untold = frozenset(filter(self._is_known, self._ledger.untold))
        ready = sorted((self.owed | untold) - recorded.keys() - self._ledger.unread.held.keys())
        part = frozenset(ready[:PART])
        if part:
            await self._tell(part, tip)
            self.owed -= part - self._ledger.unread.held.keys()
        await self._keep()
        return len(ready) > len(part)

    async def _tell(self, part: frozenset[Holding], tip: Head) -> None:
        readings = (await self._node.read({tip: part})).get(tip.hash, Readings())
        facts = await self._book.facts(readings.values, tip, (), "sync", again=part)
        if facts:
            await self._ledger.commit(facts, tip)
        self._book.some_read(readings.values, tip.number)
        self._unanswered.note(readings, tip.number)

    async def _keep(self) -> None:
        owed = {holding.token for holding in self.owed}
        if told := {token: info for token, info in self.told.items() if token not in owed}:
            await self._tokens.keep_told(self._chain_id, told)
            self.told = {token: info for token, info in self.told.items() if token not in told}

    def _is_owed(self, holding: Holding, recorded: TokenInfo | None) -> bool:
        return self._is_known(holding) and recorded != self._book.info(holding)

    def _is_known(self, holding: Holding) -> bool:
        """Those that were not watched for a while are read anyway, and told."""
        ledger = self._ledger
        return holding in ledger.balances and holding not in ledger.returned and self._followed.watch.covers(holding)


def first_told(updates: Iterable[BalanceUpdated]) -> frozenset[tuple[Holding, BlockHash]]:
    """Records of earlier lives that told other words than the one before, or where nobody knows what that one told.

    Those are of balances that seldom move: the one before is older than all updates that a reorg may take back.
    """
    said: dict[Holding, TokenInfo] = {}
    found = set()
    for update in updates:
        if update.cause != "first" and said.get(update.holding) != update.info:
            found.add(_place(update))
        said[update.holding] = update.info
    return frozenset(found)


def _place(update: BalanceUpdated) -> tuple[Holding, BlockHash]:
    return update.holding, update.block.hash
