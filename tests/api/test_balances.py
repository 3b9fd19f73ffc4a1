from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from indexer.domain.balances import Cause
from indexer.domain.chain import NATIVE, Holding, Transfer, TxHash
from indexer.domain.health.incidents import Incident
from indexer.domain.health.status import NativesRead
from indexer.domain.health.unread import Unread
from indexer.domain.times import time_text
from indexer.domain.watching import Solver
from indexer.errors import BlockUnknown, GivenUp, NodeUnreachable, StoreUnavailable, Throttled
from tests.api.conftest import HttpClient, Serve, World, problem_of
from tests.api.fakes import ALICE, BOB, START, USDC, block, update

ONE = f"/api/v1/balances/1/{USDC}/{ALICE}"


async def test_a_balance_has_every_field_of_the_contract(client: HttpClient) -> None:
    answer = await client.get(ONE)
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert await answer.json() == {
        "chainId": 1,
        "tokenAddress": USDC,
        "solverAddress": ALICE,
        "balance": "7500000",
        "amount": "7.5",
        "decimals": 6,
        "tokenSymbol": "USDC",
        "tokenName": "USD Coin",
        "blockNumber": 110,
        "blockHash": block(110).hash,
        "timestamp": "2026-11-21T01:04:03Z",
        "verifiedBlock": 123,
    }


@pytest.mark.parametrize("chain", ["1", "ethereum", "01"])
async def test_a_chain_goes_by_id_or_name_and_addresses_in_any_case(client: HttpClient, chain: str) -> None:
    answer = await client.get(f"/api/v1/balances/{chain}/{USDC.upper()}/{ALICE.lower()}")
    assert (await answer.json())["solverAddress"] == ALICE


async def test_native_is_a_token_in_any_case(client: HttpClient, world: World) -> None:
    world.balances.rows = [update(1, 10**18, 100, token=NATIVE)]
    body = await (await client.get(f"/api/v1/balances/1/Native/{ALICE}")).json()
    assert (body["tokenAddress"], body["amount"]) == ("native", "1")


async def test_a_zero_balance_is_there_and_an_unread_one_is_not(client: HttpClient, world: World) -> None:
    world.balances.rows = [update(1, 0, 100)]
    assert (await (await client.get(ONE)).json())["balance"] == "0"
    world.balances.rows = []
    await problem_of(await client.get(ONE), 404)


async def test_what_is_watched_again_has_no_current_balance_until_it_is_read(client: HttpClient, world: World) -> None:
    world.watching.unread = frozenset({Holding(USDC, ALICE)})
    await problem_of(await client.get(ONE), 404)
    assert (await (await client.get("/api/v1/balances")).json())["items"] == []
    assert (await (await client.get(f"{ONE}?block=120")).json())["verifiedBlock"] == 110
    assert (await (await client.get(f"{ONE}/history?limit=1")).json())["items"][0]["verifiedBlock"] == 110


async def test_what_its_token_does_not_tell_holds_no_further_than_it_was_known(
    client: HttpClient, world: World
) -> None:
    ours = Holding(USDC, ALICE)
    world.status.unread = Unread({ours: 115}, {USDC: Incident(116, "paused", START)})
    assert (await (await client.get(ONE)).json())["verifiedBlock"] == 115
    page = (await (await client.get("/api/v1/balances")).json())["items"]
    assert {item["solverAddress"]: item["verifiedBlock"] for item in page}[ALICE] == 115
    assert (await (await client.get(f"{ONE}?block=120")).json())["verifiedBlock"] == 115
    assert (await (await client.get(f"{ONE}/history?limit=1")).json())["items"][0]["verifiedBlock"] == 115
    world.status.unread = Unread({ours: 0}, world.status.unread.tokens)
    assert (await (await client.get(ONE)).json())["verifiedBlock"] == 110


