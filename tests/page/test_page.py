from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.page.chromium import Tab
from tests.page.service import ACME, BOLT, FakeService

pytestmark = pytest.mark.page

ROWS = (
    "[...document.querySelectorAll('#balances tbody tr:not(.solver)')].map(row => row.innerText.replace(/\\s+/g, ' '))"
)
HEADINGS = "[...document.querySelectorAll('#balances .solver')].map(row => row.innerText)"
HOSTILE = "<img src=x onerror=alert(1)>"


async def opened(tab: Tab, service: FakeService) -> None:
    await tab.open(service.url)
    await tab.until("document.querySelector('#connection')?.dataset.state === 'live'")


async def test_a_balance_changes_on_the_page_when_its_event_arrives(tab: Tab, service: FakeService) -> None:
    service.items = [service.item(5_000_000), service.item(0, solverAddress=BOLT, chainId=31338)]
    service.positions = {"chain:31337": 7}
    await opened(tab, service)
    assert len(await tab.until(f"document.querySelector('#balances tbody') && {ROWS}")) == 2
    assert [heading.split()[0] for heading in await tab.run(HEADINGS)] == ["acme", "bolt"]

    await service.tell(service.update(8, 1_234_567_890_123, 5_000_000, blockNumber=101))
    row = await tab.until(f"{ROWS}.find(row => row.includes('1,234,567'))")
    assert "GOLD fast 1,234,567.890123 +1,234,562.890123 101" in row
    assert await tab.run("document.querySelectorAll('#balances [data-flashed]').length") == 1
    assert "acme GOLD" in await tab.text("#events li")
    assert "101" in await tab.text("#streams li .block")
    assert tab.complaints == []


async def test_symbols_of_strangers_are_shown_as_text_only(tab: Tab, service: FakeService) -> None:
    service.items = [
        service.item(1, tokenSymbol=HOSTILE),
        service.item(2, tokenSymbol="\u202eDSU\u0000", chainId=31338),
    ]
    service.solvers = [{"name": f"<b>{HOSTILE}</b>", "address": ACME}]
    await opened(tab, service)
    await service.tell(service.update(1, 2, 1, tokenSymbol=HOSTILE))
    await tab.until("document.querySelector('#events li')")
    assert await tab.run("document.querySelectorAll('img, #balances b').length") == 0
    assert "<img src=x" in await tab.text("#balances")
    assert "\u202e" not in await tab.text("#balances")
    assert tab.complaints == []


async def test_an_exchange_account_stands_beside_the_chains(tab: Tab, service: FakeService) -> None:
    service.streams["exchange:okx:desk"] = {**service.streams["chain:31337"], "block": None, "seq": 7}
    service.items = [service.item(5_000_000), service.amount("1000.5"), service.amount("0", asset="BTC")]
    service.positions = {"exchange:okx:desk": 7}
    await opened(tab, service)
    assert len(await tab.until(f"document.querySelector('#balances tbody') && {ROWS}")) == 3
    assert [heading.split(" / ")[0] for heading in await tab.run(HEADINGS)][1] == "okx"
    now = service.amount("1234567.000000000000000001", free="1234000", used="567.000000000000000001")
    now |= {"previousBalance": "1000.5", "newBalance": now["balance"], "changeAmount": "1233566.500000000000000001"}
    await service.tell(service.of_account("balance.updated", 8, now | {"cause": "stream"}))
    row = await tab.until(f"{ROWS}.find(row => row.includes('1,234,567'))")
    assert row.startswith("USDT unified 1,234,567.000000… +1,233,566.500000…")
    assert await tab.run("document.querySelectorAll('#balances [data-flashed]').length") == 1
    told: dict[str, dict[str, Any]] = {
        "balance.changed": {"wallet": "spot", "asset": "BTC", "changeAmount": "-1", "changePercent": "-5"},
        "position.updated": {"symbol": "BTC/USDT:USDT", "side": "short", "contracts": "0.5", "entryPrice": "60000"},
        "funding_fee": {"symbol": "BTC/USDT:USDT", "asset": "USDT", "amount": "-1.25"},
        "account.alert": {
            "kind": "stale_data", "severity": "warning", "detail": HOSTILE, "wallet": "spot", "asset": None,
            "cleared": False,
        },
        "stream.stale": {"reason": "no answer", "block": None},
    }  # fmt: skip
    for seq, (kind, data) in enumerate(told.items(), 9):
        await service.tell(service.of_account(kind, seq, data))
    await tab.until("document.querySelectorAll('#events li').length === 6")
    text = await tab.text("#events")
    for words in (
        "(\N{MINUS SIGN}5 %)",
        "short 0.5",
        "funding \N{MINUS SIGN}1.25",
        "stale data",
        "okx / desk is stale",
        "<img src=x",
    ):
        assert words in text, words
    await tab.run("document.querySelector('[name=zero]').click()")
    await tab.until(f"{ROWS}.length === 2")
    await tab.run(_typed("chain", "exchange:okx:desk"))
    await tab.until(f"{ROWS}.length === 1")
    assert tab.complaints == []


