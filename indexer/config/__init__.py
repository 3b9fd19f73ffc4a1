"""The configuration file: parsed once into frozen settings, every mistake reported together."""

from indexer.config.settings import (
    ApiKey,
    ChainSettings,
    ExchangeSettings,
    LogFormat,
    NatsSettings,
    Scope,
    ServiceSettings,
    Settings,
    SolverSettings,
    StoreSettings,
)

__all__ = [
    "ApiKey",
    "ChainSettings",
    "ExchangeSettings",
    "LogFormat",
    "NatsSettings",
    "Scope",
    "ServiceSettings",
    "Settings",
    "SolverSettings",
    "StoreSettings",
]
