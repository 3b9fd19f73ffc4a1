"""The truth: a tree of blocks with the balances that hold at each, and which branch is canonical."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from random import Random

from indexer.addresses import parse_address
from indexer.domain.balances import Watch
from indexer.domain.chain import NATIVE, Address, BlockHash, Head, Holding, TokenInfo, Transfer, TxHash
from indexer.domain.following.finality import FINALIZED_DEPTH

CHAIN_ID = 7
_TOKENS = tuple(parse_address(f"0x{'%02x' % (0xA0 + i) * 20}") for i in range(3))
_WALLETS = tuple(parse_address(f"0x{'%02x' % (0x10 + i) * 20}") for i in range(4))
TOKENS, SILENT = _TOKENS[:2], _TOKENS[2]
"""The last one also mints without a word, now and then: nothing but a read finds that."""
WALLETS, NEWCOMER = _WALLETS[:3], _WALLETS[3]
OUTSIDE = parse_address("0x" + "ff" * 20)
WATCH = Watch(frozenset(TOKENS), frozenset(WALLETS))
"""What is watched from the beginning; the others come and go."""
EVERYTHING = Watch(frozenset(_TOKENS), frozenset(_WALLETS))

PLAIN = TokenInfo(6, "SIM", "SIM")
"""What each token says of itself at first."""

_TRADED = (*TOKENS, *TOKENS, SILENT)
_TRADERS = (*_WALLETS, OUTSIDE)


@dataclass(frozen=True)
class Block:
    """A header, the transfers in it, and after it every watched balance and what tokens say of themselves."""

    head: Head
    transfers: tuple[Transfer, ...]
    balances: Mapping[Holding, int]
    infos: Mapping[Address, TokenInfo] = field(default_factory=dict)
    """Of those that ever said something else than `PLAIN`."""

    def info(self, token: Address) -> TokenInfo:
        return self.infos.get(token, PLAIN)


class World:
    """Mines and reorganises; every number comes from one seeded generator."""

    def __init__(self, random: Random, names: Random | None = None) -> None:
        self._random = random
        self._names = names or random
        self.renames = 0.0
        """The chance per block that a token is called otherwise."""
        self.renamed = 0
        self._made = 0
        self.silent_mints = 0.0
        """The chance per busy block; only up, so that what a wallet got so is never hidden by what it lost so."""
        self.final = 0
        """The highest block that any node has called finalized: no reorg takes it back."""
        self.deep_orphans: set[BlockHash] = set()
        """Orphaned though they had lain so deep that they count as final where no node calls any block so."""
        self._deep = -1
        """The highest block that has lain so deep."""
        genesis = Block(self._header(0, BlockHash("0x" + "00" * 32), 0), (), dict.fromkeys(EVERYTHING.holdings(), 0))
        self.blocks = {genesis.head.hash: genesis}
        self.canonical: list[Block] = [genesis]

    @property
    def tip(self) -> Head:
        return self.canonical[-1].head

    @property
    def genesis(self) -> BlockHash:
        return self.canonical[0].head.hash

    def at(self, number: int) -> Block | None:
        return self.canonical[number] if 0 <= number < len(self.canonical) else None

    def is_canonical(self, block: BlockHash) -> bool:
        known = self.blocks.get(block)
        return known is not None and self.at(known.head.number) is known

    def mine(self, busy: float = 0.7) -> Head:
        """One more block on the canonical tip; `busy` is the chance that it touches anything of ours."""
        parent = self.canonical[-1]
        head = self._header(parent.head.number + 1, parent.head.hash, parent.head.timestamp + 1)
        is_busy = self._random.random() < busy
        block = self._filled(head, parent) if is_busy else replace(parent, head=head, transfers=())
        if self.renames and self._names.random() < self.renames:
            block = self._renamed(block)
        self.blocks[head.hash] = block
        self.canonical.append(block)
        return head

    def grow(self, parent: Block) -> Block:
        """One more block on a branch that others have left."""
        head = self._header(parent.head.number + 1, parent.head.hash, parent.head.timestamp + 1)
        block = self.blocks[head.hash] = self._filled(head, parent)
        return block

    def put(self, holding: Holding, balance: int) -> Head:
        """One more block, in which this balance changes without a log: a native one, or a silent mint."""
        head = self.mine(busy=0)
        block = replace(self.canonical[-1], balances={**self.canonical[-1].balances, holding: balance})
        self.blocks[head.hash] = self.canonical[-1] = block
        return head

    def pay(self, token: Address, sender: Address, recipient: Address, amount: int) -> Head:
        """One more block with just this transfer."""
        head = self.mine(busy=0)
        before = self.canonical[-1]
        balances = dict(before.balances)
        for wallet, change in ((sender, -amount), (recipient, amount)):
            if wallet in _WALLETS:
                balances[Holding(token, wallet)] += change
        log = Transfer(token, sender, recipient, amount, head.hash, TxHash(f"0x{head.number:064x}"), 0, head.number)
        self.blocks[head.hash] = self.canonical[-1] = replace(before, transfers=(log,), balances=balances)
        return head

    def reorg(self, depth: int, longer: int = 1, busy: float = 0.7) -> Head:
        """Orphan the newest `depth` blocks (fewer where one is final) and mine others, `longer` more than before."""
        depth = self.deepest(depth)
        self._orphan(depth)
        for _ in range(depth + longer):
            self.mine(busy)
        return self.tip

    def return_to(self, branch: Sequence[Block]) -> bool:
        """These blocks, which a reorg took, are canonical again, and soon the longest; whether they can be."""
        fork = self.blocks[branch[0].head.parent] if branch else None
        if fork is None or fork.head.number < self.final or not self.is_canonical(fork.head.hash):
            return False
        end = self.tip.number
        self._orphan(end - fork.head.number)
        self.canonical.extend(branch)
        while self.tip.number <= end:
            self.mine()
        return True

    def _orphan(self, depth: int) -> None:
        self._deep = max(self._deep, self.tip.number - FINALIZED_DEPTH)
        if depth:
            orphans = [block.head for block in self.canonical[-depth:]]
            self.deep_orphans.update(head.hash for head in orphans if head.number <= self._deep)
            del self.canonical[-depth:]
            self._deep = min(self._deep, self.tip.number)

    def deepest(self, depth: int) -> int:
        """How many of that many blocks a reorg may orphan."""
        return min(depth, self.tip.number - self.final)

    def finalize(self, block: Block) -> Block:
        """A node calls this block finalized: then it stays; on a branch, the one that it left from."""
        while not self.is_canonical(block.head.hash):
            block = self.blocks[block.head.parent]
        self.final = max(self.final, block.head.number)
        return block

    def _header(self, number: int, parent: BlockHash, timestamp: int) -> Head:
        self._made += 1
        return Head(number, BlockHash(f"0x{number:032x}{self._made:032x}"), parent, timestamp)

    def _renamed(self, block: Block) -> Block:
        """All of it, or one of the three."""
        self.renamed += 1
        token, number = self._names.choice(_TOKENS), self.renamed
        new = TokenInfo(self._names.choice((0, 6, 8, 18)), f"SIM{number}", f"Simulated {number}")
        parts = self._names.choice((("decimals",), ("symbol",), ("name",), ("decimals", "symbol", "name")))
        info = replace(block.info(token), **{part: getattr(new, part) for part in parts})
        return replace(block, infos={**block.infos, token: info})

    def _filled(self, head: Head, parent: Block) -> Block:
        balances = dict(parent.balances)
        transfers = []
        for index in range(self._random.randint(1, 3)):
            token, amount = self._random.choice(_TRADED), self._random.randint(0, 9)
            sender, recipient = self._random.choice(_TRADERS), self._random.choice(_TRADERS)
            amount = min(amount, balances.get(Holding(token, sender), amount))
            for wallet, sign in ((sender, -1), (recipient, 1)):
                if wallet in _WALLETS:
                    balances[Holding(token, wallet)] += sign * amount
            transaction = TxHash(f"0x{head.hash[-8:]}{index:056x}")
            transfers.append(Transfer(token, sender, recipient, amount, head.hash, transaction, index, head.number))
        if self._random.random() < 0.4:
            balances[Holding(NATIVE, self._random.choice(_WALLETS))] += self._random.randint(1, 9)
        if self._random.random() < self.silent_mints:
            balances[Holding(SILENT, self._random.choice(_WALLETS))] += self._random.randint(1, 9)
        return Block(head, tuple(transfers), balances, parent.infos)


def changes_in(blocks: Sequence[Block], holding: Holding) -> dict[BlockHash, int]:
    """At which of these consecutive blocks the balance differs from the one before, and what it became."""
    return {
        block.head.hash: block.balances[holding]
        for before, block in pairwise(blocks)
        if block.balances[holding] != before.balances[holding]
    }