async def test_rows_go_with_their_account_and_come_back_with_it(tab: Tab, service: FakeService) -> None:
    followed = {**service.streams["chain:31337"], "block": None, "seq": 7}
    service.streams["exchange:okx:desk"] = followed
    service.items = [service.item(5_000_000), service.amount("1000.5"), service.amount("0", asset="BTC")]
    service.positions = {"chain:31337": 3, "exchange:okx:desk": 7}
    await opened(tab, service)
    await tab.until(f"{ROWS}.length === 3")
    del service.streams["exchange:okx:desk"]
    await service.tell(service.heartbeat())
    await tab.until(f"{ROWS}.length === 1")
    assert [heading.split()[0] for heading in await tab.run(HEADINGS)] == ["acme"]
    assert "okx" not in await tab.text("#streams")

    service.streams["exchange:okx:desk"] = followed
    await service.tell(service.heartbeat())
    assert (await service.subscribed(2))["after"] == {"chain:31337": 3, "exchange:okx:desk": 7}
    await tab.until(f"{ROWS}.length === 3")
    assert len(service.subscriptions) == 2
    assert tab.complaints == []


@pytest.mark.parametrize("what", ["solvers", "chains", "tokens"])
async def test_rows_of_what_is_not_watched_any_more_go(tab: Tab, service: FakeService, what: str) -> None:
    silver = "0x" + "51" * 20
    service.tokens.append({"chainId": 31338, "tokenAddress": silver})
    service.items = [service.item(5), service.item(6, chainId=31338, solverAddress=BOLT, tokenAddress=silver)]
    await opened(tab, service)
    await tab.until(f"{ROWS}.length === 2")
    match what:
        case "solvers":
            del service.solvers[1]
        case "chains":
            service.solvers[1]["chains"] = [31337]
        case _:
            del service.tokens[1]
    del service.items[1]
    for seq in range(10, 200):  # an address without a name has the page ask who is watched
        await service.tell(service.update(seq, seq, 0, solverAddress="0x" + "77" * 20))
        if len(service.subscriptions) > 1:
            break
        await asyncio.sleep(0.05)
    await service.subscribed(2)
    # The last of those updates may come after the snapshot, and be shown.
    await tab.until(f"{HEADINGS}.every(heading => heading.startsWith('acme') || heading.includes('7777'))")
    assert "acme" in [heading.split()[0] for heading in await tab.run(HEADINGS)]
    assert tab.complaints == []


async def test_a_row_may_change_and_go_in_the_same_frame(tab: Tab, service: FakeService) -> None:
    await opened(tab, service)
    row = {"key": "k", "solver": ACME, "token": "native", "chainId": 1, "where": "1", "amount": "1", "direction": 1}
    row |= {"change": None, "block": 1, "time": "2026-11-27T00:00:00Z", "isZero": False, "isRaw": False}
    script = (
        "import('./static/table.js').then(({ Table }) => {"
        " const drawn = document.createElement('table');"
        " const table = new Table(drawn, { solverName: () => null, chainName: () => 'c' });"
        f" const row = {json.dumps(row)};"
        " table.update([row], [], new Map([[row.key, row]]), {}); const before = drawn.rows.length;"
        " table.update([row], [row.key], new Map(), {}); return [before, drawn.rows.length]; })"
    )
    assert await tab.run(script) == [2, 0]


