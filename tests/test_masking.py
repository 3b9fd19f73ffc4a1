"""No secret comes through, whatever it is wrapped in."""

from __future__ import annotations

import html
import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from hashlib import sha256
from time import process_time
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.masking import Masker, Secret, Url, mask_text, mask_url, url_secrets

Packed = Callable[[bytes], bytes]


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("https://node.example:8545", "https://node.example:8545"),
        ("https://user:pass@node/x", "https://***@node/x"),
        ("mongodb://user:p@ss/w:rd@one:1,two:2/db", "mongodb://***@one:1,two:2/db"),
        ("https://main.infura.io/v3/0123456789abcdef", "https://main.infura.io/v3/***"),
        ("wss://eth.g.alchemy.com/v2/aB-cD_9876543210", "wss://eth.g.alchemy.com/v2/***"),
        ("https://node/rpc?apikey=abc&x=1#frag", "https://node/rpc?apikey=***&x=***#***"),
        ("https://node/ext/bc/C/rpc", "https://node/ext/bc/C/rpc"),
        ("mongodb://user:hunter2/db", "mongodb://user:***/db"),
        ("mongodb://one:1,user:hunter2,three", "mongodb://one:1,user:***,three"),
        ("http://[::1]:8545/x", "http://[::1]:8545/x"),
        ('mongodb://user:pa"ss w<rd@one/db', "mongodb://***@one/db"),
        (
            "http://h/balances/1/native/0x742d35Cc6634C0532925a3b844Bc454e4438f44e",
            "http://h/balances/1/native/0x742d35Cc6634C0532925a3b844Bc454e4438f44e",
        ),
    ],
)
def test_credentials_and_keys_of_a_url_are_masked(url: str, masked: str) -> None:
    assert mask_url(url) == masked
    assert repr(Url(url)) == repr(masked)
    assert Url(url).masked == masked
    assert Url(url) == url


def test_a_port_is_no_secret_whatever_follows_it() -> None:
    for text in ("(http://127.0.0.1:8080)", "http://h:80: refused", "http://h:80.", "at http://h:80,", "http://h:"):
        assert mask_text(text) == text


def test_urls_are_found_in_the_middle_of_a_text() -> None:
    text = "cannot connect to 'https://u:hush@node/v3/hush12345678' (wss://node?k=hush), Authorization: Bearer hush"
    assert "hush" not in mask_text(text)


def test_a_secret_shows_itself_only_when_asked() -> None:
    secret = Secret("hush")
    assert "hush" not in f"{secret} {secret!r} {[secret]}"
    assert secret.reveal() == "hush"
    assert secret == Secret("hush")
    assert secret != Secret("other")
    assert secret.matches("hush")
    assert len({secret, Secret("hush")}) == 1


@given(st.text("abcé/+%", min_size=4, max_size=30), st.text("123 ", max_size=20), st.text("123 ", max_size=20))
def test_a_known_secret_is_masked_wherever_it_stands(secret: str, before: str, after: str) -> None:
    assert Masker([secret])(f"{before}{secret}{after}") == f"{before}***{after}"


def test_a_short_word_that_is_a_secret_is_masked_by_itself_and_leaves_longer_words_readable() -> None:
    hide = Masker(["short", "than"])
    assert (
        hide("is shorter than 16, said thanks: short, x_short1 (than)")
        == "is shorter *** 16, said thanks: ***, x_***1 (***)"
    )


def test_a_secret_is_masked_in_its_url_form_too() -> None:
    assert Masker(["p@ss w/rd"])("x=p%40ss%20w%2Frd") == "x=***"


def test_the_longer_of_two_secrets_leaves_no_tail() -> None:
    assert Masker(["hush", "hush-hush"])("hush-hush") == "***"


def test_old_secrets_stay_masked_when_new_ones_come() -> None:
    masker = Masker(["first"])
    masker.add(["second"])
    assert masker("first second") == "*** ***"


def test_the_parts_of_a_url_that_are_masked_are_known() -> None:
    found = set(url_secrets("https://user:pass@node/v3/0123456789abcdef?key=value"))
    assert {"pass", "0123456789abcdef", "value"} <= found
    assert 'pa"ss w<rd' in set(url_secrets('mongodb://user:pa"ss w<rd@one/db'))


