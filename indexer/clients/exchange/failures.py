"""ccxt's errors as ours, named by what they mean for whoever asked; the only file that knows ccxt's."""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import aiohttp
import ccxt

from indexer.errors import (
    BadAnswer,
    BadCredentials,
    ClockApart,
    IndexerError,
    RefusedWithoutAWord,
    Throttled,
    VenueUnreachable,
    WalletUnsupported,
)
from indexer.masking import Masker

_REFUSALS: Final = (
    "-2008|-2014|-2015",  # Binance
    "5011[1-9]|50100|50105",  # OKX
    "1000[345]|33004",  # Bybit
    "EAPI:Invalid (key|signature)",  # Kraken
    "invalid_credentials|invalid_token",  # Deribit
    r"(invalid|expired) api[- ]?key|api[- ]?key (doesn'?t exist|has expired|is invalid)",
)
_KEY_REFUSED: Final = re.compile("|".join(_REFUSALS), re.IGNORECASE)
"""Refused keys that ccxt takes for something else: binance -2015 after a first success comes out as DDoSProtection."""

_DENIED: Final = re.compile(r"^(alpaca\b.*(\b40110000\b|\"forbidden\.\")|toobit\b.*-201[457]\b)", re.DOTALL)
"""Refused keys that ccxt takes for keys that may not read one wallet; of these venues only one is read."""

_CLOCK: Final = re.compile(r"timestamp|\b(50102|60006|-1021)\b", re.IGNORECASE)
"""A wrong time that ccxt takes for a wrong key: Deribit, and everyone's sockets."""

_THROTTLED: Final = re.compile(r"\b(GET|POST) \S+ (429|418)\b|too many (requests|visits)", re.IGNORECASE)
"""A 429 that the venue, or what stands before it, words in a way that ccxt takes for an outage."""

_UNAUTHORIZED: Final = re.compile(r"^\S* (?:GET|POST|PUT|DELETE) \S+ (401|407|511) (.*)", re.DOTALL)
"""ccxt's words where only the status says that the key is none, with what came along."""

_PROXYS_OWN: Final = ("407", "511")

_NO_ASCII: Final = "should contain only ASCII characters"
"""Python's words for what cannot be base64 at all."""

_MOST: Final = 200
_LONGEST: Final = 20_000
"""So much of a page that came instead of an answer is looked through."""

_LONGEST_PAUSE: Final = 600.0
_SECRETS: Final = re.compile(
    r"(?i)(signature|apikey|api_key|secret|sign|passphrase|token)[\"']?\s*[=:]\s*[\"']?[^&\s\"',}]+"
)


@contextmanager
def translating(exchange: Any = None) -> Iterator[None]:
    """Around every call of ccxt: raw aiohttp errors and broken answers come through it as well."""
    try:
        yield
    except IndexerError:
        raise
    except ccxt.BaseError as error:
        ours = translated(error, _credentials(exchange))
        raise (Throttled(str(ours), _retry_after(exchange)) if isinstance(ours, Throttled) else ours) from None
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise VenueUnreachable(f"the connection failed: {type(error).__name__}") from None
    except binascii.Error:
        # Nothing was asked: some venues' secrets are base64, and ccxt signs with what is in it.
        raise BadCredentials("the secret is not written as the venue gives it: it is no base64") from None
    except (TypeError, KeyError, IndexError, AttributeError, ValueError, ArithmeticError) as error:
        if _NO_ASCII in str(error):  # what it says before it looks for base64; again nothing was asked
            told = "the secret is not written as the venue gives it: it holds a letter outside ASCII"
            raise BadCredentials(told) from None
        # ccxt's parsers meet a shape that they do not expect: an answer that cannot be one.
        raise BadAnswer(f"an answer without its usual shape: {type(error).__name__}") from None


def translated(error: ccxt.BaseError, credentials: Sequence[str] = ()) -> IndexerError:
    text = told(error, credentials)
    # The digits of a signed URL are any: 1 in 400 holds the code of some refusal.
    said = _without_urls(str(error))
    if isinstance(error, ccxt.AuthenticationError) and (foreign := _foreign(str(error))) is not None:
        return foreign(text)
    if isinstance(error, ccxt.InvalidNonce):
        return ClockApart(text)
    if isinstance(error, ccxt.AuthenticationError) and _CLOCK.search(said):
        return ClockApart(text)
    if _DENIED.search(said) or (_KEY_REFUSED.search(said) and not isinstance(error, ccxt.PermissionDenied)):
        return BadCredentials(text)
    if _THROTTLED.search(said):
        return Throttled(text)
    return next((ours(text) for theirs, ours in _TABLE if isinstance(error, theirs)), BadAnswer(text))


def _foreign(said: str) -> type[VenueUnreachable] | None:
    """What it is where somebody in between refused us, or may have: venues say JSON, or at least name the key.

    A refusal suspends an account until somebody acts, and one page of a proxy's would suspend all of them.
    """
    found = _UNAUTHORIZED.match(said)
    if found is None:
        return None
    status, rest = found.groups()
    if status in _PROXYS_OWN:
        return VenueUnreachable
    if _holds_json(rest):
        return None
    if "<" in rest[:_MOST]:
        return VenueUnreachable
    return None if _KEY_REFUSED.search(rest) else RefusedWithoutAWord


def _holds_json(text: str) -> bool:
    """After the words of the status."""
    start = next((place for place, letter in enumerate(text) if letter in "{["), len(text))
    try:
        json.loads(text[start:])
    except ValueError:
        return False
    return True


_TABLE: Final[tuple[tuple[tuple[type[ccxt.BaseError], ...], type[IndexerError]], ...]] = (
    ((ccxt.PermissionDenied, ccxt.AccountNotEnabled, ccxt.NotSupported), WalletUnsupported),
    ((ccxt.AuthenticationError,), BadCredentials),
    ((ccxt.RateLimitExceeded, ccxt.DDoSProtection), Throttled),
    ((ccxt.BadResponse, ccxt.NullResponse), BadAnswer),
    ((ccxt.OperationFailed,), VenueUnreachable),
)
"""The first that fits."""


def _retry_after(exchange: Any) -> float | None:
    """What the venue's newest answer asks for, where it does; ccxt reads it and keeps it to itself."""
    return retry_after(getattr(exchange, "last_response_headers", None) or {})


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that an answer asks for, within reason."""
    text = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    return min(float(text), _LONGEST_PAUSE) if text.replace(".", "", 1).isdecimal() else None


def _credentials(exchange: Any) -> list[str]:
    """What the account was given."""
    names = getattr(exchange, "requiredCredentials", None) or ()
    values = (getattr(exchange, name, None) for name in names)
    return [value for value in values if isinstance(value, str) and value]


def told(error: BaseException, credentials: Sequence[str] = ()) -> str:
    """Short, and without what requests carry: ccxt quotes whole URLs, and signed URLs hold keys and signatures.

    Venues repeat the key that they refuse, in words of their own: wherever one of these credentials stands, it goes.
    """
    text = Masker(credentials).hidden(" ".join(str(error).split())[:_LONGEST])
    return _SECRETS.sub(r"\1=***", _without_urls(text))[:_MOST] or type(error).__name__


def _without_urls(text: str) -> str:
    return re.sub(r"https?://\S+", "<url>", text)
