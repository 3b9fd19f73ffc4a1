"""Plans that read balances at one block: many at once where the endpoint can, one by one where it cannot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from indexer.clients.evm import multiread
from indexer.clients.evm.answers import head_of, quantity, raw_bytes
from indexer.clients.evm.calls import Call, Limit, Limits, Plan, Reply, TooMuch
from indexer.clients.evm.facts import OtherBlock, contradictions
from indexer.clients.evm.wording import CallFailed, GasExhausted, Unsupported
from indexer.domain.chain import NATIVE, BlockHash, Head, Holding, KnownBlock
from indexer.errors import BadAnswer, ResponseTooLarge

_PLAIN_BYTES: Final = 260
_ENOUGH_GAS: Final = hex(10_000_000)
"""For one `balanceOf` alone; without a bound, one that loops keeps the node busy for seconds."""


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
                (part, multiread.natives_target([holding.solver for holding in part]))
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
    native_parts = natives.encoded(limits.natives)
    pair_parts = [(part, multiread.pairs_target(part)) for part in _parts(ordered, limits.pairs)]
    calls = [
        *(
            Call("eth_call", multiread.natives_params(target, block), 600 + 40 * len(part))
            for part, target in native_parts
        ),
        *(Call("eth_call", multiread.pairs_params(target, block), 700 + 80 * len(part)) for part, target in pair_parts),
    ]
    # Whose state it is tells its parent's hash alone there, so that the header travels along.
    needs_parent = bool(calls) and not isinstance(block, Head) and "parent" in limits.doubted
    if needs_parent:
        calls.append(Call("eth_getBlockByHash", [block.hash, False]))

    def read(replies: Sequence[Reply]) -> Found:
        known = _named(block, replies[-1]) if needs_parent else block

        def about(answer: tuple[bytes, bytes]) -> bytes:
            """The balances, if they are those of the block asked for."""
            balances, facts = answer
            if contradicted := contradictions(known, facts, limits.doubted):
                raise OtherBlock(block, contradicted)
            return balances

        found = Found()
        for (part, _), reply in zip(native_parts, replies, strict=False):
            found.values.update(natives.values(part, about(_words(reply, part, 32, "natives"))))
        for (part, _), reply in zip(pair_parts, replies[len(native_parts) :], strict=False):
            _sort_pairs(found, part, multiread.pairs_found(about(_words(reply, part, 64, "pairs"))))
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
        return f"balanceOf needs too much gas: {error}"
    if len(raw) != 32:
        return f"balanceOf returned {len(raw) or 'no'} bytes instead of 32"
    return int.from_bytes(raw)


def balance_call(token: str, wallet: str, block: Any) -> Call:
    data = f"0x{multiread.BALANCE_OF}{'0' * 24}{wallet[2:]}"
    return Call("eth_call", [{"to": token, "data": data, "gas": _ENOUGH_GAS}, block], _PLAIN_BYTES)


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


def _words(reply: Reply, part: Sequence[Holding], width: int, limit: Limit) -> tuple[bytes, bytes]:
    """The program's answer for the whole part, and its facts; anything else says what the endpoint cannot do."""
    asked = len(part)
    try:
        raw = raw_bytes(reply.get())
    except ResponseTooLarge as error:
        raise TooMuch(str(error), limit if asked > 1 else "overrides", asked) from error
    except (CallFailed, Unsupported, BadAnswer) as error:
        # Our programs never fail: it is the contract behind the override that does, where that is ignored.
        raise TooMuch(str(error), "overrides", asked) from error
    end = len(raw) - multiread.FACTS_BYTES
    answered, rest = divmod(end, width)
    if rest or not 0 < answered <= asked:
        # An endpoint that ignores overrides calls an empty account, and answers nothing.
        raise TooMuch(f"{len(raw)} bytes for {asked} balances", "overrides", asked)
    if answered < asked:
        raise TooMuch(f"gas for {answered} of {asked} balances", limit, asked, fits=answered)
    return raw[:end], raw[end:]


def _parts(holdings: Sequence[Holding], most: int) -> list[Sequence[Holding]]:
    return [holdings[start : start + most] for start in range(0, len(holdings), most)]
