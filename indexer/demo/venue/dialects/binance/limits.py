"""Binance's budgets, with the names of the headers that tell how much is used."""

from __future__ import annotations

from indexer.demo.venue.weights import Budget, Cost

SPOT = Budget("spot weight", 6000, 60, ban_after=10)
SAPI_IP = Budget("sapi ip weight", 12000, 60, ban_after=10)
SAPI_KEY = Budget("sapi uid weight", 180000, 60, per="key")
FUTURES = Budget("futures weight", 2400, 60, ban_after=10)
COIN_FUTURES = Budget("coin futures weight", 2400, 60, ban_after=10)

HEADERS = {
    SPOT.name: "X-MBX-USED-WEIGHT-1M",
    SAPI_IP.name: "X-SAPI-USED-IP-WEIGHT-1M",
    SAPI_KEY.name: "X-SAPI-USED-UID-WEIGHT-1M",
    FUTURES.name: "X-MBX-USED-WEIGHT-1M",
    COIN_FUTURES.name: "X-MBX-USED-WEIGHT-1M",
}


def spot(weight: float) -> tuple[Cost, ...]:
    return (Cost(SPOT, weight),)


def sapi(weight: float) -> tuple[Cost, ...]:
    return (Cost(SAPI_IP, weight),)


def sapi_key(weight: float) -> tuple[Cost, ...]:
    return (Cost(SAPI_KEY, weight),)


def futures(weight: float) -> tuple[Cost, ...]:
    return (Cost(FUTURES, weight),)


def coin_futures(weight: float) -> tuple[Cost, ...]:
    return (Cost(COIN_FUTURES, weight),)
