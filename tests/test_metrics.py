from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from indexer.metrics import STAGES, Metrics


def samples(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families = text_string_to_metric_families(metrics.render()[0].decode())
    return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


def used() -> Metrics:
    metrics = Metrics(version="1.2.3")
    chain = metrics.chain("ethereum")
    for stage in STAGES:
        chain.stage(stage, 0.003)
    chain.block_done()
    chain.committed(records=2, events=4)
    chain.reorged(2)
    chain.gap(7)
    chain.drifted(1)
    chain.unreadable(2, 5)
    chain.left_out("hint", 3)
    chain.audited(9, 2)
    chain.watch_lag(blocks=lambda: 4, seconds=lambda: 1.5)
    metrics.rpc_request("ethereum", "node-1", "batch", "ok", 0.01)
    metrics.endpoint_switched("ethereum")
    metrics.endpoint_other_block("ethereum", "node-1")
    metrics.websocket_reconnected("ethereum")
    metrics.actor_restarted("chain:1")
    metrics.watch_inbox("chain:1", lambda: 5)
    metrics.watch_subscribers(lambda: 6)
    metrics.subscriber_conflated(10_000)
    metrics.subscriber_dropped("stalled")
    metrics.store_call("append", "ok", 0.004)
    metrics.http_answered("GET", "/health", 200, 0.001)
    return metrics


def test_everything_that_the_contract_names_is_counted() -> None:
    found = samples(used())
    chain = frozenset({("chain", "ethereum")})
    for name, value in {
        "head_lag_blocks": 4,
        "head_lag_seconds": 1.5,
        "blocks_total": 1,
        "records_total": 2,
        "events_total": 4,
        "reorgs_total": 1,
        "reorg_depth_blocks_sum": 2,
        "gaps_total": 1,
        "gap_blocks_total": 7,
        "drift_balances_total": 1,
        "unreadable_tokens": 2,
        "unreadable_balances_total": 5,
        "audited_records_total": 9,
        "audit_differences_total": 2,
        "endpoint_switches_total": 1,
        "websocket_reconnects_total": 1,
    }.items():
        assert found[f"indexer_{name}", chain] == value, name
    for stage in STAGES:
        assert found["indexer_head_to_event_seconds_count", chain | {("stage", stage)}] == 1
    assert found["indexer_logs_left_out_total", chain | {("found", "hint")}] == 3
    assert found["indexer_endpoint_other_blocks_total", chain | {("endpoint", "node-1")}] == 1
    assert found["indexer_subscribers", frozenset()] == 6
    assert found["indexer_conflations_total", frozenset()] == 1
    assert found["indexer_conflated_events_total", frozenset()] == 10_000
    assert found["indexer_inbox_depth", frozenset({("actor", "chain:1")})] == 5
    assert found["indexer_build_info", frozenset({("version", "1.2.3")})] == 1


def test_every_name_begins_alike() -> None:
    assert {name.partition("_")[0] for name, _ in samples(used())} == {"indexer"}


def test_two_services_in_one_program_do_not_mix() -> None:
    first, second = used(), Metrics()
    assert ("indexer_blocks_total", frozenset({("chain", "ethereum")})) not in samples(second)
    assert first.chain("ethereum") is first.chain("ethereum")


def test_a_restarted_actor_takes_its_predecessors_place() -> None:
    metrics = used()
    metrics.watch_inbox("chain:1", lambda: 9)
    assert samples(metrics)["indexer_inbox_depth", frozenset({("actor", "chain:1")})] == 9


def test_of_an_actor_that_is_not_there_any_more_nothing_stays() -> None:
    metrics = used()
    metrics.watch_inbox("account okx/desk", lambda: 9)
    metrics.actor_restarted("account okx/desk")
    metrics.watch_inbox("account okx/hedge", lambda: 7)
    metrics.forget_actor("account okx/desk")
    about = [labels for _, labels in samples(metrics) if ("actor", "account okx/desk") in labels]
    assert about == []
    assert samples(metrics)["indexer_inbox_depth", frozenset({("actor", "account okx/hedge")})] == 7


def test_of_a_chain_that_is_not_followed_any_more_only_counts_stay() -> None:
    metrics = used()
    metrics.endpoint_health("ethereum", "node-1", "lost")
    metrics.endpoint_pace("ethereum", "node-1", 5.0)
    metrics.endpoint_health("base", "node-1", "well")
    metrics.forget_chain("ethereum")
    names = {name for name, labels in samples(metrics) if ("chain", "ethereum") in labels}
    assert "indexer_blocks_total" in names
    assert not {
        name
        for name in names
        if "lag" in name or "health" in name or "per_second" in name or "_jobs" in name or "unreadable_tokens" in name
    }
    assert samples(metrics)["indexer_endpoint_health", frozenset({("chain", "base"), ("endpoint", "node-1")})] == 1
    metrics.chain("ethereum").block_done()
    metrics.chain("ethereum").watch_lag(blocks=lambda: 7, seconds=lambda: 0.5)
    found = samples(metrics)
    assert found["indexer_blocks_total", frozenset({("chain", "ethereum")})] == 2
    assert found["indexer_head_lag_blocks", frozenset({("chain", "ethereum")})] == 7
