from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from indexer.clients.evm.asking.calls import Call, TooMuch
from indexer.clients.evm.asking.courier import HttpCourier
from indexer.clients.evm.asking.transport import Transport
from indexer.clients.evm.asking.wording import CallFailed, TimedOut
from indexer.errors import BadAnswer, BlockUnknown, IndexerError, NodeUnreachable, ResponseTooLarge, Throttled
from tests.fixtures.fakenode import FakeNode, RpcError, json_response, silence, text_response

CALLS = [Call("eth_blockNumber"), Call("eth_chainId"), Call("eth_blockNumber")]


async def exchanged(fake: FakeNode, calls: list[Call] | None = None, seconds: float = 5.0) -> list[Any]:
    transport = Transport(fake.url + "/v3/secret-key-0123456789", "fake")
    try:
        return [reply.get() for reply in await transport.exchange(CALLS if calls is None else calls, seconds)]
    finally:
        await transport.disconnect()


async def test_replies_come_in_the_order_asked_whatever_order_they_came_in() -> None:
    async with FakeNode() as fake:
        fake.respond = lambda payload: json_response(fake.answered(payload)[::-1])
        assert await exchanged(fake) == ["0x0", "0x7a69", "0x0"]


async def test_one_call_is_sent_without_a_batch() -> None:
    async with FakeNode() as fake:
        fake.respond = lambda payload: json_response(fake.answered(payload) if isinstance(payload, dict) else [])
        assert await exchanged(fake, CALLS[:1]) == ["0x0"]


async def test_an_error_belongs_to_its_call_alone() -> None:
    def refuse() -> None:
        raise RpcError(-32000, "unknown block")

    async with FakeNode() as fake:
        fake.methods["eth_chainId"] = refuse
        transport = Transport(fake.url, "fake")
        replies = await transport.exchange(CALLS, 5)
        await transport.disconnect()
    assert [type(reply.error) for reply in replies] == [type(None), BlockUnknown, type(None)]
    with pytest.raises(BlockUnknown):
        replies[1].get()


async def test_a_limit_is_one_of_size_for_the_call_that_asks_for_a_range_alone() -> None:
    def refuse(*_params: Any) -> None:
        raise RpcError(-32005, "limit exceeded")

    ranged = Call("eth_getLogs", [{"fromBlock": "0x1", "toBlock": "0x9"}], of_range=True)
    async with FakeNode() as fake:
        fake.methods["eth_getLogs"] = fake.methods["eth_chainId"] = refuse
        transport = Transport(fake.url, "fake")
        together = await transport.exchange([Call("eth_chainId"), ranged, Call("eth_blockNumber")], 5)
        alone = await transport.exchange([ranged], 5)
        fake.respond = lambda payload: json_response({"id": payload["id"], "error": ERROR["error"]}, 400)
        alone += await transport.exchange([ranged], 5)
        await transport.disconnect()
    assert [type(reply.error) for reply in together] == [Throttled, ResponseTooLarge, type(None)]
    assert [type(reply.error) for reply in alone] == [ResponseTooLarge] * 2


ERROR = {"jsonrpc": "2.0", "id": None, "error": {"code": -32005, "message": "limit exceeded"}}

