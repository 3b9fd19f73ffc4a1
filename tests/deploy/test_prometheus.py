"""The rules for Prometheus are held against the metrics that the service has, and read by Prometheus where it is."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy import queries
from tests.deploy.queries import labels_of_metrics, metrics_in

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy" / "prometheus" / "rules.yaml"
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
SECONDS = re.compile(r"\d+[smh]")

Rule = dict[str, Any]


def rules() -> list[Rule]:
    tree = yaml.safe_load(RULES.read_text())
    return [rule for group in tree["groups"] for rule in group["rules"]]


def labels_in(rule: Rule) -> Iterator[str]:
    """Those that are matched, summed by, and shown."""
    yield from queries.labels_in(rule["expr"])
    for text in rule["annotations"].values():
        yield from re.findall(r"\$labels\.(\w+)", text)


def alerted_rows() -> list[str]:
    """The first metric of each row of the operator's table that says to alert on it."""
    section = OPERATIONS.partition("## Metrics")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `indexer_")]
    return [
        re.findall(r"`(indexer_\w+)`", row)[0] for row in rows if re.search(r"\balert (on|when)\b", row, re.IGNORECASE)
    ]


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_metrics_and_labels_that_there_are(rule: Rule) -> None:
    known = labels_of_metrics()
    asked = metrics_in(rule["expr"])
    assert asked
    assert [name for name in asked if name not in known] == []
    common = set.intersection(*(known[name] for name in asked))
    assert [label for label in labels_in(rule) if label not in common] == []


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_shows_no_label_that_its_sum_has_dropped(rule: Rule) -> None:
    kept = [set(re.findall(r"\w+", names)) for names in re.findall(r"\bby\s*\(([^)]*)\)", rule["expr"])]
    shown = {name for text in rule["annotations"].values() for name in re.findall(r"\$labels\.(\w+)", text)}
    assert all(shown <= names for names in kept)


def test_every_failure_to_alert_on_has_one_alert() -> None:
    asked = [set(metrics_in(rule["expr"])) for rule in rules()]
    assert all(len(names) == 1 for names in asked)
    assert sorted(name for names in asked for name in names) == sorted(alerted_rows())


def test_every_alert_leads_to_its_place_in_the_operators_page() -> None:
    headings = {heading.lower() for heading in re.findall(r"(?m)^#{2,4} (.+)$", OPERATIONS)}
    for rule in rules():
        page, _, place = rule["annotations"]["runbook_url"].partition("#")
        assert (page, place) == ("docs/operations.md", rule["alert"].lower())
        assert place in headings


def test_every_alert_has_a_severity_a_summary_and_a_time_that_prometheus_reads() -> None:
    for rule in rules():
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["annotations"]["summary"]
        assert SECONDS.fullmatch(rule.get("for", "0s"))
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool: `make setup` installs it where it can")
@pytest.mark.parametrize("check", [("check", "rules", "rules.yaml"), ("test", "rules", "rules_test.yaml")])
def test_prometheus_takes_the_rules_and_alerts_when_it_should(check: tuple[str, ...]) -> None:
    command = ("promtool", *check)
    done = subprocess.run(command, cwd=RULES.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_seen_to_come() -> None:
    tree = yaml.safe_load((RULES.parent / "rules_test.yaml").read_text())
    seen = {one["alertname"] for test in tree["tests"] for one in test["alert_rule_test"] if one.get("exp_alerts")}
    assert seen == {rule["alert"] for rule in rules()}
