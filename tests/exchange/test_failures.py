"""What ccxt raises, in words of ours that anybody may read."""

from __future__ import annotations

import base64

import ccxt
import pytest
from ccxt.async_support import binance

from indexer.clients.exchange.failures import translating
from indexer.errors import BadCredentials, Throttled, VenueUnreachable, WalletUnsupported

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


@pytest.mark.parametrize(
    "said",
    [
        'alpaca {"code":40110000,"message":"request is not authorized"}',
        'alpaca {"message":"forbidden."}',
        'toobit {"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."}',
    ],
)
def test_some_venues_say_of_a_key_that_is_none_what_others_say_of_one_that_may_not(said: str) -> None:
    with pytest.raises(BadCredentials), translating():
        raise ccxt.PermissionDenied(said)
    for other in (f"bequant {said}", 'alpaca {"code":40310000,"message":"new orders are rejected by user request"}'):
        with pytest.raises(WalletUnsupported), translating():
            raise ccxt.PermissionDenied(other)


@pytest.mark.parametrize(
    "query",
    [
        "timestamp=1795239620150&recvWindow=10000&signature=5f2e50113c",
        "timestamp=1795210003015&signature=33004f",
        "nonce=1-2015&timestamp=60006",
    ],
)
async def test_digits_of_a_url_are_no_refusal(query: str) -> None:
    """A signature and a time have any digits in the long run, and a key that is refused is not tried again."""
    exchange = binance({"apiKey": KEY, "secret": SECRET})
    for said in (f"binance GET https://api.example/account?{query}", f"GET https://api.example/?{query} 502 Bad"):
        with pytest.raises(VenueUnreachable), translating(exchange):
            raise ccxt.ExchangeNotAvailable(said)
    with pytest.raises(Throttled), translating(exchange):
        raise ccxt.ExchangeNotAvailable(f"binance GET https://api.example/account?{query} 429 Too Many")
    await exchange.close()


def test_a_secret_that_is_no_base64_is_a_bad_credential_and_no_outage() -> None:
    with pytest.raises(BadCredentials, match="no base64"), translating():
        base64.b64decode("abc")


def test_a_secret_outside_ascii_is_a_bad_credential_and_no_outage() -> None:
    with pytest.raises(BadCredentials, match="outside ASCII"), translating():
        base64.b64decode("ZZQ" + "é" * 20)


PAGE = "<html><head><style>p {color: red}</style></head><body>invalid api-key: ask your administrator</body></html>"


def _refused(status: int, body: str) -> None:
    """As ccxt does with what a venue's own class has no word for."""
    ccxt.Exchange().handle_http_status_code(status, "Unauthorized", "https://api.example/account?a=1", "GET", body)


@pytest.mark.parametrize(
    ("status", "body"),
    [(401, PAGE), (401, ""), (401, "Unauthorized"), (407, '{"code":-2015}'), (511, PAGE)],
)
def test_what_a_proxy_says_is_no_word_of_the_venues_on_the_key(status: int, body: str) -> None:
    with pytest.raises(VenueUnreachable, match=str(status)), translating():
        _refused(status, body)


@pytest.mark.parametrize(
    "body", ['{"error":"unauthorized","see":"https://api.example/<1>"}', ' [{"code": 1}]', "Invalid API key"]
)
def test_a_refusal_in_the_venues_own_words_is_one(body: str) -> None:
    with pytest.raises(BadCredentials), translating():
        _refused(401, body)