MISBEHAVIOURS: dict[str, tuple[Callable[[FakeNode, Any], web.StreamResponse], type[IndexerError]]] = {
    "truncated batch": (lambda fake, asked: json_response(fake.answered(asked)[:2]), BadAnswer),
    "more answers than calls": (
        lambda fake, asked: json_response([*fake.answered(asked), {"jsonrpc": "2.0", "id": 99_999, "result": 1}]),
        BadAnswer,
    ),
    "two answers to one call": (
        lambda fake, asked: json_response([*fake.answered(asked)[:2], fake.answered(asked)[0]]),
        BadAnswer,
    ),
    "ids missing": (
        lambda fake, asked: json_response([{**part, "id": None} for part in fake.answered(asked)]),
        BadAnswer,
    ),
    "ids that are lists": (
        lambda fake, asked: json_response([{**part, "id": [part["id"]]} for part in fake.answered(asked)]),
        BadAnswer,
    ),
    "ids shifted": (
        lambda fake, asked: json_response([{**part, "id": part["id"] + 1} for part in fake.answered(asked)]),
        BadAnswer,
    ),
    "neither result nor error": (
        lambda _fake, asked: json_response([{"jsonrpc": "2.0", "id": part["id"]} for part in asked]),
        BadAnswer,
    ),
    "a list of numbers": (lambda _fake, _asked: json_response([1, 2, 3]), BadAnswer),
    "null": (lambda _fake, _asked: json_response(None), BadAnswer),
    "an object without an error": (lambda _fake, _asked: json_response({"id": 0, "result": 1}), BadAnswer),
    "one throttling error for all": (lambda _fake, _asked: json_response(ERROR), Throttled),
    "a throttling error in a list": (lambda _fake, _asked: json_response([ERROR]), Throttled),
    "a page": (lambda _fake, _asked: text_response("<html>Checking your browser</html>"), BadAnswer),
    "an empty body": (lambda _fake, _asked: text_response(""), BadAnswer),
    "half a JSON": (lambda _fake, _asked: text_response('[{"id":'), BadAnswer),
    "429": (lambda _fake, _asked: text_response("slow down", 429), Throttled),
    "429 with JSON": (lambda _fake, _asked: json_response(ERROR, 429), Throttled),
    "503": (lambda _fake, _asked: text_response("<html>", 503), NodeUnreachable),
    "503 that says when": (lambda _fake, _asked: text_response("", 503, Retry_After="7"), Throttled),
    "502": (lambda _fake, _asked: text_response("<html>Bad gateway</html>", 502), NodeUnreachable),
    "401": (lambda _fake, _asked: text_response("who are you", 401), NodeUnreachable),
    "404 with JSON": (lambda _fake, _asked: json_response({"message": "no such app"}, 404), NodeUnreachable),
    "a redirect": (lambda _fake, _asked: text_response("", 302, Location="http://127.0.0.1:1/"), NodeUnreachable),
    "413": (lambda _fake, _asked: text_response("too large", 413), TooMuch),
    "413 with JSON": (lambda _fake, _asked: json_response({"message": "Request size limit exceeded"}, 413), TooMuch),
    "413 with an error": (
        lambda _fake, _asked: json_response({"error": {"code": -32600, "message": "request entity too large"}}, 413),
        TooMuch,
    ),
    "a batch too large": (
        lambda _fake, _asked: json_response({"id": None, "error": {"code": -32600, "message": "batch too large"}}, 400),
        TooMuch,
    ),
    "no batches at all": (
        lambda _fake, _asked: json_response({"id": None, "error": {"code": -32600, "message": "no batch support"}}),
        TooMuch,
    ),
}


@pytest.mark.parametrize("kind", MISBEHAVIOURS)
async def test_a_misbehaviour_is_one_of_our_errors(kind: str) -> None:
    script, meaning = MISBEHAVIOURS[kind]
    async with FakeNode() as fake:
        fake.respond = lambda payload: script(fake, payload)
        with pytest.raises(IndexerError) as caught:
            await exchanged(fake)
    assert type(caught.value) is meaning
    assert "secret" not in str(caught.value)


REVERT = {"code": 3, "message": "execution reverted: paused"}


@pytest.mark.parametrize("status", [400, 422, 500])
@pytest.mark.parametrize("number", ["its own", None])
async def test_an_error_that_answers_a_call_does_so_under_any_status(status: int, number: str | None) -> None:
    async with FakeNode() as fake:
        fake.respond = lambda payload: json_response({"id": number and payload["id"], "error": REVERT}, status)
        with pytest.raises(CallFailed, match="paused"):
            await exchanged(fake, CALLS[:1])


async def test_so_does_a_list_that_answers_each_of_them() -> None:
    def respond(payload: Any) -> web.StreamResponse:
        first, *rest = fake.answered(payload)
        return json_response([*rest, {"id": first["id"], "error": REVERT}], 400)

    async with FakeNode() as fake:
        fake.respond = respond
        transport = Transport(fake.url, "fake")
        replies = await transport.exchange(CALLS, 5)
        await transport.disconnect()
    assert [type(reply.error) for reply in replies] == [CallFailed, type(None), type(None)]


