"""What waits for the actors of a chain is told under the name that its other numbers carry."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from indexer.app.service import Service
from indexer.config import ChainSettings, ServiceSettings, Settings, StoreSettings

NOWHERE = ("http://127.0.0.1:1",)
SERVICE = {"broadcaster", "projector", "nats"}


def chains(**ids: int) -> dict[str, ChainSettings]:
    return {name: ChainSettings(name, chain_id, NOWHERE) for name, chain_id in ids.items()}


def told(service: Service, metric: str, label: str) -> set[str]:
    families = text_string_to_metric_families(service._metrics.render()[0].decode())
    return {one.labels[label] for family in families for one in family.samples if one.name == metric}


def actors(service: Service) -> set[str]:
    return told(service, "indexer_inbox_depth", "actor") - SERVICE


async def test_both_actors_of_a_chain_are_told_by_its_name_as_long_as_it_is_followed(tmp_path: Path) -> None:
    own = ServiceSettings(port=0, data_dir=tmp_path)
    first = Settings(service=own, store=StoreSettings(url="memory"), chains=chains(fast=31337, slow=31338))
    async with Service(first) as service:
        assert actors(service) == {"chain fast", "history fast", "chain slow", "history slow"}
        assert told(service, "indexer_head_lag_blocks", "chain") == {"fast", "slow"}
        await service.control._apply(replace(first, chains=chains(slow=31337, fast=31338)))
        assert actors(service) == {"chain fast", "history fast", "chain slow", "history slow"}
        assert told(service, "indexer_head_lag_blocks", "chain") == {"fast", "slow"}
        await service.control._apply(replace(first, chains=chains(other=31337)))
        assert actors(service) == {"chain other", "history other"}
        assert told(service, "indexer_head_lag_blocks", "chain") == {"other"}
