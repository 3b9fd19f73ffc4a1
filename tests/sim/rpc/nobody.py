"""A URL at which nobody answers."""

from __future__ import annotations

import asyncio
from typing import NoReturn

from indexer.errors import NodeUnreachable


class Nobody:
    """A courier that comes back with its letter."""

    async def close(self) -> None:
        """Nothing was opened."""

    async def post(self, _body: bytes, _timeout_seconds: float) -> NoReturn:
        await asyncio.sleep(0.002)
        raise NodeUnreachable("cannot connect: Connection refused")