@given(st.text(min_size=8, alphabet=st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Z"))))
def test_whoever_repeats_a_secret_in_other_writing_does_not_show_it(secret: str) -> None:
    hide = Masker([secret])
    for written in (
        quote(secret),
        quote(secret, safe="").lower() if secret.isascii() and secret.islower() else quote(secret, safe=""),
        quote_plus(secret),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1].replace("/", "\\/"),
        html.escape(secret),
        b64encode(secret.encode()).decode(),
    ):
        assert hide(f"[{written}]").strip("[]=") == "***", written


def test_a_secret_with_a_blank_around_it_is_masked_without_it() -> None:
    assert Masker([" top-secret\n"])("said top-secret.") == "said ***."


KEY = "Zq7/x+Wv9=tR2&kLm<0"


@pytest.mark.parametrize(
    "written",
    [
        KEY.upper(),
        KEY.lower(),
        KEY.swapcase(),
        "".join(f"\\u{ord(char):04x}" for char in KEY),
        "".join(f"\\u{ord(char):04X}" for char in KEY).lower(),
        json.dumps(json.dumps(KEY).replace("/", "\\/"))[3:-3],
        json.dumps("".join(f"\\u{ord(char):04x}" for char in KEY))[1:-1],
        KEY.replace("+", "\\u002B").replace("=", "\\u003d").replace("&", "\\u0026"),
        "".join(f"%{ord(char):02x}" for char in KEY),
        quote("".join(f"%{ord(char):02X}" for char in KEY), safe=""),
        "".join(f"&#{ord(char)};" for char in KEY),
        "".join(f"&#x{ord(char):X};" for char in KEY),
        html.escape(html.escape(KEY)),
        KEY.encode().hex(),
        KEY.encode().hex().upper(),
    ],
)
def test_a_secret_in_another_case_or_in_escapes_is_masked(written: str) -> None:
    assert Masker([KEY])(f"said: {written} (twice: {written})") == "said: *** (twice: ***)"


@given(st.binary(max_size=40), st.binary(max_size=40), st.sampled_from([b64encode, urlsafe_b64encode]))
def test_a_secret_within_a_longer_base64_is_masked_with_all_of_it(before: bytes, after: bytes, pack: Packed) -> None:
    packed = pack(before + KEY.encode() + after).decode()
    assert Masker([KEY])(f"Basic-ish {packed}, no") == "Basic-ish ***, no"


@given(st.text("aAbB%u0061\\&#;3d=", max_size=60))
def test_whatever_a_text_looks_like_nothing_is_lost_that_is_no_secret(text: str) -> None:
    assert Masker(["never-seen-in-it"]).hidden(text) == text


def test_a_short_secret_is_masked_as_it_is_written_and_does_not_hide_other_words() -> None:
    assert Masker(["Rest"])("Rest of the REST, and rest") == "*** of the REST, and rest"


def test_of_a_thousand_secrets_a_text_is_held_against_few() -> None:
    many = Masker(sha256(str(number).encode()).hexdigest() for number in range(1_000))
    assert max(len(lengths) for lengths in many._lengths.values()) < 30
    assert max(len(forms) for forms in many._forms.values()) < 3
    assert many(f"said {sha256(b'42').hexdigest().upper()}.") == "said ***."


def test_secrets_that_begin_alike_take_no_longer_than_others() -> None:
    others = [sha256(b"%d" % number).hexdigest()[:20] for number in range(2000)]
    alike = [f"some-long-key-{number:06}" for number in range(2000)]
    text = " ".join(f"some-long-key-{number:06}x some-other-text" for number in range(2000, 2100))

    def seconds(secrets: list[str]) -> float:
        began = process_time()
        masker = Masker(secrets)
        assert masker(text) == text
        return process_time() - began

    assert seconds(alike) < 3 * seconds(others)
    assert Masker(alike)(f"{alike[1234]} {text}") == f"*** {text}"


def test_each_line_of_a_key_in_pem_is_masked() -> None:
    hide = Masker(
        ["-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIHush0123456789\nhushABCDEFGH==\n-----END EC PRIVATE KEY-----\n"]
    )
    assert hide("cannot read MHcCAQEEIHush0123456789 | hushABCDEFGH== |") == "cannot read *** | *** |"
