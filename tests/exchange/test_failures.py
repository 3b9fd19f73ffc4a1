"""What ccxt raises, in words of ours that anybody may read."""

from __future__ import annotations

import ccxt
import pytest
from ccxt.async_support import binance

from indexer.clients.exchange.failures import translating
from indexer.errors import BadCredentials

KEY, SECRET = "Ab3dEf6hIj9lMn2pQr5t", "zY8xWv7uTs6rQp5oNm4l"


@pytest.mark.parametrize(
    "said",
    [
        f'binance {{"code":-2015,"msg":"API key {KEY} is unknown here"}}',
        f"{KEY}: signed with {SECRET}",
        f"GET https://api.example/account?apiKey={KEY}&signature=1f2e",
    ],
)
async def test_a_credential_that_the_venue_repeats_is_in_no_error(said: str) -> None:
    exchange = binance({"apiKey": KEY, "secret": SECRET})
    with pytest.raises(BadCredentials) as caught, translating(exchange):
        raise ccxt.AuthenticationError(said)
    assert KEY not in str(caught.value)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    await exchange.close()


async def test_what_else_the_venue_says_is_kept() -> None:
    exchange = binance({"apiKey": KEY, "secret": "abc"})
    with pytest.raises(BadCredentials, match="the abc of it: \\*\\*\\* has expired"), translating(exchange):
        raise ccxt.AuthenticationError(f"the abc of it: {KEY} has expired")
    await exchange.close()