@pytest.mark.parametrize(
    ("status", "error", "meaning"),
    [
        (401, {"code": -32000, "message": "must be authenticated"}, NodeUnreachable),
        (429, REVERT, Throttled),
        (500, {"code": -32603, "message": "nobody has met these words yet"}, NodeUnreachable),
        (400, {"code": -32005, "message": "limit exceeded"}, Throttled),
        (500, {"code": -32000, "message": "no backend is healthy"}, NodeUnreachable),
    ],
)
@pytest.mark.parametrize("calls", [CALLS, CALLS[:1]])
async def test_what_is_said_of_the_endpoint_is_an_answer_to_nothing(
    status: int, error: dict[str, Any], meaning: type[IndexerError], calls: list[Call]
) -> None:
    def respond(payload: Any) -> web.StreamResponse:
        asked = payload if isinstance(payload, list) else [payload]
        answers = [{"id": each["id"], "error": error} for each in asked]
        return json_response(answers if isinstance(payload, list) else answers[0], status)

    async with FakeNode() as fake:
        fake.respond = respond
        transport = Transport(fake.url, "fake")
        with pytest.raises(meaning):
            await transport.exchange(calls, 5)
        await transport.disconnect()


@pytest.mark.parametrize("body", [{"message": "Request Too Long"}, {"error": {"code": 1, "message": "too large"}}, []])
@pytest.mark.parametrize("calls", [CALLS, CALLS[:1]])
async def test_a_413_is_one_of_bytes_whatever_its_json_says(body: Any, calls: list[Call]) -> None:
    async with FakeNode() as fake:
        fake.respond = lambda _: json_response(body, 413)
        with pytest.raises(TooMuch) as caught:
            await exchanged(fake, calls)
    assert caught.value.limit == "bytes"


@pytest.mark.parametrize("status", [200, 400, 413, 500])
async def test_a_batch_that_is_refused_call_by_call_is_one_of_calls(status: int) -> None:
    """As dRPC tells its limit."""
    error = {"code": 31, "message": "Batch of more than 3 requests are not allowed on free tier"}
    async with FakeNode() as fake:
        fake.respond = lambda payload: json_response([{"id": each["id"], "error": error} for each in payload], status)
        with pytest.raises(TooMuch) as caught:
            await exchanged(fake)
    assert (caught.value.limit, caught.value.tried) == ("batch", len(CALLS))


async def test_a_413_may_speak_of_a_range() -> None:
    """As QuickNode tells its limit: fewer blocks pass, fewer bytes of the question do not help."""
    error = {"code": -32614, "message": "eth_getLogs is limited to a 10,000 range"}
    ranged = Call("eth_getLogs", of_range=True)

    def respond(payload: Any) -> web.StreamResponse:
        asked = payload if isinstance(payload, list) else [payload]
        answers = [{"id": one["id"], "error": error} if one["method"] == "eth_getLogs" else one for one in asked]
        answers = [each if "error" in each else {"id": each["id"], "result": "0x1"} for each in answers]
        return json_response(answers if isinstance(payload, list) else answers[0], 413)

    async with FakeNode() as fake:
        fake.respond = respond
        transport = Transport(fake.url, "fake")
        replies = [*await transport.exchange([ranged], 5), *await transport.exchange([ranged, CALLS[0]], 5)]
        fake.respond = lambda _: json_response({"id": None, "error": error}, 413)
        replies += await transport.exchange([ranged], 5)
        await transport.disconnect()
    assert [type(reply.error) for reply in replies] == [ResponseTooLarge] * 2 + [type(None), ResponseTooLarge]


@pytest.mark.parametrize("status", [408, 500, 504])
async def test_a_call_whose_time_was_up_is_told_so_under_any_status(status: int) -> None:
    error = {"code": -32002, "message": "request timed out"}
    async with FakeNode() as fake:
        fake.respond = lambda payload: json_response({"id": payload["id"], "error": error}, status)
        transport = Transport(fake.url, "fake")
        (reply,) = await transport.exchange(CALLS[:1], 5)
        await transport.disconnect()
    assert isinstance(reply.error, TimedOut)


async def test_a_413_that_speaks_of_the_batch_is_one_of_calls() -> None:
    async with FakeNode() as fake:
        fake.respond = lambda _: json_response({"error": {"code": -32600, "message": "batch too large"}}, 413)
        with pytest.raises(TooMuch) as caught:
            await exchanged(fake)
    assert caught.value.limit == "batch"