async def test_a_native_balance_that_is_read_now_and_then_holds_up_to_its_last_reading(
    client: HttpClient, world: World
) -> None:
    world.balances.rows = [update(1, 5, 100, token=NATIVE), update(2, 7, 110)]
    world.status.natives_read = NativesRead(115)
    native = ONE.replace(USDC, "native")
    assert (await (await client.get(native)).json())["verifiedBlock"] == 115
    assert (await (await client.get(f"{native}?block=120")).json())["verifiedBlock"] == 115
    assert (await (await client.get(f"{native}?block=112")).json())["verifiedBlock"] == 115
    assert (await (await client.get(f"{native}/history?limit=1")).json())["items"][0]["verifiedBlock"] == 115
    world.status.natives_read = NativesRead(115, {Holding(NATIVE, ALICE): 120})
    page = (await (await client.get("/api/v1/balances?token=native")).json())["items"]
    assert [item["verifiedBlock"] for item in page] == [120], "it was read once more"
    assert (await (await client.get(ONE)).json())["verifiedBlock"] == 123, "tokens are followed by their logs"
    world.status.natives_read = NativesRead(0)
    assert (await (await client.get(native)).json())["verifiedBlock"] == 100


async def test_what_is_not_watched_has_no_current_balance_but_keeps_its_past(client: HttpClient, world: World) -> None:
    world.watching.watched = []
    await problem_of(await client.get(ONE), 404, "token")
    assert (await (await client.get("/api/v1/balances")).json())["items"] == []
    past = await (await client.get(f"{ONE}?block=120")).json()
    assert (past["balance"], past["verifiedBlock"]) == ("7500000", 110)
    assert len((await (await client.get(f"{ONE}/history")).json())["items"]) == 2


@pytest.mark.parametrize(
    ("number", "balance", "verified"), [(100, "5", 109), (109, "5", 109), (110, "7500000", 123), (123, "7500000", 123)]
)
async def test_a_balance_as_of_a_block_is_known_until_the_block_before_the_next_change(
    client: HttpClient, number: int, balance: str, verified: int
) -> None:
    body = await (await client.get(f"{ONE}?block={number}")).json()
    assert (body["balance"], body["verifiedBlock"]) == (balance, verified)


@pytest.mark.parametrize("cause", ["sync", "refresh", "resync"])
async def test_what_was_found_late_may_have_changed_right_after_the_record_before(
    client: HttpClient, world: World, cause: Cause
) -> None:
    before, after = world.balances.rows
    world.balances.rows[1] = replace(after, cause=cause)
    assert (await (await client.get(f"{ONE}?block=105")).json())["verifiedBlock"] == before.block.number
    newest, oldest = (await (await client.get(f"{ONE}/history")).json())["items"]
    assert (newest["verifiedBlock"], oldest["verifiedBlock"]) == (123, before.block.number)


@pytest.mark.parametrize("number", [0, 99, 124, 2**63 - 1])
async def test_a_block_of_which_nothing_is_known_is_not_answered_with_another(client: HttpClient, number: int) -> None:
    await problem_of(await client.get(f"{ONE}?block={number}"), 404, "block")


async def test_a_record_above_the_followed_block_is_verified_to_its_own_block(client: HttpClient, world: World) -> None:
    world.status.block = 105
    assert (await (await client.get(ONE)).json())["verifiedBlock"] == 110
    assert (await (await client.get(f"{ONE}?block=110")).json())["verifiedBlock"] == 110
    await problem_of(await client.get(f"{ONE}?block=111"), 404, "block")


@pytest.mark.parametrize(
    "time",
    ["2026-11-21T01:04:02.999Z", "2026-11-21t01:04:02z", "2026-11-21T02:04:02%2B01:00", "2026-11-21T02:04:02+01:00"],
)
async def test_a_balance_as_of_a_time_is_that_of_the_last_block_before(client: HttpClient, time: str) -> None:
    body = await (await client.get(f"{ONE}?at={time}")).json()
    assert (body["balance"], body["verifiedBlock"]) == ("5", 109)


async def test_a_time_before_everything_known_is_not_answered_with_zero(client: HttpClient) -> None:
    await problem_of(await client.get(f"{ONE}?at=2020-01-01T00:00:00Z"), 404, "at")
    await problem_of(await client.get(f"{ONE}?at=2020-01-01T00:00:00Z&block=100"), 400, "at")


async def test_the_verified_block_is_taken_before_the_record_is_read(client: HttpClient, world: World) -> None:
    def while_waiting() -> None:
        world.status.block = 130
        world.balances.rows.append(update(3, 9, 125, previous=7))

    world.freshness.on_wait.append(while_waiting)
    body = await (await client.get(ONE)).json()
    assert (body["balance"], body["verifiedBlock"]) == ("9", 125)


