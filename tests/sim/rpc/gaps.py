"""Blocks whose logs are not there yet when somebody asks for the first time, though the block is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

from tests.sim.faults import Faults


class Gaps:
    """One for all endpoints: whoever asks again, wherever, is told the truth."""

    def __init__(self, faults: Callable[[], Faults], random: Random) -> None:
        self._faults = faults
        self._random = random
        self._asked: set[str] = set()

    def leave_out(self, asked: Sequence[Mapping[str, Any]], answered: Sequence[dict[str, Any]]) -> None:
        """Only where one request asks for all logs of a block: of a part nobody could tell that it is missing."""
        if not self._faults().left_out:
            return
        calls: dict[str, list[Any]] = {}
        for call in asked:
            if call["method"] == "eth_getLogs" and "blockHash" in call["params"][0]:
                calls.setdefault(call["params"][0]["blockHash"], []).append(call["id"])
        gone = {number for block, numbers in calls.items() if self._strikes(block, numbers) for number in numbers}
        for item in answered:
            if item["id"] in gone and item.get("result"):
                item["result"] = []

    def _strikes(self, block: str, numbers: Sequence[Any]) -> bool:
        if len(numbers) < 2 or block in self._asked:
            return False
        self._asked.add(block)
        return self._random.random() < self._faults().left_out