async def test_retry_after_is_kept_and_bounded() -> None:
    async with FakeNode() as fake:
        never = "Mon, 01 Jan 2029 00:00:00 +99999999999999999"
        for text, seconds in (("3", 3.0), ("0.5", 0.5), ("999999", 120.0), ("soon", None), ("-5", None), (never, None)):
            fake.respond = lambda _, text=text: text_response("", 429, Retry_After=text)
            with pytest.raises(Throttled) as caught:
                await exchanged(fake)
            assert caught.value.retry_after_seconds == seconds


@pytest.mark.parametrize(
    ("then", "seconds"), [("00:00:07", 7.0), ("00:00:00", 0.0), ("23:59:59", 120.0)], ids=["soon", "now", "bounded"]
)
async def test_a_retry_after_that_is_a_date_is_set_against_the_other_clock(then: str, seconds: float) -> None:
    def respond(_: Any) -> web.StreamResponse:
        day = "Fri, 31 Dec 2027"
        return text_response("", 429, Retry_After=f"{day} {then} GMT", Date=f"{day} 00:00:00 GMT")

    async with FakeNode() as fake:
        fake.respond = respond
        with pytest.raises(Throttled) as caught:
            await exchanged(fake)
    assert caught.value.retry_after_seconds == seconds


async def test_a_pause_in_the_body_counts_where_the_headers_name_none() -> None:
    body = {"id": None, "error": {"code": -32005, "message": "slow", "data": {"rate": {"backoff_seconds": 9}}}}
    async with FakeNode() as fake:
        fake.respond = lambda _: json_response(body, 429)
        with pytest.raises(Throttled) as caught:
            await exchanged(fake)
    assert caught.value.retry_after_seconds == 9


async def test_silence_ends_at_the_timeout() -> None:
    async with FakeNode() as fake:
        fake.respond = silence
        with pytest.raises(NodeUnreachable, match=r"no answer within 0\.2 s"):
            await exchanged(fake, seconds=0.2)


async def test_nobody_listening_is_unreachable_and_the_url_is_not_told() -> None:
    async with FakeNode() as fake:
        pass
    with pytest.raises(NodeUnreachable, match="cannot connect") as caught:
        await exchanged(fake)
    assert "secret" not in str(caught.value)


async def test_a_kept_connection_that_was_closed_meanwhile_is_no_failure() -> None:
    async with FakeNode() as fake:
        transport = Transport(fake.url, "fake")
        await transport.exchange(CALLS, 5)
        await fake.stop()
        await fake.start()
        assert len(await transport.exchange(CALLS, 5)) == 3
        await transport.disconnect()


async def test_one_connection_serves_many_requests() -> None:
    async with FakeNode() as fake:
        peers: set[Any] = set()

        def respond(payload: Any) -> web.StreamResponse:
            return json_response(fake.answered(payload))

        fake.respond = respond
        courier = HttpCourier(fake.url)
        transport = Transport(fake.url, "fake", courier)
        for _ in range(5):
            await transport.exchange(CALLS, 5)
        assert courier._session is not None
        connector = courier._session.connector
        assert connector is not None
        peers |= {id(connection) for kept in connector._conns.values() for connection, _ in kept}
        assert len(peers) == 1
        await transport.disconnect()


async def test_web3_itself_can_be_put_on_top() -> None:
    from web3 import AsyncWeb3  # noqa: PLC0415 - a second's work that only this test needs

    async with FakeNode(chain_id=5) as fake:
        transport = Transport(fake.url, "fake")
        assert await AsyncWeb3(transport).eth.chain_id == 5
        await transport.disconnect()


async def test_who_waits_for_an_answer_when_it_is_closed_hears_so_and_nobody_opens_it_again() -> None:
    """As when a reload replaces the endpoint that somebody asks something."""
    arrived = asyncio.Event()

    async def hang(_: Any) -> web.StreamResponse:
        arrived.set()
        await asyncio.Event().wait()
        raise AssertionError

    async with FakeNode() as fake:
        fake.respond = hang
        transport = Transport(fake.url, "fake")
        asking = asyncio.create_task(transport.exchange(CALLS, 5))
        await arrived.wait()
        await transport.disconnect()
        with pytest.raises(NodeUnreachable):
            await asking
        with pytest.raises(NodeUnreachable):
            await transport.exchange(CALLS, 5)
