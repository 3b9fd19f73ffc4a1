"""Why a balance changed: every record accounts for all logs since the one before, through reorgs and restarts."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import accumulate, pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.chains.books.ledger import Ledger
from indexer.domain.balances import Watch, changes, net
from indexer.domain.chain import NATIVE, Address, BlockHash, Head, Holding, Transfer, TxHash
from indexer.domain.following.headchain import HeadChain
from indexer.domain.recording.records import BalanceRecord
from indexer.domain.resuming.reorgs import reverts
from tests.actors.fakes import USDC, Desk, head_at, wallet
from tests.sim.clock import play

OURS = Holding(USDC, wallet(1))
COIN = Holding(NATIVE, wallet(1))
WATCH = Watch(frozenset({USDC}), frozenset({wallet(1)}))
FORKS = "abcdef0123456789"
"""A letter for each branch of a story, more than it has steps: a hash must not come back with other logs."""


@dataclass
class Block:
    """Logs, and what the balances are after it: ours, and a native one that changes now and then."""

    head: Head
    logs: tuple[Transfer, ...]
    balance: int
    native: int = 0


@dataclass
class Story:
    """A chain of one token and one wallet, and the ledger that follows it as the follower does."""

    desk: Desk = field(default_factory=lambda: Desk(window=64))
    branch: list[Block] = field(default_factory=list)
    forks: int = 0
    silent: dict[BlockHash, int] = field(default_factory=dict)
    ledger: Ledger = field(init=False)
    known: HeadChain = field(init=False)

    async def begin(self) -> None:
        self.branch.append(Block(head_at(0), (), 100))
        self.silent[self.branch[0].head.hash] = 0
        await self.open()
        self.known = self.known.extend(self.branch[0].head)
        facts = changes(1, self.branch[0].head.ref, {}, {OURS: 100, COIN: 0}, (), {})
        await self.ledger.commit(facts, self.branch[0].head)
        await self.ledger.save(self.known)

    async def open(self) -> None:
        self.ledger = self.desk.open()
        self.known = (await self.ledger.load(WATCH)).known

    async def grow(self, moves: list[int], silent: int, native: int = 0) -> None:
        """Each move is an amount in, or out; `silent` comes without a log, `native` to the wallet's own coin."""
        number = len(self.branch)
        head = self._head(number)
        logs = tuple(self._log(head, index, amount) for index, amount in enumerate(moves))
        self.silent[head.hash] = silent
        last = self.branch[-1]
        self.branch.append(Block(head, logs, last.balance + sum(moves) + silent, last.native + native))
        await self.follow()

    async def follow(self) -> None:
        """What the follower does with the blocks that are not known yet."""
        async with self.ledger.writer.together():
            await self._follow()

    async def _follow(self) -> None:
        hashes = {block.head.hash for block in self.branch}
        ancestor = next(head for head in reversed(self.known.heads) if head.hash in hashes)
        if self.known.heads[-1] != ancestor:
            orphaned = self.ledger.above(ancestor.number)
            at = self.branch[ancestor.number]
            read = {OURS: at.balance, COIN: at.native}
            self.known = self.known.cut(ancestor.hash)
            await self.ledger.roll_back(self.known, reverts(orphaned, self.ledger.balances, read, ancestor.ref))
        for block in self.branch[ancestor.number + 1 :]:
            read = {COIN: block.native} | ({OURS: block.balance} if block.logs else {})
            facts = changes(
                1, block.head.ref, self.ledger.balances, read, block.logs, {}, trail=self.ledger.trails.logs
            )
            self.ledger.note(block.logs, {fact.holding for fact in facts})
            if facts:
                await self.ledger.commit(facts, block.head)
            self.known = self.known.extend(block.head)

    async def reorganize(self, depth: int) -> None:
        self.forks += 1
        del self.branch[max(1, len(self.branch) - depth) :]
        await self.grow([], 0)

    async def restart(self, *, saved: bool) -> None:
        if saved:
            await self.ledger.save(self.known)
        await self.open()
        await self.follow()

    def check(self) -> None:
        self.desk.project()
        rows = sorted(
            (row for row in self.desk.books.records.values() if row.holding == OURS), key=lambda row: row.block.number
        )
        for before, row in pairwise(rows):
            if row.cause == "resync":
                continue  # what a reorg left: read at the common ancestor, with nothing before it
            span = self.branch[before.block.number + 1 : row.block.number + 1]
            assert row.transfers == tuple(log for block in span for log in block.logs)
            assert row.unexplained == sum(self.silent[block.head.hash] for block in span)
            assert row.change == net(row.transfers, OURS.solver) + row.unexplained

    def newest(self) -> BalanceRecord:
        rows = (row for row in self.desk.books.records.values() if row.holding == OURS)
        return max(rows, key=lambda row: row.block.number)

    def _head(self, number: int) -> Head:
        return head_at(number, FORKS[self.forks], self.branch[-1].head.hash[2])

    def _log(self, head: Head, index: int, amount: int) -> Transfer:
        other = wallet(9)
        sender, recipient = (other, OURS.solver) if amount >= 0 else (OURS.solver, other)
        transaction = TxHash(f"0x{head.number:060x}{index:04x}")
        return Transfer(Address(USDC), sender, recipient, abs(amount), head.hash, transaction, index, head.number)


