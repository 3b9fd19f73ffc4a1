"""There is no Grafana where the tests run: the dashboard is held against the metrics that the service has."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.queries import labels_in, labels_of_metrics, metrics_in

ROOT = Path(__file__).resolve().parents[2]
DASHBOARD: dict[str, Any] = json.loads((ROOT / "deploy" / "grafana" / "indexer.json").read_text())
TARGETS = [(panel["title"], target) for panel in DASHBOARD["panels"] for target in panel["targets"]]


@pytest.mark.parametrize(("title", "target"), TARGETS)
def test_a_panel_asks_for_metrics_and_labels_that_there_are(title: str, target: dict[str, str]) -> None:
    known, query = labels_of_metrics(), target["expr"]
    (asked,) = metrics_in(query)
    assert asked in known, title
    assert [label for label in labels_in(query) if label not in known[asked]] == []
    shown = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
    summed = re.search(r"\bby \(([^)]*)\)", query)
    assert shown <= (known[asked] if summed is None else set(re.findall(r"\w+", summed[1])))


def test_every_variable_of_a_query_is_one_of_the_dashboard_or_of_grafana() -> None:
    own = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    used = {name for _, target in TARGETS for name in re.findall(r"\$(\w+)", target["expr"])}
    assert used - {"__rate_interval"} == own - {"source"}


def test_the_choice_of_chains_is_made_from_what_there_is() -> None:
    (chain,) = (one for one in DASHBOARD["templating"]["list"] if one["name"] == "chain")
    found = re.fullmatch(r"label_values\((\w+), (\w+)\)", chain["query"]["query"])
    assert found is not None
    assert found[2] in labels_of_metrics()[found[1]]


def test_panels_stand_beside_each_other_and_not_on_each_other() -> None:
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    cells = [
        (x, y) for at in places for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(places)