@pytest.mark.parametrize("path", ["", "/history", "/stats"])
@pytest.mark.parametrize("part", ["freshness", "balances"])
async def test_without_the_store_there_is_a_problem_and_never_a_stale_answer(
    client: HttpClient, world: World, path: str, part: str
) -> None:
    getattr(world, part).failure = StoreUnavailable("mongodb://user:secret@db refused")
    answer = await client.get(ONE + path)
    body = await problem_of(answer, 503)
    assert answer.headers["Retry-After"] == "1"
    assert "secret" not in str(body)


# --- the list ---


async def test_all_watched_balances_are_listed_page_by_page_without_gap_or_repeat(
    client: HttpClient, world: World
) -> None:
    world.watching.api_solvers = [Solver("bob", BOB)]
    rows = [
        update(seq, seq, 100, token=token, solver=solver, chain_id=chain)
        for seq, (chain, token, solver) in enumerate(
            ((chain, token, solver) for chain in (1, 8453, 5) for token in (USDC, NATIVE) for solver in (ALICE, BOB)), 1
        )
    ]
    world.balances.rows = rows
    watched = [row for row in rows if row.chain_id == 1 or (row.chain_id == 8453 and row.holding.token == NATIVE)]
    found, pages = [], 0
    cursor: str | None = ""
    while cursor is not None:
        body = await (
            await client.get("/api/v1/balances", params={"limit": "1"} | ({"cursor": cursor} if cursor else {}))
        ).json()
        found += [(item["chainId"], Holding(item["tokenAddress"], item["solverAddress"])) for item in body["items"]]
        cursor, pages = body["next"], pages + 1
    assert sorted(found) == sorted((row.chain_id, row.holding) for row in watched)
    assert pages == len(watched)


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("chain=ethereum", 2),
        ("chain=1&token=native", 1),
        (f"token={USDC.lower()}", 1),
        (f"solver={BOB}", 0),
        ("chain=base", 0),
    ],
)
async def test_the_list_is_filtered(client: HttpClient, world: World, query: str, count: int) -> None:
    world.balances.rows.append(update(3, 1, 111, token=NATIVE))
    body = await (await client.get(f"/api/v1/balances?{query}")).json()
    assert len(body["items"]) == count
    assert body["next"] is None


async def test_an_exactly_full_page_is_the_last_one(client: HttpClient, world: World) -> None:
    world.balances.rows.append(update(3, 1, 111, token=NATIVE))
    assert (await (await client.get("/api/v1/balances?limit=2")).json())["next"] is None


# --- history and statistics ---


async def test_history_is_newest_first_with_every_field_of_the_contract(client: HttpClient) -> None:
    body = await (await client.get(f"{ONE}/history")).json()
    newest, first = body["items"]
    current = await (await client.get(ONE)).json()
    assert newest == current | {
        "transactionHash": f"0x{1002:064x}",
        "transactionHashes": [f"0x{2:064x}", f"0x{1002:064x}"],
        "changeAmount": "7499995",
        "cause": "transfer",
        "finality": "latest",
        "derived": False,
    }
    assert (first["changeAmount"], first["cause"], first["transactionHash"]) == (None, "first", None)
    assert (first["transactionHashes"], first["verifiedBlock"]) == ([], 109)


async def test_pages_of_history_meet_without_gap_or_repeat(client: HttpClient, world: World) -> None:
    world.balances.rows = [update(n, n, 100 + n, previous=n - 1 if n > 1 else None) for n in range(1, 8)]
    found = []
    cursor: str | None = ""
    while cursor is not None:
        body = await (
            await client.get(f"{ONE}/history?limit=3&cursor={cursor}" if cursor else f"{ONE}/history?limit=3")
        ).json()
        found += [(item["blockNumber"], item["verifiedBlock"]) for item in body["items"]]
        cursor = body["next"]
    assert found == [(107, 123), (106, 106), (105, 105), (104, 104), (103, 103), (102, 102), (101, 101)]


def finer(time: datetime, fraction: str) -> str:
    """The milliseconds are there already."""
    return time_text(time).replace("Z", f"{fraction}Z")


