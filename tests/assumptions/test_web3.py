"""What we believe of web3 8 and why its provider is subclassed; an upgrade that changes it is noticed here."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
import pytest_asyncio
from web3.providers.persistent import PersistentConnectionProvider
from web3.providers.rpc.async_rpc import AsyncHTTPProvider
from web3.types import RPCEndpoint

from tests.fixtures.fakenode import FakeNode, json_response


@pytest_asyncio.fixture
async def fake() -> AsyncIterator[FakeNode]:
    async with FakeNode() as node:
        yield node


@pytest_asyncio.fixture
async def provider(fake: FakeNode) -> AsyncIterator[AsyncHTTPProvider]:
    stock = AsyncHTTPProvider(fake.url)
    yield stock
    await stock.disconnect()


def batch(*methods: str) -> list[tuple[RPCEndpoint, Any]]:
    return [(RPCEndpoint(method), []) for method in methods]


async def test_a_batch_is_sorted_by_id(fake: FakeNode, provider: AsyncHTTPProvider) -> None:
    fake.respond = lambda payload: json_response(fake.answered(payload)[::-1])
    answers = await provider.make_batch_request(batch("eth_blockNumber", "eth_chainId"))
    assert [answer["result"] for answer in answers] == ["0x0", "0x7a69"]  # type: ignore[index]  # a list here


async def test_a_missing_answer_shifts_the_others_in_silence(fake: FakeNode, provider: AsyncHTTPProvider) -> None:
    """So we match by id ourselves."""
    fake.respond = lambda payload: json_response(fake.answered(payload)[1:])
    answers = await provider.make_batch_request(batch("eth_blockNumber", "eth_chainId"))
    assert [answer["result"] for answer in answers] == ["0x7a69"]  # type: ignore[index]  # a list here


async def test_answers_without_ids_are_taken_in_the_order_they_came(
    fake: FakeNode, provider: AsyncHTTPProvider
) -> None:
    """Hoping, as its own comment says."""
    fake.respond = lambda payload: json_response([{**part, "id": None} for part in fake.answered(payload)[::-1]])
    with pytest.warns(RuntimeWarning, match="Relying on provider"):
        answers = await provider.make_batch_request(batch("eth_blockNumber", "eth_chainId"))
    assert [answer["result"] for answer in answers] == ["0x7a69", "0x0"]  # type: ignore[index]  # a list here


async def test_the_body_of_an_http_error_is_lost(fake: FakeNode, provider: AsyncHTTPProvider) -> None:
    """Where providers explain themselves; so we post ourselves."""
    fake.respond = lambda _: json_response({"error": {"code": -32005, "message": "the reason"}}, 400)
    with pytest.raises(Exception, match="400") as caught:
        await provider.make_batch_request(batch("eth_blockNumber", "eth_chainId"))
    assert "the reason" not in str(caught.value)


async def test_every_request_opens_a_connection_of_its_own(provider: AsyncHTTPProvider) -> None:
    await provider.make_batch_request(batch("eth_blockNumber", "eth_chainId"))
    (session,) = [session for _, session in provider._request_session_manager.session_cache.items()]
    assert session.connector is not None
    assert session.connector.force_close


def test_single_requests_are_retried_unless_told_otherwise() -> None:
    stock = AsyncHTTPProvider("http://127.0.0.1:1")
    assert stock.exception_retry_configuration.retries == 5
    without = AsyncHTTPProvider("http://127.0.0.1:1", exception_retry_configuration=None)
    assert without.exception_retry_configuration is None


def test_the_subscription_queue_holds_five_hundred() -> None:
    """Beyond that its socket reader stands still; so subscriptions go over a raw websocket."""
    names: Sequence[str] = [*inspect.signature(PersistentConnectionProvider.__init__).parameters]
    assert "subscription_response_queue_size" in names
    default = inspect.signature(PersistentConnectionProvider.__init__).parameters["subscription_response_queue_size"]
    assert default.default == 500


def test_importing_the_client_package_imports_no_web3() -> None:
    code = "import sys, indexer.clients.evm; sys.exit('web3' in sys.modules or 'aiohttp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=30).returncode == 0