async def test_an_account_that_is_gone_is_not_brought_back_by_an_older_status(tab: Tab, service: FakeService) -> None:
    await opened(tab, service)
    name = "exchange:okx:desk"
    snapshot = {"type": "snapshot", "items": [service.amount("1")], "positions": {}}
    beats = [{"type": "heartbeat", "streams": {name: {"seq": 1}}}, {"type": "heartbeat", "streams": {}}]
    script = (
        "import('./static/book.js').then(({ Book }) => { const book = new Book();"
        f" for (const frame of {json.dumps([snapshot, *beats])}) book.take(frame);"
        f" book.describe('{name}', {{}}); return [book.rows.size, book.streams.size]; }})"
    )
    assert await tab.run(script) == [0, 0]


async def test_a_lost_connection_is_resumed_after_the_last_number_seen(tab: Tab, service: FakeService) -> None:
    service.items = [service.item(5_000_000)]
    service.positions = {"chain:31337": 7, "chain:31338": 2}
    await opened(tab, service)
    assert "after" not in await service.subscribed(1)
    await service.tell(service.update(8, 6_000_000, 5_000_000))
    await tab.until("document.querySelector('#events li')")

    service.items = [service.item(7_500_000)]
    service.positions = {"chain:31337": 9, "chain:31338": 2}
    await service.hang_up()
    assert (await service.subscribed(2))["after"] == {"chain:31337": 8, "chain:31338": 2}
    missed = service.update(9, 7_500_000, 6_000_000)
    await service.tell(missed, missed)
    await tab.until("document.querySelectorAll('#events li').length === 2")
    assert "7.5" in (await tab.run(ROWS))[0]
    await tab.until("document.querySelector('#connection').dataset.state === 'live'")


async def test_another_store_behind_the_same_address_is_read_anew(tab: Tab, service: FakeService) -> None:
    service.items = [service.item(5_000_000)]
    await opened(tab, service)
    await service.tell(service.update(1, 6_000_000, 5_000_000))
    await tab.until("document.querySelector('#events li')")

    service.epoch, service.items, service.positions = "bbbb2222", [service.item(9_000_000)], {"chain:31337": 50}
    await service.tell(service.update(51, 8_000_000, 9_000_000))
    assert "after" not in await service.subscribed(2)
    await tab.until(f"{ROWS}[0].includes(' 9 ')")


async def test_a_gap_replaces_the_balances_of_that_stream_alone(tab: Tab, service: FakeService) -> None:
    service.items = [service.item(5_000_000), service.item(1, tokenAddress="native"), service.item(3, chainId=31338)]
    await opened(tab, service)
    await tab.until(f"{ROWS}.length === 3")
    snapshot = {"type": "snapshot", "id": "page", "items": [service.item(4_000_000)], "positions": {"chain:31337": 9}}
    await service.tell({"type": "gap", "stream": "chain:31337"}, snapshot)
    await tab.until(f"{ROWS}.length === 2")
    assert "4" in (await tab.run(ROWS))[0]


async def test_silence_is_shown_as_stale(tab: Tab, service: FakeService) -> None:
    await tab.send(
        "Page.addScriptToEvaluateOnNewDocument",
        source="const now = performance.now.bind(performance); let ahead = 0; performance.now = () => now() + ahead;"
        " globalThis.later = (seconds) => { ahead += seconds * 1000; };",
    )
    await opened(tab, service)
    await tab.run("later(13)")
    await tab.until("document.querySelector('#connection').dataset.state === 'stale'")
    assert "nothing heard for 1" in await tab.text("#connection")
    await service.tell(service.heartbeat())
    await tab.until("document.querySelector('#connection').dataset.state === 'live'")
    await tab.run("later(25)")
    await service.subscribed(2)


async def test_a_chain_in_trouble_says_so(tab: Tab, service: FakeService) -> None:
    service.streams["chain:31338"]["lastResync"] = {"block": 1_090, "reason": "deep", "at": "2026-11-21T01:00:00.000Z"}
    service.streams["chain:31338"]["unreadableTokens"] = [{"tokenAddress": "0x…"}]
    await opened(tab, service)
    await service.tell(service.heartbeat(chain_31338={"state": "stale", "lagSeconds": 42.5, "block": 105}))
    await tab.until("document.querySelector('#streams li[data-state=stale]')")
    card = await tab.text("#streams li[data-state=stale]")
    about = "id 31338 · heads by websocket · 42.5 s behind · read anew at block 1,090 · 1 token cannot be read"
    assert card.split("\n") == ["slow", "stale", "105", about]


