"""Made-up values of the domain."""

from __future__ import annotations

from indexer.domain.balances import BalanceUpdated
from indexer.domain.chain import NATIVE, Address, BlockHash, BlockRef, Head, Holding, Token, TokenInfo, Transfer, TxHash

USDC = Address("0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48")
DAI = Address("0x6B175474E89094C44Da98b954EedeAC495271d0F")
INFO = TokenInfo(6, "USDC", "USD Coin")
UINT256 = 2**256 - 1


def wallet(index: int) -> Address:
    return Address(f"0x{0x5000 + index:040x}")


def block_hash(number: int, fork: str = "a") -> BlockHash:
    return BlockHash(f"0x{fork}{number:063x}")


def tx(number: int) -> TxHash:
    return TxHash(f"0x{number:064x}")


def head_at(number: int, fork: str = "a", parent_fork: str | None = None) -> Head:
    parent = block_hash(number - 1, fork if parent_fork is None else parent_fork)
    return Head(number, block_hash(number, fork), parent, 1_700_000_000 + 12 * number)


def block_at(number: int, fork: str = "a") -> BlockRef:
    return head_at(number, fork).ref


def holding(index: int = 0, token: Token = NATIVE) -> Holding:
    return Holding(token, wallet(index))


def updated(
    number: int,
    balance: int,
    previous: int | None = None,
    *,
    who: Holding | None = None,
    fork: str = "a",
    transactions: tuple[TxHash, ...] = (),
) -> BalanceUpdated:
    return BalanceUpdated(
        chain_id=1,
        holding=who or holding(),
        previous=previous,
        balance=balance,
        block=block_at(number, fork),
        cause="first" if previous is None else "native",
        info=INFO,
        transactions=transactions,
    )


def transfer(
    sender: Address,
    recipient: Address,
    *,
    token: Address = USDC,
    amount: int | None = 1,
    index: int = 0,
    transaction: int = 1,
    number: int = 1,
) -> Transfer:
    return Transfer(token, sender, recipient, amount, block_hash(number), tx(transaction), index, number)
