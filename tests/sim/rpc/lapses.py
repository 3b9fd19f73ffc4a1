"""Logs of a range that are left out, or told of another block, when somebody asks for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, Final

import orjson

from tests.sim.faults import Faults
from tests.sim.world import SILENT

_ELSEWHERE: Final = "0x" + "ab" * 32


class Lapses:
    """One for all endpoints: a log is left out once, whoever is asked again.

    Of each wallet and token no more than one: two may cancel each other out, and then nobody could tell. Nothing where
    there is no state (`is_archive`), as there a walk may end at nothing by chance; nor of a token of which logs do not
    tell all anyway.
    """

    def __init__(self, faults: Callable[[], Faults], random: Random, other: Random) -> None:
        self.is_archive = True
        self._faults = faults
        self._random = random
        self._other = other
        self._gone: set[tuple[str, str]] = set()

    def befall(self, asked: Sequence[Mapping[str, Any]], answered: Sequence[dict[str, Any]]) -> None:
        """Whole answers speak of another block: of one log alone nobody could tell."""
        faults = self._faults()
        if not faults.left_out_of_range and not faults.other_hash:
            return
        ranges = {call["id"] for call in asked if call["method"] == "eth_getLogs" and "fromBlock" in call["params"][0]}
        for item in answered:
            if item["id"] not in ranges or not item.get("result"):
                continue
            logs = [orjson.loads(orjson.dumps(log)) for log in item["result"]]
            if self._other.random() < faults.other_hash:
                item["result"] = [{**log, "blockHash": _ELSEWHERE} for log in logs]
            elif self.is_archive and self._random.random() < faults.left_out_of_range:
                item["result"] = self._without_one(logs)

    def _without_one(self, logs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for log in self._random.sample(logs, len(logs)):
            sides = {(log["address"], topic) for topic in log["topics"][1:]}
            is_telling = len(sides) == 2 and int(log["data"], 16) and log["address"] != SILENT.lower()
            if is_telling and not sides & self._gone:
                self._gone |= sides
                return [other for other in logs if other is not log]
        return logs
