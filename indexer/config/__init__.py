"""The configuration file: parsed once into frozen settings, every mistake reported together."""

from indexer.config.exchanges import VenueKnown, Venues
from indexer.config.load import SECTIONS, load
from indexer.config.settings import (
    ApiKey,
    ChainSettings,
    ExchangeSettings,
    LogFormat,
    NatsSettings,
    NatsStart,
    RulesSettings,
    Scope,
    ServiceSettings,
    Settings,
    SolverSettings,
    StoreSettings,
)

__all__ = [
    "SECTIONS",
    "ApiKey",
    "ChainSettings",
    "ExchangeSettings",
    "LogFormat",
    "NatsSettings",
    "NatsStart",
    "RulesSettings",
    "Scope",
    "ServiceSettings",
    "Settings",
    "SolverSettings",
    "StoreSettings",
    "VenueKnown",
    "Venues",
    "load",
]
