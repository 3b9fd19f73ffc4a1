"""API keys that change while somebody listens."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from indexer.app import Service
from indexer.config import load

CHAIN = """
[service]
port = 0
[store]
url = "memory"
[chains.dead]
chain_id = 1
rpc_urls = ["http://127.0.0.1:9"]
"""


def key(name: str) -> str:
    return f'[[service.api_keys]]\nname = "{name}"\nkey = "key-of-{name}"\n'


@pytest.mark.parametrize(
    ("before", "after", "stay"),
    [
        (key("desk") + key("thief"), key("desk"), ["desk"]),
        ("", key("desk"), ["desk"]),
        (key("desk") + key("thief"), "", ["desk", "thief"]),
    ],
    ids=["one goes", "the first comes", "the last goes"],
)
async def test_who_listens_with_a_key_that_is_gone_is_dismissed(
    tmp_path: Path, before: str, after: str, stay: list[str]
) -> None:
    path = tmp_path / "chains.toml"
    path.write_text(CHAIN + before)
    async with Service(load(path, {})) as service, aiohttp.ClientSession() as http:
        sockets = {
            name: await http.ws_connect(f"{service.url}/ws", headers={"X-API-Key": f"key-of-{name}"})
            for name in ("desk", "thief")
        }
        path.write_text(CHAIN + after)
        await service.control.reload()
        for name, socket in sockets.items():
            await socket.send_json({"op": "ping"})
            message = await socket.receive(timeout=5)
            if name in stay:
                assert message.json() == {"type": "pong"}
            else:
                assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1008)
