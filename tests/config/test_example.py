"""The example and the documentation tell of every key there is."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from indexer.config import SECTIONS, Settings, load
from indexer.config.settings import ApiKey
from tests.config.conftest import EXAMPLE


def _example_variables() -> dict[str, str]:
    names = ("ETHEREUM", "OPTIMISM", "POLYGON", "BASE", "ARBITRUM")
    return {f"{name}_RPC_URL": f"https://{name.lower()}.example" for name in names}


def test_the_example_loads_and_holds_the_defaults() -> None:
    settings = load(EXAMPLE, _example_variables())
    assert {chain.chain_id for chain in settings.chains.values()} == {1, 10, 137, 8453, 42161}
    assert settings.store == Settings().store
    assert settings.nats == Settings().nats
    assert settings.rules == Settings().rules


def test_the_example_loads_with_its_comments_switched_on(tmp_path: Path) -> None:
    lines = EXAMPLE.read_text().splitlines()
    opened = [
        line.removeprefix("# ") if line.startswith(("# [", *(f"# {key} =" for key in _all_keys()))) else line
        for line in lines
    ]
    path = tmp_path / "chains.toml"
    path.write_text("\n".join(opened))
    names = ("DESK_KEY", "BINANCE_API_KEY", "BINANCE_SECRET")
    settings = load(path, _example_variables() | dict.fromkeys(names, "a-key"))
    assert [key.name for key in settings.service.api_keys] == ["desk"]
    assert list(settings.exchanges) == ["binance-main"]


@pytest.mark.parametrize("section", [*SECTIONS, "[[service.api_keys]]"])
def test_every_key_is_in_the_example_and_in_the_documentation(section: str) -> None:
    kind = SECTIONS.get(section, ApiKey)
    documentation = (EXAMPLE.parent / "docs" / "configuration.md").read_text()
    for field in fields(kind):
        if field.name not in ("api_keys", "name", *TABLES):
            assert f"\n{field.name} =" in EXAMPLE.read_text().replace("\n# ", "\n"), field.name
            assert f"`{field.name}`" in documentation, field.name


TABLES = ("rules", "severities")
"""Fields that are tables of their own."""


def _all_keys() -> set[str]:
    return {field.name for kind in (*SECTIONS.values(), ApiKey) for field in fields(kind)}