async def test_a_service_with_keys_asks_for_one_and_keeps_it_for_the_tab(tab: Tab, service: FakeService) -> None:
    service.key = "s3cret"
    await tab.open(service.url)
    await tab.until("document.querySelector('#login')?.open")
    await tab.run(
        "document.querySelector('#login input').value = 's3cret'; document.querySelector('#login button').click()"
    )
    await tab.until("document.querySelector('#connection').dataset.state === 'live'")
    await opened(tab, service)
    assert await tab.run("document.querySelector('#login')?.open") is False


async def test_filters_narrow_the_table(tab: Tab, service: FakeService) -> None:
    service.items = [
        service.item(5_000_000),
        service.item(0, tokenAddress="native", tokenSymbol="ETH", solverAddress=BOLT),
        service.item(3_000_000, chainId=31338, solverAddress=BOLT),
    ]
    await opened(tab, service)
    for field, value, left in (("text", "BOL", 2), ("text", "eth", 1), ("chain", "31338", 1), ("text", "0x70997", 2)):
        await tab.until("document.querySelectorAll('#filters option').length === 3")
        await tab.run(_typed(field, value))
        await tab.until(f"{ROWS}.length === {left}")
        await tab.run(_typed(field, ""))
        await tab.until(f"{ROWS}.length === 3")
    await tab.run("document.querySelector('[name=zero]').click()")
    await tab.until(f"{ROWS}.length === 2")
    assert await tab.text("#shown") == "2 of 3 balances"


@pytest.mark.parametrize("is_dark", [False, True])
async def test_nothing_is_wider_than_a_phone(tab: Tab, service: FakeService, is_dark: bool) -> None:
    if is_dark:
        await tab.dark()
    await tab.size(360, 740, is_phone=True)
    service.items = [service.item(10**15 + 1, tokenSymbol="W" * 60), service.item(10**40, amount=None, chainId=31338)]
    await opened(tab, service)
    await service.tell(service.update(1, 10**15 + 2, 10**15 + 1, tokenSymbol="W" * 60))
    await tab.until("document.querySelector('#events li')")
    assert await tab.run("document.documentElement.scrollWidth") <= 360
    assert tab.complaints == []


async def test_a_thousand_changes_at_once_are_drawn_without_a_stall(tab: Tab, service: FakeService) -> None:
    wallets = [f"0x{number:040x}" for number in range(1000)]
    service.items = [service.item(1_000_000, solverAddress=wallet) for wallet in wallets]
    await opened(tab, service)
    await tab.until(f"{ROWS}.length === 1000")
    frames = [service.update(seq, 2_000_000, 1_000_000, solverAddress=w) for seq, w in enumerate(wallets, 1)]
    await asyncio.wait_for(service.tell(*frames), 10)
    await tab.until(f"{ROWS}.filter(row => row.includes('+1')).length === 1000", seconds=10)
    assert await tab.run("document.querySelectorAll('#events li').length") == 150


async def test_amounts_are_scaled_without_rounding(tab: Tab, service: FakeService) -> None:
    await opened(tab, service)
    largest = 2**256 - 1
    amounts = [
        ("-1500000", 6, "-1.5"),
        (str(largest), 18, f"{largest // 10**18}.{largest % 10**18:018d}"),
        ("5", 0, "5"),
        ("0", 18, "0"),
        ("7", 20, "0.00000000000000000007"),
        (None, 6, None),
        ("5", None, None),
    ]
    arguments = json.dumps([(raw, decimals) for raw, decimals, _ in amounts])
    shown = await tab.run(f"import('./static/amounts.js').then(m => {arguments}.map(pair => m.scaled(...pair)))")
    assert shown == [expected for _, _, expected in amounts]


def _typed(field: str, value: str) -> str:
    return (
        f"(field => {{ field.value = {value!r}; field.dispatchEvent(new Event('input', {{bubbles: true}})); }})"
        f"(document.querySelector('[name={field}]'))"
    )
