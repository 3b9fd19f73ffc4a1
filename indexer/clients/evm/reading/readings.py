"""Plans that read balances at one block: many at once where the endpoint can, one by one where it cannot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, Final

from indexer.clients.evm.asking import multiread
from indexer.clients.evm.asking.answers import head_of, quantity, raw_bytes, shown
from indexer.clients.evm.asking.calls import Call, Limit, Limits, Plan, Reply, TookLong, TooMuch
from indexer.clients.evm.asking.provenance import OtherBlock, contradictions
from indexer.clients.evm.asking.wording import CallFailed, GasExhausted, TimedOut, Unsupported
from indexer.domain.chain import NATIVE, BlockHash, Head, Holding, KnownBlock
from indexer.errors import BadAnswer, ResponseTooLarge

_NOTHING: Final[tuple[Sequence[Holding], bytes]] = ((), b"")
_PLAIN_BYTES: Final = 260
TOO_MUCH_GAS: Final = "balanceOf needs too much gas"
ENOUGH_GAS: Final = hex(10_000_000)
"""For one call of a token; without a bound, one that loops keeps the node busy for seconds."""


@dataclass(slots=True)
class Found:
    """What came back; `doubtful` failed among many and is asked again alone before it is called unreadable."""

    values: dict[Holding, int] = field(default_factory=dict)
    unreadable: dict[Holding, str] = field(default_factory=dict)
    doubtful: list[Holding] = field(default_factory=list)


class Natives:
    """The native balances of some wallets, encoded once for every block that they are read at."""

    def __init__(self, holdings: Iterable[Holding]) -> None:
        self.holdings = sorted(holdings)
        self._encoded: dict[int, list[tuple[Sequence[Holding], bytes]]] = {}
        self._latest: dict[Holding, tuple[bytes, dict[Holding, int]]] = {}
        """By the first of a part: what came last, and what that means."""

    def encoded(self, most: int) -> list[tuple[Sequence[Holding], bytes]]:
        if most not in self._encoded:
            self._encoded[most] = [
                (part, multiread.packed_wallets(holding.solver for holding in part))
                for part in _parts(self.holdings, most)
            ]
        return self._encoded[most]

    def values(self, part: Sequence[Holding], raw: bytes) -> Mapping[Holding, int]:
        """At most blocks the answer is the one of the block before, and need not be read again (0.17 ms for 1,000)."""
        latest = self._latest.get(part[0])
        if latest is None or latest[0] != raw:
            latest = self._latest[part[0]] = (raw, dict(zip(part, multiread.natives_found(raw), strict=True)))
        return latest[1]


def readings(block: KnownBlock, natives: Natives, pairs: Iterable[Holding], limits: Limits) -> Plan[Found]:
    """Everything named, read at exactly this block."""
    ordered = sorted(pairs)
    if not limits.takes_overrides():
        return singly(block, [*natives.holdings, *ordered])
    pair_parts = [(part, multiread.packed_pairs(part)) for part in _parts(ordered, limits.pairs)]
    asked = list(zip_longest(natives.encoded(limits.natives), pair_parts, fillvalue=_NOTHING))
    calls = [
        Call("eth_call", multiread.params(wallets, pairs, block), 800 + 40 * len(coins) + 80 * len(tokens))
        for (coins, wallets), (tokens, pairs) in asked
    ]
    # As of now: what is doubted while the question is on its way would leave nothing to tell another block by.
    doubted = limits.doubted
    # Whose state it is tells its parent's hash alone there, so that the header travels along.
    needs_parent = bool(calls) and not isinstance(block, Head) and "parent" in doubted
    if needs_parent:
        calls.append(Call("eth_getBlockByHash", [block.hash, False]))

    def read(replies: Sequence[Reply]) -> Found:
        known = _named(block, replies[-1]) if needs_parent else block

        def about(answer: tuple[bytes, bytes]) -> bytes:
            """The balances, if they are those of the block asked for."""
            balances, facts = answer
            if contradicted := contradictions(known, facts, doubted):
                raise OtherBlock(block, contradicted)
            limits.fitted(known, facts)
            return balances

        found = Found()
        for ((coins, wallets), (tokens, packed)), reply in zip(asked, replies, strict=False):
            balances = about(_words(reply, len(coins), len(tokens), multiread.echo(wallets, packed)))
            end = 32 * len(coins)
            if coins:
                found.values.update(natives.values(coins, balances[:end]))
            if tokens:
                _sort_pairs(found, tokens, multiread.pairs_found(balances[end:]))
        return found

    return Plan(calls, read)


def _named(block: KnownBlock, reply: Reply) -> Head:
    """The header of this block, which knows its parent."""
    head = head_of(reply.get())
    if head.hash != block.hash:
        raise BadAnswer(f"the header of {head.hash} for block {block.hash}")
    return head


def singly(block: KnownBlock, holdings: Sequence[Holding]) -> Plan[Found]:
    """One call for each."""

    def read(replies: Sequence[Reply]) -> Found:
        found = Found()
        for holding, reply in zip(holdings, replies, strict=True):
            if holding.token == NATIVE:
                found.values[holding] = quantity(reply.get())
                continue
            balance = one_word(reply)
            if isinstance(balance, int):
                found.values[holding] = balance
            else:
                found.unreadable[holding] = balance
        return found

    return Plan([_single(block.hash, holding) for holding in holdings], read)


def one_word(reply: Reply) -> int | str:
    """What `balanceOf` answered, or what is wrong with its answer."""
    try:
        raw = raw_bytes(reply.get())
    except CallFailed as error:
        return f"balanceOf fails: {error}"
    except GasExhausted as error:
        return f"{TOO_MUCH_GAS}: {error}"
    if len(raw) != 32:
        return f"balanceOf returned {len(raw) or 'no'} bytes instead of 32"
    return int.from_bytes(raw)


def balance_call(token: str, wallet: str, block: Any) -> Call:
    data = f"0x{multiread.BALANCE_OF}{'0' * 24}{wallet[2:]}"
    return Call("eth_call", [{"to": token, "data": data, "gas": ENOUGH_GAS}, block], _PLAIN_BYTES)


def _single(block: BlockHash, holding: Holding) -> Call:
    pinned = {"blockHash": block}
    if holding.token == NATIVE:
        return Call("eth_getBalance", [holding.solver, pinned], _PLAIN_BYTES)
    return balance_call(holding.token, holding.solver, pinned)


def _sort_pairs(found: Found, part: Sequence[Holding], balances: Sequence[int | None]) -> None:
    for holding, balance in zip(part, balances, strict=True):
        if balance is None:
            found.doubtful.append(holding)
        else:
            found.values[holding] = balance


def _words(reply: Reply, coins: int, tokens: int, echo: bytes) -> tuple[bytes, bytes]:
    """The program's answer for so many of both, and its facts; anything else says what the endpoint cannot do.

    What answers another question of the same request says nothing of this one: no call is answered by a list, and the
    program repeats what it was asked.
    """
    most = max(coins, tokens)
    larger: Limit = "pairs" if tokens == most else "natives"
    if isinstance(reply.result, list | dict):
        raise BadAnswer(f"no answer to a call: {shown(reply.result)}")
    try:
        raw = raw_bytes(reply.get())
    except ResponseTooLarge as error:
        raise TooMuch(str(error), larger if most > 1 else "overrides", most) from error
    except TimedOut as error:
        raise TookLong(str(error), larger, most) from error
    except (CallFailed, Unsupported, BadAnswer) as error:
        # Our program never fails: it is the contract behind the override that does, where that is ignored.
        raise TooMuch(str(error), "overrides", most) from error
    end = len(raw) - multiread.TAIL_BYTES
    if end >= 0 and raw[-32:] != echo:
        raise BadAnswer("the answer to another call than this one")
    words, rest = divmod(end, 32)
    read, odd = divmod(max(0, words - coins), 2)
    if rest or odd or not 0 < words <= coins + 2 * tokens:
        # An endpoint that ignores overrides calls an empty account, and answers nothing.
        raise TooMuch(f"{len(raw)} bytes for {coins + tokens} balances", "overrides", most)
    if words < coins:
        raise TooMuch(f"gas for {words} of {coins} balances", "natives", coins, fits=words)
    if not read and tokens and coins > 1:
        raise TooMuch(f"gas for none of {tokens} tokens beside {coins} balances", "natives", coins)
    if read < tokens:
        raise TooMuch(f"gas for {read} of {tokens} balances", "pairs" if read else "overrides", tokens, fits=read)
    return raw[:end], raw[end : end + multiread.FACTS_BYTES]


def _parts(holdings: Sequence[Holding], most: int) -> list[Sequence[Holding]]:
    return [holdings[start : start + most] for start in range(0, len(holdings), most)]
