"""Configuration files that are read, or refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from indexer.config import Settings, VenueKnown, load
from indexer.errors import ConfigError, Problem

EXAMPLE = Path(__file__).parents[2] / "chains.example.toml"
CHAIN = '[chains.ethereum]\nchain_id = 1\nrpc_urls = ["http://node"]\n'
KEY = "[[service.api_keys]]\nname = 'desk'\nkey = 'k'\n"

Load = Callable[..., Settings]
Wrong = Callable[..., dict[str, Problem]]


@pytest.fixture
def loaded(tmp_path: Path) -> Load:
    def run(text: str, environ: Mapping[str, str] | None = None) -> Settings:
        path = tmp_path / "chains.toml"
        path.write_text(text)
        return load(path, environ or {}, lambda: VENUES)

    return run


VENUES = {
    "binance": VenueKnown(("spot", "margin", "earn"), sandbox=("spot",)),
    "kraken": VenueKnown(("spot",)),
    "okx": VenueKnown(("unified",), ("apiKey", "secret", "password")),
    "ndax": VenueKnown(("spot",), ("apiKey", "secret", "uid", "login", "password")),
    "paradex": VenueKnown(("futures",), ("privateKey", "walletAddress")),
}


@pytest.fixture
def wrong(loaded: Load) -> Wrong:
    def run(text: str, environ: Mapping[str, str] | None = None) -> dict[str, Problem]:
        with pytest.raises(ConfigError) as caught:
            loaded(text, environ)
        return {problem.key: problem for problem in caught.value.problems}

    return run
