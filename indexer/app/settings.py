"""The file's words for what is watched and believed, as the actors know them."""

from __future__ import annotations

from collections.abc import Mapping

from actors.watching import WatchedChain
from indexer.config import ExchangeSettings, RulesSettings, Settings
from indexer.domain.accounts.amounts import AccountKey
from indexer.domain.accounts.changes import ChangeThreshold
from indexer.domain.accounts.facts import AlertKind, Severity
from indexer.domain.accounts.judging import Rules
from indexer.domain.accounts.registry import Account
from indexer.domain.accounts.validation import Exceptions, Thresholds
from indexer.domain.chain import Address, TokenInfo
from indexer.domain.watching import Solver


def watched_chains(settings: Settings) -> list[WatchedChain]:
    return [
        WatchedChain(
            name=chain.name,
            chain_id=chain.chain_id,
            native=TokenInfo(18, chain.native_symbol, chain.native_symbol),
            tokens=tuple(Address(token) for token in chain.tokens),
        )
        for chain in settings.chains.values()
    ]


def file_solvers(settings: Settings) -> list[Solver]:
    return [
        Solver(
            name=solver.name,
            address=solver.address,
            chains=None if solver.chains is None else tuple(settings.chains[name].chain_id for name in solver.chains),
            source="file",
        )
        for solver in settings.solvers.values()
    ]


def file_account(settings: ExchangeSettings) -> Account:
    return Account(
        key=AccountKey(settings.exchange, settings.name),
        wallets=settings.wallets,
        sandbox=settings.sandbox,
        poll_seconds=settings.poll_seconds or None,
        base_url=settings.base_url,
        source="file",
    )


def file_credentials(settings: ExchangeSettings) -> Mapping[str, str]:
    """In ccxt's words; what is not set is left out."""
    given = {
        "apiKey": settings.api_key,
        "secret": settings.secret,
        "password": settings.password,
        "uid": settings.uid,
        "accountId": settings.account_id,
        "login": settings.login,
        "token": settings.token,
        "twofa": settings.twofa,
        "privateKey": settings.private_key,
        "walletAddress": settings.wallet_address,
    }
    return {name: value.reveal() for name, value in given.items() if value.reveal()}


def rules_of(settings: RulesSettings, exceptions: Exceptions) -> Rules:
    """What is believed of an account; the exceptions are its venue's."""
    severities: dict[AlertKind, Severity] = dict(settings.severities.items())
    thresholds = Thresholds(
        tolerance=settings.tolerance,
        relative_tolerance=settings.relative_tolerance,
        most=settings.largest_balance,
        jump=settings.largest_jump,
        stale_seconds=settings.stale_seconds,
        digits=settings.most_digits,
        decimals=settings.most_decimals,
        severities=severities,
    )
    return Rules(thresholds, exceptions, ChangeThreshold(settings.change_absolute, settings.change_percent))