AMOUNTS = st.integers(-3, 3)
STEPS = st.one_of(
    st.tuples(st.just("grow"), st.lists(AMOUNTS, max_size=3), AMOUNTS | st.just(0), st.integers(0, 1)),
    st.tuples(st.just("reorg"), st.integers(1, 4)),
    st.tuples(st.just("restart"), st.booleans()),
)


async def told(steps: list[tuple[object, ...]]) -> None:
    story = Story()
    await story.begin()
    for step in steps:
        match step:
            case ("grow", list(moves), int(silent), int(native)):
                await story.grow(moves, silent, native)
            case ("reorg", int(depth)):
                await story.reorganize(depth)
            case ("restart", bool(saved)):
                await story.restart(saved=saved)
            case _:
                raise AssertionError(step)
        story.check()


@settings(max_examples=400, deadline=None)
@given(st.lists(STEPS, max_size=14))
def test_logs_and_what_they_leave_sum_up_to_the_change_whatever_happens(steps: list[tuple[object, ...]]) -> None:
    play(told(steps))


def test_in_and_out_within_blocks_is_carried_to_the_next_record() -> None:
    async def story() -> None:
        chain = Story()
        await chain.begin()
        await chain.grow([2, -2], 0)
        await chain.grow([-3], 3)
        await chain.restart(saved=True)
        await chain.grow([0], 0, native=1)
        await chain.restart(saved=False)
        await chain.grow([5], 0)
        chain.check()
        row = chain.newest()
        assert [log.amount for log in row.transfers] == [2, 2, 3, 0, 5]
        assert (row.change, row.unexplained) == (5, 3)
        assert list(accumulate((2, -2, -3, 5)))[-1] + 3 == row.change

    play(story())


def test_logs_of_an_orphaned_block_are_carried_no_further() -> None:
    async def story() -> None:
        chain = Story()
        await chain.begin()
        await chain.grow([2, -2], 0)
        await chain.grow([1, -1], 0)
        await chain.reorganize(1)
        await chain.restart(saved=False)
        await chain.grow([5], 0)
        chain.check()
        row = chain.newest()
        assert [log.amount for log in row.transfers] == [2, 2, 5]

    play(story())


def test_a_restart_after_a_reorg_forgets_the_orphaned_logs_as_well() -> None:
    async def story() -> None:
        chain = Story()
        await chain.begin()
        await chain.grow([2, -2], 0, native=1)
        await chain.ledger.save(chain.known)
        await chain.reorganize(1)
        await chain.restart(saved=False)
        await chain.grow([5], 0)
        chain.check()
        assert [log.amount for log in chain.newest().transfers] == [5]

    play(story())


def test_what_moved_while_nobody_watched_is_not_explained() -> None:
    async def story() -> None:
        chain = Story()
        await chain.begin()
        chain.ledger.rewatch(WATCH, Watch())
        chain.ledger.rewatch(Watch(), WATCH)
        await chain.restart(saved=True)
        await chain.grow([5], 0)
        row = chain.desk.published[-1].facts[-1]
        assert (len(row.transfers), row.unexplained) == (1, None)  # type: ignore[union-attr] # an update
        await chain.grow([4], 0)
        assert chain.desk.published[-1].facts[-1].unexplained == 0  # type: ignore[union-attr] # an update

    play(story())


def test_a_token_of_endless_logs_fills_no_memory() -> None:
    async def story() -> None:
        chain = Story()
        await chain.begin()
        for _ in range(300):
            await chain.grow([1, -1], 0)
        assert chain.ledger.trails.logs == {OURS: None}
        await chain.grow([4], 0)
        row = chain.desk.published[-1].facts[-1]
        assert (len(row.transfers), row.unexplained) == (1, None)  # type: ignore[union-attr] # an update

    play(story())
