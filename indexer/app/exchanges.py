"""The exchanges there are: what an account's words are held against, and how one is reached."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from indexer.config import VenueKnown, Venues
from indexer.domain.accounts.amounts import Wallet
from indexer.domain.accounts.arrivals import Permissions
from indexer.domain.accounts.registry import Account
from indexer.domain.accounts.validation import Exceptions
from indexer.errors import BadCredentials, Impossible, Throttled, Transient, VenueUnreachable, WalletUnsupported
from indexer.log import hide

if TYPE_CHECKING:
    from indexer.clients.exchange.account import ExchangeAccount  # importing ccxt takes a second and 60 MB
    from indexer.clients.exchange.dialects.dialect import Dialect
    from indexer.clients.exchange.pool import Venues as Pool

TRY_SECONDS: Final = 20.0
"""How long a registration may wait for the venue's word on the key."""

Credentials = Mapping[str, str]


class Exchanges:
    """Nothing of ccxt is imported before an account is."""

    def __init__(self) -> None:
        self._venues: Pool | None = None

    async def prepare(self) -> None:
        """Import ccxt beside the loop: the chains' heads must not wait for it."""
        await asyncio.to_thread(self.wallets)

    def wallets(self) -> Mapping[str, Sequence[Wallet]]:
        """The exchanges that are known, with their wallets. Safe from any thread."""
        from indexer.clients.exchange.dialects.table import wallets_by_exchange  # noqa: PLC0415 - ccxt takes a second

        return wallets_by_exchange()

    def known(self) -> Venues:
        """The same, with what an account has to bring."""
        from indexer.clients.exchange.dialects.table import every_dialect, sandbox_wallets  # noqa: PLC0415 - the same

        return {
            name: VenueKnown(tuple(known.wallets), known.credentials, sandbox_wallets(name))
            for name, known in every_dialect().items()
        }

    def checked(self, account: Account) -> Account:
        """The same with its wallets, all there are where it names none; `Impossible` where there is no such thing."""
        from indexer.clients.exchange.dialects.table import sandbox_wallets  # noqa: PLC0415 - ccxt takes a second

        known, exchange = self.wallets(), account.key.exchange
        if exchange not in known:
            raise Impossible(f"there is no exchange {exchange!r}; there are {', '.join(known)}", "exchange")
        site, wallets = exchange, tuple(known[exchange])
        if account.sandbox:
            site, wallets = f"the sandbox of {exchange}", sandbox_wallets(exchange)
            if not wallets:
                raise Impossible(f"{exchange} has no sandbox; leave it out for the exchange itself", "sandbox")
        check_wallets(site, account.wallets, wallets)
        return account if account.wallets else replace(account, wallets=wallets)

    def completed(self, account: Account) -> Account:
        """The same with its wallets; as it is where there is no such thing, which `checked` says in due time."""
        if account.wallets:
            return account
        try:
            return self.checked(account)
        except Impossible:
            return account

    def check_credentials(self, exchange: str, credentials: Credentials) -> None:
        """`Impossible` when one is missing that the exchange asks for; named, never quoted."""
        needed = self._dialect(exchange).credentials
        missing = [name for name in needed if not credentials.get(name)]
        if missing:
            told = f"{exchange} asks for {', '.join(needed)}; missing: {', '.join(missing)}"
            raise Impossible(told, f"credentials.{missing[0]}")

    def exceptions(self, exchange: str) -> Exceptions:
        """What is as it should be there, though elsewhere it would be a mistake."""
        return self._dialect(exchange).exceptions

    def connection(self, account: Account, credentials: Credentials) -> ExchangeAccount:
        from indexer.clients.exchange.account import ExchangeAccount  # noqa: PLC0415 - ccxt takes a second to import
        from indexer.clients.exchange.pool import Venues as Pool  # noqa: PLC0415

        if self._venues is None:
            self._venues = Pool()
        return ExchangeAccount(
            self._dialect(account.key.exchange),
            self._venues,
            credentials,
            account.wallets,
            base_url=account.base_url,
            sandbox=account.sandbox,
        )

    async def tried(self, account: Account, credentials: Credentials) -> Permissions:
        """What the key may do; `Impossible` with the reason where it is not good for anything."""
        hide(credentials.values())  # before anybody can complain about them
        self.check_credentials(account.key.exchange, credentials)
        connection, exchange = self.connection(account, credentials), account.key.exchange
        try:
            async with asyncio.timeout(TRY_SECONDS):
                permissions = await connection.permissions()
        except BadCredentials as error:
            raise Impossible(f"{exchange} refuses these credentials: {error}", "credentials") from None
        except WalletUnsupported as error:
            raise Impossible(f"the key may not read this account: {error}", "credentials") from None
        except (Throttled, TimeoutError):
            raise VenueUnreachable(f"{exchange} did not say whether these credentials are good") from None
        except Transient as error:
            raise VenueUnreachable(f"{exchange} could not be asked: {error}") from None
        finally:
            await connection.close()
        if not permissions.can_read:
            raise Impossible("the key may not read; give it the permission, or another key", "credentials")
        return permissions

    def cache(self) -> Mapping[str, Any] | None:
        """How often an answer was at hand; nothing where nobody was ever asked."""
        return None if self._venues is None else self._venues.cache.statistics()

    async def close(self) -> None:
        """Once every connection is closed."""
        if self._venues is not None:
            await self._venues.close()

    @staticmethod
    def _dialect(exchange: str) -> Dialect:
        from indexer.clients.exchange.dialects.table import every_dialect  # noqa: PLC0415 - ccxt takes a second

        return every_dialect()[exchange]


def check_wallets(place: str, wallets: Sequence[str], known: Sequence[str]) -> None:
    for index, wallet in enumerate(wallets):
        if wallet not in known:
            told = f"{place} has no wallet {wallet[:64]!r}; there are {', '.join(known)}"
            raise Impossible(told, f"wallets[{index}]")
