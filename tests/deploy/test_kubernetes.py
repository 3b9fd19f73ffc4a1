"""There is no cluster where the tests run: the manifests are held against the image and the configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from indexer.config import load
from tests.deploy.test_image import final_stage
from tests.test_docs import routes

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS: dict[str, Any] = {
    one["kind"]: one for one in yaml.safe_load_all((ROOT / "deploy" / "kubernetes" / "indexer.yaml").read_text())
}
POD = MANIFESTS["StatefulSet"]["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]


def test_its_configuration_is_valid_with_the_variables_that_have_to_be_there(tmp_path: Path) -> None:
    file = tmp_path / "chains.toml"
    file.write_text(MANIFESTS["ConfigMap"]["data"]["chains.toml"])
    needed = [one["name"] for one in CONTAINER["env"] if not one["valueFrom"]["secretKeyRef"].get("optional")]
    settings = load(file, dict.fromkeys(needed, f"https://{'k' * 32}.example"))
    assert str(settings.service.data_dir) == final_stage()["VOLUME"]
    assert [port["containerPort"] for port in CONTAINER["ports"]] == [settings.service.port]
    assert settings.store.url == "embedded"


def test_every_variable_of_its_configuration_is_handed_in() -> None:
    text = MANIFESTS["ConfigMap"]["data"]["chains.toml"]
    assert [one["name"] for one in CONTAINER["env"] if f"${{{one['name']}" not in text] == []
    assert text.count("${") == len(CONTAINER["env"])


def test_it_runs_as_the_image_s_user_and_writes_to_the_image_s_volume() -> None:
    mounts = {mount["name"]: mount["mountPath"] for mount in CONTAINER["volumeMounts"]}
    there = {one["metadata"]["name"] for one in MANIFESTS["StatefulSet"]["spec"]["volumeClaimTemplates"]}
    assert str(POD["securityContext"]["runAsUser"]) == final_stage()["USER"]
    assert mounts["data"] == final_stage()["VOLUME"]
    assert f"{mounts['config']}/chains.toml" in final_stage()["CMD"]
    assert set(mounts) == {volume["name"] for volume in POD["volumes"]} | there


def test_there_is_one_writer_that_has_time_to_stop() -> None:
    assert MANIFESTS["StatefulSet"]["spec"]["replicas"] == 1
    assert POD["terminationGracePeriodSeconds"] > 30


def test_it_is_asked_whether_it_lives_and_is_ready_without_a_key() -> None:
    open_to_all = {route.path for route in routes() if route.scope is None}
    asked = {probe: CONTAINER[probe]["httpGet"]["path"] for probe in CONTAINER if probe.endswith("Probe")}
    assert asked == {"startupProbe": "/health", "livenessProbe": "/health", "readinessProbe": "/ready"}
    assert set(asked.values()) <= open_to_all


def test_a_store_that_is_away_for_minutes_ends_nobody() -> None:
    probe = CONTAINER["livenessProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] >= 600


def test_the_service_leads_to_the_pod() -> None:
    labels = MANIFESTS["StatefulSet"]["spec"]["template"]["metadata"]["labels"]
    assert MANIFESTS["Service"]["spec"]["selector"] == labels
    assert MANIFESTS["StatefulSet"]["spec"]["selector"]["matchLabels"] == labels
    (port,) = MANIFESTS["Service"]["spec"]["ports"]
    assert port["targetPort"] in {one["name"] for one in CONTAINER["ports"]}


def test_no_start_opens_the_master_key_to_the_group() -> None:
    assert POD["securityContext"]["fsGroupChangePolicy"] == "OnRootMismatch"
