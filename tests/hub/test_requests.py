"""Bad frames: each is refused with the field that is wrong, and the connection stays."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from aiohttp import WSMsgType
from aiohttp.client_exceptions import WSServerHandshakeError

from indexer.api.hub import Limits
from tests.hub.fakes import solver, updated
from tests.hub.stage import stage

ADDRESS = solver(1)


async def test_who_asks_without_a_websocket_is_told_how_to_ask() -> None:
    async with stage() as on:
        for headers in (
            {},
            {"Connection": "Upgrade", "Upgrade": "h2c"},
            {"Connection": "Upgrade", "Upgrade": "websocket"},
        ):
            async with on.session.get(f"{on.url}/ws", headers=headers) as answer:
                assert (answer.status, answer.content_type) == (400, "application/problem+json")
                assert "`Upgrade: websocket`" in (await answer.json(content_type=None))["detail"]


@pytest.mark.parametrize(
    ("text", "identifier", "field"),
    [
        ('{"op":"subscribe","id":"a","filters":[],"filters":[{"chain":1}]}', "a", "filters"),
        ('{"op":"subscribe","id":"a","after":{"chain:1":1,"chain:1":2}}', "a", "after.chain:1"),
        ('{"after":{"chain:1":1,"chain:1":2},"id":7}', 7, "after.chain:1"),
        ('{"op":"subscribe","id":"a","filters":[{},{"chain":1,"chain":2}]}', "a", "filters[1].chain"),
        ('{"op":"subscribe","id":"a","id":"b"}', None, "id"),
        ('[{"op":"subscribe","op":"ping"}]', None, "[0].op"),
    ],
)
async def test_a_member_that_is_given_twice_in_a_frame_is_refused_by_its_whole_name(
    text: str, identifier: str | int | None, field: str
) -> None:
    async with stage() as on:
        client = await on.client()
        await client.ws.send_str(text)
        frame = await client.read()
        assert (frame["type"], frame["id"], frame["problem"]["field"]) == ("error", identifier, field)
        assert frame["problem"]["detail"] == "given more than once"


def subscribe(**more: Any) -> dict[str, Any]:
    return {"op": "subscribe", "id": "x"} | more


def filtered(**one: Any) -> dict[str, Any]:
    return subscribe(filters=[{}, one])


@pytest.mark.parametrize(
    ("frame", "field"),
    [
        ({}, "op"),
        ({"op": None}, "op"),
        ({"op": 7}, "op"),
        ({"op": "subscirbe"}, "op"),
        ({"op": ["subscribe"]}, "op"),
        ({"op": "ping", "extra": 1}, "extra"),
        ({"op": "unsubscribe", "filters": []}, "filters"),
        ({"op": "unsubscribe", "id": "nobody"}, "id"),
        ({"op": "subscribe", "id": 1.5}, "id"),
        ({"op": "subscribe", "id": 2**63}, "id"),
        ({"op": "subscribe", "id": -(2**63) - 1}, "id"),
        ({"op": "subscribe", "id": True}, "id"),
        ({"op": "subscribe", "id": {}}, "id"),
        ({"op": "subscribe", "id": "x" * 129}, "id"),
        (subscribe(filter=[]), "filter"),
        (subscribe(filters={}), "filters"),
        (subscribe(filters=None), "filters"),
        (subscribe(filters="all"), "filters"),
        (subscribe(filters=[1]), "filters[0]"),
        (subscribe(filters=[{}] * 1_001), "filters"),
        (filtered(wallet=ADDRESS), "filters[1].wallet"),
        (filtered(type="balance.guessed"), "filters[1].type"),
        (filtered(type=1), "filters[1].type"),
        (filtered(type=["balance.updated"]), "filters[1].type"),
        (filtered(chain="ethereun"), "filters[1].chain"),
        (filtered(chain=2), "filters[1].chain"),
        (filtered(chain=-1), "filters[1].chain"),
        (filtered(chain=10**30), "filters[1].chain"),
        (filtered(chain=1.0), "filters[1].chain"),
        (filtered(chain=True), "filters[1].chain"),
        (filtered(chain=None), "filters[1].chain"),
        (filtered(chain="1" * 5_000), "filters[1].chain"),
        (filtered(token="0x12"), "filters[1].token"),
        (filtered(token="eth"), "filters[1].token"),
        (filtered(token=None), "filters[1].token"),
        (filtered(solver="acme"), "filters[1].solver"),
        (filtered(solver="native"), "filters[1].solver"),
        (filtered(solver=ADDRESS[:-1] + "g"), "filters[1].solver"),
        (filtered(solver=f"0x{0:040x}"), "filters[1].solver"),
        (filtered(solver=5), "filters[1].solver"),
        (subscribe(snapshot="yes"), "snapshot"),
        (subscribe(snapshot=1), "snapshot"),
        (subscribe(after=[]), "after"),
        (subscribe(after=5), "after"),
        (subscribe(after={"chain:one": 5}), "after.chain:one"),
        (subscribe(after={"ethereum": 5}), "after.ethereum"),
        (subscribe(after={"exchange:binance": 5}), "after.exchange:binance"),
        (subscribe(after={"": 5}), "after."),
        (subscribe(after={"chain:1": "5"}), "after.chain:1"),
        (subscribe(after={"chain:1": -1}), "after.chain:1"),
        (subscribe(after={"chain:1": 2**63}), "after.chain:1"),
        (subscribe(after={"chain:1": 1.5}), "after.chain:1"),
        (subscribe(after={"chain:1": True}), "after.chain:1"),
    ],
)
async def test_a_bad_frame_is_refused_with_the_name_of_the_field(frame: dict[str, Any], field: str) -> None:
    async with stage() as on:
        client = await on.client()
        await client.send(**frame)
        answer = await client.read()
        assert answer["type"] == "error"
        assert answer["id"] == (
            frame.get("id") if isinstance(frame.get("id"), str) and len(frame["id"]) < 129 else None
        )
        assert answer["problem"]["field"] == field
        assert 400 <= answer["problem"]["status"] < 500
        assert {"type", "title", "detail"} < set(answer["problem"])
        await client.subscribe()  # the connection stays
        on.tell(updated(1, 1))
        assert [frame["seq"] for frame in await client.until_pong()] == [1]


@pytest.mark.parametrize("identifier", [-5, 0, 2**63 - 1, -(2**63), "", "x" * 128])
async def test_any_whole_number_and_short_text_names_a_subscription(identifier: int | str) -> None:
    async with stage() as on:
        client = await on.client()
        await client.send(op="subscribe", id=identifier)
        assert await client.read() == {"type": "subscribed", "id": identifier}


@pytest.mark.parametrize(
    "text", ["", " ", "{", "nonsense", "[]", "[1]", "null", "1", '"ping"', "NaN", "{" * 20_000, '{"op":"ping"', "\x00"]
)
async def test_what_is_no_json_object_is_refused(text: str) -> None:
    async with stage() as on:
        client = await on.client()
        await client.ws.send_str(text)
        answer = await client.read()
        assert (answer["type"], answer["id"], answer["problem"]["status"]) == ("error", None, 400)
        assert await client.until_pong() == []


async def test_a_binary_frame_is_refused() -> None:
    async with stage() as on:
        client = await on.client()
        await client.ws.send_bytes(b'{"op":"ping"}')
        assert "binary" in (await client.read())["problem"]["detail"]
        assert await client.until_pong() == []


async def test_a_huge_frame_is_refused_and_the_connection_stays() -> None:
    async with stage() as on:
        client = await on.client()
        for size in (64 * 1024 + 1, 1_000_000, 1024 * 1024):
            await client.ws.send_str('{"op":"ping"}'.ljust(size))
            assert "65536 bytes" in (await client.read())["problem"]["detail"]
        await client.ws.send_str("é" * 40_000)
        assert "65536 bytes" in (await client.read())["problem"]["detail"]
        await client.ws.send_str('{"op":"ping"}'.ljust(64 * 1024))
        assert await client.read() == {"type": "pong"}


@pytest.mark.parametrize("size", [1024 * 1024 + 1, 2 * 1024 * 1024])
async def test_a_frame_past_all_bounds_closes_with_1009(size: int) -> None:
    async with stage() as on:
        client = await on.client()
        await client.ws.send_str(" " * size)
        assert await client.close_code() == 1009


async def test_a_thousand_filters_are_taken() -> None:
    async with stage() as on:
        client = await on.client()
        await client.subscribe(filters=[{"solver": solver(number)} for number in range(1_000)])
        on.tell(updated(999, 1), updated(1_000, 1))
        assert [frame["seq"] for frame in await client.until_pong()] == [1]


async def test_ids_may_be_numbers_or_absent() -> None:
    async with stage() as on:
        client = await on.client()
        await client.send(op="subscribe", id=7)
        assert await client.read() == {"type": "subscribed", "id": 7}
        await client.send(op="subscribe")
        assert await client.read() == {"type": "subscribed", "id": None}
        await client.send(op="unsubscribe", id=7)
        await client.send(op="unsubscribe")
        assert await client.until_pong() == []
        assert on.hub.subscribers == 0


async def test_an_id_is_taken_until_it_is_unsubscribed() -> None:
    async with stage() as on:
        client = await on.client()
        await client.subscribe("a")
        await client.send(op="subscribe", id="a", filters=[{"chain": 8453}])
        answer = await client.read()
        assert (answer["id"], answer["problem"]["status"], answer["problem"]["field"]) == ("a", 409, "id")
        await client.send(op="unsubscribe", id="a")
        await client.subscribe("a")


async def test_subscriptions_of_a_connection_are_bounded() -> None:
    async with stage(limits=Limits(subscriptions=2)) as on:
        client = await on.client()
        await client.subscribe("1")
        await client.subscribe("2")
        await client.send(op="subscribe", id="3")
        assert (await client.read())["problem"]["status"] == 422


async def test_filters_of_a_connection_are_bounded() -> None:
    async with stage(limits=Limits(connection_filters=3)) as on:
        client = await on.client()
        await client.subscribe("1", filters=[{"chain": 1}, {"chain": 8453}])
        await client.send(op="subscribe", id="2", filters=[{"token": "native"}, {"solver": ADDRESS}])
        problem = (await client.read())["problem"]
        assert (problem["status"], problem["field"]) == (422, "filters")
        await client.subscribe("2")


async def test_connections_are_bounded_and_a_place_becomes_free() -> None:
    async with stage(limits=Limits(connections=1)) as on:
        client = await on.client()
        with pytest.raises(WSServerHandshakeError) as refused:
            await on.client()
        assert refused.value.status == 503
        await client.ws.close()
        await on.client()


async def test_what_room_there_is_may_change_and_nobody_who_is_there_has_to_go() -> None:
    room = 1
    async with stage(room=lambda: room) as on:
        client = await on.client()
        room = 2
        await on.client()
        room = 1
        with pytest.raises(WSServerHandshakeError):
            await on.client()
        await client.subscribe("1")


async def test_a_plain_request_is_told_to_upgrade() -> None:
    async with stage() as on, on.session.get(f"{on.url}/ws") as answer:
        assert answer.status == 400
        assert answer.content_type == "application/problem+json"


async def test_a_websocket_ping_is_answered_with_its_own_payload() -> None:
    async with stage() as on:
        ws = await on.session.ws_connect(f"{on.url}/ws", autoping=False)
        await ws.ping(b"still there?")
        message = await ws.receive(5)
        assert (message.type, message.data) == (WSMsgType.PONG, b"still there?")
        await ws.close()
        assert ws.close_code == 1000


async def test_text_that_is_not_utf8_closes_only_its_own_connection() -> None:
    async with stage() as on:
        bad, good = await on.client(), await on.client()
        await good.subscribe()
        transport = bad.ws.get_extra_info("socket")
        assert transport is not None
        writer = bad.ws._writer
        assert writer is not None
        # A masked text frame (mask of zeros) with two bytes that are no UTF-8.
        writer.transport.write(struct.pack("!BB", 0x81, 0x82) + bytes(4) + b"\xff\xfe")
        assert await bad.close_code() == 1007
        on.tell(updated(1, 1))
        assert len(await good.until_pong()) == 1
