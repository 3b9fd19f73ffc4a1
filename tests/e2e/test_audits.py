"""An audit says what it waits for, and is not held by a node that accepts and never answers."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from asyncio.subprocess import PIPE, create_subprocess_exec
from pathlib import Path

import pytest

from tests.e2e.service import running
from tests.e2e.world import world
from tests.fixtures.moody import Moody

pytestmark = [pytest.mark.e2e, pytest.mark.node]

SOON = 6.0
"""Seconds until it says what it waits for, the start of the command (one of two busy cores) included."""
IN_TIME = 30.0


async def test_an_audit_names_the_node_that_hangs_and_ends_in_time_with_the_other_chain_read(tmp_path: Path) -> None:
    async with (
        world(5) as well,
        world(7) as silent,
        Moody(silent.anvil.http_url, silent.anvil.ws_url) as provider,
    ):
        hanging = silent.table(rpc_urls=[f"{provider.http_url}/?apikey=s3cr3t-of-ours"], ws_urls=[])
        config = well.config(tmp_path, chains={"fine": well.table(), "mute": hanging}, store={"url": "memory"})
        async with running(config) as service:
            for _ in range(10):
                await well.anvil.mine()
            provider.mood = "hangs"
            began = time.monotonic()
            command = (sys.executable, "-m", "indexer", "audit", "--json", "--count", "500", "--url", service.url)
            process = await create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
            assert process.stderr is not None
            async with asyncio.timeout(IN_TIME):
                first = (await process.stderr.readline()).decode()
                said_after = time.monotonic() - began
                told, rest = await process.communicate()
            assert process.returncode == 1
            assert said_after < SOON
            assert re.search(r"waiting for chain 7 \(mute\).*" + provider.name, first)
            last = rest.decode().splitlines()[-1]
            assert "chain 7 (mute)" in last
            assert provider.name in last
            answer = json.loads(told)
            (unanswered,) = answer["unanswered"]
            assert (unanswered["chainId"], unanswered["name"]) == (7, "mute")
            assert unanswered["records"] == answer["unreadable"] > 0
            assert answer["checked"] >= 6
            assert answer["differing"] == []
            assert "s3cr3t" not in first + rest.decode() + told.decode()
            assert await service.says("audit_unanswered", chain=7)