@pytest.mark.parametrize(
    ("query", "blocks"),
    [
        ("before=110", [100]),
        ("before=100", []),
        ("before=0", []),
        ("from=2026-11-21T01:02:04Z", [110]),
        ("to=2026-11-21T01:04:02Z", [100]),
        (f"from={time_text(START)}&to={time_text(START)}", [100]),
        (f"from={time_text(START)}&to={time_text(START + timedelta(seconds=120))}", [110, 100]),
        (f"from={finer(START, '0000001')}", [110]),
        (f"from={finer(START, '0000000')}", [110, 100]),
        (f"from={finer(START, '9999999')}&to={finer(START, '99999999')}", []),
        (f"to={finer(START, '0000009')}", [100]),
        ("from=9999-12-31T23:59:59.9999999Z", []),
        ("limit=1", [110]),
    ],
)
async def test_history_is_cut_by_block_time_and_limit(client: HttpClient, query: str, blocks: list[int]) -> None:
    body = await (await client.get(f"{ONE}/history?{query}")).json()
    assert [item["blockNumber"] for item in body["items"]] == blocks


COURSE = ("changePercent", "timeWeightedAverage", "volatility", "trend")


async def test_statistics_are_raw_strings_and_absent_is_not_zero(client: HttpClient) -> None:
    body = await (await client.get(f"{ONE}/stats")).json()
    named = {"chainId": 1, "tokenAddress": USDC, "solverAddress": ALICE}
    course = {name: body.pop(name) for name in COURSE}
    assert body == named | {
        "count": 2,
        "first": "5",
        "last": "7500000",
        "min": "5",
        "max": "7500000",
        "average": "3750002",
        "change": "7499995",
    }
    assert course["changePercent"] == "149999900"
    assert 5 <= int(course["timeWeightedAverage"]) < 7_500_000
    assert course["trend"]["direction"] == "up"
    assert 0 <= course["trend"]["strength"] <= 1
    none = await (await client.get(f"{ONE}/stats?to=2020-01-01T00:00:00Z")).json()
    absent = ("first", "last", "min", "max", "average", "change", *COURSE)
    assert none == named | {"count": 0} | dict.fromkeys(absent)


async def test_history_explains_itself_when_asked_to(client: HttpClient, world: World) -> None:
    log = Transfer(USDC, BOB, ALICE, 7_499_000, block(108).hash, TxHash("0x" + "ab" * 32), 4, 108)
    world.balances.rows[1] = replace(world.balances.rows[1], transfers=(log,), unexplained=995)
    body = await (await client.get(f"{ONE}/history?explain=true")).json()
    assert [(item["transfers"], item["unexplained"]) for item in body["items"]] == [
        (
            [
                {
                    "transactionHash": log.transaction,
                    "logIndex": 4,
                    "blockNumber": 108,
                    "from": BOB,
                    "to": ALICE,
                    "value": "7499000",
                }
            ],
            "995",
        ),
        ([], None),
    ]
    plain = await (await client.get(f"{ONE}/history?explain=false")).json()
    assert not any("transfers" in item or "unexplained" in item for item in plain["items"])
    await problem_of(await client.get(f"{ONE}/history?explain=1"), 400, "explain")


@pytest.mark.parametrize("path", ["/history", "/stats"])
async def test_what_nobody_ever_watched_has_neither_history_nor_statistics(client: HttpClient, path: str) -> None:
    await problem_of(await client.get(f"/api/v1/balances/1/{USDC}/{BOB}{path}"), 404, "solver")
    await problem_of(await client.get(f"/api/v1/balances/1/{BOB}/{ALICE}{path}"), 404, "token")
    assert (await client.get(f"/api/v1/balances/1/native/{ALICE}{path}")).status == 200


@pytest.mark.parametrize("path", ["/history", "/stats"])
@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00.0000001Z", "2026-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00.0000002Z", "2026-01-01T00:00:00.00000019Z"),
    ],
)
async def test_a_span_that_ends_before_it_begins_is_refused(
    client: HttpClient, path: str, start: str, end: str
) -> None:
    await problem_of(await client.get(f"{ONE}{path}?from={start}&to={end}"), 422, "from")


