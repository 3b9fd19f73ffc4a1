from __future__ import annotations

import pytest

from indexer.clients.evm.asking.names import endpoint_name, endpoint_names, without_secrets


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://127.0.0.1:8545", "127.0.0.1:8545"),
        ("http://127.0.0.1:8545/", "127.0.0.1:8545"),
        ("https://mainnet.infura.io/v3/0123456789abcdef", "mainnet.infura.io/***"),
        ("wss://user:password@node.example:8546/?apikey=xyz", "node.example:8546/***"),
        ("https://node.example?key=1", "node.example/***"),
        ("ws://[::1]:8546/key", "[::1]:8546/***"),
    ],
)
def test_a_name_shows_where_and_never_the_key(url: str, name: str) -> None:
    assert endpoint_name(url) == name


def test_twins_are_told_apart() -> None:
    urls = ["https://a/k1", "https://a/k2", "https://b", "https://a/k3"]
    assert endpoint_names(urls) == ["a/***", "a/***#2", "b", "a/***#3"]


def test_a_key_that_a_provider_repeats_is_masked() -> None:
    url = "https://user:passw0rd1@node.example/v3/0123456789abcdef?token=fedcba9876543210"
    text = without_secrets("invalid key 0123456789abcdef / fedcba9876543210 / passw0rd1", url)
    assert text == "invalid key *** / *** / ***"