@pytest.mark.parametrize("to", ["", "&to=2130-01-01T00:00:00Z"])
async def test_statistics_of_what_is_yet_to_come_are_refused(client: HttpClient, to: str) -> None:
    problem = await problem_of(await client.get(f"{ONE}/stats?from=2129-01-01T00:00:00Z{to}"), 422, "from")
    assert problem["detail"] == "`from` is later than now"


async def test_statistics_of_blocks_whose_clock_is_ahead_of_ours_are_told(serve: Serve) -> None:
    client = await serve(now=lambda: START - timedelta(hours=1))
    body = await (await client.get(f"{ONE}/stats?from={finer(START, '0')}")).json()
    assert body["count"] > 0


async def test_in_a_span_that_is_finer_than_what_is_kept_is_nothing(client: HttpClient) -> None:
    span = f"from={finer(START, '0000001')}&to={finer(START, '0000009')}"
    assert (await (await client.get(f"{ONE}/stats?{span}")).json())["count"] == 0


# --- refresh ---


async def test_a_refreshed_balance_comes_back_verified_at_its_own_block(client: HttpClient) -> None:
    answer = await client.post(f"{ONE}/refresh")
    assert answer.status == 200
    body = await answer.json()
    assert (body["balance"], body["blockNumber"], body["verifiedBlock"]) == ("9", 140, 140)


async def test_a_balance_that_did_not_change_is_verified_at_the_block_at_which_it_was_read_again(
    client: HttpClient, world: World
) -> None:
    world.control.refreshed, world.control.held = update(2, 7, 110), 150
    body = await (await client.post(f"{ONE}/refresh")).json()
    assert (body["blockNumber"], body["verifiedBlock"]) == (110, 150), "the status says 123 still"
    world.control.held = 120
    body = await (await client.post(f"{ONE}/refresh")).json()
    assert body["verifiedBlock"] == 120


async def test_only_what_is_watched_can_be_refreshed(client: HttpClient) -> None:
    await problem_of(await client.post(f"/api/v1/balances/1/{USDC}/{BOB}/refresh"), 404, "solver")


@pytest.mark.parametrize(
    ("error", "wait"),
    [(NodeUnreachable("https://key@node"), "1"), (BlockUnknown("x"), "1"), (Throttled("x", 7.2), "7")],
)
async def test_a_node_that_cannot_answer_is_a_problem_that_passes(
    client: HttpClient, world: World, error: Exception, wait: str
) -> None:
    world.control.refreshed = error
    answer = await client.post(f"{ONE}/refresh")
    body = await problem_of(answer, 503)
    assert answer.headers["Retry-After"] == wait
    assert "key@" not in str(body)


async def test_why_an_answer_was_not_waited_for_is_said(client: HttpClient, world: World) -> None:
    world.control.refreshed = GivenUp("chain 1 has not answered this within 12 s")
    body = await problem_of(await client.post(f"{ONE}/refresh"), 503)
    assert body["detail"] == "chain 1 has not answered this within 12 s"


async def test_a_token_that_does_not_tell_its_decimals_has_no_amount(client: HttpClient, world: World) -> None:
    record = world.balances.rows[1]
    world.balances.rows[1] = replace(record, balance=2**256 - 1, info=replace(record.info, decimals=None))
    body = await (await client.get(ONE)).json()
    assert (body["amount"], body["decimals"], body["balance"]) == (None, None, str(2**256 - 1))


async def test_a_cursor_of_another_balance_is_refused_and_one_of_this_is_not_by_what_a_page_shows(
    client: HttpClient, world: World
) -> None:
    world.balances.rows += [update(3, 9, 120, previous=7, solver=BOB), update(4, 1, 100, solver=BOB)]
    following = (await (await client.get(f"{ONE}/history?limit=1")).json())["next"]
    other = await client.get(f"/api/v1/balances/1/{USDC}/{BOB}/history?cursor={following}")
    assert "another list" in (await problem_of(other, 400, "cursor"))["detail"]
    same = f"/api/v1/balances/ethereum/{USDC.lower()}/{ALICE.lower()}/history?explain=true&limit=7&cursor={following}"
    assert [row["blockNumber"] for row in (await (await client.get(same)).json())["items"]] == [100]
